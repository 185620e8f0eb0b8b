"""LeRobot's data set format, both ways."""

import json
import sys

import av
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from deer_lab.data.lerobot import open_dataset, parts
from deer_lab.data.lerobot_writer import write_dataset
from deer_lab.data.segment import DataError, Segment
from deer_lab.data.source import Said
from deer_lab.embodiment import Embodiment, GripperSpec, relative_arm

ROLES = ["static", "gripper"]
ARM = Embodiment(control_hz=10, arm=relative_arm(0.05, 0.1), gripper=GripperSpec("jaw", "rad", open=0.0, closed=0.8))
LENGTHS = {"open the drawer": 12, "lift the red block": 7}


def segment(sentence: str, length: int, seed: int = 0) -> Segment:
    """A bright bar that moves on with every frame, so that each frame can be told from the next."""
    random = np.random.default_rng(seed)
    pictures = {}
    for role in ROLES:
        shots = [np.full((64, 96, 3), 30, np.uint8) for _ in range(length)]
        for number, shot in enumerate(shots):
            shot[:, 6 * number : 6 * number + 6] = 240, 200, 160
        pictures[role] = shots
    motion = random.uniform(-0.03, 0.03, (length, 6))
    return Segment(sentence, pictures, motion, random.choice([0.0, 0.8], length))


SEGMENTS = [segment(sentence, length, seed) for seed, (sentence, length) in enumerate(LENGTHS.items())]


@pytest.fixture
def made(tmp_path):
    write_dataset(iter(SEGMENTS), ARM, ROLES, tmp_path / "set")
    return tmp_path / "set"


def read(root, embodiment=ARM, source=None, sentence=None, roles=ROLES, topics=()):
    return [s for part in parts(root, roles, embodiment, Said(source, sentence, topics)) for s in part.segments()]


def bar(picture: np.ndarray) -> int:
    """Which frame of `segment` it is."""
    return int(picture.mean((0, 2)).reshape(16, 6).mean(1).argmax())


def written(path, text):
    path.write_text(text)
    return path


def test_what_is_written_is_read_again(made):
    found = read(made)
    assert [s.instruction for s in found] == list(LENGTHS)
    for wanted, got in zip(SEGMENTS, found):
        assert got.motion == pytest.approx(wanted.motion, abs=1e-6)
        assert got.gripper == pytest.approx(wanted.gripper)
        for role in ROLES:
            assert [bar(picture) for picture in got.pictures[role]] == list(range(len(wanted)))
            assert np.abs(np.stack(got.pictures[role]).astype(int) - np.stack(wanted.pictures[role])).mean() < 4


def test_the_published_validator_finds_nothing_to_fail(made):
    loader, runner = pytest.importorskip("lerobot_doctor.dataset_loader"), pytest.importorskip("lerobot_doctor.runner")
    report = runner.run_checks(loader.load_local(made))
    failed = [m.message for r in report.results for m in r.messages if m.severity == runner.Severity.FAIL]
    assert not failed
    names = {r.name: r.severity for r in report.results}
    for check in ("Metadata & Format Compliance", "Temporal Consistency", "Video Integrity", "Feature Consistency"):
        assert names[check] == runner.Severity.PASS


def test_a_slower_policy_gets_every_so_manieth_frame_and_all_of_the_motion(made):
    slower = Embodiment(control_hz=5, arm=ARM.arm, gripper=ARM.gripper)
    found = read(made, slower)[0]
    assert [bar(picture) for picture in found.pictures["static"]] == [0, 2, 4, 6, 8, 10]
    wanted = SEGMENTS[0].motion[:, :3].reshape(6, 2, 3).sum(1)
    assert found.motion[:, :3] == pytest.approx(wanted, abs=1e-6)
    assert found.gripper == pytest.approx(SEGMENTS[0].gripper[::2])


def test_a_data_set_that_is_too_slow_is_refused(made):
    with pytest.raises(DataError, match="10 frames a second are too few for 30 actions"):
        read(made, Embodiment())


def test_what_the_numbers_mean_must_be_said(made):
    (made / "meta/source.yaml").unlink()
    with pytest.raises(DataError, match=r"what do the numbers of action mean \(x, y, z, roll, pitch, yaw, jaw\)"):
        read(made)


@pytest.mark.parametrize(
    ("means", "wanted"),
    [
        ("action", SEGMENTS[0].motion * ([0.05] * 3 + [0.1] * 3)),
        ("displacement", SEGMENTS[0].motion),
    ],
)
def test_numbers_are_taken_for_what_the_source_says(made, tmp_path, means, wanted):
    source = written(tmp_path / "source.yaml", f"motion: {{topic: action, means: {means}}}\ngripper: {{joint: jaw}}\n")
    assert read(made, source=source)[0].motion == pytest.approx(wanted, abs=1e-6)


