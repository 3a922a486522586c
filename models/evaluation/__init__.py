"""Measuring an engine: queries, the run, its records and what is made of them."""
