"""Hashes of settings and of the code that shapes prepared clips."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

import genre
from genre.data.fingerprint import code_fingerprints, digest, package_fingerprints


def test_equal_values_have_equal_hashes():
    assert digest({"b": 3, "a": [1.0, None, "x"]}) == digest({"a": (1, None, "x"), "b": 3.0})
    assert len(digest("")) == 32


@pytest.mark.parametrize("other", [{"a": 2}, {"b": 1}, {"a": "1"}, {"a": [1]}, {"a": None}, {"a": 1.5}, {}, [["a", 1]]])
def test_other_values_have_other_hashes(other):
    assert digest({"a": 1}) != digest(other)


def test_the_order_of_a_list_counts():
    assert digest([1, 2]) != digest([2, 1])


@pytest.fixture
def package(tmp_path):
    """Copy the package, to change its code."""
    return Path(
        shutil.copytree(Path(genre.__file__).parent, tmp_path / "genre", ignore=shutil.ignore_patterns("__pycache__"))
    )


def test_a_copy_of_the_package_has_its_fingerprints(package):
    assert package_fingerprints(package) == code_fingerprints()
    assert set(code_fingerprints()) == ALL
    assert len(set(code_fingerprints().values())) == 3


ALL = {"spectrogram", "features", "passage"}


@pytest.mark.parametrize(
    ("file", "changed"),
    [
        ("audio/decode.py", ALL),
        ("audio/health.py", ALL),
        ("audio/quiet.py", ALL),  # imported by decode.py
        ("data/clips.py", ALL),
        ("data/cutting.py", ALL),
        ("data/listening.py", ALL),
        ("data/preparation.py", ALL),
        ("features/extract.py", ALL),
        ("features/spectrogram.py", {"spectrogram"}),
        ("features/handcrafted.py", {"features"}),
        ("features/hpss.py", {"features"}),
        ("data/passages.py", {"passage"}),
        ("features/melody.py", {"passage"}),
        ("data/store.py", set()),
        ("data/parts.py", set()),
        ("data/tracks.py", set()),
        ("audio/damage.py", set()),
        ("data/damaged.py", set()),
        ("models/base.py", set()),
        ("errors.py", set()),
        ("checks.py", set()),
    ],
)
def test_a_change_of_code_counts_for_the_arrays_it_shapes(package, file, changed):
    before = package_fingerprints(package)
    with (package / file).open("a", encoding="utf-8") as stream:
        stream.write("\n\nSOMETHING = 1\n")
    after = package_fingerprints(package)
    assert {kind for kind in before if before[kind] != after[kind]} == changed


def test_comments_docstrings_and_layout_do_not_count(package):
    file = package / "features" / "handcrafted.py"
    before = package_fingerprints(package)
    text = file.read_text(encoding="utf-8")
    file.write_text(text + '\n\n# a comment\n"""A text."""\n\n', encoding="utf-8")
    assert package_fingerprints(package) == before
    first = text.index('"""')
    file.write_text(text[:first] + '"""Another text."""' + text[text.index('"""', first + 3) + 3 :], encoding="utf-8")
    assert package_fingerprints(package) == before


def test_a_new_module_counts_as_soon_as_it_is_imported(package):
    before = package_fingerprints(package)
    room = package / "features"
    (room / "new.py").write_text("VALUE = 1\n", encoding="utf-8")
    assert package_fingerprints(package) == before
    with (room / "hpss.py").open("a", encoding="utf-8") as stream:
        stream.write("\nfrom . import new\n")
    imported = package_fingerprints(package)
    assert imported["features"] != before["features"]
    (room / "new.py").write_text("VALUE = 2\n", encoding="utf-8")
    assert package_fingerprints(package)["features"] not in (imported["features"], before["features"])
    assert package_fingerprints(package)["spectrogram"] == before["spectrogram"]


def test_where_the_package_lies_does_not_count(package, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    moved = shutil.copytree(package, tmp_path / "elsewhere" / "genre")
    assert package_fingerprints(moved) == package_fingerprints(package)
