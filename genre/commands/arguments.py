"""Arguments that are file names, beside those that are settings."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass

FLAGS_WITH_VALUE = frozenset(
    ("--cfg", "-c", "--package", "-p", "--config-path", "-cp", "--config-name", "-cn", "--config-dir", "-cd", "--info")
)
"""Hydra's flags that are followed by a value."""

_SETTING = re.compile(r"[+~]{0,2}[A-Za-z_][\w./@:-]*=|~[A-Za-z_][\w./@:-]*$")


@dataclass(frozen=True, slots=True)
class Arguments:
    """A command line.

    Parameters
    ----------
    settings
        What Hydra is to read: flags and ``name=value``.
    paths
        File names, as they were given.
    repeated
        Settings that were given more than once, name to values: of those that may be, in their order.
    """

    settings: tuple[str, ...]
    paths: tuple[str, ...]
    repeated: dict[str, tuple[str, ...]]


def override_name(override: str) -> str:
    """Return what an override is of: ``data.root`` of ``+data.root=music``."""
    return override.partition("=")[0].lstrip("+~")


def split_arguments(arguments: Sequence[str], *, may_repeat: Sequence[str] = ()) -> Arguments:
    """Tell file names from settings, so that Hydra's grammar never meets a file name.

    What exists is a file name, whatever characters it holds. What does not exist and does not look like a setting or a
    flag is one too, so that it is reported as missing; so is ``-``, by which standard input is meant.

    Parameters
    ----------
    arguments
        The command line without the program.
    may_repeat
        Settings that take several values, one an argument.
    """
    settings: list[str] = []
    paths: list[str] = []
    values: dict[str, list[str]] = {}
    is_value = False
    for argument in arguments:
        name, _, value = argument.partition("=")
        if is_value or (argument.startswith("-") and argument != "-" and not os.path.lexists(argument)):
            settings.append(argument)
        elif os.path.lexists(argument) or not _SETTING.match(argument):
            paths.append(argument)
        elif name in may_repeat:
            values.setdefault(name, []).append(value)
            settings.append(argument)
        else:
            settings.append(argument)
        is_value = not is_value and argument in FLAGS_WITH_VALUE
    repeated = {name: tuple(given) for name, given in values.items() if len(given) > 1}
    settings = [argument for argument in settings if argument.partition("=")[0] not in repeated]
    return Arguments(tuple(settings), tuple(paths), repeated)
