"""How the network computes, by what its files say and by the shapes of their tensors."""

import json

import pytest

torch = pytest.importorskip("torch")

from checkpoint import changed, read, refusal

from deer_lab.config import CONFIGS, config_text, find_config
from deer_lab.importers.archives import Archive, CheckpointError
from deer_lab.importers.language import EMBEDDINGS, find_language_model, read_language_model
from deer_lab.importers.names import UNUSED_OF_CLIP, HeadNames
from deer_lab.importers.pieces import Source, find_pieces
from deer_lab.importers.settings import exits_of, policy_config, read_clip, read_decoder, read_head, read_resampler
from deer_lab.importers.synthetic import SIZES, block_shapes, clip_shapes, deer_shapes


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
    assert message in refusal(small_3b, changed(small_3b, tmp_path, lambda content: content.update(entries)))


def test_entries_that_are_not_there_are_taken_as_published_and_said(small_3b, tmp_path):
    def forget(content):
        del content["pooling"], content["lstm_dropout"], content["mlp_layernorm"]

    said = []
    network = read(small_3b, words=changed(small_3b, tmp_path, forget), say=said.append)
    assert network.config.head.lstm_dropout == 0
    assert network.config.head.mlp_norm
    assert [text for text in said if "does not say pooling: 'max', as the published code takes it" in text]
    assert [text for text in said if "does not say mlp_layernorm: True, by its tensors" in text]


def test_a_name_that_means_another_network_is_refused_and_others_are_not_read(small_3b, tmp_path):
    words = changed(small_3b, tmp_path, lambda content: None, "stg=post_layer_99_intv=7_tcp_mpt_9b.pth")
    assert "'tcp' in a file's name means actions in the tool's frame" in refusal(small_3b, words)
    words = changed(small_3b, tmp_path, lambda content: None, "stg=post_layer_99_intv=7_mpt_9b.pth")
    assert read(small_3b, words=words).config == read(small_3b).config


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


def test_the_published_language_models_bring_their_licences():
    said = []
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
    model = find_language_model(None, files | eye, print)
    config = policy_config(
        files[EMBEDDINGS][0],
        read_clip(eye, ""),
        read_resampler(files, ""),
        read_decoder(files, exits_of(entries, size.layers), "", model),
        read_head(entries, files, "", print),
    )
    assert config == CONFIGS[name]
    sources = [Source(Archive("deer", files, None)), Source(Archive("clip", eye, None), UNUSED_OF_CLIP)]
    assert len(find_pieces(config, sources, HeadNames.of(files, "extra_exit."))) > 400


def test_a_configuration_is_its_name_or_reads_back_from_its_text(small_9b):
    config = read(small_9b).config
    assert find_config(config_text(config)) == config
    assert config_text(CONFIGS["openflamingo_9b"]) == "openflamingo_9b"
