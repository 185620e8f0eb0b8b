"""Ctrl-C while a program of the lab does what takes long: one sentence, exit code 130, and nothing half made.

Those that go on where they were stopped have tests of their own.
"""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

for module in ("torch", "onnx"):
    pytest.importorskip(module)

LAB = Path(__file__).parents[1]
TOY = LAB.parent / "models" / "toy"


@pytest.mark.parametrize(
    "words",
    [
        ["bundle", "--random", "toy", "--tokenizer", TOY / "tokenizer.json"],
        ["quantize", TOY, "--to", "int8"],
        ["toy", "--golden", "golden.safetensors"],
    ],
    ids=lambda words: words[0],
)
def test_a_program_that_is_stopped_says_so_and_leaves_nothing(tmp_path, words):
    program, *rest = map(str, words)
    before = sorted(TOY.iterdir())
    process = subprocess.Popen(
        [sys.executable, "-m", f"deer_lab.{program}", *rest, "--out", str(tmp_path / "made")],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": os.pathsep.join([str(LAB), os.environ.get("PYTHONPATH", "")])},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a background job's child would ignore it
    )
    deadline = time.monotonic() + 120
    while not list(tmp_path.iterdir()):  # until it has begun to write
        assert time.monotonic() < deadline and process.poll() is None
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    _, log = process.communicate(timeout=120)
    assert process.returncode == 130 and "Traceback" not in log, log
    assert log.splitlines()[-1] == f"{program}: stopped"
    assert not list(tmp_path.iterdir()) and sorted(TOY.iterdir()) == before


def test_ctrl_c_is_a_stop_where_a_library_makes_an_error_of_its_own_of_it():
    # As torch.onnx.export does while it loads its parts.
    script = """
import os, signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
sys.argv = ["-m"]
import deer_lab
sys.argv = ["bundle.py"]
try:
    os.kill(os.getpid(), signal.SIGINT)
except KeyboardInterrupt:
    raise AttributeError("half a module")
"""
    run = subprocess.run([sys.executable, "-c", script], cwd=LAB, capture_output=True, text=True)
    assert (run.returncode, run.stderr) == (130, "bundle: stopped\n")
