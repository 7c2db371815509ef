"""Plain values, as configurations and JSON have them, told apart by what they are and not by how they are written."""

from __future__ import annotations

import json
from collections.abc import Mapping


def plain_text(value: object) -> str:
    """Return a text that is the same for equal values made of lists, tuples, dictionaries, numbers, strings and None.

    >>> plain_text({"b": (1, 0.5), "a": 3.0}) == plain_text({"a": 3, "b": [1.0, 0.5]})
    True
    """
    return json.dumps(_canonical(value), sort_keys=True, separators=(",", ":"))


def _canonical(value: object) -> object:
    if isinstance(value, Mapping):
        return {str(name): _canonical(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_canonical(item) for item in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value
