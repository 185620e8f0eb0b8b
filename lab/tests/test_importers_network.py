"""An imported bundle against DeeR-VLA's forward pass as tests/deer_reference.py writes it from its description.

Two checkpoints in the published layout, shrunken: the 3B's kind and the 9B's. Both have six heads, where their ALiBi
differs.
"""

import json
import os
import subprocess
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from deer_reference import EPSILON, Reference
from PIL import Image
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.typesys import Stores, get_typestore
from tokenizers import Tokenizer
from torch import nn

from deer_lab.importers import deer
from deer_lab.model import Policy
from deer_lab.reference import GatedPolicy
from deer_lab.worlds.judge.torch_policy import OnnxNetwork

torch.set_num_threads(1)
ROOT = Path(__file__).parents[2]
PROGRAM = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "debug" / "deer_vla"
STEPS = 200
LIMIT = 1e-4
SENTENCE = "take the red block and lift it up"
MEAN, STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
DETAILS = {  # what is done otherwise: the part that shows it
    "quick gelu": "vision",
    "clip's last norm": "vision",
    "latents see themselves": "vision",
    "camera order": "vision",
    "gate": "stage",
    "norm bias": "stage",
    "gelu": "stage",
    "slopes": "stage",
    "q/k norms": "stage",
    "cross-attention after the layer": "stage",
    "pooling": "stage",
    "epsilon": "stage",
    "tanh": "head",
    "sigmoid": "head",
}


class Imported:
    """A published checkpoint, the bundle that was made of it, and the reference on the same file."""

    def __init__(self, files, bundle):
        self.files, self.bundle = files, bundle
        state = torch.load(files.checkpoint, weights_only=True)["model_state_dict"]
        self.state = {name.removeprefix("module."): value for name, value in state.items()}
        self.clip = torch.load(files.folder / "ViT-L-14.pt", weights_only=True)
        args = deer.arguments().parse_args([*files.words, "--out", str(bundle)])
        self.config = deer.read_checkpoint(args, lambda _: None)[0].config
        self.network = OnnxNetwork(bundle, self.config)
        self.reference = self.reference_but("")

    def reference_but(self, wrong):
        size = self.files.size
        return Reference(self.state, self.clip, size.heads, size.bias_max, size.mpt_1b, wrong=wrong)

    def images(self, number):
        random = torch.Generator().manual_seed(number)
        side = self.files.size.clip[2]
        return [torch.randn(3, side, side, generator=random) for _ in range(2)]

    def prompt(self):
        tokenizer = Tokenizer.from_file(str(self.bundle / "tokenizer.json"))
        return torch.tensor(tokenizer.encode(f"<image>{SENTENCE}<|endofchunk|><|endoftext|>").ids)


@pytest.fixture(scope="module", params=["small_3b", "small_9b"])
def imported(request, tmp_path_factory):
    files = request.getfixturevalue(request.param)
    bundle = tmp_path_factory.mktemp("bundles") / request.param
    assert deer.main([*files.words, "--out", str(bundle)]) == 0
    return Imported(files, bundle)


def difference(found, wanted):
    assert found.shape == wanted.shape
    return float((found - wanted).abs().max())


def vision_difference(imported, reference):
    images = imported.images(0)
    seen = [imported.network.see(camera, image[None])[0] for camera, image in enumerate(images)]
    return difference(torch.cat(seen), reference.media(*images))


def stage_differences(imported, reference):
    """Every stage from the same hidden state, small enough for an epsilon to count; hidden, feature and probe."""
    random = torch.Generator().manual_seed(1)
    media = torch.randn(imported.config.media_tokens, imported.config.encoder.width, generator=random)
    first, found = 0, []
    for number, (stage, last) in enumerate(zip(imported.network.stages, reference.exits)):
        x = hidden = 0.02 * torch.randn(9, imported.config.decoder.width, generator=random)
        outputs = stage(hidden[None], [half[None] for half in media.chunk(2)])  # a camera each
        for index in range(first, last + 1):
            x = reference.layer(x, media, index)
            if number == 0 and index == last - 1:
                found.append(difference(outputs[2][0], reference.pool(x)))
        found += [difference(outputs[0][0], x), difference(outputs[1][0], reference.pool(x))]
        first = last + 1
    return found


