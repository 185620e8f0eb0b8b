"""Every key of a checkpoint finds its place in the network, and one that has none is named."""

import pytest

torch = pytest.importorskip("torch")

from checkpoint import changed, read, refusal, state_of
from deer_reference import Reference

from deer_lab.importers.pieces import part_maker


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
