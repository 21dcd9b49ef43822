"""What is fitted after training: calibration, blend, baselines."""
