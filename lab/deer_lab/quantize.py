"""Smaller variants of a bundle, each a bundle of its own with the same inputs and outputs.

    python -m deer_lab.quantize models/tabletop --to int8 --out out/tabletop-int8

| to | what becomes smaller |
|---|---|
| fp16 | all weights and the arithmetic, where the provider has it (ONNX Runtime's CPU computes in fp32 again) |
| int8 | matrix products: weights per column, activations as they come (dynamic quantisation) |
| int4 | the weights of matrix products alone, in blocks of 32; activations stay fp32 |

Convolutions stay as they are but for fp16. What cannot be made smaller by a variant is copied.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnx_ir
from onnx import ModelProto
from onnxruntime.quantization import QuantType, quantize_dynamic
from onnxruntime.quantization.matmul_nbits_quantizer import MatMulNBitsQuantizer
from tokenizers import Tokenizer

from deer_lab.export import ExportError, open_session, replacing
from deer_lab.graphs import Signature, signature
from deer_lab.halves import halve
from deer_lab.manifest import SCHEMA, fingerprint
from deer_lab.reference import prompt_ids
from deer_lab.whole import merge_stages

SENTENCE = "take the red block and lift it up"  # what the variants are compared on
BLOCK = 32  # weights that share one scale in int4


def to_int8(path: Path, out: Path) -> None:
    with tempfile.TemporaryDirectory() as folder:
        quantized = Path(folder) / "quantized.onnx"
        quantize_dynamic(
            onnx.load(path),  # of a file it would leave another beside it
            quantized,
            op_types_to_quantize=["MatMul", "Gather"],
            per_channel=True,
            weight_type=QuantType.QInt8,
            reduce_range=True,  # seven bits: sums of eight overflow on processors without VNNI
        )
        write_part(onnx.load(quantized), out)


def to_int4(path: Path, out: Path) -> None:
    quantizer = MatMulNBitsQuantizer(onnx.load(path), bits=4, block_size=BLOCK, is_symmetric=True, accuracy_level=4)
    quantizer.process()
    write_part(quantizer.model.model, out)


def write_part(model: ModelProto, path: Path) -> None:
    """X.onnx with the graph and X.data with its weights, as deer_lab.export leaves them."""
    onnx_ir.save(onnx_ir.from_proto(model), path, external_data=path.with_suffix(".data").name)
    path.with_suffix(".data").touch()


VARIANTS: dict[str, Callable[[Path, Path], None]] = {"fp16": halve, "int8": to_int8, "int4": to_int4}


def part_entries(manifest: dict) -> dict[str, dict]:
    """The manifest's graphs by name, in the order in which data flows; `whole` left out."""
    if manifest["schema"] < SCHEMA:
        raise ExportError(f"the bundle has schema {manifest['schema']}, {SCHEMA} is read: export it anew")
    parts = manifest["parts"]
    eyes = {f"vision_{camera['role']}": entry for camera, entry in zip(manifest["cameras"], parts["vision"])}
    stages = {f"stage_{k:02}": entry for k, entry in enumerate(parts["stages"])}
    return {**eyes, "embed": parts["embed"], **stages, "head_state": parts["head_state"], "head": parts["head"]}


def signature_in(manifest: dict, graph: str) -> Signature:
    roles = [camera["role"] for camera in manifest["cameras"]]
    return signature(roles, manifest["text"]["max_tokens"], graph, manifest.get("ahead", 1))


def first_inputs(bundle: Path, manifest: dict) -> dict[str, np.ndarray]:
    """Random pictures, a real prompt and an LSTM state in the middle of things."""
    random = np.random.default_rng(0)
    text, lstm = manifest["text"], (manifest["lstm"]["layers"], 1, manifest["lstm"]["hidden"])
    tokenizer = Tokenizer.from_file(str(bundle / text["tokenizer"]))
    values = {c["role"]: random.normal(size=(1, 3, c["size"], c["size"])) for c in manifest["cameras"]}
    values |= {"h": random.uniform(-0.5, 0.5, lstm), "c": random.uniform(-0.5, 0.5, lstm)}
    values = {name: value.astype(np.float32) for name, value in values.items()}
    return values | {"ids": prompt_ids(tokenizer, text["template"], SENTENCE, text["max_tokens"]).numpy()}


