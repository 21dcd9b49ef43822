# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""Geometry of the camera tracker on synthetic projections."""

from __future__ import annotations

import importlib.util
import json

import numpy as np
import pytest
from scipy.spatial.transform import Rotation
from support.camera_helpers import standing

from aux_motion_core.camera.depth_filter import DepthFilter, ray_covariance
from aux_motion_core.camera.geometry import (
    Detection,
    LevelFrame,
    median_direction,
    ray_rotation,
    solve_body,
    stature,
    translation,
    up_direction,
)
from aux_motion_core.camera.intrinsics import Camera, CameraError, load_intrinsics

needs_opencv = pytest.mark.skipif(importlib.util.find_spec("cv2") is None, reason="OpenCV is not installed")
CAMERA = Camera(1280, 720, 900.0, 900.0, 640.0, 360.0)


def seen(world: np.ndarray, rotation: np.ndarray, moved: np.ndarray, camera: Camera = CAMERA) -> Detection:
    """What a perfect landmark model says of a body at a pose."""
    return Detection(camera.project(world @ rotation.T + moved), world, np.ones(33))


@needs_opencv
@pytest.mark.parametrize("where", [(0.0, 0.0, 3.0), (1.2, -0.3, 4.0), (-2.0, 0.5, 9.0)])
@pytest.mark.parametrize("turn_deg", [0.0, 8.0])
def test_pnp_recovers_the_root(where: tuple[float, float, float], turn_deg: float) -> None:
    world, moved = standing(), np.array(where)
    rotation = Rotation.from_euler("y", turn_deg, degrees=True).as_matrix() @ ray_rotation(moved)
    pose = solve_body(CAMERA, seen(world, rotation, moved))
    assert pose is not None and pose.regular
    np.testing.assert_allclose(pose.translation, moved, atol=2e-3)
    np.testing.assert_allclose(pose.rotation, rotation, atol=2e-3)
    assert pose.rms_px < 0.05


@needs_opencv
def test_pnp_through_distortion() -> None:
    camera = Camera(1280, 720, 900.0, 900.0, 640.0, 360.0, distortion=(-0.2, 0.05, 1e-3, -5e-4))
    moved = np.array([0.6, 0.2, 3.5])
    pose = solve_body(camera, seen(standing(), ray_rotation(moved), moved, camera))
    np.testing.assert_allclose(pose.translation, moved, atol=0.01)
    blind = solve_body(CAMERA, seen(standing(), ray_rotation(moved), moved, camera))
    assert np.linalg.norm(blind.translation - moved) > 0.02  # the distortion matters, so it was undone


@needs_opencv
@pytest.mark.parametrize("factor", [0.7, 1.15])
def test_distance_is_in_proportion_to_the_body(factor: float) -> None:
    moved = np.array([0.8, 0.1, 5.0])
    pose = solve_body(CAMERA, seen(standing(), ray_rotation(moved), moved), scale=factor)
    np.testing.assert_allclose(pose.translation, factor * moved, atol=5e-3)


@needs_opencv
def test_noisy_landmarks_keep_the_root_within_a_few_percent() -> None:
    rng = np.random.default_rng(0)
    moved = np.array([0.5, 0.2, 4.0])
    perfect = seen(standing(), ray_rotation(moved), moved)
    errors = []
    for _ in range(30):
        noisy = Detection(
            perfect.pixels + rng.normal(0.0, 3.0, (33, 2)),
            perfect.world + rng.normal(0.0, 0.02, (33, 3)),
            np.ones(33),
        )
        errors.append(solve_body(CAMERA, noisy).translation - moved)
    errors = np.array(errors)
    assert np.abs(errors[:, :2]).max() < 0.05  # across the ray
    assert np.abs(errors[:, 2]).max() < 0.3  # along it


@needs_opencv
def test_wild_rotations_fall_back_to_the_ray() -> None:
    moved = np.array([0.0, 0.0, 4.0])
    turned = Rotation.from_euler("y", 80.0, degrees=True).as_matrix()
    pose = solve_body(CAMERA, seen(standing(), turned, moved))
    assert pose is not None and not pose.regular
    np.testing.assert_allclose(pose.rotation, np.eye(3), atol=0.02)
    assert np.isfinite(pose.translation).all()


