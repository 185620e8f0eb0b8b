"""The command line `deer_vla`, where the lab needs it."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

ROOT = Path(__file__).parents[2]


def find_program() -> Path | None:
    """$DEER_VLA, the installed one, or the newest that was built in this repository; None where there is none."""
    if named := os.environ.get("DEER_VLA"):
        return Path(named)
    prefixes = filter(None, os.environ.get("AMENT_PREFIX_PATH", "").split(":"))
    installed = [path for prefix in prefixes if (path := Path(prefix) / "lib" / "deer_vla" / "deer_vla").is_file()]
    on_path = shutil.which("deer_vla")
    target = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
    built = [path for kind in ("release", "debug") if (path := target / kind / "deer_vla").is_file()]
    built.sort(key=lambda path: path.stat().st_mtime, reverse=True)
    found = [*installed, *([Path(on_path)] if on_path else []), *built]
    return found[0] if found else None
