# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""One camera's geometry: from landmarks in the picture and a body-centred skeleton to metres in a level frame.

MediaPipe gives 33 landmarks twice: in the picture, and in metres around the middle of the hips, without the
root's translation. The translation comes from solving the perspective pose of the metric skeleton against the
picture (PnP). Its distance is in proportion to the body size that is assumed, so it is the uncertain direction,
and the covariance says so.

Camera frames here are optical: x right, y down, z along the view. The level frame (REP-103) has z up, x along
the horizontal part of the view and its origin on the floor below the camera.

OpenCV is imported only by the functions that need it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.spatial.transform import Rotation

from aux_motion_core.camera.intrinsics import Camera
from aux_motion_core.trackers.joint_maps import SOURCES

_MP = {name: i for i, name in enumerate(SOURCES["mediapipe33"])}
#: Landmarks that the pose is solved with: no eyes, mouth and fingers, which follow the face and the hand.
BODY = np.array(
    [_MP[n] for n in ("nose", "left_ear", "right_ear")]
    + [
        _MP[f"{side}_{joint}"]
        for joint in ("shoulder", "elbow", "wrist", "hip", "knee", "ankle", "heel", "toe")
        for side in ("left", "right")
    ]
)
_SHOULDERS = [_MP["left_shoulder"], _MP["right_shoulder"]]
_HIPS = [_MP["left_hip"], _MP["right_hip"]]
_KNEES = [_MP["left_knee"], _MP["right_knee"]]
_ANKLES = [_MP["left_ankle"], _MP["right_ankle"]]
_FEET = [_MP[f"{side}_{joint}"] for side in ("left", "right") for joint in ("heel", "toe")]
TORSO = np.array(_SHOULDERS + _HIPS)
# Thigh 0.245, shank 0.246 and hip to shoulder 0.288 of the stature (Drillis and Contini 1966; in D. A. Winter,
# Biomechanics and Motor Control of Human Movement, figure 4.1).
_SEGMENTS_OF_STATURE = 0.245 + 0.246 + 0.288


@dataclass(frozen=True)
class LevelFrame:
    """A level frame below a fixed camera.

    Attributes:
        rotation: (3, 3) from camera to level axes.
        height_m: of the camera above the origin.
        source: where tilt and height are from, for people to read.
    """

    rotation: np.ndarray
    height_m: float
    source: str = "given"

    @classmethod
    def from_up(cls, up: np.ndarray, height_m: float = 0.0, source: str = "given") -> LevelFrame:
        """From the direction of up, (3,) in the camera frame."""
        z = np.asarray(up, dtype=float) / np.linalg.norm(up)
        forward = np.array([0.0, 0.0, 1.0])
        x = forward - (forward @ z) * z
        if np.linalg.norm(x) < 1e-3:  # the camera looks straight up or down: up of the picture is forward
            x = np.array([0.0, -1.0, 0.0]) + z[1] * z
        x /= np.linalg.norm(x)
        return cls(np.stack([x, np.cross(z, x), z]), float(height_m), source)

    @classmethod
    def from_tilt(
        cls, pitch_deg: float, roll_deg: float = 0.0, height_m: float = 0.0, source: str = "given"
    ) -> LevelFrame:
        """From the camera's pitch (downwards positive) and roll (clockwise positive, seen from behind)."""
        pitch, roll = np.radians(pitch_deg), np.radians(roll_deg)
        up = np.array([-np.cos(pitch) * np.sin(roll), -np.cos(pitch) * np.cos(roll), -np.sin(pitch)])
        return cls.from_up(up, height_m, source)

    @property
    def tilt_deg(self) -> tuple[float, float]:
        """Pitch (downwards positive) and roll (clockwise positive) in degrees."""
        up = self.rotation[2]
        return float(np.degrees(np.arcsin(-up[2]))), float(np.degrees(np.arctan2(-up[0], -up[1])))

    def to_level(self, points: np.ndarray) -> np.ndarray:
        """Points (..., 3) of the camera frame in the level frame."""
        return np.asarray(points) @ self.rotation.T + (0.0, 0.0, self.height_m)

    def to_camera(self, points: np.ndarray) -> np.ndarray:
        """Points (..., 3) of the level frame in the camera frame."""
        return (np.asarray(points) - (0.0, 0.0, self.height_m)) @ self.rotation


