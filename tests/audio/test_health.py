"""Health: every way a file can be unusable has its reason and one sentence that names the file."""

import os
from contextlib import contextmanager

import numpy as np
import pytest
import soundfile

from genre.audio.decode import Recording, decode
from genre.audio.health import LOUDEST, MIN_SEC, SILENCE_AMPLITUDE, Reason, check
from genre.errors import AudioError

RATE = 22_050


def noise(seconds=1.0, channels=1, rate=RATE):
    return np.random.default_rng(0).uniform(-0.5, 0.5, (round(seconds * rate), channels)).astype(np.float32)


def fault_of(path):
    """Return the reason that decoding and checking ``path`` gives; check the sentence."""
    with pytest.raises(AudioError) as caught:
        check(decode(path), name=path)
    message = str(caught.value)
    assert path.name in message
    assert message.endswith(".")
    assert "\n" not in message
    assert isinstance(caught.value.reason, Reason)
    return caught.value.reason


def test_good_file_passes(tmp_path):
    path = tmp_path / "x.wav"
    soundfile.write(path, noise(), RATE)
    assert check(decode(path), name=path) is None


def test_eight_channels_at_96_khz_pass(tmp_path):
    path = tmp_path / "x.wav"
    soundfile.write(path, noise(1, 8, 96_000), 96_000)
    assert check(decode(path), name=path) is None


def test_zero_bytes(tmp_path):
    path = tmp_path / "x.wav"
    path.touch()
    assert fault_of(path) is Reason.EMPTY


def test_header_without_samples(tmp_path):
    path = tmp_path / "x.wav"
    soundfile.write(path, noise(0), RATE)
    assert fault_of(path) is Reason.EMPTY


def test_text_renamed(tmp_path):
    path = tmp_path / "x.wav"
    path.write_text("a letter to a friend\n" * 100)
    assert fault_of(path) is Reason.UNDECODABLE


def test_truncated_header(tmp_path):
    path = tmp_path / "x.wav"
    soundfile.write(path, noise(), RATE)
    path.write_bytes(path.read_bytes()[:20])
    assert fault_of(path) is Reason.UNDECODABLE


