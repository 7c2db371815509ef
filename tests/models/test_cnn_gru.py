from __future__ import annotations

import itertools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from small_models import batch, losses, shared

from genre.errors import ConfigError
from genre.models.cnn_gru import CNNGRU, StreamState

FRAMES = 61
SMALL = {"widths": [4, 6, 5], "pool_bins": [4, 2, 2], "pool_frames": [2, 1, 2], "hidden": 7}


def make(**overrides: object) -> CNNGRU:
    """A small network after a few steps of training, so that all its statistics are at work."""
    torch.manual_seed(0)
    model = CNNGRU(**{**SMALL, **overrides}, **shared(n_mels=32, clip_sec=1))
    model.spectrogram_mean.uniform_(-1, 1)
    model.spectrogram_std.uniform_(0.5, 2)
    model.feature_mean.uniform_(-1, 1)
    losses(model, batch(model, frames=FRAMES), steps=8, rate=1e-2)
    return model


@pytest.fixture(scope="module")
def models() -> dict[str, CNNGRU]:
    return {
        "plain": make(),
        "features": make(use_features=True, feature_hidden=6),
        "deep and wide": make(layers=2, kernel=5),
        "pointwise": make(kernel=1),
    }


def streamed(model: CNNGRU, clips: dict[str, torch.Tensor], edges: list[int]) -> tuple[list[torch.Tensor], StreamState]:
    """Logits after every chunk, and the state at the end."""
    state = model.initial_state(len(clips["spectrogram"]))
    logits = []
    for first, end in itertools.pairwise(edges):
        decision, state = model.step(clips["spectrogram"][..., first:end], state, clips["features"])
        logits.append(decision)
    return logits, state


KINDS = ["plain", "features", "deep and wide", "pointwise"]


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=25, deadline=None)
@given(cuts=st.lists(st.integers(0, FRAMES), max_size=20))
def test_chunk_by_chunk_is_what_one_call_gives(kind: str, cuts: list[int], models: dict[str, CNNGRU]) -> None:
    model = models[kind]
    clips = batch(model, 3, FRAMES, seed=1)
    edges = [0, *sorted(cuts), FRAMES]
    logits, _ = streamed(model, clips, edges)
    for end, decision in zip(edges[1:], logits, strict=True):
        with torch.no_grad():
            whole = model(clips["spectrogram"][..., :end], clips["features"])
        torch.testing.assert_close(decision, whole, atol=1e-4, rtol=0)


def test_a_whole_track_frame_by_frame(models: dict[str, CNNGRU]) -> None:
    model = models["plain"]
    clips = batch(model, 1, 1300, seed=2)
    logits, state = streamed(model, clips, list(range(1301)))
    with torch.no_grad():
        torch.testing.assert_close(logits[-1], model(clips["spectrogram"], clips["features"]), atol=1e-4, rtol=0)
    assert int(state.steps) == 1300 // 4


def test_shipped_network_streams_too() -> None:
    torch.manual_seed(0)
    model = CNNGRU(**shared())
    losses(model, batch(model), steps=1)
    clips = batch(model, 2, 130, seed=3)
    logits, _ = streamed(model, clips, [0, 1, 8, 31, 33, 90, 130])
    with torch.no_grad():
        torch.testing.assert_close(logits[-1], model(clips["spectrogram"], clips["features"]), atol=1e-4, rtol=0)


@pytest.mark.parametrize("kind", KINDS)
def test_frames_count_with_their_group_and_never_look_ahead(kind: str, models: dict[str, CNNGRU]) -> None:
    model = models[kind]
    assert model.frames_per_step == 4
    clips = batch(model, 1, FRAMES)
    clips["spectrogram"].requires_grad_()
    model.network.recurrent.train()
    model(clips["spectrogram"], clips["features"]).sum().backward()
    model.eval()
    used = clips["spectrogram"].grad.abs().amax(dim=(0, 1, 2)) > 0
    assert used[56:60].any()
    assert not used[60:].any()  # one frame is left over, and waits for three more


@given(more=st.integers(0, 3))
@settings(max_examples=4, deadline=None)
def test_frames_that_do_not_fill_a_group_change_nothing_yet(more: int, models: dict[str, CNNGRU]) -> None:
    model = models["plain"]
    clips = batch(model, 2, 40 + more)
    logits, state = streamed(model, clips, [0, 40, 40 + more])
    assert torch.equal(logits[0], logits[1])
    assert state.pending.shape[-1] == more


