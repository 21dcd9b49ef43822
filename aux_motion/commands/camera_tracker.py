"""People in a video or camera as skeletons in metres (extra `tracker`: MediaPipe and OpenCV).

Reads pictures, asks MediaPipe for 33 landmarks a person, puts every person before the camera
(`camera.solve_body`) and follows them with ids. MediaPipe finds one person; further people are found by covering
those already found.
"""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from scipy.spatial.transform import Rotation

from aux_motion_core.camera.depth_filter import DepthFilter, ray_covariance
from aux_motion_core.camera.geometry import (
    TORSO,
    BodyPose,
    Detection,
    LevelFrame,
    feet_in_camera,
    median_direction,
    ray_rotation,
    solve_body,
    stature,
    up_direction,
)
from aux_motion_core.camera.intrinsics import Camera
from aux_motion_core.skeleton import N_JOINTS, JointStatus
from aux_motion_core.trackers.joint_maps import map_confidence, map_joints
from aux_motion_core.types import SkeletonFrame

#: Stature of MediaPipe's skeletons as `camera.stature` measures it: 1.5 to 1.65 m whoever is seen.
_MODEL_STATURE_M = 1.6
_INSTALL = "install the tracker: pip install 'aux_motion[tracker]' (Python 3.10 to 3.12)"


class TrackerError(ValueError):
    """Why nothing can be tracked, in one line: expected, came, what to do."""


def _opencv():
    try:
        import cv2
    except ImportError as error:
        raise TrackerError(f"OpenCV is not installed ({error}); {_INSTALL}") from None
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


class MediaPipe:
    """MediaPipe's pose landmarks of one or several people; use as a context manager.

    Args:
        people: at most so many; each costs one more run of the network a picture.
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
            raise TrackerError(f"MediaPipe is not installed ({error}); {_INSTALL}") from None
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
        typical = np.median([_MODEL_STATURE_M] * 10 + self.statures[-300:])
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


def estimate_level(
    camera: Camera,
    pictures: list[list[Detection]],
    person_height_m: float,
    up: np.ndarray | None = None,
    height_m: float | None = None,
) -> LevelFrame:
    """The level frame, from what is given and, for the rest, from the people that were seen.

    Up is the median of straight standing bodies; the camera's height is that above the lowest feet.

    Args:
        camera: intrinsics.
        pictures: detections of each picture.
        person_height_m: body height.
        up: (3,) direction in the camera frame, where it is known.
        height_m: of the camera above the floor, where it is known.

    Returns:
        Its `source` says what was given and what estimated.
    """
    seen = []
    for detection in (d for detections in pictures for d in detections):
        if detection.visibility[TORSO].mean() < 0.5 or not 0.8 <= stature(detection.world) <= 2.5:
            continue
        scale = person_height_m / _MODEL_STATURE_M
        pose = solve_body(camera, detection, scale)
        if pose is not None:
            seen.append((pose, detection, scale))
    said = []
    if up is None:
        upright = [u for u in (up_direction(pose, d) for pose, d, _ in seen) if u is not None]
        if len(upright) >= 5:
            up = median_direction(np.array(upright))
            said.append(f"up estimated from {len(upright)} views of a straight body")
        else:
            up = np.array([0.0, -1.0, 0.0])
            said.append("camera assumed level (nobody stood straight)")
    else:
        said.append("tilt given")
    level = LevelFrame.from_up(up)
    if height_m is None:
        feet = [
            level.to_level(feet_in_camera(pose, d, scale))[:, 2].min()
            for pose, d, scale in seen
            if d.visibility[27:33].min() >= 0.5
        ]
        if len(feet) >= 5:
            height_m = -float(np.percentile(feet, 10.0))
            said.append(f"height above the lowest feet estimated from {len(feet)} views")
        else:
            height_m = 0.0
            said.append("height unknown: z = 0 is the camera's height")
    else:
        said.append("height given")
    return LevelFrame.from_up(up, height_m, "; ".join(said))


#: Pictures that the level frame is estimated from: of a file (all, up to a minute) and in real time.
WARM_UP_FILE, WARM_UP_LIVE = 1800, 60


def track(
    video: Video,
    camera: Camera,
    settings: Settings,
    people: int = 1,
    up: np.ndarray | None = None,
    height_m: float | None = None,
    start_ns: int = 1_000_000_000,
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
        people: at most so many.
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

    def stamp(picture: Picture) -> int:
        if picture.captured_ns is not None:
            return picture.captured_ns
        return start_ns + round(picture.time_s * 1e9)

    empty = np.zeros((0, 0, 3), np.uint8)
    tracker: PeopleTracker | None = None
    warm_up: list[tuple[Picture, list[Detection]]] = []
    estimate = up is None or height_m is None
    limit = (WARM_UP_LIVE if video.real_time else WARM_UP_FILE) if estimate else 0
    count = found = 0

    def begin() -> PeopleTracker:
        level = estimate_level(camera, [d for _, d in warm_up], settings.person_height_m, up, height_m)
        pitch, roll = level.tilt_deg
        say(f"camera: pitch {pitch:.1f} deg down, roll {roll:.1f} deg, {level.height_m:.2f} m high ({level.source})")
        on_level(level)
        return PeopleTracker(camera, level, settings)

    with MediaPipe(people) as mediapipe:
        for picture in video.pictures():
            if seconds is not None and picture.time_s > seconds:
                break
            detections = mediapipe.detect(picture.image)
            count += 1
            found += bool(detections)
            if tracker is None and len(warm_up) < limit:
                if detections or not video.real_time:
                    warm_up.append((Picture(empty, picture.time_s, picture.captured_ns), detections))
                else:  # wait for somebody, and say that nobody is there
                    yield picture, nobody(stamp(picture), settings.frame_id)
                continue
            if tracker is None:
                tracker = begin()
                if not video.real_time:
                    for old, seen in warm_up:
                        yield old, tracker.update(seen, old.time_s, stamp(old))
                warm_up = []
            yield picture, tracker.update(detections, picture.time_s, stamp(picture))
    if found == 0:
        raise TrackerError(f"no person found in {count} pictures of {video.source}")
    if tracker is None:
        tracker = begin()
        if not video.real_time:
            for old, seen in warm_up:
                yield old, tracker.update(seen, old.time_s, stamp(old))
    left_out = ", ".join(f"{k} {v}" for k, v in sorted(tracker.counters.items()) if v)
    if left_out:
        say(f"repaired or left out: {left_out}")
