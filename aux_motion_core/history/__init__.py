"""One person's observations: continuity, resampling to the model's grid, normalisation."""
