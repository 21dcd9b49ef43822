# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""Transforms by time, frames brought to the fixed one, and the queue in which they wait."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation, Slerp
from support import tracker_messages as make

from aux_motion_core.space.frames import FrameError, FrameQueue, Frames, rotation_matrix, static_transforms
from aux_motion_core.space.tf import IDENTITY, TfBuffer, TfError, inverse, matrix, multiply
from aux_motion_core.types import SkeletonFrame

NS = make.NS


def pose(seed: int) -> tuple[float, ...]:
    """Any pose."""
    rng = np.random.default_rng(seed)
    return (*rng.normal(size=3), *Rotation.random(random_state=seed).as_quat())


def full(values) -> np.ndarray:
    """4x4 of a pose."""
    out = np.eye(4)
    out[:3, :3], out[:3, 3] = Rotation.from_quat(values[3:]).as_matrix(), values[:3]
    return out


def buffer(*items, static=()) -> TfBuffer:
    """A buffer that heard (parent, child, pose, stamp)."""
    tf = TfBuffer()
    tf.add(make.transforms(list(items)))
    tf.add(make.transforms(list(static)), static=True)
    return tf


def skeleton(frame_id: str = "camera", stamp_ns: int = NS, covariance=None) -> SkeletonFrame:
    positions = np.random.default_rng(0).normal(size=(2, 20, 3))
    ones = np.ones((2, 20))
    return SkeletonFrame(
        stamp_ns, frame_id, ("a", "b"), positions, ones.astype(np.uint8), ones.astype(np.float32), covariance
    )


def test_poses_agree_with_matrices() -> None:
    a, b = pose(1), pose(2)
    np.testing.assert_allclose(full(multiply(a, b)), full(a) @ full(b), atol=1e-12)
    np.testing.assert_allclose(full(inverse(a)), np.linalg.inv(full(a)), atol=1e-12)
    np.testing.assert_allclose(matrix(a)[0], full(a)[:3, :3], atol=1e-12)


def test_lookup_goes_up_and_down_the_tree() -> None:
    tf = buffer(
        ("map", "base", pose(1), NS),
        ("base", "arm", pose(2), NS),
        static=[("base", "camera", pose(3), 0), ("camera", "optical", pose(4), 0)],
    )
    expected = np.linalg.inv(full(pose(2))) @ full(pose(3)) @ full(pose(4))
    np.testing.assert_allclose(full(tf.lookup("arm", "optical", NS)), expected, atol=1e-12)
    expected = full(pose(1)) @ full(pose(3)) @ full(pose(4))
    np.testing.assert_allclose(full(tf.lookup("map", "optical", NS)), expected, atol=1e-12)
    np.testing.assert_allclose(full(tf.lookup("optical", "map", NS)), np.linalg.inv(expected), atol=1e-12)
    assert tf.lookup("map", "map", 5) == IDENTITY
    assert tf.latest_ns("map", "optical") == NS and tf.latest_ns("base", "optical") is None


