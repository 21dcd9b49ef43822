# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""What travels between adapters, tracks, predictor and outputs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import IntEnum, IntFlag

import numpy as np


class TrackState(IntEnum):
    """Validity of a person's prediction (wire values of `state`)."""

    WARMING_UP = 0  # too little history: bound only
    TRACKING = 1
    DEGRADED = 2
    STALE = 3  # no recent observation
    ABSENT = 4  # lost; may still be there, unseen


class Reason(IntFlag):
    """Why a state is what it is (wire values of `reasons`)."""

    NONE = 0
    SHORT_HISTORY = 1
    FEW_JOINTS = 2
    IMPUTED = 4  # some joints of the output were never observed in the window
    INPUT_GAP = 8
    INPUT_OLD = 16
    STAMP_JUMP = 32
    DUPLICATE_ID = 64
    NOT_Z_UP = 128
    OUTLIER_MASKED = 256
    ID_RELINKED = 512
    OUT_OF_DISTRIBUTION = 1024
    UNCALIBRATED = 2048
    BACKEND_FALLBACK = 4096
    NON_FINITE_OUTPUT = 8192


class View(IntEnum):
    """Whether all that could hold a person was seen (wire values of `view`). Only COMPLETE may be read as "free"."""

    UNKNOWN = 0  # nobody has judged it: the default of messages, old recordings and offline predictions
    INCOMPLETE = 1  # somebody may be there who is not among the people: `ViewReason` says why
    COMPLETE = 2  # each input is heard, and all that it reports is among the people


class ViewReason(IntFlag):
    """Why a view is not complete (wire values of `view_reasons`)."""

    NONE = 0
    INPUT_SILENT = 1  # an input was not heard within its time, or never
    INPUT_STAMPS = 2  # an input's stamps stand still, are old or ahead
    INPUT_REJECTED = 4  # an input's newest message could not be used: frame, joint names, lengths
    INPUT_FROZEN = 8  # an input repeats the same bodies under new stamps
    PERSON_UNPLACED = 16  # a tracker reports somebody without a place that can be used
    PERSON_IMPLAUSIBLE = 32  # ... or of a size that no body has
    PERSON_UNCONFIRMED = 64  # a newcomer is not yet believed
    PERSON_LOST = 128  # somebody was lost within the hold
    PEOPLE_OVER_LIMIT = 256  # more people than `max_people`
    RESET = 512  # start, activation or step of the clock within the hold: who was there before is not known
    FAILED = 1024  # the prediction itself failed


#: Characters of a person's id.
LONGEST_ID = 128
#: Age of an input that was never heard, seconds.
NEVER_S = float("inf")


@dataclass(frozen=True)
class InputEvidence:
    """What is known of one input at a time.

    Attributes:
        newest_ns: newest capture stamp of a message that could be used; 0: there was none.
        reasons: what is wrong with this input now; NONE: it is heard and can be used.
        unplaced: people whom it reports now without a place that can be used.
    """

    newest_ns: int = 0
    reasons: ViewReason = ViewReason.NONE
    unplaced: int = 0


@dataclass(frozen=True)
class ViewReport:
    """How complete the view is that a batch was made from.

    Attributes:
        view: the verdict.
        reasons: why it is not COMPLETE; NONE where it is.
        oldest_input_ns: of the newest capture stamp of each input, the oldest one; 0: not known.
        unplaced_people: how many people are reported now without a place that can be used.
    """

    view: View = View.UNKNOWN
    reasons: ViewReason = ViewReason.NONE
    oldest_input_ns: int = 0
    unplaced_people: int = 0

    def input_age_s(self, now_ns: int) -> float:
        """Age of the oldest input that counts, seconds; `NEVER_S` where it is not known."""
        return (now_ns - self.oldest_input_ns) * 1e-9 if self.oldest_input_ns > 0 else NEVER_S

    def refusal(self, now_ns: int, max_age_s: float) -> str:
        """Why nothing may be called free by this view, in one line; empty where it may.

        Args:
            now_ns: the present, on the clock of the stamps.
            max_age_s: oldest input that is still believed; one that is as far ahead is refused too.
        """
        if self.view is not View.COMPLETE:
            names = ", ".join(str(r.name).lower() for r in ViewReason if r and r & self.reasons)
            unplaced = f", {self.unplaced_people} reported without a place" if self.unplaced_people else ""
            return f"view is {self.view.name.lower()}" + (f" ({names}{unplaced})" if names or unplaced else "")
        if self.unplaced_people:
            return f"{self.unplaced_people} people are reported without a place"
        age_s = self.input_age_s(now_ns)
        if age_s == NEVER_S:
            return "the age of the input behind it is not known"
        if not abs(age_s) <= max_age_s:
            return f"the oldest input is {abs(age_s):.2f} s {'old' if age_s > 0 else 'ahead'}, limit {max_age_s:g} s"
        return ""


