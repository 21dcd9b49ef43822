# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""People in a video or camera as skeletons in metres (extra `tracker`: MediaPipe and OpenCV).

Reads pictures (`video`), asks MediaPipe for 33 landmarks a person (`mediapipe_pose`), puts every person before the
camera and follows them with ids (`people_tracker`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator

import numpy as np

from aux_motion.commands.level_estimate import estimate_level
from aux_motion.commands.mediapipe_pose import MediaPipe
from aux_motion.commands.people_tracker import PeopleTracker, Settings, nobody
from aux_motion.commands.video import Picture, TrackerError, Video
from aux_motion_core.camera.geometry import Detection, LevelFrame
from aux_motion_core.camera.intrinsics import Camera
from aux_motion_core.constants import NS
from aux_motion_core.types import SkeletonFrame

#: Pictures that the level frame is estimated from: of a file (all, up to a minute) and in real time.
WARM_UP_FILE, WARM_UP_LIVE = 1800, 60


def track(
    video: Video,
    camera: Camera,
    settings: Settings,
    people: int = 1,
    up: np.ndarray | None = None,
    height_m: float | None = None,
    start_ns: int = NS,
    seconds: float | None = None,
    say: Callable[[str], None] = lambda line: None,
    on_level: Callable[[LevelFrame], None] = lambda level: None,
) -> Iterator[tuple[Picture, SkeletonFrame]]:
    """Skeletons of a video or camera, picture by picture.

    Where tilt or height are not given they are estimated first: from a file's first minute, which is then given
    out like the rest, or in real time from the first two seconds with people, which are not.

    Args:
        video: what to read.
        camera: intrinsics for its size.
        settings: see there.
        people: most people that are looked for.
        up: direction of up in the camera frame, (3,); None: estimate.
        height_m: of the camera above the floor; None: estimate.
        start_ns: added to a file's own times. Not 0: a stamp of 0 means "not set" in ROS.
        seconds: of the video at most; None: all of it.
        say: told what was assumed, estimated and left out, line by line.
        on_level: told the level frame.

    Yields:
        (picture without its image for those of the warm-up of a file, frame).

    Raises:
        TrackerError: nothing to read, or nobody in the whole video.
    """
    limit = (WARM_UP_LIVE if video.real_time else WARM_UP_FILE) if up is None or height_m is None else 0

    def begin(seen: list[list[Detection]]) -> PeopleTracker:
        level = estimate_level(camera, seen, settings.person_height_m, up, height_m)
        pitch, roll = level.tilt_deg
        say(f"camera: pitch {pitch:.1f} deg down, roll {roll:.1f} deg, {level.height_m:.2f} m high ({level.source})")
        on_level(level)
        return PeopleTracker(camera, level, settings)

    stream = _Stream(begin, limit, video.real_time, settings.frame_id, start_ns)
    count = found = 0
    with MediaPipe(people) as mediapipe:
        for picture in video.pictures():
            if seconds is not None and picture.time_s > seconds:
                break
            detections = mediapipe.detect(picture.image)
            count += 1
            found += bool(detections)
            yield from stream.take(picture, detections)
    if found == 0:
        raise TrackerError(f"no person found in {count} pictures of {video.source}")
    yield from stream.end()
    left_out = ", ".join(f"{k} {v}" for k, v in sorted(stream.counters.items()) if v)
    if left_out:
        say(f"repaired or left out: {left_out}")


class _Stream:
    """Pictures with detections -> frames, after a warm-up in which the level frame is estimated.

    Args:
        begin: makes the tracker from the detections of the warm-up.
        warm_up: length of the warm-up, pictures.
        real_time: pictures of the warm-up are dropped; otherwise they are tracked after it.
        frame_id: of the frames.
        start_ns: added to a file's own times.
    """

    def __init__(
        self,
        begin: Callable[[list[list[Detection]]], PeopleTracker],
        warm_up: int,
        real_time: bool,
        frame_id: str,
        start_ns: int,
    ) -> None:
        self._begin, self._limit, self._real_time = begin, warm_up, real_time
        self._frame_id, self._start_ns = frame_id, start_ns
        self._tracker: PeopleTracker | None = None
        self._warm_up: list[tuple[Picture, list[Detection]]] = []

    @property
    def counters(self) -> Counter[str]:
        """What was left out, and why."""
        return Counter() if self._tracker is None else self._tracker.counters

    def _stamp(self, picture: Picture) -> int:
        if picture.captured_ns is not None:
            return picture.captured_ns
        return self._start_ns + round(picture.time_s * 1e9)

    def take(self, picture: Picture, detections: list[Detection]) -> Iterator[tuple[Picture, SkeletonFrame]]:
        """Frames that a picture brings about."""
        if self._tracker is None and len(self._warm_up) < self._limit:
            if detections or not self._real_time:
                small = Picture(np.zeros((0, 0, 3), np.uint8), picture.time_s, picture.captured_ns)
                self._warm_up.append((small, detections))
            else:  # wait for somebody, and say that nobody is there
                yield picture, nobody(self._stamp(picture), self._frame_id)
            return
        yield from self.end()
        if self._tracker is not None:
            yield picture, self._tracker.update(detections, picture.time_s, self._stamp(picture))

    def end(self) -> Iterator[tuple[Picture, SkeletonFrame]]:
        """End the warm-up if it has not ended; yields the frames of its pictures."""
        if self._tracker is not None:
            return
        tracker = self._tracker = self._begin([detections for _, detections in self._warm_up])
        if not self._real_time:
            for picture, seen in self._warm_up:
                yield picture, tracker.update(seen, picture.time_s, self._stamp(picture))
        self._warm_up = []
