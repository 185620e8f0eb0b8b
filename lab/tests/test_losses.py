"""The loss against numbers worked out by hand, the sampling against its distribution, the stages against who learns."""

import copy
import math

import pytest

torch = pytest.importorskip("torch")

from deer_lab.config import CONFIGS
from deer_lab.losses import Objective, Trainee, action_loss, each_step, one_exit, pick, point_loss, two_segments
from deer_lab.model import Policy

CPU = torch.device("cpu")


def batch_of(windows: int = 2, steps: int = 4, tokens: int = 3) -> tuple[dict, list]:
    torch.manual_seed(0)
    config = CONFIGS["toy"]
    batch = {
        "ids": torch.randint(config.vocabulary, (windows, tokens)),
        "mask": torch.ones(windows, tokens, dtype=torch.bool),
        "actions": torch.rand(windows, steps, 7),
        "weight": torch.ones(windows, steps),
        "state": torch.rand(windows, steps, 5),
    }
    return batch, [torch.randn(windows * steps, 3, camera.size, camera.size) for camera in config.cameras]


def trainee(**objective) -> Trainee:
    torch.manual_seed(0)
    return Trainee(Policy(CONFIGS["toy"]), Objective(**objective), state_width=5).eval()


def test_the_loss_is_huber_plus_a_hundredth_of_the_cross_entropy():
    arm = torch.tensor([[[0.5, 0, 0, 0, 0, 0], [0, 0, 0, 0, 0, -1.0]]])
    actions = torch.tensor([[[0, 0, 0, 0, 0, 0, 1.0], [0, 0, 0, 0, 0, 1.0, 0.0]]])
    logits = torch.tensor([[[0.0], [2.0]]])
    huber = (0.5 * 0.5**2 / 6 + (2 - 0.5) / 6) / 2  # quadratic below 1, |x| - 1/2 above; mean of six, then of steps
    entropy = (math.log(2) + math.log(1 + math.exp(2.0))) / 2  # -log(1/2), -log(1 - sigmoid(2))
    found = action_loss(arm, logits, actions, torch.ones(1, 2), Objective())
    assert float(found) == pytest.approx(huber + 0.01 * entropy, rel=1e-6)


def test_steps_of_weight_zero_do_not_count():
    arm, logits, actions = torch.zeros(1, 2, 6), torch.zeros(1, 2, 1), torch.zeros(1, 2, 7)
    arm[0, 1] = 1.0
    found = action_loss(arm, logits, actions, torch.tensor([[1.0, 0.0]]), Objective(gripper_weight=0.0))
    assert float(found) == 0.0


def test_s1_draws_every_step_on_its_own_and_all_exits_alike():
    torch.manual_seed(0)
    drawn = each_step(3, 5000, 4, CPU)
    assert drawn.shape == (5000, 4)
    shares = torch.bincount(drawn.flatten(), minlength=3) / drawn.numel()
    assert torch.allclose(shares, torch.full((3,), 1 / 3), atol=0.01)
    same = (drawn[:, 0] == drawn[:, 1]).float().mean()  # independent: equal once in three
    assert float(same) == pytest.approx(1 / 3, abs=0.03)


def test_s2_cuts_all_windows_of_a_batch_at_one_place_that_lies_anywhere():
    torch.manual_seed(0)
    cuts = []
    for _ in range(400):
        drawn = two_segments(50, 8, 6, CPU)
        changes = (drawn[:, 1:] != drawn[:, :-1]).sum(1)
        assert changes.max() <= 1
        places = {int(row.argmax()) + 1 for row in (drawn[:, 1:] != drawn[:, :-1]).int() if row.any()}
        assert len(places) <= 1
        cuts += places or {6}  # no change: the second side is empty
    shares = torch.bincount(torch.tensor(cuts), minlength=7)[1:] / len(cuts)
    assert torch.allclose(shares, torch.full((6,), 1 / 6), atol=0.06)


