# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""The monitor's inputs, the planners' outputs and the predictor's clock, led astray; without processes."""

from __future__ import annotations

import dataclasses
import sys
import time
from collections import deque
from types import MethodType, SimpleNamespace

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="no ROS here")
pytest.importorskip("aux_motion_msgs", reason="the messages are not built: make msgs")

from geometry_msgs.msg import Pose, PoseArray  # noqa: E402
from support.node_harness import MOVING_ROBOT  # noqa: E402
from support.occupancy_helpers import STEPS, batch, build, person  # noqa: E402
from support.separation_helpers import SWEPT, robot, standing  # noqa: E402

from aux_motion.nodes.collision_objects import CollisionObjects  # noqa: E402
from aux_motion.nodes.people_input import PeopleInput  # noqa: E402
from aux_motion.nodes.planner_messages import occupancy_message  # noqa: E402
from aux_motion.nodes.planner_outputs import PlannerOutputs  # noqa: E402
from aux_motion.nodes.prediction_loop import PredictionLoop  # noqa: E402
from aux_motion.nodes.robot_poses import PosesTopic, RobotPoses  # noqa: E402
from aux_motion.nodes.ssm_node import SsmNode  # noqa: E402
from aux_motion_core.constants import NS  # noqa: E402
from aux_motion_core.safety.occupancy import Occupancy  # noqa: E402
from aux_motion_core.safety.robot import load_robot  # noqa: E402
from aux_motion_core.safety.separation import Monitor, Separation, SpeedReason  # noqa: E402
from aux_motion_core.skeleton import N_JOINTS  # noqa: E402


class Graph:
    """What the inputs ask of a node."""

    def __init__(self, *publishers: str) -> None:
        self.publishers = publishers

    def create_subscription(self, *args: object) -> None:
        return None

    def resolve_topic_name(self, topic: str) -> str:
        return f"/{topic}"

    def get_publishers_info_by_topic(self, topic: str) -> list[SimpleNamespace]:
        return [SimpleNamespace(node_namespace="/", node_name=name) for name in self.publishers]


@pytest.fixture
def steady(monkeypatch) -> list[int]:
    """Nanoseconds of the steady clock."""
    here = [100 * NS]
    monkeypatch.setattr(time, "monotonic_ns", lambda: here[0])
    return here


def at(occupancy: Occupancy, now_ns: int, **changes: object) -> Occupancy:
    """As if it was made and seen then."""
    d = now_ns - occupancy.stamp_ns
    return dataclasses.replace(
        occupancy,
        stamp_ns=now_ns,
        **{name: getattr(occupancy, name) + d for name in ("stamps_ns", "last_observed_ns", "valid_until_ns")},
        view=dataclasses.replace(occupancy.view, oldest_input_ns=occupancy.view.oldest_input_ns + d),
        **changes,
    )


class Cell:
    """A monitor of a robot that stands, without ROS."""

    def __init__(self, steady: list[int], producers: int = 1, **changes: object) -> None:
        self.steady, self.now_ns = steady, 1000 * NS
        self.people = PeopleInput(Graph(*"ab"[:producers]), producers, 0.3, lambda: None)
        one = robot(**changes)
        self.node = SimpleNamespace(
            _values=SimpleNamespace(robot_timeout_s=0.2), _monitor=Monitor(one, SWEPT), _people=self.people
        )
        self.node._poses, self.node._robot_seen, self.node._first_frame_id = RobotPoses(one), False, ""
        self.node._last = None
        for name in ("_measured", "_refuse_frame"):
            setattr(self.node, name, MethodType(getattr(SsmNode, name), self.node))

    def step(self, *occupancies: Occupancy, seconds: float = 0.04) -> Separation:
        """Time passes, these come, and it decides."""
        self.steady[0] += round(seconds * NS)
        self.now_ns += round(seconds * NS)
        for o in occupancies:
            self.people._take(occupancy_message(o))
        return SsmNode._decision(self.node, self.now_ns)


def test_a_predictor_whose_clock_is_ahead_does_not_hide_behind_another(steady) -> None:
    cell = Cell(steady, producers=2)
    for _ in range(20):
        t = cell.now_ns
        d = cell.step(at(build(), t, producer="a"), at(standing(9.0), t + 10 * NS, producer="b"))
    assert d.allowed_speed_fraction == 0.0 and "in the future" in d.reason_text


def test_input_that_stays_the_same_is_old_also_where_the_clock_goes_back(steady) -> None:
    """0.2 s again and again: by its stamp it was never older than 0.2 s."""
    cell, seen = Cell(steady), at(build(), 1000 * NS, producer="a")
    for k in range(60):
        if k % 5 == 4:
            cell.now_ns -= 200_000_000
        d = cell.step(dataclasses.replace(seen, stamp_ns=cell.now_ns))
    assert d.reason is SpeedReason.PEOPLE_STALE and d.allowed_speed_fraction == 0.0


@pytest.mark.parametrize("fixed_frame", ["", "map"])
def test_people_in_another_frame_than_the_robot_stands_in_stop_it(steady, fixed_frame) -> None:
    cell = Cell(steady, fixed_frame=fixed_frame)
    for _ in range(20):
        d = cell.step(at(standing(9.0), cell.now_ns, producer="a"))
    assert d.allowed_speed_fraction == 1.0
    for _ in range(20):
        d = cell.step(at(standing(9.0), cell.now_ns, producer="a", frame_id="camera"))
    assert d.reason is SpeedReason.BAD_DATA and d.allowed_speed_fraction == 0.0 and "'camera'" in d.reason_text


