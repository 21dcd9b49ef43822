# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""Transforms from /tf and /tf_static; `aux_motion_core.space.frames` uses them."""

from __future__ import annotations

from typing import Any, NamedTuple

from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSProfile, ReliabilityPolicy

from aux_motion.nodes.qos import describe
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
TF_TYPE = "tf2_msgs/msg/TFMessage"
RELIABLE, BEST_EFFORT = ReliabilityPolicy.RELIABLE, ReliabilityPolicy.BEST_EFFORT
VOLATILE, TRANSIENT_LOCAL = DurabilityPolicy.VOLATILE, DurabilityPolicy.TRANSIENT_LOCAL


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


class _Heard(NamedTuple):
    """A subscription and what it is for."""

    subscription: Any
    static: bool
    qos: tuple[Any, Any]


class TfListener:
    """Fills a buffer from /tf and /tf_static when it is asked to.

    The subscriptions belong to a node that nobody spins: transforms wake nobody up, and are taken in only when a frame
    needs one. So the rate of /tf costs the prediction nothing. The topics are those that the asking node's names are
    remapped to: with `-r /tf:=tf -r /tf_static:=tf_static` those of its namespace.

    Args:
        node: asks; its remappings, namespace and context count.
        buffer: to fill.

    Raises:
        ImportError: tf2_msgs is not installed.
    """

    def __init__(self, node: Any, buffer: TfBuffer) -> None:
        self._kind = tf_message_type()
        from rclpy.node import Node

        self.buffer = buffer
        self._asking = node
        self._topics = {static: node.resolve_topic_name("/tf_static" if static else "/tf") for static in (True, False)}
        self._node = Node(
            f"{node.get_name()}_tf",
            namespace=node.get_namespace(),
            context=node.context,
            start_parameter_services=False,
            enable_rosout=False,
            use_global_arguments=False,  # the names are resolved already
        )
        self._heard: list[_Heard] = []
        for static in (True, False):
            self._listen(static, RELIABLE, TRANSIENT_LOCAL if static else VOLATILE)
        self.check()

    def _listen(self, static: bool, reliability: Any, durability: Any) -> None:
        qos = QoSProfile(depth=_DEPTH, history=HistoryPolicy.KEEP_LAST, reliability=reliability, durability=durability)
        subscription = self._node.create_subscription(self._kind, self._topics[static], lambda message: None, qos)
        self._heard.append(_Heard(subscription, static, (reliability, durability)))

    def check(self) -> None:
        """Look at the publishers: hear those of another QoS too, and note what the errors must say of them.

        A publisher that is volatile or best effort gets a subscription of its own: what others latch is still heard,
        and what is heard twice is known already. Call it about once a second.
        """
        said, count = [], 0
        for static, topic in self._topics.items():
            infos = self._node.get_publishers_info_by_topic(topic)
            right = [i for i in infos if i.topic_type in ("", TF_TYPE)]
            count += len(right)
            if infos and not right:
                said.append(f"{topic} carries {infos[0].topic_type}, not {TF_TYPE}")
            for info in right:
                self._adapt(static, topic, info)
            if static and any(i.qos_profile.durability == VOLATILE for i in right):
                said.append(f"{topic} is published volatile: what was sent before this node listened is lost")
        if not count and not said:
            said.append(self._nobody())
        self.buffer.note = "; ".join(said)

    def _adapt(self, static: bool, topic: str, info: Any) -> None:
        reliability, durability = info.qos_profile.reliability, info.qos_profile.durability
        needed = (
            BEST_EFFORT if reliability == BEST_EFFORT else RELIABLE,
            # what is not static needs nothing of before
            TRANSIENT_LOCAL if static and durability == TRANSIENT_LOCAL else VOLATILE,
        )
        if needed in [h.qos for h in self._heard if h.static == static]:
            return
        self._listen(static, *needed)
        qos = describe(self._heard[-1].subscription.qos_profile)
        who = f"{info.node_namespace.rstrip('/')}/{info.node_name}"
        self._asking.get_logger().info(f"{topic}: subscribed as {qos} too, as {who} publishes it")

    def _nobody(self) -> str:
        """Nobody publishes transforms; where they are instead, if anywhere."""
        others = sorted(
            name
            for name, kinds in self._node.get_topic_names_and_types()
            if TF_TYPE in kinds and name not in self._topics.values() and self._node.count_publishers(name)
        )
        line = f"nobody publishes {' or '.join(sorted(self._topics.values()))}"
        if not others:
            return line
        places = sorted({name.rpartition("/")[0] for name in others})
        hint = f"-r /tf:={places[0]}/tf -r /tf_static:={places[0]}/tf_static"
        return f"{line}, but there are transforms on {', '.join(others)}: remap with {hint}"

    def poll(self) -> int:
        """Take in what has come since the last time; returns how many messages that was."""
        count = 0
        for heard in self._heard:
            subscription = heard.subscription
            with subscription.handle:
                for _ in range(_DEPTH):
                    taken = subscription.handle.take_message(subscription.msg_type, subscription.raw)
                    if taken is None:
                        break
                    self.buffer.add(taken[0], heard.static)
                    count += 1
        return count

    def close(self) -> None:
        """Stop listening."""
        self._node.destroy_node()
