"""What the importer takes from which file, and what it refuses by name."""

import json
import os
import pickle
import zipfile

import pytest

torch = pytest.importorskip("torch")

from deer_reference import Reference
from safetensors.torch import save_file
from tokenizers import Tokenizer
from torch import nn

from deer_lab.config import CONFIGS, config_text, find_config
from deer_lab.importers import deer
from deer_lab.importers.archives import Archive, CheckpointError, open_archive
from deer_lab.importers.language import EMBEDDINGS, find_language_model, read_language_model
from deer_lab.importers.names import UNUSED_OF_CLIP, HeadNames
from deer_lab.importers.pieces import Source, find_pieces, part_maker
from deer_lab.importers.prompts import published_tokenizer
from deer_lab.importers.settings import (
    exits_of,
    policy_config,
    read_clip,
    read_decoder,
    read_head,
    read_resampler,
)
from deer_lab.importers.synthetic import (
    SIZES,
    block_shapes,
    clip_shapes,
    deer_shapes,
    make_published_tokenizer,
    save,
    write_openflamingo,
)


def read(files, *more, words=None):
    """The network of a command line, without writing."""
    args = deer.arguments().parse_args([*(words or files.words), "--out", "unused", *more])
    return deer.read_checkpoint(args, lambda text: said.append(text))[0]


said: list[str] = []


@pytest.fixture(autouse=True)
def nothing_said():
    said.clear()


def changed(files, tmp_path, change, name="deer.pth"):
    """The words of a command line whose checkpoint was changed."""
    content = torch.load(files.checkpoint, weights_only=True)
    content = change(content) or content
    torch.save(content, tmp_path / name)
    return ["--checkpoint", str(tmp_path / name), *files.parts]


def refusal(files, words):
    with pytest.raises(CheckpointError) as caught:
        read(files, words=words)
    return str(caught.value)


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


def test_a_language_model_in_several_files_serves_a_checkpoint_without_frozen_layers(small_3b, tmp_path):
    def without(content):
        state = content["model_state_dict"]
        return content | {"model_state_dict": {k: v for k, v in state.items() if "old_decoder_blocks" not in k}}

    words = changed(small_3b, tmp_path, without)
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
    def without(content):
        state = state_of(content)
        return content | {"model_state_dict": {k: v for k, v in state.items() if ".wte." not in k}}

    words = changed(small_3b, tmp_path, without)
    write_openflamingo(small_3b.size, tmp_path_with_language_model(tmp_path))
    network = read(small_3b, words=[*words, "--openflamingo", str(tmp_path / "openflamingo.pt")])
    from_there = {name for name, piece in network.pieces.items() if piece.archive.place == "openflamingo.pt"}
    assert from_there == {"embed.table.weight"}


def tmp_path_with_language_model(folder):
    (folder / "language_model").mkdir()
    return folder


def test_what_the_file_lacks_is_asked_for_by_name_and_place(small_3b, tmp_path, capsys):
    words = ["--checkpoint", str(small_3b.checkpoint), "--out", str(tmp_path / "out")]
    assert deer.main(words) == 1
    asked = capsys.readouterr().err
    assert "--clip: CLIP's vision encoder" in asked and "--tokenizer: the tokenizer, EleutherAI/gpt-neox-20b" in asked
    assert "--openflamingo" not in asked and "--language-model" not in asked
    words = changed(
        small_3b,
        tmp_path,
        lambda c: {**c, "model_state_dict": {k: v for k, v in c["model_state_dict"].items() if ".wte." not in k}},
    )
    assert "--openflamingo: embeddings and resampler" in refusal(small_3b, words)


def test_without_a_language_model_a_width_of_no_published_one_is_not_guessed(small_3b):
    words = ["--checkpoint", str(small_3b.checkpoint), *small_3b.parts[:4]]
    assert "--language-model: the language model's folder" in refusal(small_3b, words)


