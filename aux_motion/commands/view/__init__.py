"""`aux-motion view`: a page in the browser that shows people, predictions, bounds and the robot over time."""
