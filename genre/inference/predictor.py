"""Trained models of every kind behind one interface: samples of clips in, calibrated probabilities out."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from genre.data.clips import ClipSpec
from genre.data.passages import PassageRows
from genre.errors import CheckpointError
from genre.features.passage import PASSAGE_NAMES
from genre.features.spectrogram import FrontEnd, build_frontend
from genre.inference.inputs import ClipInputs, Needs, key_of
from genre.models.base import GenreModule
from genre.models.registry import BEST, file_of_run, is_classical, load_model

if TYPE_CHECKING:
    from genre.classical.model import ClassicalModel

LENIENT = ("repeat", "pad", "drop")
"""What becomes of a track that is shorter than a clip: of several models the rule that comes first holds."""


class Predictor(ABC):
    """A trained model.

    Attributes
    ----------
    name : str
        What it is, in one word.
    labels : tuple of str
        Class names, in the order of the probabilities.
    clips : ClipSpec
        The clips it was trained on.
    needs : Needs
        What it asks of a clip.
    """

    name: str
    labels: tuple[str, ...]
    clips: ClipSpec
    needs: Needs

    def probabilities(
        self, samples: NDArray[np.float32], passages: NDArray[np.float32] | None = None
    ) -> NDArray[np.float64]:
        """Return the probabilities of every class.

        Parameters
        ----------
        samples : shape=(B, clips.length)
            Clips at ``clips.sample_rate``.
        passages : shape=(B, n_columns)
            :data:`genre.data.passages.PASSAGE_COLUMNS` of the passage of each clip, for a model that needs them; by
            default each clip is taken for a passage by itself, which says less.

        Returns
        -------
        probabilities : shape=(B, classes)
            Of each clip by itself.
        """
        return self.judge(ClipInputs(samples, self.clips.sample_rate, self.needs, passages))

    def passages_of(self, samples: NDArray[np.float32], starts: NDArray[np.int64]) -> NDArray[np.float32] | None:
        """Return what is known of the passages of a track's clips, shape (n_clips, n_columns); ``None`` if not needed.

        Parameters
        ----------
        samples : shape=(n,)
            The whole track at ``clips.sample_rate``.
        starts : shape=(n_clips,)
            First sample of each clip.
        """
        if self.needs.passage_sec is None:
            return None
        passages = PassageRows(replace(self.clips, passage_sec=self.needs.passage_sec))
        passages.push(samples)
        passages.finish()
        return passages.of_clips(starts)

    def warm_up(self) -> None:
        """Judge a clip of noise: the first on a machine compiles code, for which sound that comes by does not wait."""
        noise = np.random.default_rng(0).normal(0.0, 0.1, (1, self.clips.length))
        self.probabilities(noise.astype(np.float32))

    @abstractmethod
    def judge(self, inputs: ClipInputs) -> NDArray[np.float64]:
        """Return the probabilities (B, classes) of clips of which :attr:`needs` are computed already."""


class DeepPredictor(Predictor):
    """A network with its front end.

    Parameters
    ----------
    model
        As :func:`genre.models.registry.load_model` returns it.
    """

    def __init__(self, model: GenreModule) -> None:
        self.model = model.eval()
        self.name = type(model).__name__
        self.labels = model.labels
        self.clips = ClipSpec(**model.hparams["clips"])
        self.frontend: FrontEnd = build_frontend(model.hparams["frontend"])
        passage_sec = self.clips.passage_sec if model.uses_passages else None
        self.needs = Needs({key_of(self.frontend): self.frontend}, model.uses_features, passage_sec)

    def judge(self, inputs: ClipInputs) -> NDArray[np.float64]:
        """Return calibrated probabilities (B, classes)."""
        spectrogram = inputs.spectrogram(key_of(self.frontend))
        with torch.inference_mode():
            features = np.hstack([inputs.features, inputs.passages]) if self.model.uses_passages else inputs.features
            logits = self.model(spectrogram, torch.from_numpy(features))
            probabilities: NDArray[np.float64] = self.model.probabilities(logits.double()).numpy()
        return probabilities


class ClassicalPredictor(Predictor):
    """A scikit-learn pipeline on features.

    It computes its features itself, since it knows which, and of which version.

    Parameters
    ----------
    model
        As :func:`genre.classical.model.load_classical` returns it.

    Raises
    ------
    CheckpointError
        If it learnt from a table that does not say how its tracks were cut.
    """

    def __init__(self, model: ClassicalModel) -> None:
        if model.clips is None or model.feature_set is None:
            raise CheckpointError(
                "a model that learnt from a feature table cannot listen, because the table does not say how tracks are "
                "cut; train one on audio"
            )
        self.model = model
        self.name = str(model.provenance.get("model", "classical"))
        self.labels = model.labels
        self.clips = model.clips
        self.needs = Needs(passage_sec=model.passage_sec)

    def judge(self, inputs: ClipInputs) -> NDArray[np.float64]:
        """Return calibrated probabilities (B, classes)."""
        of_passages = None if self.needs.passage_sec is None else inputs.passages[:, -len(PASSAGE_NAMES) :]
        return self.model.predict_proba(self.model.features_of(inputs.samples, inputs.sample_rate, of_passages))


class Ensemble(Predictor):
    """The mean of several models' probabilities.

    Tracks are cut as the member with the smallest hop was trained on, and too short ones are left out only if all
    members were trained without them: the order of the members does not matter.

    Parameters
    ----------
    members
        At least one; they may be of different kinds.

    Raises
    ------
    CheckpointError
        If they were trained on other labels or other clips than the first.
    """

    def __init__(self, members: Sequence[Predictor]) -> None:
        first = members[0]
        self.members = tuple(members)
        self.name = " + ".join(member.name for member in members)
        self.labels = tuple(sorted(first.labels))
        self.needs = first.needs
        for number, member in enumerate(members[1:], start=2):
            if sorted(member.labels) != sorted(first.labels):
                raise CheckpointError(
                    f"models 1 and {number} know other genres ({', '.join(first.labels)}; {', '.join(member.labels)}), "
                    "so they cannot be averaged; take models of the same genres"
                )
            theirs, ours = ((spec.sample_rate, spec.length) for spec in (member.clips, first.clips))
            if theirs != ours:
                raise CheckpointError(
                    f"models 1 and {number} listen to other clips ({_clip_text(first.clips)}; "
                    f"{_clip_text(member.clips)}), so they cannot be averaged; take models of the same clips"
                )
            self.needs = self.needs | member.needs
        self.clips = _common_clips([member.clips for member in members])
        self._columns = [[member.labels.index(label) for label in self.labels] for member in members]

    def judge(self, inputs: ClipInputs) -> NDArray[np.float64]:
        """Return mean probabilities (B, classes)."""
        all_of_them = [
            member.judge(inputs)[:, columns] for member, columns in zip(self.members, self._columns, strict=True)
        ]
        mean: NDArray[np.float64] = np.mean(all_of_them, axis=0)
        return mean


def load_predictor(paths: Sequence[str | Path], *, tell: Callable[[str], None] = lambda _notice: None) -> Predictor:
    """Return the model of a file, or the ensemble of several.

    Parameters
    ----------
    paths
        Checkpoints of networks, skops files of classical models, and folders of runs that hold one.
    tell
        Called with a sentence for whatever the user should know of a file that is used all the same.

    Raises
    ------
    CheckpointError
        If a file is not a model of ours, would run code, or does not fit the others.
    """
    if not paths:
        raise CheckpointError("no model is given; name it with ckpt=..., such as the best.ckpt of a run")
    members = [_load(Path(path), tell) for path in paths]
    return members[0] if len(members) == 1 else Ensemble(members)


def _load(path: Path, tell: Callable[[str], None]) -> Predictor:
    from genre.classical.model import SUFFIX, load_classical

    path = file_of_run(path, BEST, f"model{SUFFIX}")
    if path.suffix == SUFFIX or is_classical(path):
        return ClassicalPredictor(load_classical(path, tell=tell))
    return DeepPredictor(load_model(path))


def _common_clips(specs: Sequence[ClipSpec]) -> ClipSpec:
    """Return how tracks are cut for several models whose clips are equally long."""
    return ClipSpec(
        clip_sec=min(spec.clip_sec for spec in specs),
        hop_sec=min(spec.clip_sec if spec.hop_sec is None else spec.hop_sec for spec in specs),
        short=min((spec.short for spec in specs), key=LENIENT.index),
        sample_rate=specs[0].sample_rate,
    )


def _clip_text(clips: ClipSpec) -> str:
    return f"{clips.clip_sec:g} s at {clips.sample_rate} Hz"
