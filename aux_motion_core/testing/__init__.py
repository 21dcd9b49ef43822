"""Synthetic people for tests and benchmarks."""
