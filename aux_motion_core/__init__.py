"""Everything of aux_motion that runs at prediction time: no ROS, no torch."""

__version__ = "0.1.0"
