"""Measurements, the soak test and the demonstrations."""
