"""Recordings: reading, writing, restamping."""