def head_difference(imported, reference):
    """Three steps of two candidates, the state going on from the second."""
    random = torch.Generator().manual_seed(2)
    h, c = imported.network.initial_state()
    state, found = reference.clear(), []
    for _ in range(3):
        features = torch.randn(2, imported.config.decoder.width, generator=random)
        arm, gripper, h, c = imported.network.head(features, h, c)
        tried = [reference.head(feature, state) for feature in features]
        found += [difference(arm[row], tried[row][0]) for row in range(2)]
        found += [difference(gripper[row], tried[row][1]) for row in range(2)]
        state = tried[1][2]
        found += [difference(h[n, 0], state[n][0]) for n in range(4)]
        found += [difference(c[n, 0], state[n][1]) for n in range(4)]
    return max(found)


def largest(imported, reference, part):
    found = {
        "vision": vision_difference,
        "stage": lambda *both: max(stage_differences(*both)),
        "head": head_difference,
    }
    return found[part](imported, reference)


@torch.no_grad()
@pytest.mark.parametrize("part", ["vision", "stage", "head"])
def test_a_part_gives_what_the_published_model_gives(imported, part):
    assert largest(imported, imported.reference, part) <= LIMIT


@torch.no_grad()
def test_a_prompt_is_embedded_by_the_files_own_rows(imported):
    ids = imported.prompt()
    assert difference(imported.network.embed(ids[None])[0], imported.reference.embed(ids)) == 0


@torch.no_grad()
@pytest.mark.parametrize("detail", DETAILS)
def test_a_detail_done_otherwise_would_be_noticed(imported, detail):
    if detail == "q/k norms" and not imported.files.size.mpt_1b:
        pytest.skip("MPT-7B has none")
    assert largest(imported, imported.reference_but(detail), DETAILS[detail]) > 5 * LIMIT


def test_every_norm_has_the_published_epsilon(imported):
    with torch.device("meta"):
        norms = [module for module in Policy(imported.config).modules() if isinstance(module, nn.LayerNorm)]
    assert {norm.eps for norm in norms} == {EPSILON}


def test_the_pictures_enter_the_9b_at_the_published_layers(imported):
    every = {"small-3b": 1, "small-9b": 4}["small-3b" if imported.files.size.mpt_1b else "small-9b"]
    assert imported.config.decoder.cross_every == every
    assert imported.config.decoder.exits == tuple(range(1, imported.files.size.layers, 2))


@torch.no_grad()
def reference_steps(imported, thresholds, images):
    state, prompt, found = imported.reference.clear(), imported.reference.embed(imported.prompt()), []
    for pair in images:
        exit, deltas, arm, gripper, state = imported.reference.step(prompt, pair, state, thresholds)
        found.append((exit, deltas, arm, gripper))
    return found


