"""The loss of training: label smoothing, class and clip weights, mixtures."""

from __future__ import annotations

import pytest
import torch
from small_models import LABELS, shared
from torch.nn import functional

from genre.models.mini_vgg import MiniVGG

SHARES = torch.tensor([0.7, 0.2, 0.1])


def model(smoothing: float = 0.0, *, balanced: bool = False) -> MiniVGG:
    made = MiniVGG(**shared(n_mels=16, clip_sec=1.0), widths=(2, 2), hidden=4, label_smoothing=smoothing)
    if balanced:
        made.class_weight.copy_(1 / (3 * SHARES))
    return made


def drawn(n: int = 30) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return torch.randn(n, 3, generator=generator), torch.randint(3, (n,), generator=generator)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_without_weights_it_is_the_cross_entropy_of_torch(smoothing: float) -> None:
    logits, label = drawn()
    expected = functional.cross_entropy(logits, label, label_smoothing=smoothing)
    torch.testing.assert_close(model(smoothing)._training_loss(logits, {"label": label}), expected)
    mixed = 0.3 * functional.one_hot(label, 3) + 0.7 * functional.one_hot(label.roll(1), 3)
    expected = functional.cross_entropy(logits, mixed, label_smoothing=smoothing)
    torch.testing.assert_close(model(smoothing)._training_loss(logits, {"label": label, "target": mixed}), expected)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_a_clip_counts_by_its_own_weight_and_that_of_its_class(smoothing: float) -> None:
    logits, label = drawn()
    each = functional.cross_entropy(logits, label, label_smoothing=smoothing, reduction="none")
    weight = torch.linspace(0.1, 2, len(label))
    expected = (each * weight / (3 * SHARES[label])).mean()
    loss = model(smoothing, balanced=True)._training_loss(logits, {"label": label, "weight": weight})
    torch.testing.assert_close(loss, expected)


@pytest.mark.parametrize("label", range(len(LABELS)))
def test_however_rare_a_class_is_a_clip_is_drawn_to_its_own(label: int) -> None:
    logits = torch.zeros(1, 3, requires_grad=True)
    trained = model(0.15, balanced=True)
    optimizer = torch.optim.Adam([logits], 0.05)
    for _ in range(600):
        optimizer.zero_grad()
        trained._training_loss(logits, {"label": torch.tensor([label])}).backward()
        optimizer.step()
    best = logits.detach().softmax(dim=1)[0]
    wanted = torch.full((3,), 0.05)
    wanted[label] = 0.9
    torch.testing.assert_close(best, wanted, atol=2e-3, rtol=0)


def test_a_loss_that_is_not_a_number_is_shown() -> None:
    losses = model().get_submodule("train_metrics").get_submodule("loss")
    for loss in (1.0, float("nan")):
        losses.update(torch.tensor(loss).expand(4))
    assert losses.compute().isnan()
