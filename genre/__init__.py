"""Music genre classification: from a folder of audio to an honestly evaluated model."""

__version__ = "0.1.0"