@needs_opencv
def test_too_few_landmarks_give_nothing() -> None:
    moved = np.array([0.0, 0.0, 4.0])
    perfect = seen(standing(), np.eye(3), moved)
    visibility = np.zeros(33)
    visibility[[11, 12, 23, 24, 25]] = 1.0
    assert solve_body(CAMERA, Detection(perfect.pixels, perfect.world, visibility)) is None
    broken = perfect.pixels.copy()
    broken[[11, 12, 23, 24]] = np.nan
    assert solve_body(CAMERA, Detection(broken, perfect.world, np.ones(33))) is None


def test_translation_is_exact_without_noise() -> None:
    points = np.random.default_rng(1).normal(size=(12, 3)) * 0.5
    moved = np.array([0.3, -0.2, 3.0])
    rays = (points + moved)[:, :2] / (points + moved)[:, 2:]
    np.testing.assert_allclose(translation(points, rays, np.ones(12)), moved, atol=1e-9)


def test_ray_rotation_turns_the_axis_into_the_ray() -> None:
    for ray in ([0.0, 0.0, 1.0], [0.3, -0.2, 1.0], [-1.0, 0.5, 0.4]):
        expected = np.array(ray) / np.linalg.norm(ray)
        np.testing.assert_allclose(ray_rotation(np.array(ray)) @ [0.0, 0.0, 1.0], expected, atol=1e-12)


def test_stature_of_the_standing_body() -> None:
    assert stature(standing()) == pytest.approx(1.70, abs=0.01)
    assert stature(0.5 * standing()) == pytest.approx(0.85, abs=0.005)


@needs_opencv
def test_up_from_a_standing_body() -> None:
    tilt = Rotation.from_euler("x", 12.0, degrees=True).as_matrix()
    detection = seen(standing(), tilt, np.array([0.0, 0.0, 4.0]))
    up = up_direction(solve_body(CAMERA, detection), detection)
    np.testing.assert_allclose(up, tilt @ [0.0, -1.0, 0.0], atol=0.01)
    bent = standing()
    bent[[27, 28, 29, 30, 31, 32]] += [0.0, -0.3, 0.35]
    detection = seen(bent, tilt, np.array([0.0, 0.0, 4.0]))
    assert up_direction(solve_body(CAMERA, detection), detection) is None
    np.testing.assert_allclose(median_direction(np.array([up, up, -up])), up)


@pytest.mark.parametrize(("pitch", "roll"), [(0.0, 0.0), (25.0, 0.0), (-10.0, 5.0), (60.0, -20.0)])
def test_level_frame(pitch: float, roll: float) -> None:
    level = LevelFrame.from_tilt(pitch, roll, height_m=1.5)
    np.testing.assert_allclose(level.rotation @ level.rotation.T, np.eye(3), atol=1e-12)
    assert np.linalg.det(level.rotation) == pytest.approx(1.0)
    np.testing.assert_allclose(level.tilt_deg, (pitch, roll), atol=1e-9)
    forward = level.rotation @ [0.0, 0.0, 1.0]  # the view, in the level frame
    np.testing.assert_allclose(forward, [np.cos(np.radians(pitch)), 0.0, -np.sin(np.radians(pitch))], atol=1e-9)
    np.testing.assert_allclose(level.to_level(np.zeros(3)), [0.0, 0.0, 1.5])
    points = np.random.default_rng(2).normal(size=(4, 20, 3))
    np.testing.assert_allclose(level.to_camera(level.to_level(points)), points, atol=1e-12)


def test_level_camera_has_rep103_axes() -> None:
    level = LevelFrame.from_tilt(0.0)
    right_down_away = np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]])
    expected = [[0.0, -1.0, 0.0], [0.0, 0.0, -1.0], [1.0, 0.0, 0.0]]
    np.testing.assert_allclose(level.to_level(right_down_away), expected, atol=1e-12)


def test_a_camera_that_looks_down_still_has_a_frame() -> None:
    level = LevelFrame.from_up(np.array([0.0, 0.0, -1.0]))
    assert np.isfinite(level.rotation).all()
    np.testing.assert_allclose(level.rotation @ [0.0, 0.0, 1.0], [0.0, 0.0, -1.0], atol=1e-12)


def test_depth_filter_follows_and_smooths() -> None:
    rng = np.random.default_rng(3)
    true = 4.0 + 1.2 * np.arange(150) / 30.0
    depth = DepthFilter()
    out = np.array([depth.update(d, 1.0 / 30.0)[0] for d in true * (1.0 + rng.normal(0.0, 0.03, 150))])
    assert np.abs(out[60:] / true[60:] - 1.0).max() < 0.04
    assert np.diff(out[60:]).std() * 30.0 < 1.0  # m/s; unfiltered: about 9
    assert depth.rejected == 0


