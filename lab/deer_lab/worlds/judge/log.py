"""The file in which finished jobs are kept, so that the same command goes on where it was stopped."""

import json
from pathlib import Path


def resumed(path: Path, header: dict) -> list[dict]:
    """What was finished: one entry a line after the header, with which the file begins. A last line that was cut off
    goes: its job runs again. Raises ValueError where the file is another job's."""
    text = path.read_bytes() if path.exists() else b""
    whole = text[: text.rfind(b"\n") + 1]
    if len(whole) < len(text):
        path.write_bytes(whole)
    if not whole:
        path.write_text(json.dumps(header) + "\n")
        return []
    found, *entries = map(json.loads, whole.splitlines())
    if found != header:
        raise ValueError(f"{path} says {found}, not {header}: name another folder, or remove it")
    return entries
