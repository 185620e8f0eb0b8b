"""What a provider copies between its memory and the host's inside a bundle's graphs, run once each.

    python -m deer_lab.copies models/tabletop --provider cuda

A graph that runs whole on the device copies nothing: what a step moves is then its pictures, features and actions.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path

import onnxruntime

from deer_lab.graphs import Signature
from deer_lab.quantize import first_inputs, part_entries, signature_in

PROVIDERS = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider", "tensorrt": "TensorrtExecutionProvider"}


def copies(path: Path, provider: str, names: Signature, values: dict) -> tuple[list[dict], dict]:
    """The copies inside the graph as the profiler saw them, and what it gives to the step's `values`."""
    options = onnxruntime.SessionOptions()
    options.enable_profiling = True
    options.log_severity_level = 3
    with tempfile.TemporaryDirectory() as folder:
        options.profile_file_prefix = str(Path(folder) / "profile")
        session = onnxruntime.InferenceSession(path, options, providers=[provider, PROVIDERS["cpu"]])
        if provider not in session.get_providers():
            raise SystemExit(f"copies: {provider} does not load here")
        names = names.among({output.name for output in session.get_outputs()})
        outputs = session.run(list(names.outputs), names.taken(values))
        events = json.loads(Path(session.end_profiling()).read_text())
    moved = [event["args"] for event in events if event.get("args", {}).get("op_name", "").startswith("Memcpy")]
    return moved, names.given(dict(zip(names.outputs, outputs)))


def main() -> int:
    """Exit codes: 0 done, 1 the provider does not load, 2 wrong arguments."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--provider", choices=sorted(PROVIDERS), default="cuda")
    args = parser.parse_args()
    manifest = json.loads((args.bundle / "manifest.json").read_text())
    values = first_inputs(args.bundle, manifest)
    for name, entry in part_entries(manifest).items():
        names = signature_in(manifest, name)
        moved, given = copies(args.bundle / entry["file"], PROVIDERS[args.provider], names, values)
        values |= given
        size = sum(int(one.get("output_size", 0)) for one in moved)
        print(f"{name:<16}{len(moved):>4} copies inside the graph,{size:>10} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
