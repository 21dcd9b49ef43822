# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""Skeletons on the pictures of a video."""

from __future__ import annotations

import json

import numpy as np
import pytest

from aux_motion_core.camera.geometry import LevelFrame
from aux_motion_core.camera.intrinsics import Camera, CameraError
from aux_motion_core.camera.overlay import OverlayMoment, Scene, bones, draw, draw_moment, picture
from aux_motion_core.skeleton import INDEX, JOINTS

SCENE = Scene(Camera.from_fov(320, 240, 60.0), LevelFrame.from_tilt(10.0, height_m=1.5), 1_000_000_000, "a.avi")


def standing(x: float = 4.0) -> np.ndarray:
    """A crude body20 (20, 3) before the camera, without a spine."""
    height = {"pelvis": 1.0, "neck": 1.5, "head": 1.7, "shoulder": 1.45, "elbow": 1.2, "wrist": 1.0, "hand": 0.9}
    height |= {"hip": 0.95, "knee": 0.5, "ankle": 0.1, "foot": 0.05, "spine": np.nan}
    side = {"left": 0.25, "right": -0.25}
    return np.array([[x, side.get(j.split("_")[0], 0.0), height[j.split("_")[-1]]] for j in JOINTS])


def record() -> dict:
    """What lies beside a bag."""
    c = SCENE.camera
    return {
        "intrinsics": {k: getattr(c, k) for k in ("width", "height", "fx", "fy", "cx", "cy")},
        "level_from_camera": {"rotation": SCENE.level.rotation.tolist(), "height_m": 1.5, "source": "given"},
        "video": {"name": "a.avi", "fps": 10.0, "start_stamp_ns": 1_000_000_000},
    }


def test_missing_joints_are_not_drawn() -> None:
    pose = standing()
    pairs = {tuple(p) for p in bones(pose)}
    assert (INDEX["pelvis"], INDEX["neck"]) in pairs
    assert not any(INDEX["spine"] in p for p in pairs)
    pose[INDEX["left_knee"]] = np.nan
    assert not any(INDEX["left_knee"] in p for p in bones(pose))
    assert bones(np.full((20, 3), np.nan)).shape == (0, 2)


def test_lines_are_where_the_body_is() -> None:
    pytest.importorskip("cv2", reason="OpenCV is not installed")
    image = np.zeros((240, 320, 3), np.uint8)
    draw(image, SCENE, standing(), (255, 255, 255), 1)
    rows, columns = np.nonzero(image.any(axis=-1))
    pixels = SCENE.camera.project(SCENE.level.to_camera(standing()))
    low, high = np.nanmin(pixels, axis=0), np.nanmax(pixels, axis=0)
    np.testing.assert_allclose([columns.min(), rows.min()], low, atol=2.0)
    np.testing.assert_allclose([columns.max(), rows.max()], high, atol=2.0)


def test_nothing_behind_the_camera_or_missing_fails() -> None:
    pytest.importorskip("cv2", reason="OpenCV is not installed")
    image = np.zeros((240, 320, 3), np.uint8)
    nothing = np.full((20, 3), np.nan)
    draw_moment(image, SCENE, OverlayMoment(0, {"a": nothing, "b": standing(-3.0)}, {"a": np.zeros((0, 20, 3))}))
    assert not image.any()


def test_picture_of_a_video(tmp_path) -> None:
    cv2 = pytest.importorskip("cv2", reason="OpenCV is not installed")
    video = tmp_path / "a.avi"
    writer = cv2.VideoWriter(str(video), cv2.VideoWriter_fourcc(*"MJPG"), 10.0, (320, 240))
    if not writer.isOpened():
        pytest.skip("this OpenCV writes no video")
    for k in range(20):
        writer.write(np.full((240, 320, 3), 10 * k, np.uint8))
    writer.release()
    beside = tmp_path / "bag.camera.json"
    beside.write_text(json.dumps(record()))
    scene = Scene.beside(tmp_path / "bag.mcap")
    future = {"p": np.stack([standing(4.0 + 0.1 * k) for k in range(25)])}
    moments = [OverlayMoment(1_000_000_000 + int(t * 1e9), {"p": standing()}, future) for t in (0.5, 1.2, 1.9)]
    out = tmp_path / "sheet.png"
    assert picture(out, video, scene, moments) == 3
    sheet = cv2.imread(str(out))
    assert sheet.shape == (480, 640, 3)
    corners = [sheet[230, 310], sheet[230, 630], sheet[470, 310]]  # pictures 5, 12 and 19
    np.testing.assert_allclose(np.array(corners).mean(axis=-1), [50.0, 120.0, 190.0], atol=4.0)
    with pytest.raises(CameraError, match="no picture at the times"):
        picture(out, video, scene, [OverlayMoment(99_000_000_000, {})])
    other = Scene(Camera.from_fov(640, 480, 60.0), SCENE.level, 0, "b.avi")
    with pytest.raises(CameraError, match="320 x 240 pixels: expected 640 x 480"):
        picture(out, video, other, moments)
    with pytest.raises(CameraError, match="cannot read video"):
        picture(out, tmp_path / "none.avi", scene, moments)


def test_scene_beside_a_bag(tmp_path) -> None:
    assert Scene.beside(tmp_path / "bag.mcap") is None
    path = tmp_path / "bag.camera.json"
    path.write_text(json.dumps(record()))
    scene = Scene.beside(tmp_path / "bag.mcap")
    np.testing.assert_allclose(scene.level.rotation, SCENE.level.rotation)
    assert (scene.start_stamp_ns, scene.video_name) == (1_000_000_000, "a.avi")
    for broken in ("{", "{}", '{"intrinsics": {"fx": 1}}'):
        path.write_text(broken)
        with pytest.raises(CameraError) as caught:
            Scene.load(path)
        assert "\n" not in str(caught.value)