def test_velocities_are_what_moves_in_a_frame(made, tmp_path):
    source = written(tmp_path / "source.yaml", "motion: {means: velocity}")
    assert read(made, source=source)[0].motion[:, :3] == pytest.approx(SEGMENTS[0].motion[:, :3] / 10, abs=1e-6)


def test_the_differences_of_poses_are_the_motion(made, tmp_path):
    source = written(tmp_path / "source.yaml", "motion: {means: pose, columns: [x, y, z, roll, pitch, yaw]}")
    found = read(made, source=source)[0]
    assert len(found) == 11, "after the last pose nothing is known"
    assert found.motion[:, :3] == pytest.approx(np.diff(SEGMENTS[0].motion[:, :3], axis=0), abs=1e-6)


def test_cameras_go_by_the_source_and_are_cut_as_it_says(made, tmp_path):
    text = (
        "cameras:\n  wrist: {topic: observation.images.gripper, crop: [12, 0, 48, 64]}\nmotion: {means: displacement}"
    )
    found = read(made, source=written(tmp_path / "source.yaml", text), roles=["wrist", "static"])[0]
    assert found.pictures["wrist"][0].shape == (64, 48, 3)
    assert found.pictures["wrist"][2].mean((0, 2)).argmax() < 6, "frame 2 has its bar where the cut begins"


def test_a_source_says_that_red_and_blue_stand_in_one_anothers_place(made, tmp_path):
    camera = "cameras: {{static: {{topic: observation.images.static, encoding: {}}}}}\nmotion: {{means: displacement}}"
    as_it_is, turned = (
        read(made, source=written(tmp_path / "source.yaml", camera.format(order)))[0].pictures["static"][3]
        for order in ("rgb8", "bgr8")
    )
    assert (turned == as_it_is[:, :, ::-1]).all() and (turned != as_it_is).any()


def as_h264(root):
    """Its videos as older data sets have them."""
    for path in root.rglob("*.mp4"):
        beside = path.with_name("h264.mp4")
        with av.open(str(path)) as found, av.open(str(beside), "w") as made:
            stream = made.add_stream("libx264", rate=ARM.control_hz, options={"g": "12"})
            stream.height, stream.width, stream.pix_fmt = 64, 96, "yuv420p"
            for frame in found.decode(video=0):
                made.mux(stream.encode(frame.reformat(format="yuv420p")))
            made.mux(stream.encode())
        beside.rename(path)


def test_videos_in_h264_give_the_same_frames(made):
    as_h264(made)
    with av.open(str(made / VIDEO)) as video:
        assert video.streams.video[0].codec_context.name == "h264"
    for wanted, got in zip(SEGMENTS, read(made)):
        assert [bar(picture) for picture in got.pictures["static"]] == list(range(len(wanted)))
        assert np.abs(np.stack(got.pictures["static"]).astype(int) - np.stack(wanted.pictures["static"])).mean() < 6


def test_without_pyav_a_video_is_refused_in_a_sentence(made, monkeypatch):
    monkeypatch.setitem(sys.modules, "av", None)  # importing it raises ModuleNotFoundError
    with pytest.raises(DataError, match=r"file-000.mp4: videos need PyAV, which is not installed: pip install"):
        read(made)


def test_a_sentence_can_be_said_for_all(made):
    assert {s.instruction for s in read(made, sentence="do it")} == {"do it"}


def test_a_camera_can_be_named_on_the_command_line(made, tmp_path):
    source = written(tmp_path / "source.yaml", "motion: {means: displacement}")
    topics = (("left", "observation.images.gripper"),)
    assert list(read(made, source=source, roles=["left", "right"], topics=topics)[0].pictures) == ["left", "right"]


def test_a_camera_that_is_named_on_the_command_line_is_cut_as_the_source_says(made, tmp_path):
    text = "cameras:\n  left: {topic: somewhere.else, crop: [12, 0, 48, 64]}\nmotion: {means: displacement}"
    source, topics = written(tmp_path / "source.yaml", text), (("left", "observation.images.gripper"),)
    found = read(made, source=source, roles=["left", "right"], topics=topics)[0]
    assert [found.pictures[role][0].shape for role in ("left", "right")] == [(64, 48, 3), (64, 96, 3)]


