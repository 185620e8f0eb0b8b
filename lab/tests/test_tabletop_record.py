"""Demonstrations are rosbags: written by the recorder, read back by another library."""

import importlib.util
import io
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

for module in ("mujoco", "rosbags", "mcap", "tqdm"):
    if importlib.util.find_spec(module) is None:
        pytest.skip(f"recording needs the extras `sim` and `ros`; {module} cannot be imported", allow_module_level=True)

from mcap.reader import make_reader
from rosbags.highlevel import AnyReader

from deer_lab.worlds.action import action_from_twist, checked
from deer_lab.worlds.judge.episode import LEARNER_STEPS, TILT_STEPS, Recipe, demonstrate
from deer_lab.worlds.judge.record import main, record
from deer_lab.worlds.starts import begin
from deer_lab.worlds.tabletop import expert
from deer_lab.worlds.tabletop.desk import Desk
from deer_lab.worlds.tabletop.tasks import TASKS

EPISODES = 3
ROOT = Path(__file__).parents[2]
TOY = ROOT / "models" / "toy"
PROGRAM = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "debug" / "deer_vla"


@pytest.fixture(scope="module")
def bags(tmp_path_factory):
    """The folder of a few episodes, and what the recorder said about them."""
    out = tmp_path_factory.mktemp("bags")
    return out, record(Recipe(seed=0), episodes=EPISODES, workers=1, out=out)


def read(bag):
    """topic -> list of (nanoseconds, message)."""
    messages = {}
    with AnyReader([bag]) as reader:
        for connection, stamp, raw in reader.messages():
            messages.setdefault(connection.topic, []).append((stamp, reader.deserialize(raw, connection.msgtype)))
    return messages


def as_action(twist):
    linear, angular = twist.twist.linear, twist.twist.angular
    velocity = np.array([linear.x, linear.y, linear.z, angular.x, angular.y, angular.z])
    return action_from_twist(velocity, True, 30.0)[:6]


def test_every_frame_has_every_topic_at_its_time(bags):
    out, entries = bags
    for entry in entries:
        messages = read(out / f"episode_{entry['episode']:06d}")
        stamps = [stamp for stamp, _ in messages["/static/image"]]
        assert len(stamps) == entry["frames"] > 15
        assert np.diff(stamps) == pytest.approx(1e9 / 30, abs=1)
        for topic in ("/gripper/image", "/twist", "/gripper", "/executed_twist", "/joint_states", "/state"):
            assert [stamp for stamp, _ in messages[topic]] == stamps, topic
        image = messages["/static/image"][0][1]
        assert image.header.stamp.sec * 10**9 + image.header.stamp.nanosec == stamps[0]


def test_pictures_are_jpegs_of_the_cameras_sizes(bags):
    messages = read(bags[0] / "episode_000000")
    for topic, size in (("/static/image", (200, 200)), ("/gripper/image", (84, 84))):
        image = messages[topic][0][1]
        assert image.format == "jpeg"
        assert Image.open(io.BytesIO(image.data.tobytes())).size == size


def test_each_task_is_marked_and_told_in_words_that_training_may_see(bags):
    out, entries = bags
    for entry in entries:
        messages = read(out / f"episode_{entry['episode']:06d}")
        marks = [json.loads(message.data) for _, message in messages["/task"]]
        assert [mark["task"] for mark in marks[::2]] == entry["tasks"]
        assert [(mark["begins"], mark["done"]) for mark in marks] == [(True, False), (False, True)] * len(
            entry["tasks"]
        )
        sentences = [message.data for _, message in messages["/instruction"]]
        for task, sentence in zip(entry["tasks"], sentences, strict=True):
            phrasings = TASKS[task].phrasings
            assert sentence in phrasings.train and sentence not in phrasings.test


def test_what_was_executed_is_what_the_hand_did(bags):
    """The recorded heights of the hand follow the integral of the executed velocity, one step behind."""
    messages = read(bags[0] / "episode_000000")
    heights = np.array([json.loads(message.data)["tcp_position"][2] for _, message in messages["/state"]])
    speeds = np.array([message.twist.linear.z for _, message in messages["/executed_twist"]])
    steps = heights[1:] - heights[:-1]
    assert np.corrcoef(speeds[:-2], steps[1:])[0, 1] > 0.8


def test_wanted_and_executed_differ_by_the_noise_alone(bags):
    out, entries = bags
    for entry in entries:
        messages = read(out / f"episode_{entry['episode']:06d}")
        pairs = zip(messages["/twist"], messages["/executed_twist"])
        difference = np.array([as_action(b) - as_action(a) for (_, a), (_, b) in pairs])
        assert difference.std() == pytest.approx(entry["noise"], abs=0.4 * entry["noise"])


def test_another_reader_finds_the_same_channels(bags):
    file = next((bags[0] / "episode_000000").glob("*.mcap"))
    with file.open("rb") as stream:
        summary = make_reader(stream).get_summary()
    topics = {channel.topic: channel.message_encoding for channel in summary.channels.values()}
    assert topics["/static/image"] == "cdr" and set(topics) >= {"/twist", "/instruction", "/state"}
    assert {schema.encoding for schema in summary.schemas.values()} == {"ros2msg"}


def test_a_bag_is_named_as_rosbag2_names_it(bags):
    out, _ = bags
    assert sorted(file.name for file in (out / "episode_000000").iterdir()) == ["episode_000000.mcap", "metadata.yaml"]


