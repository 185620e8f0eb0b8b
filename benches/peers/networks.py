"""The network of a bundle behind one interface, as two competent users would run it in Python: ONNX Runtime or PyTorch.

A network has `begin(sentence)`, which clears its state, and `step(pictures)` with one uint8 [H, W, 3] a camera, which
gives six arm outputs, the gripper's probability of open, and the exit that was taken.
"""

import json
from pathlib import Path

import numpy as np
from PIL import Image
from tokenizers import Tokenizer


class Bundle:
    """What both read of a bundle: how pictures and sentences are prepared, and when a step is deep enough."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.manifest = json.loads((folder / "manifest.json").read_text())
        if self.manifest["schema"] != 2:
            raise SystemExit(f"{folder}: the peers run bundles of schema 2, such as models/toy")
        self.tokenizer = Tokenizer.from_file(str(folder / self.manifest["text"]["tokenizer"]))
        thresholds = json.loads((folder / "thresholds.json").read_text())["thresholds"]
        self.thresholds = [np.inf if limit is None else limit for limit in thresholds]

    def ids(self, sentence: str) -> np.ndarray:
        prompt = self.manifest["text"]["template"].replace("{instruction}", sentence.strip())
        return np.array([self.tokenizer.encode(prompt, add_special_tokens=False).ids], np.int64)

    def images(self, pictures: list[np.ndarray]) -> list[np.ndarray]:
        """torchvision's Resize and CenterCrop by Pillow, then normalised: one float32 [1, 3, S, S] a camera."""
        return [prepare(*pair) for pair in zip(pictures, self.manifest["cameras"], strict=True)]


def prepare(picture: np.ndarray, camera: dict) -> np.ndarray:
    size = camera["size"]
    height, width = picture.shape[:2]
    short = min(height, width)
    resized = Image.fromarray(picture).resize((size * width // short, size * height // short), Image.Resampling.BICUBIC)
    left, top = (round((side - size) / 2) for side in resized.size)
    pixels = np.asarray(resized.crop((left, top, left + size, top + size)), np.float32)
    normal = (pixels / 255 - np.float32(camera["mean"])) / np.float32(camera["std"])
    return np.ascontiguousarray(normal.transpose(2, 0, 1))[None]


def agree(arm: np.ndarray, before: np.ndarray) -> float:
    return float(np.sqrt(np.mean((arm - before) ** 2)))


class Onnx:
    """ONNX Runtime and numpy alone."""

    def __init__(self, folder: Path, threads: int):
        import onnxruntime

        self.bundle = Bundle(folder)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        parts = self.bundle.manifest["parts"]

        def session(part: dict) -> onnxruntime.InferenceSession:
            return onnxruntime.InferenceSession(str(folder / part["file"]), options, providers=["CPUExecutionProvider"])

        self.embed, self.head_state, self.head = (session(parts[name]) for name in ("embed", "head_state", "head"))
        self.visions, self.stages = ([session(part) for part in parts[name]] for name in ("vision", "stages"))
        self.media = [f"media_{camera['role']}" for camera in self.bundle.manifest["cameras"]]

    def begin(self, sentence: str) -> None:
        (self.prompt,) = self.embed.run(None, {"ids": self.bundle.ids(sentence)})
        lstm = self.bundle.manifest["lstm"]
        self.h = self.c = np.zeros((lstm["layers"], 1, lstm["hidden"]), np.float32)

    def step(self, pictures: list[np.ndarray]) -> tuple[np.ndarray, float, int]:
        cameras = zip(self.media, self.visions, self.bundle.images(pictures), strict=True)
        media = {name: vision.run(["media"], {"image": image})[0] for name, vision, image in cameras}
        (gates,) = self.head_state.run(["gates"], {"h": self.h})
        hidden, before = self.prompt, None
        for taken, (stage, limit) in enumerate(zip(self.stages, self.bundle.thresholds, strict=True)):  # noqa: B007
            hidden, feature = stage.run(["hidden_next", "feature"], {"hidden": hidden, **media})
            feeds = {"feature": feature, "gates": gates, "c": self.c}
            arm, gripper, h, c = self.head.run(["arm", "gripper", "h_next", "c_next"], feeds)
            if agree(arm[-1], arm[0] if before is None else before) <= limit:
                break
            before = arm[-1]
        self.h, self.c = h, c
        return arm[-1], float(gripper[-1, 0]), taken


class Torch:
    """PyTorch, eager, with the lab's own model. `weights`: what `compare.py` saved of the network in the bundle."""

    def __init__(self, folder: Path, threads: int, weights: Path):
        import torch
        from deer_lab.config import CONFIGS
        from deer_lab.model import Policy

        torch.set_num_threads(threads)
        self.torch, self.bundle = torch, Bundle(folder)
        self.policy = Policy(CONFIGS[self.bundle.manifest["name"]]).eval().requires_grad_(False)
        self.policy.load_state_dict(torch.load(weights, weights_only=True))

    def begin(self, sentence: str) -> None:
        with self.torch.inference_mode():
            self.prompt = self.policy.embed(self.torch.from_numpy(self.bundle.ids(sentence)))
            self.h, self.c = self.policy.initial_state()

    def step(self, pictures: list[np.ndarray]) -> tuple[np.ndarray, float, int]:
        torch = self.torch
        with torch.inference_mode():
            images = [torch.from_numpy(image) for image in self.bundle.images(pictures)]
            hidden, media, before = self.prompt, self.policy.vision(*images), None
            for taken, (stage, limit) in enumerate(zip(self.policy.stages, self.bundle.thresholds, strict=True)):  # noqa: B007
                hidden, feature, *probe = stage(hidden, media)
                arm, gripper, h, c = self.policy.head(torch.cat([*probe, feature]), self.h, self.c)
                if agree(arm[-1].numpy(), (arm[0] if before is None else before).numpy()) <= limit:
                    break
                before = arm[-1]
            self.h, self.c = h[:, -1:], c[:, -1:]
            return arm[-1].numpy(), float(gripper[-1]), taken
