"""Helpers that know nothing of web or network."""