def compare(bundle: Path, folder: Path, manifest: dict) -> dict[str, float]:
    """Per part the largest difference from the bundle's, as a share of its largest output; inputs are the bundle's.

    Raises ExportError where a variant gives something that is not a number.
    """
    values, found = first_inputs(bundle, manifest), {}
    for name, entry in part_entries(manifest).items():
        sessions = [open_session(place / entry["file"]) for place in (bundle, folder)]
        names = signature_in(manifest, name).among({output.name for output in sessions[0].get_outputs()})
        wanted, given = (session.run(list(names.outputs), names.taken(values)) for session in sessions)
        if not all(np.isfinite(output).all() for output in given):
            raise ExportError(f"{entry['file']}: the variant's output is not finite; nothing was written")
        shares = [float(np.abs(g - w).max() / max(1e-9, np.abs(w).max())) for g, w in zip(given, wanted)]
        found[name] = max(shares)
        values |= names.given(dict(zip(names.outputs, wanted)))
    return found


def quantize(bundle: Path, to: str, out: Path) -> dict[str, float]:
    """Writes the variant `out`; returns what `compare` found. Raises ExportError, and leaves nothing then."""
    try:
        manifest = json.loads((bundle / "manifest.json").read_text())
    except OSError as error:
        raise ExportError(f"{bundle} is no bundle: {error}") from error
    with replacing(out) as folder:
        for file in {entry["file"]: None for entry in part_entries(manifest).values()}:
            VARIANTS[to](bundle / file, folder / file)
        found = compare(bundle, folder, manifest)
        if "whole" in manifest["parts"]:
            stages = [folder / entry["file"] for entry in manifest["parts"]["stages"]]
            merge_stages(stages, folder / manifest["parts"]["whole"]["file"])
        shutil.copy2(bundle / manifest["text"]["tokenizer"], folder)
        sha256 = write_variants_manifest(manifest, to, bundle, folder)
        carry_thresholds(bundle, sha256, folder)
    return found


def write_variants_manifest(manifest: dict, to: str, bundle: Path, folder: Path) -> str:
    """The bundle's manifest with what the variant changed; returns its sha256."""
    for entry in part_entries(manifest).values():
        path = folder / entry["file"]
        entry["bytes"] = path.stat().st_size + path.with_suffix(".data").stat().st_size
    if "whole" in manifest["parts"]:
        weights = sum((folder / e["file"]).with_suffix(".data").stat().st_size for e in manifest["parts"]["stages"])
        manifest["parts"]["whole"]["bytes"] = (folder / manifest["parts"]["whole"]["file"]).stat().st_size + weights
    manifest["files"] = {path.name: fingerprint(path) for path in sorted(folder.iterdir())}
    manifest["description"] += f" Quantised to {to}."
    manifest["made_by"] += f"; python -m deer_lab.quantize {bundle} --to {to}"
    manifest["name"] += f"-{to}"
    path = folder / "manifest.json"
    path.write_text(json.dumps(manifest, indent=2) + "\n")
    return fingerprint(path)["sha256"]


def carry_thresholds(bundle: Path, sha256: str, folder: Path) -> None:
    """The bundle's thresholds under the variant's name; they were not solved for it, so no calibration is named."""
    path = bundle / "thresholds.json"
    if path.exists():
        thresholds = json.loads(path.read_text()) | {"manifest_sha256": sha256, "calibration_sha256": None}
        (folder / path.name).write_text(json.dumps(thresholds, indent=2) + "\n")


def main() -> int:
    """Exit codes: 0 done, 1 refused with the reason, 2 wrong arguments."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--to", choices=sorted(VARIANTS), required=True)
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    try:
        found = quantize(args.bundle, args.to, args.out)
    except ExportError as error:
        print(f"quantize: {error}", file=sys.stderr)
        return 1
    for name, share in found.items():
        print(f"{name}: differs by {share:.1e} of its largest output")
    size = sum(file.stat().st_size for file in args.out.iterdir())
    print(f"{args.out}: {size:,} bytes; thresholds are the original's, `deer_vla calibrate` and `solve` fit them")
    return 0


if __name__ == "__main__":
    sys.exit(main())
