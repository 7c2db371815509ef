"""From sound as it comes to sound as a model takes it: one rate, without noise."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from genre.audio.decode import Resampler
from genre.inference.denoise import Denoiser

Sink = Callable[[NDArray[np.float32]], None]
"""Is given samples, shape (n,), piece by piece."""


def no_sink(samples: NDArray[np.float32]) -> None:
    """Let the samples go."""


class Intake:
    """Resamples and denoises.

    A lead-in that is noise by agreement is not passed on.

    Parameters
    ----------
    sample_rate
        Of the sound that comes, in Hz.
    target_rate
        Of the model, in Hz.
    denoiser
        For the sound at ``target_rate``.
    raw, clean
        Are given the sound at ``target_rate`` before and after denoising, lead-in included.

    Attributes
    ----------
    lead_in : int
        Samples at ``target_rate`` that are not passed on.
    """

    def __init__(
        self, sample_rate: int, target_rate: int, denoiser: Denoiser, *, raw: Sink = no_sink, clean: Sink = no_sink
    ) -> None:
        self.lead_in = denoiser.lead_in
        self.denoiser = denoiser
        self._resampler = Resampler(sample_rate, target_rate)
        self._raw = raw
        self._clean = clean
        self._to_skip = self.lead_in

    def push(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        """Take some more samples, shape (n,), and return what can be passed on."""
        return self._denoised(self._resampler.push(samples))

    def finish(self) -> NDArray[np.float32]:
        """Return the rest; nothing may be pushed afterwards."""
        last = self._denoised(self._resampler.finish())
        return np.concatenate([last, self._passed_on(self.denoiser.flush())])

    def _denoised(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        self._raw(samples)
        return self._passed_on(self.denoiser.process(samples))

    def _passed_on(self, clean: NDArray[np.float32]) -> NDArray[np.float32]:
        self._clean(clean)
        skipped = min(self._to_skip, len(clean))
        self._to_skip -= skipped
        return clean[skipped:]
