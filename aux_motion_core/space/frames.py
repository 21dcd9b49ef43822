# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""Bring skeletons to the fixed frame: none needed, by a given static transform, or by TF at their stamp.

A frame whose transform is not there yet waits in a queue (`FrameQueue`); nothing here blocks.
"""

from __future__ import annotations

import dataclasses
from collections import Counter, deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from aux_motion_core.space.tf import TfBuffer, TfError, matrix, unit_pose
from aux_motion_core.types import SkeletonFrame

#: Where xx, xy, xz, yy, yz, zz stand in a 3x3 matrix.
_UPPER = np.triu_indices(3)
_IDENTITY = (0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0)


class FrameError(ValueError):
    """A frame that cannot be brought to the fixed frame, in one line with the remedy.

    Attributes:
        pending: its transform may still come.
    """

    def __init__(self, line: str, pending: bool = False) -> None:
        super().__init__(line)
        self.pending = pending


def rotation_matrix(quaternion: Any) -> np.ndarray:
    """(3, 3) rotation of a quaternion x, y, z, w of any length but 0."""
    q = np.asarray(quaternion, np.float64)
    return matrix((0.0, 0.0, 0.0, *(q / np.linalg.norm(q))))[0]


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


def static_transforms(lines: Iterable[str]) -> dict[str, tuple[float, ...]]:
    """Frames and their poses in the fixed frame, from lines such as "camera 1 0 2 0 0 0 1".

    Raises:
        FrameError: a line that is no frame and seven numbers, or a frame twice.
    """
    found: dict[str, tuple[float, ...]] = {}
    for line in lines:
        name, *rest = line.replace(",", " ").split() or [""]
        try:
            numbers = tuple(float(v) for v in rest)
        except ValueError:
            numbers = ()
        pose = unit_pose(numbers) if len(numbers) == 7 else None
        length = float(np.linalg.norm(numbers[3:])) if pose else 0.0
        if pose is None or abs(length - 1.0) > 1e-3:
            raise FrameError(
                f"static transform {line!r}: expected a frame, x y z in metres and a quaternion x y z w of length 1"
            )
        if name.lstrip("/") in found:
            raise FrameError(f"static transform of {name!r} is given twice")
        found[name.lstrip("/")] = pose
    return found


class Frames:
    """Brings skeleton frames to `fixed_frame`.

    Args:
        fixed_frame: where everything goes.
        static_frame: frame that `static_transform` brings there; empty: none.
        static_transform: x, y, z metres, quaternion x, y, z, w: pose of `static_frame` in `fixed_frame`.
        more: further frames and their poses.
        tf: transforms by time; None: there are none.
        no_tf: why there are none, and what to do, for the error.
    """

    def __init__(
        self,
        fixed_frame: str,
        static_frame: str = "",
        static_transform: Sequence[float] = _IDENTITY,
        more: dict[str, tuple[float, ...]] | None = None,
        tf: TfBuffer | None = None,
        no_tf: str = "no TF here",
    ) -> None:
        self.fixed_frame = fixed_frame.lstrip("/")
        poses = dict(more or {})
        if static_frame:
            poses[static_frame.lstrip("/")] = tuple(static_transform)
        self._static = {
            frame: (rotation_matrix(pose[3:]), np.asarray(pose[:3], np.float64)) for frame, pose in poses.items()
        }
        self.tf, self.no_tf = tf, no_tf

    def needs_tf(self, frame_id: str) -> bool:
        """Whether only TF can bring that frame to the fixed one."""
        source = frame_id.lstrip("/")
        return bool(source) and source != self.fixed_frame and source not in self._static

    def remark(self, frame_id: str) -> str:
        """What is wrong with the transforms that bring a frame here, though they do; empty: nothing is."""
        if self.tf is None or not self.needs_tf(frame_id):
            return ""
        return self.tf.remark(self.fixed_frame, frame_id.lstrip("/"))

    def to_fixed(self, frame: SkeletonFrame) -> SkeletonFrame:
        """`frame` with positions and covariance in the fixed frame.

        Raises:
            FrameError: it cannot be brought there; `pending` when its transform may still come.
        """
        source = frame.frame_id.lstrip("/")
        if source == self.fixed_frame:
            return frame if source == frame.frame_id else dataclasses.replace(frame, frame_id=source)
        if not source:
            raise FrameError(
                "the message has an empty header.frame_id: the tracker must name the frame of its positions, "
                f"the fixed frame is {self.fixed_frame!r}; or set input_frames"
            )
        if source in self._static:
            rotation, translation = self._static[source]
        elif self.tf is None:
            raise FrameError(
                f"frame {source!r} is not the fixed frame {self.fixed_frame!r} and there is no TF ({self.no_tf}): "
                f"provide it, or set static_transform_frame to {source!r} and static_transform to its pose"
            )
        else:
            try:
                rotation, translation = matrix(self.tf.lookup(self.fixed_frame, source, frame.stamp_ns))
            except TfError as error:
                raise FrameError(
                    f"no transform from {source!r} to the fixed frame {self.fixed_frame!r} at "
                    f"{frame.stamp_ns * 1e-9:.3f} s ({error}): {error.remedy}",
                    error.pending,
                ) from None
        return transform_frame(frame, rotation, translation, self.fixed_frame)


@dataclass(frozen=True)
class Ready:
    """A frame that left the queue.

    Attributes:
        source: which input it came from.
        received_ns: as it was pushed with.
        frame: in the fixed frame; None when it could not be brought there.
        error: why it could not.
    """

    source: int
    received_ns: int
    frame: SkeletonFrame | None
    error: FrameError | None = None


@dataclass
class _Waiting:
    frame: SkeletonFrame
    received_ns: int
    since_ns: int
    waited: bool = False


class FrameQueue:
    """Frames on their way to the fixed frame, in order per source; those whose transform is not there yet wait.

    Args:
        frames: brings them there.
        limit: most that wait per source; beyond it the oldest are given up.

    Attributes:
        counters: tf_waited, tf_timeout, tf_queue_full.
    """

    def __init__(self, frames: Frames, limit: int = 64) -> None:
        self.frames, self._limit = frames, limit
        self.counters: Counter[str] = Counter()
        self._waiting: dict[int, deque[_Waiting]] = {}

    def __len__(self) -> int:
        return sum(map(len, self._waiting.values()))

    def push(self, source: int, frame: SkeletonFrame, received_ns: int, now_ns: int) -> None:
        """Put a frame in; `drain` gives it back.

        Args:
            source: order is kept per source.
            received_ns: goes with it.
            now_ns: on the clock that waiting is measured by (steady live, the log's in a bag).
        """
        self._waiting.setdefault(source, deque()).append(_Waiting(frame, received_ns, now_ns))

    def drain(self, now_ns: int, timeout_ns: int) -> list[Ready]:
        """What can go on now, and what waited too long.

        Args:
            now_ns: on the clock of `push`.
            timeout_ns: how long a frame waits for a transform that is not there yet.
        """
        out: list[Ready] = []
        for source, queue in self._waiting.items():
            while queue:
                head = queue[0]
                try:
                    done = Ready(source, head.received_ns, self.frames.to_fixed(head.frame))
                except FrameError as error:
                    full = len(queue) > self._limit
                    if error.pending and now_ns - head.since_ns < timeout_ns and not full:
                        self.counters["tf_waited"] += not head.waited
                        head.waited = True
                        break
                    if error.pending:
                        self.counters["tf_queue_full" if full else "tf_timeout"] += 1
                        waited_s = (now_ns - head.since_ns) * 1e-9
                        limit = f"{self._limit} messages wait" if full else f"tf_timeout_s {timeout_ns * 1e-9:g}"
                        error = FrameError(f"waited {waited_s:.3f} s ({limit}); {error}", pending=True)
                    done = Ready(source, head.received_ns, None, error)
                queue.popleft()
                out.append(done)
        return out

    def clear(self) -> None:
        """Forget what waits (the clock jumped back)."""
        self._waiting.clear()
