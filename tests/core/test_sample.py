# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""The sample bag: readable, finite where seen, upright, and moving as people do."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from aux_motion_core.bags.reader import read_skeletons
from aux_motion_core.camera.overlay import Scene
from aux_motion_core.skeleton import INDEX, JointStatus
from aux_motion_core.types import SkeletonFrame

BAG = Path(__file__).resolve().parents[2] / "samples" / "sports2d_demo.mcap"


@pytest.fixture(scope="module")
def frames() -> list[SkeletonFrame]:
    return [frame for _, frame in read_skeletons(BAG)]


def person(frames: list[SkeletonFrame], name: str) -> tuple[np.ndarray, np.ndarray]:
    """Times (n,) in seconds and positions (n, 20, 3) of one person."""
    own = [(f.stamp_ns, f.positions[f.person_ids.index(name)]) for f in frames if name in f.person_ids]
    return np.array([t for t, _ in own]) * 1e-9, np.array([p for _, p in own])


def test_it_is_small_and_has_its_licence() -> None:
    assert BAG.stat().st_size < 2_000_000
    licence = (BAG.parent / "LICENSE.sports2d").read_text(encoding="utf-8")
    assert "BSD 3-Clause" in licence and "Copyright" in licence
    assert "sports2d" in (BAG.parent / "README.md").read_text(encoding="utf-8")


def test_stamps_are_those_of_the_video(frames: list[SkeletonFrame]) -> None:
    stamps = np.array([f.stamp_ns for f in frames])
    assert len(frames) == 230 and stamps[0] == 1_000_000_000
    np.testing.assert_allclose(np.diff(stamps) * 1e-9, 1.0 / 30.0, atol=2e-3)
    assert {f.frame_id for f in frames} == {"camera_floor"}
    assert sum(bool(f.person_ids) for f in frames) > 180


def test_joints_are_finite_or_missing(frames: list[SkeletonFrame]) -> None:
    for f in (f for f in frames if f.person_ids):
        seen = f.status != JointStatus.MISSING
        assert np.isfinite(f.positions[seen]).all()
        assert (f.confidence[seen] > 0.0).all() and (f.confidence[~seen] == 0.0).all()
        assert np.isfinite(f.covariance[seen]).all()
        assert (f.covariance[seen][:, [0, 3, 5]] > 0.0).all()
        assert (f.status[:, INDEX["spine"]] == JointStatus.MISSING).all()  # MediaPipe has none


def test_the_walker_walks(frames: list[SkeletonFrame]) -> None:
    time_s, positions = person(frames, "person_2")
    pelvis = positions[:, INDEX["pelvis"]]
    assert time_s[-1] - time_s[0] > 4.0
    speed = np.linalg.norm(pelvis[-1, :2] - pelvis[0, :2]) / (time_s[-1] - time_s[0])
    assert 0.9 < speed < 1.6
    hips = positions[:, INDEX["left_hip"]] - positions[:, INDEX["right_hip"]]
    heading = np.stack([hips[:, 1], -hips[:, 0]], axis=-1)  # forward, from left minus right
    way = pelvis[-1, :2] - pelvis[0, :2]
    cosine = heading @ way / (np.linalg.norm(heading, axis=1) * np.linalg.norm(way))
    assert np.median(cosine) > 0.8  # she looks where she goes
    feet = np.nanmin(positions[:, [INDEX["left_foot"], INDEX["right_foot"]], 2], axis=1)
    assert abs(np.nanmedian(feet)) < 0.15
    assert np.nanpercentile(np.abs(feet), 95) < 0.3
    step = np.linalg.norm(np.diff(pelvis, axis=0), axis=1) / np.diff(time_s)
    assert step.max() < 4.0


@pytest.mark.parametrize("name", ["person_1", "person_2"])
def test_bodies_are_upright_and_of_human_size(frames: list[SkeletonFrame], name: str) -> None:
    _, positions = person(frames, name)
    torso = positions[:, INDEX["neck"]] - positions[:, INDEX["pelvis"]]
    up = np.median(torso / np.linalg.norm(torso, axis=1, keepdims=True), axis=0)
    assert up[2] > 0.9
    for a, b, low, high in (
        ("left_hip", "left_knee", 0.33, 0.5),
        ("right_knee", "right_ankle", 0.33, 0.5),
        ("left_shoulder", "left_elbow", 0.2, 0.36),
        ("pelvis", "neck", 0.4, 0.62),
    ):
        length = np.linalg.norm(positions[:, INDEX[a]] - positions[:, INDEX[b]], axis=1)
        assert low < np.nanmedian(length) < high, (a, b)


def test_distance_is_the_uncertain_direction(frames: list[SkeletonFrame]) -> None:
    covariance = np.concatenate([f.covariance[:, INDEX["pelvis"]] for f in frames if f.person_ids])
    along, across, upwards = np.sqrt(np.median(covariance[:, [0, 3, 5]], axis=0))  # the view is along x
    assert 0.3 < along < 1.2
    assert across < 0.4 * along and upwards < 0.4 * along


def test_its_camera_sees_the_people_in_the_picture(frames: list[SkeletonFrame]) -> None:
    scene = Scene.beside(BAG)
    assert (scene.camera.width, scene.camera.height) == (1768, 994)
    points = np.concatenate([f.positions[:, INDEX["pelvis"]] for f in frames])
    pixels = scene.camera.project(scene.level.to_camera(points))
    inside = ((pixels > -50.0) & (pixels < np.array([1818.0, 1044.0]))).all(axis=-1)
    assert inside.mean() > 0.98
