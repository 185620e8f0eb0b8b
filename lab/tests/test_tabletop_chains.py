"""The chains, the counting, and the evaluator judged by policies whose score is known."""

import argparse
import dataclasses
import functools
import importlib.util
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

for module in ("mujoco", "tqdm"):
    if importlib.util.find_spec(module) is None:
        pytest.skip(f"evaluation needs the extra `sim`; {module} cannot be imported", allow_module_level=True)

from deer_lab.worlds.judge import evaluate, workers
from deer_lab.worlds.judge.policies import POLICIES
from deer_lab.worlds.tabletop import chains
from deer_lab.worlds.tabletop.tasks import TASKS


def words_of(chain):
    return {name: value for name, value in dataclasses.asdict(chain.initial).items() if name != "seed"}


def test_the_committed_chains_follow_from_their_seed():
    assert chains.load() == chains.draw_all()
    assert len(chains.load()) == 1000


def test_every_task_of_a_chain_is_possible_after_the_one_before():
    for chain in chains.load():
        words = words_of(chain)
        for task in chain.tasks:
            words = chains.after(task, words)
            assert words is not None, (chain, task)


def test_a_chain_takes_its_tasks_from_five_groups_and_all_tasks_occur():
    drawn = chains.load()
    assert all(len({chains.group_of(task) for task in chain.tasks}) == 5 for chain in drawn)
    assert {task for chain in drawn for task in chain.tasks} == set(TASKS)


@pytest.mark.parametrize(
    "task, words",
    [
        ("open_drawer", {"drawer": "open"}),
        ("turn_on_led", {"led": True}),
        ("move_slider_left", {"slider": "left"}),
        ("lift_red_block_drawer", {"red_block": "drawer", "drawer": "closed"}),
        ("lift_red_block_slider", {"red_block": "slider_left", "slider": "left"}),
        ("push_red_block_left", {"red_block": "slider_left"}),
        ("close_drawer", {"red_block": "hand", "drawer": "open"}),
        ("place_in_drawer", {"drawer": "open"}),
        ("place_in_slider", {"red_block": "hand", "slider": "left", "blue_block": "slider_right"}),
        ("unstack_block", {}),
        ("push_into_drawer", {"drawer": "open"}),
    ],
)
def test_what_cannot_begin_is_not_drawn(task, words):
    initial = words_of(chains.Chain(chains.InitialState(), ()))
    assert chains.after(task, initial | words) is None


def test_chains_of_unknown_tasks_are_refused(tmp_path):
    path = tmp_path / "chains.json"
    chains.save([chains.Chain(chains.InitialState(), ("open_drawer", "fly_to_the_moon"))], path, 0)
    with pytest.raises(ValueError, match=r"chain 0 asks for fly_to_the_moon"):
        chains.load(path)


def test_the_summary_counts_tasks_in_a_row():
    summary = chains.summary([5, 5, 3, 0])
    assert summary["average_length"] == 3.25
    assert [row["rate"] for row in summary["rates"]] == [0.75, 0.75, 0.75, 0.5, 0.5]
    assert all(row["interval"][0] <= row["rate"] <= row["interval"][1] for row in summary["rates"])
    assert chains.summary([5, 5, 3, 0]) == summary


def test_the_interval_covers_the_truth_as_often_as_it_says():
    rng = np.random.default_rng(0)
    covered = 0
    for _ in range(200):
        low, high = chains.interval((rng.random(200) < 0.7).astype(float), rng)
        covered += low <= 0.7 <= high
    assert 180 <= covered <= 199


def test_the_interval_narrows_with_more_chains():
    rng = np.random.default_rng(0)
    widths = [np.ptp(chains.interval(rng.integers(0, 2, n).astype(float), rng)) for n in (50, 800)]
    assert widths[1] < widths[0] / 3


@pytest.mark.parametrize(
    "policy, count, lowest, highest", [("expert", 12, 4.7, 5.0), ("nothing", 3, 0.0, 0.0), ("random", 5, 0.0, 0.2)]
)
def test_a_policy_gets_the_score_it_deserves(policy, count, lowest, highest, tmp_path):
    judged = evaluate.Judged(policy)
    results = evaluate.evaluate(judged=judged, mode="chains", count=count, seed=0, workers=1, out=tmp_path)
    assert lowest <= results["summary"]["average_length"] <= highest
    assert json.loads((tmp_path / "results.json").read_text())["chains"][0]["tasks"] == list(chains.load()[0].tasks)


