"""What a module says where a library that it needs is not installed."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

LAB = Path(__file__).parents[1]


@pytest.mark.parametrize("module", ["deer_lab.train", "deer_lab.errors", "deer_lab.bundle"])
def test_a_missing_library_is_one_sentence_with_the_mend(tmp_path: Path, module: str):
    (tmp_path / "torch.py").write_text('raise ModuleNotFoundError("none", name="torch")')
    environment = os.environ | {"PYTHONPATH": f"{tmp_path}:{LAB}:{os.environ.get('PYTHONPATH', '')}"}
    run = subprocess.run([sys.executable, "-m", module, "--help"], env=environment, text=True, capture_output=True)
    assert run.stderr.splitlines() == ["this module needs torch, which is not installed: pip install -e 'lab[train]'"]
    assert run.returncode == 1
