"""Folds within training that keep artists and recordings together, as far as there are enough of them."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import StratifiedGroupKFold

from genre.checks import is_whole
from genre.errors import ConfigError, counted

Split = tuple[NDArray[np.int64], NDArray[np.int64]]
"""Rows to fit on, and rows to judge by."""


def deal_folds(
    label: NDArray[np.int64],
    group: NDArray[np.int64],
    n_folds: object,
    *,
    seed: int | None,
    setting: str,
    otherwise: str,
    whole: bool = False,
    tell: Callable[[str], None] = lambda _notice: None,
) -> list[Split]:
    """Deal rows to folds of which each is to judge a model that is fitted on the others.

    There are no more folds than the class of most groups has groups: with more, no class would be in every fold. A fold
    that judges nothing, or that leaves fewer than two classes to fit on, is left out.

    Parameters
    ----------
    label, group : shape=(n,)
        Class of each row, and what it may not be parted from.
    n_folds
        Number of folds that was asked for.
    seed
        Of the deal.
    setting
        Name of the setting that asks for it, for sentences.
    otherwise
        What to do where there are too few groups, for the end of a sentence.
    whole
        Every row has to be judged: rather than to leave one out, deal to fewer folds.
    tell
        Called with a sentence if the folds are not as many as were asked for.

    Raises
    ------
    ConfigError
        If ``n_folds`` is no number of folds, or fewer than two folds remain, or these judge a single class.
    """
    if not is_whole(n_folds, 2):
        raise ConfigError(f"{setting}={n_folds} is not a number of folds; give 2 or more")
    pairs = np.unique(np.stack([label, group]), axis=1)
    most = int(np.unique(pairs[0], return_counts=True)[1].max(initial=0))
    for number in range(min(n_folds, most), 1, -1):
        folds, spoilt = _dealt(label, group, number, seed)
        judged = np.unique(np.concatenate([label[:0], *(label[judge] for _, judge in folds)]))
        if len(folds) < 2 or len(judged) < 2 or (whole and spoilt):
            continue
        if len(folds) < n_folds:
            tell(
                f"{setting}={n_folds}: there are only {counted(len(folds), 'fold')}, for training has too few artists "
                "or recordings of some classes"
            )
        return folds
    raise ConfigError(
        f"{setting}={n_folds} is not possible: training has too few artists or recordings of its classes to part them "
        f"so that each fold leaves two classes, and two are judged; {otherwise}"
    )


def _dealt(
    label: NDArray[np.int64], group: NDArray[np.int64], n_folds: int, seed: int | None
) -> tuple[list[Split], bool]:
    """Return the folds that are of use, and whether one that judges something is not among them."""
    dealer = StratifiedGroupKFold(n_folds, shuffle=True, random_state=seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # a class with fewer groups than folds is absent from some
        judging = [(fit, judge) for fit, judge in dealer.split(label, label, group) if len(judge)]
    folds = [(fit, judge) for fit, judge in judging if len(np.unique(label[fit])) > 1]
    return folds, len(folds) < len(judging)
