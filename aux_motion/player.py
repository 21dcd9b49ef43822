"""Publishes a bag's skeletons in real time (`aux-motion play`, the demo)."""

from __future__ import annotations

import time
from pathlib import Path

import rclpy
from aux_motion_msgs.msg import SkeletonArray
from rclpy.executors import ExternalShutdownException
from rclpy.qos import qos_profile_sensor_data

from aux_motion_core import bags
from aux_motion_core.messages import ns_to_stamp, stamp_to_ns

DISCOVERY_TIMEOUT_S = 20.0


def play(
    bag: str | Path,
    to: str = "skeletons",
    topic: str | None = None,
    rate: float = 1.0,
    loop: bool = False,
    keep_stamps: bool = False,
    wait_for: int = 1,
) -> int:
    """Publish every skeleton message of a bag at the pace of its stamps.

    Messages go out as they were recorded, the damaged ones too; only the stamp is moved to the present.

    Args:
        bag: folder or bare file.
        to: topic to publish on.
        topic: topic in the bag; None: the only SkeletonArray topic.
        rate: 2 is twice as fast.
        loop: start again at the end, until interrupted.
        keep_stamps: leave the recorded stamps.
        wait_for: subscribers that must be matched before the first message.

    Returns:
        Number of messages published.

    Raises:
        BagError: the bag cannot be read.
        ValueError: nobody subscribed in time.
    """
    messages = [m.message for m in bags.read_messages(bag, bags.SKELETONS, topic)]
    store = bags.typestore()
    stamp_type = store.types["builtin_interfaces/msg/Time"]
    rclpy.init(args=[])
    node = rclpy.create_node("aux_motion_player")
    count = 0
    try:
        publisher = node.create_publisher(SkeletonArray, to, qos_profile_sensor_data)
        end = time.monotonic() + DISCOVERY_TIMEOUT_S
        while publisher.get_subscription_count() < wait_for:
            if time.monotonic() > end:
                raise ValueError(
                    f"{publisher.get_subscription_count()} of {wait_for} subscribers on {to} "
                    f"after {DISCOVERY_TIMEOUT_S:.0f} s; start the predictor first, in the same ROS_DOMAIN_ID"
                )
            time.sleep(0.02)
        time.sleep(0.1)  # the subscribers' side of the match
        first_ns = stamp_to_ns(messages[0].header.stamp)
        again = True
        while again:
            start_ns = time.time_ns() + 20_000_000
            for message in messages:
                offset_ns = round((stamp_to_ns(message.header.stamp) - first_ns) / rate)
                recorded = message.header.stamp
                if not keep_stamps:
                    message.header.stamp = stamp_type(**ns_to_stamp(start_ns + offset_ns))
                raw = bytes(store.serialize_cdr(message, bags.SKELETONS))
                message.header.stamp = recorded
                wait_s = (start_ns + offset_ns - time.time_ns()) * 1e-9
                if wait_s > 0.0:
                    time.sleep(wait_s)
                publisher.publish(raw)
                count += 1
            again = loop and rclpy.ok()
        time.sleep(0.2)  # the last message leaves before the publisher does
    except (KeyboardInterrupt, ExternalShutdownException):
        pass
    finally:
        node.destroy_node()
        rclpy.try_shutdown()
    return count
