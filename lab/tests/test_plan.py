"""The plan of a step: what both sides must decide alike (tests/contracts/plan.json), and what it is for.

python lab/tests/test_plan.py      # writes the contract anew
"""

import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest

from deer_lab.plan import Plan, PlanLimits, Planner, Situation, change, glance

CONTRACT = Path(__file__).parents[2] / "tests" / "contracts" / "plan.json"
PERIOD = 1 / 30
KEYS = ("skip", "skips", "because", "foreseen")
SIZES = ((96, 128), (80, 80))  # height, width
AHEAD = 3  # actions foreseen in the scenes whose network foresees


def picture(index: int, shade: int, patch: list[int]) -> np.ndarray:
    """As the contract describes one: stripes, and a patch [x, y, side, more] that is brighter."""
    height, width = SIZES[index]
    y, x, channel = np.meshgrid(*(np.arange(n) for n in (height, width, 3)), indexing="ij")
    rgb = (7 * x + 13 * y + 29 * channel + shade) % 150
    left, top, side, more = patch
    rgb[top : top + side, left : left + side] += more
    return rgb.astype(np.uint8)


def scenes() -> list[dict]:
    """Limits, and what happens step by step: pictures, situation, and what the network would answer and foresee."""
    random = np.random.default_rng(20)
    wide = {"keep_change": 0.2, "skip_delta": 0.1, "skip_change": 0.5, "max_age": 9, "max_skips": 9}
    limits = [
        ({}, 0),
        ({"keep_change": 0.05}, 0),
        ({"skip_delta": 0.1, "skip_change": 0.2}, 0),
        (
            {
                "keep_change": 0.03,
                "skip_delta": 0.05,
                "skip_change": 0.06,
                "max_age": 3,
                "max_skips": 1,
                "first_steps": 2,
            },
            0,
        ),
        (wide, AHEAD),
        ({**wide, "max_skips": 2}, AHEAD),
        ({"keep_change": 0.2}, AHEAD),
    ]
    found = []
    for given, ahead in limits:
        arms, steps = walk(random, 30 + ahead, tremble=ahead > 0), []
        for number in range(30):
            stamp = round(1e9 * (5 + number * PERIOD)) + (int(2e8) if number >= 25 else 0)
            patches = [[int(random.integers(0, 60)), int(random.integers(0, 60)), 12, more] for more in (0, 0)]
            for patch in patches:
                patch[3] = int(random.choice([0, 5, 20, 100]))
            steps.append(
                {
                    "stamps": [stamp, stamp - int(4e6)],
                    "shade": number // 7,
                    "patches": patches,
                    "steady": number != 10,
                    "gripper_rests": None if 13 <= number < 16 else [0.6, 1.0],
                    "arm": rounded(arms[number]),
                    "ahead": [
                        [*rounded(arms[later] + random.normal(0, 0.02, 6)), 0.2 if later == 24 else 0.9]
                        for later in range(number + 1, number + 1 + ahead)
                    ],
                }
            )
        found.append({"limits": asdict(PlanLimits(**given)), "steps": steps})
    return found


def walk(random: np.random.Generator, steps: int, tremble: bool) -> list[np.ndarray]:
    """Arm outputs that mostly stay as they are, sometimes jump, and turn round at step 20; where they `tremble`, their
    rotations are too small to have a direction."""
    arms = [random.uniform(-0.3, 0.3, 6)]
    for number in range(1, steps):
        arms.append(-arms[-1] if number == 20 else arms[-1] + random.normal(0, random.choice([0.002, 0.002, 0.2]), 6))
    return [arm * [1, 1, 1, 0.2, 0.2, 0.2] if tremble else arm for arm in arms]


def rounded(arm: np.ndarray) -> list[float]:
    return [round(float(value), 4) for value in arm]


def decisions(scene: dict) -> list[dict]:
    planner, found = Planner(len(SIZES), PlanLimits(**scene["limits"])), []
    for step in scene["steps"]:
        pictures = [
            (stamp, picture(index, step["shade"], patch))
            for index, (stamp, patch) in enumerate(zip(step["stamps"], step["patches"]))
        ]
        oldest = step["stamps"][0] - int(2e8)
        plan = planner.plan(pictures, Situation(PERIOD, oldest, step["steady"], step["gripper_rests"]))
        arm = planner.instead() if plan.skip else np.array(step["arm"])
        planner.done(plan, arm, np.array(step["ahead"]).reshape(-1, 7))
        found.append({**told(plan), "carried_out": rounded(arm)})
    return found


def told(plan: Plan) -> dict:
    cameras = [asdict(camera) for camera in plan.cameras]
    return {**{key: getattr(plan, key) for key in KEYS}, "delta": plan.delta, "cameras": cameras}


