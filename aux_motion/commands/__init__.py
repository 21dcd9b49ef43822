"""What each command of `aux-motion` does."""
