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

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from scipy.spatial.transform import Rotation

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


class CameraError(ValueError):
    """A camera description that cannot be used, in one line: expected, came, what to do."""


@dataclass(frozen=True)
class Camera:
    """Intrinsics of a pinhole camera.

    Attributes:
        width: of the picture, pixels.
        height: of the picture, pixels.
        fx: focal length, pixels.
        fy: focal length, pixels.
        cx: principal point, pixels.
        cy: principal point, pixels.
        distortion: OpenCV's plumb-bob coefficients (k1, k2, p1, p2[, k3 ...]); empty: none.
        source: where the numbers are from, for people to read.
    """

    width: int
    height: int
    fx: float
    fy: float
    cx: float
    cy: float
    distortion: tuple[float, ...] = ()
    source: str = "given"

    def __post_init__(self) -> None:
        values = np.array([self.fx, self.fy, self.cx, self.cy, *self.distortion], dtype=float)
        if not np.isfinite(values).all() or self.fx <= 0.0 or self.fy <= 0.0:
            raise CameraError(
                f"camera with fx {self.fx}, fy {self.fy}, cx {self.cx}, cy {self.cy}: "
                "expected finite numbers in pixels, fx and fy above 0"
            )
        if self.width <= 0 or self.height <= 0:
            raise CameraError(f"picture of {self.width} x {self.height}: expected sizes above 0")

    @property
    def matrix(self) -> np.ndarray:
        """(3, 3) camera matrix."""
        return np.array([[self.fx, 0.0, self.cx], [0.0, self.fy, self.cy], [0.0, 0.0, 1.0]])

    @classmethod
    def from_fov(cls, width: int, height: int, fov_deg: float) -> Camera:
        """A camera with square pixels and its principal point in the middle.

        Args:
            width: pixels.
            height: pixels.
            fov_deg: horizontal field of view, degrees.
        """
        if not 5.0 <= fov_deg <= 170.0:
            raise CameraError(f"field of view {fov_deg} degrees: expected 5 to 170, across the picture's width")
        focal = 0.5 * width / np.tan(0.5 * np.radians(fov_deg))
        source = f"assumed from a horizontal field of view of {fov_deg:g} degrees"
        return cls(width, height, focal, focal, 0.5 * width, 0.5 * height, source=source)

    def scaled(self, width: int, height: int) -> Camera:
        """The same camera for pictures of another size and the same shape."""
        if (width, height) == (self.width, self.height):
            return self
        x, y = width / self.width, height / self.height
        if abs(x / y - 1.0) > 0.02:
            raise CameraError(
                f"intrinsics are for {self.width} x {self.height} pixels, the video has {width} x {height}: "
                "expected the same shape; calibrate at the video's size"
            )
        return Camera(
            width, height, self.fx * x, self.fy * y, self.cx * x, self.cy * y, self.distortion, self.source
        )

    def rays(self, pixels: np.ndarray) -> np.ndarray:
        """Undistorted picture coordinates (..., 2) at z = 1 of pixels (..., 2)."""
        pixels = np.asarray(pixels, dtype=float)
        if self.distortion:
            import cv2

            flat = cv2.undistortPoints(
                pixels.reshape(-1, 1, 2).copy(), self.matrix, np.array(self.distortion)
            )
            return flat.reshape(pixels.shape)
        return (pixels - (self.cx, self.cy)) / (self.fx, self.fy)

    def project(self, points: np.ndarray) -> np.ndarray:
        """Pixels (..., 2) of points (..., 3) in the camera frame; NaN behind the camera."""
        points = np.asarray(points, dtype=float)
        depth = np.where(points[..., 2:] > 1e-6, points[..., 2:], np.nan)
        xy = points[..., :2] / depth
        if self.distortion:
            k = np.zeros(5)
            k[: min(5, len(self.distortion))] = self.distortion[:5]
            x, y = xy[..., 0], xy[..., 1]
            r2 = x * x + y * y
            radial = 1.0 + r2 * (k[0] + r2 * (k[1] + r2 * k[4]))
            xy = np.stack(
                [
                    x * radial + 2.0 * k[2] * x * y + k[3] * (r2 + 2.0 * x * x),
                    y * radial + k[2] * (r2 + 2.0 * y * y) + 2.0 * k[3] * x * y,
                ],
                axis=-1,
            )
        return xy * (self.fx, self.fy) + (self.cx, self.cy)


