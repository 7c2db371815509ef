"""Network and front end as one program."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from listening import LABELS, RATE, cnn_gru, fusion, late_fusion, mini_vgg

from genre.errors import ConfigError
from genre.features.spectrogram import LogMel
from genre.inference.export import (
    DESCRIPTION,
    TOLERANCE,
    TorchLogMel,
    export_program,
    largest_difference,
    trial_clips,
)
from genre.inference.predictor import Ensemble


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"sample_rate": 8000, "n_fft": 512, "hop_length": 200, "n_mels": 40, "fmin": 50.0, "fmax": 3000.0},
        {"ref": "max", "top_db": 40.0},
        {"ref": 0.1, "amin": 1e-6, "top_db": None},
    ],
)
def test_front_end_in_torch_is_the_front_end(settings: dict) -> None:
    frontend = LogMel(**settings)
    clips = trial_clips(frontend.sample_rate, frontend.sample_rate)
    ours = TorchLogMel(frontend)(torch.from_numpy(clips))[:, 0].numpy()
    stored = torch.from_numpy(frontend.compute(clips, frontend.sample_rate))
    np.testing.assert_allclose(ours, frontend.to_float(stored).numpy(), atol=2e-3)


@pytest.mark.parametrize("make", [mini_vgg, cnn_gru, fusion, late_fusion])
def test_program_says_what_the_model_says(tmp_path: Path, make) -> None:
    predictor, path = make(), tmp_path / "program" / "model.pt2"
    export_program(predictor, path)
    clips = trial_clips(RATE, RATE)
    assert clips.shape == (10, RATE)
    assert np.ptp(predictor.probabilities(clips), axis=0).max() > 0.05  # the clips are told apart
    assert largest_difference(path, predictor, clips) < TOLERANCE
    extra = {DESCRIPTION: ""}
    torch.export.load(path, extra_files=extra)
    facts = json.loads(extra[DESCRIPTION])
    assert facts["labels"] == list(LABELS)
    assert len(facts.get("features", [])) == (57 if predictor.model.uses_features else 0)
    assert (facts["sample_rate"], facts["clip_samples"]) == (RATE, RATE)


def test_what_cannot_be_exported(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="takes one network"):
        export_program(Ensemble([mini_vgg(), mini_vgg()]), tmp_path / "a.pt2")
    other = mini_vgg()
    other.frontend = LogMel(sample_rate=11025)
    with pytest.raises(ConfigError, match="at the rate of the clips only"):
        export_program(other, tmp_path / "a.pt2")
