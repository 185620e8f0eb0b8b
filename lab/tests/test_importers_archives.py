"""What the importer reads from which file, in whatever layout; a file that would run a program is refused by name."""

import json
import os
import pickle
import zipfile

import pytest

torch = pytest.importorskip("torch")

from checkpoint import changed, read, refusal, state_of
from safetensors.torch import save_file
from torch import nn

from deer_lab.importers import deer
from deer_lab.importers.archives import CheckpointError, open_archive
from deer_lab.importers.pieces import part_maker
from deer_lab.importers.synthetic import block_shapes, save, write_openflamingo


class Evil:
    def __reduce__(self):
        return os.system, ("true",)


def test_a_checkpoint_that_would_run_a_program_is_refused_by_name(small_3b, tmp_path):
    words = changed(small_3b, tmp_path, lambda content: content.update(epoch=Evil()), "evil.pth")
    assert "evil.pth is refused: it wants to use posix.system" in refusal(small_3b, words)


def test_a_language_model_that_would_run_a_program_is_refused_by_name(tmp_path):
    torch.save({"transformer.wte.weight": Evil()}, tmp_path / "pytorch_model.bin")
    with pytest.raises(CheckpointError, match=r"pytorch_model.bin is refused: it wants to use posix\.system"):
        open_archive(tmp_path)


def test_a_torchscript_archive_that_would_run_a_program_is_refused_by_name(tmp_path):
    with zipfile.ZipFile(tmp_path / "ViT-L-14.pt", "w") as archive:
        archive.writestr("archive/data.pkl", pickle.dumps(Evil()))
        archive.writestr("archive/code/evil.py", "")
    with pytest.raises(CheckpointError, match=r"ViT-L-14.pt is refused: it wants to use posix\.system"):
        open_archive(tmp_path / "ViT-L-14.pt")


def test_a_file_cut_short_is_refused_by_name(small_3b, tmp_path):
    (tmp_path / "short.pth").write_bytes(small_3b.checkpoint.read_bytes()[:100_000])
    words = ["--checkpoint", str(tmp_path / "short.pth"), *small_3b.parts]
    assert "short.pth cannot be read" in refusal(small_3b, words)


class Scripted(nn.Module):
    """A module whose tensors have open_clip's names, to be written as a TorchScript archive in half precision."""

    def __init__(self, state):
        super().__init__()
        self.children_of(state)

    def children_of(self, state):
        for name, value in state.items():
            *path, last = name.split(".")
            module = self
            for step in path:
                if not hasattr(module, step):
                    module.add_module(step, nn.Module())
                module = getattr(module, step)
            module.register_parameter(last, nn.Parameter(value.half(), requires_grad=False))

    def forward(self, x):
        return x


def test_openais_torchscript_archive_gives_its_tensors_without_its_program(small_3b, tmp_path):
    state = torch.load(small_3b.folder / "ViT-L-14.pt", weights_only=True)
    torch.jit.save(torch.jit.trace(Scripted(state), torch.zeros(1)), tmp_path / "ViT-L-14.pt")
    archive = open_archive(tmp_path / "ViT-L-14.pt")
    assert archive.shapes == {name: tuple(value.shape) for name, value in state.items()}
    found = archive.read(state)
    assert all(torch.equal(found[name], value.half().float()) for name, value in state.items())


@pytest.mark.parametrize("prefix", ["vision_model.", ""])
def test_clip_in_transformers_layout_gives_the_same_vision(small_3b, tmp_path, prefix):
    wanted = part_maker((network := read(small_3b)).config, network.pieces)("vision")
    own = {name.removeprefix("encoders.0.clip."): value for name, value in wanted.state_dict().items()}
    own = {name.removeprefix("vision_model."): value for name, value in own.items() if "resampl" not in name}
    own = {prefix + name: value for name, value in own.items()}
    save_file(own | {"text_model.final": torch.zeros(2)}, tmp_path / "model.safetensors")
    words = [*small_3b.words, "--clip", str(tmp_path)]
    network = read(small_3b, words=words)
    found = part_maker(network.config, network.pieces)("vision").state_dict()
    assert all(torch.equal(found[name], value) for name, value in wanted.state_dict().items())


def without(word):
    """Takes the tensors away that have `word` in their names."""
    return lambda content: (
        content | {"model_state_dict": {key: value for key, value in state_of(content).items() if word not in key}}
    )


def test_a_language_model_in_several_files_serves_a_checkpoint_without_frozen_layers(small_3b, tmp_path):
    words = changed(small_3b, tmp_path, without("old_decoder_blocks"))
    size = small_3b.size
    shapes = block_shapes(size, 2 * size.layers, "transformer.blocks.") | {"transformer.wte.weight": (500, size.width)}
    half = dict(list(shapes.items())[: len(shapes) // 2])
    parts = {"a.bin": half, "b.bin": {name: shape for name, shape in shapes.items() if name not in half}}
    for number, (name, mine) in enumerate(parts.items()):
        save(tmp_path / name, mine, dict, number)
    index = {"weight_map": {name: file for file, mine in parts.items() for name in mine}}
    (tmp_path / "pytorch_model.bin.index.json").write_text(json.dumps(index))
    (tmp_path / "config.json").write_text((small_3b.folder / "language_model" / "config.json").read_text())
    network = read(small_3b, words=[*words, "--language-model", str(tmp_path)])
    last = f"transformer.blocks.{size.layers - 1}.mlp.mlp_down.weight"
    piece = network.pieces[f"stages.2.layers.{size.layers - 1}.block.down.weight"]
    assert piece.key == last
    wanted = torch.load(tmp_path / "b.bin" if last not in half else tmp_path / "a.bin", weights_only=True)[last]
    assert torch.equal(piece.archive.read([last])[last], wanted)


def test_openflamingos_file_serves_a_checkpoint_with_frozen_embeddings_and_nothing_else_of_it(small_3b, tmp_path):
    words = changed(small_3b, tmp_path, without(".wte."))
    (tmp_path / "language_model").mkdir()
    write_openflamingo(small_3b.size, tmp_path)
    network = read(small_3b, words=[*words, "--openflamingo", str(tmp_path / "openflamingo.pt")])
    from_there = {name for name, piece in network.pieces.items() if piece.archive.place == "openflamingo.pt"}
    assert from_there == {"embed.table.weight"}


def test_what_the_file_lacks_is_asked_for_by_name_and_place(small_3b, tmp_path, capsys):
    words = ["--checkpoint", str(small_3b.checkpoint), "--out", str(tmp_path / "out")]
    assert deer.main(words) == 1
    asked = capsys.readouterr().err
    assert "--clip: CLIP's vision encoder" in asked and "--tokenizer: the tokenizer, EleutherAI/gpt-neox-20b" in asked
    assert "--openflamingo" not in asked and "--language-model" not in asked
    words = changed(small_3b, tmp_path, without(".wte."))
    assert "--openflamingo: embeddings and resampler" in refusal(small_3b, words)


def test_without_a_language_model_a_width_of_no_published_one_is_not_guessed(small_3b):
    words = ["--checkpoint", str(small_3b.checkpoint), *small_3b.parts[:4]]
    assert "--language-model: the language model's folder" in refusal(small_3b, words)
