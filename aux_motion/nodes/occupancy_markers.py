# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""The capsules of an occupancy as markers for RViz."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from geometry_msgs.msg import Point, Pose, Quaternion, Vector3
from std_msgs.msg import ColorRGBA
from visualization_msgs.msg import Marker

from aux_motion.nodes.planner_messages import header, upright_rotations
from aux_motion_core.safety.occupancy import BoundKind, Occupancy

#: Colours of the kinds of bound.
_COLOURS = {
    BoundKind.NONE: (0.8, 0.1, 0.1),
    BoundKind.REACH: (0.95, 0.6, 0.1),
    BoundKind.MARGINAL: (0.2, 0.6, 0.9),
    BoundKind.SIMULTANEOUS: (0.2, 0.75, 0.35),
    BoundKind.SEPARATION: (0.15, 0.65, 0.65),
}


def capsule_markers(occupancy: Occupancy) -> Iterator[list[Any]]:
    """Markers of one person after the other: capsules of the first, the middle and the last interval.

    Yields:
        A DELETEALL, then each person's markers; green is simultaneous, teal separation, blue marginal, orange
        the reach set.
    """
    head = header(occupancy.frame_id, occupancy.stamp_ns)
    yield [Marker(header=head, action=Marker.DELETEALL)]
    steps = sorted({0, (occupancy.intervals - 1) // 2, occupancy.intervals - 1})
    upright = Quaternion(x=0.0, y=0.0, z=0.0, w=1.0)
    number = 0
    for i in range(len(occupancy.person_ids)):
        markers = []
        for alpha, k in zip((0.5, 0.25, 0.12), steps):
            ends, radius = occupancy.ends[i, k].astype(float), occupancy.radius[i, k].astype(float)
            turn = upright_rotations(ends)
            length = np.linalg.norm(ends[:, 1] - ends[:, 0], axis=1)
            for g in range(len(radius)):
                if not (np.isfinite(radius[g]) and np.isfinite(ends[g]).all()):
                    continue
                r, gr, b = _COLOURS[BoundKind(int(occupancy.kind[i, k, g]))]
                colour = ColorRGBA(r=r, g=gr, b=b, a=alpha)
                d = 2.0 * radius[g]
                q = Quaternion(**dict(zip("xyzw", turn[g].tolist())))
                parts = [
                    (Marker.CYLINDER, ends[g].mean(0), q, length[g]),
                    (Marker.SPHERE, ends[g, 0], upright, d),
                    (Marker.SPHERE, ends[g, 1], upright, d),
                ]
                for kind, place, orientation, along in parts:
                    if along < 1e-6:
                        continue
                    number += 1
                    marker = Marker(header=head, ns="occupancy", id=number, type=kind, action=Marker.ADD)
                    marker.pose = Pose(position=Point(**dict(zip("xyz", place.tolist()))), orientation=orientation)
                    marker.scale, marker.color = Vector3(x=d, y=d, z=float(along)), colour
                    marker.lifetime.sec = 1
                    markers.append(marker)
        yield markers