def parse_intrinsics(data: Any, where: str, size: tuple[int, int]) -> Camera:
    """Intrinsics from plain data.

    Args:
        data: the keys fx, fy, cx, cy [, width, height, distortion], or those of ROS camera_calibration
            (camera_matrix.data, distortion_coefficients.data, image_width, image_height).
        where: named in errors.
        size: (width, height) where the data has none.

    Raises:
        CameraError: other keys or values.
    """
    try:
        if "camera_matrix" in data:
            k = data["camera_matrix"]["data"]
            numbers = [k[0], k[4], k[2], k[5]]
            distortion = data.get("distortion_coefficients", {}).get("data", [])
            model = data.get("distortion_model", "plumb_bob")
            if model not in ("plumb_bob", "rational_polynomial"):
                raise CameraError(f"{where}: distortion_model {model!r}: expected plumb_bob; rectify the video")
            size = data.get("image_width", size[0]), data.get("image_height", size[1])
        else:
            numbers = [data[key] for key in ("fx", "fy", "cx", "cy")]
            distortion = data.get("distortion", [])
            size = data.get("width", size[0]), data.get("height", size[1])
        fx, fy, cx, cy = (float(n) for n in numbers)
        distortion = tuple(float(d) for d in distortion)
        width, height = (int(n) for n in size)
    except CameraError:
        raise
    except (KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
        raise CameraError(
            f"{where}: no intrinsics ({type(error).__name__} {error}): expected the keys fx, fy, cx, cy or "
            "those of a ROS camera calibration"
        ) from None
    if len(distortion) > 5 and any(distortion[5:]):
        raise CameraError(f"{where}: {len(distortion)} distortion coefficients: expected 5 (plumb bob)")
    return Camera(width, height, fx, fy, cx, cy, distortion[:5] if any(distortion) else (), where)


def load_intrinsics(given: str, size: tuple[int, int]) -> Camera:
    """Intrinsics as a user gives them.

    Args:
        given: a YAML or JSON file (see `parse_intrinsics`), or "fx,fy,cx,cy" in pixels.
        size: (width, height) of the video; intrinsics of another size and the same shape are scaled.

    Raises:
        CameraError: no such file, or not intrinsics.
    """
    parts = given.split(",")
    if len(parts) == 4:
        try:
            data: Any = dict(zip(("fx", "fy", "cx", "cy"), map(float, parts), strict=True))
        except ValueError:
            raise CameraError(f"intrinsics {given!r}: expected fx,fy,cx,cy in pixels or a file") from None
        return parse_intrinsics(data, "given on the command line", size)
    path = Path(given)
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise CameraError(f"cannot read intrinsics {given}: {getattr(error, 'strerror', error)}") from None
    try:
        if path.suffix == ".json":
            data = json.loads(text)
        else:
            import yaml

            data = yaml.safe_load(text)
    except Exception as error:
        first = str(error).splitlines()[0]
        raise CameraError(f"intrinsics {given}: neither YAML nor JSON: {first}") from None
    if isinstance(data, dict) and "intrinsics" in data:  # the file beside a bag of this tracker
        data = data["intrinsics"]
    return parse_intrinsics(data, path.name, size).scaled(*size)


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


@dataclass
class DepthFilter:
    """Constant-velocity Kalman filter of the logarithm of a distance.

    PnP knows a person's direction to a few millimetres and its distance to a few percent, new each frame;
    what the body does between two frames is smaller than that.

    Attributes:
        relative_sd: of one measured distance. Measured are 3 %, but errors last several frames, which a filter
            for independent errors must be told as a larger one.
        acceleration_mps2: one sigma of what people do.
        gate_sigma: a measurement farther from the expected one is taken for an outlier.
        patience: after so many outliers in a row the filter is lost.
        rejected: outliers so far.
    """

    relative_sd: float = 0.06
    acceleration_mps2: float = 2.0
    gate_sigma: float = 3.0
    patience: int = 8
    rejected: int = 0
    _state: np.ndarray | None = None
    _covariance: np.ndarray = field(default_factory=lambda: np.eye(2))
    _in_a_row: int = 0

    def update(self, distance: float | None, dt_s: float, looseness: float = 1.0) -> tuple[float, float]:
        """One step.

        Args:
            distance: measured, metres; None: nothing measured.
            dt_s: since the last step, seconds.
            looseness: factor on `relative_sd` of this measurement.

        Returns:
            Distance in metres and its relative standard deviation.
        """
        variance = (self.relative_sd * looseness) ** 2
        if self._state is None:
            if distance is None:
                raise ValueError("a depth filter starts with a measured distance")
            self._start(distance, variance)
        else:
            dt = float(np.clip(dt_s, 1e-4, 1.0))
            step = np.array([[1.0, dt], [0.0, 1.0]])
            push = np.array([0.5 * dt * dt, dt]) * self.acceleration_mps2 / np.exp(self._state[0])
            self._state = step @ self._state
            self._covariance = step @ self._covariance @ step.T + np.outer(push, push)
            if distance is not None:
                self._measure(distance, variance)
        return float(np.exp(self._state[0])), float(np.sqrt(self._covariance[0, 0]))

    @property
    def lost(self) -> bool:
        """Whether the measurements have left the filter for good: start a new one."""
        return self._in_a_row >= self.patience

    def _start(self, distance: float, variance: float) -> None:
        self._state = np.array([np.log(distance), 0.0])
        self._covariance = np.diag([variance, (1.0 / distance) ** 2])

    def _measure(self, distance: float, variance: float) -> None:
        innovation = np.log(distance) - self._state[0]
        spread = self._covariance[0, 0] + variance
        if innovation**2 > self.gate_sigma**2 * spread:
            self.rejected += 1
            self._in_a_row += 1
            return
        self._in_a_row = 0
        gain = self._covariance[:, 0] / spread
        self._state = self._state + gain * innovation
        self._covariance = self._covariance - np.outer(gain, self._covariance[0])


def ray_covariance(
    points: np.ndarray, along_m: np.ndarray, across_m: np.ndarray, rotation: np.ndarray
) -> np.ndarray:
    """Covariance of points that are known across their viewing rays better than along them.

    Args:
        points: (..., 3) metres in the camera frame.
        along_m: (...) one sigma along the ray.
        across_m: (...) one sigma across it.
        rotation: (3, 3) from the camera's to the output's axes.

    Returns:
        (..., 6) m^2: xx, xy, xz, yy, yz, zz in output axes.
    """
    ray = points / np.linalg.norm(points, axis=-1, keepdims=True) @ rotation.T
    along, across = np.asarray(along_m)[..., None] ** 2, np.asarray(across_m)[..., None] ** 2
    i, j = np.triu_indices(3)
    return across * np.eye(3)[i, j] + (along - across) * ray[..., i] * ray[..., j]
