"""The picture of what the protocol does to a figure."""

from __future__ import annotations

from pathlib import Path

import pytest
from matplotlib.image import imread
from test_leaderboard import run_of

from genre.evaluation import canvas, plots
from genre.evaluation.leaderboard import leaderboard
from genre.evaluation.leakage import write_protocol_pictures
from genre.evaluation.plots import Bar


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[Bar]]:
    """Bars by name of the picture, instead of pictures."""
    pictures: dict[str, list[Bar]] = {}
    monkeypatch.setattr(plots, "leakage_bars_figure", lambda bars, **_: list(bars))
    monkeypatch.setattr(canvas, "save_png", lambda bars, path: pictures.update({path.name: bars}))
    return pictures


def test_every_model_under_several_protocols_has_its_picture_leaked_bars_first(drawn, tmp_path: Path) -> None:
    runs = [
        run_of("a", accuracy=0.4, protocol="artist"),
        run_of("b", accuracy=0.5, protocol="track"),
        run_of("c", accuracy=0.9, protocol="clip_random", leaky=True),
        run_of("d", accuracy=0.45, model="cnn_gru", protocol="artist"),
        run_of("e", accuracy=0.5, protocol="track", dataset="emotify"),
    ]
    assert write_protocol_pictures(tmp_path, leaderboard(runs)) == [tmp_path / "protocols_mini_vgg_gtzan.png"]
    [bars] = drawn.values()
    assert [(bar.name, bar.accuracy, bar.leaky) for bar in bars] == [
        ("clip_random", 0.9, True),
        ("track", 0.5, False),
        ("artist", 0.4, False),
    ]


def test_seeds_are_one_bar_with_the_interval_of_their_mean(drawn, tmp_path: Path) -> None:
    runs = [run_of(f"a{seed}", accuracy=0.4 + seed / 10, seed=seed) for seed in range(3)]
    standings = leaderboard([*runs, run_of("b", protocol="track")])
    write_protocol_pictures(tmp_path, standings)
    bar = next(bar for bar in next(iter(drawn.values())) if bar.name == "artist")
    assert bar.accuracy == pytest.approx(0.5)
    assert bar.ci95 == next(standing for standing in standings if standing.protocol == "artist").interval[:2]


def test_runs_without_a_test_side_have_no_bar(drawn, tmp_path: Path) -> None:
    runs = [run_of("a", accuracy=None), run_of("b", protocol="track")]
    assert write_protocol_pictures(tmp_path, leaderboard(runs)) == []
    assert drawn == {}


def test_a_picture_is_written_whatever_the_names(tmp_path: Path) -> None:
    runs = [run_of("a", dataset="my music (1)/a"), run_of("b", dataset="my music (1)/a", protocol="track")]
    [path] = write_protocol_pictures(tmp_path, leaderboard(runs))
    assert path.parent == tmp_path
    assert imread(path).shape[0] > 100


def test_names_that_are_long_or_alike_have_pictures_of_their_own(drawn, tmp_path: Path) -> None:
    models = ["x" * 300 + "1", "x" * 300 + "2", "a b", "a_b", "ж" * 200]
    runs = [
        run_of(f"{model}{protocol}", model=model, protocol=protocol)
        for model in models
        for protocol in ("track", "artist")
    ]
    paths = write_protocol_pictures(tmp_path, leaderboard(runs))
    assert len(set(paths)) == len(models)
    assert all(len(path.name.encode()) + len("..0123456789ab.tmp") <= 255 for path in paths)


def test_names_that_join_alike_have_pictures_of_their_own(drawn, tmp_path: Path) -> None:
    alike = [("mini_vgg", "demo"), ("mini", "vgg_demo"), ("mini_vgg", "gtzan")]
    runs = [
        run_of(f"{model} {dataset} {protocol}", model=model, dataset=dataset, protocol=protocol)
        for model, dataset in alike
        for protocol in ("track", "artist")
    ]
    paths = write_protocol_pictures(tmp_path, leaderboard(runs))
    assert {path.name for path in paths} == drawn.keys()
    assert len(drawn) == 3
    assert "protocols_mini_vgg_gtzan.png" in drawn
