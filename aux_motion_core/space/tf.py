# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""Transforms by time, as tf2 keeps them, without tf2: fed with `tf2_msgs/TFMessage` of rclpy or of a bag.

Same rules as tf2's buffer: every frame has one parent; between two stamps positions are interpolated linearly and
rotations on the shortest arc; nothing is extrapolated. Plain numbers instead of arrays: for one pose they are faster.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from aux_motion_core.constants import NS
from aux_motion_core.fields import getter

#: x, y, z metres, quaternion x, y, z, w of length 1.
Pose = tuple[float, float, float, float, float, float, float]
IDENTITY: Pose = (0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0)
_FIELDS = (
    "child_frame_id",
    "header.frame_id",
    "header.stamp.sec",
    "header.stamp.nanosec",
    *(f"transform.translation.{axis}" for axis in "xyz"),
    *(f"transform.rotation.{axis}" for axis in "xyzw"),
)
#: From so many frames on, those of which nothing was told for so long are forgotten, nanoseconds.
_MANY, _GONE_NS = 1000, 60 * NS
#: Longer chains are loops.
_DEEPEST = 100


#: What to do where a frame is not connected.
_PUBLISH = "publish it on /tf or /tf_static, or set static_transform_frame and static_transform"


class TfError(ValueError):
    """No transform, in one line.

    Attributes:
        pending: it may still come: the newest that is known is older than the stamp, or the frame is not known yet.
        remedy: what to do.
    """

    def __init__(self, line: str, pending: bool, remedy: str = _PUBLISH) -> None:
        super().__init__(line)
        self.pending, self.remedy = pending, remedy


def multiply(a: Pose, b: Pose) -> Pose:
    """The pose b given in a, seen from where a is given."""
    ax, ay, az, aw = a[3:]
    bx, by, bz, bw = b[3:]
    x, y, z = rotate(a, b)
    return (
        x + a[0],
        y + a[1],
        z + a[2],
        aw * bx + ax * bw + ay * bz - az * by,
        aw * by - ax * bz + ay * bw + az * bx,
        aw * bz + ax * by - ay * bx + az * bw,
        aw * bw - ax * bx - ay * by - az * bz,
    )


def rotate(pose: Pose, point: Any) -> tuple[float, float, float]:
    """The first three numbers of `point`, turned by the pose's rotation."""
    px, py, pz = point[0], point[1], point[2]
    _, _, _, x, y, z, w = pose
    tx, ty, tz = 2.0 * (y * pz - z * py), 2.0 * (z * px - x * pz), 2.0 * (x * py - y * px)
    return (px + w * tx + y * tz - z * ty, py + w * ty + z * tx - x * tz, pz + w * tz + x * ty - y * tx)


def inverse(pose: Pose) -> Pose:
    """The pose that undoes `pose`."""
    turned = (0.0, 0.0, 0.0, -pose[3], -pose[4], -pose[5], pose[6])
    x, y, z = rotate(turned, pose)
    return (-x, -y, -z, -pose[3], -pose[4], -pose[5], pose[6])


def _between(a: Pose, b: Pose, share: float) -> Pose:
    dot = a[3] * b[3] + a[4] * b[4] + a[5] * b[5] + a[6] * b[6]
    sign = -1.0 if dot < 0.0 else 1.0
    angle = math.acos(min(abs(dot), 1.0))
    if angle < 1e-6:
        u, v = 1.0 - share, sign * share
    else:
        u, v = math.sin((1.0 - share) * angle) / math.sin(angle), sign * math.sin(share * angle) / math.sin(angle)
    q = [u * a[k] + v * b[k] for k in (3, 4, 5, 6)]
    length = math.sqrt(sum(c * c for c in q))
    return (
        a[0] + share * (b[0] - a[0]),
        a[1] + share * (b[1] - a[1]),
        a[2] + share * (b[2] - a[2]),
        *(c / length for c in q),
    )  # type: ignore[return-value]


def unit_pose(values: Iterable[float]) -> Pose | None:
    """Seven numbers with the quaternion at length 1; None when they are no pose."""
    pose = tuple(float(v) for v in values)
    return _unit(*pose) if len(pose) == 7 else None


def _unit(x: float, y: float, z: float, a: float, b: float, c: float, d: float) -> Pose | None:
    squared = a * a + b * b + c * c + d * d
    if not (1e-6 < squared < math.inf and math.isfinite(x + y + z)):
        return None
    if abs(squared - 1.0) < 1e-12:
        return (x, y, z, a, b, c, d)
    length = math.sqrt(squared)
    return (x, y, z, a / length, b / length, c / length, d / length)


