# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""Joint lists of trackers to body20."""

from __future__ import annotations

import numpy as np
import pytest

from aux_motion_core.skeleton import INDEX, JOINTS, N_JOINTS, JointStatus
from aux_motion_core.trackers.joint_maps import ALIASES, SOURCES, MappingError, map_confidence, map_joints, mapping

COUNTS = {
    "openptrack15": 15,
    "mediapipe33": 33,
    "coco17": 17,
    "openpose25": 25,
    "openpose18": 18,
    "h36m17": 17,
    "kinect1_20": 20,
    "kinect1_sdk": 20,
    "kinect2_25": 25,
    "k4a32": 32,
    "zed34": 34,
    "zed38": 38,
}
# (list, index in that list, joint of body20) from the trackers' own documentation.
KNOWN = [
    ("mediapipe33", 11, "left_shoulder"),
    ("mediapipe33", 16, "right_wrist"),
    ("mediapipe33", 27, "left_ankle"),
    ("coco17", 9, "left_wrist"),
    ("coco17", 12, "right_hip"),
    ("openpose25", 4, "right_wrist"),
    ("openpose25", 8, "pelvis"),
    ("openpose25", 14, "left_ankle"),
    ("openpose18", 11, "left_hip"),
    ("openptrack15", 0, "head"),
    ("openptrack15", 4, "right_wrist"),
    ("openptrack15", 13, "left_ankle"),
    ("h36m17", 3, "right_ankle"),
    ("h36m17", 7, "spine"),
    ("h36m17", 16, "right_wrist"),
    ("kinect1_20", 0, "head"),
    ("kinect1_20", 11, "pelvis"),
    ("kinect1_20", 19, "right_foot"),
    ("kinect1_sdk", 2, "neck"),
    ("kinect2_25", 20, "neck"),
    ("kinect2_25", 11, "right_hand"),
    ("k4a32", 15, "right_hand"),
    ("k4a32", 26, "head"),
    ("zed34", 25, "right_foot"),
    ("zed38", 18, "left_hip"),
]


@pytest.mark.parametrize("name", sorted(SOURCES))
def test_lists_are_complete_and_rows_are_means(name: str) -> None:
    table = mapping(name)
    assert len(table.joints) == len(set(table.joints)) == COUNTS[name]
    sums = table.weights.sum(axis=-1)
    np.testing.assert_allclose(sums, (table.status != JointStatus.MISSING).astype(float), atol=1e-12)
    both_sides = {j for j in JOINTS if j.startswith("left_")}
    for joint in both_sides:  # what the left has, the right has
        mirror = joint.replace("left", "right")
        np.testing.assert_array_equal(table.status[:, INDEX[joint]], table.status[:, INDEX[mirror]])


@pytest.mark.parametrize(("name", "index", "joint"), KNOWN)
def test_known_indices(name: str, index: int, joint: str) -> None:
    rng = np.random.default_rng(index)
    positions = rng.normal(size=(COUNTS[name], 3))
    out, status = map_joints(name, positions)
    np.testing.assert_array_equal(out[INDEX[joint]], positions[index])
    assert status[INDEX[joint]] == JointStatus.OBSERVED


def test_mediapipe_derives_what_it_has_no_joint_for() -> None:
    positions = np.random.default_rng(0).normal(size=(2, 5, 33, 3))
    out, status = map_joints("mediapipe", positions)
    assert out.shape == (2, 5, N_JOINTS, 3) and status.shape == (2, 5, N_JOINTS) and status.dtype == np.uint8
    np.testing.assert_allclose(out[..., INDEX["pelvis"], :], positions[..., [23, 24], :].mean(axis=-2))
    np.testing.assert_allclose(out[..., INDEX["neck"], :], positions[..., [11, 12], :].mean(axis=-2))
    np.testing.assert_allclose(out[..., INDEX["head"], :], positions[..., [7, 8], :].mean(axis=-2))
    np.testing.assert_allclose(out[..., INDEX["left_hand"], :], positions[..., [17, 19], :].mean(axis=-2))
    np.testing.assert_allclose(out[..., INDEX["right_foot"], :], positions[..., 32, :])
    for joint in ("pelvis", "neck", "head", "left_hand", "right_hand", "left_foot", "right_foot"):
        assert (status[..., INDEX[joint]] == JointStatus.DERIVED).all()
    assert (status[..., INDEX["spine"]] == JointStatus.MISSING).all()
    assert np.isnan(out[..., INDEX["spine"], :]).all()


def test_next_alternative_when_a_source_is_missing() -> None:
    positions = np.random.default_rng(1).normal(size=(33, 3))
    valid = np.ones(33, bool)
    valid[7] = False  # an ear: the eyes stand in
    valid[19] = False  # an index finger: the little one stands in
    valid[23] = False  # a hip: no pelvis
    out, status = map_joints("mediapipe33", positions, valid)
    np.testing.assert_allclose(out[INDEX["head"]], positions[[2, 5]].mean(axis=0))
    np.testing.assert_allclose(out[INDEX["left_hand"]], positions[17])
    assert status[INDEX["pelvis"]] == status[INDEX["left_hip"]] == JointStatus.MISSING
    assert np.isnan(out[INDEX["pelvis"]]).all()


def test_values_of_invalid_joints_never_reach_the_output() -> None:
    positions = np.random.default_rng(2).normal(size=(4, 17, 3))
    valid = np.random.default_rng(3).random((4, 17)) > 0.4
    expected = map_joints("coco17", positions, valid)
    for value in (np.nan, np.inf, 1e6):
        spoiled = np.where(valid[..., None], positions, value)
        got = map_joints("coco17", spoiled, valid)
        np.testing.assert_array_equal(got[0], expected[0])
        np.testing.assert_array_equal(got[1], expected[1])


def test_non_finite_joints_are_missing() -> None:
    positions = np.zeros((20, 3))
    positions[6] = np.nan  # left wrist of this list
    _, status = map_joints("kinect1_20", positions)
    assert status[INDEX["left_wrist"]] == JointStatus.MISSING
    assert (status != JointStatus.MISSING).sum() == 19


def test_confidence_is_that_of_the_weakest_source() -> None:
    confidence = np.full(33, 0.9)
    confidence[[23, 7]] = 0.2, 0.0
    out = map_confidence("mediapipe33", confidence)
    assert out[INDEX["pelvis"]] == pytest.approx(0.2)
    assert out[INDEX["head"]] == pytest.approx(0.9)  # the ears are not both there, the eyes are
    assert out[INDEX["spine"]] == 0.0


@pytest.mark.parametrize(
    ("name", "shape", "says"),
    [("kinect9", (20, 3), "unknown joint list 'kinect9'"), ("coco17", (16, 3), "expected (..., 17, 3)")],
)
def test_bad_input_is_named(name: str, shape: tuple[int, ...], says: str) -> None:
    with pytest.raises(MappingError) as caught:
        map_joints(name, np.zeros(shape))
    assert says in str(caught.value) and "\n" not in str(caught.value)
    with pytest.raises(MappingError, match="valid has shape"):
        map_joints("coco17", np.zeros((17, 3)), np.ones(16, bool))


def test_aliases_lead_somewhere() -> None:
    assert set(ALIASES.values()) <= set(SOURCES)
