"""What commands say while they work."""

from __future__ import annotations

from genre.commands.console import preparation_bar


def test_progress_is_shown_for_clips_and_for_fingerprints(capsys) -> None:
    with preparation_bar() as bar:
        bar.prepared(0, 2, 0)
        bar.prepared(2, 2, 10)
        bar.listened(0, 2)
        bar.listened(2, 2)
    assert "prepared 10 clips of 2 tracks" in capsys.readouterr().out
    with preparation_bar() as bar:
        bar.prepared(1, 1, 1)
    assert "prepared 1 clip of 1 track in" in capsys.readouterr().out
