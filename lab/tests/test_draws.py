"""Drawn plans: what runs, how old media become, and which demonstrated action a step is taught."""

import pytest

torch = pytest.importorskip("torch")

from deer_lab.config import CONFIGS, find_config
from deer_lab.draws import Draws, Plans, aged, ahead, draw_plans, planned
from deer_lab.losses import Objective, Trainee
from deer_lab.model import Policy

CPU = torch.device("cpu")


def test_without_chances_every_step_runs_and_looks():
    plans = draw_plans(Draws(), 3, 5, 2, CPU)
    assert (plans.steps == torch.arange(5)).all() and (plans.runs == 1).all()
    assert (plans.seen == torch.arange(5)[:, None]).all()


def test_the_first_step_runs_and_looks_and_no_bound_is_passed():
    torch.manual_seed(0)
    plans = draw_plans(Draws(keep=1.0, oldest=4, skip=1.0, longest=2), 500, 20, 2, CPU)
    assert (plans.steps[:, 0] == 0).all() and (plans.seen[:, 0] == 0).all() and (plans.runs[:, 0] == 1).all()
    gaps = plans.steps.diff(dim=1)[plans.runs[:, 1:] == 1]
    assert gaps.min() == 1 and gaps.max() == 3  # two skipped in a row, at most
    age = (plans.steps[..., None] - plans.seen)[plans.runs == 1]
    assert age.min() == 0 and age.max() == 3  # looked at anew in the first step that runs once they are 4 old
    assert (age[:, 0] != age[:, 1]).any()  # each camera by itself


def test_steps_that_fill_up_have_no_weight_and_repeat_the_last():
    torch.manual_seed(0)
    plans = draw_plans(Draws(skip=1.0), 200, 12, 1, CPU)
    short = plans.runs.sum(1) < 12
    assert short.any()
    last = plans.steps.max(1, keepdim=True).values.expand_as(plans.steps)
    assert (plans.steps[plans.runs == 0] == last[plans.runs == 0]).all()


def test_each_camera_gets_its_share_of_the_media_of_the_step_that_was_seen():
    media = torch.arange(4.0)[None, :, None, None].expand(1, 4, 2, 3)  # one row a camera, the step as its value
    plans = Plans(torch.tensor([[0, 2, 3, 3]]), torch.ones(1, 4), torch.tensor([[[0, 0], [0, 2], [3, 2], [3, 2]]]))
    found = aged(media, plans)
    assert found[0, :, :, 0].tolist() == [[0, 0], [0, 2], [3, 2], [3, 2]]


def test_what_is_ahead_is_what_was_demonstrated_next_also_where_the_next_step_is_skipped():
    values = torch.tensor([[1.0, 2.0, 3.0, 4.0]])
    assert ahead(values, 2)[0].tolist() == [[2, 3], [3, 4], [4, 0], [0, 0]]
    batch = {"actions": values[..., None].expand(1, 4, 7), "weight": torch.ones(1, 4)}
    plans = Plans(torch.tensor([[0, 2, 2, 2]]), torch.tensor([[1.0, 1, 0, 0]]), torch.zeros(1, 4, 2, dtype=torch.long))
    run = planned(batch, plans, 2)
    assert run["actions"][0, :, 0].tolist() == [1, 3, 3, 3] and run["weight"].tolist() == [[1, 1, 0, 0]]
    assert run["ahead"][0, :2, :, 0].tolist() == [[2, 3], [4, 0]]
    assert run["ahead_weight"][0].tolist() == [[1, 1], [1, 0], [0, 0], [0, 0]]


def test_a_head_that_looks_ahead_learns_what_comes_next():
    torch.manual_seed(0)
    config = find_config("tabletop_ahead")
    trainee = Trainee(Policy(config), Objective(auxiliary=False), draws=Draws(keep=0.5, skip=0.5))
    trainee.enter("head")
    batch = {
        "ids": torch.randint(config.vocabulary, (2, 3)),
        "mask": torch.ones(2, 3, dtype=torch.bool),
        "actions": torch.rand(2, 6, 7),
        "weight": torch.ones(2, 6),
        "media": torch.randn(2, 6, config.media_tokens, config.encoder.width),
    }
    sum(trainee(batch, []).values()).backward()
    assert trainee.policy.head.foreseen.weight.grad.abs().sum() > 0
    assert CONFIGS["tabletop"].head.ahead == 1 and Policy(CONFIGS["tabletop"]).head.foreseen is None


def test_a_window_that_is_taught_another_task_than_it_shows_has_nothing_ahead():
    batch = {
        "actions": torch.rand(2, 3, 7),
        "weight": torch.ones(2, 3),
        "goals": torch.stack((torch.full((3, 4), torch.nan), torch.zeros(3, 4))),
    }
    every = draw_plans(Draws(), 2, 3, 1, CPU)
    assert planned(batch, every, 2)["ahead_weight"].sum((1, 2)).tolist() == [3, 0]
