"""Tracks that hold one recording: identical, encoded again, at another level or rate, or overlapping excerpts of it."""

from genre.data.duplicates.among import duplicates_among, identical
from genre.data.duplicates.pairs import (
    FILE_NAME,
    IDENTICAL,
    SAME_RECORDING,
    Duplicate,
    by_name,
    find_duplicates,
    recordings,
    write_duplicates,
)
from genre.data.duplicates.prints import AudioFile, FingerprintFolder, fingerprints
from genre.data.duplicates.prints import Progress as FingerprintProgress

__all__ = [
    "FILE_NAME",
    "IDENTICAL",
    "SAME_RECORDING",
    "AudioFile",
    "Duplicate",
    "FingerprintFolder",
    "FingerprintProgress",
    "by_name",
    "duplicates_among",
    "find_duplicates",
    "fingerprints",
    "identical",
    "recordings",
    "write_duplicates",
]