def test_between_two_stamps_is_interpolated_on_the_shortest_arc() -> None:
    a, b = pose(5), pose(6)
    minus = (*b[:3], *(-c for c in b[3:]))  # the same rotation
    tf = buffer(("map", "camera", a, NS), ("map", "camera", minus, 2 * NS))
    found = tf.lookup("map", "camera", NS + NS // 4)
    np.testing.assert_allclose(found[:3], 0.75 * np.array(a[:3]) + 0.25 * np.array(b[:3]))
    turn = Slerp([0, 1], Rotation.from_quat([a[3:], b[3:]]))(0.25)
    np.testing.assert_allclose(Rotation.from_quat(found[3:]).as_matrix(), turn.as_matrix(), atol=1e-9)


def test_nothing_is_extrapolated_and_what_may_come_is_told() -> None:
    tf = buffer(("map", "camera", pose(1), NS), ("map", "camera", pose(2), 2 * NS))
    with pytest.raises(TfError, match="0.500 s older than the message") as late:
        tf.lookup("map", "camera", 2 * NS + NS // 2)
    with pytest.raises(TfError, match="older than any transform of 'camera'") as early:
        tf.lookup("map", "camera", NS // 2)
    with pytest.raises(TfError, match="'lidar' not heard") as unknown:
        tf.lookup("map", "lidar", NS)
    tf.add(make.transforms([("odom", "lidar", pose(3), NS)]))
    with pytest.raises(TfError, match="two separate trees"):
        tf.lookup("map", "lidar", NS)
    assert (late.value.pending, early.value.pending, unknown.value.pending) == (True, False, True)


def test_out_of_order_repeated_and_unusable_transforms() -> None:
    tf = buffer(("map", "a", pose(1), NS), ("map", "a", pose(3), 3 * NS), ("map", "a", pose(2), 2 * NS))
    np.testing.assert_allclose(tf.lookup("map", "a", 2 * NS), pose(2), atol=1e-12)
    assert tf.add(make.transforms([("map", "a", pose(9), 2 * NS)])) == []
    np.testing.assert_allclose(tf.lookup("map", "a", 2 * NS), pose(2), atol=1e-12)
    bad = [(0, 0, 0, 0, 0, 0, 0), (np.nan, 0, 0, 0, 0, 0, 1), (0, 0, 0, np.inf, 0, 0, 1)]
    tf.add(make.transforms([("map", "b", p, NS) for p in bad] + [("c", "c", pose(1), NS), ("", "d", pose(1), NS)]))
    assert tf.counters["tf_unusable"] == 5 and tf.parent("b") is None
    tf.add(make.transforms([("map", "twice", (1, 0, 0, 0, 0, 0, 2.0), NS)]))  # not of length 1: as it is meant
    np.testing.assert_allclose(tf.lookup("map", "twice", NS), (1, 0, 0, 0, 0, 0, 1))


def test_loops_are_named_and_old_transforms_forgotten() -> None:
    tf = buffer(("a", "b", pose(1), NS), ("b", "a", pose(1), NS))
    with pytest.raises(TfError, match="are a loop"):
        tf.lookup("map", "a", NS)
    tf = TfBuffer(cache_s=1.0)
    for k in range(1000):
        tf.set("camera", "map", IDENTITY, k * NS // 100)
    assert len(tf.edge("camera").stamps) <= 300
    assert tf.set("camera", "map", pose(1), NS) and tf.edge("camera").stamps == [NS], "a bag that starts again"
    tf.clear()
    assert tf.parent("camera") is None


def test_a_fixed_frame_stays_and_a_static_transform_turns_positions_and_covariance() -> None:
    quarter = (1.0, 2.0, 3.0, 0.0, 0.0, np.sqrt(0.5), np.sqrt(0.5))
    assert Frames("/world").to_fixed(skeleton("world")).frame_id == "world"
    covariance = np.tile(np.float32([4.0, 0.5, 0.0, 1.0, 0.0, 9.0]), (2, 20, 1))
    more = static_transforms(["other 0 0 1 0 0 0 1"])
    frames = Frames("world", "/camera", quarter, more)
    moved = frames.to_fixed(skeleton(covariance=covariance))
    x, y, z = np.moveaxis(skeleton().positions, -1, 0)
    np.testing.assert_allclose(moved.positions, np.stack([1 - y, 2 + x, 3 + z], -1), atol=1e-9)
    np.testing.assert_allclose(moved.covariance[0, 0], [1.0, -0.5, 0.0, 4.0, 0.0, 9.0], atol=1e-6)
    np.testing.assert_allclose(frames.to_fixed(skeleton("other")).positions, skeleton().positions + (0, 0, 1))
    np.testing.assert_allclose(rotation_matrix((0, 0, 2.0, 2.0)), [[0, -1, 0], [1, 0, 0], [0, 0, 1]], atol=1e-12)


@pytest.mark.parametrize("line", ["camera 1 2 3", "camera 0 0 0 0 0 0 0", "1 2 3 0 0 0 1", "camera 0 0 0 0 0 0 2"])
def test_a_static_transform_that_is_none_is_named(line: str) -> None:
    with pytest.raises(FrameError, match="expected a frame, x y z in metres"):
        static_transforms([line])
    with pytest.raises(FrameError, match="given twice"):
        static_transforms(["a 0 0 0 0 0 0 1", "/a 0 0 0 0 0 0 1"])


def test_frames_that_cannot_be_brought_there_say_what_to_do() -> None:
    with pytest.raises(FrameError, match="empty header.frame_id"):
        Frames("world").to_fixed(skeleton(""))
    with pytest.raises(FrameError, match="install it.*static_transform_frame to 'camera'") as caught:
        Frames("world", no_tf="no tf2: install it").to_fixed(skeleton())
    assert not caught.value.pending


def test_the_queue_keeps_the_order_of_a_source_and_lets_others_pass() -> None:
    tf = TfBuffer()
    tf.add(make.transforms([("world", "fixed_camera", pose(1), 0)]), static=True)
    tf.set("robot_camera", "world", IDENTITY, NS)
    queue = FrameQueue(Frames("world", tf=tf))
    now = 10 * NS
    for ns in (NS, NS + 3, NS + 2):  # the newest transform is at NS
        queue.push(0, skeleton("robot_camera", ns), ns, now)
    queue.push(1, skeleton("fixed_camera", 7 * NS), 7, now)
    assert [(r.source, r.received_ns) for r in queue.drain(now, NS)] == [(0, NS), (1, 7)]
    assert len(queue) == 2 and queue.drain(now + 1, NS) == []
    tf.set("robot_camera", "world", IDENTITY, NS + 2)
    assert queue.drain(now + 1, NS) == [], "the one behind waits for the one before"
    tf.set("robot_camera", "world", IDENTITY, NS + 3)
    assert [r.received_ns for r in queue.drain(now + 2, NS)] == [NS + 3, NS + 2]
    assert not len(queue) and queue.counters["tf_waited"] == 1


def test_the_queue_gives_up_in_time_and_is_bounded() -> None:
    tf = buffer(("world", "robot_camera", pose(1), NS))
    queue = FrameQueue(Frames("world", tf=tf), limit=3)
    queue.push(0, skeleton("robot_camera", 2 * NS), 0, 0)
    (given_up,) = queue.drain(NS, NS // 2)
    assert given_up.frame is None and "waited 1.000 s (tf_timeout_s 0.5); no transform" in str(given_up.error)
    assert "publish it sooner, or set tf_timeout_s" in str(given_up.error)
    for k in range(6):
        queue.push(0, skeleton("robot_camera", 2 * NS + k), k, NS)
    assert [r.received_ns for r in queue.drain(NS, NS)] == [0, 1, 2] and len(queue) == 3
    assert queue.counters["tf_queue_full"] == 3 and queue.counters["tf_timeout"] == 1
    queue.push(1, skeleton("robot_camera", NS // 2), 9, NS)  # older than all transforms: they will not come
    assert [r.frame for r in queue.drain(NS, NS) if r.source == 1] == [None]


@pytest.mark.parametrize(
    ("bad", "says"),
    [
        ((np.nan, 0, 0, 0, 0, 0, 1), "is not a number (nan 0 0 0 0 0 1)"),
        ((0, 0, 1, 0, 0, 0, 0), "has no rotation: a quaternion of length 0"),
    ],
)
def test_a_transform_that_is_none_is_named_and_the_one_before_it_used(bad: tuple[float, ...], says: str) -> None:
    tf = buffer(static=[("world", "camera", bad, 0), ("world", "imu", bad, 0)])
    frames = Frames("world", tf=tf)
    with pytest.raises(FrameError, match="'camera' and 'world' are not connected") as caught:
        frames.to_fixed(skeleton())
    assert says in str(caught.value) and "have its publisher send numbers" in str(caught.value)
    tf.add(make.transforms([("world", "camera", pose(1), 0)]), static=True)
    frames.to_fixed(skeleton())
    assert frames.remark("camera") == "", "the other frame is none of ours"
    tf.add(make.transforms([("world", "camera", bad, 0)]), static=True)
    frames.to_fixed(skeleton())
    assert says in frames.remark("camera") and "the one before it is used" in frames.remark("camera")


def test_the_error_says_what_is_known_of_the_publishers() -> None:
    tf = TfBuffer()
    tf.note = "nobody publishes /robot1/tf or /robot1/tf_static"
    with pytest.raises(FrameError, match="not heard; nobody publishes /robot1/tf"):
        Frames("world", tf=tf).to_fixed(skeleton())
