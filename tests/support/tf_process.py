# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""A process that publishes one transform again and again, with a QoS of choice; it needs tf2_msgs."""

from __future__ import annotations

import time

import rclpy
import typer
from geometry_msgs.msg import TransformStamped
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from tf2_msgs.msg import TFMessage


def main(topic: str, child: str = "camera", x: float = 1.0, best_effort: bool = False, latched: bool = False) -> None:
    """Publish the pose of `child` in world until a signal; x may be nan."""
    rclpy.init()
    node = rclpy.create_node("tf_process")
    reliability = ReliabilityPolicy.BEST_EFFORT if best_effort else ReliabilityPolicy.RELIABLE
    durability = DurabilityPolicy.TRANSIENT_LOCAL if latched else DurabilityPolicy.VOLATILE
    qos = QoSProfile(depth=10, reliability=reliability, durability=durability)
    publisher = node.create_publisher(TFMessage, topic, qos)
    item = TransformStamped(child_frame_id=child)
    item.header.frame_id, item.transform.translation.x = "world", x
    while rclpy.ok():
        item.header.stamp = node.get_clock().now().to_msg()
        publisher.publish(TFMessage(transforms=[item]))
        time.sleep(0.02)


if __name__ == "__main__":
    typer.run(main)
