"""A training run: who learns how fast, where it goes on, what it leaves."""

import dataclasses
import json
import shutil
import sys

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from safetensors import safe_open
from safetensors.torch import load_file, save_file

from deer_lab import errors, train
from deer_lab.config import CONFIGS
from deer_lab.data.aids import Aids
from deer_lab.data.segment import DataError, Segment
from deer_lab.data.shards import write_shard
from deer_lab.data.windows import Windows
from deer_lab.embodiment import CALVIN
from deer_lab.latents import keep_latents
from deer_lab.losses import Objective, Trainee
from deer_lab.model import Policy
from deer_lab.pictures import normalised, shifted
from deer_lab.reference import preprocess
from deer_lab.runs import read_tokenizer
from deer_lab.settings import Settings, parameter_groups, rate
from deer_lab.tokenizer import make_tokenizer
from deer_lab.train import Run

SETTINGS = Settings("toy", "joint", steps=4, batch=2, window=3, warmup=2, lr=1e-3, head_lr=1e-3)


@pytest.fixture(scope="module")
def shards(tmp_path_factory):
    return make_shards(tmp_path_factory.mktemp("shards"), CONFIGS["toy"].cameras)


def make_shards(folder, cameras) -> list:
    random = np.random.default_rng(0)
    for number in range(2):
        segments = [
            Segment(
                text,
                {role: list(random.integers(0, 256, (6, 64, 64, 3), dtype=np.uint8)) for role in ("static", "gripper")},
                random.uniform(0, 0.02, (6, 6)),
                random.uniform(0, 0.04, 6),
                Aids(random.normal(size=(6, 4)).astype(np.float32)),
            )
            for text in ("open the drawer", "push the red block left")
        ]
        write_shard(iter(segments), cameras, CALVIN, folder / f"{number}.safetensors")
    return sorted(folder.iterdir())


def run(shards, out, init=None, objective=None, init_part="all", **changes) -> Run:
    made = Run(dataclasses.replace(SETTINGS, **changes), objective or Objective(), shards, out, init, init_part)
    made.train(save_every=2, validate_every=2)
    return made


def weights(out) -> dict:
    return load_file(out / "policy.safetensors")


def test_a_run_that_was_stopped_ends_like_one_that_was_not(shards, tmp_path, monkeypatch):
    run(shards, tmp_path / "whole")
    save = Run.save

    def save_and_stop(self):
        save(self)
        raise KeyboardInterrupt

    monkeypatch.setattr(Run, "save", save_and_stop)
    with pytest.raises(KeyboardInterrupt):
        run(shards, tmp_path / "halves")
    monkeypatch.setattr(Run, "save", save)
    resumed = run(shards, tmp_path / "halves")
    assert resumed.step == 4
    whole, halves = weights(tmp_path / "whole"), weights(tmp_path / "halves")
    assert all(torch.equal(whole[name], halves[name]) for name in whole)


def test_a_finished_run_is_trained_further_as_if_it_had_been_asked_for_more_steps_at_first(shards, tmp_path):
    run(shards, tmp_path / "whole")
    run(shards, tmp_path / "further", steps=2)
    assert run(shards, tmp_path / "further").step == 4
    whole, further = weights(tmp_path / "whole"), weights(tmp_path / "further")
    assert all(torch.equal(whole[name], further[name]) for name in whole)
    run(shards, tmp_path / "cosine", steps=2, schedule="cosine")
    with pytest.raises(ValueError, match="other settings"):
        run(shards, tmp_path / "cosine", schedule="cosine")


def test_a_run_does_not_go_on_from_other_weights_than_it_began_with(shards, tmp_path):
    run(shards, tmp_path / "joint", steps=2)
    run(shards, tmp_path / "head", tmp_path / "joint", stage="head", steps=2)
    run(shards, tmp_path / "head", tmp_path / "joint", stage="head")
    run(shards, tmp_path / "joint")
    with pytest.raises(ValueError, match=r"other weights to learn from \(init\)"):
        run(shards, tmp_path / "head", tmp_path / "joint", stage="head")


