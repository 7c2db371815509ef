from __future__ import annotations

import pytest
import torch
from small_models import TEN, batch, built, composed, count_parameters, losses, shared
from torch import nn
from torch.nn import functional

from genre.errors import ConfigError
from genre.models.layers import FEATURE_LIMIT, FeatureNetwork, PointwiseConv2d, ResidualBlock
from genre.models.resnet import FusionNetwork, ResNet34, ResNet34Fusion

TORCHVISION = {"resnet34": 21_797_672, "resnet18": 11_689_512}
"""Weights of torchvision's networks, for 3 channels and 1000 classes."""

SMALL = {"blocks": [1, 1], "widths": [4, 6], "joint": 8, "feature_hidden": 8}


def fusion(**settings: object) -> ResNet34Fusion:
    torch.manual_seed(0)
    return ResNet34Fusion(**{**SMALL, **settings}, **shared(n_mels=32, clip_sec=1))


@pytest.mark.parametrize("name", sorted(TORCHVISION))
def test_parameters_are_those_of_the_known_network(name: str) -> None:
    with torch.device("meta"):
        model = built(composed(f"model={name}"), TEN)
    other_stem = (3 - 1) * 64 * 7 * 7
    other_head = (512 * 1000 + 1000) - (512 * 10 + 10)
    assert count_parameters(model) == TORCHVISION[name] - other_stem - other_head


def test_thirty_four_layers() -> None:
    with torch.device("meta"):
        model = ResNet34(**shared())
    layers = [
        layer
        for name, layer in model.network.named_modules()
        if isinstance(layer, nn.Conv2d | nn.Linear) and "shortcut" not in name
    ]
    assert len(layers) == 34


def test_small_network_is_a_fraction_of_the_work() -> None:
    work = {}
    for name in ("resnet_small", "resnet34"):
        cfg = composed(f"model={name}")
        sizes = [cfg.model.blocks[stage] * cfg.model.widths[stage] ** 2 / 4**stage for stage in range(4)]
        work[name] = sum(sizes)
    assert work["resnet_small"] * 10 < work["resnet34"]


@pytest.mark.parametrize("channels", [1, 2, 5, 8, 12, 16, 24])
@pytest.mark.parametrize(("bins", "frames"), [(16, 6), (7, 5)])
def test_gradients_of_a_strided_shortcut_are_right_for_any_number_of_channels(
    channels: int, bins: int, frames: int
) -> None:
    torch.manual_seed(0)
    layer = PointwiseConv2d(channels, 2 * channels, 2).to(memory_format=torch.channels_last)
    inputs = torch.randn(18, channels, bins, frames).contiguous(memory_format=torch.channels_last).requires_grad_()
    weight, exact = (values.detach().double().requires_grad_() for values in (layer.weight, inputs))
    output, expected = layer(inputs), functional.conv2d(exact, weight, stride=2)
    above = torch.randn_like(output)
    output.backward(above)
    expected.backward(above.double())
    torch.testing.assert_close(output, expected.float())
    torch.testing.assert_close(inputs.grad, exact.grad.float())
    torch.testing.assert_close(layer.weight.grad, weight.grad.float(), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(("stride", "pool", "side"), [(2, 2, 32), (1, 1, 128), (2, 1, 64), (4, 2, 16)])
def test_stages_halve_and_the_stem_is_as_set(stride: int, pool: int, side: int) -> None:
    model = ResNet34(blocks=[1, 2, 1], widths=[4, 5, 6], stem_stride=stride, stem_pool=pool, **shared()).eval()
    seen: list[tuple[int, ...]] = []
    for block in model.modules():
        if isinstance(block, ResidualBlock):
            block.register_forward_hook(lambda _, inputs, output: seen.append(tuple(output.shape[1:])))
    model(torch.zeros(1, 1, 128, 128), torch.zeros(1, 57))
    assert seen == [(4, side, side), *[(5, side // 2, side // 2)] * 2, (6, side // 4, side // 4)]


def test_zero_init_begins_every_block_as_its_shortcut() -> None:
    inputs = torch.rand(2, 4, 5, 7)
    for zero_init in (True, False):
        model = ResNet34(blocks=[2], widths=[4], zero_init=zero_init, **shared()).eval()
        blocks = [block for block in model.modules() if isinstance(block, ResidualBlock)]
        with torch.no_grad():
            assert all(torch.equal(block(inputs), inputs) for block in blocks) is zero_init


def test_a_block_is_what_the_formula_says() -> None:
    torch.manual_seed(0)
    block = ResidualBlock(4, 6, 2).eval()
    inputs = torch.randn(2, 4, 9, 8)
    relu = nn.functional.relu
    with torch.no_grad():
        inner = block.second_norm(block.second(relu(block.first_norm(block.first(inputs)))))
        expected = relu(inner + block.shortcut(inputs))
        assert torch.equal(block(inputs), expected)
    assert expected.shape == (2, 6, 5, 4)


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"blocks": [1, 1, 1]}, r"model\.widths=\[4, 6\] has 2 numbers; give 3, one for each stage"),
        ({"stem_stride": 0}, r"model\.stem_stride=0 is out of range; give a whole number of at least 1"),
        ({"zero_init": "no"}, r"model\.zero_init=no is neither true nor false; choose one of them"),
        ({"modality_dropout": 1}, r"model\.modality_dropout=1 is out of range; choose a share between 0 and 0\.99"),
        ({"joint": 2.5}, r"model\.joint=2\.5 is out of range; give a whole number of at least 1"),
    ],
)
def test_wrong_settings(settings: dict[str, object], sentence: str) -> None:
    with pytest.raises(ConfigError, match=f"^{sentence}$"):
        fusion(**settings)


