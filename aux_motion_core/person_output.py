# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""What is published of one person: the prediction where it may be believed, else the pose held and the reach bound."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from aux_motion_core.config import PredictorConfig
from aux_motion_core.constants import NS
from aux_motion_core.history.limits import LIMB_SPAN_M
from aux_motion_core.history.outliers import Outliers, widened
from aux_motion_core.people import Person, Result
from aux_motion_core.person_state import Standing, at
from aux_motion_core.skeleton import DERIVED, INDEX, MISSING
from aux_motion_core.types import MotionPrediction, Reason, Shipped, TrackState

#: The excess of a person's own speed over `reach_speed_mps` counts for this long, seconds.
_FAST_S = 1.0
#: So many sigmas hold 95 % of a Gaussian error in space (chi-square, three degrees of freedom).
_SIGMAS = 2.8
_UNCALIBRATED = int(Reason.UNCALIBRATED)
#: Joints that follow from others.
_FROM = (
    (INDEX["pelvis"], [INDEX["left_hip"], INDEX["right_hip"]]),
    (INDEX["neck"], [INDEX["left_shoulder"], INDEX["right_shoulder"]]),
)


def describe(
    person_id: str,
    person: Person,
    result: Result,
    outliers: Outliers | None,
    now_ns: int,
    steps_s: np.ndarray,
    config: PredictorConfig,
) -> MotionPrediction:
    """The person's prediction at a time.

    Args:
        person_id: its id.
        person: whose track ends at its newest observation.
        result: of that observation.
        outliers: joints that were masked; None: none.
        now_ns: the present.
        steps_s: (steps,) seconds of the grid.
        config: limits.
    """
    newest_ns = person.track.newest_ns
    horizon_ns = int(steps_s[-1] * NS)
    standing = at(person, result, outliers is not None, now_ns, horizon_ns, config)
    believed = not standing.bound_only
    calibrated = believed and not int(standing.reasons) & _UNCALIBRATED
    body = result.body if calibrated else None
    shown = MotionPrediction(
        person_id=person_id,
        state=standing.state,
        reasons=standing.reasons,
        stamp_ns=newest_ns,
        last_observed_ns=newest_ns,
        age_s=standing.age_s,
        valid_until_ns=newest_ns + horizon_ns,
        mean=result.mean,
        recovered=result.recovered,
        joint_status=person.track.newest_status.copy(),
        scale=result.scale,
        radius=result.radius,
        radius_basis="conformal" if calibrated else f"reach:{result.reach_mps:.1f}mps",
        radius_coverage=config.coverage_level if calibrated else float("nan"),
        body_radius=body,
        body_coverage=float("nan") if body is None else config.coverage_level,
        shipped=result.shipped if believed else None,
    )
    if not believed:
        shown = _held(shown, person, result, standing, now_ns, steps_s, config)
    if person.sigma_m is not None and person.sigma_m.any():
        shown = _unsure(shown, person.sigma_m, steps_s, config)
    return shown if outliers is None else _widen(shown, outliers, steps_s, config)


def _unsure(
    shown: MotionPrediction, sigma_m: np.ndarray, steps_s: np.ndarray, config: PredictorConfig
) -> MotionPrediction:
    """Radii that hold the error which the tracker states of each joint, and what is predicted from it."""
    seen = shown.joint_status != MISSING
    # a joint that was filled in follows from the others
    sigma = np.where(seen, sigma_m, sigma_m[seen].max(initial=0.0))
    for child, parents in _FROM:
        if shown.joint_status[child] == DERIVED:
            sigma[child] = max(sigma[child], sigma[parents].max())
    # what the table was calibrated with is in the radii already
    excess = np.maximum(_SIGMAS * sigma - config.tracker_error_m, 0.0)
    if not excess.any():
        return shown
    # an error of the place is one of the velocity too: of two places over the shortest span that is predicted from
    more = excess * (1.0 + steps_s / max(config.min_history_s, 0.2))[:, None]
    assert shown.radius is not None
    # but from wherever the joint is now, it gets no farther than its reach
    moved = np.linalg.norm(shown.mean - shown.recovered, axis=-1)
    reach = excess + moved + config.reach_speed_mps * steps_s[:, None]
    radius = np.minimum(shown.radius + more, np.maximum(shown.radius + excess, reach))
    added = (radius - shown.radius).max(1, keepdims=True)
    body = None if shown.body_radius is None else shown.body_radius + added
    return replace(shown, radius=radius, body_radius=body)


def _held(
    shown: MotionPrediction,
    person: Person,
    result: Result,
    standing: Standing,
    now_ns: int,
    steps_s: np.ndarray,
    config: PredictorConfig,
) -> MotionPrediction:
    """The newest pose held, with all that can be reached from it."""
    newest_ns = person.track.newest_ns
    # what nobody sees is bounded from now on, not from when it was last seen
    unseen = standing.state in (TrackState.STALE, TrackState.ABSENT)
    origin_ns = max(now_ns, newest_ns) if unseen else newest_ns
    # a joint hidden for longer may be farther from where it is shown, but not farther than limbs are long
    hidden = config.reach_speed_mps * 1e-9 * (newest_ns - person.track.seen_ns)
    passed_s = (origin_ns - newest_ns) * 1e-9 + steps_s
    # nobody keeps up the speed of the fastest limb
    excess = (result.reach_mps - config.reach_speed_mps) * np.minimum(passed_s, _FAST_S)
    reach = config.reach_speed_mps * passed_s + excess
    return replace(
        shown,
        reasons=standing.reasons | Reason.UNCALIBRATED,
        stamp_ns=origin_ns,
        valid_until_ns=origin_ns + (shown.valid_until_ns - newest_ns),
        mean=np.broadcast_to(result.recovered, result.mean.shape),
        radius=reach[:, None] + np.minimum(hidden, LIMB_SPAN_M),
        scale=None,
    )


def _widen(
    person: MotionPrediction, outliers: Outliers, steps_s: np.ndarray, config: PredictorConfig
) -> MotionPrediction:
    radius = widened(
        person.mean, person.recovered, person.stamp_ns, steps_s, config.reach_speed_mps, outliers, person.radius
    )
    # no radius gets smaller, so what covered goes on covering
    body = None if person.body_radius is None else np.maximum(person.body_radius, radius)
    if person.shipped is not None:
        alone = _widen(person.as_shipped(), outliers, steps_s, config)
        person = replace(person, shipped=Shipped(alone.mean, alone.radius, alone.body_radius))
    return replace(person, radius=radius, body_radius=body)
