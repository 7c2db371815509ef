"""Checks of single settings: a number, a whole number, a range. True and false are no numbers here."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TypeGuard

from genre.errors import ConfigError


def is_number(value: object, low: float = -math.inf, high: float = math.inf) -> TypeGuard[float]:
    """Return whether a value is a finite number from ``low`` to ``high``.

    >>> is_number(1), is_number(1.5, 0, 1), is_number(float("inf")), is_number(True), is_number("1")
    (True, False, False, False, False)
    """
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return abs(value) < math.inf and low <= value <= high


def is_whole(value: object, least: int, most: float = math.inf) -> TypeGuard[int]:
    """Return whether a value is a whole number from ``least`` to ``most``.

    >>> is_whole(2, 1), is_whole(2, 1, most=1), is_whole(2.0, 1), is_whole(True, 1)
    (True, False, False, False)
    """
    return isinstance(value, int) and not isinstance(value, bool) and least <= value <= most


def check_number(setting: str, value: object, low: float, high: float) -> None:
    """Raise ConfigError unless a setting, given by its full name, is a number from ``low`` to ``high``."""
    if not is_number(value, low, high):
        raise ConfigError(f"{setting}={value} is out of range; choose between {low:g} and {high:g}")


def checked_range(setting: str, value: object, low: float, high: float) -> tuple[float, float]:
    """Return a setting, given by its full name, that is two numbers in order, both from ``low`` to ``high``.

    Raises
    ------
    ConfigError
        If it is anything else.
    """
    bounds = tuple(value) if isinstance(value, Sequence) and not isinstance(value, str) else ()
    if len(bounds) != 2 or not all(is_number(bound, low, high) for bound in bounds) or bounds[0] > bounds[1]:
        raise ConfigError(
            f"{setting}={list(bounds) or value} is not a range; give [lowest,highest] between {low:g} and {high:g}"
        )
    return float(bounds[0]), float(bounds[1])
