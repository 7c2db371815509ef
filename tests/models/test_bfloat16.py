"""Models under autocast: rough while they train, exact when they are evaluated."""

from __future__ import annotations

import pytest
import torch
from small_models import batch, built, composed, narrowed


@pytest.mark.parametrize("name", ["mini_vgg", "cnn_gru", "resnet_small_fusion"])
def test_evaluation_does_without_bfloat16(name: str) -> None:
    model = built(narrowed(composed(f"model={name}", "data.clip_sec=1.5", "frontend.n_mels=64"))).eval()
    clips = batch(model)
    with torch.inference_mode():
        exact = model(clips["spectrogram"], clips["features"])
        with torch.autocast("cpu", torch.bfloat16):
            rough = model(clips["spectrogram"], clips["features"])
            predicted = model.predict_step(clips, 0)["logits"]
    assert torch.equal(predicted, exact)
    assert rough.dtype == torch.float32
    assert not torch.equal(rough, exact)
    torch.testing.assert_close(rough, exact, atol=0.05, rtol=0.05)
