"""Batches: every clip in its place, whole batches at once."""

from __future__ import annotations

import math
import time
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils.data import DataLoader, DistributedSampler

from genre.data.batches import BatchDataset, ClipArrays, ClipBatchSampler, RandomCrops
from genre.data.repeated import RepeatedRows
from genre.features.spectrogram import FrontEnd, LogMel, Stft512

N_CLIPS = 40


def arrays(spectrogram: np.ndarray, front_end: FrontEnd | None = None) -> ClipArrays:
    n_clips = len(spectrogram)
    rng = np.random.default_rng(1)
    return ClipArrays(
        spectrogram=spectrogram,
        features=rng.standard_normal((n_clips, 57)).astype(np.float32),
        label=rng.integers(0, 10, n_clips),
        track=np.arange(n_clips) // 4,
        start=np.arange(n_clips) % 4 * 66150,
        to_float=(front_end or LogMel()).to_float,
    )


def mapped(array: np.ndarray, path) -> np.ndarray:
    np.save(path, array)
    return np.load(path, mmap_mode="r")


@pytest.fixture
def levels():
    return np.random.default_rng(0).standard_normal((N_CLIPS, 8, 13)).astype(np.float32)


def equal(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


# Gathering


def test_a_batch_has_the_shapes_and_types_that_models_expect(levels):
    batch = arrays(levels).gather(np.array([3, 1, 39]))
    assert {name: (tuple(value.shape), value.dtype) for name, value in batch.items()} == {
        "spectrogram": ((3, 1, 8, 13), torch.float32),
        "features": ((3, 57), torch.float32),
        "label": ((3,), torch.int64),
        "track": ((3,), torch.int64),
        "start": ((3,), torch.int64),
    }


def test_passages_follow_the_features_of_their_clips(levels):
    passages = np.random.default_rng(2).standard_normal((2, 3)).astype(np.float32)
    of_clips = RepeatedRows.of(np.repeat(passages, N_CLIPS // 2, axis=0))
    clips = arrays(levels)
    batch = replace(clips, passages=of_clips).gather(np.array([39, 0]))
    expected = np.hstack([clips.features[[39, 0]], passages[[1, 0]]])
    np.testing.assert_array_equal(batch["features"], expected)


@settings(max_examples=40, deadline=None)
@given(rows=st.lists(st.integers(0, N_CLIPS - 1), min_size=1, max_size=12))
def test_a_batch_is_its_rows_one_by_one(rows):
    clips = arrays(np.random.default_rng(0).standard_normal((N_CLIPS, 4, 5)).astype(np.float32))
    batch = clips.gather(np.array(rows))
    for position, row in enumerate(rows):
        single = clips.gather(np.array([row]))
        assert all(torch.equal(batch[name][position], single[name][0]) for name in batch)
        assert torch.equal(batch["spectrogram"][position, 0], torch.from_numpy(clips.spectrogram[row]))
        assert (batch["label"][position], batch["track"][position]) == (clips.label[row], clips.track[row])


def test_memory_maps_and_memory_give_the_same(levels, tmp_path):
    rows = np.array([5, 0, 39, 5])
    assert equal(arrays(levels).gather(rows), arrays(mapped(levels, tmp_path / "a.npy")).gather(rows))


def test_bytes_become_floats_by_the_front_end(tmp_path):
    front_end = Stft512()
    stored = np.random.default_rng(0).integers(0, 256, (6, 5, 7), dtype=np.uint8)
    batch = arrays(mapped(stored, tmp_path / "a.npy"), front_end).gather(np.array([4, 2]))
    assert batch["spectrogram"].dtype == torch.float32
    expected = (torch.from_numpy(stored[[4, 2]]).float() / 255.0 - 0.5) / 0.5
    torch.testing.assert_close(batch["spectrogram"][:, 0], expected)


def test_a_batch_shares_no_memory_with_the_clips(levels):
    clips = arrays(levels.copy())
    for value in clips.gather(np.arange(4)).values():
        value.zero_()
    np.testing.assert_array_equal(clips.spectrogram, levels)
    assert clips.features[:4].any()


def test_a_loader_hands_out_the_batches_of_its_sampler(levels):
    clips = arrays(levels)
    sampler = ClipBatchSampler(np.arange(3, 13), batch_size=4)
    loader = DataLoader(BatchDataset(clips), batch_size=None, sampler=sampler)
    batches = list(loader)
    assert len(loader) == len(batches) == 3
    assert equal(batches[1], clips.gather(np.arange(7, 11)))
    assert len(BatchDataset(clips)) == len(clips) == N_CLIPS


# Dealing


def apart(rows: np.ndarray) -> RandomCrops:
    """Crops of tracks of one clip each: every epoch sees all of them."""
    return RandomCrops(rows, track=rows, start=np.zeros_like(rows), length=4)


def deal(n_rows: int, batch_size: int, *, world: int, training: bool, seed: int = 0, epoch: int = 0):
    """Return the batches of every process."""
    samplers = [
        ClipBatchSampler(
            apart(np.arange(n_rows) + 7) if training else np.arange(n_rows) + 7,
            batch_size=batch_size,
            seed=seed,
            rank=rank,
            world_size=world,
        )
        for rank in range(world)
    ]
    for sampler in samplers:
        sampler.set_epoch(epoch)
        assert len(list(sampler)) == len(sampler)
    return [[batch.tolist() for batch in sampler] for sampler in samplers]


sizes = {"n_rows": st.integers(1, 90), "batch_size": st.integers(1, 20), "world": st.integers(1, 5)}


@settings(max_examples=150, deadline=None)
@given(**sizes)
def test_evaluation_has_every_row_once_in_order(n_rows, batch_size, world):
    dealt = deal(n_rows, batch_size, world=world, training=False)
    assert [row for batches in dealt for batch in batches for row in batch] == list(range(7, n_rows + 7))
    assert all(1 <= len(batch) <= batch_size for batches in dealt for batch in batches)
    if batch_size > 1 and n_rows >= world:
        assert {len(batches) for batches in dealt} == {math.ceil(math.ceil(n_rows / world) / batch_size)}
    if world == 1:
        assert all(len(batch) == batch_size for batch in dealt[0][:-1])


@settings(max_examples=150, deadline=None)
@given(**sizes, epoch=st.integers(0, 3))
def test_training_has_every_row_and_batches_alike_on_all_processes(n_rows, batch_size, world, epoch):
    dealt = deal(n_rows, batch_size, world=world, training=True, epoch=epoch)
    assert len({tuple(map(len, batches)) for batches in dealt}) == 1
    rows = [row for batches in dealt for batch in batches for row in batch]
    assert set(rows) == set(range(7, n_rows + 7))
    assert len(rows) - n_rows < world  # no more repeats than the numbers ask for
    lengths = [len(batch) for batch in dealt[0]]
    if batch_size > 1 and len(rows) // world > 1:
        assert min(lengths) > 1
    assert max(lengths) <= max(batch_size + 1, 1)
    assert all(length == batch_size for length in lengths[:-1])


def test_every_epoch_has_its_own_order_and_every_seed_too():
    first = deal(50, 8, world=1, training=True)
    assert deal(50, 8, world=1, training=True) == first
    assert deal(50, 8, world=1, training=True, epoch=1) != first
    assert deal(50, 8, world=1, training=True, seed=1) != first
    assert deal(50, 8, world=1, training=False, epoch=1) == deal(50, 8, world=1, training=False)


def test_the_order_does_not_hang_on_random_numbers_drawn_elsewhere():
    first = deal(50, 8, world=2, training=True, epoch=3)
    np.random.seed(5)  # noqa: NPY002
    torch.manual_seed(5)
    assert deal(50, 8, world=2, training=True, epoch=3) == first


def test_lightning_takes_it_for_a_distributed_sampler():
    sampler = ClipBatchSampler(apart(np.arange(10)), batch_size=4, rank=1, world_size=2)
    assert isinstance(sampler, DistributedSampler)
    assert (sampler.rank, sampler.num_replicas, sampler.num_samples) == (1, 2, 5)


def test_a_process_beyond_the_last_is_refused():
    with pytest.raises(ValueError, match="rank"):
        ClipBatchSampler(apart(np.arange(10)), batch_size=4, rank=2, world_size=2)


# Random crops


@settings(max_examples=60, deadline=None)
@given(
    n_clips=st.lists(st.integers(1, 12), min_size=1, max_size=6),
    hop=st.integers(1, 6),
    most=st.none() | st.integers(1, 4),
    seed=st.integers(0, 9),
)
def test_an_epoch_sees_of_each_track_as_much_as_fits_end_to_end(n_clips, hop, most, seed):
    length = 6
    track = np.repeat(np.arange(len(n_clips)) * 3, n_clips)
    start = np.concatenate([np.arange(n) * hop for n in n_clips])
    crops = RandomCrops(np.arange(len(track)) + 5, track, start, length, most)
    drawn = crops.draw(np.random.default_rng(seed))
    assert len(drawn) == len(crops) == len(set(drawn))
    for number, n in enumerate(n_clips):
        fitting = len(range(0, (n - 1) * hop + length - length + 1, length))
        assert (track[drawn - 5] == number * 3).sum() == (fitting if most is None else min(fitting, most))


def test_clips_end_to_end_are_all_seen_in_every_epoch():
    track, start = np.repeat([0, 1], [3, 2]), np.array([0, 4, 8, 0, 4])
    drawn = RandomCrops(np.arange(5), track, start, length=4).draw(np.random.default_rng(0))
    assert sorted(drawn) == [0, 1, 2, 3, 4]


@given(kept=st.lists(st.booleans(), min_size=1, max_size=30), hop=st.sampled_from([1, 2, 4]), seed=st.integers(0, 9))
def test_of_a_track_with_gaps_no_clip_is_drawn_twice(kept, hop, seed):
    rows = np.flatnonzero([*kept, True])
    track, start = np.zeros_like(rows), rows * hop
    crops = RandomCrops(rows, track, start, length=4)
    drawn = crops.draw(np.random.default_rng(seed))
    assert len(drawn) == len(crops) == len(set(drawn))
    if hop == 4:
        assert sorted(drawn) == sorted(rows)
    sampler = ClipBatchSampler(crops, batch_size=4, seed=seed)
    assert sorted(np.concatenate(list(sampler))) == sorted(set(np.concatenate(list(sampler))))


def test_overlapping_clips_are_drawn_anew_and_all_have_their_turn():
    crops = RandomCrops(np.arange(13), np.zeros(13, dtype=int), np.arange(13), length=4)
    epochs = [frozenset(crops.draw(np.random.default_rng([0, epoch]))) for epoch in range(40)]
    assert {len(epoch) for epoch in epochs} == {4}
    assert len(set(epochs)) > 20
    assert set().union(*epochs) == set(range(13))


# Speed


@pytest.mark.parametrize("where", ["memory", "map"])
def test_loading_takes_under_3_percent_of_a_training_step(tmp_path, where):
    levels = np.zeros((400, 128, 130), dtype=np.float32)
    clips = arrays(levels if where == "memory" else mapped(levels, tmp_path / "a.npy"))
    sampler = ClipBatchSampler(apart(np.arange(400)), batch_size=32)
    times = []
    for batch in sampler:
        began = time.perf_counter()
        clips.gather(batch)
        times.append(time.perf_counter() - began)
    step = 32 * 0.015  # a Mini-VGG of the default widths trains a clip in about 15 ms on a laptop
    assert np.median(times) < 0.03 * step
