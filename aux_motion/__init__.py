"""The ROS 2 side of aux_motion: node, message conversion, command line."""
