# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""MediaPipe pose landmarks (BlazePose, 33).

World landmarks are metres around the middle of the hips: where the person is, is lost (mediapipe issues 2623, 4183). A
person who stays at the origin would be predicted to stand there, so landmarks are refused unless a root is given.
MediaPipe has no ROS message: `frames` takes a `geometry_msgs/PoseArray` of 33 poses per person in a real frame;
`frame` takes landmarks and the root. `aux-motion track` finds the root itself and publishes our own message.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from aux_motion_core.trackers.pose_array import PoseArray
from aux_motion_core.types import SkeletonFrame
from aux_motion_core.wire.messages import MessageError

_HIPS = [23, 24]
#: The middle of the hips nearer to the origin than this: root lost, metres.
_ROOT_LOST_M = 0.02
_LOST = (
    "the middle of the hips is the origin: MediaPipe's world landmarks do not tell where the person is; add the root's "
    "position, or use aux-motion track, which estimates it"
)


class MediaPipe(PoseArray):
    """People of MediaPipe.

    Args:
        visibility: landmarks that are less visible are missing.
    """

    name = "mediapipe"
    topic = "mediapipe/poses"
    default_joints = "mediapipe33"

    def __init__(self, joints: tuple[str, ...] = (), frame_id: str = "", visibility: float = 0.5) -> None:
        super().__init__(joints, frame_id)
        self._visibility = visibility

    def _check(self, positions: np.ndarray) -> None:
        if positions.shape[1] != 33:
            return
        middle = positions[:, _HIPS].mean(1)
        with np.errstate(invalid="ignore"):
            if (np.linalg.norm(middle, axis=-1) < _ROOT_LOST_M).any():
                raise MessageError(_LOST)

    def frame(
        self,
        stamp_ns: int,
        frame_id: str,
        people: Sequence[Any],
        roots: np.ndarray | None,
        rotation: np.ndarray | None = None,
        ids: Sequence[str] | None = None,
    ) -> SkeletonFrame:
        """A frame from MediaPipe's world landmarks.

        Args:
            stamp_ns: time of capture, nanoseconds.
            frame_id: frame of the roots.
            people: per person 33 landmarks with x, y, z in metres (camera axes: x right, y down, z forward) and
                visibility.
            roots: (people, 3) metres, the middle of the hips in `frame_id`.
            rotation: (3, 3) from the landmarks' axes to those of `frame_id`; None: they are the same.
            ids: of the people; None: given by nearness.

        Raises:
            MessageError: no roots, or not 33 landmarks.
        """
        if roots is None:
            raise MessageError(_LOST)
        roots = np.asarray(roots, np.float64).reshape(-1, 3)
        if len(roots) != len(people) or any(len(p) != 33 for p in people):
            raise MessageError(
                f"{len(people)} people with {sorted({len(p) for p in people})} landmarks and {len(roots)} roots: "
                "expected 33 landmarks and one root per person"
            )
        if not len(people):
            return self._nobody(stamp_ns, frame_id)
        values = np.array([[(k.x, k.y, k.z, getattr(k, "visibility", 1.0) or 0.0) for k in p] for p in people])
        positions, seen = values[..., :3], values[..., 3]
        if rotation is not None:
            positions = positions @ np.asarray(rotation, np.float64).T
        positions = positions + roots[:, None]
        positions[seen < self._visibility] = np.nan
        ids = self._numbers.assign(stamp_ns, positions) if ids is None else ids
        return self._frame(stamp_ns, frame_id, ids, positions, seen)