@dataclass(frozen=True)
class SkeletonFrame:
    """All people of one tracker message, mapped to `body20`.

    Attributes:
        stamp_ns: capture time, nanoseconds.
        frame_id: frame of the positions.
        person_ids: one per person, P of them.
        positions: (P, 20, 3) metres; missing joints hold any value.
        status: (P, 20) uint8 `JointStatus`.
        confidence: (P, 20) float32 in 0..1.
        covariance: (P, 20, 6) float32 m^2 as xx, xy, xz, yy, yz, zz, or None when unknown.
        unplaced: who is reported without a place that can be used, by id (a made-up one where there is none); some of
            them may be among `person_ids` too.
        view_reasons: why, beside that: PERSON_IMPLAUSIBLE, INPUT_FROZEN.

    Raises:
        ValueError: an id has more than `LONGEST_ID` characters.
    """

    stamp_ns: int
    frame_id: str
    person_ids: tuple[str, ...]
    positions: np.ndarray
    status: np.ndarray
    confidence: np.ndarray
    covariance: np.ndarray | None = None
    unplaced: tuple[str, ...] = ()
    view_reasons: ViewReason = ViewReason.NONE

    def __post_init__(self) -> None:
        for person_id in self.person_ids:
            if len(person_id) > LONGEST_ID:
                raise ValueError(
                    f"the id of a person has {len(person_id)} characters ({person_id[:20]!r}...): expected at most "
                    f"{LONGEST_ID}; the tracker or the recording is damaged"
                )


#: So many outcomes of a horizon tell how a model fits.
MIN_OUTCOMES = 30.0


class FitVerdict(IntEnum):
    """Whether the model fits what it sees (wire values of `SelfCheck.fit`)."""

    UNKNOWN = 0  # too few outcomes
    FITS = 1
    DOES_NOT_FIT = 2  # worse than holding the pose


@dataclass(frozen=True)
class Fit:
    """How predictions fitted what was then seen, over the last seconds, each (H,) and NaN where nothing is known.

    Attributes:
        error_m: mean distance of a joint from where it was seen, metres.
        holding_error_m: the same of a pose that stays as it was: a model above this does not fit.
        jitter_m: mean change of the predicted position of a joint, for one time, from one prediction to the next.
        unseen_share: part of the joints seen at the prediction that were not seen at its horizon.
        outcomes: predictions judged, older ones counting less.
        weights: (H, members) of the mix, or None.
    """

    error_m: np.ndarray
    holding_error_m: np.ndarray
    jitter_m: np.ndarray
    unseen_share: np.ndarray
    outcomes: np.ndarray
    weights: np.ndarray | None = None


@dataclass(frozen=True)
class SelfCheckReport:
    """The self-check of one moment, what the topic `self_check` carries.

    Attributes:
        stamp_ns: now.
        window_s: what is so old counts 1/e.
        horizons_s: (H,) seconds.
        verdict: of all people together.
        overall: of all people together, those who left too.
        people: of each person who is known, by id.
        members: what the mix weighs; empty without one.
        learning: what is learnt on line; None: nothing.
    """

    stamp_ns: int
    frame_id: str
    model_name: str
    model_version: str
    window_s: float
    horizons_s: np.ndarray
    verdict: FitVerdict
    overall: Fit
    people: Mapping[str, Fit]
    members: tuple[str, ...] = ()
    learning: Learning | None = None

    def remark(self) -> str:
        """What is wrong, in one line with the remedy; empty unless the model does not fit."""
        if self.verdict is not FitVerdict.DOES_NOT_FIT:
            return ""
        fit = self.overall
        worst = int(np.nanargmax(np.where(fit.outcomes >= MIN_OUTCOMES, fit.error_m - fit.holding_error_m, -1.0)))
        remedy = "train it on this motion" if self.members else "set mix to true, or train it on this motion"
        return (
            f"the model does not fit: {1e3 * fit.error_m[worst]:.0f} mm off after {self.horizons_s[worst]:.1f} s, "
            f"where holding the pose is {1e3 * fit.holding_error_m[worst]:.0f} mm off: {remedy}"
        )