def test_a_teacher_that_would_see_or_read_something_else_is_refused(shards, tmp_path):
    run(shards, tmp_path / "one")
    run(shards, tmp_path / "other", seed=1)
    one, other = (str(tmp_path / name) for name in ("one", "other"))
    run(shards, tmp_path / "taught", tmp_path / "one", stage="head", teacher=one)
    shutil.copytree(tmp_path / "one", tmp_path / "half")
    half = {name: value.half() for name, value in weights(tmp_path / "one").items()}
    save_file(half, tmp_path / "half" / "policy.safetensors", {"config": "toy"})
    run(shards, tmp_path / "first", tmp_path / "half", stage="head", teacher=str(tmp_path / "half"))
    run(shards, tmp_path / "second", tmp_path / "first", stage="head", teacher=str(tmp_path / "half"))
    with pytest.raises(ValueError, match="another vision"):
        run(shards, tmp_path / "out", tmp_path / "one", stage="head", teacher=other)
    with pytest.raises(ValueError, match="in the stage joint"):
        run(shards, tmp_path / "joint", tmp_path / "one", teacher=one)
    make_tokenizer(CONFIGS["toy"].vocabulary, ["lift"]).save(f"{one}/tokenizer.json")
    with pytest.raises(ValueError, match="another tokenizer"):
        run(shards, tmp_path / "out", tmp_path / "other", stage="head", teacher=one)


def test_a_checkpoint_has_every_weight_of_an_lstm_whose_weights_share_a_buffer_as_on_a_gpu(shards, tmp_path):
    made = Run(SETTINGS, Objective(), shards, tmp_path)
    for lstm in made.trainee.policy.head.lstms:
        weights = list(lstm.parameters())
        shared = torch.cat([weight.data.flatten() for weight in weights])
        for weight, part in zip(weights, shared.split([weight.numel() for weight in weights])):
            weight.data = part.view_as(weight)
    made.save()
    assert load_file(tmp_path / "checkpoint" / "model.safetensors").keys() == made.trainee.state_dict().keys()


def test_a_runs_errors_are_those_of_its_actions_on_every_held_out_window(shards, tmp_path):
    made = run(shards, tmp_path)
    policy = Policy.of_run(tmp_path)
    found = errors.errors(policy, tmp_path, shards, window=3)
    windows = Windows(keep_latents(tmp_path, policy.config, shards, made.accelerator), ["media"], 3)
    wrong = np.zeros((6, 2))
    for index in range(len(windows)):
        window = windows[index]
        ids, mask = (x[[window["instruction"]]] for x in (made.prompts[0].ids, made.prompts[0].mask))
        for number, feature in enumerate(features_of(policy, window["media"].float(), ids, mask)):
            with torch.no_grad():
                arm, logit = policy.head.window(feature[None])
            wanted = torch.as_tensor(window["actions"])
            wrong[number, 0] += float((arm[0] - wanted[:, :6]).abs().mean())
            wrong[number, 1] += float(((logit[0, :, 0] > 0) != (wanted[:, 6] > 0.5)).float().mean())
    np.testing.assert_allclose(np.transpose([found["arm"], found["gripper"]]), wrong / len(windows), atol=1e-5)


def features_of(policy, media, ids, mask):
    """Per exit (T, W), each frame by itself."""
    found = []
    with torch.no_grad():
        for frame in media:
            hidden, features = policy.embed(ids), []
            for stage in policy.stages:
                hidden, feature, *_ = stage(hidden, frame[None], mask)
                features.append(feature[0])
            found.append(torch.stack(features))
    return torch.stack(found, dim=1)


def test_a_run_that_is_not_there_is_named(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["errors", str(tmp_path / "nothing"), "--data", str(tmp_path)])
    assert errors.main() == 2
    assert "nothing/policy.safetensors" in capsys.readouterr().err


