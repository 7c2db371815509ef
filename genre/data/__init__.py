"""Catalogue, clips, store, protocols and the data module."""
