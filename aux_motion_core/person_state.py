# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""Validity of a person's prediction: state and reasons, first of the window and the answer, then of what time does.

The one place where `TrackState` and `Reason` are decided. Whether the view as a whole is complete is another question.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from aux_motion_core.arrays import every, some
from aux_motion_core.config import PredictorConfig
from aux_motion_core.constants import NS
from aux_motion_core.people import Person, Result
from aux_motion_core.types import Reason, TrackState

#: So long the head is below the feet before it is said: people also tumble.
_UPSIDE_DOWN_NS = NS // 2
#: How long a reason that comes from one message stays.
_RECENT_NS = NS
#: Fewest samples of each joint that the model was trained to start from.
_MIN_STEPS = 2
#: A gap in the input that is older says nothing of how well a person is seen now.
_GAP_WITHIN_S = 0.4

_WARMING_UP, _TRACKING, _DEGRADED = (int(s) for s in (TrackState.WARMING_UP, TrackState.TRACKING, TrackState.DEGRADED))
#: As numbers: arithmetic with members of an enumeration is slow.
_UNCALIBRATED, _OUT_OF_DISTRIBUTION, _IMPUTED, _FEW_JOINTS, _INPUT_GAP, _SHORT_HISTORY, _NON_FINITE_OUTPUT = (
    int(r)
    for r in (
        Reason.UNCALIBRATED,
        Reason.OUT_OF_DISTRIBUTION,
        Reason.IMPUTED,
        Reason.FEW_JOINTS,
        Reason.INPUT_GAP,
        Reason.SHORT_HISTORY,
        Reason.NON_FINITE_OUTPUT,
    )
)

_UNBELIEVABLE = int(Reason.NOT_Z_UP | Reason.NON_FINITE_OUTPUT)


class Standing(NamedTuple):
    """Validity of a person's prediction at one time.

    Attributes:
        state: see `TrackState`.
        reasons: see `Reason`.
        age_s: since the newest observation.
        bound_only: the prediction may not be believed: the pose is held, with the reach bound around it.
    """

    state: TrackState
    reasons: Reason
    age_s: float
    bound_only: bool


def of_windows(
    mask: np.ndarray,
    finite: np.ndarray,
    calibrated: np.ndarray,
    odd: np.ndarray,
    fell_back: bool,
    dt_s: float,
    config: PredictorConfig,
    whole: bool | None = None,
) -> tuple[list[TrackState], list[Reason]]:
    """State and reasons of N people by what the backend saw and answered.

    Args:
        mask: (N, history, J) bool, what was observed.
        finite: (N,) bool: the answer is.
        calibrated: (N,) bool: the radius is; only of answers that are finite, to input that is not odd.
        odd: (N,) bool: the input is unlike the data that the radii were calibrated on.
        fell_back: another backend than the one asked for answered.
        dt_s: grid spacing.
        config: limits.
        whole: nothing is missing in `mask`; None: look.
    """
    steps = mask.shape[1]
    whole = every(mask) if whole is None else whole
    if whole and every(calibrated) and not fell_back and steps >= _MIN_STEPS:  # then the rest is as it should be, too
        return [TrackState.TRACKING] * len(mask), [Reason.NONE] * len(mask)
    if whole:
        few = gap = imputed = np.zeros(len(mask), bool)
        short = np.full(len(mask), steps < _MIN_STEPS)
    else:
        rows = mask.any(2)
        min_span = min(round(config.min_history_s / dt_s), steps - 1)
        first = rows.argmax(1)
        few = mask[:, -1].sum(1) < config.min_joints
        newest = min(steps, round(_GAP_WITHIN_S / dt_s))
        gap = ~(rows | (np.arange(steps) < first[:, None]))[:, -newest:].all(1)
        short = (steps - 1 - first < min_span) | (rows.sum(1) < _MIN_STEPS)
        imputed = ~np.all(np.any(mask, axis=1), axis=1)
    reasons = np.full(len(mask), int(Reason.BACKEND_FALLBACK) if fell_back else 0)
    for reason, of in (
        (_UNCALIBRATED, ~calibrated),
        (_OUT_OF_DISTRIBUTION, odd),
        (_IMPUTED, imputed),
        (_FEW_JOINTS, few),
        (_INPUT_GAP, gap),
        (_SHORT_HISTORY, short),
        (_NON_FINITE_OUTPUT, ~finite),
    ):
        if some(of):
            reasons |= reason * of
    states = np.where(finite & short, _WARMING_UP, np.where(few | gap | ~finite, _DEGRADED, _TRACKING))
    return [TrackState(s) for s in states.tolist()], [Reason(r) for r in reasons.tolist()]


def at(
    person: Person, result: Result, outliers: bool, now_ns: int, horizon_ns: int, config: PredictorConfig
) -> Standing:
    """Validity now of what the newest observation gave.

    Args:
        person: whose track ends at its newest observation.
        result: of that observation.
        outliers: some of the person's joints were masked as outliers.
        now_ns: the present.
        horizon_ns: how far ahead is predicted.
        config: limits.
    """
    newest_ns = person.track.newest_ns
    age_s = (now_ns - newest_ns) * 1e-9
    reasons, state = result.reasons, result.state

    def recent(event_ns: int | None) -> bool:
        return event_ns is not None and 0 <= newest_ns - event_ns < _RECENT_NS

    if recent(person.jumped_ns):
        reasons |= Reason.STAMP_JUMP
    if recent(person.relinked_ns):
        reasons |= Reason.ID_RELINKED
    if outliers:
        reasons |= Reason.OUTLIER_MASKED
    duplicated, since_ns = recent(person.duplicated_ns), person.upside_down_since_ns
    upside_down = since_ns is not None and newest_ns - since_ns >= _UPSIDE_DOWN_NS
    if duplicated or upside_down:
        reasons |= (Reason.DUPLICATE_ID if duplicated else 0) | (Reason.NOT_Z_UP if upside_down else 0)
        if state == _TRACKING:
            state = TrackState.DEGRADED
    if age_s > min(config.stale_after_s, horizon_ns * 1e-9):  # beyond the horizon nothing was predicted
        reasons |= Reason.INPUT_OLD
        state = TrackState.ABSENT if age_s > config.lost_after_s else TrackState.STALE
    bound_only = int(state) not in (_TRACKING, _DEGRADED) or bool(int(reasons) & _UNBELIEVABLE)
    return Standing(state, reasons, age_s, bound_only)
