"""Bring skeletons to the fixed frame: none needed, by a given static transform, or by TF at their stamp."""

from __future__ import annotations

import dataclasses
import threading
import time
from typing import Any

import numpy as np

from aux_motion_core.types import SkeletonFrame

_POLL_S = 0.002
#: Where xx, xy, xz, yy, yz, zz stand in a 3x3 matrix.
_UPPER = np.triu_indices(3)


class FrameError(ValueError):
    """A frame that cannot be brought to the fixed frame, in one line with the remedy."""


def rotation_matrix(quaternion: Any) -> np.ndarray:
    """(3, 3) rotation of a quaternion x, y, z, w of any length but 0."""
    q = np.asarray(quaternion, np.float64)
    x, y, z, w = q / np.linalg.norm(q)
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
            [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
            [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
        ]
    )


def transform_frame(frame: SkeletonFrame, rotation: np.ndarray, translation: np.ndarray, to: str) -> SkeletonFrame:
    """Rotate and move all people.

    Args:
        frame: positions (P, J, 3) metres, covariance (P, J, 6) or None.
        rotation: (3, 3).
        translation: (3,) metres.
        to: the new frame_id.
    """
    covariance = frame.covariance
    if covariance is not None:
        full = np.empty(covariance.shape[:-1] + (3, 3))
        full[..., _UPPER[0], _UPPER[1]] = covariance
        full[..., _UPPER[1], _UPPER[0]] = covariance
        covariance = (rotation @ full @ rotation.T)[..., _UPPER[0], _UPPER[1]].astype(np.float32)
    positions = np.asarray(frame.positions, np.float64) @ rotation.T + translation
    return dataclasses.replace(frame, frame_id=to, positions=positions, covariance=covariance)


class TfSource:
    """Transforms of tf2, heard by a node and a thread of their own."""

    def __init__(self, name: str) -> None:
        """Start to listen; `name` is the helper node's name.

        Raises:
            ImportError: tf2_ros is not installed.
        """
        import tf2_ros  # not part of the ROS wheels: only where a frame needs it
        from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
        from rclpy.node import Node
        from rclpy.time import Time

        self._time = Time
        self._error = tf2_ros.TransformException
        self._node = Node(name, start_parameter_services=False)
        self._buffer = tf2_ros.Buffer()
        self._listener = tf2_ros.TransformListener(self._buffer, self._node)
        self._executor = SingleThreadedExecutor()
        self._executor.add_node(self._node)

        def spin() -> None:
            try:
                self._executor.spin()
            except ExternalShutdownException:
                return

        self._thread = threading.Thread(target=spin, name="tf", daemon=True)
        self._thread.start()

    def lookup(self, target: str, source: str, stamp_ns: int, timeout_s: float) -> tuple[np.ndarray, np.ndarray]:
        """Rotation (3, 3) and translation (3,) from `source` to `target` at a stamp.

        Waits up to `timeout_s` when the transform is known but not yet up to the stamp.

        Raises:
            FrameError: there is none.
        """
        stamp = self._time(nanoseconds=stamp_ns)
        end = time.monotonic() + timeout_s
        while True:
            try:
                found = self._buffer.lookup_transform(target, source, stamp).transform
            except self._error as error:
                if time.monotonic() < end and self._buffer.can_transform(target, source, self._time()):
                    time.sleep(_POLL_S)
                    continue
                reason = " ".join(str(error).split())
                raise FrameError(
                    f"no transform from {source!r} to the fixed frame {target!r} at {stamp_ns * 1e-9:.3f} s "
                    f"({reason}): publish it on /tf or /tf_static, "
                    "or set static_transform_frame and static_transform"
                ) from None
            q, t = found.rotation, found.translation
            return rotation_matrix((q.x, q.y, q.z, q.w)), np.array([t.x, t.y, t.z])

    def close(self) -> None:
        """Stop listening."""
        self._executor.shutdown()
        self._thread.join(timeout=2.0)
        self._node.destroy_node()


class Frames:
    """Brings skeleton frames to `fixed_frame`."""

    def __init__(
        self,
        fixed_frame: str,
        static_frame: str = "",
        static_transform: Any = (0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0),
        tf_node_name: str = "aux_motion_predictor_tf",
    ) -> None:
        """Set up without starting anything; TF is started by the first frame that needs it.

        Args:
            fixed_frame: where everything goes.
            static_frame: frame that `static_transform` brings there; empty: none.
            static_transform: x, y, z metres, quaternion x, y, z, w: pose of `static_frame` in `fixed_frame`.
            tf_node_name: name of the node that listens to TF.
        """
        self.fixed_frame = fixed_frame.lstrip("/")
        self._static_frame = static_frame.lstrip("/")
        self._static = (rotation_matrix(static_transform[3:]), np.asarray(static_transform[:3], np.float64))
        self._tf_node_name = tf_node_name
        self._tf: TfSource | None = None
        self._no_tf: str | None = None

    def to_fixed(self, frame: SkeletonFrame, timeout_s: float = 0.0) -> SkeletonFrame:
        """`frame` with positions and covariance in the fixed frame.

        Args:
            frame: all people of a message.
            timeout_s: how long to wait for a transform that is known but older than the frame's stamp.

        Raises:
            FrameError: it cannot be brought there.
        """
        source = frame.frame_id.lstrip("/")
        if source == self.fixed_frame:
            return dataclasses.replace(frame, frame_id=source)
        if not source:
            raise FrameError(
                "the message has an empty header.frame_id: the tracker must name the frame of its positions, "
                f"the fixed frame is {self.fixed_frame!r}"
            )
        if source == self._static_frame:
            rotation, translation = self._static
        else:
            rotation, translation = self._source(source).lookup(self.fixed_frame, source, frame.stamp_ns, timeout_s)
        return transform_frame(frame, rotation, translation, self.fixed_frame)

    def _source(self, source: str) -> TfSource:
        if self._tf is None and self._no_tf is None:
            try:
                self._tf = TfSource(self._tf_node_name)
            except ImportError as error:
                self._no_tf = str(error)
        if self._tf is None:
            raise FrameError(
                f"frame {source!r} is not the fixed frame {self.fixed_frame!r} and TF is not available "
                f"({self._no_tf}): install tf2_ros (apt install ros-$ROS_DISTRO-tf2-ros-py), or set "
                f"static_transform_frame to {source!r} and static_transform to its pose"
            )
        return self._tf

    def close(self) -> None:
        """Stop listening to TF, if it was started."""
        if self._tf is not None:
            self._tf.close()
            self._tf = None
