"""Deal groups of tracks to sides so that every class has the wanted share on each side.

Groups are all or nothing, so the wanted shares can only be approached. Many greedy deals in jittered orders are made
side by side, and the best of them by :func:`cost` is kept. Where even that leaves a class absent from a side that
should have it, and there are few groups, all deals are compared.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from genre.data.protocols.table import IntArray

FloatArray = NDArray[np.float64]

MUST = 1e4  # need of a class that has to be on a side, whatever that does to the shares
SHOULD = 1e2  # need of a class that has to be on a side if possible

MOST_RESTARTS = 400
FEWEST_RESTARTS = 4
_WORK = 3_000_000  # restarts x groups x sides x classes: a fraction of a second
_EVERY_DEAL = 3**8  # so many deals are all looked at, where those tried leave a class absent from a side
_MOST_BUNDLES = 500  # of a class: its shares are then still exact to a fifth of a percent


@dataclass(frozen=True, eq=False)
class Aim:
    """What a deal should come close to.

    Parameters
    ----------
    target
        Wanted tracks of each class on each side, shape=(n_sides, n_classes); a column sums to the tracks of its class.
    need
        How bad it is for a class to be absent from a side, shape=(n_sides, n_classes); 0 where it may be absent.
    weight
        How much a deviation counts on each side, shape=(n_sides,).
    """

    target: FloatArray
    need: FloatArray
    weight: FloatArray


def cost(dealt: IntArray, aim: Aim) -> FloatArray:
    """Judge deals by how far the shares of the classes are from the wanted ones.

    With ``p`` the dealt and ``t`` the wanted share of a class on a side, its term is that of the generalised
    Kullback-Leibler divergence, ``t log(t / p) - t + p`` (Csiszar 1991, Annals of Statistics 19(4)): zero when
    ``p = t``, and steeper for a side that gets too little than for one that gets too much. On top of that come the
    squared sums of ``need`` over the sides a class is absent from, so that two classes without one side each are better
    than one class without two.

    Parameters
    ----------
    dealt
        Tracks of each class on each side, shape=(..., n_sides, n_classes).
    aim
        What the deals are judged by.

    Returns
    -------
    Cost of each deal, shape=(...,).
    """
    filled = np.maximum(dealt, 0.5)  # keeps the logarithm of an empty side finite
    logarithm = np.log(np.where(aim.target > 0, aim.target / filled, 1.0))
    divergence = (aim.target * logarithm - aim.target + dealt) / aim.target.sum(axis=0)
    absence = (aim.need * (dealt == 0)).sum(axis=-2) ** 2
    return np.asarray((aim.weight[:, None] * divergence).sum(axis=(-2, -1)) + absence.sum(axis=-1))


def deal_groups(counts: IntArray, aim: Aim, rng: np.random.Generator) -> IntArray:
    """Deal groups to sides: the best of several hundred tries, fewer when there are thousands of groups.

    Parameters
    ----------
    counts
        Tracks of each group in each class, shape=(n_groups, n_classes); every class has at least one.
    aim
        What the deal should come close to.
    rng
        Source of the jitter: generators in equal states give equal deals.

    Returns
    -------
    Side of each group, shape=(n_groups,).
    """
    bundle = _bundles(counts, max(_MOST_BUNDLES, 20 * len(aim.target)), rng)
    counts = tally(counts, bundle, int(bundle.max()) + 1)
    restarts = int(np.clip(_WORK // (len(counts) * aim.target.size), FEWEST_RESTARTS, MOST_RESTARTS))
    sides = _greedy(counts, aim, _orders(counts, restarts, rng), rng)
    costs = cost(np.stack([tally(counts, side, len(aim.target)) for side in sides.T]), aim)
    # Rounded, so that the last bit of a logarithm cannot choose another deal on another machine.
    best = int(np.argmin(np.round(costs, 9)))
    if costs[best] >= SHOULD**2 and len(aim.target) ** len(counts) <= _EVERY_DEAL:  # a class is missing somewhere
        sides, best = _best_of_all(counts, aim)[:, None], 0
    return np.asarray(sides[bundle, best])


def _best_of_all(counts: IntArray, aim: Aim) -> IntArray:
    """Return the side of each of a few groups in the deal that costs least of all there are: shape=(n_groups,)."""
    n_sides = len(aim.target)
    every = np.indices((n_sides,) * len(counts)).reshape(len(counts), -1)
    dealt = np.stack([(counts[:, :, None] * (every == side)[:, None]).sum(axis=0).T for side in range(n_sides)], axis=1)
    return np.asarray(every[:, np.argmin(np.round(cost(dealt, aim), 9))])


def tally(counts: IntArray, side: IntArray, n_sides: int) -> IntArray:
    """Count the tracks of each class on each side: shape=(n_sides, n_classes)."""
    dealt = np.zeros((n_sides, counts.shape[1]), dtype=np.int64)
    np.add.at(dealt, side, counts)
    return dealt


def _bundles(counts: IntArray, most: int, rng: np.random.Generator) -> IntArray:
    """Join groups of large classes at random, so that no class has more than ``most`` to deal: shape=(n_groups,).

    Groups with tracks in several classes stay alone.
    """
    bundle = np.arange(len(counts))
    of_one_class = (counts > 0).sum(axis=1) == 1
    for label in range(counts.shape[1]):
        members = rng.permutation(np.flatnonzero(of_one_class & (counts[:, label] > 0)))
        bundle[members] = members[np.arange(len(members)) % most]
    return np.unique(bundle, return_inverse=True)[1].astype(np.int64)


def _orders(counts: IntArray, restarts: int, rng: np.random.Generator) -> IntArray:
    """Orders to deal groups in, shape=(n_groups, restarts): the first by falling size, the last nearly at random."""
    shuffled = rng.permutation(len(counts))  # so that the seed decides among groups of one size
    size = (counts[shuffled] / counts.sum(axis=0)).sum(axis=1)
    jitter = rng.uniform(size=(len(counts), restarts)) * np.linspace(0.0, 1.0, restarts)
    return np.asarray(shuffled[np.argsort(-size[:, None] * (1.0 - jitter), axis=0, kind="stable")])


def _greedy(counts: IntArray, aim: Aim, orders: IntArray, rng: np.random.Generator) -> IntArray:
    """Give each group to the side that wants it most, one deal a column: shape=(n_groups, restarts).

    A side wants a group by how much ``sum((target - dealt)**2 / target)`` would fall. But once a class has no more
    groups left than there are sides without it, those sides come first.
    """
    n_groups, restarts = orders.shape
    columns = np.arange(restarts)
    weight = 1.0 / np.maximum(aim.target, 0.5)
    gap = np.repeat(aim.target[None], restarts, axis=0)
    lacking = np.repeat(aim.need[None], restarts, axis=0)
    groups_left = np.repeat((counts > 0).sum(axis=0)[None], restarts, axis=0)
    nudge = rng.uniform(0.0, 1e-6, size=(n_groups, len(aim.target)))  # the seed decides among sides that want it alike
    sides = np.empty((n_groups, restarts), dtype=np.int64)
    for step, group in enumerate(orders):
        size = counts[group]
        present = size > 0
        want = ((2.0 * gap - size[:, None]) * size[:, None] * weight).sum(axis=2) + nudge[step]
        urgent = present & (groups_left <= (lacking > 0).sum(axis=1))
        if urgent.any():
            want += 1e6 * (lacking * urgent[:, None]).sum(axis=2)
        side = want.argmax(axis=1)
        sides[group, columns] = side
        gap[columns, side] -= size
        lacking[columns, side] *= ~present
        groups_left -= present
    return sides
