"""The stages of live classification, on arrays."""

from __future__ import annotations

import functools
import itertools
from dataclasses import replace

import numpy as np
import pytest
import torch
from listening import RATE, cnn_gru, fusion, mini_vgg, music, pieces

from genre.errors import ConfigError
from genre.features.spectrogram import LogMel, Stft512
from genre.inference.decision import Thresholds, decide
from genre.inference.predictor import Ensemble
from genre.inference.stream import (
    CarriedListener,
    LiveClassifier,
    LiveSettings,
    Smoothing,
    Verdict,
    can_carry,
    level_db,
)


def verdicts(classifier: LiveClassifier, samples: np.ndarray, seed: int = 0, largest: int = 3000) -> list[Verdict]:
    return [verdict for piece in pieces(samples, seed, largest) for verdict in classifier.push(piece)]


@pytest.mark.parametrize("make", [mini_vgg, fusion])
@pytest.mark.parametrize("hop_sec", [0.25, 1.0])
def test_live_windows_have_the_probabilities_of_offline_clips(make, hop_sec: float) -> None:
    predictor, samples = make(), music(4.3)
    clips, starts = replace(predictor.clips, hop_sec=hop_sec).cut(samples)
    live = verdicts(LiveClassifier(predictor, LiveSettings(hop_sec=hop_sec)), samples)
    assert [verdict.end for verdict in live] == [start + RATE for start in starts]
    offline = predictor.probabilities(clips)
    np.testing.assert_allclose([verdict.window for verdict in live], offline, atol=1e-6)


def test_a_gru_that_may_not_carry_hears_windows() -> None:
    predictor, samples = cnn_gru(), music(3.0)
    live = verdicts(LiveClassifier(predictor, LiveSettings(carry=False, hop_sec=1.0)), samples)
    clips, _ = predictor.clips.cut(samples)
    np.testing.assert_allclose([verdict.window for verdict in live], predictor.probabilities(clips), atol=1e-6)


