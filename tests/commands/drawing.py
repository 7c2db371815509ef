"""What draws the pictures of a run or a sweep, so that a test whose subject they are not can leave it out."""

from __future__ import annotations

import importlib
from types import ModuleType

from genre.commands.importing import importing

OF_RUNS = {"genre.evaluation.report": ("_write_pictures",), "genre.evaluation.leaderboard": ("_write_picture",)}
OF_CLASSICAL_RUNS = {
    **OF_RUNS,
    "genre.commands.classical": ("write_space",),
    "genre.commands.space": ("write_space",),
    "genre.commands.classical_sweeps": ("write_accuracy_tables",),
    "genre.evaluation.trials": ("trials_figure", "save_png"),
}
"""Module -> names of its functions, which return nothing that is used elsewhere."""


def draw_nothing(*_: object, **__: object) -> None:
    """Stand in for any of them."""


def functions_that_draw(script: str) -> list[tuple[ModuleType, str]]:
    """Return the module and the name of all functions with which a script (``train``, for example) draws."""
    names = OF_CLASSICAL_RUNS if script == "sweep_classical" else OF_RUNS
    with importing():
        return [(importlib.import_module(module), name) for module, of in names.items() for name in of]
