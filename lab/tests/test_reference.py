"""The gated step, the pictures and the prompt, against what can be worked out by hand."""

import math
from itertools import pairwise

import numpy as np
import pytest
import torch

from deer_lab.config import CONFIGS, Camera
from deer_lab.model import Policy
from deer_lab.reference import GatedPolicy, delta, preprocess

torch.set_num_threads(1)
CONFIG = CONFIGS["toy"]
NEVER = -1.0


@pytest.fixture(scope="module")
def policy():
    torch.manual_seed(0)
    return Policy(CONFIG).eval().requires_grad_(False)


@pytest.fixture
def images():
    return tuple(torch.randn(1, 3, camera.size, camera.size) for camera in CONFIG.cameras)


def step_at(policy, exit, images, ids=None):
    """A step made to stop at `exit`: earlier exits are never taken, this one always."""
    gated = GatedPolicy(policy, [NEVER] * exit + [math.inf] * (5 - exit))
    gated.begin(torch.arange(7)[None] if ids is None else ids)
    return gated, gated.step(*images)


def actions(policy, images):
    """The arm and the LSTM state of the probe and of every exit, from a cleared state."""
    hidden, media = policy.embed(torch.arange(7)[None]), policy.vision(*images)
    features = []
    for stage in policy.stages:
        hidden, feature, *probe = stage(hidden, media)
        features += [*probe, feature]
    return policy.head(torch.cat(features), *policy.initial_state())


def test_delta_is_the_root_mean_square_over_the_arm():
    assert delta(torch.tensor([0.3, 0, 0, 0, 0, 0.4]), torch.zeros(6)) == pytest.approx(0.5 / math.sqrt(6))


@pytest.mark.parametrize("exit", range(6))
def test_a_step_is_the_exit_it_stopped_at(policy, images, exit):
    arm, gripper, h, c = actions(policy, images)
    gated, step = step_at(policy, exit, images)
    assert step.exit == exit
    torch.testing.assert_close(step.arm, arm[exit + 1])
    torch.testing.assert_close(step.gripper, gripper[exit + 1])
    torch.testing.assert_close(gated.h, h[:, exit + 1 : exit + 2])
    torch.testing.assert_close(gated.c, c[:, exit + 1 : exit + 2])


def test_the_first_exit_is_held_against_the_probe_and_each_other_against_the_one_before(policy, images):
    arm, *_ = actions(policy, images)
    _, step = step_at(policy, 5, images)
    expected = [delta(after, before) for before, after in pairwise(arm)]
    assert step.deltas == pytest.approx(expected, abs=1e-6)


def test_the_first_exit_within_its_threshold_is_taken(policy, images):
    _, deepest = step_at(policy, 5, images)
    thresholds = [NEVER, NEVER, deepest.deltas[2] * 1.001, math.inf, math.inf]
    gated = GatedPolicy(policy, thresholds)
    gated.begin(torch.arange(7)[None])
    assert gated.step(*images).exit == 2
    thresholds[2] = deepest.deltas[2] * 0.999
    gated = GatedPolicy(policy, thresholds)
    gated.begin(torch.arange(7)[None])
    assert gated.step(*images).exit == 3


def test_the_last_exit_stops_whatever_its_delta(policy, images):
    gated = GatedPolicy(policy, [NEVER] * 5)
    gated.begin(torch.arange(7)[None])
    assert [gated.step(*images).exit for _ in range(3)] == [5, 5, 5]


def test_the_state_goes_on_from_step_to_step_and_a_new_instruction_clears_it(policy, images):
    gated, first = step_at(policy, 2, images)
    second = gated.step(*images)
    assert not torch.allclose(first.arm, second.arm)
    gated.begin(torch.arange(7)[None])
    assert torch.equal(gated.step(*images).arm, first.arm)


def test_a_threshold_too_many_is_refused(policy):
    with pytest.raises(ValueError, match="6 thresholds for 6 exits: give one per exit but the last"):
        GatedPolicy(policy, [0.1] * 6)


def test_a_plain_picture_becomes_its_colour_less_the_mean_over_the_deviation():
    camera = Camera("static", 64)
    picture = np.full((200, 150, 3), (255, 51, 0), dtype=np.uint8)
    expected = [(value - mean) / std for value, mean, std in zip((1.0, 0.2, 0.0), camera.mean, camera.std)]
    tensor = preprocess(picture, camera)
    assert tensor.shape == (1, 3, 64, 64)
    torch.testing.assert_close(tensor, torch.tensor(expected)[None, :, None, None].expand(1, 3, 64, 64))


@pytest.mark.parametrize(("width", "left"), [(64, 0), (67, 2), (69, 2), (75, 6), (90, 13)])
def test_the_middle_is_cut_out_and_half_a_pixel_goes_to_the_even_side(width, left):
    camera = Camera("static", 64, mean=(0, 0, 0), std=(1, 1, 1))
    picture = np.zeros((64, width, 3), dtype=np.uint8)
    picture[:, :, 0] = np.arange(width)
    columns = preprocess(picture, camera)[0, 0, 0] * 255
    assert columns.round().int().tolist() == list(range(left, left + 64))


def test_a_camera_that_is_not_looked_at_keeps_its_media(policy):
    static, gripper = (torch.randn(1, 3, camera.size, camera.size) for camera in policy.config.cameras)
    one, other = GatedPolicy(policy, [-1.0] * 5), GatedPolicy(policy, [-1.0] * 5)
    for gated in (one, other):
        gated.begin(torch.tensor([[1, 2, 3]]))
        gated.step(static, gripper)
    one.look(1, 2 * gripper)
    assert torch.equal(one.decide().arm, other.step(static, 2 * gripper).arm)
