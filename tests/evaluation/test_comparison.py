"""The paired bootstrap over tracks, against what it must find and what it must not."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from genre.errors import DataError
from genre.evaluation import comparison
from genre.evaluation.comparison import TrackScores, compare, holm, track_scores
from genre.evaluation.metrics import interval_of_mean
from genre.evaluation.predictions import Predictions, track_level
from genre.evaluation.resampling import Units


def scores(values, tracks=None) -> TrackScores:
    names = [f"t{number:03}" for number in (range(len(values)) if tracks is None else tracks)]
    return TrackScores(dict.fromkeys(names, "jazz"), dict(zip(names, map(float, values), strict=True)))


def test_runs_are_averaged_by_track_and_folds_are_pooled(make_predictions) -> None:
    tables = [make_predictions(8, 3, seed=0, signal=2.0), make_predictions(8, 3, seed=0, signal=0.0)]
    fold = make_predictions(5, 3, seed=4)
    fold = Predictions(
        tuple(f"fold/{name}" for name in fold.track), fold.start_sec, fold.label, fold.probabilities, fold.labels
    )
    pooled = track_scores([*tables, fold])
    assert len(pooled.correct) == 13
    assert set(pooled.correct.values()) <= {0.0, 0.5, 1.0}
    assert pooled.correct == {**track_scores(tables).correct, **track_scores([fold]).correct}
    both = [track_scores([table]).correct for table in tables]
    assert all(value == (both[0][track] + both[1][track]) / 2 for track, value in track_scores(tables).correct.items())


def test_the_interval_is_that_of_two_tables(make_predictions) -> None:
    a, b = make_predictions(80, 1, signal=2.0), make_predictions(80, 1, signal=1.0)
    [result] = compare([track_scores([a]), track_scores([b])])
    gain = track_level(a).correct.astype(float) - track_level(b).correct
    known = interval_of_mean(gain, Units.of(track_level(a).track, {}))
    assert result.difference.difference == pytest.approx(gain.mean())
    assert result.difference.ci95 == pytest.approx(known, abs=0.013)  # one track of 80
    assert (result.accuracy_a - result.accuracy_b, result.difference.n_tracks) == (pytest.approx(gain.mean()), 80)


def test_p_is_about_that_of_a_normal_mean() -> None:
    rng = np.random.default_rng(0)
    a, b = (rng.random(400) < share for share in (0.60, 0.53))
    [result] = compare([scores(a), scores(b)])
    gain = a.astype(float) - b
    expected = 2 * stats.norm.sf(abs(gain.mean()) / stats.sem(gain, ddof=0))
    assert result.p == pytest.approx(expected, rel=0.15)
    assert result.p_holm == result.p


def test_equal_models_are_rarely_told_apart() -> None:
    rng = np.random.default_rng(1)
    hard = rng.random(120)
    found = [
        one.p
        for _ in range(40)
        for one in compare([scores(rng.random(120) < hard) for _ in range(4)], n_bootstrap=1000)
    ]
    assert np.mean(np.array(found) < 0.05) < 0.09
    assert np.mean(np.array(found) < 0.5) == pytest.approx(0.5, abs=0.13)


def test_a_table_of_equal_models_mostly_has_no_difference_after_holm() -> None:
    rng = np.random.default_rng(2)
    tables = [compare([scores(rng.random(100) < 0.5) for _ in range(6)], n_bootstrap=2000) for _ in range(30)]
    assert sum(any(one.beyond_noise for one in table) for table in tables) <= 4


def test_forty_models_are_told_apart_where_they_differ() -> None:
    rng = np.random.default_rng(3)
    models = [scores(rng.random(120) < (0.85 if number < 20 else 0.35)) for number in range(40)]
    found = compare(models)
    assert len(found) == 780
    assert [(one.a, one.b) for one in found[:2]] == [(0, 1), (0, 2)]
    assert all(one.beyond_noise for one in found if one.a < 20 <= one.b)
    assert not any(one.beyond_noise for one in found if one.b < 20)


def test_only_pairs_that_may_differ_get_more_resamples_and_not_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    whole, asked = comparison._resampled_means, []

    def counted(columns, units, resamples, seed):
        asked.append((columns.shape[1], resamples))
        return whole(columns, units, resamples, seed)

    monkeypatch.setattr(comparison, "_resampled_means", counted)
    rng = np.random.default_rng(5)
    alike = [scores(np.roll(np.arange(60) % 2, rng.integers(60))) for _ in range(30)]
    compare(alike)
    assert asked == [(30, 10_000)]
    asked.clear()
    fewer = np.array(list(alike[0].correct.values()))
    fewer[np.flatnonzero(fewer)[:16]] = 0
    one_differs = [*alike[:1] * 29, scores(fewer)]
    found = compare(one_differs)
    assert asked == [(30, 10_000), (30, 80 * 435)]
    assert {one.p for one in found if one.b == 29} == {2 / (80 * 435 + 1)}
    assert all(one.beyond_noise for one in found if one.b == 29)
    asked.clear()
    found = compare([*alike[:20], *alike[:1] * 9, scores(np.zeros(60))])
    assert asked == [(30, 10_000)]  # so far apart that more would say nothing new
    assert {one.p for one in found if one.b == 29} == {2 / (80 * 435 + 1)}
    asked.clear()
    monkeypatch.setattr(comparison, "MOST_RESAMPLES", 20_000)
    compare(one_differs)
    assert max(asked) == (30, 20_000)
    asked.clear()
    monkeypatch.setattr(comparison, "MOST_RESAMPLES", 17_000)  # 435 * 2 / 17 001 is above 0.05
    assert not any(one.beyond_noise for one in compare(one_differs))
    assert asked == [(30, 10_000)]


def test_the_chance_of_a_resample_beyond_0_is_not_above_its_bound() -> None:
    rng = np.random.default_rng(7)
    for mean in (0.0, 0.1, -0.2, 0.4):
        gain = np.round(rng.normal(mean, 0.5, 50), 1)
        sums = gain[rng.integers(0, 50, (20_000, 50))].sum(axis=1) * np.sign(gain.sum())
        assert np.mean(sums <= 1e-9) <= comparison._chance_beyond(gain)
    assert comparison._chance_beyond(np.zeros(9)) == 1
    assert comparison._chance_beyond(np.full(9, -0.1)) < 1e-9


def test_the_labels_of_a_model_are_looked_through_once() -> None:
    class Labels(dict[str, str]):
        looks = 0

        def keys(self):
            Labels.looks += 1
            return super().keys()

        def items(self):
            Labels.looks += 1
            return super().items()

    models = [replace(scores([0, 1, 1]), label=Labels(t000="jazz")) for _ in range(6)]
    compare(models, n_bootstrap=10)
    assert Labels.looks == 6


def test_few_tracks_prove_nothing() -> None:
    [result] = compare([scores([1, 1, 1]), scores([0, 0, 0])])
    assert result.difference.ci95 == (1.0, 1.0)
    assert result.p == 0.25  # a sign test of three tracks
    assert not result.beyond_noise


def test_the_same_model_does_not_differ_from_itself() -> None:
    third = [1 / 3, 2 / 3, 1.0, 0.0]
    [result] = compare([scores(third), scores(third)])
    assert (result.difference.difference, result.difference.ci95, result.p) == (0.0, (0.0, 0.0), 1.0)


def test_models_are_compared_on_the_tracks_they_share() -> None:
    a, b, c = scores([1] * 6 + [0] * 4), scores([0] * 5, range(5)), scores([1, 0], [50, 51])
    [result] = compare([a, b, c])
    assert (result.a, result.b, result.difference.n_tracks) == (0, 1, 5)
    assert (result.accuracy_a, result.accuracy_b) == (1.0, 0.0)
    assert compare([]) == compare([a]) == ()


def test_order_and_repetition_do_not_matter() -> None:
    rng = np.random.default_rng(4)
    models = [scores(rng.random(50) < 0.5) for _ in range(3)]
    turned = [TrackScores(one.label, dict(reversed(one.correct.items()))) for one in models]
    assert compare(models) == compare(turned)


def test_holm_against_a_worked_example() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.7, 0.6]) == [1.0, 1.0]
    assert holm([]) == []


def test_a_track_of_two_labels_is_an_error(make_predictions) -> None:
    a = make_predictions(4, 1, labels=("x", "y"), seed=0)
    other = Predictions(a.track, a.start_sec, 1 - a.label, a.probabilities, a.labels)
    with pytest.raises(DataError, match="in one run and"):
        track_scores([a, other])
    with pytest.raises(DataError, match="for one model and"):
        compare([track_scores([a]), track_scores([other])])


def test_models_that_are_equal_over_artists_are_rarely_told_apart_though_their_tracks_agree() -> None:
    rng = np.random.default_rng(6)
    n_artists, each = 20, 8
    artist = {f"t{number:03}": f"artist {number // each}" for number in range(n_artists * each)}
    found: dict[str, list[float]] = {"artists": [], "tracks": []}
    for _ in range(60):
        a, b = (np.repeat(rng.random(n_artists) < 0.6, each) for _ in range(2))  # an artist is right or wrong as one
        for over, known in (("artists", artist), ("tracks", {})):
            [one] = compare([replace(scores(values), artist=known) for values in (a, b)], n_bootstrap=1000)
            assert one.difference.over == over
            found[over].append(one.p)
    assert np.mean(np.array(found["artists"]) < 0.05) < 0.12
    assert np.mean(np.array(found["tracks"]) < 0.05) > 0.4


def test_p_is_never_below_a_sign_test_of_the_artists_that_differ() -> None:
    artist = {f"t{number:03}": f"artist {min(number // 10, 3)}" for number in range(60)}
    a, b = np.ones(60), np.repeat([0, 0, 0, 1], [10, 10, 10, 30])  # three artists differ, the same way
    [one] = compare([replace(scores(values), artist=artist) for values in (a, b)])
    assert one.p >= 2 / 2**3
    [one] = compare([scores(values) for values in (a, b)])
    assert one.p < 0.001