@dataclass(frozen=True)
class Shipped:
    """What the model alone says where a learnt correction entered; as in `MotionPrediction`."""

    mean: np.ndarray
    radius: np.ndarray | None
    body_radius: np.ndarray | None


@dataclass(frozen=True)
class Learning:
    """What is learnt on line took off the error over the last minute, or would have; (H,), NaN: nothing is known.

    Attributes:
        mode: shadow or on.
        shipped_m: mean error of a joint of the model alone, metres.
        learnt_m: the same with the correction.
        share: of the corrections that enters where somebody new comes, 0..1.
        outcomes: judged, older ones counting less.
        learnt_s: seconds of people's motion that taught something.
        remark: what was last wrong with the file or the stream, in one line.
    """

    mode: str
    shipped_m: np.ndarray
    learnt_m: np.ndarray
    share: np.ndarray
    outcomes: np.ndarray
    learnt_s: float
    remark: str = ""

    def gain(self) -> np.ndarray:
        """(H,) part of the model's error that the correction takes off; below 0 it adds."""
        return 1.0 - self.learnt_m / np.maximum(self.shipped_m, 1e-6)


@dataclass(frozen=True)
class MotionPrediction:
    """One person's prediction. Step k (0-based) is at `stamp_ns + (k + 1) * dt`.

    Attributes:
        stamp_ns: origin of the steps: the newest observation; the time of the prediction once STALE or ABSENT.
        last_observed_ns: newest observation of this person.
        age_s: batch stamp minus `last_observed_ns`.
        valid_until_ns: after this time the prediction must not be used.
        mean: (steps, 20, 3) metres, finite, in the fixed frame.
        recovered: (20, 3) metres, finite: the newest known pose, missing joints filled in.
        joint_status: (20,) uint8 `JointStatus` of the newest observation.
        radius_basis: what `radius` means: "none", "reach:<speed>mps" (a speed, no coverage), "conformal" (calibrated).
        radius_coverage: nominal coverage of `radius`, of each joint and step on its own; NaN when it has none.
        radius: (steps, 20) metres around `mean`, or None.
        scale: (steps, 20, 3) metres, one sigma per axis of the fixed frame, or None.
        body_radius: (steps, 20) metres around `mean` that hold all joints at all steps together, or None where no such
            bound is calibrated: then only `radius` bounds the body.
        body_coverage: nominal coverage of `body_radius`, of the whole body at once; NaN when it has none.
        shipped: the same without what was learnt on line; None where nothing of it entered, or it enters everything.
    """

    person_id: str
    state: TrackState
    reasons: Reason
    stamp_ns: int
    last_observed_ns: int
    age_s: float
    valid_until_ns: int
    mean: np.ndarray
    recovered: np.ndarray
    joint_status: np.ndarray
    radius_basis: str = "none"
    radius_coverage: float = float("nan")
    radius: np.ndarray | None = None
    scale: np.ndarray | None = None
    body_radius: np.ndarray | None = None
    body_coverage: float = float("nan")
    shipped: Shipped | None = None

    def as_shipped(self) -> MotionPrediction:
        """Without what was learnt on line."""
        s = self.shipped
        if s is None:
            return self
        return replace(self, mean=s.mean, radius=s.radius, body_radius=s.body_radius, shipped=None)


@dataclass(frozen=True)
class PredictionBatch:
    """Every known person at one time.

    An empty `people` says that nobody is known; that nobody is there it says only with a `view` that is COMPLETE and
    fresh (`ViewReport.refusal`).
    """

    stamp_ns: int
    frame_id: str
    model_name: str
    model_version: str
    dt_s: float
    steps: int
    joint_names: tuple[str, ...]
    people: tuple[MotionPrediction, ...] = field(default_factory=tuple)
    processing_time_s: float = 0.0
    view: ViewReport = field(default_factory=ViewReport)

    def as_shipped(self) -> PredictionBatch:
        """Without what was learnt on line."""
        if all(p.shipped is None for p in self.people):
            return self
        return replace(self, people=tuple(p.as_shipped() for p in self.people))
