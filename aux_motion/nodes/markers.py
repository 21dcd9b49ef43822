# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""Present and future skeletons for RViz: one list of lines a person, which fades with the time ahead."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from builtin_interfaces.msg import Time
from geometry_msgs.msg import Point
from std_msgs.msg import ColorRGBA
from visualization_msgs.msg import Marker, MarkerArray

from aux_motion_core.skeleton import BONES
from aux_motion_core.types import MotionPrediction, PredictionBatch, TrackState
from aux_motion_core.wire.messages import ns_to_stamp

_BONES = np.array(BONES)
#: Skeletons drawn of the future.
FUTURE_SKELETONS = 5
_LINE_WIDTH_M = 0.02
_TEXT_HEIGHT_M = 0.12
_GREY = (0.55, 0.55, 0.55)
#: Colours that people get by the order of their ids.
_COLOURS = (
    (0.12, 0.47, 0.71),
    (1.00, 0.50, 0.05),
    (0.17, 0.63, 0.17),
    (0.84, 0.15, 0.16),
    (0.58, 0.40, 0.74),
    (0.09, 0.75, 0.81),
)


def _points(poses: np.ndarray) -> list[Point]:
    """Ends of all bones of all poses (K, 20, 3), pair after pair."""
    return [Point(x=x, y=y, z=z) for x, y, z in poses[:, _BONES].reshape(-1, 3).tolist()]


def _marker(batch: PredictionBatch, number: int, namespace: str, kind: int) -> Marker:
    marker = Marker(id=number, ns=namespace, type=kind, action=Marker.ADD)
    marker.header.frame_id = batch.frame_id
    marker.header.stamp = Time(**ns_to_stamp(batch.stamp_ns))
    marker.pose.orientation.w = 1.0
    marker.lifetime.sec = 1
    return marker


def _draw_lines(marker: Marker, person: MotionPrediction, colour: tuple[float, float, float]) -> None:
    marker.scale.x = _LINE_WIDTH_M
    steps = len(person.mean)
    chosen = np.unique(np.linspace(0, steps, FUTURE_SKELETONS + 1).round().astype(int)[1:] - 1)
    poses = np.concatenate([person.recovered[None], person.mean[chosen]]).astype(np.float64)
    marker.points = _points(poses)
    r, g, b = colour
    colours: list[ColorRGBA] = []
    for alpha in (1.0, *np.linspace(0.6, 0.12, len(chosen)).tolist()):
        colours += [ColorRGBA(r=r, g=g, b=b, a=alpha)] * (2 * len(_BONES))  # one object for a whole skeleton
    marker.colors = colours


def _draw_label(marker: Marker, person: MotionPrediction) -> None:
    marker.scale.z = _TEXT_HEIGHT_M
    x, y, z = person.recovered[np.argmax(person.recovered[:, 2])].tolist()
    marker.pose.position = Point(x=float(x), y=float(y), z=float(z) + 0.25)
    marker.color = ColorRGBA(r=1.0, g=1.0, b=1.0, a=0.9)
    marker.text = f"{person.person_id} {person.state.name.lower()}"


def marker_array(batch: PredictionBatch) -> MarkerArray:
    """Markers of a batch; people that are no longer in it disappear.

    Args:
        batch: every known person, joints of `body20`.

    Returns:
        A DELETEALL, then for each person lines (present pose opaque, `FUTURE_SKELETONS` later ones fading)
        and a label; grey where the state is STALE or ABSENT.
    """
    return MarkerArray(markers=[marker for part in marker_parts(batch) for marker in part])


def marker_parts(batch: PredictionBatch) -> Iterator[list[Marker]]:
    """The markers of `marker_array`, a person at a time."""
    clear = Marker(action=Marker.DELETEALL)
    clear.header.frame_id = batch.frame_id
    yield [clear]
    for i, person in enumerate(batch.people):
        unseen = person.state in (TrackState.STALE, TrackState.ABSENT)
        lines = _marker(batch, i, "skeletons", Marker.LINE_LIST)
        _draw_lines(lines, person, _GREY if unseen else _COLOURS[i % len(_COLOURS)])
        label = _marker(batch, i, "labels", Marker.TEXT_VIEW_FACING)
        _draw_label(label, person)
        yield [lines, label]
