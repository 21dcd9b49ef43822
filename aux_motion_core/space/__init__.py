"""Transforms by time, and how skeletons come to the fixed frame."""
