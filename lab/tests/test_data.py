"""Demonstrations in rosbags become the windows that a network is trained on."""

import dataclasses
import math
import os
from io import BytesIO
from itertools import islice
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("deer_lab.worlds.tabletop.desk")

from PIL import Image
from rosbags.highlevel import AnyReader
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.typesys import Stores, get_typestore
from safetensors import safe_open

from deer_lab.bags import STORE, jpeg, picture
from deer_lab.config import Camera
from deer_lab.data.aids import Aids
from deer_lab.data.fit import fit
from deer_lab.data.rosbag import bag_segments, find_bags, parts
from deer_lab.data.segment import DataError, Segment
from deer_lab.data.shards import make_shard, make_shards, write_shard
from deer_lab.data.source import Said
from deer_lab.data.windows import Windows
from deer_lab.embodiment import CALVIN
from deer_lab.program import find_program
from deer_lab.worlds.judge.demonstration import Demonstration, Frame
from deer_lab.worlds.tabletop import expert
from deer_lab.worlds.tabletop.aids import told
from deer_lab.worlds.tabletop.answers import SENTENCES, ahead, answers
from deer_lab.worlds.tabletop.desk import Desk
from deer_lab.worlds.tabletop.motion import Goal
from deer_lab.worlds.tabletop.tasks import TASKS

if find_program() is None:
    pytest.skip("rosbags are read by deer_vla: cargo build, or name it in DEER_VLA", allow_module_level=True)

CAMERAS = (Camera("static", 32), Camera("gripper", 24))
ROLES = ["static", "gripper"]
SCALES = [0.02 / 100] * 3 + [0.05 / 100] * 3  # frame 1 moves a hundredth of the most that an action can
AIDS = "deer_lab.worlds.tabletop.aids"


@pytest.fixture(scope="module")
def world():
    desk = Desk()
    yield desk
    desk.close()


def frames_of(world: Desk, actions: np.ndarray) -> list[Frame]:
    frames = []
    for period, action in enumerate(actions):
        jpegs = {camera: jpeg(pixels) for camera, pixels in world.pictures().items()}
        frames.append(Frame(period, jpegs, world.state(), action, action))
        world.step(action)
    return frames


def actions_of(count: int, seed: int = 0) -> np.ndarray:
    random = np.random.default_rng(seed)
    return np.c_[random.uniform(-0.5, 0.5, (count, 6)), random.choice([-1.0, 1.0], count)]


@pytest.fixture(scope="module")
def bag(world, tmp_path_factory):
    demonstration = Demonstration(world)
    demonstration.add_task("open_drawer", "open the drawer", frames_of(world, actions_of(7)))
    demonstration.add_task("turn_on_led", "press the button", frames_of(world, actions_of(5, seed=1)))
    path = tmp_path_factory.mktemp("bags") / "episode_0"
    demonstration.write(path)
    return path


def segment(count: int, instruction: str = "go", state: bool = True) -> Segment:
    """Frame i is all of grey i."""
    pictures = {role: [np.full((40, 40, 3), i, np.uint8) for i in range(count)] for role in ROLES}
    numbers = np.arange(count, dtype=np.float32)[:, None]
    return Segment(
        instruction, pictures, np.repeat(numbers, 6, 1) * SCALES, numbers[:, 0], Aids(numbers) if state else None
    )


def hundredths(window: dict) -> torch.Tensor:
    """Which frames of `segment` the actions are of."""
    return (window["actions"][:, 0] * 100).round()


def shard_of(bag: Path, cameras: tuple[Camera, ...], cache: Path) -> Path:
    return make_shard(parts([bag], cameras, 30, Said())[0], cameras, CALVIN, cache)