def matrix(pose: Pose) -> tuple[np.ndarray, np.ndarray]:
    """Rotation (3, 3) and translation (3,)."""
    x, y, z, w = pose[3:]
    rotation = np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
            [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
            [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
        ]
    )
    return rotation, np.array(pose[:3])


class _Edge:
    """A frame's poses in its parent by stamp."""

    __slots__ = ("parent", "static", "stamps", "poses")

    def __init__(self, parent: str, static: bool) -> None:
        self.parent, self.static = parent, static
        self.stamps: list[int] = []
        self.poses: list[Pose] = []


def _what_is_wrong(child: str, parent: str, numbers: Sequence[float]) -> str:
    """Of a transform that is none, in one line."""
    if not child or not parent or child == parent:
        return f"the transform from {parent!r} to {child!r} does not name two frames"
    values = " ".join(f"{v:.6g}" for v in numbers)
    if not all(map(math.isfinite, numbers)):
        return f"the transform from {parent!r} to {child!r} is not a number ({values})"
    return f"the transform from {parent!r} to {child!r} has no rotation: a quaternion of length 0 ({values})"


class TfBuffer:
    """Transforms of the last seconds.

    Args:
        cache_s: how long they are kept.

    Attributes:
        counters: what was left out.
        newest_ns: newest stamp that came in.
        unusable: child frame -> what is wrong with its newest transform, where that was left out.
        note: what is known about the sources, such as that nobody publishes transforms; for the errors.
    """

    def __init__(self, cache_s: float = 10.0) -> None:
        self._cache_ns = int(cache_s * NS)
        self._edges: dict[str, _Edge] = {}
        self.counters: Counter[str] = Counter()
        self.newest_ns = 0
        self.unusable: dict[str, str] = {}
        self.note = ""

    def __contains__(self, frame: str) -> bool:
        return frame in self._edges or any(e.parent == frame for e in self._edges.values())

    def __len__(self) -> int:
        return len(self._edges)

    def parent(self, frame: str) -> str | None:
        """The frame in which `frame` is given, None where it is not known."""
        edge = self._edges.get(frame)
        return None if edge is None else edge.parent

    def clear(self) -> None:
        """Forget what is not static (the clock jumped back)."""
        self._edges = {frame: edge for frame, edge in self._edges.items() if edge.static}
        self.newest_ns = 0

    def add(self, message: Any, static: bool = False) -> list[str]:
        """Take in a `TFMessage`; what is no transform is left out and counted.

        Args:
            message: of rclpy or rosbags.
            static: it came on /tf_static.

        Returns:
            The child frames that it told something new of.
        """
        told: list[str] = []
        if not len(message.transforms):
            return told
        read = getter(message.transforms[0], *_FIELDS)
        for child, parent, sec, nanosec, *numbers in map(read, message.transforms):
            child, parent, pose = child.lstrip("/"), parent.lstrip("/"), _unit(*numbers)
            if pose is None or not child or not parent or child == parent:
                self.counters["tf_unusable"] += 1
                self.unusable[child] = _what_is_wrong(child, parent, numbers)
                continue
            self.unusable.pop(child, None)
            stamp_ns = int(sec) * NS + int(nanosec)
            if self.set(child, parent, pose, stamp_ns, static):
                told.append(child)
        return told

    def set(self, child: str, parent: str, pose: Pose, stamp_ns: int, static: bool = False) -> bool:
        """Take in one transform; False when it is known already. One much older than what is kept starts it anew."""
        edge = self._edges.get(child)
        if edge is None or edge.parent != parent or edge.static != static:
            if len(self._edges) >= _MANY:
                self._forget_gone()
            edge = self._edges[child] = _Edge(parent, static)
        if static:
            edge.stamps, edge.poses = [stamp_ns], [pose]
            return True
        self.newest_ns = max(self.newest_ns, stamp_ns)
        stamps = edge.stamps
        if not stamps or stamp_ns > stamps[-1]:
            stamps.append(stamp_ns)
            edge.poses.append(pose)
            # in pieces: taking one off the front each time would move all of them
            if len(stamps) > 64 and stamps[0] < stamp_ns - 2 * self._cache_ns:
                cut = bisect_left(stamps, stamp_ns - self._cache_ns)
                del stamps[:cut], edge.poses[:cut]
            return True
        if stamp_ns < stamps[-1] - self._cache_ns:  # the clock was set back: a bag starts again
            edge.stamps, edge.poses = [stamp_ns], [pose]
            return True
        at = bisect_left(stamps, stamp_ns)
        if stamps[at] == stamp_ns:
            return False
        stamps.insert(at, stamp_ns)
        edge.poses.insert(at, pose)
        return True

    def _forget_gone(self) -> None:
        """Frames of which nothing is told any more, such as the joints of people who left."""
        oldest_ns = self.newest_ns - _GONE_NS
        self._edges = {f: e for f, e in self._edges.items() if e.static or (e.stamps and e.stamps[-1] >= oldest_ns)}

    def _chain(self, frame: str) -> list[str]:
        chain = [frame]
        while (edge := self._edges.get(chain[-1])) is not None:
            chain.append(edge.parent)
            if len(chain) > _DEEPEST:
                raise TfError(
                    f"the transforms of {frame!r} are a loop: {' -> '.join(chain[:5])} ...",
                    False,
                    "give each frame one parent",
                )
        return chain

    def _path(self, target: str, source: str) -> tuple[list[str], list[str]]:
        """Frames from source, and from target, up to below their common ancestor."""
        if source == target:
            return [], []
        up, down = self._chain(source), self._chain(target)
        if up[-1] != down[-1]:
            raise self._not_connected(source, target, up, down)
        while up and down and up[-1] == down[-1]:
            up.pop()
            down.pop()
        return up, down

    def _not_connected(self, source: str, target: str, up: list[str], down: list[str]) -> TfError:
        line = f"{source!r} and {target!r} are not connected"
        wrong = [self.unusable[f] for f in (*up, *down) if f in self.unusable]
        if wrong:
            return TfError(
                f"{line}: {wrong[0]}", True, "have its publisher send numbers, with a quaternion of length 1"
            )
        unknown = [f for f in (source, target) if f not in self]
        what = f"{' and '.join(map(repr, unknown))} not heard" if unknown else "two separate trees"
        return TfError(f"{line}: {what}" + (f"; {self.note}" if self.note else ""), pending=True)

    def remark(self, target: str, source: str) -> str:
        """What is wrong with a way that is there: a frame of it sends transforms that are none; empty: nothing is."""
        if not self.unusable:
            return ""
        try:
            frames = [frame for part in self._path(target, source) for frame in part]
        except TfError:
            return ""  # the error of the lookup says it
        bad = next((f for f in frames if f in self.unusable), None)
        return "" if bad is None else f"{self.unusable[bad]}; the one before it is used"

    def pose_in_parent(self, frame: str, stamp_ns: int) -> Pose:
        """Pose of a frame in its parent.

        Raises:
            TfError: not known at that time.
        """
        edge = self._edges[frame]
        if edge.static:
            return edge.poses[0]
        stamps = edge.stamps
        at = bisect_left(stamps, stamp_ns)
        if at < len(stamps) and stamps[at] == stamp_ns:
            return edge.poses[at]
        if at == len(stamps):
            late_s = (stamp_ns - stamps[-1]) * 1e-9
            raise TfError(
                f"the newest transform of {frame!r} is {late_s:.3f} s older than the message",
                True,
                "publish it sooner, or set tf_timeout_s, how long a message waits for it, to more",
            )
        if at == 0:
            early_s = (stamps[0] - stamp_ns) * 1e-9
            raise TfError(
                f"the message is {early_s:.3f} s older than any transform of {frame!r}",
                False,
                "where that goes on after the start, see whether tracker and transforms have one clock (use_sim_time, "
                "stamp_source)",
            )
        share = (stamp_ns - stamps[at - 1]) / (stamps[at] - stamps[at - 1])
        return _between(edge.poses[at - 1], edge.poses[at], share)

    def lookup(self, target: str, source: str, stamp_ns: int) -> Pose:
        """Pose of `source` in `target` at a time.

        Raises:
            TfError: there is none; `pending` when it may still come.
        """
        up, down = self._path(target, source)
        to_common = IDENTITY
        for frame in up:
            to_common = multiply(self.pose_in_parent(frame, stamp_ns), to_common)
        to_target = IDENTITY
        for frame in down:
            to_target = multiply(self.pose_in_parent(frame, stamp_ns), to_target)
        return multiply(inverse(to_target), to_common) if down else to_common

    def newest_of(self, frame: str) -> int | None:
        """Newest stamp of a frame in its parent; None for a static or unknown one."""
        edge = self._edges.get(frame)
        return None if edge is None or edge.static else edge.stamps[-1]

    def edge(self, frame: str) -> _Edge | None:
        """A frame's poses by stamp (`static`, `stamps`, `poses`), for who reads many at one time."""
        return self._edges.get(frame)

    def latest_ns(self, target: str, source: str) -> int | None:
        """Newest time at which `source` is known in `target`; None when all between them is static.

        Raises:
            TfError: they are not connected.
        """
        up, down = self._path(target, source)
        known = [self.newest_of(f) for f in (*up, *down)]
        return min((n for n in known if n is not None), default=None)