@dataclass(frozen=True)
class Detection:
    """One person in one picture, as MediaPipe sees it.

    Attributes:
        pixels: (33, 2).
        world: (33, 3) metres around the middle of the hips, axes of the camera.
        visibility: (33,) in 0..1.
    """

    pixels: np.ndarray
    world: np.ndarray
    visibility: np.ndarray

    @property
    def height_px(self) -> float:
        """Extent of the body in the picture."""
        return float(np.ptp(self.pixels[BODY], axis=0).max())


def stature(world: np.ndarray) -> float:
    """Body height that a MediaPipe skeleton (33, 3) stands for, from thighs, shanks and torso, in metres."""
    thigh = np.linalg.norm(world[_HIPS] - world[_KNEES], axis=-1).mean()
    shank = np.linalg.norm(world[_KNEES] - world[_ANKLES], axis=-1).mean()
    torso = np.linalg.norm(world[_SHOULDERS].mean(axis=0) - world[_HIPS].mean(axis=0))
    return float((thigh + shank + torso) / _SEGMENTS_OF_STATURE)


def ray_rotation(ray: np.ndarray) -> np.ndarray:
    """(3, 3) rotation that turns the optical axis into a viewing ray (3,), the shortest way.

    A landmark model looks at a crop around the person, so its axes are those of a camera that looks at the
    person, not of the one that is there.
    """
    ray = np.asarray(ray, dtype=float) / np.linalg.norm(ray)
    axis = np.array([-ray[1], ray[0], 0.0])  # optical axis x ray
    sine = np.linalg.norm(axis)
    if sine < 1e-9:
        return np.eye(3)
    return Rotation.from_rotvec(axis / sine * np.arctan2(sine, ray[2])).as_matrix()


