# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""Publishes all messages of a bag, as bytes, each at its log time on the system's clock.

python bag_publisher.py BAG
"""

from __future__ import annotations

import sys
import time
from importlib import import_module
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT)]

from aux_motion_core.bags.reader import BagReader  # noqa: E402


def main() -> None:
    """Publish until the end of the bag."""
    import rclpy

    rclpy.init()
    node = rclpy.create_node("bag_publisher")
    with BagReader(sys.argv[1]) as bag:
        publishers = {}
        for topic in bag.topics:
            package, _, name = topic.msgtype.split("/")
            publishers[topic.name] = node.create_publisher(
                getattr(import_module(f"{package}.msg"), name), topic.name, 100
            )
        for item in bag.messages(bag.topics, raw=True):
            time.sleep(max(0.0, (item.log_time_ns - time.time_ns()) * 1e-9))
            publishers[item.topic].publish(bytes(item.message))
    time.sleep(0.5)
    node.destroy_node()
    rclpy.shutdown()


if __name__ == "__main__":
    main()