def pose_array(stamp_ns: int, x: float = 0.0) -> PoseArray:
    message = PoseArray(poses=[Pose()])
    message.header.frame_id = "world"
    message.header.stamp.sec, message.header.stamp.nanosec = stamp_ns // NS, stamp_ns % NS
    message.poses[0].position.x, message.poses[0].orientation.w = x, 1.0
    return message


@pytest.fixture
def cart(tmp_path):
    description = tmp_path / "cart.yaml"
    description.write_text(MOVING_ROBOT)
    return load_robot(description)


def test_two_senders_of_the_robots_poses_are_refused(steady, cart) -> None:
    poses = PosesTopic(cart, Graph("driver", "stray"))
    poses._take(pose_array(10 * NS))
    with pytest.raises(LookupError, match="2 publishers of robot_poses, expected 1: /driver, /stray"):
        poses.newest("world", 10 * NS)


def test_a_pose_that_is_sent_again_and_again_is_old_also_where_the_clock_stands(steady, cart) -> None:
    poses = PosesTopic(cart, Graph("driver"))
    for _ in range(20):
        poses._take(pose_array(10 * NS))
        age_s = poses.newest("world", 10 * NS)[1]
        steady[0] += NS // 25
    assert age_s == pytest.approx(19 / 25)
    poses._take(pose_array(10 * NS + 1))  # it stands, but it is measured
    assert poses.newest("world", 10 * NS)[1] == pytest.approx(0.0, abs=1e-6)


def test_planners_are_told_nothing_where_somebody_has_no_place() -> None:
    """A cloud without any point said that nobody is there."""
    logged: list[str] = []
    outputs = SimpleNamespace(
        _jobs=[("swept_volume",)],
        _node=SimpleNamespace(get_logger=lambda: SimpleNamespace(error=lambda line, **_: logged.append(line))),
    )
    assert PlannerOutputs._no_body(outputs, batch(person(np.full((STEPS + 1, N_JOINTS, 3), np.nan))))
    assert "'1' has no place" in logged[0]


class Loop:
    """The predictor's watch on its clock."""

    def __init__(self, steady: list[int]) -> None:
        self.steady, self._reset_ns, self._predicted_at, self._newest_ns = steady, None, None, 1
        self._offsets: deque[tuple[int, int, int]] = deque()
        self._parameters = SimpleNamespace(reset_jump_s=1.0, stale_after_s=0.3, hold_s=11.0)
        logger = SimpleNamespace(warning=lambda *a, **k: None)
        clock = SimpleNamespace(ros_time_is_active=False)
        self._node = SimpleNamespace(get_logger=lambda: logger, get_clock=lambda: clock)
        self._drift = MethodType(PredictionLoop._drift, self)

    def run(self, offsets_s: list[float]) -> bool:
        """Whether people were said to be unknown, in steps of 0.1 s."""
        for offset_s in offsets_s:
            self.steady[0] += NS // 10
            PredictionLoop._watch_clock(self, self.steady[0] + round(offset_s * NS))
        return self._reset_ns is not None


def test_a_clock_that_is_set_in_small_steps_makes_people_unknown(steady) -> None:
    assert not Loop(steady).run([5e-5 * k for k in range(1000)])  # 500 ppm: a time server
    assert not Loop(steady).run([0.02 * (-1) ** k for k in range(200)])
    assert Loop(steady).run([0.9 * (k // 10) for k in range(60)]), "0.9 s forward each second: the hold takes half"
    assert Loop(steady).run([0.0] * 20 + [-0.9] * 5), "back by less than reset_jump_s"
    assert Loop(steady).run([0.0] * 20 + [-2.4] * 5), "back at once"
    assert Loop(steady).run([-0.1 * k for k in range(20)]), "the time stands still"


def test_two_predictors_do_not_remove_each_others_people_from_the_planning_scene(monkeypatch) -> None:
    """Both call somebody "1"; the one that sees nobody any more removed the other's."""
    solid = SimpleNamespace(SolidPrimitive=type("SolidPrimitive", (SimpleNamespace,), {"SPHERE": 2, "CYLINDER": 3}))
    monkeypatch.setitem(sys.modules, "shape_msgs", SimpleNamespace(msg=solid))
    monkeypatch.setitem(sys.modules, "shape_msgs.msg", solid)
    scene: set[str] = set()

    class CollisionObject(SimpleNamespace):
        ADD, REMOVE = b"\x00", b"\x01"

        def __init__(self, **values: object) -> None:
            super().__init__(pose=Pose(), **values)

    def update(objects: CollisionObjects, occupancy: Occupancy) -> None:
        for message in objects.update(occupancy):
            (scene.add if message.operation == CollisionObject.ADD else scene.discard)(message.id)

    kinds = SimpleNamespace(CollisionObject=CollisionObject)
    left, right = (CollisionObjects(kinds, None, name) for name in ("/aux_motion_predictor", "/right/predictor"))
    for objects in (left, right):
        update(objects, standing(1.0))
    assert len(scene) == 2
    update(right, build())
    assert scene == {"aux_motion/1"}
