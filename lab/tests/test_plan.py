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
SIZES = ((96, 128), (80, 80))  # height, width


def picture(index: int, shade: int, patch: list[int]) -> np.ndarray:
    """As the contract describes one: stripes, and a patch [x, y, side, more] that is brighter."""
    height, width = SIZES[index]
    y, x, channel = np.meshgrid(*(np.arange(n) for n in (height, width, 3)), indexing="ij")
    rgb = (7 * x + 13 * y + 29 * channel + shade) % 150
    left, top, side, more = patch
    rgb[top : top + side, left : left + side] += more
    return rgb.astype(np.uint8)


def scenes() -> list[dict]:
    """Limits, and what happens step by step: pictures, situation, and what the network would answer."""
    random = np.random.default_rng(20)
    limits = [
        {},
        {"keep_change": 0.05},
        {"skip_delta": 0.1, "skip_change": 0.2},
        {"keep_change": 0.03, "skip_delta": 0.05, "skip_change": 0.06, "max_age": 3, "max_skips": 1, "first_steps": 2},
    ]
    found = []
    for given in limits:
        arm, steps = random.uniform(-0.3, 0.3, 6), []
        for number in range(30):
            arm = -arm if number == 20 else arm + random.normal(0, random.choice([0.01, 0.2]), 6)
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
                    "gripper_rests": not 13 <= number < 16,
                    "arm": [round(float(value), 4) for value in arm],
                }
            )
        found.append({"limits": asdict(PlanLimits(**given)), "steps": steps})
    return found


def decisions(scene: dict) -> list[dict]:
    planner, found = Planner(len(SIZES), PlanLimits(**scene["limits"])), []
    for step in scene["steps"]:
        pictures = [
            (stamp, picture(index, step["shade"], patch))
            for index, (stamp, patch) in enumerate(zip(step["stamps"], step["patches"]))
        ]
        oldest = step["stamps"][0] - int(2e8)
        plan = planner.plan(pictures, Situation(PERIOD, oldest, step["steady"], step["gripper_rests"]))
        planner.done(plan, np.array(step["arm"]))
        found.append(told(plan))
    return found


def told(plan: Plan) -> dict:
    cameras = [asdict(camera) for camera in plan.cameras]
    return {"skip": plan.skip, "skips": plan.skips, "because": plan.because, "delta": plan.delta, "cameras": cameras}


def test_the_contract_is_kept():
    for scene in json.loads(CONTRACT.read_text())["scenes"]:
        for number, (found, step) in enumerate(zip(decisions(scene), scene["steps"], strict=True)):
            wanted = step["plan"]
            assert {key: found[key] for key in ("skip", "skips", "because")} == {
                key: wanted[key] for key in ("skip", "skips", "because")
            }, number
            for ours, theirs in zip(found["cameras"], wanted["cameras"], strict=True):
                assert {**ours, "change": None} == {**theirs, "change": None}, number
                assert ours["change"] == pytest.approx(theirs["change"], abs=1e-6)


def test_the_contract_sees_every_decision():
    steps = [step["plan"] for scene in json.loads(CONTRACT.read_text())["scenes"] for step in scene["steps"]]
    assert {step["because"] for step in steps} == {None, "first steps", "after a hold", "gripper", "turned"}
    assert any(step["skip"] for step in steps)
    assert any(step["cameras"][0]["look"] != step["cameras"][1]["look"] for step in steps)


def test_a_change_in_a_corner_is_not_averaged_away():
    before, after = (picture(0, 0, [0, 0, 16, more]) for more in (0, 100))
    assert change(glance(after), glance(before)) > 0.3
    assert np.abs(after.astype(int) - before).mean() / 255 < 0.02


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
    body = {"pictures": text, "period_secs": PERIOD, "max_frame_age": 0.2, "scenes": made}
    CONTRACT.write_text(json.dumps(body, indent=1) + "\n")
