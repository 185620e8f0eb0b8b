"""manifest.json (schema 2) and thresholds.json of a bundle; models/README.md explains the fields."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path

from deer_lab.config import Camera, PolicyConfig
from deer_lab.embodiment import CALVIN, Embodiment

SCHEMA, THRESHOLDS_SCHEMA = 2, 1
# May change without a new model.
UNLISTED = ("manifest.json", "calibration.json", "plans.json", "predictor.json", "thresholds.json")


@dataclass(frozen=True)
class About:
    """What a manifest says that the model's configuration does not."""

    name: str
    license: str
    description: str
    made_by: str
    tokenizer: str  # the text of tokenizer.json
    template: str = "<image>{instruction}<|endofchunk|><|endoftext|>"
    macs_tokens: int = 13  # prompt tokens at which the multiply-accumulates are counted
    embodiment: Embodiment = CALVIN


@dataclass(frozen=True)
class Part:
    """One graph: `bytes` is what loading it reads, `macs` the multiply-accumulates of one run."""

    file: str
    parameters: int
    bytes: int
    macs: int


def write_manifest(config: PolicyConfig, about: About, parts: dict[str, Part], folder: Path) -> str:
    """Writes manifest.json over the files that stand in `folder`; returns its sha256."""
    manifest = {
        "schema": SCHEMA,
        "name": about.name,
        "license": about.license,
        "description": about.description,
        "made_by": about.made_by,
        "files": {path.name: fingerprint(path) for path in sorted(folder.iterdir()) if path.name not in UNLISTED},
        "cameras": [camera_entry(camera) for camera in config.cameras],
        "text": {"tokenizer": "tokenizer.json", "template": about.template, "max_tokens": config.max_tokens},
        "width": config.decoder.width,
        "media": {"tokens": config.media_tokens // len(config.cameras), "width": config.encoder.width},
        "exits": list(config.decoder.exits),
        "lstm": {"layers": config.head.layers, "hidden": config.head.width},
        **({"ahead": config.head.ahead} if config.head.ahead > 1 else {}),
        "embodiment": about.embodiment.with_cameras((c.role, c.size) for c in config.cameras).as_dict(),
        "parts": part_entries(config, parts),
        "macs_tokens": about.macs_tokens,
    }
    path = folder / "manifest.json"
    path.write_text(json.dumps(manifest, indent=2) + "\n")
    return fingerprint(path)["sha256"]


def camera_entry(camera: Camera) -> dict:
    rule = {"resize": "bicubic", "crop": "center"}
    return {"role": camera.role, "size": camera.size, **rule, "mean": list(camera.mean), "std": list(camera.std)}


def part_entries(config: PolicyConfig, parts: dict[str, Part]) -> dict:
    entries = {name: asdict(part) for name, part in parts.items()}
    entries["vision"] = [entries[f"vision_{camera.role}"] for camera in config.cameras]
    entries["stages"] = [entries[name] for name in sorted(parts) if name.startswith("stage_")]
    order = ("vision", "embed", "stages", "head_state", "head", "whole")
    return {name: entries[name] for name in order if name in entries}


def fingerprint(path: Path) -> dict:
    with path.open("rb") as file:
        return {"sha256": hashlib.file_digest(file, "sha256").hexdigest(), "bytes": path.stat().st_size}


def write_thresholds(thresholds: list[float], manifest_sha256: str, seed: int, folder: Path) -> None:
    """thresholds.json with one limit per exit but the last, whose limit is infinite."""
    entry = {
        "schema": THRESHOLDS_SCHEMA,
        "manifest_sha256": manifest_sha256,
        "metric": "rms",
        "thresholds": [*thresholds, None],
        "budget": None,
        "calibration_sha256": None,
        "seed": seed,
    }
    (folder / "thresholds.json").write_text(json.dumps(entry, indent=2) + "\n")