def retell(entries):
    return lambda content: content.update(entries)


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ({"pooling": "avg"}, "pooling is 'avg'"),
        ({"head_type": "gaussian"}, "head_type is 'gaussian'"),
        ({"multi_exit": False}, "multi_exit is False"),
        ({"use_layerwise_projection": True}, "use_layerwise_projection is set"),
        ({"layerwise_projection_dict": {"a": 1}}, "layerwise_projection_dict is set"),
        ({"mlp_num_hidden_layers": 3}, "mlp_num_hidden_layers is 3, its tensors say 2"),
        ({"lstm_layernorm": False}, "lstm_layernorm is False, its tensors say True"),
        ({"early_exit_layer": 9}, "early_exit_layer is 9, but the file holds 6 layers"),
        ({"exit_interval": 1}, "from 1 on"),
    ],
)
def test_what_a_bundle_cannot_hold_is_refused_by_name(small_3b, tmp_path, entries, message):
    assert message in refusal(small_3b, changed(small_3b, tmp_path, retell(entries)))


def test_entries_that_are_not_there_are_taken_as_published_and_said(small_3b, tmp_path):
    def forget(content):
        del content["pooling"], content["lstm_dropout"], content["mlp_layernorm"]

    network = read(small_3b, words=changed(small_3b, tmp_path, forget))
    assert network.config.head.lstm_dropout == 0
    assert network.config.head.mlp_norm
    assert [text for text in said if "does not say pooling: 'max', as the published code takes it" in text]
    assert [text for text in said if "does not say mlp_layernorm: True, by its tensors" in text]


def test_a_name_that_means_another_network_is_refused_and_others_are_not_read(small_3b, tmp_path):
    words = changed(small_3b, tmp_path, lambda content: None, "stg=post_layer_99_intv=7_tcp_mpt_9b.pth")
    assert "'tcp' in a file's name means actions in the tool's frame" in refusal(small_3b, words)
    words = changed(small_3b, tmp_path, lambda content: None, "stg=post_layer_99_intv=7_mpt_9b.pth")
    assert read(small_3b, words=words).config == read(small_3b).config


def state_of(content):
    return content["model_state_dict"]


def test_missing_unknown_and_misshapen_keys_are_all_listed_ten_of_each(small_3b, tmp_path):
    def spoil(content):
        state = state_of(content)
        for key in [key for key in state if "perceiver.layers" in key][:12]:
            del state[key]
        state |= {f"module.surplus.{number:02}": torch.zeros(1) for number in range(11)}
        state["module.lang_encoder.old_decoder_blocks.3.ln_1.weight"] = torch.zeros(7)

    text = refusal(small_3b, changed(small_3b, tmp_path, spoil))
    missing, unknown, misshapen = text.splitlines()[1:]
    assert missing.startswith("  missing (12): perceiver.layers.0.0.") and missing.endswith("and 2 more")
    assert unknown.startswith("  unknown (11): surplus.00, ") and unknown.endswith("surplus.09 and 1 more")
    assert misshapen.endswith("lang_encoder.old_decoder_blocks.3.ln_1.weight is (7,), expected (48,)")


def test_an_alias_with_other_numbers_is_refused(small_9b, tmp_path):
    key = "lang_encoder.gated_cross_attn_layers.3.ff.1.weight"

    def part(content):
        state_of(content)[f"module.{key}"] = state_of(content)[f"module.{key}"] + 1

    text = refusal(small_9b, changed(small_9b, tmp_path, part))
    assert f"twice and different (1): {key}" in text


def test_a_cross_attention_at_another_layer_is_refused(small_9b, tmp_path):
    def move(content):
        state = state_of(content)
        for key in [key for key in state if "gated_cross_attn" in key and ".7." in key]:
            state[key.replace(".7.", ".6.")] = state.pop(key)

    text = refusal(small_9b, changed(small_9b, tmp_path, move))
    assert "lang_encoder.transformer.blocks.7.gated_cross_attn_layer.attn_gate" in text.splitlines()[1]
    assert "lang_encoder.gated_cross_attn_layers.6." in text.splitlines()[2]