@pytest.mark.parametrize("ref", [1.0, "max"])
@pytest.mark.parametrize("top_db", [None, 20.0])
def test_a_carried_state_knows_all_frames_so_far(top_db, ref) -> None:
    predictor, samples = cnn_gru(), music(4.0)
    frontend = LogMel(sample_rate=RATE, n_fft=512, hop_length=128, n_mels=32, top_db=top_db, ref=ref)
    predictor.frontend = frontend
    listener = CarriedListener(predictor, hop_sec=0.5, memory_sec=np.inf)
    heard = [answer for piece in pieces(samples, seed=4) for answer in listener.push(piece)]
    assert [answer.end for answer in heard] == [RATE + RATE // 2 * k for k in range(7)]
    whole = LogMel(sample_rate=RATE, n_fft=512, hop_length=128, n_mels=32, top_db=None)
    levels = np.empty((32, 0), np.float32)
    for answer in heard:
        n_frames = (answer.end - 256) // 128 + 1
        frames = whole.compute(samples[np.newaxis], RATE)[0, :, :n_frames]
        loudest = frames[:, -predictor.model.input_shape[1] :].max()  # of the last second
        new = frames[:, levels.shape[1] :]
        new = new if top_db is None else np.maximum(new, loudest - np.float32(top_db))
        levels = np.concatenate([levels, new - loudest if ref == "max" else new], axis=1)
        frames = levels[np.newaxis]
        with torch.no_grad():
            logits = predictor.model(torch.from_numpy(frames)[:, None], torch.zeros(1, 57))
            expected = predictor.model.probabilities(logits.double())[0]
        np.testing.assert_allclose(answer.probabilities, expected, atol=1e-5)


def test_a_carried_state_forgets_what_lies_beyond_its_memory() -> None:
    one, other = music(6.0, seed=1), music(6.0, seed=2)
    tail = music(30.0, seed=3)
    after = []
    for memory_sec in (1.0, np.inf):
        ends = []
        for head in (one, other):
            listener = CarriedListener(cnn_gru(), hop_sec=1.0, memory_sec=memory_sec)
            ends.append(list(listener.push(np.concatenate([head, tail])))[-1].probabilities)
        after.append(np.abs(ends[0] - ends[1]).max())
    assert after[0] < 1e-3 < after[1]


@pytest.mark.parametrize("make", [mini_vgg, cnn_gru])
def test_verdicts_do_not_depend_on_the_pieces(make) -> None:
    samples = np.concatenate([music(2.5), np.zeros(2 * RATE, np.float32), music(2.0, seed=5)])
    settings = LiveSettings(hop_sec=0.5, memory_sec=2.0)
    one, other = (
        verdicts(LiveClassifier(make(), settings), samples, seed=seed, largest=largest)
        for seed, largest in ((0, 500), (1, 20_000))
    )
    assert [(v.end, v.state) for v in one] == [(v.end, v.state) for v in other]
    np.testing.assert_allclose([v.probabilities for v in one], [v.probabilities for v in other], atol=1e-6)


def test_smoothing_is_a_running_mean() -> None:
    smoothing = Smoothing(2)
    answers = np.eye(3)
    np.testing.assert_array_equal(smoothing(answers[0]), [1, 0, 0])
    np.testing.assert_array_equal(smoothing(answers[1]), [0.5, 0.5, 0])
    np.testing.assert_array_equal(smoothing(answers[2]), [0, 0.5, 0.5])
    smoothing.forget()
    np.testing.assert_array_equal(smoothing(answers[0]), [1, 0, 0])


def test_verdicts_rest_on_the_memory() -> None:
    live = verdicts(LiveClassifier(mini_vgg(), LiveSettings(hop_sec=0.5, memory_sec=1.0)), music(4.0))
    for before, verdict in itertools.pairwise(live):
        np.testing.assert_allclose(verdict.probabilities, (before.window + verdict.window) / 2)


@pytest.mark.parametrize("make", [mini_vgg, cnn_gru])
def test_silence_is_said_and_after_a_second_of_it_all_is_forgotten(make) -> None:
    head, tail, pause = music(3.0, seed=1), music(3.0, seed=2), np.zeros(3 * RATE, np.float32)
    live = verdicts(LiveClassifier(make(), LiveSettings(hop_sec=0.5)), np.concatenate([head, pause, tail]))
    states = ["silence" if v.decision is None else "sound" for v in live]
    n_last = 6 if make is cnn_gru else 5  # a window that reaches back beyond the silence is not heard
    assert states == ["sound"] * 5 + ["silence"] * 6 + ["sound"] * n_last
    assert np.ptp(live[10].probabilities) == 0  # nothing is known any more
    assert live[10].state == "silence"
    first = live[11]
    if make is mini_vgg:
        np.testing.assert_array_equal(first.probabilities, first.window)


def test_after_silence_no_verdict_rests_on_what_was_before_it() -> None:
    head, tail, pause = music(6.0, seed=1), music(7.0, seed=2), np.zeros(3 * RATE // 2, np.float32)
    make = functools.partial(mini_vgg, clip_sec=3.0)
    settings = LiveSettings(hop_sec=0.5, memory_sec=15.0)
    live = verdicts(LiveClassifier(make(), settings), np.concatenate([head, pause, tail]))
    alone = verdicts(LiveClassifier(make(), settings), tail)
    after = [verdict for verdict in live if verdict.seconds > 7.5]
    assert [verdict.seconds - 7.5 for verdict in after] == [verdict.seconds for verdict in alone]
    np.testing.assert_allclose([v.probabilities for v in after], [v.probabilities for v in alone], atol=1e-6)
    assert [v.seconds for v in live if v.state == "silence"] == [6.5, 7.0, 7.5]


def test_an_answer_that_is_no_number_is_no_verdict_and_does_not_last(monkeypatch: pytest.MonkeyPatch) -> None:
    predictor, samples = mini_vgg(), music(6.0)
    samples[2 * RATE : 4 * RATE] = 0.5
    answer = predictor.probabilities

    def probabilities(clips: np.ndarray, passages: None) -> np.ndarray:
        broken = (clips == 0.5).any(axis=1)
        return np.where(broken[:, np.newaxis], np.nan, answer(clips))

    monkeypatch.setattr(predictor, "probabilities", probabilities)
    live = verdicts(LiveClassifier(predictor, LiveSettings(hop_sec=0.5)), samples)
    assert all(np.isfinite([*verdict.window, *verdict.probabilities]).all() for verdict in live)
    assert {1.0, 2.0, 5.5, 6.0} <= {verdict.seconds for verdict in live}
    assert not {2.5, 3.0, 4.0, 4.5} & {verdict.seconds for verdict in live}


def test_unsure_by_probability_and_by_margin() -> None:
    labels = ("a", "b", "c")
    assert not decide(np.array([0.6, 0.3, 0.1]), labels, Thresholds(0.5, 0.2)).unsure
    assert decide(np.array([0.45, 0.1, 0.45]), labels, Thresholds(0.4, 0.2)).unsure
    assert decide(np.array([0.3, 0.4, 0.3]), labels, Thresholds(0.5, 0.0)).unsure
    assert decide(np.array([0.45, 0.1, 0.45]), labels, Thresholds()).ranking == (("a", 0.45), ("c", 0.45), ("b", 0.1))
    with pytest.raises(ConfigError, match=r"unsure.margin=1.5"):
        Thresholds(0.5, 1.5)


def test_which_models_can_carry() -> None:
    assert can_carry(cnn_gru())
    assert not any(map(can_carry, (mini_vgg(), fusion(), Ensemble([cnn_gru()]))))
    relative, half_rate = LogMel(sample_rate=RATE, ref="max"), LogMel(sample_rate=RATE // 2)
    for frontend, can in ((relative, True), (half_rate, False), (Stft512(), False)):
        other = cnn_gru()
        other.frontend = frontend
        assert can_carry(other) is can
    with pytest.raises(ConfigError, match=r"live\.carry=true needs a cnn_gru"):
        LiveClassifier(mini_vgg(), LiveSettings(carry=True))


@pytest.mark.parametrize("wrong", [{"hop_sec": 0}, {"memory_sec": "long"}, {"silence_db": 3}])
def test_wrong_settings(wrong: dict) -> None:
    with pytest.raises(ConfigError, match=f"live.{next(iter(wrong))}="):
        LiveSettings(**wrong)


def test_level() -> None:
    assert level_db(np.full(100, 0.1, np.float32)) == pytest.approx(-20)
    assert level_db(np.zeros(100, np.float32)) == level_db(np.zeros(0, np.float32)) == -200
