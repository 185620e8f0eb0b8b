"""What `lab[train]` alone must do: no world, no simulator, nothing to draw on."""

import os
import subprocess
import sys
from pathlib import Path

import damaged
import pytest

pytest.importorskip("torch")

LAB = Path(__file__).parents[1]
WITHOUT = """
import runpy, sys
for name in ("mujoco", "OpenGL", "rclpy", "deer_lab.worlds", "av"):  # the last: nothing but videos needs it
    sys.modules[name] = None  # importing it raises ImportError
sys.argv = sys.argv[1:]
runpy.run_module(sys.argv[0], run_name="__main__")
"""


def alone(*words: object) -> subprocess.CompletedProcess:
    """Runs a module of the lab where there is no simulator."""
    environment = os.environ | {"PYTHONPATH": f"{LAB}:{os.environ.get('PYTHONPATH', '')}", "OMP_NUM_THREADS": "1"}
    environment.pop("DISPLAY", None)
    command = [sys.executable, "-c", WITHOUT, *map(str, words)]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=600)


def test_training_judging_and_making_a_bundle_need_no_world(tmp_path):
    cache, run = ["--cache", tmp_path / "cache"], tmp_path / "run"
    train = ["deer_lab.train", "--config", "toy", "--stage", "joint", "--steps", 1, "--batch", 1, "--window", 2]
    made = alone(*train, "--data", damaged.calvin(tmp_path), "--out", run, *cache)
    assert made.returncode == 0, made.stderr
    judged = alone("deer_lab.errors", run, "--data", tmp_path / "training", *cache, "--json")
    assert judged.returncode == 0, judged.stderr
    bundled = alone("deer_lab.bundle", run, "--out", tmp_path / "bundle")
    assert bundled.returncode == 0, bundled.stderr


def test_aids_of_a_world_that_is_not_there_are_refused_by_name(tmp_path):
    words = [
        "--config",
        "toy",
        "--stage",
        "vision",
        "--steps",
        1,
        "--data",
        damaged.bag(tmp_path),
        "--out",
        tmp_path / "x",
    ]
    refused = alone("deer_lab.train", *words, "--aids", "deer_lab.worlds.tabletop.aids")
    assert refused.returncode == 2
    assert "train: --aids deer_lab.worlds.tabletop.aids: " in refused.stderr.splitlines()[-1]


def test_the_data_names_no_world():
    for path in (LAB / "deer_lab" / "data").glob("*.py"):
        imports = [line for line in path.read_text().splitlines() if line.lstrip().startswith(("import ", "from "))]
        assert not [line for line in imports if "worlds" in line or "mujoco" in line], path
