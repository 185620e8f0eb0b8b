"""The counting, and the evaluator judged by policies whose score is known."""

import argparse
import functools
import importlib.util
import json
import os
import shutil
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

from deer_lab.worlds.catalog import own_world
from deer_lab.worlds.judge import evaluate, protocol, workers
from deer_lab.worlds.judge.jobs import Judged, attempt, run_chain
from deer_lab.worlds.judge.policies import POLICIES
from deer_lab.worlds.tabletop import chains
from deer_lab.worlds.tabletop.tasks import TASKS


def test_the_summary_counts_tasks_in_a_row():
    summary = protocol.summary([5, 5, 3, 0])
    assert summary["average_length"] == 3.25
    assert [row["rate"] for row in summary["rates"]] == [0.75, 0.75, 0.75, 0.5, 0.5]
    assert all(row["interval"][0] <= row["rate"] <= row["interval"][1] for row in summary["rates"])
    assert protocol.summary([5, 5, 3, 0]) == summary


def test_the_interval_covers_the_truth_as_often_as_it_says():
    rng = np.random.default_rng(0)
    covered = 0
    for _ in range(200):
        low, high = protocol.interval((rng.random(200) < 0.7).astype(float), rng)
        covered += low <= 0.7 <= high
    assert 180 <= covered <= 199


def test_the_interval_narrows_with_more_chains():
    rng = np.random.default_rng(0)
    widths = [np.ptp(protocol.interval(rng.integers(0, 2, n).astype(float), rng)) for n in (50, 800)]
    assert widths[1] < widths[0] / 3


@pytest.mark.parametrize(("rate", "attempts"), [(0.9, 4), (0.97, 20), (0.5, 10)])
def test_the_interval_of_a_rate_covers_it_where_a_few_attempts_nearly_all_succeed(rate, attempts):
    done = np.random.default_rng(0).binomial(attempts, rate, 4000)
    covered = [low <= rate <= high for low, high in (protocol.proportion(int(k), attempts) for k in done)]
    assert np.mean(covered) >= 0.92
    low, high = protocol.proportion(attempts, attempts)
    assert low < 0.9 and high == pytest.approx(1)


@pytest.mark.parametrize(
    "policy, count, lowest, highest", [("expert", 12, 4.7, 5.0), ("nothing", 3, 0.0, 0.0), ("random", 5, 0.0, 0.2)]
)
def test_a_policy_gets_the_score_it_deserves(policy, count, lowest, highest, tmp_path):
    judged = Judged(policy)
    results = evaluate.evaluate(judged=judged, mode="chains", count=count, seed=0, workers=1, out=tmp_path)
    assert lowest <= results["summary"]["average_length"] <= highest
    assert json.loads((tmp_path / "results.json").read_text())["chains"][0]["tasks"] == list(chains.load()[0].tasks)


def test_the_score_depends_neither_on_workers_nor_on_interruptions(tmp_path):
    options = {"judged": Judged("random"), "mode": "single", "seed": 3}
    whole = evaluate.evaluate(**options, count=6, workers=1, out=tmp_path / "whole")
    evaluate.evaluate(**options, count=2, workers=1, out=tmp_path / "parts")
    log = tmp_path / "parts" / "progress.jsonl"
    log.write_bytes(log.read_bytes()[:-20])  # killed while it wrote, or the disk was full
    parts = evaluate.evaluate(**options, count=6, workers=2, out=tmp_path / "parts")
    assert json.dumps(whole) == json.dumps(parts)
    assert len(log.read_text().splitlines()) == 7


def test_progress_of_another_evaluation_is_not_mixed_in(tmp_path):
    evaluate.evaluate(judged=Judged("nothing"), mode="single", count=1, seed=0, workers=1, out=tmp_path)
    with pytest.raises(ValueError, match="name another folder"):
        evaluate.evaluate(judged=Judged("nothing"), mode="single", count=1, seed=1, workers=1, out=tmp_path)


def test_sentences_that_nothing_was_trained_on_are_said_in_turn_and_are_another_evaluation():
    said, world, judged = [], own_world("tabletop"), Judged("nothing", sentences="test")
    policy = POLICIES["nothing"]()
    policy.begin = lambda task, sentence, seed: said.append(sentence)
    for number in range(3):
        attempt(world, policy, "open_drawer", seed=[0, number], limit=1, sentences="test")
    assert sorted(said) == sorted(world.tasks["open_drawer"].test)
    assert judged.identity() != Judged("nothing").identity() == "nothing"


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
    outcomes = run_chain(own_world("tabletop"), POLICIES["nothing"](), chain, seed=[0])
    assert [(outcome.success, outcome.steps) for outcome in outcomes] == [(False, protocol.MAX_STEPS)]


def test_a_chain_can_be_filmed(tmp_path):
    film, sheet = evaluate.film_chain(Judged("expert"), 2, 0, tmp_path)
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


def test_a_thresholds_file_brings_its_plan_and_a_parameter_takes_its_place(tmp_path):
    file = tmp_path / "thresholds.json"
    args = argparse.Namespace(thresholds=file, parameter=["plan.max_skips:=1"])
    file.write_text(json.dumps({"plan": {"keep_change": 0.04, "max_skips": 3}}))
    assert evaluate.chosen_parameters(args) == ("plan.keep_change:=0.04", "plan.max_skips:=1")
    file.write_text(json.dumps({"thresholds": [None]}))
    assert evaluate.chosen_parameters(args) == ("plan.max_skips:=1",)


def test_other_thresholds_or_parameters_are_another_evaluation():
    toy = Path(__file__).parents[2] / "models" / "toy"
    plain, gated = Judged(bundle=toy), Judged(bundle=toy, thresholds=(0.1,) * 5)
    held = Judged(bundle=toy, assignments=("budget.hold:=true",))
    assert len({judged.identity() for judged in (plain, gated, held)}) == 3


def test_a_bundle_that_was_solved_anew_is_another_evaluation_where_its_own_thresholds_count(tmp_path):
    shutil.copytree(Path(__file__).parents[2] / "models" / "toy", tmp_path / "toy")
    own, given = Judged(bundle=tmp_path / "toy"), Judged(bundle=tmp_path / "toy", thresholds=(0.1,) * 5)
    before = own.identity(), given.identity()
    path = tmp_path / "toy" / "thresholds.json"
    path.write_text(path.read_text().replace('"seed": 0', '"seed": 1'))
    assert own.identity() != before[0] and given.identity() == before[1]


def test_chains_can_begin_anywhere(tmp_path):
    judged = Judged(policy="nothing")
    results = evaluate.evaluate(judged=judged, mode="chains", count=2, seed=0, workers=1, out=tmp_path, first=7)
    assert [entry["chain"] for entry in results["chains"]] == [7, 8]
