"""Metrics that are logged while a model trains."""

from __future__ import annotations

import torch
from torchmetrics import Metric


class TrackAccuracy(Metric):
    """Share of tracks whose mean probability over their clips is highest for the right class."""

    higher_is_better = True
    full_state_update = False
    is_differentiable = False
    probability: list[torch.Tensor]
    label: list[torch.Tensor]
    track: list[torch.Tensor]

    def __init__(self) -> None:
        super().__init__()
        for state in ("probability", "label", "track"):
            self.add_state(state, default=[], dist_reduce_fx="cat")

    def update(self, probability: torch.Tensor, label: torch.Tensor, track: torch.Tensor) -> None:
        """Add a batch: probabilities (B, classes), labels (B,) and tracks (B,)."""
        self.probability.append(probability)
        self.label.append(label)
        self.track.append(track)

    def compute(self) -> torch.Tensor:
        """Return the accuracy over all tracks seen; every track counts once."""
        probability, label, track = (_whole(state) for state in (self.probability, self.label, self.track))
        names, row = torch.unique(track, return_inverse=True)
        summed = probability.new_zeros(len(names), probability.shape[1]).index_add_(0, row, probability)
        truth = label.new_zeros(len(names)).scatter_(0, row, label)
        return (summed.argmax(dim=1) == truth).float().mean()


def _whole(state: list[torch.Tensor] | torch.Tensor) -> torch.Tensor:
    return torch.cat(state) if isinstance(state, list) else state  # a tensor once processes have been joined