def test_a_run_leaves_what_export_and_a_reader_need(shards, tmp_path):
    run(shards, tmp_path)
    names = {path.name for path in tmp_path.iterdir()}
    assert names >= {"policy.safetensors", "auxiliary.safetensors", "tokenizer.json", "train.json", "losses.png"}
    Policy(CONFIGS["toy"]).load_state_dict(weights(tmp_path))
    entries = [json.loads(line) for line in (tmp_path / "losses.jsonl").read_text().splitlines()]
    assert [entry["step"] for entry in entries if "validation" in entry] == [2, 4]
    assert len(entries[-1]["validation"]["arm"]) == 6
    assert list((tmp_path / "tensorboard").iterdir())


def test_the_head_stage_leaves_the_backbone_as_it_was(shards, tmp_path):
    run(shards, tmp_path / "joint")
    run(shards, tmp_path / "head", init=tmp_path / "joint", stage="head")
    before, after = weights(tmp_path / "joint"), weights(tmp_path / "head")
    changed = {name.split(".")[0] for name in before if not torch.equal(before[name], after[name])}
    assert changed == {"head"}


def test_what_an_earlier_run_lacks_starts_anew_and_a_run_of_another_configuration_is_refused(
    shards, tmp_path, monkeypatch, capsys
):
    run(shards, tmp_path / "plain")
    pointed = dataclasses.replace(CONFIGS["toy"], encoder=dataclasses.replace(CONFIGS["toy"].encoder, keypoints=2))
    monkeypatch.setitem(CONFIGS, "pointed", pointed)
    run(shards, tmp_path / "pointed", init=tmp_path / "plain", config="pointed")
    assert "lacks vision.encoders.0.keypoints.which and 17 more tensors" in capsys.readouterr().err
    with pytest.raises(ValueError, match="another configuration: it has vision"):
        run(shards, tmp_path / "back", init=tmp_path / "pointed")


def test_a_run_goes_on_with_pictures_of_other_sizes(shards, tmp_path, monkeypatch):
    run(shards, tmp_path / "small")
    cameras = tuple(dataclasses.replace(camera, size=2 * camera.size) for camera in CONFIGS["toy"].cameras)
    monkeypatch.setitem(CONFIGS, "large", dataclasses.replace(CONFIGS["toy"], cameras=cameras))
    folder = tmp_path / "large_shards"
    folder.mkdir()
    large = make_shards(folder, cameras)
    run(large, tmp_path / "large", init=tmp_path / "small", config="large", stage="language")
    before, after = weights(tmp_path / "small"), weights(tmp_path / "large")
    seen = {name for name in before if name.startswith("vision.")}
    resized = {name for name in seen if before[name].shape != after[name].shape}
    assert resized == {"vision.encoders.0.position", "vision.encoders.1.position"}
    assert all(torch.equal(before[name], after[name]) for name in seen - resized)
    for name in resized:
        torch.testing.assert_close(after[name].mean(0), before[name].mean(0), atol=1e-2, rtol=0)


def with_state(shards, folder):
    """Copies of `shards` in `folder` that know a true state."""
    for shard in shards:
        with safe_open(shard, "pt") as file:
            tensors, about = {name: file.get_tensor(name) for name in file.keys()}, file.metadata()  # noqa: SIM118
        save_file(tensors | {"state": torch.rand(len(tensors["actions"]), 5)}, folder / shard.name, about)
    return [folder / shard.name for shard in shards]


def test_networks_of_other_depths_share_a_vision(shards, tmp_path, monkeypatch):
    run(shards, tmp_path / "joint")
    shallow = dataclasses.replace(CONFIGS["toy"], decoder=dataclasses.replace(CONFIGS["toy"].decoder, exits=(3,)))
    monkeypatch.setitem(CONFIGS, "shallow", shallow)
    run(shards, tmp_path / "shallow", init=tmp_path / "joint", init_part="vision", config="shallow", stage="language")
    before, after = weights(tmp_path / "joint"), weights(tmp_path / "shallow")
    assert all(torch.equal(value, before[name]) for name, value in after.items() if name.startswith("vision."))


