"""Calibrated radii and what they rest on."""
