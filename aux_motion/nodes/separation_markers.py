# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""A decision of the monitor as markers for RViz: the robot's capsules, the nearest points, and the allowed speed."""

from __future__ import annotations

import numpy as np
from geometry_msgs.msg import Point, Pose, Quaternion, Vector3
from std_msgs.msg import ColorRGBA
from visualization_msgs.msg import Marker, MarkerArray

from aux_motion.nodes.planner_messages import header, upright_rotations
from aux_motion_core.safety.separation import Separation

_ROBOT = (0.59, 0.65, 0.75)
#: Stands, is slowed, is free.
_STOPPED, _SLOWED, _FREE = (0.9, 0.2, 0.2), (0.95, 0.75, 0.2), (0.2, 0.75, 0.4)
_LINE_M, _TEXT_M, _ABOVE_M = 0.015, 0.1, 0.15
_UPRIGHT = (0.0, 0.0, 0.0, 1.0)

Capsules = tuple[np.ndarray, np.ndarray]


def separation_markers(decision: Separation, capsules: Capsules | None, frame_id: str, stamp_ns: int) -> MarkerArray:
    """Markers of a decision.

    Args:
        decision: of the monitor.
        capsules: of the robot in `frame_id`, ends (L, 2, 3) and radii (L,) in metres; None: not known.
        frame_id: of the capsules and the decision's points.
        stamp_ns: of the decision.

    Returns:
        A DELETEALL; the robot's capsules; a line between the nearest points, where somebody is known, and the distance
        and the allowed speed as text: red while the robot must stand, yellow while it is slowed, else green.
    """
    share = decision.allowed_speed_fraction
    colour = _FREE if share >= 1.0 else _SLOWED if share > 0.0 else _STOPPED
    markers = [Marker(action=Marker.DELETEALL)]
    text_at = np.zeros(3)
    if capsules is not None and len(capsules[1]):
        ends, radius = np.asarray(capsules[0], float), np.asarray(capsules[1], float)
        turns = upright_rotations(ends)
        for end, wide, turn in zip(ends, radius, turns, strict=True):
            length = float(np.linalg.norm(end[1] - end[0]))
            if length > 1e-6:
                markers.append(_solid(Marker.CYLINDER, end.mean(0), turn, (2 * wide, 2 * wide, length)))
            markers += [_solid(Marker.SPHERE, place, _UPRIGHT, (2 * wide,) * 3) for place in end]
        text_at = ends.reshape(-1, 3)[np.argmax(ends.reshape(-1, 3)[:, 2])]
    near = np.array([decision.point_on_person_m, decision.point_on_robot_m], float)
    text = f"{100 * share:.0f} %: {decision.reason_text}"
    if np.isfinite(near).all():
        line = Marker(ns="nearest", type=Marker.LINE_LIST, action=Marker.ADD)
        line.points = [_point(place) for place in near]
        line.scale.x, line.color = _LINE_M, _rgba(colour, 1.0)
        line.pose.orientation.w = 1.0
        markers.append(line)
        text_at = near[1]
        text = f"{decision.minimum_distance_m:.2f} m to {decision.person_id}, {text}"
    label = Marker(ns="speed", type=Marker.TEXT_VIEW_FACING, action=Marker.ADD, text=text)
    label.pose = Pose(position=_point(text_at + (0.0, 0.0, _ABOVE_M)), orientation=Quaternion(w=1.0))
    label.scale.z, label.color = _TEXT_M, _rgba(colour, 1.0)
    markers.append(label)
    head = header(frame_id, stamp_ns)
    for number, marker in enumerate(markers):
        marker.header, marker.id, marker.lifetime.sec = head, number, 1
    return MarkerArray(markers=markers)


def _point(place: np.ndarray) -> Point:
    return Point(**dict(zip("xyz", np.asarray(place, float).tolist(), strict=True)))


def _rgba(colour: tuple[float, float, float], alpha: float) -> ColorRGBA:
    return ColorRGBA(**dict(zip("rgb", colour, strict=True)), a=alpha)


def _solid(kind: int, place: np.ndarray, turn: np.ndarray | tuple[float, ...], scale: tuple[float, ...]) -> Marker:
    marker = Marker(ns="robot", type=kind, action=Marker.ADD)
    orientation = Quaternion(**dict(zip("xyzw", map(float, turn), strict=True)))
    marker.pose = Pose(position=_point(place), orientation=orientation)
    marker.scale = Vector3(**dict(zip("xyz", map(float, scale), strict=True)))
    marker.color = _rgba(_ROBOT, 0.9)
    return marker
