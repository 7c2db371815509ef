"""Random numbers of a training step that a resumed run draws again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np

if TYPE_CHECKING:
    from pytorch_lightning import Trainer

USES = ("network", "augment")

LARGEST_SEED = 2**32 - 1
"""Largest seed that every library takes; the smallest is 0."""


def step_seed(trainer: Trainer, seed: int, use: Literal["network", "augment"]) -> int:
    """Return the seed of one use of random numbers in the coming or current batch of training.

    Every batch, process and use has a stream of its own: masks within the network say nothing of how the batch was
    augmented. It depends on how many batches came before, not on what was drawn for them.

    Parameters
    ----------
    trainer
        That trains.
    seed
        Of the run, at least 0.
    use
        ``network`` (dropout, masks) or ``augment``.
    """
    batch = trainer.fit_loop.epoch_loop.batch_progress.total.ready
    source = np.random.SeedSequence([seed, batch, trainer.global_rank, USES.index(use)])
    return int(source.generate_state(1, np.uint64)[0] >> np.uint64(1))
