"""The space that people may occupy, and the separation from a robot."""
