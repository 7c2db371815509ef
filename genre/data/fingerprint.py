"""Hashes of settings, and of the code that shapes prepared clips."""

from __future__ import annotations

import ast
import functools
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from genre.plain import plain_text

_READING = ("audio/decode.py", "audio/health.py", "data/clips.py", "data/cutting.py", "data/listening.py")
_OWN = {
    "spectrogram": "features/spectrogram.py",
    "features": "features/handcrafted.py",
    "passage": "data/passages.py",
}
_JOINING = ("data/preparation.py", "features/extract.py")  # they import the code of both arrays, so they count alone
_DAMAGING = ("audio/damage.py", "data/damaged.py")
_WORDS = ("errors.py", "checks.py")  # shape sentences only

HASH_HEX = 32
"""Hexadecimal digits (128 bits) kept of every hash."""


def digest(value: Any) -> str:
    """Return the hash of a value made of plain lists, tuples, dictionaries, numbers, strings and None.

    Equal numbers have equal hashes: 3 is 3.0.
    """
    return hashlib.sha256(plain_text(value).encode()).hexdigest()[:HASH_HEX]


@functools.cache
def code_fingerprints() -> dict[str, str]:
    """Return, for each array of a store, the hash of the code that shapes it.

    What counts is the code that decodes and cuts, the code that computes the array, and all that these import from this
    package. Comments, docstrings and layout do not count, so that only a change that could change a value gives another
    hash.
    """
    return package_fingerprints(Path(__file__).parent.parent)


def package_fingerprints(package: Path) -> dict[str, str]:
    """Return the hashes of :func:`code_fingerprints` for a copy of this package."""
    module = functools.cache(functools.partial(_Module.read, package=package))
    return {kind: _fingerprint(package, (*_READING, own), module) for kind, own in _OWN.items()}


@functools.cache
def damage_fingerprint(package: Path = Path(__file__).parent.parent) -> str:
    """Return the hash of the code that damages recordings; it counts for damaged copies of clips only."""
    return _fingerprint(package, _DAMAGING, functools.cache(functools.partial(_Module.read, package=package)))


def _fingerprint(package: Path, roots: Sequence[str], module: Callable[[Path], _Module]) -> str:
    logic = {package / file: module(package / file).logic for file in _JOINING}
    pending = [package / root for root in roots]
    while pending:
        file = pending.pop()
        if file not in logic and file.relative_to(package).as_posix() not in _WORDS:
            logic[file] = module(file).logic
            pending += module(file).imports
    return digest({file.relative_to(package).as_posix(): text for file, text in logic.items()})


@dataclass(frozen=True)
class _Module:
    """What a module does, without what it says about it, and the modules of its package that it imports."""

    logic: str
    imports: tuple[Path, ...]

    @classmethod
    def read(cls, file: Path, *, package: Path) -> Self:
        tree = ast.parse(file.read_text(encoding="utf-8"))
        inside = (package.name, *file.relative_to(package).parts[:-1])
        names = [name for node in ast.walk(tree) for name in _imported_names(node, inside)]
        places = [package.joinpath(*name.split(".")[1:]) for name in names if name.startswith(f"{package.name}.")]
        found = [file for place in places for file in (place.with_suffix(".py"), place / "__init__.py")]
        _remove_docstrings(tree)
        return cls(ast.dump(tree), tuple(file for file in found if file.is_file()))


def _imported_names(node: ast.AST, inside: Sequence[str]) -> list[str]:
    """Return the full names of all that could be a module in an import statement of a package ``inside``."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        above = inside[: len(inside) - node.level + 1] if node.level else ()
        module = ".".join((*above, *filter(None, [node.module])))
        return [module, *(f"{module}.{alias.name}" for alias in node.names)]
    return []


def _remove_docstrings(tree: ast.Module) -> None:
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            node.body = [part for part in node.body if not _is_text(part)]


def _is_text(statement: ast.stmt) -> bool:
    return (
        isinstance(statement, ast.Expr)
        and isinstance(statement.value, ast.Constant)
        and isinstance(statement.value.value, str)
    )
