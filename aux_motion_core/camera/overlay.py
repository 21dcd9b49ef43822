# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""Present and predicted skeletons drawn on the pictures of the video that they were tracked in (OpenCV)."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from aux_motion_core.camera.geometry import LevelFrame
from aux_motion_core.camera.intrinsics import Camera, CameraError, parse_intrinsics
from aux_motion_core.skeleton import BONES, INDEX

_PRESENT, _EDGE = (255, 255, 255), (60, 30, 0)  # BGR
_FUTURE = ((0, 200, 255), (0, 60, 230))  # soon, late
_SPINE, _PELVIS, _NECK = INDEX["spine"], INDEX["pelvis"], INDEX["neck"]


@dataclass(frozen=True)
class OverlayMoment:
    """What is drawn on one picture.

    Attributes:
        stamp_ns: of the bag, as the tracker wrote it.
        present: (20, 3) metres per person, NaN where missing.
        future: (steps, 20, 3) metres per person.
    """

    stamp_ns: int
    present: Mapping[str, np.ndarray]
    future: Mapping[str, np.ndarray] = field(default_factory=dict)


@dataclass(frozen=True)
class Scene:
    """Camera of a tracked video, from the file beside its bag (`<bag>.camera.json`).

    Attributes:
        camera: intrinsics.
        level: frame of the skeletons.
        start_stamp_ns: stamp of the video's time 0.
        video_name: file name of the video.
    """

    camera: Camera
    level: LevelFrame
    start_stamp_ns: int
    video_name: str

    @classmethod
    def load(cls, path: str | Path) -> Scene:
        """Read the file beside a bag.

        Raises:
            CameraError: not such a file.
        """
        path = Path(path)
        try:
            data = json.loads(path.read_text(encoding="utf-8"))
            camera = parse_intrinsics(data["intrinsics"], path.name, (0, 0))
            frame = data["level_from_camera"]
            rotation = np.array(frame["rotation"], dtype=float).reshape(3, 3)
            level = LevelFrame(rotation, float(frame["height_m"]), str(frame["source"]))
            video = data["video"]
            return cls(camera, level, int(video["start_stamp_ns"]), str(video["name"]))
        except CameraError:
            raise
        except (OSError, KeyError, TypeError, ValueError) as error:
            raise CameraError(
                f"{path} describes no camera ({type(error).__name__}: {error}): expected the .camera.json that "
                "aux-motion track writes beside a bag"
            ) from None

    @classmethod
    def beside(cls, bag: str | Path) -> Scene | None:
        """The scene of a bag, or None where no file lies beside it."""
        path = Path(bag).with_suffix(".camera.json")
        return cls.load(path) if path.is_file() else None


def bones(pose: np.ndarray) -> np.ndarray:
    """Pairs of joints (n, 2) to draw for a pose (20, 3): none that is missing, the torso also without spine."""
    pairs = list(BONES)
    if not np.isfinite(pose[_SPINE]).all():
        pairs.append((_PELVIS, _NECK))
    found = np.isfinite(pose).all(axis=-1)
    return np.array([p for p in pairs if found[list(p)].all()], dtype=int).reshape(-1, 2)


def draw(
    image: np.ndarray,
    scene: Scene,
    pose: np.ndarray,
    colour: tuple[int, int, int],
    thickness: int = 2,
    opacity: float = 1.0,
) -> None:
    """Draw one pose into a picture.

    Args:
        image: (height, width, 3) uint8 BGR, changed in place; of the video's size.
        scene: its camera.
        pose: (20, 3) metres in the frame of the bag, NaN where missing.
        colour: BGR.
        thickness: pixels.
        opacity: 0..1.
    """
    import cv2

    pixels = scene.camera.project(scene.level.to_camera(pose))
    limit = 4 * max(image.shape[:2])
    layer = image if opacity >= 1.0 else image.copy()
    for a, b in bones(np.where(np.isfinite(pixels).all(axis=-1)[:, None], pose, np.nan)):
        ends = pixels[[a, b]]
        if (np.abs(ends) < limit).all():
            (x0, y0), (x1, y1) = np.rint(ends).astype(int).tolist()
            cv2.line(layer, (x0, y0), (x1, y1), colour, thickness, cv2.LINE_AA)
    if layer is not image:
        cv2.addWeighted(layer, opacity, image, 1.0 - opacity, 0.0, dst=image)