def test_the_window_sampling_keeps_one_exit():
    assert (one_exit(9, 100, 5, CPU).diff(dim=1) == 0).all()


def test_the_features_of_the_drawn_exits_are_taken():
    features = torch.arange(3)[:, None, None, None].expand(3, 2, 4, 5).float()
    exits = torch.tensor([[0, 1, 2, 1], [2, 2, 0, 0]])
    assert torch.equal(pick(features, exits), exits[:, :, None].expand(2, 4, 5).float())


def test_there_is_a_term_for_each_auxiliary_head_and_for_both_samplings():
    found = trainee()
    found.enter("joint")
    terms = found(*batch_of())
    assert list(terms) == ["s1", "s2", *(f"auxiliary_{k}" for k in range(6))]
    alone = trainee(auxiliary=False, sampling="window", state_weight=0.5)
    alone.enter("joint")
    assert list(alone(*batch_of())) == ["window", "state"]


def test_each_auxiliary_head_sees_its_own_exit():
    found = trainee()
    features = torch.randn(6, 2, 4, CONFIGS["toy"].decoder.width)
    batch, _ = batch_of()
    terms = found.action_terms(features, batch)
    arm, logits = found.auxiliary[3].window(features[3])
    by_hand = action_loss(arm, logits, batch["actions"], batch["weight"], Objective())
    assert float(terms["auxiliary_3"]) == float(by_hand)


def test_a_keypoint_is_taught_the_cells_around_its_thing_in_the_shares_that_make_it_their_mean():
    heat = torch.zeros(1, 2, 9)
    heat[0, 0, 5], heat[0, 0, 8] = math.log(3), math.log(3)  # of seven ones and two threes
    cell = torch.tensor([[[2.0, 1.5]]])  # in the last column, between the middle and the last row
    assert point_loss(heat, cell, torch.ones(1, 1)).item() == pytest.approx(math.log(13 / 3))
    assert point_loss(heat, torch.tensor([[[-5.0, 0.0]]]), torch.ones(1, 1)).item() == pytest.approx(math.log(13))
    assert point_loss(heat, cell, torch.zeros(1, 1)).item() == 0  # it does not show


def test_latents_that_a_batch_brings_take_the_place_of_its_pictures():
    found = trainee()
    found.enter("language")
    batch, images = batch_of()
    media = found.policy.vision(*images).detach()
    torch.manual_seed(1)
    seen = found(batch, images)
    torch.manual_seed(1)
    brought = found(batch | {"media": media.unflatten(0, (2, 4))}, [])
    assert {name: loss.item() for name, loss in seen.items()} == {name: loss.item() for name, loss in brought.items()}


def learning(found: Trainee) -> set[str]:
    """Which top parts got a gradient."""
    sum(found(*batch_of()).values()).backward()
    with_gradient = {
        name for name, parameter in found.named_parameters() if parameter.grad is not None and parameter.grad.any()
    }
    return {".".join(name.split(".")[: 2 if name.startswith("policy") else 1]) for name in with_gradient}


@pytest.mark.parametrize(
    ("stage", "objective", "who"),
    [
        ("vision", {}, {"policy.vision", "readout"}),
        ("joint", {}, {"policy.vision", "policy.embed", "policy.stages", "policy.head", "auxiliary"}),
        (
            "joint",
            {"state_weight": 0.1},
            {"policy.vision", "policy.embed", "policy.stages", "policy.head", "auxiliary", "readout"},
        ),
        ("language", {"state_weight": 0.1}, {"policy.embed", "policy.stages", "policy.head", "auxiliary"}),
        ("head", {"state_weight": 0.1}, {"policy.head", "auxiliary"}),
        ("head", {"auxiliary": False}, {"policy.head"}),
    ],
)
def test_only_what_a_stage_trains_gets_a_gradient(stage, objective, who):
    found = trainee(**objective)
    found.enter(stage)
    assert learning(found) == who


def test_the_shared_head_trains_the_backbone_too():
    found = trainee(auxiliary=False)
    found.enter("joint")
    assert "policy.stages" in learning(found)


