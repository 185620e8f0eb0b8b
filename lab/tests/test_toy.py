"""The toy bundle: alive, small, and its ONNX graphs walk the golden rollout as PyTorch does."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from onnxruntime import InferenceSession, SessionOptions
from safetensors import safe_open
from tokenizers import Tokenizer

from deer_lab.config import CONFIGS
from deer_lab.golden import STEPS, refuse_close_calls
from deer_lab.reference import GatedPolicy, Step, delta, preprocess, prompt_ids
from deer_lab.tokenizer import make_tokenizer
from deer_lab.toy import Rehearsal, lively_policy, observations, sentences

torch.set_num_threads(1)
ROOT = Path(__file__).parents[2]
BUNDLE = ROOT / "models/toy"
GOLDEN = ROOT / "tests/data/toy_golden.safetensors"
CONFIG = CONFIGS["toy"]
FRESH_SEED = 77  # of pictures that shaped neither the weights nor the golden file


@pytest.fixture(scope="module")
def golden():
    with safe_open(GOLDEN, "pt") as file:
        return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118, no mapping


@pytest.fixture(scope="module")
def instructions():
    with safe_open(GOLDEN, "pt") as file:
        return json.loads(file.metadata()["instructions"])


@pytest.fixture(scope="module")
def manifest():
    return json.loads((BUNDLE / "manifest.json").read_text())


@pytest.fixture(scope="module")
def thresholds():
    return json.loads((BUNDLE / "thresholds.json").read_text())["thresholds"][:-1]


@pytest.fixture(scope="module")
def ids(manifest):
    tokenizer = Tokenizer.from_file(str(BUNDLE / "tokenizer.json"))
    return lambda text: prompt_ids(tokenizer, manifest["text"]["template"], text, manifest["text"]["max_tokens"])


@pytest.fixture(scope="module")
def policy(ids):
    return lively_policy(0, Rehearsal(ids, 0)).requires_grad_(False)


class Graphs:
    """The bundle's graphs, run by ONNX Runtime."""

    def __init__(self) -> None:
        options = SessionOptions()
        options.intra_op_num_threads = 1
        self.sessions = {
            path.stem: InferenceSession(path, options, providers=["CPUExecutionProvider"])
            for path in BUNDLE.glob("*.onnx")
        }

    def run(self, name: str, **inputs: torch.Tensor) -> dict[str, torch.Tensor]:
        session = self.sessions[name]
        outputs = session.run(None, {key: value.numpy() for key, value in inputs.items()})
        return {output.name: torch.from_numpy(value) for output, value in zip(session.get_outputs(), outputs)}

    def step(self, hidden, h, c, thresholds, **images) -> tuple[Step, torch.Tensor, torch.Tensor]:
        media = {f"media_{role}": self.run(f"vision_{role}", image=image)["media"] for role, image in images.items()}
        gates = self.run("head_state", h=h)["gates"]
        deltas, before = [], None
        for exit, threshold in enumerate([*thresholds, float("inf")]):
            stage = self.run(f"stage_{exit:02}", hidden=hidden, **media)
            head = self.run("head", feature=stage["feature"], gates=gates, c=c)
            deltas.append(delta(head["arm"][-1], head["arm"][0] if before is None else before))
            hidden, before = stage["hidden_next"], head["arm"][-1]
            if deltas[-1] <= threshold:
                break
        step = Step(exit, tuple(deltas), head["arm"][-1], head["gripper"][-1])
        return step, head["h_next"], head["c_next"]


@pytest.fixture(scope="module")
def graphs():
    return Graphs()


def test_the_graphs_give_the_golden_outputs(graphs, golden):
    eyes = ("vision_static", "vision_gripper")
    for part in (*eyes, "embed", *(f"stage_{k:02}" for k in range(6)), "head_state", "head"):
        inputs = {name.split(".")[-1]: value for name, value in golden.items() if name.startswith(f"{part}.in.")}
        for name, found in graphs.run(part, **inputs).items():
            torch.testing.assert_close(found, golden[f"{part}.out.{name}"], atol=1e-4, rtol=0)


def test_the_graphs_take_the_golden_exits_and_actions(graphs, golden, instructions, thresholds, ids):
    for index in range(STEPS):
        if str(index) in instructions:
            hidden = graphs.run("embed", ids=ids(instructions[str(index)]))["hidden"]
            h = c = torch.zeros(4, 1, 32)
        images = {camera.role: preprocess(golden[f"rollout.{camera.role}"][index].numpy(), camera)
                  for camera in CONFIG.cameras}  # fmt: skip
        step, h, c = graphs.step(hidden, h, c, thresholds, **images)
        assert step.exit == golden["rollout.exit"][index]
        visited = golden["rollout.deltas"][index][: step.exit + 1]
        torch.testing.assert_close(torch.tensor(step.deltas), visited, atol=1e-4, rtol=0)
        torch.testing.assert_close(step.arm, golden["rollout.arm"][index], atol=1e-4, rtol=0)
        torch.testing.assert_close(step.gripper, golden["rollout.gripper_open"][index], atol=1e-4, rtol=0)
    torch.testing.assert_close(h, golden["rollout.h"], atol=1e-4, rtol=0)
    torch.testing.assert_close(c, golden["rollout.c"], atol=1e-4, rtol=0)