def lively_thresholds(imported, images):
    """Exit by exit, between two of the deltas with which the reference comes there, so that every exit is taken."""
    exits = len(imported.reference.exits)
    thresholds = [-1.0] * (exits - 1)
    for exit in range(exits - 1):
        steps = reference_steps(imported, thresholds, images)
        row = sorted(deltas[exit] for _, deltas, *_ in steps if len(deltas) > exit)
        place = max(1, len(row) // (exits - exit))
        thresholds[exit] = (row[place - 1] + row[place]) / 2
    return thresholds


@torch.no_grad()
def test_200_steps_take_the_published_models_exits(imported):
    images = [imported.images(100 + number) for number in range(STEPS)]
    thresholds = lively_thresholds(imported, images[:40])
    gated = GatedPolicy(imported.network, thresholds)
    gated.begin(imported.prompt()[None])
    steps = [gated.step(*(image[None] for image in pair)) for pair in images]
    wanted = reference_steps(imported, thresholds, images)
    assert [step.exit for step in steps] == [exit for exit, *_ in wanted]
    assert len({step.exit for step in steps}) >= 3
    arms = [difference(step.arm, arm) for step, (_, _, arm, _) in zip(steps, wanted)]
    grippers = [difference(step.gripper, gripper) for step, (*_, gripper) in zip(steps, wanted)]
    assert max(arms + grippers) <= LIMIT


def prepared(picture, side):
    """A picture as the published transform prepares it: the shorter side to `side`, bicubic, the middle, normalised."""
    image = Image.fromarray(picture)
    wide, high = (int(side * edge / min(image.size)) for edge in image.size)
    image = image.resize((wide, high), Image.Resampling.BICUBIC)
    left, top = round((wide - side) / 2), round((high - side) / 2)
    pixels = np.asarray(image.crop((left, top, left + side, top + side)), dtype=np.float32) / 255
    return torch.from_numpy(((pixels - np.float32(MEAN)) / np.float32(STD)).transpose(2, 0, 1).copy())


def write_bag(path, sentence, pictures):
    """Raw pictures of both cameras, thirty a second."""
    store = get_typestore(Stores.ROS2_JAZZY)
    kinds = store.types
    with Writer(path, version=9, storage_plugin=StoragePlugin.MCAP) as writer:
        topics = {"/instruction": "std_msgs/msg/String", "/static/image": "sensor_msgs/msg/Image"}
        topics["/gripper/image"] = "sensor_msgs/msg/Image"
        open_topics = {topic: writer.add_connection(topic, kind, typestore=store) for topic, kind in topics.items()}

        def put(topic, stamp, message):
            writer.write(open_topics[topic], stamp, store.serialize_cdr(message, topics[topic]))

        put("/instruction", 10**9, kinds["std_msgs/msg/String"](data=sentence))
        for number, pair in enumerate(pictures):
            stamp = 10**9 + round(number * 1e9 / 30)
            time = kinds["builtin_interfaces/msg/Time"](sec=stamp // 10**9, nanosec=stamp % 10**9)
            for camera, picture in zip(("static", "gripper"), pair):
                high, wide, _ = picture.shape
                header = kinds["std_msgs/msg/Header"](stamp=time, frame_id=camera)
                image = kinds["sensor_msgs/msg/Image"](
                    header=header,
                    height=high,
                    width=wide,
                    encoding="rgb8",
                    is_bigendian=0,
                    step=3 * wide,
                    data=picture.reshape(-1),
                )
                put(f"/{camera}/image", stamp, image)


@pytest.mark.skipif(not PROGRAM.is_file(), reason=f"{PROGRAM} is not built: cargo build")
def test_deer_vla_checks_it_and_replays_200_frames_as_the_published_model(imported, tmp_path):
    said = subprocess.run([PROGRAM, "check", imported.bundle], check=True, timeout=300, capture_output=True, text=True)
    assert "CC-BY-4.0" in said.stdout
    random = np.random.default_rng(0)
    sizes = {"static": (200, 200, 3), "gripper": (84, 84, 3)}
    pictures = [[random.integers(0, 256, size, np.uint8) for size in sizes.values()] for _ in range(STEPS)]
    write_bag(tmp_path / "bag", SENTENCE, pictures)
    images = [[prepared(picture, imported.files.size.clip[2]) for picture in pair] for pair in pictures]
    thresholds = lively_thresholds(imported, images[:40])
    limits = ",".join(f"{limit:.9f}" for limit in thresholds)
    command = [PROGRAM, "replay", imported.bundle, tmp_path / "bag", "--thresholds", limits, "--out", tmp_path / "out"]
    subprocess.run(command, check=True, timeout=600, capture_output=True)
    lines = [json.loads(line) for line in (tmp_path / "out" / "decisions.jsonl").read_text().splitlines()]
    wanted = reference_steps(imported, thresholds, images)
    assert [line["decision"]["exit"] for line in lines] == [exit for exit, *_ in wanted]
