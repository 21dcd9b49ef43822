# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""One batch of the backend: what goes in of N people, and what each of them keeps of the answer."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from aux_motion_core.arrays import every, rows_of
from aux_motion_core.bounds.calibrated import Radii
from aux_motion_core.bounds.radii import Known, reach_radius
from aux_motion_core.config import PredictorConfig
from aux_motion_core.history.limits import JOINT_LIMITS_MPS
from aux_motion_core.history.normalise import (
    REST_POSE,
    Heading,
    LastSeen,
    denormalise,
    denormalise_scale,
    find_heading,
    last_seen,
    normalised,
)
from aux_motion_core.history.track import Track
from aux_motion_core.history.track import windows as track_windows
from aux_motion_core.inference.interface import Backend
from aux_motion_core.people import Person, Result
from aux_motion_core.person_state import of_windows
from aux_motion_core.types import Shipped

_FASTEST_MPS = float(JOINT_LIMITS_MPS.max())


@dataclass(frozen=True)
class Windows:
    """The newest history of N people on the backend's grid.

    Attributes:
        windows: (N, history, J, 3) metres in the fixed frame.
        mask: (N, history, J) bool, what was observed.
        values: (N, history, J, 3) float32 metres, normalised.
        heading: what normalisation took out.
        hidden_s: (N, J), times: (N, J), see `bounds.radii.known`.
        newest_ns: (N,) int64 stamps of the newest observations, at which the windows end.
        last: each joint's last observation in the window.
    """

    windows: np.ndarray
    mask: np.ndarray
    values: np.ndarray
    heading: Heading
    hidden_s: np.ndarray
    times: np.ndarray
    newest_ns: np.ndarray
    last: LastSeen


class Answer(NamedTuple):
    """What is predicted for N people, in the fixed frame.

    Attributes:
        mean: (N, steps, J, 3) metres, maybe not finite.
        pose: (N, J, 3) metres, the newest, missing joints filled in.
        scale: (N, steps, J, 3) metres of the backend in the normalised frame, or None.
        moved: (N, steps, J) metres between the backend's own mean and `mean`: the table of radii is of the former, so
            radii widen by this. None: nothing was moved.
        widened: (N, steps, J) metres by which marginal radii widen in place of `moved`, or None.
        alone: (N, steps, J, 3) metres, the backend's own mean where both are to be published, or None.
    """

    mean: np.ndarray
    pose: np.ndarray
    scale: np.ndarray | None
    moved: np.ndarray | None
    widened: np.ndarray | None = None
    alone: np.ndarray | None = None


class Results(NamedTuple):
    """What N people keep.

    Attributes:
        each: N of them.
        finite: (N,) bool: the backend's answer is.
        calibrated: (N,) bool: the radius is.
    """

    each: list[Result]
    finite: np.ndarray
    calibrated: np.ndarray


class Inferred(NamedTuple):
    """What went into the backend in a call of `predict`, for those who judge other predictors on the same input.

    Attributes:
        ids: N people.
        values: (N, history, J, 3) float32, mask: (N, history, J) bool; see `Backend.infer`.
        heading: what normalisation took out.
        future: (N, steps, J, 3) float32, the backend's own answer in the normalised frame.
        positions: (N, J, 3) metres of the newest observation in the fixed frame, after repair.
        status: (N, J) its `JointStatus`.
        stamps_ns: (N,) and its stamp.
        hidden_s: (N, J), times: (N, J), see `bounds.known`.
    """

    ids: tuple[str, ...]
    values: np.ndarray
    mask: np.ndarray
    heading: Heading
    future: np.ndarray
    positions: np.ndarray
    status: np.ndarray
    stamps_ns: np.ndarray
    hidden_s: np.ndarray
    times: np.ndarray


class Given(NamedTuple):
    """People of one frame, or of several that follow each other, before the backend answers.

    Attributes:
        people: N of them; who is in several frames is here several times.
        cut: their windows.
        what: known of them from these alone.
        odd: (N,) bool: the input is unlike that of the radii's table.
    """

    people: list[Person]
    cut: Windows
    what: Known
    odd: np.ndarray

    def rows(self, part: slice) -> Given:
        """Those people."""
        return Given(self.people[part], rows_of(self.cut, part), rows_of(self.what, part), self.odd[part])

    def inferred(self, ids: tuple[str, ...], future: np.ndarray) -> Inferred:
        """For who judges others on the same input: the people's ids, and the backend's answer."""
        cut, tracks = self.cut, [p.track for p in self.people]
        return Inferred(
            ids,
            cut.values,
            cut.mask,
            cut.heading,
            future,
            np.stack([t.newest_positions for t in tracks]),
            np.stack([t.newest_status for t in tracks]),
            cut.newest_ns,
            cut.hidden_s,
            cut.times,
        )


class Concluded(NamedTuple):
    """What follows from the backend's answer for N people.

    Attributes:
        done: what each keeps.
        radii: calibrated ones, or None.
        members: (N, members, steps, J, 3) of the mix, or None.
    """

    done: Results
    radii: Radii | None
    members: np.ndarray | None


