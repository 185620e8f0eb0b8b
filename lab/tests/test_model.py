"""The network: its size against the published one, and what each piece does to what."""

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F

from deer_lab.attention import attend
from deer_lab.config import CONFIGS, Camera, ClipConfig, ConvConfig
from deer_lab.head import Head
from deer_lab.model import Policy, Stage, alibi_slopes, make_part, part_names
from deer_lab.vision import ClipEncoder, Keypoints, Resampler, Vision, resized

torch.set_num_threads(1)
TOY = CONFIGS["toy"]


def size(module):
    return sum(parameter.numel() for parameter in module.parameters())


@pytest.fixture(scope="module")
def toy():
    torch.manual_seed(0)
    return Policy(TOY).eval().requires_grad_(False)


@pytest.fixture(scope="module")
def openflamingo_3b():
    with torch.device("meta"):
        return Policy(CONFIGS["openflamingo_3b"])


@pytest.fixture(scope="module")
def openflamingo_9b():
    with torch.device("meta"):
        return Policy(CONFIGS["openflamingo_9b"])


def test_the_3b_model_has_the_published_number_of_parameters(openflamingo_3b):
    layer = openflamingo_3b.stages[0].layers["0"]
    assert size(layer.cross) == 36_708_354  # 12 of them: 440.50 M
    assert size(layer.block) == 50_339_840  # 12 of them: 604.08 M
    assert size(openflamingo_3b.head) == 40_948_231
    assert size(openflamingo_3b.embed) == 102_973_440
    assert size(openflamingo_3b.vision.resamplers) == 63_019_008


def test_the_3b_model_and_its_seven_heads_are_the_published_checkpoint(openflamingo_3b):
    frozen_clip = size(openflamingo_3b.vision.encoders)
    assert 303e6 < frozen_clip < 304e6
    assert size(openflamingo_3b) - frozen_clip + 6 * size(openflamingo_3b.head) == 1_497_208_393


def test_the_9b_model_trains_as_many_parameters_as_published(openflamingo_9b):
    crosses = [layer.cross for stage in openflamingo_9b.stages for layer in stage.layers.values() if layer.cross]
    trained = [openflamingo_9b.embed, *crosses, openflamingo_9b.vision.resamplers, *[openflamingo_9b.head] * 9]
    assert sum(map(size, trained)) == pytest.approx(1_270.9e6, abs=0.05e6)


def test_the_9b_model_sees_the_pictures_in_every_fourth_layer(openflamingo_9b):
    layers = {name: layer for stage in openflamingo_9b.stages for name, layer in stage.layers.items()}
    assert [name for name, layer in layers.items() if layer.cross] == ["3", "7", "11", "15"]
    assert list(layers) == [str(index) for index in range(16)]


def test_the_language_model_has_no_biases(openflamingo_3b):
    blocks = [layer.block for stage in openflamingo_3b.stages for layer in stage.layers.values()]
    assert not [name for block in blocks for name, _ in block.named_parameters() if "bias" in name]


def test_queries_and_keys_are_normalised_over_their_full_width(openflamingo_3b):
    block = openflamingo_3b.stages[0].layers["0"].block
    assert block.q_norm.weight.shape == block.k_norm.weight.shape == (2048,)


def test_a_part_made_alone_has_the_weights_of_the_whole_policy(toy):
    for name in part_names(TOY):
        alone = {key: value.shape for key, value in make_part(TOY, name).state_dict().items()}
        assert alone == {key: value.shape for key, value in toy.part(name).state_dict().items()}


def test_attention_is_that_of_pytorch():
    query, key, value = torch.randn(2, 5, 12), torch.randn(2, 7, 12), torch.randn(2, 7, 12)
    bias = torch.randn(3, 5, 7)
    split = [x.unflatten(2, (3, 4)).transpose(1, 2) for x in (query, key, value)]
    expected = F.scaled_dot_product_attention(*split, attn_mask=bias).transpose(1, 2).flatten(2)
    torch.testing.assert_close(attend(query, key, value, 3, bias), expected)


