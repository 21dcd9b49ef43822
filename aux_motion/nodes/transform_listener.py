"""Transforms from /tf and /tf_static; `aux_motion_core.space.frames` uses them."""

from __future__ import annotations

from typing import Any

from aux_motion_core.space.frames import (
    FrameError,
    FrameQueue,
    Frames,
    rotation_matrix,
    static_transforms,
    transform_frame,
)
from aux_motion_core.space.tf import TfBuffer

__all__ = [
    "FrameError",
    "FrameQueue",
    "Frames",
    "TfListener",
    "rotation_matrix",
    "static_transforms",
    "transform_frame",
]

#: Queue of /tf; longer than tf2's 100, since messages wait here until a frame needs a transform.
_DEPTH = 1000


def tf_message_type() -> Any:
    """`tf2_msgs/TFMessage`.

    Raises:
        ImportError: not installed, with the remedy.
    """
    try:
        from tf2_msgs.msg import TFMessage  # no ROS wheel has it: only where a frame needs it
    except ImportError as error:
        raise ImportError(f"{error}: install TF (apt install ros-$ROS_DISTRO-tf2-msgs)") from None
    return TFMessage


class TfListener:
    """Fills a buffer from /tf and /tf_static when it is asked to.

    The subscriptions belong to a node that nobody spins: transforms wake nobody up, and are taken in only when a frame
    needs one. So the rate of /tf costs the prediction nothing.

    Args:
        name: of that node.
        buffer: to fill.
        context: of rclpy; None: the default one.

    Raises:
        ImportError: tf2_msgs is not installed.
    """

    def __init__(self, name: str, buffer: TfBuffer, context: Any = None) -> None:
        kind = tf_message_type()
        from rclpy.node import Node
        from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSProfile, ReliabilityPolicy

        self.buffer = buffer
        self._node = Node(
            name, context=context, start_parameter_services=False, enable_rosout=False, use_global_arguments=False
        )
        self._subscriptions = [
            (
                self._node.create_subscription(
                    kind,
                    topic,
                    lambda message: None,
                    QoSProfile(
                        depth=_DEPTH,
                        history=HistoryPolicy.KEEP_LAST,
                        reliability=ReliabilityPolicy.RELIABLE,
                        durability=durability,
                    ),
                ),
                static,
            )
            for topic, durability, static in (
                ("/tf_static", DurabilityPolicy.TRANSIENT_LOCAL, True),
                ("/tf", DurabilityPolicy.VOLATILE, False),
            )
        ]

    def poll(self) -> int:
        """Take in what has come since the last time; returns how many messages that was."""
        count = 0
        for subscription, static in self._subscriptions:
            with subscription.handle:
                for _ in range(_DEPTH):
                    taken = subscription.handle.take_message(subscription.msg_type, subscription.raw)
                    if taken is None:
                        break
                    self.buffer.add(taken[0], static)
                    count += 1
        return count

    def close(self) -> None:
        """Stop listening."""
        self._node.destroy_node()
