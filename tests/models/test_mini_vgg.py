from __future__ import annotations

import pytest
import torch
from small_models import batch, count_parameters, shared

from genre.errors import ConfigError
from genre.models.mini_vgg import MiniVGG


def block(before: int, width: int) -> int:
    """Weights of two convolutions with bias and of their batch normalisations."""
    return 9 * before * width + 9 * width * width + 2 * width + 4 * width


def test_parameters() -> None:
    head = 8 * 16 + 16 + 2 * 16 + 16 * 3 + 3
    assert count_parameters(MiniVGG(widths=[4, 8], hidden=16, **shared())) == block(1, 4) + block(4, 8) + head


def test_flattened_head_has_weights_for_every_position() -> None:
    with torch.device("meta"):
        model = MiniVGG(widths=[4, 8], pooling="flatten", hidden=16, **shared())
    head = (8 * 32 * 32) * 16 + 16 + 2 * 16 + 16 * 3 + 3  # 128 x 130 halved twice is 32 x 32
    assert count_parameters(model) == block(1, 4) + block(4, 8) + head


def test_a_block_is_convolution_relu_norm_twice_then_pooling_and_dropout_of_channels() -> None:
    kinds = [type(layer).__name__ for layer in MiniVGG(widths=[4], **shared()).network.layers[0]]
    assert kinds == ["Conv2d", "ReLU", "BatchNorm2d", "Conv2d", "ReLU", "BatchNorm2d", "MaxPool2d", "Dropout2d"]


def test_three_colours_are_one_channel_with_the_weights_summed() -> None:
    grey, colour = (MiniVGG(widths=[4], hidden=8, input_channels=n, **shared()).eval() for n in (1, 3))
    weights = dict(zip(grey.state_dict(), colour.state_dict().values(), strict=True))
    weights["network.layers.0.0.weight"] = weights["network.layers.0.0.weight"].sum(dim=1, keepdim=True)
    grey.load_state_dict(weights)
    clips = batch(grey, 2)
    with torch.no_grad():
        logits = [model(clips["spectrogram"], clips["features"]) for model in (grey, colour)]
    torch.testing.assert_close(*logits)


def test_more_blocks_than_the_spectrogram_can_be_halved() -> None:
    with pytest.raises(ConfigError, match="has 8 blocks, but a spectrogram of 128 x 130 cannot be halved so often"):
        MiniVGG(widths=[2] * 8, **shared())


def test_unknown_pooling() -> None:
    with pytest.raises(ConfigError, match=r"model\.pooling=globl is unknown; did you mean global\?"):
        MiniVGG(pooling="globl", **shared())