def test_tokens_that_fill_up_a_batch_change_nothing():
    found = trainee()
    batch, images = batch_of()
    media = found.policy.vision(*images)
    bare = found.features(media, batch["ids"], batch["mask"], 4)
    filled = torch.cat([batch["ids"], torch.zeros(2, 5, dtype=torch.long)], 1)
    mask = torch.cat([batch["mask"], torch.zeros(2, 5, dtype=torch.bool)], 1)
    assert torch.allclose(found.features(media, filled, mask, 4), bare, atol=1e-5)


def test_the_goal_is_read_from_every_exit_where_it_is_known():
    found, (batch, _) = Trainee(Policy(CONFIGS["toy"]), Objective(goal_weight=1.0), goal_width=4), batch_of()
    features = torch.randn(6, 2, 4, CONFIGS["toy"].decoder.width)
    batch["goals"] = torch.stack([found.goals[2](features[2, 0]).detach(), torch.full((4, 4), torch.nan)])
    for goal in found.goals:
        goal.load_state_dict(found.goals[2].state_dict())
    features = features[2].expand(6, -1, -1, -1)
    assert float(found.goal_loss(features, batch)) == pytest.approx(0, abs=1e-7), "the second window knows no goal"
    batch["goals"][0] += 1  # Huber with 0.1: 0.1 * (1 - 0.05)
    assert float(found.goal_loss(features, batch)) == pytest.approx(0.095, rel=1e-4)
    found.enter("language")
    assert any(parameter.requires_grad for parameter in found.goals.parameters())


def test_prompts_of_any_length_have_the_features_they_have_alone():
    found, (batch, images) = trainee(), batch_of(windows=5, tokens=9)
    with torch.no_grad():
        media, _ = found.see(batch, images)
        mask = torch.arange(9) < torch.tensor([3, 9, 5, 1, 8])[:, None]
        together = found.features(media, batch["ids"], mask, 4)
        for window, real in enumerate(mask.sum(1)):
            alone = media[4 * window : 4 * window + 4], batch["ids"][window, None, :real], mask[window, None, :real]
            assert torch.allclose(together[:, window], found.features(*alone, 4)[:, 0], atol=1e-5)


def test_a_window_in_training_acts_as_the_gated_step_does():
    policy = Policy(CONFIGS["toy"]).eval()
    features = torch.randn(1, 5, CONFIGS["toy"].decoder.width)
    arm, logits = policy.head.window(features)
    h, c = policy.initial_state()
    for step in range(5):
        alone, grip, h, c = policy.head(features[:, step], h, c)
        assert torch.allclose(alone, arm[:, step], atol=1e-6)
        assert torch.allclose(grip, logits[:, step].sigmoid(), atol=1e-6)


def test_errors_are_told_per_exit():
    found = trainee()
    errors = found.errors(*batch_of())
    assert errors["arm"].shape == errors["gripper"].shape == (6,)


def test_what_a_teacher_does_with_every_picture_is_learned_not_what_was_demonstrated():
    torch.manual_seed(0)
    teacher = Policy(CONFIGS["toy"])
    learner = Trainee(copy.deepcopy(teacher), Objective(auxiliary=False), teacher=teacher).eval()
    learner.enter("head")
    batch, images = batch_of()
    with torch.no_grad():
        media = learner.policy.vision(*images)
        features = learner.features(media, batch["ids"], batch["mask"], 4)
        arm, gripper = teacher.head.window(features[-1])
    taught = learner.taught(media, batch)
    assert torch.equal(taught, torch.cat((arm, gripper.sigmoid()), dim=-1))
    losses = []
    for actions in (batch["actions"], torch.rand(2, 4, 7)):
        torch.manual_seed(1)  # the same exits are drawn
        losses.append(float(learner(batch | {"actions": actions}, images)["s1"]))
    assert losses[0] == losses[1]
    assert len(learner.state_dict()) == len(teacher.state_dict())  # the teacher is no part of what is saved
