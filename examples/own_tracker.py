# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""A tracker of your own: publish `aux_motion_msgs/SkeletonArray` and the predictor understands you.

aux-motion run --fixed-frame map          # in another terminal
python examples/own_tracker.py --seconds 10
"""

import argparse
import array
import time

import numpy as np
import rclpy
from aux_motion_msgs.msg import SkeletonArray
from rclpy.node import Node
from rclpy.qos import qos_profile_sensor_data

from aux_motion_core.skeleton import JOINTS
from aux_motion_core.testing.synthetic import walker

RATE_HZ = 30.0


class OwnTracker(Node):
    """Publishes one person who walks in a circle."""

    def __init__(self) -> None:
        super().__init__("own_tracker")
        self._publisher = self.create_publisher(SkeletonArray, "skeletons", qos_profile_sensor_data)
        self._begin_s = time.time()
        self.create_timer(1.0 / RATE_HZ, self.publish)

    def publish(self) -> None:
        """One message: the time of capture, the frame of the positions, NaN where a joint was not seen."""
        captured = self.get_clock().now()
        positions = walker(np.array([time.time() - self._begin_s]))  # (1, 20, 3) metres: ask your camera here
        positions[0, JOINTS.index("left_foot")] = np.nan
        message = SkeletonArray()
        message.header.stamp, message.header.frame_id = captured.to_msg(), "map"
        message.joint_names, message.person_ids = list(JOINTS), ["1"]
        message.positions = array.array("f", positions.astype(np.float32).tobytes())
        self._publisher.publish(message)


def main() -> None:
    """Publish for some seconds."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=5.0)
    arguments = parser.parse_args()
    rclpy.init()
    node = OwnTracker()
    end_s = time.monotonic() + arguments.seconds
    while time.monotonic() < end_s:
        rclpy.spin_once(node, timeout_sec=0.1)
    node.destroy_node()
    rclpy.try_shutdown()
    print(f"published for {arguments.seconds:.0f} s on /skeletons")


if __name__ == "__main__":
    main()