def test_a_bag_gives_back_what_was_recorded(bag):
    first, second = bag_segments(bag, CAMERAS, 30, Said(), AIDS)
    assert (first.instruction, second.instruction) == ("open the drawer", "press the button")
    wanted = actions_of(7)
    assert first.actions(CALVIN)[:, :6] == pytest.approx(wanted[:, :6], abs=1e-5)
    assert (first.actions(CALVIN)[:, 6] == (wanted[:, 6] > 0)).all()
    assert len(second) == len(second.pictures["gripper"]) == 5
    assert first.pictures["static"][0].shape == (32, 32, 3)
    assert first.aids.state.shape == (7, 48)
    assert first.aids.points["static"].shape == (7, 7, 3)


def test_a_bag_with_missing_frames_gives_a_segment_for_every_run_of_frames(world, tmp_path):
    demonstration = Demonstration(world)
    frames = frames_of(world, actions_of(9))
    demonstration.add_task("open_drawer", "open the drawer", [*frames[:2], *frames[3:5], frames[8]])
    demonstration.write(tmp_path / "gaps")
    found = list(bag_segments(tmp_path / "gaps", CAMERAS, 30, Said()))
    assert [len(segment) for segment in found] == [4, 1], "one lost frame is no gap: a camera may be slower"
    assert {segment.instruction for segment in found} == {"open the drawer"}


def test_pictures_are_fitted_as_the_robot_fits_them(bag, tmp_path, world):
    with safe_open(shard_of(bag, CAMERAS, tmp_path), "np") as shard:
        pictures = shard.get_tensor("gripper")
    assert len(pictures) == 12
    shown = fit(decoded(bag, "/gripper/image", 3), CAMERAS[1])
    assert np.abs(pictures[3].astype(int) - shown).max() <= 2, "two decoders of JPEG agree within two levels"


def decoded(bag: Path, topic: str, number: int) -> np.ndarray:
    """The recording's picture of that number, uint8 RGB."""
    with AnyReader([bag], default_typestore=get_typestore(Stores.ROS2_JAZZY)) as reader:
        messages = reader.messages([connection for connection in reader.connections if connection.topic == topic])
        connection, _, raw = next(islice(messages, number, None))
        return np.asarray(Image.open(BytesIO(reader.deserialize(raw, connection.msgtype).data)).convert("RGB"))


def test_a_shard_is_made_once(bag, tmp_path):
    (made,) = make_shards(parts([bag], CAMERAS, 30, Said()), CAMERAS, CALVIN, tmp_path)
    before = made.stat().st_mtime_ns
    assert make_shards(parts([bag], CAMERAS, 30, Said()), CAMERAS, CALVIN, tmp_path) == [made]
    assert made.stat().st_mtime_ns == before
    assert shard_of(bag, (Camera("static", 16), CAMERAS[1]), tmp_path) != made


def test_a_recording_that_was_made_again_and_aids_of_other_code_are_read_again(bag, tmp_path, monkeypatch):
    (tmp_path / "own_world").mkdir()
    (tmp_path / "own_world" / "__init__.py").touch()
    (tmp_path / "own_world" / "aids.py").write_text("TOPIC = 'state'\naids = None\n")
    monkeypatch.syspath_prepend(tmp_path)

    def identity() -> str:
        return parts([bag], CAMERAS, 30, Said(), "own_world.aids")[0].identity

    found = [identity(), identity()]
    (tmp_path / "own_world" / "expert.py").write_text("LEARNED = True\n")
    found.append(identity())
    os.utime(max(bag.iterdir(), key=lambda path: path.stat().st_size), (1, 1))
    found.append(identity())
    assert found[0] == found[1] and len(set(found)) == 3


def test_the_truth_names_blocks_hand_and_fixtures(world):
    state = world.state()
    numbers = told(state)
    assert numbers[:3] == pytest.approx(state.blocks["blue_block"].position)
    assert numbers[18:21] == pytest.approx(state.tcp_position)
    assert numbers[30] == state.gripper_open