@pytest.mark.parametrize(
    ("heads", "exponents"), [(2, (-4, -8)), (4, (-2, -4, -6, -8)), (3, (-4, -8, -2)), (6, (-2, -4, -6, -8, -1, -3))]
)
def test_alibi_slopes_fall_geometrically(heads, exponents):
    assert alibi_slopes(heads, 8) == [2.0**exponent for exponent in exponents]


def test_a_token_sees_those_before_it_and_the_nearer_the_better(toy):
    bias = toy.stages[0].bias(3, torch.device("cpu"))
    infinite = float("inf")
    slope = 2**-2  # of the first of four heads
    assert bias[0].tolist() == [[0, -infinite, -infinite], [-slope, 0, -infinite], [-2 * slope, -slope, 0]]


def test_later_tokens_do_not_change_earlier_ones(toy):
    hidden, media = torch.randn(1, 6, TOY.decoder.width), torch.randn(1, TOY.media_tokens, TOY.encoder.width)
    changed = torch.cat([hidden[:, :4], torch.randn(1, 2, TOY.decoder.width)], dim=1)
    before, after = (toy.stages[1](x, media)[0] for x in (hidden, changed))
    torch.testing.assert_close(before[:, :4], after[:, :4])
    assert not torch.allclose(before[:, 4:], after[:, 4:])


def test_closed_gates_keep_the_picture_out_and_open_ones_let_it_in():
    hidden, media = torch.randn(1, 6, TOY.decoder.width), torch.randn(2, TOY.media_tokens, TOY.encoder.width)
    for gate, same in ((0.0, True), (1.0, False)):
        stage = Stage(replace(TOY, decoder=replace(TOY.decoder, gate_init=gate)), 1)
        assert torch.equal(stage(hidden, media[:1])[0], stage(hidden, media[1:])[0]) is same


def test_feature_and_probe_are_the_largest_over_the_tokens_of_their_layers(toy):
    hidden, media = torch.randn(1, 6, TOY.decoder.width), torch.randn(1, TOY.media_tokens, TOY.encoder.width)
    stage = toy.stages[0]
    first = stage.layers["0"](hidden, media, stage.bias(6, hidden.device))
    second = stage.layers["1"](first, media, stage.bias(6, hidden.device))
    last, feature, probe = stage(hidden, media)
    assert torch.equal(last, second)
    assert torch.equal(feature, second.max(dim=1).values)
    assert torch.equal(probe, first.max(dim=1).values)


def test_the_resampler_gives_as_many_tokens_whatever_it_is_given():
    resampler = Resampler(TOY.resampler, 32)
    assert resampler(torch.randn(2, 5, 32)).shape == resampler(torch.randn(2, 50, 32)).shape == (2, 8, 32)


def test_cameras_share_encoder_and_resampler_only_where_told_to():
    picture = torch.randn(1, 3, 48, 48)
    cameras = (Camera("static", 48), Camera("gripper", 48))
    for shared in (True, False):
        vision = Vision(replace(TOY, cameras=cameras, share_encoder=shared, share_resampler=shared))
        first, second = vision(picture, picture).chunk(2, dim=1)
        assert torch.equal(first, second) is shared


def test_a_cameras_keypoints_are_media_behind_its_latents():
    config = replace(TOY, encoder=replace(TOY.encoder, keypoints=5))
    vision = Vision(config)
    static, gripper = torch.randn(1, 3, 64, 64), torch.randn(1, 3, 48, 48)
    media = vision(static, gripper)
    assert media.shape == (1, config.media_tokens, 32) and config.media_tokens == 2 * (8 + 5)
    _, keypoints, heat = vision.encoders[1].look(gripper)
    assert torch.equal(media[:, -5:], keypoints)
    assert heat.shape == (1, 5, 6 * 6)


