"""A trained classical model and its file: one skops archive, which holds no pickle and cannot run code.

The archive holds one dictionary of plain values beside the fitted scikit-learn pipeline (:data:`FORMAT`), and that is
all that is needed to use the model on new sound: compute the features named in it for every clip, cut as it says, and
ask :meth:`ClassicalModel.predict_proba`.
"""

from __future__ import annotations

import os
import tempfile
import warnings
import zipfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax
from sklearn.pipeline import Pipeline

from genre.classical.parts import check_parts, count_values
from genre.data.clips import ClipSpec
from genre.errors import CheckpointError, DataError, GenreError

__all__ = ["ClassicalModel", "class_logits", "count_values", "load_classical"]

FORMAT = 1
UNKNOWN_VERSION = 0
"""Version of features that a table does not tell; published tables are close to what this package computes."""

SUFFIX = ".skops"

TRUSTED = frozenset(
    {
        "genre.classical.classifiers.GroupedStacking",
        "genre.classical.neural_net.NeuralNet",
        "genre.classical.transforms.RadialBasis",
        "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
        "sklearn.tree._tree.Tree",
        "sklearn.utils._bunch.Bunch",
    }
)
"""Types a model file may hold beside those of scikit-learn and NumPy that skops knows to be harmless.

What is read by compiled code that does not look where it goes, such as trees, :mod:`genre.classical.parts` checks.
"""

SMOOTHING = 0.01
"""Share of the uniform distribution mixed into probabilities before their logarithm is taken."""


