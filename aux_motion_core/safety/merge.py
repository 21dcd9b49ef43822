# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""Occupancies of several predictors as one, for a monitor that was told to expect several."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from aux_motion_core.safety.occupancy import Occupancy
from aux_motion_core.types import View, ViewReason, ViewReport
from aux_motion_core.wire.messages import MessageError

_SAME = ("frame_id", "interval_s", "anthropometry", "segments", "intervals")
_STACKED = (
    "stamps_ns last_observed_ns valid_until_ns ends radius kind coverage body_ends body_radius body_scale".split()
)


def merged_view(views: Sequence[ViewReport]) -> ViewReport:
    """The least complete of some views: COMPLETE only where all are, as old as the oldest."""
    reasons = ViewReason.NONE
    for view in views:
        reasons |= view.reasons
    return ViewReport(
        View(min((v.view for v in views), default=View.UNKNOWN)),
        reasons,
        min((v.oldest_input_ns for v in views), default=0),
        sum(v.unplaced_people for v in views),
    )


def merged(occupancies: Sequence[Occupancy]) -> Occupancy:
    """All people of all occupancies; whoever several predictors see is there several times, which only costs speed.

    Args:
        occupancies: one or more, of the same frame, intervals, segments and table.

    Raises:
        MessageError: they differ in what must be the same.
    """
    if len(occupancies) == 1:
        return occupancies[0]
    people = [o for o in occupancies if o.person_ids] or list(occupancies[:1])
    first = people[0]
    for other in people[1:]:
        for name in _SAME:
            if getattr(other, name) != getattr(first, name):
                raise MessageError(
                    f"predictors differ in {name}: {getattr(first, name)!r} of {first.producer!r}, "
                    f"{getattr(other, name)!r} of {other.producer!r}; give them the same parameters"
                )
    if any(o.frame_id != first.frame_id for o in occupancies):
        raise MessageError(f"predictors differ in frame_id: {', '.join(sorted({o.frame_id for o in occupancies}))}")
    stacked: dict[str, Any] = {n: np.concatenate([getattr(o, n) for o in people]) for n in _STACKED}
    return replace(
        first,
        stamp_ns=min(o.stamp_ns for o in occupancies),
        reach_speed_mps=max(o.reach_speed_mps for o in occupancies),
        person_ids=tuple(f"{o.producer}/{i}" for o in people for i in o.person_ids),
        states=tuple(s for o in people for s in o.states),
        reasons=tuple(r for o in people for r in o.reasons),
        view=merged_view([o.view for o in occupancies]),
        producer=" + ".join(o.producer for o in occupancies),
        **stacked,
    )
