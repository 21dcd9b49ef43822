"""What travels between adapters, tracks, predictor and outputs."""

from __future__ import annotations

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
    """

    stamp_ns: int
    frame_id: str
    person_ids: tuple[str, ...]
    positions: np.ndarray
    status: np.ndarray
    confidence: np.ndarray
    covariance: np.ndarray | None = None


@dataclass(frozen=True)
class Shipped:
    """What the model alone says where a learnt correction entered; as in `MotionPrediction`."""

    mean: np.ndarray
    radius: np.ndarray | None
    body_radius: np.ndarray | None


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
        shipped: the same without what was learnt on line; None where nothing of it entered.
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
    """Every known person at one time; an empty `people` says that nobody is known."""

    stamp_ns: int
    frame_id: str
    model_name: str
    model_version: str
    dt_s: float
    steps: int
    joint_names: tuple[str, ...]
    people: tuple[MotionPrediction, ...] = field(default_factory=tuple)
    processing_time_s: float = 0.0

    def as_shipped(self) -> PredictionBatch:
        """Without what was learnt on line."""
        if all(p.shipped is None for p in self.people):
            return self
        return replace(self, people=tuple(p.as_shipped() for p in self.people))