def test_depth_filter_rejects_a_few_outliers_and_gives_up_after_many() -> None:
    depth = DepthFilter()
    for _ in range(60):
        depth.update(5.0, 1.0 / 30.0)
    for _ in range(3):
        assert depth.update(12.0, 1.0 / 30.0)[0] == pytest.approx(5.0, abs=0.05)
    assert depth.rejected == 3 and not depth.lost
    depth.update(5.0, 1.0 / 30.0)
    for _ in range(depth.patience):
        depth.update(12.0, 1.0 / 30.0)
    assert depth.lost


def test_depth_filter_knows_less_without_measurements() -> None:
    depth = DepthFilter()
    for _ in range(60):
        sure = depth.update(5.0, 1.0 / 30.0)[1]
    for _ in range(15):
        unsure = depth.update(None, 1.0 / 30.0)[1]
    assert unsure > 2.0 * sure


def test_covariance_is_long_along_the_ray() -> None:
    level = LevelFrame.from_tilt(20.0)
    point = np.array([1.0, -0.5, 6.0])
    xx, xy, xz, yy, yz, zz = ray_covariance(point[None], np.array([0.4]), np.array([0.02]), level.rotation)[0]
    matrix = np.array([[xx, xy, xz], [xy, yy, yz], [xz, yz, zz]])
    values, vectors = np.linalg.eigh(matrix)
    np.testing.assert_allclose(values, [0.02**2, 0.02**2, 0.4**2], rtol=1e-9)
    ray = level.rotation @ point / np.linalg.norm(point)
    assert abs(vectors[:, 2] @ ray) == pytest.approx(1.0)


def test_intrinsics_from_everything_people_have(tmp_path) -> None:
    given = load_intrinsics("900,910,640,360", (1280, 720))
    assert (given.fx, given.fy, given.cx, given.cy) == (900.0, 910.0, 640.0, 360.0)
    plain = tmp_path / "plain.json"
    plain.write_text(json.dumps({"fx": 900, "fy": 900, "cx": 640, "cy": 360, "width": 1280, "height": 720}))
    assert load_intrinsics(str(plain), (640, 360)).fx == 450.0  # scaled to the video
    ros = tmp_path / "ros.yaml"
    ros.write_text(
        "image_width: 1280\nimage_height: 720\ncamera_matrix: {rows: 3, cols: 3, "
        "data: [900, 0, 640, 0, 905, 360, 0, 0, 1]}\ndistortion_model: plumb_bob\n"
        "distortion_coefficients: {rows: 1, cols: 5, data: [-0.1, 0.02, 0, 0, 0]}\n"
    )
    camera = load_intrinsics(str(ros), (1280, 720))
    assert (camera.fy, camera.cy, camera.distortion) == (905.0, 360.0, (-0.1, 0.02, 0.0, 0.0, 0.0))
    assert Camera.from_fov(1280, 720, 90.0).fx == pytest.approx(640.0)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{}", "expected the keys fx, fy, cx, cy"),
        ("[1, 2]", "expected the keys fx, fy, cx, cy"),
        ('{"fx": "x", "fy": 1, "cx": 1, "cy": 1}', "expected the keys"),
        ('{"fx": 0, "fy": 1, "cx": 1, "cy": 1}', "fx and fy above 0"),
        ('{"fx": 9, "fy": 9, "cx": 5, "cy": 5, "width": 100, "height": 100}', "expected the same shape"),
        ("{", "neither YAML nor JSON"),
    ],
)
def test_bad_intrinsics_are_named(tmp_path, text: str, says: str) -> None:
    path = tmp_path / "camera.json"
    path.write_text(text)
    with pytest.raises(CameraError) as caught:
        load_intrinsics(str(path), (1280, 720))
    assert says in str(caught.value) and "\n" not in str(caught.value)


def test_missing_intrinsics_are_named() -> None:
    with pytest.raises(CameraError, match="cannot read intrinsics nowhere.yaml"):
        load_intrinsics("nowhere.yaml", (1280, 720))
    with pytest.raises(CameraError, match="expected 5 to 170"):
        Camera.from_fov(100, 100, 200.0)


def test_points_behind_the_camera_are_not_drawn() -> None:
    pixels = CAMERA.project(np.array([[0.0, 0.0, -1.0], [0.0, 0.0, 1.0]]))
    assert np.isnan(pixels[0]).all()
    np.testing.assert_allclose(pixels[1], [640.0, 360.0])
