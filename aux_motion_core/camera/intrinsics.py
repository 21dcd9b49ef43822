# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""A pinhole camera: its intrinsics, read and checked."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np


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
        return Camera(width, height, self.fx * x, self.fy * y, self.cx * x, self.cy * y, self.distortion, self.source)

    def rays(self, pixels: np.ndarray) -> np.ndarray:
        """Undistorted picture coordinates (..., 2) at z = 1 of pixels (..., 2)."""
        pixels = np.asarray(pixels, dtype=float)
        if self.distortion:
            import cv2

            flat = cv2.undistortPoints(pixels.reshape(-1, 1, 2).copy(), self.matrix, np.array(self.distortion))
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
