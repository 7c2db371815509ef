"""Damaged copies of clips: cut where the clean ones are, from samples that were damaged first."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from genre.audio.damage import Damage
from genre.data.clips import ClipSpec
from genre.data.fingerprint import damage_fingerprint
from genre.data.listening import content_hash


@dataclass(frozen=True, kw_only=True)
class DamagedClips(ClipSpec):
    """How a track becomes the clips of a damaged copy: in the place of a :class:`ClipSpec` it makes another store.

    The whole track is damaged at the rate of the clips before it is cut, so that spectrogram and features are those of
    the same damaged samples. What befalls it depends on its samples and the number of the copy, and neither on its name
    nor on the company it is in.

    Parameters
    ----------
    damage
        What may befall a track.
    copy
        Number of the copy, from 1 on.
    """

    damage: Damage
    copy: int

    def in_samples(self) -> dict[str, Any]:
        """Return what shapes the clips: that of the clean ones, the damage, and the code that does it."""
        damage = {"copy": self.copy, "code": damage_fingerprint(), **self.damage.settings()}
        return {**super().in_samples(), "damage": damage}

    def sound(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the damaged samples of a track, shape (n,)."""
        seed = (int(content_hash(samples), 16), self.copy)
        return self.damage.apply(samples, self.sample_rate, seed)

    def cut(self, samples: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Damage a track and cut it into clips; see :meth:`ClipSpec.cut`."""
        return super().cut(self.sound(samples))
