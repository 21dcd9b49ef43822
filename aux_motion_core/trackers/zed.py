# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""Stereolabs ZED body tracking: `zed_msgs/ObjectsStamped` on `<camera>/body_trk/skeletons`.

Facts (zed_msgs 5.3, zed-ros2-wrapper): `label_id` is the track's id. The 70 key point slots are filled up to the body
format's 18, 34 or 38, the rest is zero; a joint that was not seen is NaN. State SEARCHING is the tracker's own guess.
While `prediction_timeout_s` (0.5 by default) runs, a body that is not seen any more keeps the state OK: such coasting
shows only in its motion, which is too even to be measured. Positions are in the left camera's frame, z up only as far
as the camera is level.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from aux_motion_core.fields import getter
from aux_motion_core.trackers.base import Adapter, Numbers
from aux_motion_core.trackers.zed_bytes import ZedBody, read
from aux_motion_core.types import SkeletonFrame
from aux_motion_core.wire.messages import MessageError, stamp_to_ns

_OFF, _SEARCHING, _TERMINATE = 0, 2, 3
#: body_format -> joint list; order and count as the SDK's.
_FORMATS = {0: ("openpose18", 18), 1: ("zed34", 34), 2: ("zed38", 38)}
_SLOTS = 38
#: A body's shape, or its joints' velocities, changed by less than any camera measures: metres.
_EVEN_M = 2e-4
#: So many joints at least tell it.
_EVEN_JOINTS = 6
#: Longer between two messages tells nothing, nanoseconds.
_GAP_NS = 500_000_000