def test_the_score_depends_neither_on_workers_nor_on_interruptions(tmp_path):
    options = {"judged": evaluate.Judged("random"), "mode": "single", "seed": 3}
    whole = evaluate.evaluate(**options, count=6, workers=1, out=tmp_path / "whole")
    evaluate.evaluate(**options, count=2, workers=1, out=tmp_path / "parts")
    parts = evaluate.evaluate(**options, count=6, workers=2, out=tmp_path / "parts")
    assert json.dumps(whole) == json.dumps(parts)


def test_progress_of_another_evaluation_is_not_mixed_in(tmp_path):
    evaluate.evaluate(judged=evaluate.Judged("nothing"), mode="single", count=1, seed=0, workers=1, out=tmp_path)
    with pytest.raises(ValueError, match="another evaluation"):
        evaluate.evaluate(judged=evaluate.Judged("nothing"), mode="single", count=1, seed=1, workers=1, out=tmp_path)


def die_once(number, marker):
    """A job whose worker is killed the first time it runs."""
    if number == 1 and not marker.exists():
        marker.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return 10 * number


def test_the_jobs_of_a_killed_worker_are_run_again(tmp_path):
    job = functools.partial(die_once, marker=tmp_path / "died")
    results = dict(workers.run_jobs(job, [0, 1, 2, 3], workers=2))
    assert (tmp_path / "died").exists()
    assert results == {0: 0, 1: 10, 2: 20, 3: 30}


def test_a_task_that_fails_ends_the_chain():
    chain = chains.load()[0]
    outcomes = evaluate.run_chain(workers.own_world(), POLICIES["nothing"](), chain, seed=[0])
    assert [(outcome.success, outcome.steps) for outcome in outcomes] == [(False, chains.MAX_STEPS)]


def test_a_chain_can_be_filmed(tmp_path):
    film, sheet = evaluate.film_chain(evaluate.Judged("expert"), 2, 0, tmp_path)
    assert film.stat().st_size > 50_000 and sheet.exists()


def test_evaluation_stopped_by_ctrl_c_goes_on_where_it_was(tmp_path):
    command = [sys.executable, "-m", "deer_lab.worlds.judge.evaluate", "--policy", "random", "--single", "1"]
    command += ["--out", str(tmp_path)]
    paths = [str(Path(__file__).parents[1]), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(paths)}
    process = subprocess.Popen(
        command,
        env=environment,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a background job's child would ignore it
    )
    progress = tmp_path / "progress.jsonl"
    deadline = time.monotonic() + 60
    while not progress.exists() or len(progress.read_text().splitlines()) < 3:
        assert time.monotonic() < deadline and process.poll() is None
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, log = process.communicate(timeout=60)
    assert process.returncode == 130 and "the same command goes on" in log and "Traceback" not in log
    done = len(progress.read_text().splitlines()) - 1
    assert 2 <= done < len(TASKS)
    subprocess.run(command, env=environment, capture_output=True, check=True)
    results = json.loads((tmp_path / "results.json").read_text())
    assert [entry["chain"] for entry in results["chains"]] == list(range(len(TASKS)))


def test_a_bundle_can_be_stopped_at_one_exit_or_run_with_other_thresholds(tmp_path):
    toy = Path(__file__).parents[2] / "models" / "toy"
    args = argparse.Namespace(bundle=toy, run=None, thresholds=None, exit=2)
    assert evaluate.chosen_thresholds(args) == ((-1.0, -1.0, 1e9, 1e9, 1e9), "rms")
    args.exit = 6
    with pytest.raises(ValueError, match="exits 0 to 5"):
        evaluate.chosen_thresholds(args)
    args.thresholds = tmp_path / "thresholds.json"
    args.thresholds.write_text(json.dumps({"metric": "time", "thresholds": [0.1, 0.2, 0.3, 0.4, 0.5, None]}))
    assert evaluate.chosen_thresholds(args) == ((0.1, 0.2, 0.3, 0.4, 0.5), "time")


def test_other_thresholds_or_parameters_are_another_evaluation():
    toy = Path(__file__).parents[2] / "models" / "toy"
    plain, gated = evaluate.Judged(bundle=toy), evaluate.Judged(bundle=toy, thresholds=(0.1,) * 5)
    held = evaluate.Judged(bundle=toy, assignments=("budget.hold:=true",))
    assert len({judged.identity() for judged in (plain, gated, held)}) == 3


def test_chains_can_begin_anywhere(tmp_path):
    judged = evaluate.Judged(policy="nothing")
    results = evaluate.evaluate(judged=judged, mode="chains", count=2, seed=0, workers=1, out=tmp_path, first=7)
    assert [entry["chain"] for entry in results["chains"]] == [7, 8]
