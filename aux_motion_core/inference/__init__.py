"""What predicts: the model's runtimes, the baselines and their ensemble."""
