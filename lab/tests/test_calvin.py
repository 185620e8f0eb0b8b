"""CALVIN's own format, on a miniature that the test writes."""

import os

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from deer_lab.config import CONFIGS
from deer_lab.data.calvin import parts, read_annotations, segments
from deer_lab.data.segment import DataError
from deer_lab.data.shards import make_shards
from deer_lab.data.windows import Windows
from deer_lab.embodiment import CALVIN

ROLES = ["static", "gripper"]
SPANS = {"open the drawer": (10, 22), "lift the red block": (18, 24)}  # both ends included; they may overlap


@pytest.fixture
def split(tmp_path):
    folder = tmp_path / "training"
    (folder / "lang_annotations").mkdir(parents=True)
    for number in range(8, 26):
        action = np.full(7, number / 100)
        action[6] = 1.0 if number % 2 else -1.0
        np.savez(
            folder / f"episode_{number:07d}.npz",
            rgb_static=np.full((200, 200, 3), number, np.uint8),
            rgb_gripper=np.full((84, 84, 3), number + 100, np.uint8),
            rel_actions=action,
            robot_obs=np.zeros(15),
        )
    content = {"language": {"ann": list(SPANS), "task": ["a", "b"]}, "info": {"indx": list(SPANS.values())}}
    np.save(folder / "lang_annotations" / "auto_lang_ann.npy", content)
    return folder


def test_each_sentence_has_its_frames_the_last_one_included(split):
    found = {segment.instruction: segment for segment in segments(split, CALVIN)}
    assert list(found) == list(SPANS)
    drawer = found["open the drawer"]
    assert [picture[0, 0, 0] for picture in drawer.pictures["static"]] == list(range(10, 23))
    assert drawer.pictures["gripper"][0].shape == (84, 84, 3)
    assert drawer.actions(CALVIN)[:, 0] == pytest.approx(np.arange(10, 23) / 100)


def test_the_gripper_is_one_where_it_is_open_and_zero_where_it_is_closed(split):
    (first, _) = segments(split, CALVIN)
    assert first.actions(CALVIN)[:, 6].tolist() == [number % 2 for number in range(10, 23)]


def test_it_is_trained_on_like_a_rosbag(split, tmp_path):
    (shard,) = make_shards(parts(split, ROLES, CALVIN), CONFIGS["toy"].cameras, CALVIN, tmp_path / "cache")
    windows = Windows([shard], ["static", "gripper"], 12)
    assert len(windows) == (13 - 12 + 1) + 1
    assert windows[0]["static"].shape == (12, 64, 64, 3)
    assert make_shards(parts(split, ROLES, CALVIN), CONFIGS["toy"].cameras, CALVIN, tmp_path / "cache") == [shard]


def test_a_missing_frame_is_named(split):
    (split / "episode_0000013.npz").unlink()
    with pytest.raises(DataError, match=r"episode_0000013.npz, which the annotations name"):
        list(segments(split, CALVIN))


def test_a_frame_of_another_shape_is_named(split):
    path = split / "episode_0000011.npz"
    content = dict(np.load(path)) | {"rgb_gripper": np.zeros((64, 64, 3), np.uint8)}
    np.savez(path, **content)
    with pytest.raises(DataError, match=r"episode_0000011.npz: rgb_gripper is \(64, 64, 3\), CALVIN's is"):
        list(segments(split, CALVIN))


def test_a_folder_without_annotations_is_refused(tmp_path):
    with pytest.raises(DataError, match="give the folder of a CALVIN split"):
        read_annotations(tmp_path)


class Evil:
    def __reduce__(self):
        return os.system, ("true",)


def test_annotations_that_would_run_a_program_are_refused(split):
    np.save(split / "lang_annotations" / "auto_lang_ann.npy", np.array({"language": Evil()}), allow_pickle=True)
    with pytest.raises(DataError, match=r"it wants to use (posix|os)\.system"):
        read_annotations(split)