@dataclass(frozen=True)
class ClassicalModel:
    """A fitted pipeline with all that is needed to use it on new sound.

    Parameters
    ----------
    pipeline
        Scaler, transform and classifier, fitted on class numbers.
    labels
        Names of the classes, in the order of their numbers.
    feature_names
        Names of the columns of its input.
    features_version
        Version of the code that computed the features.
    clips
        How the tracks it learnt from were cut; ``None`` for a model of a feature table, which does not say.
    temperature
        By which the logits are divided, so that the probabilities can be trusted.
    provenance
        Plain facts of the training, such as ``model``, ``seed`` and ``config_hash``.
    """

    pipeline: Pipeline
    labels: tuple[str, ...]
    feature_names: tuple[str, ...]
    features_version: int
    clips: ClipSpec | None
    temperature: float = 1.0
    provenance: Mapping[str, Any] = field(default_factory=dict)

    @property
    def sample_rate(self) -> int | None:
        """Rate in Hz at which tracks are cut into clips, if known."""
        return None if self.clips is None else self.clips.sample_rate

    @property
    def feature_set(self) -> str | None:
        """Name in :data:`genre.features.sets.FEATURE_SETS` of what it needs; None for a table's own features."""
        from genre.features.sets import FEATURE_SETS

        return next((name for name, kind in FEATURE_SETS.items() if kind.names == self.feature_names), None)

    @property
    def passage_sec(self) -> float | None:
        """Length in seconds of the passages it hears; ``None`` if it hears none."""
        from genre.features.sets import FEATURE_SETS

        of_passages = self.feature_set is not None and FEATURE_SETS[self.feature_set].of_passages
        return self.clips.passage_sec if of_passages and self.clips is not None else None

    def features_of(
        self, clips: NDArray[np.float32], sample_rate: int, passages: NDArray[np.float32] | None = None
    ) -> NDArray[np.float32]:
        """Compute what the model needs of clips of shape (n_clips, n_samples) at ``sample_rate`` Hz.

        Parameters
        ----------
        clips : shape=(n_clips, n_samples)
        sample_rate
            In Hz.
        passages : shape=(n_clips, len(PASSAGE_NAMES))
            The features of the passage of each clip, if :attr:`passage_sec` says that it hears passages.

        Raises
        ------
        CheckpointError
            If the model learnt from a table whose features this package cannot compute, or from those of a version
            that computed them otherwise.
        """
        from genre.features.sets import FEATURE_SETS, compute_features

        name = self.feature_set
        if name is None:
            raise CheckpointError(
                "the model learnt from a table of other features than this package computes; train one on audio"
            )
        if self.features_version not in (FEATURE_SETS[name].version, UNKNOWN_VERSION):
            raise CheckpointError(
                f"the model learnt from version {self.features_version} of the features and this package computes "
                f"version {FEATURE_SETS[name].version}; train it again, or use the package it was trained with"
            )
        return compute_features(name, clips, sample_rate, passages)

    def logits(self, features: NDArray[np.floating]) -> NDArray[np.float64]:
        """Return the scores before the softmax, shape (n, n_classes).

        Parameters
        ----------
        features
            Shape (n, n_features), columns as in :attr:`feature_names`, not scaled.

        Raises
        ------
        DataError
            If the features have another shape or are not finite numbers.
        CheckpointError
            If a score is not a finite number.
        """
        rows = np.asarray(features, dtype=np.float64)
        if rows.ndim != 2 or rows.shape[1] != len(self.feature_names):
            raise DataError(
                f"the model needs features of shape (n, {len(self.feature_names)}), not {rows.shape}; compute them "
                "with the same version of this package"
            )
        if not np.isfinite(rows).all():
            raise DataError("features must be finite numbers; leave out clips that hold others")
        if not len(rows):
            return np.empty((0, len(self.labels)))
        logits = class_logits(self.pipeline, rows, len(self.labels))
        if not np.isfinite(logits).all():
            raise CheckpointError(
                "the model gives scores that are not finite numbers: its training diverged or its file is damaged; "
                "train it again, with another scaler or classifier if that does not help"
            )
        return logits

    def predict_proba(self, features: NDArray[np.floating]) -> NDArray[np.float64]:
        """Return the calibrated probability of each class, shape (n, n_classes), of features of shape (n, n_features).

        Raises
        ------
        DataError
            If the features have another shape or are not finite numbers.
        CheckpointError
            If a score is not a finite number.
        """
        return np.asarray(softmax(self.logits(features) / self.temperature, axis=1))

    def with_temperature(self, temperature: float) -> ClassicalModel:
        """Return the same model with another temperature."""
        return replace(self, temperature=temperature)

    def save(self, path: Path) -> None:
        """Write the model to a file, whole or not at all.

        Raises
        ------
        CheckpointError
            If it cannot be written, or is made of types that :func:`load_classical` would refuse.
        """
        import sklearn
        import skops.io

        content = {
            "format": FORMAT,
            "labels": list(self.labels),
            "feature_names": list(self.feature_names),
            "features_version": int(self.features_version),
            "clips": None if self.clips is None else self.clips.settings(),
            "temperature": float(self.temperature),
            "provenance": dict(self.provenance),
            "scikit_learn": sklearn.__version__,
            "pipeline": self.pipeline,
        }
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(prefix=f".{path.name}.", dir=path.parent) as folder:
                temporary = Path(folder) / path.name
                skops.io.dump(content, temporary, compression=zipfile.ZIP_DEFLATED)
                if refused := _untrusted(skops.io.get_untrusted_types(file=temporary)):
                    raise CheckpointError(
                        f"the model is not written to {path}: it is made of {', '.join(refused)}, which no model file "
                        "may hold; choose another classifier, or other settings of it"
                    )
                os.replace(temporary, path)
        except OSError as error:
            raise CheckpointError(
                f"cannot write the model {path} ({error.strerror or error}); free some space or choose another folder"
            ) from error


def refused_types(estimator: Any) -> list[str]:
    """Return the types that a fitted estimator is made of and that :func:`load_classical` would refuse, sorted."""
    import skops.io

    return _untrusted(skops.io.get_untrusted_types(data=skops.io.dumps(estimator)))


