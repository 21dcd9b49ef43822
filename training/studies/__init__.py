"""What was measured once; nothing imports it."""