def test_the_truth_says_where_a_block_is_from_the_turned_hand(world):
    x, y, z = world.state().tcp_position
    block = dataclasses.replace(
        world.state().blocks["blue_block"], position=(x, y + 0.05, z - 1), quaternion=(1, 0, 0, 0)
    )
    blocks = world.state().blocks | {"blue_block": block}
    state = dataclasses.replace(world.state(), blocks=blocks, tcp_euler=(math.pi, 0, math.pi / 2))
    # ahead of a hand that looks along y; further down than is asked for; half a turn from it when doubled
    assert told(state)[31:36] == pytest.approx([0.05, 0, -0.12, -1, 0], abs=1e-6)


def test_the_truth_says_how_far_the_hand_is_tilted(world):
    state = dataclasses.replace(world.state(), tcp_euler=(math.pi, 0, 0.5))  # straight down, however it is turned
    assert told(state)[46:] == pytest.approx([0, 0], abs=1e-6)
    state = dataclasses.replace(state, tcp_euler=(0.1 - math.pi, 0, 0))  # turned about x: tilted towards y
    assert told(state)[46:] == pytest.approx([0, math.sin(0.1)], abs=1e-6)


def test_windows_stay_within_one_instruction(tmp_path):
    write_shard(iter([segment(6, "a"), segment(4, "b")]), CAMERAS, CALVIN, tmp_path / "x")
    windows = Windows([tmp_path / "x"], ROLES, 3)
    found = [
        (windows.instructions[w["instruction"]], w["static"][:, 0, 0, 0].tolist())
        for w in map(windows.__getitem__, range(len(windows)))
    ]
    assert found == [("a", [i, i + 1, i + 2]) for i in range(4)] + [("b", [i, i + 1, i + 2]) for i in range(2)]


def test_a_short_instruction_is_filled_up_and_does_not_count_there(tmp_path):
    write_shard(iter([segment(2)]), CAMERAS, CALVIN, tmp_path / "x")
    (window,) = [Windows([tmp_path / "x"], ROLES, 4)[0]]
    assert hundredths(window).tolist() == [0, 1, 1, 1]
    assert window["weight"].tolist() == [1, 1, 0, 0]


def test_the_true_state_is_standardised(tmp_path):
    write_shard(iter([segment(5)]), CAMERAS, CALVIN, tmp_path / "x")
    windows = Windows([tmp_path / "x"], ROLES, 5)
    assert windows[0]["state"].mean() == pytest.approx(0, abs=1e-6)
    assert windows[0]["state"].std(correction=0) == pytest.approx(1, abs=1e-6)


def test_the_expert_answers_for_every_task_that_could_begin(world):
    found = dict(zip(TASKS, answers(world.state()), strict=True))
    assert found["open_drawer"].shape == (11,)
    assert found["open_drawer"][:6] == pytest.approx(expert.act("open_drawer", world.state())[:6], abs=1e-3)
    assert (found["open_drawer"][6], found["turn_on_led"][6]) == (1, 0), "the button is pressed with closed fingers"
    assert np.isnan(found["place_in_drawer"]).all(), "nothing is in the hand"


def test_a_goal_is_said_as_the_hand_has_it_before_it(world):
    state = world.state()
    beside = np.array([0.03 * math.sinh(3), 0, -0.003])  # 0.3 m: far enough to be 1; near enough to be linear
    found = ahead(state, Goal(state.tcp_position + beside, 1.0, yaw=state.tcp_euler[2] + 0.5))
    assert found == pytest.approx([1, 0, -0.1 / 3, 0.5], abs=1e-3)


def test_a_window_can_be_asked_for_as_if_another_task_had_been_said(tmp_path):
    able, never = list(TASKS).index("open_drawer"), list(TASKS).index("turn_on_led")
    answered = np.full((9, len(TASKS), 11), np.nan, np.float16)
    answered[:, able] = np.arange(9)[:, None] + 100
    answered[:5, never] = 0  # not in every frame of a later window
    aids = Aids(np.zeros((9, 2), np.float32), answers=answered, sentences=SENTENCES)
    shard = tmp_path / "a.safetensors"
    write_shard(iter([dataclasses.replace(segment(9), aids=aids)]), CAMERAS, CALVIN, shard)
    windows = Windows([shard], ROLES, 3)
    as_said, otherwise = windows[4], windows[4, 7]
    assert hundredths(as_said).tolist() == [4, 5, 6]
    assert (otherwise["actions"] == torch.tensor([104.0, 105, 106])[:, None]).all()
    assert (otherwise["goals"] == otherwise["actions"][:, :4]).all() and as_said["goals"].isnan().all()
    assert windows.instructions[otherwise["instruction"]] in SENTENCES[able]
    assert (otherwise["static"] == as_said["static"]).all()
    drawn = {hundredths(windows[0, seed])[0].item() for seed in range(20)}
    assert drawn == {0.0, 10000.0}, "both could begin there"


