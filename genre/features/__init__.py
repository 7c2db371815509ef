"""Samples to tensors: front ends (spectrograms) and the 57 hand-crafted features."""