def test_the_contract_is_kept():
    for scene in json.loads(CONTRACT.read_text())["scenes"]:
        for number, (found, step) in enumerate(zip(decisions(scene), scene["steps"], strict=True)):
            wanted = step["plan"]
            same = (*KEYS, "carried_out")
            assert {key: found[key] for key in same} == {key: wanted[key] for key in same}, number
            assert found["delta"] == pytest.approx(wanted["delta"], abs=1e-6), number
            for ours, theirs in zip(found["cameras"], wanted["cameras"], strict=True):
                assert {**ours, "change": None} == {**theirs, "change": None}, number
                assert ours["change"] == pytest.approx(theirs["change"], abs=1e-6)


def test_the_contract_sees_every_decision():
    steps = [step["plan"] for scene in json.loads(CONTRACT.read_text())["scenes"] for step in scene["steps"]]
    ahead = "gripper is about to change"
    assert {step["because"] for step in steps} == {None, "first steps", "after a hold", "gripper", ahead, "turned"}
    assert {step["skips"] for step in steps if step["foreseen"]} == {0, 1, 2, 3}
    assert any(step["skip"] for step in steps)
    assert any(step["cameras"][0]["look"] != step["cameras"][1]["look"] for step in steps)


def test_a_change_in_a_corner_is_not_averaged_away():
    before, after = (picture(0, 0, [0, 0, 16, more]) for more in (0, 100))
    assert change(glance(after), glance(before)) > 0.3
    assert np.abs(after.astype(int) - before).mean() / 255 < 0.02


def followed(arms: list[float], foreseen: list[list[float]], grips: float = 0.9, **limits) -> list[tuple[Plan, float]]:
    """Plans of steps whose pictures do not change, and the arm output that each carries out. The network gives one of
    `arms` whenever it runs, and foresees `foreseen` with it."""
    planner = Planner(1, PlanLimits(skip_delta=0.1, max_age=9, first_steps=0, **limits))
    still, found = picture(0, 0, [0, 0, 0, 0]), []
    for number, arm in enumerate(arms):
        plan = planner.plan([(number * 10**9, still)], Situation(1.0, 0, gripper_rests=(0.6, 1.0)))
        carried_out = planner.instead() if plan.skip else np.full(6, arm)
        planner.done(plan, carried_out, np.array([[value] * 6 + [grips] for value in foreseen]).reshape(-1, 7))
        found.append((plan, float(carried_out[0])))
    return found


def test_a_skipped_step_carries_out_what_was_foreseen_for_it_and_never_more_than_that():
    found = followed([0.5] * 9, [0.5, 0.4, 0.3], max_skips=8)
    assert [arm for _, arm in found] == pytest.approx([0.5, 0.5, 0.5, 0.4, 0.3, 0.5, 0.5, 0.5, 0.4])
    assert [plan.skips for plan, _ in found] == [0, 0, 1, 2, 3, 0, 0, 1, 2]


def test_an_action_is_compared_with_what_was_foreseen_for_its_own_step():
    plans = [plan for plan, _ in followed([0.5, 0.6, 9, 0.8, 0.0], [0.6, 0.7], max_skips=1)]
    assert [plan.skip for plan in plans] == [False, False, True, False, False]
    assert plans[2].delta == pytest.approx(0.0)  # 0.6 was foreseen at 0.5
    assert plans[4].delta == pytest.approx(0.1)  # of 0.8, for which 0.7 was foreseen two steps before


def test_what_is_foreseen_of_a_gripper_or_a_turn_forbids_the_skip():
    assert {plan.because for plan, _ in followed([0.5] * 6, [0.5, 0.5], grips=0.5)} >= {"gripper is about to change"}
    turning = [plan for plan, _ in followed([0.5] * 6, [0.5, -0.5])]
    assert [plan.skip for plan in turning] == [False, False, True, False, False, True]
    assert turning[3].because == "turned"


def test_a_plan_is_given_as_the_nodes_parameters_are():
    assert PlanLimits.of(["plan.keep_change:=0.05", "plan.max_age:=2"]) == PlanLimits(keep_change=0.05, max_age=2)
    with pytest.raises(ValueError, match=r"knows plan\.keep_change"):
        PlanLimits.of(["gate.deadline:=1"])


if __name__ == "__main__":
    made = scenes()
    for scene in made:
        for step, plan in zip(scene["steps"], decisions(scene), strict=True):
            step["plan"] = plan
    text = "stripes (7 x + 13 y + 29 channel + shade) % 150 of 128x96 and 80x80, a patch [x, y, side, more] brighter"
    CONTRACT.parent.mkdir(exist_ok=True)
    body = {"pictures": text, "period_secs": PERIOD, "max_frame_age": 0.2, "scenes": ["SCENES"]}
    lines = ",\n".join(json.dumps(scene).replace('{"stamps"', '\n{"stamps"') for scene in made)
    CONTRACT.write_text(json.dumps(body).replace('"SCENES"', lines) + "\n")