def test_what_was_said_is_taught_as_the_expert_answers_now(tmp_path):
    able = list(TASKS).index("open_drawer")
    answered = np.full((9, len(TASKS), 11), np.nan, np.float16)
    answered[:6, able] = np.arange(6)[:, None] + 100
    aids = Aids(np.zeros((9, 2), np.float32), answers=answered, sentences=SENTENCES)
    recorded = dataclasses.replace(segment(9), instruction=SENTENCES[able][0], aids=aids)
    write_shard(iter([recorded]), CAMERAS, CALVIN, tmp_path / "x")
    window = Windows([tmp_path / "x"], ROLES, 3)[4]
    assert window["actions"][:2].tolist() == [[104.0] * 7, [105.0] * 7]
    assert hundredths(window)[2] == 6, "as recorded where the task, under way, could not begin"
    assert window["goals"].isnan().all(), "nothing else was drawn"


def test_a_recording_without_true_state_has_none(tmp_path):
    write_shard(iter([segment(5, state=False)]), CAMERAS, CALVIN, tmp_path / "x")
    windows = Windows([tmp_path / "x"], ROLES, 5)
    assert not windows.has_state
    assert "state" not in windows[0]


def test_a_bag_without_a_camera_is_refused_by_name(bag):
    with pytest.raises(DataError, match=r"which topic is the left camera\? .*/gripper/image"):
        list(bag_segments(bag, (Camera("left", 32), Camera("right", 32)), 30, Said()))


def test_a_broken_bag_is_refused_by_name(tmp_path):
    broken = tmp_path / "episode_9"
    broken.mkdir()
    (broken / "episode_9.mcap").write_bytes(b"x" * 999)
    with pytest.raises(DataError, match=r"episode_9"):
        list(bag_segments(broken, CAMERAS, 30, Said()))


def test_what_is_said_of_a_bag_goes_before_what_it_says(bag):
    found = list(bag_segments(bag, CAMERAS, 30, Said(sentence="do it")))
    assert {segment.instruction for segment in found} == {"do it"}


def test_a_bag_of_pictures_alone_teaches_nothing_and_says_so(tmp_path):
    path = tmp_path / "pictures"
    with Writer(path, version=9, storage_plugin=StoragePlugin.MCAP) as writer:
        for role in ROLES:
            message = picture(10**9, role, jpeg(np.full((48, 48, 3), 90, np.uint8)))
            connection = writer.add_connection(f"/{role}/image", message.__msgtype__, typestore=STORE)
            writer.write(connection, 10**9, STORE.serialize_cdr(message, message.__msgtype__))
    with pytest.raises(DataError, match=r"no step to learn from.* 1 steps without motion; 1 steps without gripper"):
        list(bag_segments(path, CAMERAS, 30, Said(sentence="go")))


def test_a_place_without_bags_is_refused(tmp_path):
    with pytest.raises(DataError, match="no rosbag here"):
        find_bags(tmp_path)


def test_bags_that_are_being_written_are_not_read(bag, tmp_path):
    (tmp_path / ".episode_1.unfinished" / "episode_1").mkdir(parents=True)
    (tmp_path / ".episode_1.unfinished" / "episode_1" / "metadata.yaml").touch()
    (tmp_path / "episode_2").mkdir()
    (tmp_path / "episode_2" / "metadata.yaml").touch()
    assert find_bags(tmp_path) == [tmp_path / "episode_2"]
