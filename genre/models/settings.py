"""Checks of what the constructors of models are given: a wrong setting is one sentence that names it."""

from __future__ import annotations

import math
from collections.abc import Sequence

from genre.checks import is_number, is_whole
from genre.errors import ConfigError


def check_counts(**settings: object) -> None:
    """Raise unless every setting is a whole number of at least 1."""
    for name, value in settings.items():
        if not is_whole(value, 1):
            raise ConfigError(f"model.{name}={value} is out of range; give a whole number of at least 1")


def check_sizes(**settings: object) -> None:
    """Raise unless every setting is a whole number from 0 on."""
    for name, value in settings.items():
        if not is_whole(value, 0):
            raise ConfigError(f"model.{name}={value} is out of range; give a whole number from 0 on, 0 for none")


def check_count_lists(length: int | None = None, **settings: object) -> None:
    """Raise unless every setting is a list of whole numbers of at least 1, of ``length`` if that is given."""
    for name, value in settings.items():
        items = list(value) if isinstance(value, Sequence) and not isinstance(value, str) else []
        if not items or not all(is_whole(item, 1) for item in items):
            raise ConfigError(
                f"model.{name}={value} is out of range; give whole numbers of at least 1, such as [16,32]"
            )
        if length is not None and len(items) != length:
            raise ConfigError(f"model.{name}={value} has {len(items)} numbers; give {length}, one for each stage")


def check_shares(**settings: object) -> None:
    """Raise unless every setting is a number from 0 up to, but not including, 1."""
    for name, value in settings.items():
        if not is_number(value) or not 0 <= value < 1:
            raise ConfigError(f"model.{name}={value} is out of range; choose a share between 0 and 0.99")


def check_switches(**settings: object) -> None:
    """Raise unless every setting is true or false."""
    for name, value in settings.items():
        if not isinstance(value, bool):
            raise ConfigError(f"model.{name}={value} is neither true nor false; choose one of them")


def check_range(setting: str, value: object, low: float, high: float) -> None:
    """Raise unless a setting, given by its full name, is a number from ``low`` to ``high``; infinity never is."""
    if not is_number(value, low, high):
        shown = f"{value:g}" if is_number(value) else ("null" if value is None else value)
        remedy = f"between {low:g} and {high:g}" if math.isfinite(high) else f"from {low:g} on"
        raise ConfigError(f"{setting}={shown} is out of range; choose a number {remedy}")
