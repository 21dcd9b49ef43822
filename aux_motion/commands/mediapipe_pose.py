# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""MediaPipe's pose landmarks as detections. It finds one person; more are found by covering those already found."""

from __future__ import annotations

import os

import numpy as np

from aux_motion.commands.video import INSTALL, TrackerError
from aux_motion_core.camera.geometry import Detection


class MediaPipe:
    """MediaPipe's pose landmarks of one or several people; use as a context manager.

    Args:
        people: largest number; each costs one more run of the network a picture.
        min_confidence: of detection and tracking, 0..1.

    Raises:
        TrackerError: MediaPipe is not installed.
    """

    def __init__(self, people: int = 1, min_confidence: float = 0.5) -> None:
        os.environ.setdefault("GLOG_minloglevel", "2")
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
        try:
            import mediapipe
        except ImportError as error:
            raise TrackerError(f"MediaPipe is not installed ({error}); {INSTALL}") from None
        import warnings

        warnings.filterwarnings("ignore", message=".*GetPrototype.*")
        self._networks = [
            mediapipe.solutions.pose.Pose(
                model_complexity=1,
                min_detection_confidence=min_confidence,
                min_tracking_confidence=min_confidence,
            )
            for _ in range(people)
        ]

    def __enter__(self) -> MediaPipe:
        return self

    def __exit__(self, *_: object) -> None:
        for network in self._networks:
            network.close()

    def detect(self, image: np.ndarray) -> list[Detection]:
        """People in a picture (height, width, 3) uint8 BGR."""
        rgb = np.ascontiguousarray(image[:, :, ::-1])
        height, width = rgb.shape[:2]
        cover = rgb.reshape(-1, 3)[:: max(1, width * height // 10_000)].mean(axis=0).astype(np.uint8)
        found = []
        for network in self._networks:
            result = network.process(rgb)
            if not result.pose_landmarks or not result.pose_world_landmarks:
                continue
            flat = np.array([[p.x, p.y, p.visibility] for p in result.pose_landmarks.landmark])
            world = np.array([[p.x, p.y, p.z] for p in result.pose_world_landmarks.landmark])
            if not (np.isfinite(flat).all() and np.isfinite(world).all()):
                continue
            pixels = flat[:, :2] * (width, height)
            found.append(Detection(pixels, world, np.clip(flat[:, 2], 0.0, 1.0)))
            low, high = pixels.min(axis=0), pixels.max(axis=0)
            margin = 0.15 * (high - low).max()
            x0, y0 = np.clip(low - margin, 0, (width, height)).astype(int)
            x1, y1 = np.clip(high + margin, 0, (width, height)).astype(int)
            rgb[y0:y1, x0:x1] = cover
        return found