def test_a_policy_begins_without_the_words_of_another(shards, tmp_path):
    run(shards, tmp_path / "joint")
    make_tokenizer(CONFIGS["toy"].vocabulary, ["quite other words"]).save(f"{tmp_path / 'joint'}/tokenizer.json")
    changes = {"init": tmp_path / "joint", "init_part": "wordless", "stage": "language", "steps": 0}
    before, after = (
        weights(tmp_path / "joint"),
        run(shards, tmp_path / "wordless", **changes).trainee.policy.state_dict(),
    )
    assert [name for name in before if not torch.equal(before[name], after[name])] == ["embed.table.weight"]
    assert read_tokenizer(tmp_path / "wordless").to_str() != read_tokenizer(tmp_path / "joint").to_str()


def test_a_vision_can_learn_on_under_a_policy_that_stays_as_it_was(shards, tmp_path):
    shards = with_state(shards, tmp_path)
    run(shards, tmp_path / "joint")
    run(shards, tmp_path / "vision", init=tmp_path / "joint", stage="vision")
    run(shards, tmp_path / "head", init=tmp_path / "vision", stage="head")
    joint, vision, head = (weights(tmp_path / name) for name in ("joint", "vision", "head"))
    changed = {name.split(".")[0] for name in joint if not torch.equal(joint[name], vision[name])}
    assert changed == {"vision"}
    assert {name.split(".")[0] for name in joint if not torch.equal(vision[name], head[name])} == {"head"}


def test_a_vision_that_does_not_learn_runs_once_over_the_demonstrations(shards, tmp_path):
    run(shards, tmp_path / "joint")
    made = run(shards, tmp_path / "language", init=tmp_path / "joint", stage="language")
    before, after = weights(tmp_path / "joint"), weights(tmp_path / "language")
    changed = {".".join(name.split(".")[:1]) for name in before if not torch.equal(before[name], after[name])}
    assert changed == {"embed", "stages", "head"}
    policy = Policy(CONFIGS["toy"])
    policy.load_state_dict(before)
    shown = Windows(shards[1:], ["static", "gripper"], 3)[2]
    images = [normalised(shown[camera.role][None], camera) for camera in CONFIGS["toy"].cameras]
    torch.testing.assert_close(made.windows[2]["media"].float(), policy.vision(*images), atol=2e-3, rtol=2e-3)


def test_training_lowers_the_loss(shards, tmp_path):
    made = Run(dataclasses.replace(SETTINGS, steps=40, lr=3e-3, head_lr=3e-3), Objective(), shards, tmp_path)
    batch = torch.utils.data.default_collate([made.windows[i] for i in (0, 3)])
    losses = []
    for _ in range(40):
        losses.append(sum(made.learn(*made.batch(dict(batch), augment=False)).values()))
    assert np.mean(losses[-5:]) < 0.7 * np.mean(losses[:5])


def test_another_runs_folder_is_refused(shards, tmp_path):
    run(shards, tmp_path)
    with pytest.raises(ValueError, match=r"of a run with other settings .*\(lr\): name another --out"):
        run(shards, tmp_path, lr=1e-5)


def test_the_vision_stage_needs_the_true_state(tmp_path):
    segment = Segment(
        "go", {r: [np.zeros((9, 9, 3), np.uint8)] * 3 for r in ("static", "gripper")}, np.zeros((3, 6)), np.zeros(3)
    )
    write_shard(iter([segment]), CONFIGS["toy"].cameras, CALVIN, tmp_path / "0.safetensors")
    with pytest.raises(DataError, match="true state"):
        Run(dataclasses.replace(SETTINGS, stage="vision"), Objective(), [tmp_path / "0.safetensors"], tmp_path / "out")


