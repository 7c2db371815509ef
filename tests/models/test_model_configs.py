"""Every shipped model, as train.py composes it: builds, trains, saves, loads, and takes clips of any length."""

from __future__ import annotations

import warnings
from pathlib import Path

import pytest
import torch
from hydra.errors import InstantiationException
from pytorch_lightning import Trainer
from small_models import batch, built, composed, losses, names, narrowed
from torch import nn
from torch.utils.data import DataLoader

from genre.commands.explaining import explain
from genre.errors import ConfigError
from genre.models.base import GenreModule
from genre.models.layers import PointwiseConv2d
from genre.models.registry import MODELS, load_model

every_model = pytest.mark.parametrize("name", names("model"))


def narrow(name: str, *, seed: int = 0, dropout: bool = True) -> GenreModule:
    cfg = narrowed(composed(f"model={name}", "data.clip_sec=1.5", "frontend.n_mels=64"))
    if not dropout:
        cfg.model.update({setting: 0.0 for setting in cfg.model if setting.endswith("dropout")})
    torch.manual_seed(seed)
    return built(cfg)


def trained(model: GenreModule, steps: int = 2) -> Trainer:
    """The trainer that has trained the model for a few steps."""
    trainer = Trainer(
        max_steps=steps,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    batches = [batch(model, seed=number) for number in range(steps)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.manual_seed(1)
        trainer.fit(model, DataLoader(batches, batch_size=None))
    return trainer


def test_every_class_has_a_configuration() -> None:
    assert {type(narrow(name)).__name__ for name in names("model")} == set(MODELS)


@every_model
def test_no_shortcut_of_a_narrow_network_has_wrong_gradients(name: str) -> None:
    """See PointwiseConv2d."""
    for layer in narrow(name).modules():
        if isinstance(layer, nn.Conv2d) and layer.kernel_size == (1, 1) and layer.stride != (1, 1):
            assert isinstance(layer, PointwiseConv2d)


@every_model
def test_settings_of_the_configuration_are_all_there_is(name: str) -> None:
    cfg = composed(f"model={name}")
    narrowed(cfg)
    chosen = {key: value for key, value in cfg.model.items() if key != "_target_"}
    settings = built(cfg).hparams
    assert {key: settings[key] for key in chosen} == chosen
    elsewhere = {"labels", "frontend", "clips", "optimizer", "learning_rate", "weight_decay"}
    elsewhere |= {"scheduler", "warmup", "step_at", "step_factor"}
    assert set(settings) - elsewhere == set(chosen)


@every_model
def test_checkpoint_needs_nothing_else(name: str, tmp_path: Path) -> None:
    model = narrow(name)
    model.spectrogram_mean.fill_(0.5)
    model.feature_std.fill_(2.0)
    trained(model).save_checkpoint(tmp_path / "some.ckpt")
    again = load_model(tmp_path / "some.ckpt")
    assert type(again) is type(model)
    assert again.hparams == model.hparams
    clips = batch(model)
    model.eval()
    with torch.no_grad():
        logits = [each(clips["spectrogram"], clips["features"]) for each in (model, again)]
    assert torch.equal(*logits)
    assert logits[0].shape == (6, 3)


@every_model
def test_same_seed_same_weights(name: str) -> None:
    states = []
    for seed in (0, 0, 1):
        model = narrow(name, seed=seed)
        trained(model)
        states.append(model.state_dict())
    assert all(torch.equal(value, states[1][key]) for key, value in states[0].items())
    assert not all(torch.equal(value, states[2][key]) for key, value in states[0].items())


@every_model
def test_a_few_clips_can_be_learned_by_heart(name: str) -> None:
    model = narrow(name, dropout=False)
    values = losses(model, batch(model), steps=40, rate=1e-2)
    assert values[-1] < 0.5 * values[0]


@every_model
def test_any_length_or_a_sentence(name: str) -> None:
    model = narrow(name).eval()
    usual = model.input_shape[1]
    for frames in (usual - 11, usual, usual + 1, 5 * usual):
        clips = batch(model, 2, frames)
        if model.any_length or frames == usual:
            with torch.no_grad():
                logits = model(clips["spectrogram"], clips["features"])
            assert logits.shape == (2, 3)
            assert logits.isfinite().all()
        else:
            with pytest.raises(ConfigError, match=rf"takes spectrograms of 64 x {usual} only, not 64 x {frames}; give"):
                model(clips["spectrogram"], clips["features"])
    assert model.any_length is not name.startswith("seed")


@every_model
def test_clips_of_a_batch_do_not_see_each_other(name: str) -> None:
    model = narrow(name)
    losses(model, batch(model), steps=3)
    clips = batch(model, 4, seed=5)
    with torch.no_grad():
        together = model(clips["spectrogram"], clips["features"])
        alone = [model(clips["spectrogram"][i : i + 1], clips["features"][i : i + 1]) for i in range(4)]
    torch.testing.assert_close(together, torch.cat(alone), atol=1e-5, rtol=1e-5)


@every_model
@pytest.mark.parametrize(
    ("setting", "wrong"),
    [("widths", [0]), ("widths", []), ("widths", [4, "x"]), ("widths", 4), ("dropout", 1.5), ("dropout", "x")],
)
def test_wrong_settings_are_named(name: str, setting: str, wrong: object) -> None:
    cfg = composed(f"model={name}")
    cfg.model[setting] = wrong
    with pytest.raises(InstantiationException) as raised:
        built(cfg)
    sentence = explain(raised.value, [])
    assert sentence is not None
    assert sentence.startswith(f"model.{setting}={wrong} is out of range; ")