def streams(model: ResNet34Fusion, clips: dict[str, torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
    """What each stream hands to the head."""
    network = model.network
    assert isinstance(network, FusionNetwork)
    return network.spectrogram_stream(clips["spectrogram"]), network.feature_stream(clips["features"])


@pytest.mark.parametrize("louder", ["spectrogram", "features", None])
def test_neither_stream_drowns_the_other_whatever_the_scale(louder: str | None) -> None:
    model = fusion(joint=64)
    clips = batch(model, 16)
    losses(model, clips, steps=5)
    if louder:
        clips[louder] = 1000 * clips[louder]
    with torch.no_grad():
        for vectors in streams(model, clips):
            assert vectors.shape == (16, 64)
            torch.testing.assert_close(vectors.mean(dim=1), torch.zeros(16), atol=1e-5, rtol=0)
            torch.testing.assert_close(vectors.var(dim=1, correction=0), torch.ones(16), atol=0.05, rtol=0)


def test_before_training_both_streams_weigh_alike_in_the_logits() -> None:
    model = fusion(joint=128).eval()
    clips = batch(model, 64)
    weight = model.network.head[-1].weight
    with torch.no_grad():
        shares = [vectors @ part.T for vectors, part in zip(streams(model, clips), weight.chunk(2, dim=1), strict=True)]
    ratio = float(shares[0].square().mean() / shares[1].square().mean())
    assert 0.5 < ratio < 2


def test_gradient_reaches_both_streams_in_equal_measure() -> None:
    model = fusion(joint=64, dropout=0.0)
    clips = batch(model, 32)
    both = streams(model, clips)
    for vectors in both:
        vectors.retain_grad()
    logits = model.network.head(torch.cat(both, dim=1))
    nn.functional.cross_entropy(logits, clips["label"]).backward()
    spectrogram, features = (float(vectors.grad.norm()) for vectors in both)
    assert 0.5 < spectrogram / features < 2
    for name, weight in model.named_parameters():
        assert weight.grad is not None, name
        assert weight.grad.isfinite().all()
    reached = {name.split(".")[1] for name, weight in model.named_parameters() if weight.grad.abs().sum() > 0}
    assert reached == {"spectrogram_stream", "feature_stream", "head"}


@pytest.mark.parametrize("gone", ["spectrogram", "features"])
def test_logits_depend_on_both_inputs(gone: str) -> None:
    model = fusion()
    clips = batch(model)
    losses(model, clips, steps=5)
    with torch.no_grad():
        whole = model(clips["spectrogram"], clips["features"])
        clips[gone] = torch.zeros_like(clips[gone])
        assert (model(clips["spectrogram"], clips["features"]) - whole).abs().amax(dim=1).min() > 1e-3


@pytest.mark.parametrize("told", ["spectrogram", "features"])
def test_either_input_alone_is_enough_to_learn(told: str) -> None:
    model = fusion(dropout=0.0, feature_dropout=0.0)
    clips = batch(model)
    other = "features" if told == "spectrogram" else "spectrogram"
    clips[other] = torch.zeros_like(clips[other])
    assert losses(model, clips, steps=40, rate=1e-2)[-1] < 0.3


def test_outliers_among_the_features_count_as_the_limit() -> None:
    torch.manual_seed(0)
    network = FeatureNetwork(8, 4, 0.0).eval()
    features = torch.randn(3, 57)
    features[0, 5] = 1000.0
    limited = features.clone()
    limited[0, 5] = FEATURE_LIMIT
    assert torch.equal(network(features), network(limited))


def test_modality_dropout_takes_one_stream_and_never_both() -> None:
    torch.manual_seed(0)
    network = fusion(modality_dropout=0.4).network
    assert isinstance(network, FusionNetwork)
    kept = network._kept(20_000)
    lost = kept == 0
    assert not lost.all(dim=1).any()
    torch.testing.assert_close(lost.float().mean(dim=0), torch.tensor([0.2, 0.2]), atol=0.02, rtol=0)
    torch.testing.assert_close(kept.mean(dim=0), torch.ones(2), atol=0.02, rtol=0)


def test_modality_dropout_is_off_in_evaluation() -> None:
    plain, dropping = fusion(), fusion(modality_dropout=0.9)
    clips = batch(plain)
    with torch.no_grad():
        logits = [model.eval()(clips["spectrogram"], clips["features"]) for model in (plain, dropping)]
    assert torch.equal(*logits)
    dropping.train()
    assert dropping(clips["spectrogram"], clips["features"]).isfinite().all()