def test_only_cross_attention_matrices_decay_and_the_heads_have_their_own_rate():
    trainee = Trainee(Policy(CONFIGS["toy"]), Objective())
    trainee.enter("joint")
    names = {id(parameter): name for name, parameter in trainee.named_parameters()}
    decays, plain, heads = parameter_groups(trainee, Settings("toy", "joint", 1))
    assert all(".cross." in names[id(p)] and p.dim() == 2 for p in decays["params"])
    assert len(decays["params"]) == 12 * 5  # to_q, to_kv, to_out and two of the feed-forward, in 12 layers
    assert {names[id(p)].split(".")[0] for p in heads["params"]} == {"auxiliary", "policy"}
    assert (decays["weight_decay"], plain["weight_decay"], heads["lr"]) == (0.1, 0.0, 2.5e-5)
    assert sum(len(group["params"]) for group in (decays, plain, heads)) == len(list(trainee.parameters()))


def test_the_rate_warms_up_and_then_stays_or_falls():
    constant = Settings("toy", "joint", steps=100, warmup=10)
    assert [rate(step, constant) for step in (0, 4, 9, 99)] == [0.1, 0.5, 1.0, 1.0]
    cosine = dataclasses.replace(constant, schedule="cosine")
    assert rate(50, cosine) == pytest.approx(0.5)
    assert rate(99, cosine) < 0.001


def test_a_window_is_shifted_as_one_and_its_border_repeated():
    torch.manual_seed(0)
    pictures = torch.arange(8, dtype=torch.uint8)[None, None, :, None, None].expand(50, 2, 8, 8, 3)
    moved, _ = shifted(pictures, 2)
    assert torch.equal(moved[:, 0], moved[:, 1])
    seen = {tuple(rows.tolist()) for rows in moved[:, 0, :, 0, 0]}
    assert seen == {tuple(min(7, max(0, row + by)) for row in range(8)) for by in range(-2, 3)}


def test_what_is_on_a_shifted_picture_is_said_to_be_where_it_went():
    torch.manual_seed(0)
    pictures = torch.zeros(50, 1, 8, 8, 3)
    pictures[:, :, 3, 4] = 1  # its middle is an eighth right of the picture's and an eighth above it
    moved, went = shifted(pictures, 2)
    window, _, row, column = moved[..., 0].nonzero().T
    place = torch.stack((column, row), dim=-1) / 4 - 7 / 8
    assert torch.allclose(torch.tensor([1 / 8, -1 / 8]) + went[window, 0, 0], place)


def test_pictures_are_normalised_as_on_the_robot():
    camera = CONFIGS["toy"].cameras[0]
    picture = np.random.default_rng(0).integers(0, 256, (camera.size, camera.size, 3), dtype=np.uint8)
    found = normalised(torch.from_numpy(picture)[None, None], camera)
    assert torch.allclose(found, preprocess(picture, camera), atol=1e-6)


def test_the_command_line_says_what_is_wrong(tmp_path, capsys, monkeypatch):
    arguments = ["train", "--config", "toy", "--stage", "joint", "--steps", "1", "--data", str(tmp_path)]
    monkeypatch.setattr(sys, "argv", [*arguments, "--out", str(tmp_path / "out")])
    assert train.main() == 2
    assert "no rosbag here" in capsys.readouterr().err


def test_weights_without_their_auxiliary_heads_can_be_trained_on(shards, tmp_path):
    run(shards, tmp_path / "joint")
    (tmp_path / "joint" / "auxiliary.safetensors").unlink()
    made = Run(SETTINGS, Objective(), shards, tmp_path / "more", tmp_path / "joint")
    own, auxiliary = made.trainee.policy.head.state_dict(), made.trainee.auxiliary[2].state_dict()
    assert all(torch.equal(own[name], auxiliary[name]) for name in own)
