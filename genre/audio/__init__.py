"""Files to mono float32 samples at one sample rate, and what is wrong with files that cannot be used."""