def test_cameras_that_leave_a_choice_are_asked_for(made, tmp_path):
    source = written(tmp_path / "source.yaml", "motion: {means: displacement}")
    with pytest.raises(DataError, match=r"which feature is the camera left\? .* it has observation.images.static"):
        read(made, source=source, roles=["left", "right"])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("cameras: {static: observation.images.front}", "no pictures named observation.images.front for static"),
        ("motion: {topic: observation.state}", "no feature observation.state of numbers; it has action, timestamp"),
        ("motion: {means: joints}", "motion.means is 'joints'; known are action, displacement, velocity, pose"),
        ("motion: {means: pose, columns: [x, y]}", "pose needs 6 or 7 of them"),
        ("motion: {means: displacement, columns: [0, 1, 2, 3, 4, 9]}", "action has no number 9"),
        ("motions: {}", "unknown section 'motions'"),
        ("motion: {mean: pose}", "unknown motion.mean"),
        ("motion: action", "motion is 'action', expected"),
        ("- 1", "a source file has sections"),
        ("cameras: {static: {}}", "cameras.static is {}"),
        ("cameras: {static: {topic: a, order: bgr8}}", "unknown cameras.static.order; known are topic, encoding, crop"),
        ("cameras: {static: {topic: a, encoding: nv12}}", "a data set's pictures are rgb8 or bgr8"),
        ("cameras: {static: {topic: a, crop: [0, 0, 9]}}", "expected left, top, width and height in pixels"),
        (":\n  - {", "the source file cannot be read"),
    ],
)
def test_a_source_that_does_not_fit_is_refused_in_a_sentence(made, tmp_path, text, said):
    with pytest.raises(DataError, match=said.replace("{", r"\{")):
        read(made, source=written(tmp_path / "source.yaml", text))


def info(root, **changes):
    path = root / "meta/info.json"
    found = json.loads(path.read_text()) | changes
    path.write_text(json.dumps({name: value for name, value in found.items() if value is not None}))


def rewritten(root, change):
    path = next((root / "data").rglob("*.parquet"))
    pq.write_table(change(pq.read_table(path)), path)


def not_a_number(table):
    rows = table["action"].to_pylist()
    rows[3][2] = float("nan")
    return table.set_column(0, "action", pa.array(rows, pa.list_(pa.float32(), 7)))


def cut(path, share=0.5):
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])


VIDEO = "videos/observation.images.static/chunk-000/file-000.mp4"
DAMAGE = {
    "v2.1": (
        lambda root: info(root, codebase_version="v2.1"),
        "convert it by python -m lerobot.scripts.convert_dataset",
    ),
    "a version to come": (lambda root: info(root, codebase_version="v4.0"), "format v4.0, v3.0 is read"),
    "no fps": (lambda root: info(root, fps=None), "info.json has no fps"),
    "no features": (lambda root: info(root, features=None), "info.json has no features"),
    "no JSON": (lambda root: (root / "meta/info.json").write_text("{"), "describes no LeRobot data set"),
    "no tasks": (lambda root: (root / "meta/tasks.parquet").unlink(), "tasks.parquet is not there"),
    "no episodes": (lambda root: (root / "meta/episodes/chunk-000/file-000.parquet").unlink(), "has no episode"),
    "a cut table": (lambda root: cut(root / "data/chunk-000/file-000.parquet"), "file-000.parquet cannot be read"),
    "no table": (lambda root: (root / "data/chunk-000/file-000.parquet").unlink(), "file-000.parquet is not there"),
    "no video": (lambda root: (root / VIDEO).unlink(), "file-000.mp4 is not there; download"),
    "an empty video": (lambda root: (root / VIDEO).write_bytes(b""), "file-000.mp4: the video cannot be decoded"),
    "a cut video": (lambda root: cut(root / VIDEO), "file-000.mp4"),
    "an episode that is missing": (lambda root: rewritten(root, lambda table: table[:12]), "no frame of episode 1"),
    "frames that the video has not": (lambda root: info(root, fps=10) or late(root), "has no picture at"),
    "not a number": (lambda root: rewritten(root, not_a_number), "has a value that is no number"),
}


def late(root):
    rewritten(root, lambda t: t.set_column(1, "timestamp", pa.array(t["timestamp"].to_numpy() + 0.03, pa.float32())))


@pytest.mark.parametrize("name", DAMAGE)
def test_a_damaged_data_set_is_refused_in_a_sentence_that_names_the_file(made, name):
    damage, said = DAMAGE[name]
    damage(made)
    with pytest.raises(DataError, match=said):
        read(made)


def test_what_is_half_written_is_no_data_set(tmp_path):
    def stops():
        yield SEGMENTS[0]
        raise DataError("a bag is damaged")

    with pytest.raises(DataError, match="a bag is damaged"):
        write_dataset(stops(), ARM, ROLES, tmp_path / "set")
    assert not list(tmp_path.iterdir())


def test_pictures_of_two_sizes_are_refused(tmp_path):
    smaller = segment("go", 3)
    smaller = Segment(
        "go", {r: [p[:32] for p in shots] for r, shots in smaller.pictures.items()}, smaller.motion, smaller.gripper
    )
    with pytest.raises(DataError, match="pictures of 96x32 after some of 96x64"):
        write_dataset(iter([SEGMENTS[0], smaller]), ARM, ROLES, tmp_path / "set")


def test_the_description_names_every_episode_once(made):
    dataset = open_dataset(made)
    assert (dataset.fps, dataset.tasks) == (10, dict(enumerate(LENGTHS)))
    assert [episode.number for episode in dataset.episodes] == [0, 1]