class Zed(Adapter):
    """Bodies of a ZED camera.

    Args:
        flag_coasting: mark bodies whose motion is too even to be measured as TRACKER_PREDICTED.
    """

    name = "zed"
    msgtype = "zed_msgs/msg/ObjectsStamped"
    earlier = ("zed_interfaces/msg/ObjectsStamped",)
    topic = "zed/zed_node/body_trk/skeletons"
    takes_bytes = True
    install = (
        "apt install ros-$ROS_DISTRO-zed-msgs, or build https://github.com/stereolabs/zed-ros2-interfaces and source it"
    )

    def __init__(self, joints: tuple[str, ...] = (), frame_id: str = "", flag_coasting: bool = True) -> None:
        super().__init__(joints, frame_id)
        self._flag_coasting = flag_coasting
        self._numbers = Numbers("u")
        self.reset()

    def reset(self) -> None:
        """Forget the bodies' motion."""
        self._numbers.reset()
        self._stamp_ns: int | None = None
        self._dt_ns = 0
        self._rows: dict[str, int] = {}
        self._last = np.empty((0, _SLOTS, 3))
        self._step = np.empty((0, _SLOTS, 3))

    def frames(self, message: Any) -> list[SkeletonFrame]:
        """One frame per body format, in practice one."""
        stamp_ns, frame_id = stamp_to_ns(message.header.stamp), str(message.header.frame_id)
        return self._frames(stamp_ns, frame_id, message.objects)

    def frames_of_bytes(self, data: bytes) -> list[SkeletonFrame] | None:
        """As `frames`, of a serialised message; None where it is of a version that is not known here.

        Raises:
            MessageError: as `frames`.
        """
        found = read(data)
        if found is None:
            return None
        sec, nanosec, frame_id, bodies = found
        return self._frames(sec * 1_000_000_000 + nanosec, frame_id, bodies)

    def _frames(self, stamp_ns: int, frame_id: str, objects: list[Any]) -> list[SkeletonFrame]:
        bodies: list[Any] = []
        unplaced = []
        for row, body in enumerate(objects):
            name = str(body.label_id) if body.tracking_available and body.label_id >= 0 else f"?{row}"
            if not body.skeleton_available:
                self.counters["zed_object_without_skeleton"] += 1
                unplaced.append(name)
            elif body.tracking_state == _OFF and body.tracking_available:
                self.counters["zed_body_off"] += 1
                unplaced.append(name)
            else:
                bodies.append(body)
        if not bodies:
            return [self._nobody(stamp_ns, frame_id, unplaced)]
        formats = [int(b.body_format) for b in bodies]
        for number in formats:
            if number not in _FORMATS:
                raise MessageError(
                    f"body_format {number} is unknown: expected 0 (BODY_18), 1 (BODY_34) or 2 (BODY_38); "
                    "set body_tracking.body_format of the ZED node"
                )
        out = []
        kept = np.full((len(bodies), _SLOTS, 3), np.nan)
        for number in set(formats):
            joints, count = _FORMATS[number]
            rows = [i for i, f in enumerate(formats) if f == number]
            if isinstance(bodies[0], ZedBody):
                positions = np.stack([bodies[i].points[:count] for i in rows]).astype(np.float64)
            else:
                slots = [slot for i in rows for slot in bodies[i].skeleton_3d.keypoints[:count]]
                flat = list(map(getter(slots[0], "kp"), slots))
                positions = np.concatenate(flat).astype(np.float64).reshape(len(rows), count, 3)
            positions[~positions.any(-1)] = np.nan  # a slot that was never written
            kept[rows, :count] = positions
            out.append((rows, joints, positions))
        ids = self._ids(stamp_ns, bodies, kept)
        guessed = np.array([b.tracking_state in (_SEARCHING, _TERMINATE) for b in bodies])
        if self._flag_coasting and self.still_is_frozen:
            even = self._coasting(stamp_ns, ids, kept) & ~guessed
            if even.any():
                self.counters["zed_coasting"] += int(even.sum())
            guessed |= even
        return [
            self._frame(
                stamp_ns,
                frame_id,
                [ids[i] for i in rows],
                positions,
                self._confidence(bodies, rows, positions.shape[1]),
                joints,
                guessed[rows],
                unplaced if first else (),
            )
            for first, (rows, joints, positions) in zip([True] + [False] * len(out), out, strict=False)
        ]

    def _ids(self, stamp_ns: int, bodies: list[Any], positions: np.ndarray) -> list[str]:
        """The tracker's ids; numbers by nearness where its tracking is off."""
        ids = [str(b.label_id) if b.tracking_available and b.label_id >= 0 else "" for b in bodies]
        without = [i for i, person_id in enumerate(ids) if not person_id]
        if without:
            self.counters["zed_body_without_id"] += len(without)
            given = self._numbers.assign(stamp_ns, positions[without], [i for i in ids if i])
            for i, person_id in zip(without, given, strict=True):
                ids[i] = person_id
        return ids

    @staticmethod
    def _confidence(bodies: list[Any], rows: list[int], count: int) -> np.ndarray:
        """(rows, count): of the key points where the messages have it (newer than 5.3), else the body's, 1 to 99."""
        each = np.array([[bodies[i].confidence] for i in rows], np.float64)
        if getattr(bodies[0], "skeleton_keypoint_confidence", None) is not None:
            told = np.array([np.asarray(bodies[i].skeleton_keypoint_confidence)[:count] for i in rows], np.float64)
            each = np.where(np.nan_to_num(told).any(1, keepdims=True), told, each)
        # NaN positions tell what is missing; a body that tells no confidence is there all the same
        each = np.where(np.isfinite(each) & (each > 0.0), each, 100.0 if each.shape[1] == 1 else 0.0)
        return np.broadcast_to(each * 0.01, (len(rows), count))

    def _coasting(self, stamp_ns: int, ids: list[str], positions: np.ndarray) -> np.ndarray:
        """(people,) bool: bodies that moved as a rigid thing (also not at all), or each joint perfectly evenly."""
        even = np.zeros(len(ids), bool)
        before = np.array([self._rows.get(i, -1) for i in ids])
        dt_ns = 0 if self._stamp_ns is None else stamp_ns - self._stamp_ns
        known = before >= 0
        step = np.full_like(positions, np.nan)
        if 0 < dt_ns <= _GAP_NS and known.any():
            now, last = positions[known], self._last[before[known]]
            step[known] = now - last
            both = np.isfinite(step[known]).all(-1)
            # a rigid motion, of the body or of the camera, keeps every joint's distance to the middle
            grown = np.abs(_to_the_middle(now, both) - _to_the_middle(last, both))
            rigid = (both.sum(1) >= _EVEN_JOINTS) & (grown * both <= _EVEN_M).all(1)
            change = np.abs(step[known] - self._step[before[known]] * (dt_ns / max(self._dt_ns, 1))).max(-1)
            with np.errstate(invalid="ignore"):
                carried = (np.isfinite(change).sum(1) >= _EVEN_JOINTS) & ~(change > _EVEN_M).any(1)
            even[known] = rigid | carried
        if dt_ns != 0 or self._stamp_ns is None:
            self._stamp_ns, self._dt_ns = stamp_ns, dt_ns
            self._rows = {i: row for row, i in enumerate(ids)}
            self._last, self._step = positions, step
        return even


def _to_the_middle(positions: np.ndarray, use: np.ndarray) -> np.ndarray:
    """(people, joints) distance to the mean of the joints in use; 0 for the others."""
    clean = np.where(use[..., None], positions, 0.0)
    middle = clean.sum(1) / np.maximum(use.sum(1), 1)[:, None]
    return np.sqrt(((clean - middle[:, None]) ** 2).sum(-1)) * use