@pytest.mark.skipif(not PROGRAM.is_file(), reason=f"{PROGRAM} is not built: cargo build")
def test_deer_vla_replays_a_demonstration(bags, tmp_path):
    out, entries = bags
    command = [PROGRAM, "replay", TOY, out / "episode_000000", "--out", tmp_path / "replayed"]
    subprocess.run(command, check=True, timeout=300)
    decisions = [json.loads(line) for line in (tmp_path / "replayed" / "decisions.jsonl").read_text().splitlines()]
    assert len(decisions) == entries[0]["frames"]
    assert all(decision["verdict"] == "act" for decision in decisions)


def test_the_same_seed_gives_the_same_bytes_with_more_workers_and_after_a_stop(bags, tmp_path):
    out, entries = bags
    record(Recipe(seed=0), episodes=1, workers=1, out=tmp_path)
    assert record(Recipe(seed=0), episodes=EPISODES, workers=2, out=tmp_path) == entries
    for entry in entries:
        name = f"episode_{entry['episode']:06d}"
        one, other = (next((folder / name).glob("*.mcap")) for folder in (out, tmp_path))
        assert one.read_bytes() == other.read_bytes()


def test_one_period_in_so_many_can_be_recorded_and_shows_the_same(bags, tmp_path):
    record(Recipe(seed=0, every=5), episodes=1, workers=1, out=tmp_path)
    whole, sparse = (read(folder / "episode_000000") for folder in (bags[0], tmp_path))
    stamps = [stamp for stamp, _ in whole["/twist"]]
    begun = [stamps.index(stamp) for stamp, _ in whole["/instruction"]]
    ends = [*begun[1:], len(stamps)]
    kept = [number for begin, end in zip(begun, ends) for number in range(begin, end, 5)]
    for topic in ("/static/image", "/twist", "/state"):
        assert len(sparse[topic]) == len(kept), topic
    assert [m.data for _, m in sparse["/state"]] == [whole["/state"][number][1].data for number in kept]


@pytest.mark.parametrize("other", [{"seed": 1}, {"tasks": 1}, {"every": 5}])
def test_a_folder_that_was_made_otherwise_is_refused(bags, other):
    with pytest.raises(ValueError, match="name another folder"):
        record(Recipe(**{"seed": 0} | other), episodes=1, workers=1, out=bags[0])


def test_a_folder_does_not_go_on_with_another_learner(bags):
    pytest.importorskip("torch")
    learner = Path(__file__).parents[1] / "weights" / "tabletop"
    with pytest.raises(ValueError, match=r"'learner'.*name another folder"):
        record(Recipe(seed=0, run=learner), episodes=1, workers=1, out=bags[0])


@pytest.mark.parametrize("every", [-1, 0, 2])
def test_frames_that_would_look_consecutive_are_not_recorded(tmp_path, every):
    with pytest.raises(ValueError, match="give 1, or 3 and more"):
        record(Recipe(seed=0, every=every), episodes=1, workers=1, out=tmp_path)


def test_the_command_records_as_many_tasks_as_it_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr(
        sys, "argv", ["record", "--episodes", "1", "--tasks", "1", "--every", "9", "--out", str(tmp_path)]
    )
    assert main() == 0
    (entry,) = [json.loads(line) for line in (tmp_path / "episodes.jsonl").read_text().splitlines()[1:]]
    assert len(entry["tasks"]) == 1


def test_an_unfinished_bag_is_written_anew(bags, tmp_path):
    leftover = tmp_path / ".episode_000000.unfinished"
    leftover.mkdir()
    (leftover / "half.mcap").write_text("half")
    record(Recipe(seed=0), episodes=1, workers=1, out=tmp_path)
    assert not leftover.exists() and read(tmp_path / "episode_000000")["/twist"]


class Stubborn:
    """A learner that pushes the hand up, whatever the task."""

    taken = ()
    exits = 3
    stopped_at = None

    def stop_at(self, exit_number):
        self.stopped_at = exit_number

    def begin(self, task, instruction, seed):
        pass

    def act(self, world):
        return np.array([0, 0, 0.5, 0, 0, 0, 1.0])


def test_a_learner_leads_and_the_expert_says_what_it_should_have_done_and_ends_the_task():
    world, rng, learner = Desk(), np.random.default_rng(3), Stubborn()
    begin(world, "turn_on_led", rng)
    frames = demonstrate(world, "turn_on_led", noise=0.0, rng=rng, learner=learner)
    world.close()
    led = [frame.executed[:3] == pytest.approx(learner.act(None)[:3]) for frame in frames]
    lead = led.index(False)
    assert TILT_STEPS < lead < LEARNER_STEPS
    assert not any(led[lead:])
    for frame in frames[:lead]:
        assert frame.action == pytest.approx(checked(expert.act("turn_on_led", frame.state)))
    assert learner.stopped_at in range(3)
    tilt = frames[0].executed[3:5]
    for frame in frames[:lead]:  # the hand is tilted at first, and the expert, who would turn it back, is only asked
        assert frame.executed[3:5] == pytest.approx(tilt if frame.period < TILT_STEPS else [0, 0])
    asked = frames[lead - 1].action[3:5]
    assert np.sign(asked).tolist() == np.sign(-tilt).tolist() and np.abs(asked).max() > 0.05


def test_a_learner_stops_where_it_is_told_to_and_leads_no_longer():
    world, rng, learner = Desk(), np.random.default_rng(3), Stubborn()
    for exit_number, most in ((2, 9), (0, 1)):
        begin(world, "turn_on_led", rng)
        how = {"learner": learner, "exit_number": exit_number, "lead_steps": most}
        frames = demonstrate(world, "turn_on_led", noise=0.0, rng=rng, **how)
        assert learner.stopped_at == exit_number
        led = [frame.executed[:3] == pytest.approx(learner.act(None)[:3]) for frame in frames]
        assert led.index(False) < most
    world.close()