def test_streams_of_a_batch_are_their_own(models: dict[str, CNNGRU]) -> None:
    model = models["plain"]
    clips = batch(model, 3, 40)
    together, _ = streamed(model, clips, [0, 13, 40])
    for i in range(3):
        alone, _ = streamed(model, {name: values[i : i + 1] for name, values in clips.items()}, [0, 13, 40])
        torch.testing.assert_close(alone[-1][0], together[-1][i], atol=1e-5, rtol=1e-5)


def test_state_is_plain_tensors_and_steps_leave_it_as_it_was(models: dict[str, CNNGRU]) -> None:
    model = models["plain"]
    clips = batch(model, 2, 30)
    _, state = streamed(model, clips, [0, 18])
    kept = [each.clone() for each in (*state.before, *state[:1], *state[2:])]
    first, _ = model.step(clips["spectrogram"][..., 18:], state)
    again, after = model.step(clips["spectrogram"][..., 18:], state)
    assert torch.equal(first, again)
    assert all(torch.equal(a, b) for a, b in zip(kept, (*state.before, *state[:1], *state[2:]), strict=True))
    tensors = (*after.before, *after[:1], *after[2:])
    assert not any(each.requires_grad for each in tensors)
    assert [each.untyped_storage().nbytes() for each in tensors] == [each.numel() * each.itemsize for each in tensors]


def test_state_does_not_grow(models: dict[str, CNNGRU]) -> None:
    model = models["plain"]
    clips = batch(model, 1, 400)
    sizes = set()
    state = model.initial_state()
    for first in range(0, 400, 4):
        _, state = model.step(clips["spectrogram"][..., first : first + 4], state)
        sizes.add(sum(each.numel() for each in (*state.before, *state[:1], *state[2:])))
    assert len(sizes) == 1


def test_a_decision_can_be_made_to_forget(models: dict[str, CNNGRU]) -> None:
    model = models["plain"]
    before, now = batch(model, 1, 400, seed=4)["spectrogram"] + 3, batch(model, 1, 80, seed=5)["spectrogram"]
    _, state = model.step(before, model.initial_state())
    remembering, _ = model.step(now, state)
    forgetting, _ = model.step(now, state._replace(steps=state.steps.clamp(max=2)))
    fresh, _ = model.step(now, model.initial_state())
    assert (forgetting - fresh).norm() < (remembering - fresh).norm()


def test_before_the_first_group_all_clips_are_equal(models: dict[str, CNNGRU]) -> None:
    model = models["plain"]
    clips = batch(model, 2, 3)
    with torch.no_grad():
        logits = model(clips["spectrogram"], clips["features"])
    assert torch.equal(logits[0], logits[1])
    assert torch.equal(logits[0], model.network.classify.bias)


def test_features_count_where_they_are_used(models: dict[str, CNNGRU]) -> None:
    for kind in ("plain", "features"):
        clips = batch(models[kind], 2, FRAMES)
        with torch.no_grad():
            logits = [models[kind](clips["spectrogram"], clips["features"] + shift) for shift in (0, 1)]
        assert torch.equal(*logits) is (kind == "plain")
    with pytest.raises(ConfigError, match=r"trained with model\.use_features=true; give it the features too"):
        models["features"].step(clips["spectrogram"], models["features"].initial_state(2))


def test_order_in_time_matters(models: dict[str, CNNGRU]) -> None:
    model = models["plain"]
    clips = batch(model, 2, 60)
    with torch.no_grad():
        logits = [
            model(spectrogram, clips["features"])
            for spectrogram in (clips["spectrogram"], clips["spectrogram"].flip(-1))
        ]
    assert (logits[0] - logits[1]).abs().max() > 1e-3


@pytest.mark.parametrize(
    ("overrides", "sentence"),
    [
        ({"kernel": 4}, r"model\.kernel=4 has no middle; choose an odd number such as 3"),
        ({"pool_bins": [2, 2]}, r"model\.pool_bins=\[2, 2\] has 2 numbers; give 3, one for each stage"),
        (
            {"pool_bins": [4, 4, 4]},
            r"model\.pool_bins=\[4, 4, 4\] and .* leave nothing of a spectrogram of 32 x 44; .*",
        ),
        ({"pool_frames": [8, 8, 1]}, r"model\.pool_bins=.* leave nothing of a spectrogram of 32 x 44; .*"),
        ({"hidden": 0}, r"model\.hidden=0 is out of range; give a whole number of at least 1"),
        ({"use_features": 1}, r"model\.use_features=1 is neither true nor false; choose one of them"),
    ],
)
def test_wrong_settings(overrides: dict[str, object], sentence: str) -> None:
    with pytest.raises(ConfigError, match=f"^{sentence}$"):
        make(**overrides)
