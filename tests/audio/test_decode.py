"""Decoding: what comes out equals what went in, and damaged files give what they still hold or a clear error."""

import os
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from genre.audio.blocks import RESCUE_FRAMES
from genre.audio.decode import decode, load, resample
from genre.audio.health import Reason
from genre.errors import AudioError

SHARED = Path(__file__).parents[3] / "shared"
RATE = 22_050
SUBTYPES = {"wav": "PCM_16", "flac": "PCM_16", "au": "PCM_16", "aiff": "PCM_16", "w64": "PCM_16", "caf": "PCM_16"}
LOSSY = {"mp3": "MPEG_LAYER_III", "ogg": "VORBIS", "opus": "OPUS"}


def tone(seconds=2.0, rate=RATE, channels=1, seed=0):
    """Quiet noise under a tone, shape (n, channels), each channel louder than the one before."""
    t = np.arange(round(seconds * rate)) / rate
    noise = np.random.default_rng(seed).normal(0, 0.05, (t.size, channels))
    return (0.3 * np.sin(2 * np.pi * 440 * t)[:, None] * np.linspace(0.5, 1, channels) + noise).astype(np.float32)


def write(path, samples, rate=RATE, subtype=None):
    form = {"opus": "OGG", "au": "AU"}.get(path.suffix[1:])
    subtype = subtype or (SUBTYPES | LOSSY)[path.suffix[1:]]
    with soundfile.SoundFile(path, "w", rate, samples.shape[1], subtype=subtype, format=form) as file:
        for block in np.array_split(samples, max(1, len(samples) // 8192)):
            file.write(block)
    return path


def cut(path, share=0.5):
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    return path


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    shape=st.tuples(st.integers(1, 5000), st.integers(1, 8)),
    rate=st.sampled_from([8_000, 11_025, 16_000, 22_050, 44_100, 48_000, 96_000, 192_000]),
    kind=st.sampled_from([("wav", "FLOAT"), ("wav", "PCM_24"), ("wav", "PCM_16"), ("flac", "PCM_16"), ("au", "FLOAT")]),
    seed=st.integers(0, 2**31),
)
def test_mono_mean_of_what_was_written(tmp_path, shape, rate, kind, seed):
    suffix, subtype = kind
    samples = np.random.default_rng(seed).uniform(-0.9, 0.9, shape).astype(np.float32)
    recording = decode(write(tmp_path / f"any.{suffix}", samples, rate, subtype))
    step = {"FLOAT": 1e-7, "PCM_24": 2**-23, "PCM_16": 2**-15}[subtype]
    assert (recording.sample_rate, recording.channels, recording.truncated) == (rate, shape[1], False)
    assert recording.samples.dtype == np.float32
    np.testing.assert_allclose(recording.samples, samples.astype(float).mean(axis=1), rtol=0, atol=1.5 * step)


@pytest.mark.parametrize("suffix", [*SUBTYPES, *LOSSY])
def test_every_format_block_by_block_equals_one_read(tmp_path, suffix):
    rate = 48_000 if suffix == "opus" else RATE
    path = write(tmp_path / f"x.{suffix}", tone(15, rate, channels=2), rate)
    whole, _ = soundfile.read(path, dtype="float32", always_2d=True)
    recording = decode(path)
    assert recording.samples.size == whole.shape[0] > 2**17  # more than one block
    assert not recording.truncated
    np.testing.assert_allclose(recording.samples, whole.mean(axis=1), rtol=0, atol=1e-6)


def test_suffix_in_capitals_and_odd_names(tmp_path):
    source = write(tmp_path / "x.wav", tone())
    for name in ["A, b (live) = [c] #1.WAV", "naïve – 音楽.wav", "two\nlines.wav", "'quoted\".wav"]:
        path = tmp_path / name
        path.write_bytes(source.read_bytes())
        assert decode(path).samples.size == 2 * RATE


@pytest.mark.skipif(os.name != "posix", reason="only POSIX file names are bytes")
def test_name_that_is_not_text(tmp_path):
    path = os.fsencode(tmp_path) + b"/caf\xe9.wav"
    try:
        with open(path, "wb") as stream:
            stream.write(write(tmp_path / "x.wav", tone()).read_bytes())
    except OSError:
        pytest.skip("this file system takes text names only")
    assert decode(os.fsdecode(path)).samples.size == 2 * RATE


def test_eight_channels_at_96_khz_are_never_held_all_at_once(tmp_path):
    samples = tone(5, 96_000, channels=8)
    path = write(tmp_path / "x.wav", samples, 96_000)
    decode(path)
    tracemalloc.start()
    recording = decode(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert recording.channels == 8
    np.testing.assert_allclose(recording.samples, samples.mean(axis=1), atol=2**-14)
    assert peak < samples.nbytes / 2


def test_the_mono_mix_is_held_once(tmp_path):
    path = write(tmp_path / "x.wav", tone(240))
    decode(path)
    tracemalloc.start()
    recording = decode(path)
    held, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert recording.samples.size == 240 * RATE
    assert held < 1.01 * recording.samples.nbytes
    assert peak < 1.25 * recording.samples.nbytes


@pytest.mark.parametrize("suffix", ["wav", "flac", "au", "aiff", "w64", "mp3", "ogg", "opus"])
def test_truncated_data_gives_what_is_there(tmp_path, suffix):
    rate = 48_000 if suffix == "opus" else RATE
    path = write(tmp_path / f"x.{suffix}", tone(10, rate), rate)
    whole = decode(path).samples
    recording = decode(cut(path))
    assert recording.truncated
    share = recording.samples.size / whole.size
    assert 0.3 < share < 0.7
    same = recording.samples.size - 4096  # the last frame of a lossy file lacks its other half
    np.testing.assert_allclose(recording.samples[:same], whole[:same], atol=1e-6)


@pytest.mark.parametrize("suffix", ["flac", "mp3"])
def test_damage_in_the_middle_keeps_what_comes_before(tmp_path, suffix):
    path = write(tmp_path / f"x.{suffix}", tone(10))
    whole = decode(path).samples
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 3000] = bytes(3000)
    path.write_bytes(data)
    recording = decode(path)
    assert recording.truncated
    assert recording.samples.size > 0.4 * whole.size
    same = recording.samples.size - 4096 - RESCUE_FRAMES
    np.testing.assert_allclose(recording.samples[:same], whole[:same], atol=1e-6)


def test_damage_in_an_ogg_never_repeats_samples(tmp_path):
    samples = np.random.default_rng(1).normal(0, 0.2, (20 * RATE, 1)).astype(np.float32)
    path = write(tmp_path / "x.ogg", samples)
    data = bytearray(path.read_bytes())
    data[len(data) // 2 : len(data) // 2 + 50] = bytes(50)
    whole = decode(path).samples
    path.write_bytes(data)
    recording = decode(path)
    assert recording.truncated
    assert 0.8 * whole.size < recording.samples.size < whole.size
    np.testing.assert_allclose(recording.samples[-RATE:], whole[-RATE:], atol=1e-3)


@pytest.mark.parametrize("suffix", ["ogg", "opus"])
def test_of_a_chained_ogg_the_first_stream_is_read_and_the_file_counts_as_truncated(tmp_path, suffix):
    long, short = (write(tmp_path / f"{sec}.{suffix}", tone(sec, 48_000), 48_000) for sec in (3.0, 2.0))
    for number, (first, second) in enumerate([(long, short), (short, long), (long, long)]):
        path = tmp_path / f"chained{number}.{suffix}"
        path.write_bytes(first.read_bytes() + second.read_bytes())
        chained, alone = decode(path), decode(first)
        np.testing.assert_array_equal(chained.samples, alone.samples)
        assert (chained.truncated, alone.truncated) == (True, False)


def test_an_ogg_of_streams_that_begin_side_by_side_is_not_truncated(tmp_path):
    data, other = (write(tmp_path / f"{seed}.ogg", tone(3.0, seed=seed)).read_bytes() for seed in (0, 1))
    length = 28 + data[27]  # of the first page, which has one segment
    path = tmp_path / "multiplexed.ogg"
    path.write_bytes(data[:length] + other[:length] + data[length:])
    recording = decode(path)
    np.testing.assert_array_equal(recording.samples, decode(tmp_path / "0.ogg").samples)
    assert not recording.truncated


def test_wav_of_unknown_length_from_a_pipe_is_not_truncated(tmp_path):
    path = write(tmp_path / "x.wav", tone())
    data = bytearray(path.read_bytes())
    data[4:8] = data[40:44] = b"\xff\xff\xff\xff"
    path.write_bytes(data)
    recording = decode(path)
    assert recording.samples.size == 2 * RATE
    assert not recording.truncated


def test_mp3_without_a_xing_header_is_not_truncated(tmp_path):
    path = tmp_path / "x.mp3"
    soundfile.write(path, tone(10)[:, 0], RATE, bitrate_mode="CONSTANT", compression_level=0.5)
    data = path.read_bytes()
    tag = max(data.find(b"Info"), data.find(b"Xing"))
    path.write_bytes(data[data.index(data[:2], tag) :])
    recording = decode(path)
    assert abs(recording.samples.size - 10 * RATE) < 3 * 1152
    assert not recording.truncated


@pytest.mark.parametrize("suffix", ["wav", "mp3", "flac", "ogg", "au", "snd", "aiff", "raw", "gsm", "vox"])
@pytest.mark.parametrize(
    "content", [b"These are words, not music.\n" * 3000, bytes(range(256)) * 300], ids=["text", "bytes"]
)
def test_other_things_under_an_audio_name_are_undecodable(tmp_path, suffix, content):
    path = tmp_path / f"words.{suffix}"
    path.write_bytes(content)
    with pytest.raises(AudioError, match=r"words\.\w+ cannot be decoded as audio") as caught:
        decode(path)
    assert caught.value.reason == Reason.UNDECODABLE
    assert ("it looks like text" in str(caught.value)) == content.startswith(b"These")


@pytest.mark.parametrize("suffix", ["wav", "flac", "ogg", "opus", "mp3", "aiff", "w64", "caf"])
def test_truncated_header(tmp_path, suffix):
    rate = 48_000 if suffix == "opus" else RATE
    path = write(tmp_path / f"x.{suffix}", tone(1, rate), rate)
    path.write_bytes(path.read_bytes()[:30])
    with pytest.raises(AudioError) as caught:
        decode(path)
    assert caught.value.reason == Reason.UNDECODABLE


@pytest.mark.parametrize(
    ("head", "impression"),
    [(b"\0\0\0\x20ftypM4A ", "MP4 or AAC"), (b"\x30\x26\xb2\x75", "WMA"), (b"RIFF\0\0\0\0WAVE", "the file is damaged")],
)
def test_error_says_what_the_file_looks_like(tmp_path, head, impression):
    path = tmp_path / "x.wav"
    path.write_bytes(head + bytes(range(256)))
    with pytest.raises(AudioError, match=impression):
        decode(path)


def test_impossible_sample_rate_is_refused(tmp_path):
    path = write(tmp_path / "x.wav", tone())
    data = bytearray(path.read_bytes())
    data[24:28] = (1).to_bytes(4, "little")  # 1 Hz would make gigabytes when resampled
    path.write_bytes(data)
    with pytest.raises(AudioError):
        decode(path)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    suffix=st.sampled_from(["wav", "flac", "ogg", "mp3", "aiff", "au"]),
    changes=st.lists(st.tuples(st.integers(0, 200), st.integers(0, 255)), max_size=8),
    share=st.floats(0.01, 1),
)
def test_damage_never_ends_in_anything_but_samples_or_an_audio_error(tmp_path, suffix, changes, share):
    source = tmp_path / f"good.{suffix}"
    if not source.exists():
        write(source, tone(1))
    data = bytearray(source.read_bytes())
    for position, value in changes:
        data[min(position, len(data) - 1)] = value
    path = tmp_path / f"bad.{suffix}"
    path.write_bytes(data[: max(1, int(share * len(data)))])
    reason = None
    try:
        assert decode(path).samples.ndim == 1
    except AudioError as error:
        reason = error.reason
    assert reason in (None, Reason.UNDECODABLE)


def test_damaged_mp3_is_quiet_on_standard_error(tmp_path, capfd):
    path = cut(write(tmp_path / "x.mp3", tone(10)))
    (tmp_path / "words.mp3").write_bytes(b"words " * 20_000)
    with ThreadPoolExecutor(4) as pool:
        sizes = {recording.samples.size for recording in pool.map(decode, [path] * 12)}
    with pytest.raises(AudioError):
        decode(tmp_path / "words.mp3")
    assert len(sizes) == 1
    assert capfd.readouterr().err == ""


def test_errors_use_the_given_name(tmp_path):
    path = tmp_path / "x.wav"
    path.write_bytes(b"text")
    with pytest.raises(AudioError, match=r"^rock/x\.wav cannot"):
        decode(path, name="rock/x.wav")


def test_resample_keeps_a_tone_and_its_length():
    t = np.arange(48_000) / 48_000
    samples = np.sin(2 * np.pi * 1000 * t).astype(np.float32)
    slower = resample(samples, 48_000, RATE)
    assert slower.dtype == np.float32
    assert slower.size == RATE
    expected = np.sin(2 * np.pi * 1000 * np.arange(RATE) / RATE)
    np.testing.assert_allclose(slower[500:-500], expected[500:-500], atol=1e-3)


def test_resample_removes_what_the_lower_rate_cannot_hold():
    samples = np.sin(2 * np.pi * 15_000 * np.arange(48_000) / 48_000).astype(np.float32)
    assert np.abs(resample(samples, 48_000, RATE)[500:-500]).max() < 1e-3


def test_resample_to_the_same_rate_is_the_identity():
    samples = tone()[:, 0]
    assert resample(samples, RATE, RATE) is samples


def test_load_is_mono_at_the_asked_rate(tmp_path):
    path = write(tmp_path / "x.flac", tone(2, 44_100, channels=2), 44_100)
    samples = load(path, RATE)
    assert samples.dtype == np.float32
    assert samples.shape == (2 * RATE,)


def test_load_checks_health(tmp_path):
    path = write(tmp_path / "x.wav", np.zeros((RATE, 1), np.float32))
    with pytest.raises(AudioError) as caught:
        load(path, RATE)
    assert caught.value.reason == Reason.SILENT


@pytest.mark.real_audio
def test_real_recordings_decode_as_soundfile_reads_them():
    paths = sorted((SHARED / "audio").glob("*/rock/*"))[::40]
    if not paths:
        pytest.skip("../shared/audio is not here")
    for path in paths:
        expected, rate = soundfile.read(path, dtype="float32", always_2d=True)
        recording = decode(path)
        assert (recording.sample_rate, recording.truncated) == (rate, False)
        np.testing.assert_allclose(recording.samples, expected.mean(axis=1), atol=1e-6)
