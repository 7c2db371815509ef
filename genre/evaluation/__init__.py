"""Prediction tables to numbers, pictures and tables. Knows nothing of models."""
