# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""Detections of one picture after the other as people with ids, in metres."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

import numpy as np
from scipy.spatial.transform import Rotation

from aux_motion_core.camera.depth_filter import DepthFilter, ray_covariance
from aux_motion_core.camera.geometry import (
    TORSO,
    BodyPose,
    Detection,
    LevelFrame,
    ray_rotation,
    solve_body,
    stature,
)
from aux_motion_core.camera.intrinsics import Camera
from aux_motion_core.skeleton import N_JOINTS, JointStatus
from aux_motion_core.trackers.joint_maps import map_confidence, map_joints
from aux_motion_core.types import SkeletonFrame

#: Stature of MediaPipe's skeletons as `camera.stature` measures it: 1.5 to 1.65 m whoever is seen.
MODEL_STATURE_M = 1.6


@dataclass
class Settings:
    """What the tracker is told.

    Attributes:
        person_height_m: body height that distances follow from.
        height_known: False: it is an assumption, and distances are that much less certain.
        min_visibility: joints below are MISSING.
        sure_visibility: joints below are TRACKER_PREDICTED.
        frame_id: of the output.
        pixel_sd: of a landmark, in parts of the body's height in the picture.
    """

    person_height_m: float = 1.7
    height_known: bool = False
    min_visibility: float = 0.3
    sure_visibility: float = 0.65
    frame_id: str = "camera_floor"
    pixel_sd: float = 0.015

    @property
    def size_sd(self) -> float:
        """Relative standard deviation of the body size: adults of unknown height, or what remains."""
        return 0.03 if self.height_known else 0.06


@dataclass
class _Person:
    person_id: str
    last_s: float
    middle: np.ndarray  # of the hips, pixels
    velocity: np.ndarray  # pixels/s
    height_px: float
    statures: list[float] = field(default_factory=list)
    settling: list[float] = field(default_factory=list)  # distances while the landmarks still find the body
    depth: DepthFilter | None = None
    turn: Rotation | None = None

    def scale(self, person_height_m: float) -> float:
        """True size / size of the skeleton, steady from the start."""
        typical = np.median([MODEL_STATURE_M] * 10 + self.statures[-300:])
        return person_height_m / float(typical)


