from __future__ import annotations

import pytest
import torch
from small_models import batch, shared
from torch.nn import functional

from genre.data.passages import PASSAGE_COLUMNS
from genre.errors import ConfigError
from genre.features.spectrogram import FrontEnd
from genre.models import base
from genre.models.cnn_gru import CNNGRU
from genre.models.late_fusion import LateFusion

SMALL = {"widths": [4, 6], "pool_bins": [4, 2], "pool_frames": [2, 2], "hidden": 7, "dense_hidden": 9}


def make(**settings: object) -> LateFusion:
    torch.manual_seed(0)
    model = LateFusion(**{**SMALL, **settings}, **shared(n_mels=32, clip_sec=1))
    model.spectrogram_mean.uniform_(-1, 1)
    model.spectrogram_std.uniform_(0.5, 2)
    return model


def test_the_recurrent_stream_begins_with_the_weights_of_cnn_gru(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = {name: value for name, value in SMALL.items() if name != "dense_hidden"}
    torch.manual_seed(0)
    alone = CNNGRU(**settings, **shared(n_mels=32, clip_sec=1)).network.state_dict()
    built: list[FrontEnd] = []
    build = base.build_frontend
    monkeypatch.setattr(base, "build_frontend", lambda settings: built.append(build(settings)) or built[-1])
    stream = make().network.recurrent.state_dict()
    assert list(stream) == list(alone)
    assert all(torch.equal(stream[name], alone[name]) for name in alone)
    assert len(built) == 1  # no second model with metrics and statistics of its own


def test_the_decision_is_the_mean_of_two_streams() -> None:
    model = make().eval()
    clips = batch(model)
    with torch.no_grad():
        streams = model.stream_logits(clips["spectrogram"], clips["features"])
        assert streams.shape == (2, 6, 3)
        assert torch.equal(model(clips["spectrogram"], clips["features"]), streams.mean(dim=0))


@pytest.mark.parametrize("dense_hidden", [9, 0])
def test_each_stream_learns_to_name_the_genre_by_itself(dense_hidden: int) -> None:
    model = make(dense_hidden=dense_hidden)
    clips = batch(model)
    clips["features"] = functional.one_hot(clips["label"], 57).float() * 3
    optimizer = torch.optim.Adam(model.parameters(), 1e-2)
    for _ in range(60):
        streams = model.stream_logits(clips["spectrogram"], clips["features"])
        optimizer.zero_grad()
        sum(functional.cross_entropy(logits, clips["label"]) for logits in streams).backward()
        optimizer.step()
    model.eval()
    with torch.no_grad():
        for logits in model.stream_logits(clips["spectrogram"], clips["features"]):
            assert (logits.argmax(dim=1) == clips["label"]).all()


def test_without_hidden_units_the_statistics_are_weighed_linearly() -> None:
    model = make(dense_hidden=0, statistics_dropout=0.5).eval()
    size = model.network.dynamics.size + 57
    assert [tuple(weight.shape) for weight in model.network.dense.parameters()] == [(3, size), (3,)]
    clips = batch(model)
    torch.nn.init.normal_(model.network.dense[-1].weight)
    with torch.no_grad():
        before, once, twice = (
            model.stream_logits(clips["spectrogram"], clips["features"] + more)[1] for more in (0.0, 0.1, 0.2)
        )
    assert not torch.equal(before, once)
    torch.testing.assert_close(twice - once, once - before, rtol=1e-3, atol=1e-5)


def test_loss_of_training_is_the_mean_of_the_losses_of_the_streams() -> None:
    model = make(dropout=0.0, dense_dropout=0.0, statistics_dropout=0.0)
    clips = batch(model)
    streams = model.stream_logits(clips["spectrogram"], clips["features"])
    expected = torch.stack([functional.cross_entropy(logits, clips["label"]) for logits in streams]).mean()
    model.log = model.log_dict = lambda *_, **__: None  # type: ignore[method-assign]
    model.trainer = type("", (), {"optimizers": [torch.optim.SGD(model.parameters(), 1.0)]})()  # type: ignore[assignment]
    torch.testing.assert_close(model.training_step(clips, 0), expected)


def hears_passages(**settings: object) -> LateFusion:
    """One with a third stream, and statistics of some passages."""
    given = shared(n_mels=32, clip_sec=1)
    given["clips"]["passage_sec"] = 30.0
    torch.manual_seed(0)
    return LateFusion(**{**SMALL, "use_passages": True, **settings}, **given)


def test_passages_have_a_stream_of_their_own() -> None:
    model = hears_passages().eval()
    assert model.n_features == len(model.feature_mean) == 57 + len(PASSAGE_COLUMNS)
    clips = batch(model)
    features = torch.randn(6, model.n_features)
    torch.nn.init.normal_(model.network.passage[-1].weight)
    with torch.no_grad():
        streams = model.stream_logits(clips["spectrogram"], features)
        assert streams.shape == (3, 6, 3)
        features[:, 57:] += 1
        changed = model.stream_logits(clips["spectrogram"], features)
    assert torch.equal(streams[:2], changed[:2])
    assert not torch.equal(streams[2], changed[2])


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_a_passage_counts_by_how_much_longer_than_the_clip_it_is(share: float) -> None:
    model = hears_passages(passage_share=share).eval()
    clips = batch(model)
    features = clips["features"]
    features[:, 57] = torch.tensor([0.0, 0.5, 1.0, 2.0, 4.0, 30.0])  # seconds; the clips are of one
    torch.nn.init.normal_(model.network.passage[-1].weight)
    with torch.no_grad():
        recurrent, dense, passage = model.stream_logits(clips["spectrogram"], features)
        decision = model(clips["spectrogram"], features)
    counts = share * torch.tensor([0.0, 0.0, 0.0, 1 / 2, 3 / 4, 29 / 30])[:, None]
    torch.testing.assert_close(decision, (1 - counts) * (recurrent + dense) / 2 + counts * passage)


def test_the_stream_of_passages_does_not_hear_how_long_they_are() -> None:
    model = hears_passages().eval()
    clips = batch(model)
    longer = clips["features"].clone()
    longer[:, 57] += 10.0
    torch.nn.init.normal_(model.network.passage[-1].weight)
    with torch.no_grad():
        short, long = (model.stream_logits(clips["spectrogram"], features) for features in (clips["features"], longer))
    assert torch.equal(short, long)


def test_the_other_streams_begin_as_without_passages() -> None:
    alone, beside = make().network.state_dict(), hears_passages().network.state_dict()
    assert {name for name in beside if name not in alone} == {"passage.1.weight", "passage.1.bias"}
    assert all(torch.equal(beside[name], alone[name]) for name in alone)


def test_squared_weights_of_passages_are_added_to_the_loss_of_their_stream() -> None:
    model = hears_passages(dropout=0.0, dense_dropout=0.0, statistics_dropout=0.0, passage_penalty=0.5)
    torch.nn.init.normal_(model.network.passage[-1].weight)
    clips = {**batch(model), "features": torch.randn(6, model.n_features)}
    streams = model.stream_logits(clips["spectrogram"], clips["features"])
    losses = [functional.cross_entropy(logits, clips["label"]) for logits in streams]
    losses[2] = losses[2] + 0.5 * model.network.passage[-1].weight.square().sum()
    model.log = model.log_dict = lambda *_, **__: None  # type: ignore[method-assign]
    model.trainer = type("", (), {"optimizers": [torch.optim.SGD(model.parameters(), 1.0)]})()  # type: ignore[assignment]
    torch.testing.assert_close(model.training_step(clips, 0), torch.stack(losses).mean())


def test_described_passages_are_passed_over_by_a_model_without() -> None:
    model = make().eval()
    clips = batch(model)
    longer = torch.cat([clips["features"], torch.full((6, 9), torch.nan)], dim=1)
    with torch.no_grad():
        assert torch.equal(model(clips["spectrogram"], longer), model(clips["spectrogram"], clips["features"]))


def test_features_count_only_if_they_are_used() -> None:
    clips = batch(make())
    with torch.no_grad():
        for used in (True, False):
            model = make(use_features=used).eval()
            assert model.uses_features is used
            changed = model(clips["spectrogram"], clips["features"] + 1)
            assert torch.equal(changed, model(clips["spectrogram"], clips["features"])) is not used


def test_masks_hide_from_the_recurrent_stream_alone_and_in_training_alone() -> None:
    model = make(dropout=0.0, dense_dropout=0.0, statistics_dropout=0.0, frequency_mask=30, time_mask=40)
    clips = batch(model)
    with torch.no_grad():
        seen, again = (model.stream_logits(clips["spectrogram"], clips["features"]) for _ in range(2))
        assert not torch.equal(seen[0], again[0])
        assert torch.equal(seen[1], again[1])
        model.eval()
        seen, again = (model.stream_logits(clips["spectrogram"], clips["features"]) for _ in range(2))
        assert torch.equal(seen, again)


def test_takes_clips_of_any_length() -> None:
    model = make().eval()
    with torch.no_grad():
        for frames in (20, 43, 44, 45, 200):
            clips = batch(model, 2, frames)
            assert torch.isfinite(model(clips["spectrogram"], clips["features"])).all()


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"dense_hidden": -1}, "model.dense_hidden=-1 is out of range"),
        ({"statistics_dropout": 1.0}, "model.statistics_dropout=1.0 is out of range"),
        ({"use_features": "yes"}, "model.use_features=yes is neither true nor false"),
        ({"time_mask": -1}, "model.time_mask=-1 is out of range"),
        ({"kernel": 2}, "model.kernel=2 has no middle"),
        ({"use_passages": True}, r"needs passages; give data.passage_sec, 30 is usual"),
        ({"passage_share": 1.5}, "model.passage_share=1.5 is out of range"),
        ({"passage_penalty": -1}, "model.passage_penalty=-1 is out of range"),
        ({"dense_hidden": False}, "model.dense_hidden=False is out of range; give a whole number from 0 on"),
        ({"time_mask": 0.0}, "model.time_mask=0.0 is out of range; give a whole number from 0 on"),
    ],
)
def test_wrong_settings(settings: dict[str, object], sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence):
        make(**settings)


def test_passages_are_longer_than_clips() -> None:
    given = shared(n_mels=32, clip_sec=3)
    given["clips"]["passage_sec"] = 3.0
    with pytest.raises(
        ConfigError, match=r"longer than clips, but data\.passage_sec=3 and data\.clip_sec=3; give longer"
    ):
        LateFusion(**SMALL, use_passages=True, **given)
