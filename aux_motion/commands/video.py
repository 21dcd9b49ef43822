# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""Pictures of a video file or a camera (OpenCV)."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

INSTALL = "install the tracker: pip install 'aux_motion[tracker]' (Python 3.10 to 3.12)"


class TrackerError(ValueError):
    """Why nothing can be tracked, in one line: expected, came, what to do."""


def _opencv():
    try:
        import cv2
    except ImportError as error:
        raise TrackerError(f"OpenCV is not installed ({error}); {INSTALL}") from None
    return cv2


@dataclass(frozen=True)
class Picture:
    """A picture and when it was taken.

    Attributes:
        image: (height, width, 3) uint8 BGR.
        time_s: since the start of the video, or of the capture.
        captured_ns: system clock at capture, in real time; None for a file that is read as fast as it goes.
    """

    image: np.ndarray
    time_s: float
    captured_ns: int | None = None


class Video:
    """A video file or a camera.

    Args:
        source: a file, or the number of a camera ("0").
        paced: give a file's pictures out at their own times, as a camera would; those that nobody took in time
            are skipped.

    Attributes:
        live: it is a camera.
        real_time: pictures come at their times, from a camera or paced.

    Raises:
        TrackerError: no such file, no video, no such camera.
    """

    def __init__(self, source: str, paced: bool = False) -> None:
        cv2 = _opencv()
        self.source = source
        self.live = source.isdigit() and not Path(source).exists()
        self.real_time = self.live or paced
        if not self.live:
            path = Path(source)
            if not path.is_file():
                raise TrackerError(f"no such video: {source}; give a video file or the number of a camera, as 0")
            if path.stat().st_size == 0:
                raise TrackerError(f"video {source} is empty (0 bytes)")
        self._capture = cv2.VideoCapture(int(source) if self.live else str(source))
        if not self._capture.isOpened():
            what = f"camera {source}" if self.live else f"video {source}"
            hint = "is it connected and free?" if self.live else "expected what OpenCV reads, such as .mp4 or .avi"
            raise TrackerError(f"cannot open {what}: {hint}")
        self.fps = float(self._capture.get(cv2.CAP_PROP_FPS) or 0.0)
        self.size = (
            int(self._capture.get(cv2.CAP_PROP_FRAME_WIDTH)),
            int(self._capture.get(cv2.CAP_PROP_FRAME_HEIGHT)),
        )
        self.frames = 0 if self.live else max(0, int(self._capture.get(cv2.CAP_PROP_FRAME_COUNT)))
        if min(self.size) <= 0:
            self.close()
            raise TrackerError(f"video {source} has no pictures ({self.size[0]} x {self.size[1]} pixels)")

    def pictures(self) -> Iterator[Picture]:
        """All pictures, with times that always grow.

        Yields:
            Pictures; a file's times are its own (its frame rate where it has none).

        Raises:
            TrackerError: not one picture can be read.
        """
        cv2 = _opencv()
        period = 1.0 / self.fps if np.isfinite(self.fps) and 1.0 <= self.fps <= 1000.0 else 1.0 / 30.0
        index, last_s, start_ns = 0, -np.inf, 0
        while self._capture.grab():
            now_ns = time.time_ns()
            if self.live:
                start_ns = start_ns or now_ns
                time_s = (now_ns - start_ns) * 1e-9
            else:
                own_s = 1e-3 * float(self._capture.get(cv2.CAP_PROP_POS_MSEC))
                time_s = own_s if np.isfinite(own_s) and (own_s > 0.0 or index == 0) else index * period
            if time_s <= last_s:
                time_s = last_s + period
            last_s = time_s
            index += 1
            if self.real_time and not self.live:
                start_ns = start_ns or now_ns - round(time_s * 1e9)
                late_s = (now_ns - start_ns) * 1e-9 - time_s
                if late_s > period:
                    continue
                time.sleep(max(0.0, -late_s))
            ok, image = self._capture.retrieve()
            if not ok or image is None:
                continue
            if image.ndim == 2:
                image = cv2.cvtColor(image, cv2.COLOR_GRAY2BGR)
            yield Picture(image, time_s, start_ns + round(time_s * 1e9) if self.real_time else None)
        if index == 0:
            raise TrackerError(f"no picture can be read from {self.source}: damaged, or a codec OpenCV lacks?")

    def close(self) -> None:
        """Give the file or camera back."""
        self._capture.release()