class PeopleTracker:
    """Detections of one picture after the other -> skeleton frames.

    Args:
        camera: intrinsics.
        level: the output frame.
        settings: see there.

    Attributes:
        counters: what was left out, and why.
    """

    SETTLE = 5  # pictures in a row with one distance before a new person is believed
    SETTLED = 0.05  # relative spread of these distances
    SETTLE_AT_MOST = 20  # pictures
    PAUSE_S = 0.12  # missed for longer: the landmarks start anew
    FORGET_S = 0.5  # an id is not used again after
    GOOD_FIT = 0.025  # reprojection error in parts of the body's height in the picture
    MAX_STEP = 0.35  # of the body's height in the picture, plus SPEED
    SPEED = 6.0  # body heights a second
    TURN_S = 0.1  # time constant of the rotation's smoothing

    def __init__(self, camera: Camera, level: LevelFrame, settings: Settings | None = None) -> None:
        self.camera, self.level, self.settings = camera, level, settings or Settings()
        self.counters: Counter[str] = Counter()
        self._people: list[_Person] = []
        self._names = 0
        self._picture_s = -np.inf  # time of the last picture

    def _assign(self, detections: list[Detection], time_s: float) -> list[tuple[_Person, Detection]]:
        self._people = [p for p in self._people if time_s - p.last_s <= self.FORGET_S]
        middles = [d.pixels[TORSO].mean(axis=0) for d in detections]
        candidates = []
        for i, person in enumerate(self._people):
            gap = time_s - person.last_s
            for k, detection in enumerate(detections):
                expected = person.middle + person.velocity * min(gap, 0.2)
                away = np.linalg.norm(middles[k] - expected) / max(person.height_px, detection.height_px)
                if away <= self.MAX_STEP + self.SPEED * max(0.0, gap - 0.05):
                    candidates.append((away, i, k))
        pairs: dict[int, int] = {}
        for _, i, k in sorted(candidates):
            if i not in pairs.values() and k not in pairs:
                pairs[k] = i
        out = []
        for k, detection in enumerate(detections):
            if k in pairs:
                person = self._people[pairs[k]]
                gap = max(time_s - person.last_s, 1e-3)
                velocity = (middles[k] - person.middle) / gap
                person.velocity += 0.4 * (velocity - person.velocity)
                person.middle, person.last_s = middles[k], time_s
                person.height_px += 0.1 * (detection.height_px - person.height_px)
            else:
                person = _Person("", time_s, middles[k], np.zeros(2), detection.height_px)
                self._people.append(person)
            out.append((person, detection))
        return out

    def _pose(
        self, person: _Person, detection: Detection, gap_s: float, missed: bool
    ) -> tuple[BodyPose, float, float] | None:
        """Filtered pose, scale, and relative deviation of the distance; None while it is not sure."""
        size = stature(detection.world)
        if not 0.8 <= size <= 2.5:
            self.counters["implausible_body"] += 1
            return None
        person.statures.append(size)
        scale = person.scale(self.settings.person_height_m)
        pose = solve_body(self.camera, detection, scale)
        if pose is None or pose.rms_px > 0.15 * detection.height_px:
            self.counters["no_pose"] += 1
            return None
        self.counters["pose_from_ray"] += not pose.regular
        expected = Rotation.from_matrix(ray_rotation(pose.translation))
        turn = expected.inv() * Rotation.from_matrix(pose.rotation)
        if person.turn is None:
            person.turn = turn
        else:
            share = 1.0 - np.exp(-gap_s / self.TURN_S)
            person.turn = person.turn * Rotation.from_rotvec(share * (person.turn.inv() * turn).as_rotvec())
        distance = float(np.linalg.norm(pose.translation))
        if missed and gap_s > self.PAUSE_S:
            person.depth, person.settling = None, []
        if person.depth is None:
            person.settling.append(distance)
            last = np.array(person.settling[-self.SETTLE :])
            steady = len(last) == self.SETTLE and np.ptp(last) <= 2.0 * self.SETTLED * np.median(last)
            if not steady and len(person.settling) < self.SETTLE_AT_MOST:
                self.counters["settling"] += 1
                return None
            person.depth = DepthFilter()
            distance_f, deviation = person.depth.update(float(np.median(last)), gap_s)
        else:
            before = person.depth.rejected
            loose = max(1.0, pose.rms_px / detection.height_px / self.GOOD_FIT, 2.0 * (not pose.regular))
            distance_f, deviation = person.depth.update(distance, gap_s, loose)
            self.counters["distance_outliers"] += person.depth.rejected - before
            if person.depth.lost:
                person.depth, person.settling = None, []
                return None
        moved = pose.translation * (distance_f / distance)
        rotation = (expected * person.turn).as_matrix()
        return BodyPose(rotation, moved, pose.rms_px, pose.regular), scale, deviation

    def update(self, detections: list[Detection], time_s: float, stamp_ns: int) -> SkeletonFrame:
        """People of one picture.

        Args:
            detections: of that picture.
            time_s: when it was taken; must grow.
            stamp_ns: stamp of the frame that comes out.

        Returns:
            All confirmed people, possibly none.
        """
        s = self.settings
        good = [d for d in detections if d.visibility[TORSO].mean() >= 0.5 and d.height_px >= 20.0]
        self.counters["torso_not_visible"] += len(detections) - len(good)
        last = {id(p): p.last_s for p in self._people}
        ids, positions, status, confidence, covariance = [], [], [], [], []
        for person, detection in self._assign(good, time_s):
            before_s = last.get(id(person), time_s)
            solved = self._pose(person, detection, time_s - before_s, before_s < self._picture_s)
            if solved is None:
                continue
            if not person.person_id:
                self._names += 1
                person.person_id = f"person_{self._names}"
            pose, scale, deviation = solved
            world = np.where(np.isfinite(detection.world), detection.world, np.nan)
            points = world * scale @ pose.rotation.T + pose.translation
            joints, kind = map_joints("mediapipe33", points, detection.visibility >= s.min_visibility)
            sure = map_confidence(
                "mediapipe33", np.where(detection.visibility >= s.min_visibility, detection.visibility, 0.0)
            )
            pixels = self.camera.project(joints)
            inside = ((pixels >= 0.0) & (pixels <= (self.camera.width, self.camera.height))).all(axis=-1)
            guessed = (kind != JointStatus.MISSING) & ((sure < s.sure_visibility) | ~inside)
            kind = np.where(guessed, JointStatus.TRACKER_PREDICTED, kind).astype(np.uint8)
            distance = np.linalg.norm(joints, axis=-1)
            relative = np.hypot(deviation, s.size_sd)
            local = 0.04 * s.person_height_m * np.where(guessed, 2.0, 1.0)  # landmark model's own depth
            spread_px = max(s.pixel_sd * detection.height_px, pose.rms_px)
            across = distance * spread_px / self.camera.fx * np.where(guessed, 2.0, 1.0)
            along = np.sqrt((relative * distance) ** 2 + local**2)
            ids.append(person.person_id)
            positions.append(self.level.to_level(joints))
            status.append(kind)
            confidence.append(sure)
            covariance.append(ray_covariance(joints, along, across, self.level.rotation))
        self._picture_s = time_s
        people = len(ids)
        return SkeletonFrame(
            stamp_ns=stamp_ns,
            frame_id=s.frame_id,
            person_ids=tuple(ids),
            positions=np.array(positions).reshape(people, N_JOINTS, 3),
            status=np.array(status, np.uint8).reshape(people, N_JOINTS),
            confidence=np.array(confidence, np.float32).reshape(people, N_JOINTS),
            covariance=np.array(covariance, np.float32).reshape(people, N_JOINTS, 6),
        )


def nobody(stamp_ns: int, frame_id: str) -> SkeletonFrame:
    """A frame that says that nobody is seen."""
    return SkeletonFrame(
        stamp_ns=stamp_ns,
        frame_id=frame_id,
        person_ids=(),
        positions=np.zeros((0, N_JOINTS, 3)),
        status=np.zeros((0, N_JOINTS), np.uint8),
        confidence=np.zeros((0, N_JOINTS), np.float32),
        covariance=np.zeros((0, N_JOINTS, 6), np.float32),
    )