def test_truncated_data_is_used_when_enough_is_left(tmp_path):
    path = tmp_path / "x.wav"
    soundfile.write(path, noise(2), RATE)
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    assert check(decode(path), name=path) is None
    path.write_bytes(data[: len(data) // 100])
    assert fault_of(path) is Reason.TOO_SHORT


def test_mp3_cut_in_the_middle_is_used(tmp_path):
    path = tmp_path / "x.mp3"
    soundfile.write(path, noise(4), RATE)
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    recording = decode(path)
    assert recording.truncated
    assert check(recording, name=path) is None


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("channels", [1, 2])
def test_non_finite_samples(tmp_path, value, channels):
    path = tmp_path / "x.wav"
    samples = noise(1, channels)
    samples[1234, -1] = value
    soundfile.write(path, samples, RATE, subtype="FLOAT")
    assert fault_of(path) is Reason.NON_FINITE


def test_infinities_that_cancel_in_the_mix_are_found(tmp_path):
    path = tmp_path / "x.wav"
    samples = noise(1, 2)
    samples[7] = np.inf, -np.inf
    soundfile.write(path, samples, RATE, subtype="FLOAT")
    assert fault_of(path) is Reason.NON_FINITE


@pytest.mark.parametrize(
    ("full_scale", "words"), [(2**15, r"\(32768 times\).* divide"), (2**31, "divide"), (1e30, "export it again")]
)
def test_integers_in_a_file_of_floats_are_too_loud(tmp_path, full_scale, words):
    path = tmp_path / "x.wav"
    samples = noise()
    samples[77] = -1
    soundfile.write(path, samples * np.float32(full_scale), RATE, subtype="FLOAT")
    assert fault_of(path) is Reason.TOO_LOUD
    with pytest.raises(AudioError, match=rf"x\.wav holds samples far beyond full scale .*{words}"):
        check(decode(path), name=path)


@pytest.mark.parametrize("peak", [3.0, -3.0, LOUDEST, -LOUDEST])
def test_overs_are_no_fault(tmp_path, peak):
    path = tmp_path / "x.wav"
    samples = noise()
    samples[77] = peak
    soundfile.write(path, samples, RATE, subtype="FLOAT")
    assert check(decode(path), name=path) is None


@pytest.mark.parametrize("level", [0.0, 0.5 * SILENCE_AMPLITUDE])
@pytest.mark.parametrize("offset", [0.0, 0.1])
def test_silence(tmp_path, level, offset):
    path = tmp_path / "x.wav"
    soundfile.write(path, noise() * 2 * level + offset, RATE, subtype="FLOAT")
    assert fault_of(path) is Reason.SILENT


def test_quiet_music_is_not_silence():
    check(Recording(noise()[:, 0] * 4 * SILENCE_AMPLITUDE, RATE, 1, False), name="x.wav")


def test_channels_that_cancel_are_silent_and_the_sentence_says_so(tmp_path):
    path = tmp_path / "x.wav"
    soundfile.write(path, noise() * np.array([1, -1], np.float32), RATE, subtype="FLOAT")
    with pytest.raises(AudioError, match="channels are mixed") as caught:
        check(decode(path), name=path)
    assert caught.value.reason is Reason.SILENT


def test_one_sample(tmp_path):
    path = tmp_path / "x.wav"
    soundfile.write(path, np.array([0.5]), RATE)
    assert fault_of(path) is Reason.TOO_SHORT


@pytest.mark.parametrize(("seconds", "usable"), [(MIN_SEC, True), (MIN_SEC - 0.01, False)])
def test_shortest_usable_length(seconds, usable):
    recording = Recording(noise(seconds)[:, 0], RATE, 1, False)
    if usable:
        check(recording, name="x.wav")
    else:
        with pytest.raises(AudioError, match=r"x\.wav is too short \(0\.49 s\): at least 0\.5 s"):
            check(recording, name="x.wav")


def test_shortest_usable_length_can_be_set():
    check(Recording(noise(0.1)[:, 0], RATE, 1, False), name="x.wav", min_sec=0.1)


def test_missing_file(tmp_path):
    assert fault_of(tmp_path / "x.wav") is Reason.MISSING


def test_dangling_link_and_link_to_itself(tmp_path):
    (tmp_path / "x.wav").symlink_to(tmp_path / "gone.wav")
    (tmp_path / "y.wav").symlink_to(tmp_path / "y.wav")
    for name in ("x.wav", "y.wav"):
        assert fault_of(tmp_path / name) is Reason.MISSING
        with pytest.raises(AudioError, match="a link that leads nowhere"):
            decode(tmp_path / name)


def test_directory_named_like_a_file(tmp_path):
    (tmp_path / "x.wav").mkdir()
    assert fault_of(tmp_path / "x.wav") is Reason.NOT_A_FILE
    with pytest.raises(AudioError, match="is a folder, not an audio file"):
        decode(tmp_path / "x.wav")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes in this file system")
def test_pipe_does_not_block(tmp_path):
    os.mkfifo(tmp_path / "x.wav")
    assert fault_of(tmp_path / "x.wav") is Reason.NOT_A_FILE


@pytest.mark.skipif(os.name != "posix", reason="permissions of POSIX")
def test_unreadable_permissions(tmp_path):
    path = tmp_path / "x.wav"
    soundfile.write(path, noise(), RATE)
    path.chmod(0)
    with ordinary_user():
        assert fault_of(path) is Reason.UNREADABLE


@contextmanager
def ordinary_user():
    """Give up the superuser's right to read everything, for a while."""
    if os.geteuid() != 0:
        yield
        return
    try:
        os.seteuid(65_534)
    except OSError:
        pytest.skip("the superuser may read everything")
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.mark.parametrize("error", [PermissionError(13, "Permission denied"), OSError(5, "Input/output error")])
def test_what_the_system_refuses_to_open_is_unreadable(tmp_path, monkeypatch, error):
    path = tmp_path / "x.wav"
    soundfile.write(path, noise(), RATE)

    def refuse(*_args, **_kwargs):
        raise error

    monkeypatch.setattr("pathlib.Path.open", refuse)
    assert fault_of(path) is Reason.UNREADABLE


def test_name_with_a_line_break_stays_one_line(tmp_path):
    path = tmp_path / "two\nlines.wav"
    path.touch()
    with pytest.raises(AudioError, match=r"two\\nlines\.wav is empty"):
        decode(path)


def test_nothing_is_changed_on_disk(tmp_path):
    path = tmp_path / "x.wav"
    path.write_text("not audio")
    before = path.stat()
    fault_of(path)
    after = path.stat()
    assert (before.st_mtime_ns, before.st_size, before.st_mode) == (after.st_mtime_ns, after.st_size, after.st_mode)
    assert [entry.name for entry in tmp_path.iterdir()] == ["x.wav"]