def test_the_script_still_makes_the_weights_that_stand_in_the_tree(policy, golden):
    feature, h, c = (golden[name] for name in ("head.in.feature", "head_state.in.h", "head.in.c"))
    torch.testing.assert_close(policy.head(feature, h, c)[0], golden["head.out.arm"], atol=1e-4, rtol=0)
    for k, stage in enumerate(policy.stages):
        media = torch.cat([golden[f"stage_{k:02}.in.media_{role}"] for role in ("static", "gripper")], dim=1)
        found = stage(golden[f"stage_{k:02}.in.hidden"], media)[1]
        torch.testing.assert_close(found, golden[f"stage_{k:02}.out.feature"][-1:], atol=1e-4, rtol=0)


def test_the_golden_rollout_takes_every_exit_and_marks_those_not_visited(golden, instructions):
    exits, deltas = golden["rollout.exit"], golden["rollout.deltas"]
    assert set(exits.tolist()) == set(range(6))
    assert list(instructions) == ["0", "20"]
    for exit, row in zip(exits.tolist(), deltas):
        assert (row[: exit + 1] >= 0).all() and (row[exit + 1 :] == -1).all()


def test_a_delta_near_its_threshold_is_refused():
    step = Step(0, (0.10005,), torch.zeros(6), torch.zeros(1))
    with pytest.raises(ValueError, match=r"step 0, exit 0: delta 0.100050 is within 0.0001 of its threshold 0.1"):
        refuse_close_calls([step], [0.1])


def test_actions_are_alive_and_centred_on_pictures_never_seen(policy, thresholds, ids):
    gated = GatedPolicy(policy, thresholds)
    steps = []
    for clip, text in enumerate(sentences()[50::90]):
        gated.begin(ids(text))
        steps += [gated.step(*images) for images in observations(30, FRESH_SEED + 10 * clip)]
    arms = torch.stack([step.arm for step in steps])
    assert arms.std(0).min() > 0.1 and arms.std(0).max() < 0.5
    assert arms.mean(0).abs().max() < 0.25
    assert (arms.abs() > 0.95).float().mean() < 0.01
    grippers = torch.cat([step.gripper for step in steps])
    assert 0.2 < (grippers > 0.5).float().mean() < 0.8
    assert np.bincount([step.exit for step in steps], minlength=6).min() >= len(steps) // 30


def test_the_arm_keeps_moving_before_a_still_picture(policy, thresholds, ids):
    gated = GatedPolicy(policy, thresholds)
    gated.begin(ids("open the drawer"))
    images = observations(1, FRESH_SEED)[0]
    arms = torch.stack([gated.step(*images).arm for _ in range(90)])
    assert arms[30:].std(0).mean() > 0.1


def test_other_pictures_and_other_words_give_other_actions(policy, ids):
    first, second = observations(2, FRESH_SEED)[0], observations(2, FRESH_SEED + 500)[0]
    gated = GatedPolicy(policy, [-1.0] * 5)

    def act(text, images):
        gated.begin(ids(text))
        return gated.step(*images).arm

    plain = act("push the button", first)
    assert delta(act("push the button", second), plain) > 0.02
    assert delta(act("lift the red block", first), plain) > 0.02
    for camera in range(2):
        mixed = tuple((second if index == camera else first)[index] for index in range(2))
        assert delta(act("push the button", mixed), plain) > 0.01


def test_the_tokenizer_has_ids_for_any_text_and_one_for_each_special(ids):
    tokenizer = Tokenizer.from_file(str(BUNDLE / "tokenizer.json"))
    assert tokenizer.get_vocab_size() == CONFIG.vocabulary
    text = "Öffne die Schublade, 引き出し 7!"
    assert tokenizer.decode(tokenizer.encode(text).ids) == text
    found = [tokenizer.id_to_token(i) for i in ids("  push the button \n")[0].tolist()]
    assert found == ["<image>", "push", "Ġthe", "Ġbutton", "<|endofchunk|>", "<|endoftext|>"]
    assert tokenizer.token_to_id("<PAD>") is not None
    assert ids("push " * 100).shape == (1, 32)


def test_the_tokenizer_in_the_tree_is_the_one_the_script_makes():
    made = make_tokenizer(CONFIG.vocabulary, sentences()).to_str(pretty=True)
    assert json.loads(made) == json.loads((BUNDLE / "tokenizer.json").read_text())


def test_bundle_and_golden_file_are_small():
    assert sum(file.stat().st_size for file in BUNDLE.iterdir()) <= 2_000_000
    assert GOLDEN.stat().st_size <= 1_500_000
