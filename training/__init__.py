"""Training, validation and export of the predictor; nothing here is needed to run it."""