def load_classical(
    path: str | os.PathLike[str], *, tell: Callable[[str], None] = lambda _notice: None
) -> ClassicalModel:
    """Load a model that :meth:`ClassicalModel.save` wrote; nothing in the file is run.

    Parameters
    ----------
    path
        The file.
    tell
        Called with a sentence if it was written with another version of scikit-learn.

    Raises
    ------
    CheckpointError
        If the file is missing, is no such model, or asks for a type that is not trusted: the sentence names it.
    """
    import sklearn

    file = Path(path)
    if not file.is_file():
        raise CheckpointError(f"there is no file {file}; name the model{SUFFIX} of a run")
    _refuse_untrusted(file)
    content = _read(file)
    try:
        model = _model(content)
    except (AttributeError, KeyError, TypeError, ValueError, GenreError) as error:
        raise _not_a_model(
            file, f"{error}" if isinstance(error, GenreError) else f"wrong or missing: {error}"
        ) from error
    written, installed = content.get("scikit_learn"), sklearn.__version__
    if written != installed:
        tell(
            f"{file} was written with scikit-learn {written} and {installed} is installed, so that its answers may "
            "differ; install that version, or train the model again, if they matter"
        )
    return model


def class_logits(estimator: Any, rows: NDArray[np.float64], n_classes: int) -> NDArray[np.float64]:
    """Return what a fitted classifier says of rows as logits, shape (n, n_classes).

    The decision function where there is one, else the logarithm of the probabilities, into which a little of the
    uniform distribution is mixed, since a forest or a neighbourhood that never saw a class says 0. A class that was not
    in training has a lower logit than all others.

    Parameters
    ----------
    estimator
        Fitted on class numbers from 0 to ``n_classes`` - 1.
    rows
        Shape (n, n_features).
    """
    classes = np.asarray(estimator.classes_, dtype=np.int64)
    if hasattr(estimator, "decision_function"):
        scores = np.asarray(estimator.decision_function(rows), dtype=np.float64)
        if scores.ndim == 1:  # of the second of two classes against the first
            scores = np.stack([np.zeros_like(scores), scores], axis=1)[:, : len(classes)]
    else:
        share = np.asarray(estimator.predict_proba(rows), dtype=np.float64)
        scores = np.log((1 - SMOOTHING) * share + SMOOTHING / share.shape[1])
    logits = np.repeat(scores.min(axis=1, keepdims=True) - 1.0, n_classes, axis=1)
    logits[:, classes] = scores
    return logits


def _untrusted(types: Iterable[str]) -> list[str]:
    return sorted(set(types) - TRUSTED)


def _refuse_untrusted(file: Path) -> None:
    import skops.io

    try:
        asked = skops.io.get_untrusted_types(file=file)
    except Exception as error:  # whatever a file of another kind makes of the reader
        raise _not_a_model(file, str(error)) from error
    if unknown := _untrusted(asked):
        raise CheckpointError(
            f"{file} asks for {', '.join(unknown)}, which a model file of this package never holds; it may run code of "
            "a stranger, so it is not loaded: get the model from a source you trust, or train it again"
        )


def _read(file: Path) -> Mapping[str, Any]:
    import skops.io
    from sklearn.exceptions import InconsistentVersionWarning

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", InconsistentVersionWarning)
            content = skops.io.load(file, trusted=sorted(TRUSTED))
    except Exception as error:
        raise _not_a_model(file, str(error)) from error
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise _not_a_model(file, f"it is not of format {FORMAT}")
    return content


def _model(content: Mapping[str, Any]) -> ClassicalModel:
    pipeline, temperature = content["pipeline"], float(content["temperature"])
    if not isinstance(pipeline, Pipeline):
        raise TypeError("pipeline")
    if not (np.isfinite(temperature) and temperature > 0):
        raise ValueError(f"temperature {temperature}")
    check_parts(pipeline)
    return ClassicalModel(
        pipeline=pipeline,
        labels=tuple(map(str, content["labels"])),
        feature_names=tuple(map(str, content["feature_names"])),
        features_version=int(content["features_version"]),
        clips=None if content["clips"] is None else ClipSpec(**content["clips"]),
        temperature=temperature,
        provenance=content["provenance"],
    )


def _not_a_model(file: Path, fault: str) -> CheckpointError:
    return CheckpointError(
        f"{file} is not a model that sweep_classical.py wrote ({' '.join(fault.split())[:200]}); name the "
        f"model{SUFFIX} of a run"
    )