def test_proprioception_is_an_unknown_key(small_3b, tmp_path):
    def sense(content):
        state_of(content)["module.extra_exit.embed_state.weight"] = torch.zeros(48, 96)

    assert "unknown (1): extra_exit.embed_state.weight" in refusal(small_3b, changed(small_3b, tmp_path, sense))


def test_gates_come_from_the_file(small_9b):
    network = read(small_9b)
    part = part_maker(network.config, network.pieces)("stage_01")
    state = torch.load(small_9b.checkpoint, weights_only=True)["model_state_dict"]
    for gate in ("attn_gate", "ff_gate"):
        wanted = state[f"module.lang_encoder.gated_cross_attn_layers.3.{gate}"]
        assert torch.equal(getattr(part.layers["3"].cross, gate), wanted) and wanted.abs() > 0.1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"d_model": 64}, "d_model is 64, expected 48"),
        ({"softmax_scale": 0.1}, "softmax_scale is 0.1, expected None"),
        ({"attn_clip_qkv": 8}, "clip_qkv is 8, expected None"),
        ({"no_bias": False}, "no_bias is False, expected True"),
        ({"alibi": False}, "alibi is False, expected True"),
        ({"attn_qk_ln": False}, "qk_ln is False, expected True"),
    ],
)
def test_a_language_model_that_computes_otherwise_is_refused(small_3b, tmp_path, change, message):
    config = json.loads((small_3b.folder / "language_model" / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(config | change))
    with pytest.raises(CheckpointError, match=message):
        read_language_model(tmp_path, 48, qk_norm=True)


def plain_head(content, places):
    """A head as older code built it: no norms, three hidden layers, its maps at `places`."""
    state, random = state_of(content), torch.Generator().manual_seed(4)
    for key in [key for key in state if "extra_exit." in key]:
        del state[key]
    shapes = {f"rnn.weight_ih_l{n}": (128, 32 if n else 48) for n in range(4)}
    shapes |= {f"rnn.weight_hh_l{n}": (128, 32) for n in range(4)}
    shapes |= {f"rnn.bias_{kind}_l{n}": (128,) for n in range(4) for kind in ("ih", "hh")}
    for kind, outputs in (("actions", 6), ("gripper", 1)):
        widths = (32, 48, 24, 12, outputs)
        for place, before, after in zip(places, widths, widths[1:]):
            shapes |= {f"{kind}.mlp.{place}.weight": (after, before), f"{kind}.mlp.{place}.bias": (after,)}
    state |= {f"module.extra_exit.{key}": 0.3 * torch.randn(shape, generator=random) for key, shape in shapes.items()}
    content.update(mlp_num_hidden_layers=3, mlp_layernorm=False, lstm_layernorm=False, dropout_mode="wo_last")


@torch.no_grad()
@pytest.mark.parametrize("places", [(1, 4, 7, 9), (0, 2, 4, 6), (1, 5, 9, 13)])
def test_a_head_without_norms_is_found_whatever_stands_between_its_maps(small_3b, tmp_path, places):
    words = changed(small_3b, tmp_path, lambda content: plain_head(content, places))
    network = read(small_3b, words=words)
    head = part_maker(network.config, network.pieces)("head").eval()
    state = state_of(torch.load(tmp_path / "deer.pth", weights_only=True))
    reference = Reference({key.removeprefix("module."): value for key, value in state.items()}, {}, 6)
    feature = torch.randn(48)
    arm, gripper, h, _ = head(feature[None], torch.zeros(4, 1, 32), torch.zeros(4, 1, 32))
    wanted_arm, wanted_gripper, after = reference.head(feature, reference.clear())
    torch.testing.assert_close(arm[0], wanted_arm)
    torch.testing.assert_close(gripper[0], wanted_gripper)
    torch.testing.assert_close(h[:, 0], torch.stack([pair[0] for pair in after]))
    assert network.config.head.mlp == (48, 24, 12)


def test_the_published_language_models_bring_their_licences():
    for size, licence in (("3b", "CC-BY-SA-3.0"), ("9b", "Apache-2.0")):
        shapes = {EMBEDDINGS: (50280, SIZES[size].width)} | block_shapes(SIZES[size], 1, "transformer.blocks.")
        shapes |= {"visual.transformer.resblocks.0.ln_1.weight": (1024,)}
        model = find_language_model(None, shapes, said.append)
        assert (model.license, model.heads) == (licence, SIZES[size].heads)
        assert "taken for mosaicml/mpt-" in said[-1]


def test_heads_and_slopes_are_the_language_models(small_3b, small_9b):
    for files, interleaved in ((small_3b, False), (small_9b, True)):
        decoder = read(files).config.decoder
        assert (decoder.heads, decoder.alibi_bias_max, decoder.alibi_interleaved) == (6, 8, interleaved)


@pytest.mark.parametrize(("name", "number"), [("openflamingo_3b", "3b"), ("openflamingo_9b", "9b")])
def test_the_published_files_are_the_named_configurations_key_by_key(name, number):
    """Shapes alone: the layout at full size, every parameter found and no key left."""
    size = SIZES[number]
    files, eye = deer_shapes(size), clip_shapes(size)
    entries = {"early_exit_layer": size.layers - 1, "exit_interval": 2, "lstm_dropout": 0.3, "exit_dropout": 0.4}
    model = find_language_model(None, files | eye, said.append)
    config = policy_config(
        files[EMBEDDINGS][0],
        read_clip(eye, ""),
        read_resampler(files, ""),
        read_decoder(files, exits_of(entries, size.layers), "", model),
        read_head(entries, files, "", said.append),
    )
    assert config == CONFIGS[name]
    sources = [Source(Archive("deer", files, None)), Source(Archive("clip", eye, None), UNUSED_OF_CLIP)]
    assert len(find_pieces(config, sources, HeadNames.of(files, "extra_exit."))) > 400


def test_a_configuration_is_its_name_or_reads_back_from_its_text(small_9b):
    config = read(small_9b).config
    assert find_config(config_text(config)) == config
    assert config_text(CONFIGS["openflamingo_9b"]) == "openflamingo_9b"


def test_three_tokens_are_added_in_the_published_order(small_3b):
    tokenizer = published_tokenizer(small_3b.folder / "gpt-neox-20b", 420)
    assert [tokenizer.token_to_id(t) for t in ("<|endofchunk|>", "<image>", "<PAD>")] == [417, 418, 419]
    ids = tokenizer.encode("<image>open the drawer<|endofchunk|><|endoftext|>", add_special_tokens=False).ids
    plain = make_published_tokenizer(417).encode("open the drawer").ids
    assert ids == [418, *plain, 417, 0]


def test_the_full_vocabulary_has_the_published_ids(tmp_path):
    make_published_tokenizer(50277).save(str(tmp_path / "tokenizer.json"))
    tokenizer = published_tokenizer(tmp_path, 50280)
    assert tokenizer.encode("<|endofchunk|><image><PAD><|endoftext|>").ids == [50277, 50278, 50279, 0]


def test_another_tokenizer_is_refused(small_3b, tmp_path):
    Tokenizer.from_file(str(small_3b.folder / "gpt-neox-20b" / "tokenizer.json"))
    make_published_tokenizer(400).save(str(tmp_path / "tokenizer.json"))
    with pytest.raises(CheckpointError, match=r"has 400 tokens; the checkpoint embeds 420, which is 417"):
        published_tokenizer(tmp_path, 420)
    published_tokenizer(small_3b.folder / "gpt-neox-20b", 420).save(str(tmp_path / "tokenizer.json"))
    with pytest.raises(CheckpointError, match=r"<\|endofchunk\|> among them"):
        published_tokenizer(tmp_path, 420)
