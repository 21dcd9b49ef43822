# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""How far a place is from all that anybody may occupy, for planners in Python; `clearance_until` of the C++ view."""

from __future__ import annotations

import numpy as np

from aux_motion_core.safety.occupancy import BoundKind, Occupancy
from aux_motion_core.safety.separation import distance_until, distances


def clearance_until(
    occupancy: Occupancy, point: np.ndarray, until_ns: int, now_ns: int, max_input_age_s: float
) -> float:
    """Distance of a place from all that anybody may occupy until a time.

    Args:
        occupancy: newest.
        point: (3,) metres in its frame.
        until_ns: end of the time that is looked at, nanoseconds.
        now_ns: the present, on the clock of the stamps.
        max_input_age_s: oldest input that is still believed, seconds.

    Returns:
        Metres, negative inside; infinity: nobody is there. NaN, which compares false with every distance, where the
        view is not complete or old (`ViewReport.refusal`), somebody has no bound, or a number is none.
    """
    o = occupancy
    if o.view.refusal(now_ns, max_input_age_s) or o.fault():
        return float("nan")
    if not o.person_ids:
        return float("inf")
    if (o.kind == BoundKind.NONE).any() or (o.radius < 0.0).any():
        return float("nan")
    place = np.asarray(point, float)
    metres = distances(o.ends, o.radius, np.array([[place, place]]), np.zeros(1)).metres
    until_s = np.maximum(until_ns - o.stamps_ns, 0)[None] * 1e-9
    there = distance_until(o, metres, until_s)[0]
    return float(there.min()) if np.isfinite(there).all() else float("nan")
