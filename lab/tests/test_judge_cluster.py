"""Jobs on a Ray cluster of two nodes, of which one is lost on the way."""

import importlib.util
import json
import os
import subprocess
import sys
import threading
import time
from functools import partial
from pathlib import Path

import pytest

for module in ("ray", "rosbags", "tqdm"):
    if importlib.util.find_spec(module) is None:
        pytest.skip(
            f"these tests need the extras `ray` and `sim`; {module} cannot be imported", allow_module_level=True
        )

from ray.cluster_utils import Cluster

from deer_lab.worlds.judge.episode import Recipe
from deer_lab.worlds.judge.evaluate import evaluate
from deer_lab.worlds.judge.jobs import Judged
from deer_lab.worlds.judge.record import record
from deer_lab.worlds.judge.workers import run_jobs
from tests.tiny_jobs import fails, marked

TINY = "tests.tiny_world"
LAB = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def cluster():
    """Two nodes of one CPU each; the second may be lost."""
    os.environ["PYTHONPATH"] = os.pathsep.join([str(LAB), os.environ.get("PYTHONPATH", "")])  # of the nodes
    started = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    yield started
    started.shutdown()


def test_the_jobs_of_a_lost_node_are_run_again(cluster, tmp_path):
    lost = cluster.add_node(num_cpus=1)

    def lose_it_at_work():
        while len(workers := [mark.name.partition("_")[2] for mark in tmp_path.glob("*_*")]) < 2:  # one a node
            time.sleep(0.05)
        cluster.remove_node(lost, allow_graceful=False)
        while all(Path("/proc", worker).exists() for worker in workers):  # or it might end its job yet
            time.sleep(0.05)
        (tmp_path / "go").touch()

    thread = threading.Thread(target=lose_it_at_work, daemon=True)
    thread.start()
    results = dict(run_jobs(partial(marked, folder=tmp_path), [0, 1, 2, 3], workers=1, cluster=cluster.address))
    thread.join(timeout=60)
    assert results == {0: 0, 1: 10, 2: 20, 3: 30}
    begun = [int(mark.name.partition("_")[0]) for mark in tmp_path.glob("*_*")]
    assert len(begun) == 5  # the lost one twice


def test_a_cluster_judges_and_records_what_one_machine_does(cluster, tmp_path):
    options = {"judged": Judged("random", world=TINY), "mode": "chains", "seed": 3, "workers": 1}
    here = evaluate(**options, count=4, out=tmp_path / "here")
    evaluate(**options, count=2, out=tmp_path / "there")  # begun on one machine, and gone on with on a cluster
    there = evaluate(**options, count=4, out=tmp_path / "there", cluster=cluster.address)
    assert json.dumps(here) == json.dumps(there)
    for place in (None, cluster.address):
        record(Recipe(seed=0, world=TINY), episodes=2, workers=1, out=tmp_path / f"bags_{bool(place)}", cluster=place)
    one, other = (sorted((tmp_path / f"bags_{there}").rglob("*.mcap")) for there in (False, True))
    assert len(one) == 2 and [bag.read_bytes() for bag in one] == [bag.read_bytes() for bag in other]


@pytest.mark.parametrize(
    "command", [["evaluate", "--policy", "expert", "--chains", "2"], ["record", "--episodes", "2", "--tasks", "1"]]
)
def test_a_cluster_finds_the_jobs_of_a_command(cluster, tmp_path, command):
    program, *options = command
    words = [*options, "--world", TINY, "--ray", cluster.address, "--out", str(tmp_path)]
    run = [sys.executable, "-m", f"deer_lab.worlds.judge.{program}", *words]
    done = subprocess.run(run, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    log = tmp_path / {"evaluate": "progress.jsonl", "record": "episodes.jsonl"}[program]
    assert len(log.read_text().splitlines()) == 3  # what was asked, and two jobs


def test_what_a_job_raises_is_raised_here(cluster):
    with pytest.raises(RuntimeError, match="job 7 cannot be done"):
        list(run_jobs(fails, [7], workers=1, cluster=cluster.address))


def test_where_no_cluster_answers_the_mend_is_said():
    with pytest.raises(ValueError, match=r"no Ray cluster at .*: begin one with `ray start --head`"):
        list(run_jobs(fails, [1], workers=1, cluster="127.0.0.1:1"))