def translation(points: np.ndarray, rays: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Where rotated points must be moved so that they are on their rays, in the least-squares sense.

    Args:
        points: (n, 3) metres, axes of the camera.
        rays: (n, 2) picture coordinates at z = 1.
        weights: (n,).

    Returns:
        (3,) metres.
    """
    w = np.sqrt(np.asarray(weights, dtype=float))
    n = len(points)
    matrix, right = np.zeros((2, n, 3)), np.zeros((2, n))
    for axis in (0, 1):
        matrix[axis, :, axis] = w
        matrix[axis, :, 2] = -w * rays[:, axis]
        right[axis] = w * (rays[:, axis] * points[:, 2] - points[:, axis])
    return np.linalg.lstsq(matrix.reshape(-1, 3), right.reshape(-1), rcond=None)[0]


@dataclass(frozen=True)
class BodyPose:
    """Pose of one body before the camera, from one picture.

    Attributes:
        rotation: (3, 3) from the landmark model's axes to the camera's.
        translation: (3,) metres, the middle of the hips in the camera frame.
        rms_px: reprojection error.
        regular: False where PnP failed or was implausible and the rotation is that of the viewing ray.
    """

    rotation: np.ndarray
    translation: np.ndarray
    rms_px: float
    regular: bool


def _fit(camera: Camera, world: np.ndarray, rays: np.ndarray, weights: np.ndarray, rotation: np.ndarray):
    turned = world @ rotation.T
    moved = translation(turned, rays, weights)
    points = turned + moved
    if not np.isfinite(points).all() or moved[2] <= 0.0 or points[:, 2].min() <= 0.05:
        return moved, np.inf
    error = (points[:, :2] / points[:, 2:] - rays) * (camera.fx, camera.fy)
    return moved, float(np.sqrt((weights * (error**2).sum(axis=-1)).sum() / weights.sum()))


def solve_body(
    camera: Camera,
    detection: Detection,
    scale: float = 1.0,
    min_visibility: float = 0.5,
    max_turn_deg: float = 35.0,
) -> BodyPose | None:
    """Pose of a body by PnP on its well visible landmarks.

    Args:
        camera: intrinsics.
        detection: landmarks.
        scale: true size / size of the landmark model's skeleton.
        min_visibility: landmarks below are left out.
        max_turn_deg: a PnP rotation farther from that of the viewing ray is taken for a wrong solution.

    Returns:
        The pose, or None where too few landmarks are visible or nothing fits.
    """
    import cv2

    finite = np.isfinite(detection.pixels).all(axis=-1) & np.isfinite(detection.world).all(axis=-1)
    use = BODY[(finite & (detection.visibility >= min_visibility))[BODY]]
    if len(use) < 6 or not finite[TORSO].all():
        return None
    world = detection.world[use] * scale
    rays = camera.rays(detection.pixels[use])
    weights = detection.visibility[use] ** 2
    middle = camera.rays(detection.pixels[_HIPS].mean(axis=0))
    expected = ray_rotation(np.array([*middle, 1.0]))
    moved, rms_px = _fit(camera, world, rays, weights, expected)
    best = BodyPose(expected, moved, rms_px, False)
    try:
        ok, turn, moved = cv2.solvePnP(world, rays.copy(), np.eye(3), None, flags=cv2.SOLVEPNP_SQPNP)
        if ok:
            turn, moved = cv2.solvePnPRefineLM(world, rays.copy(), np.eye(3), None, turn, moved)
    except cv2.error:
        ok = False
    if ok and np.isfinite(turn).all() and np.isfinite(moved).all():
        rotation = Rotation.from_rotvec(turn.reshape(3)).as_matrix()
        away = np.degrees(Rotation.from_matrix(rotation @ expected.T).magnitude())
        moved, rms_px = _fit(camera, world, rays, weights, rotation)
        if away <= max_turn_deg and np.isfinite(rms_px):
            best = BodyPose(rotation, moved, rms_px, True)
    return best if np.isfinite(best.rms_px) else None


def up_direction(pose: BodyPose, detection: Detection) -> np.ndarray | None:
    """Up in the camera frame (3,) as a straight standing body shows it; None where it is not straight.

    Knees must be stretched and the torso in line with the legs.
    """
    world = detection.world
    if detection.visibility[[*_HIPS, *_KNEES, *_ANKLES, *_SHOULDERS]].min() < 0.5:
        return None
    legs = np.linalg.norm(world[_HIPS] - world[_KNEES], axis=-1) + np.linalg.norm(
        world[_KNEES] - world[_ANKLES], axis=-1
    )
    stretched = np.linalg.norm(world[_HIPS] - world[_ANKLES], axis=-1) / legs
    leg = world[_HIPS].mean(axis=0) - world[_ANKLES].mean(axis=0)
    torso = world[_SHOULDERS].mean(axis=0) - world[_HIPS].mean(axis=0)
    in_line = leg @ torso / (np.linalg.norm(leg) * np.linalg.norm(torso))
    if stretched.min() < 0.93 or in_line < np.cos(np.radians(20.0)):
        return None
    up = pose.rotation @ (world[_SHOULDERS].mean(axis=0) - world[_ANKLES].mean(axis=0))
    return up / np.linalg.norm(up)


def median_direction(directions: np.ndarray) -> np.ndarray:
    """Componentwise median of unit vectors (n, 3), normalised."""
    middle = np.median(np.asarray(directions), axis=0)
    return middle / np.linalg.norm(middle)


def feet_in_camera(pose: BodyPose, detection: Detection, scale: float) -> np.ndarray:
    """Heels and toes (4, 3) in the camera frame."""
    return detection.world[_FEET] * scale @ pose.rotation.T + pose.translation
