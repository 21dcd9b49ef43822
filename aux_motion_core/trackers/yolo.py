# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""yolo_ros with a pose model: `yolo_msgs/DetectionArray` on `yolo/detections_3d`.

Facts (mgonzs13/yolo_ros): key points are those seen in the image only, `id` is 1-based in COCO-17 order. Where the
depth image has a hole, the point lies exactly on the camera's origin, or where a shift by TF took that. `header` is the
camera's; the key points are in `keypoints3d.frame_id`. When its TF fails an empty array is published, which therefore
does not mean that nobody is there. The track's id is empty when tracking is off.
"""

from __future__ import annotations

import dataclasses
from itertools import chain
from typing import Any

import numpy as np

from aux_motion_core.fields import getter
from aux_motion_core.space.tf import TfError
from aux_motion_core.trackers.base import Adapter, Numbers
from aux_motion_core.types import SkeletonFrame
from aux_motion_core.wire.messages import MessageError, stamp_to_ns

_JOINTS = 17
#: So many empty arrays in a row are worth a line.
_EMPTY = 30
#: Two key points in one place are depth holes that TF shifted, or seen in one pixel: metres.
_SAME_M = 1e-6
#: Farther from all other joints of the body than any two neighbours are, that place is no joint: metres.
_OFF_BODY_M = 0.7
#: Nearer to the camera's origin is no joint but a hole: metres. TF may have been another at the time.
_ORIGIN_M = 0.05


class Yolo(Adapter):
    """People of yolo_ros.

    Args:
        class_name: detections of other classes are left out; empty: none are.
    """

    name = "yolo"
    msgtype = "yolo_msgs/msg/DetectionArray"
    earlier = ("yolov8_msgs/msg/DetectionArray",)
    topic = "yolo/detections_3d"
    install = "build https://github.com/mgonzs13/yolo_ros (package yolo_msgs) and source it"

    def __init__(self, joints: tuple[str, ...] = (), frame_id: str = "", class_name: str = "person") -> None:
        super().__init__(joints, frame_id)
        self._class_name = class_name
        self._numbers = Numbers("u")
        self._empty = 0
        self._origins: dict[str, np.ndarray] = {}  # of the camera, in the frame of the key points

    def reset(self) -> None:
        """Forget where people without an id were."""
        self._numbers.reset()
        self._empty = 0
        self._origins.clear()

    def frames(self, message: Any) -> list[SkeletonFrame]:
        """One frame per coordinate frame of the key points; none for an empty array, which may be a TF failure."""
        stamp_ns = stamp_to_ns(message.header.stamp)
        groups: dict[str, list[Any]] = {}
        unplaced: list[str] = []
        for detection in message.detections:
            if self._class_name and detection.class_name not in (self._class_name, ""):
                continue
            if detection.keypoints3d.data:
                groups.setdefault(str(detection.keypoints3d.frame_id), []).append(detection)
            else:
                self.counters["yolo_person_without_3d_keypoints"] += 1
                unplaced.append(str(detection.id) or f"?{len(unplaced)}")
        self._empty = 0 if groups or unplaced else self._empty + 1
        if unplaced and not groups:
            return [self._nobody(stamp_ns, str(message.header.frame_id), unplaced)]
        if not groups:
            self.counters["yolo_empty_array"] += 1
            return []
        if "" in groups and not self.frame_id:
            raise MessageError(
                "keypoints3d.frame_id is empty: expected the frame of the key points, the target_frame of yolo_ros"
            )
        camera = str(message.header.frame_id).lstrip("/")
        found = [self._people(stamp_ns, frame_id, camera, people) for frame_id, people in groups.items()]
        return [dataclasses.replace(found[0], unplaced=tuple(unplaced)), *found[1:]] if unplaced else found

    def _people(self, stamp_ns: int, frame_id: str, camera: str, people: list[Any]) -> SkeletonFrame:
        found = [detection.keypoints3d.data for detection in people]
        counts = [len(points) for points in found]
        read = getter(found[0][0], "id", "point.x", "point.y", "point.z", "score")
        flat = chain.from_iterable(map(read, chain.from_iterable(found)))
        rows = np.fromiter(flat, np.float64, 5 * sum(counts)).reshape(-1, 5)
        person, joint = np.repeat(np.arange(len(people)), counts), rows[:, 0].astype(np.int64) - 1
        wrong = (joint < 0) | (joint >= _JOINTS)
        if wrong.any():
            raise MessageError(
                f"key point id {int(joint[wrong][0]) + 1}: expected 1 to {_JOINTS} (COCO-17); use a pose model "
                "for people, such as yolov8m-pose.pt"
            )
        positions = np.full((len(people), _JOINTS, 3), np.nan)
        score = np.zeros((len(people), _JOINTS))
        positions[person, joint], score[person, joint] = rows[:, 1:4], rows[:, 4]
        # all-zero scores: a fork that does not fill them in
        score[~(score > 0.0).any(1)] = 1.0
        hole = self._holes(positions, self.frame_id or frame_id.lstrip("/"), camera)
        if hole.any():
            self.counters["yolo_joint_without_depth"] += int(hole.sum())
            positions[hole] = np.nan
        ids = [str(d.id) for d in people]
        nameless = [i for i, person_id in enumerate(ids) if not person_id]
        if nameless:
            self.counters["yolo_person_without_id"] += len(nameless)
            given = self._numbers.assign(stamp_ns, positions[nameless], [i for i in ids if i])
            for i, person_id in zip(nameless, given, strict=True):
                ids[i] = person_id
        return self._frame(stamp_ns, frame_id, ids, positions, score, "coco17")

    def _holes(self, positions: np.ndarray, frame_id: str, camera: str) -> np.ndarray:
        """(people, 17) bool: joints on the camera's origin.

        That is 0, 0, 0 in the camera's own frame. In another one it is where TF has the camera, or where two or more
        joints are in exactly one place away from their body, which is remembered: a fixed camera's later holes are
        there too. Two joints that are seen in one pixel are in one place as well, but on the body.
        """
        hole: np.ndarray = ~np.any(positions, axis=-1)
        flat = positions.reshape(-1, 3)
        order = np.argsort(flat[:, 0])  # two in one place are neighbours then
        double: np.ndarray = np.zeros(len(flat), bool)
        with np.errstate(invalid="ignore"):
            same = (np.abs(np.diff(flat[order], axis=0)) < _SAME_M).all(-1)
        if same.any():
            double[order[1:][same]] = double[order[:-1][same]] = True
        double = double.reshape(hole.shape)
        if double.any():
            double = self._off_body(positions, double, hole, frame_id)
        known = [self._origins[frame_id]] if frame_id in self._origins else []
        if self.tf is not None and camera and camera != frame_id:
            try:
                latest_ns = self.tf.latest_ns(frame_id, camera)
                known.append(np.array(self.tf.lookup(frame_id, camera, latest_ns or 0)[:3]))
            except TfError:
                pass  # it is said where the positions are transformed
        for origin in known:
            with np.errstate(over="ignore", invalid="ignore"):
                hole |= np.linalg.norm(positions - origin, axis=-1) < _ORIGIN_M
        return hole | double

    def _off_body(self, positions: np.ndarray, double: np.ndarray, hole: np.ndarray, frame_id: str) -> np.ndarray:
        """(people, 17) bool: the joints of `double` that are on no body; their place is remembered."""
        off = np.zeros_like(double)
        sure = np.zeros_like(double)
        for person in np.flatnonzero(double.any(1)):
            others = positions[person, ~double[person] & ~hole[person]]
            with np.errstate(over="ignore", invalid="ignore"):
                gap = np.linalg.norm(positions[person][:, None] - others, axis=-1)
            nearest = np.nanmin(gap, axis=1, initial=np.inf)
            off[person] = double[person] & (nearest > _OFF_BODY_M)
            sure[person] = off[person] & np.isfinite(nearest)
        seen = positions[double & ~off]  # one pixel of two people, who stand behind each other
        for place in positions[sure]:
            if not (np.abs(seen - place) < _SAME_M).all(-1).any():
                self._origins[frame_id] = place
                break
        return off

    def trouble(self) -> str:
        """Says that empty arrays may be a TF failure of yolo_ros."""
        if self._empty < _EMPTY:
            return ""
        return (
            f"the last {self._empty} arrays of yolo_ros are empty: nobody is seen, or its TF from the camera to its "
            "target_frame fails; nobody is taken for gone, see the log of its detect_3d node"
        )
