"""One camera's geometry, and overlays on its pictures."""