def test_a_keypoint_lies_between_the_cells_that_show_its_thing():
    config = ConvConfig(width=2, channels=(4, 1, 2), patch=1, keypoints=1)
    keypoints = Keypoints(config, size=10).requires_grad_(False)  # five cells a side, at -0.9, -0.5 … 0.7
    for parameter in keypoints.parameters():
        parameter.zero_()
    keypoints.fine.weight.fill_(1.0)
    keypoints.heat.weight[0, 0, 1, 1] = 50.0
    keypoints.where.weight.copy_(torch.eye(2))  # the token is the place
    shown, around = torch.zeros(1, 1, 5, 5), torch.zeros(1, 2, 3, 3)
    shown[0, 0, 3, 0] = 1.0
    torch.testing.assert_close(keypoints(shown, around)[0][0, 0], torch.tensor([-0.9, 0.3]))  # x right, y down
    shown[0, 0, 3, 1] = 1.0
    torch.testing.assert_close(keypoints(shown, around)[0][0, 0], torch.tensor([-0.7, 0.3]))


def test_clip_gives_its_patch_tokens_before_the_last_norm():
    encoder = ClipEncoder(ClipConfig(width=32, layers=2, heads=2, patch=8), size=32).eval()
    picture = torch.randn(1, 3, 32, 32)
    states = encoder.clip(pixel_values=picture, output_hidden_states=True).hidden_states
    torch.testing.assert_close(encoder(picture), states[-1][:, 1:])
    assert encoder(picture).shape == (1, 16, 32)


def test_stepping_the_head_gives_what_the_whole_window_gives(toy):
    features = torch.randn(1, 7, TOY.decoder.width)
    arms, grippers = toy.head.window(features)
    h, c = toy.initial_state()
    for feature, arm, gripper in zip(features[0], arms[0], grippers[0]):
        stepped, probability, h, c = toy.head(feature[None], h, c)
        torch.testing.assert_close(stepped[0], arm)
        torch.testing.assert_close(probability[0], gripper.sigmoid())


def test_candidates_in_one_call_of_the_head_do_not_touch_one_another(toy):
    features = torch.randn(3, TOY.decoder.width)
    h, c = torch.randn(2, TOY.head.layers, 1, TOY.head.width)
    together = toy.head(features, h, c)
    for row in range(3):
        arm, gripper, h_next, c_next = toy.head(features[row : row + 1], h, c)
        torch.testing.assert_close(together[0][row : row + 1], arm)
        torch.testing.assert_close(together[1][row : row + 1], gripper)
        torch.testing.assert_close(together[2][:, row : row + 1], h_next)
        torch.testing.assert_close(together[3][:, row : row + 1], c_next)


def test_dropout_acts_in_training_only():
    head, feature = Head(TOY), torch.randn(1, TOY.decoder.width)
    state = torch.zeros(2, TOY.head.layers, 1, TOY.head.width)
    noisy = {head(feature, *state)[0].sum().item() for _ in range(8)}
    quiet = {head.eval()(feature, *state)[0].sum().item() for _ in range(8)}
    assert len(noisy) > 1 and len(quiet) == 1


@pytest.mark.parametrize(
    ("wrong", "complaint"),
    [
        ({"decoder": replace(TOY.decoder, exits=(1, 1, 3))}, "increasing"),
        ({"decoder": replace(TOY.decoder, exits=(0, 2))}, "from 1 on"),
        ({"decoder": replace(TOY.decoder, exits=())}, "exits"),
        ({"decoder": replace(TOY.decoder, heads=5)}, "does not divide"),
        ({"cameras": (Camera("static", 64), Camera("static", 48))}, "each role once"),
        ({"cameras": ()}, "at least one"),
        ({"share_encoder": True}, "one size"),
    ],
)
def test_numbers_that_do_not_fit_together_are_refused(wrong, complaint):
    with pytest.raises(ValueError, match=complaint):
        replace(TOY, **wrong)


def test_positions_of_another_size_lie_between_those_that_there_were():
    line = torch.arange(3.0)
    square = torch.stack((line.repeat_interleave(3), line.repeat(3)), dim=1)  # rows and columns, (9, 2)
    assert torch.equal(resized(square, 9), square)
    rows, columns = resized(square, 36).T.reshape(2, 6, 6)
    torch.testing.assert_close(rows[:, 0], torch.tensor([0, 0.25, 0.75, 1.25, 1.75, 2]))
    torch.testing.assert_close(columns, rows.T)