def cut_windows(tracks: list[Track], backend: Backend, max_gap_s: float) -> Windows:
    """Each track's newest history on the backend's grid, and normalised.

    Args:
        tracks: N, none of them empty.
        backend: whose grid is used.
        max_gap_s: longer gaps stay missing.
    """
    windows, mask, times, whole = track_windows(tracks, backend.dt_s, backend.history_steps, max_gap_s)
    last = last_seen(windows, mask, whole or None)
    heading = find_heading(windows, mask, last)
    values = normalised(windows, mask, heading, last.whole)
    newest_ns = np.array([t.newest_ns for t in tracks], np.int64)
    if whole:
        hidden_s: np.ndarray = np.zeros(times.shape)
    else:
        hidden_s = (newest_ns[:, None] - np.stack([t.seen_ns for t in tracks])) * 1e-9
    return Windows(windows, mask, values, heading, hidden_s, times, newest_ns, last)


def results(
    cut: Windows,
    what: Known,
    answer: Answer,
    radii: Radii | None,
    backend: Backend,
    config: PredictorConfig,
    counters: Counter[str],
) -> Results:
    """State, reasons and bound of each person beside the mean.

    Args:
        cut: what the backend saw.
        what: known of the people from it.
        answer: of the backend.
        radii: calibrated ones, or None.
        backend: which answered.
        config: limits.
        counters: added to.
    """
    mean, pose = answer.mean, answer.pose
    # who is seen to move fast is not bounded by a fixed speed
    fast = np.minimum(config.reach_observed_factor * what.fastest_mps, _FASTEST_MPS)
    speed = np.maximum(config.reach_speed_mps, fast)
    n = len(mean)
    # a sum is finite only where all that it is of are
    finite: np.ndarray = np.isfinite(mean.reshape(n, -1).sum(1) + pose.reshape(n, -1).sum(1))
    if not every(finite):  # what is shown of them is where they were seen last
        rest = denormalise(np.broadcast_to(REST_POSE, pose.shape), cut.heading)
        last = np.where(np.any(cut.mask, axis=1, keepdims=False)[..., None], what.last, rest)
        pose = np.where(finite[:, None, None], pose, last)
    usable, odd = (finite, np.zeros_like(finite)) if radii is None else (radii.usable, radii.odd)
    calibrated = np.zeros_like(finite) if radii is None else usable & ~odd & finite
    radius = None if radii is None else radii.radius
    if radius is None or not every(calibrated):
        steps_s = backend.dt_s * np.arange(1, mean.shape[1] + 1)
        reach = reach_radius(mean, pose, steps_s, speed, cut.hidden_s)
        radius = reach if radius is None else np.where(calibrated[:, None, None], radius, reach)
    shipped = _shipped(cut, answer, radii, calibrated, speed, backend.dt_s)
    _count(counters, "out_of_distribution", odd)
    _count(counters, "non_finite_scale", finite & ~usable)
    _count(counters, "non_finite_output", ~finite)
    whole = cut.last.whole
    states, reasons = of_windows(cut.mask, finite, calibrated, odd, backend.fell_back, backend.dt_s, config, whole)
    body = None if radii is None else radii.body
    scale = None if answer.scale is None else denormalise_scale(answer.scale, cut.heading)
    scaled = finite
    if scale is not None and not every(calibrated):  # radii that are used come from a scale that is finite
        scaled = finite & np.isfinite(scale.reshape(n, -1).sum(1))
    each = [
        Result(
            mean=mean[i],
            recovered=pose[i],
            reasons=reasons[i],
            state=states[i],
            scale=scale[i] if scale is not None and scaled[i] else None,
            radius=radius[i],
            body=body[i] if body is not None and calibrated[i] else None,
            reach_mps=float(speed[i]),
            shipped=None if shipped is None or not finite[i] else shipped[i],
        )
        for i in range(len(mean))
    ]
    return Results(each, finite, calibrated)


def _shipped(
    cut: Windows, answer: Answer, radii: Radii | None, calibrated: np.ndarray, speed: np.ndarray, dt_s: float
) -> list[Shipped] | None:
    """What the backend alone says of each; None where it is not wanted."""
    alone = answer.alone
    if alone is None:
        return None
    radius = body = reach = None
    if radii is not None and radii.shipped is not None:
        radius, body = radii.shipped
    if radius is None or not every(calibrated):
        reach = reach_radius(alone, answer.pose, dt_s * np.arange(1, alone.shape[1] + 1), speed, cut.hidden_s)
    return [
        Shipped(alone[i], radius[i], None if body is None else body[i])
        if radius is not None and calibrated[i]
        else Shipped(alone[i], None if reach is None else reach[i], None)
        for i in range(len(alone))
    ]


def _count(counters: Counter[str], name: str, people: np.ndarray) -> None:
    if n := int(np.count_nonzero(people)):  # a numpy number cannot be written as JSON
        counters[name] += n