def draw_moment(image: np.ndarray, scene: Scene, moment: OverlayMoment, drawn: int = 4) -> None:
    """Draw everybody of a moment: the future first (yellow is soon, red the last step), the present on top.

    Args:
        image: (height, width, 3) uint8 BGR, changed in place.
        scene: its camera.
        moment: who is where.
        drawn: steps of the future that are drawn.
    """
    for steps in moment.future.values():
        if not len(steps):
            continue
        for k in np.unique(np.linspace(len(steps) - 1, 0, drawn + 1)[:-1].astype(int))[::-1]:
            share = (k + 1) / len(steps)
            blue, green, red = (int(a + share * (b - a)) for a, b in zip(*_FUTURE, strict=True))
            draw(image, scene, np.asarray(steps[k]), (blue, green, red), 2, 0.85)
    for pose in moment.present.values():
        draw(image, scene, np.asarray(pose), _EDGE, 6)
        draw(image, scene, np.asarray(pose), _PRESENT, 3)


def picture(
    path: str | Path, video: str | Path, scene: Scene, moments: Sequence[OverlayMoment], columns: int = 2
) -> int:
    """A sheet of video pictures with skeletons.

    Args:
        path: image file to write.
        video: the video of the scene.
        scene: its camera.
        moments: by rising stamp, one picture each.
        columns: of the sheet.

    Returns:
        Number of pictures drawn.

    Raises:
        CameraError: the video cannot be read, is another one, or has no picture of these times.
    """
    try:
        import cv2
    except ImportError as error:
        raise CameraError(f"OpenCV is not installed ({error}): pip install opencv-python") from None
    capture = cv2.VideoCapture(str(video))
    try:
        size = int(capture.get(cv2.CAP_PROP_FRAME_WIDTH)), int(capture.get(cv2.CAP_PROP_FRAME_HEIGHT))
        if not capture.isOpened() or min(size) <= 0:
            raise CameraError(f"cannot read video {video}")
        if size != (scene.camera.width, scene.camera.height):
            raise CameraError(
                f"video {video} has {size[0]} x {size[1]} pixels: expected {scene.camera.width} x "
                f"{scene.camera.height}, the size of {scene.video_name}"
            )
        waiting = sorted(moments, key=lambda m: m.stamp_ns)
        sheets: list[np.ndarray] = []
        half_period_s = 0.5 / max(float(capture.get(cv2.CAP_PROP_FPS)), 1.0)
        while len(sheets) < len(waiting):
            ok, image = capture.read()
            if not ok:
                break
            time_s = 1e-3 * float(capture.get(cv2.CAP_PROP_POS_MSEC))
            moment = waiting[len(sheets)]
            wanted_s = 1e-9 * (moment.stamp_ns - scene.start_stamp_ns)
            if time_s < wanted_s - half_period_s:
                continue
            draw_moment(image, scene, moment)
            label = f"{wanted_s:.2f} s"
            cv2.putText(image, label, (20, 50), cv2.FONT_HERSHEY_SIMPLEX, 1.4, (0, 0, 0), 6, cv2.LINE_AA)
            cv2.putText(image, label, (20, 50), cv2.FONT_HERSHEY_SIMPLEX, 1.4, (255, 255, 255), 2, cv2.LINE_AA)
            scale = min(1.0, 960.0 / image.shape[1])
            sheets.append(cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA))
    finally:
        capture.release()
    if not sheets:
        raise CameraError(f"video {video} has no picture at the times asked for: is it {scene.video_name}?")
    while len(sheets) % columns:
        sheets.append(np.full_like(sheets[0], 255))
    rows = [np.hstack(sheets[i : i + columns]) for i in range(0, len(sheets), columns)]
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    if not cv2.imwrite(str(path), np.vstack(rows)):
        raise CameraError(f"cannot write {path}")
    return min(len(moments), len(sheets))
