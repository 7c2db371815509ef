"""The original's networks: inputs, weights and training as REFERENCE figures have them."""

from __future__ import annotations

import pytest
import torch
from small_models import TEN, batch, built, composed, count_parameters, narrowed, shared
from torch import nn

from genre.commands.build import monitor_mode
from genre.errors import ConfigError
from genre.models.seed_resnet import SeedResNet

ORIGINAL = {
    "seed_v3": (629_218_218, (480, 640), 15.0),
    "seed_v5": (314_866_794, (480, 640), 15.0),
    "seed_v7": (19_722_450, (512, 512), 3.0),
    "seed_v10": (19_779_450, (512, 512), 3.0),
}

every_original = pytest.mark.parametrize("name", ORIGINAL)


@every_original
def test_parameters_and_input(name: str) -> None:
    cfg = composed(f"experiment={name}")
    with torch.device("meta"):
        model = built(cfg, TEN)
    parameters, shape, clip_sec = ORIGINAL[name]
    assert count_parameters(model) == parameters
    assert model.input_shape == shape
    assert cfg.data.clip_sec == clip_sec


@every_original
def test_training_is_the_original_s(name: str) -> None:
    cfg = composed(f"experiment={name}")
    model = built(narrowed(cfg), TEN)
    settings = {
        "optimizer": "adam",
        "learning_rate": 5e-4,
        "weight_decay": 1e-4,
        "label_smoothing": 0,
        "scheduler": "step",
    }
    assert {key: model.hparams[key] for key in settings} == settings
    assert [model._rate_factor(step, 100) for step in (0, 49, 50, 99)] == [1, 1, 0.25, 0.25]
    assert (cfg.trainer.max_epochs, cfg.data.batch_size, cfg.trainer.gradient_clip_val) == (17, 32, None)
    assert (cfg.callbacks.monitor, cfg.callbacks.patience) == ("val/clip_accuracy", None)
    assert monitor_mode(cfg.callbacks) == "max"
    clips = batch(model, 2)
    assert torch.equal(model.normalized(clips["spectrogram"]), clips["spectrogram"])


@pytest.mark.parametrize("name", ["seed_v3", "seed_v5", "seed_v7", "seed_v10"])
def test_what_is_chosen_on_the_command_line_wins(name: str) -> None:
    cfg = composed(f"experiment={name}", "optimizer=adamw", "data.clip_sec=5", "protocol=clip_random")
    assert (cfg.optimizer.name, cfg.data.clip_sec) == ("adamw", 5)
    assert cfg.protocol._target_.endswith("ClipRandomProtocol")


def test_v10_is_v7_with_the_features_before_the_dense_layer() -> None:
    assert ORIGINAL["seed_v10"][0] - ORIGINAL["seed_v7"][0] == 57 * 1000
    configs = [composed(f"experiment={name}") for name in ("seed_v7", "seed_v10")]
    configs[0].model.use_features = True
    assert configs[0] == configs[1]


@pytest.mark.parametrize("use_features", [False, True])
def test_features_count_only_where_they_are_used(use_features: bool) -> None:
    torch.manual_seed(0)
    model = SeedResNet(widths=[4, 4], hidden=8, use_features=use_features, **shared()).eval()
    clips = batch(model, 2)
    with torch.no_grad():
        logits = [model(clips["spectrogram"], features) for features in (clips["features"], clips["features"] + 1)]
    assert torch.equal(*logits) is not use_features


def test_shapes_from_layer_to_layer() -> None:
    model = narrowed_v7()
    seen: list[tuple[int, int, int]] = []
    for layer in model.network.trunk:
        layer.register_forward_hook(lambda _, inputs, output: seen.append(tuple(output.shape[1:])))
    clips = batch(model, 1)
    model(clips["spectrogram"], clips["features"])
    sides = [259, 259, 259, 129, 129, 65, 65, 33, 33, 17, 17, 9, 4]
    assert seen == [*((4, side, side) for side in sides), (4 * 4 * 4,)]
    assert [type(layer) for layer in model.network.head] == [
        nn.Linear,
        nn.ReLU,
        nn.BatchNorm1d,
        nn.Dropout,
        nn.Linear,
    ]


def narrowed_v7() -> SeedResNet:
    model = built(narrowed(composed("experiment=seed_v7"))).eval()
    assert isinstance(model, SeedResNet)
    return model


def test_a_spectrogram_that_is_too_small() -> None:
    with pytest.raises(ConfigError, match="has 4 pairs of blocks, but a spectrogram of 128 x 44 cannot be halved so"):
        SeedResNet(**shared(clip_sec=1))
