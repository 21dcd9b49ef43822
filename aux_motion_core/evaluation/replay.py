# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""A stream of frames through the predictor, message by message as the node takes them, without DDS."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from time import perf_counter

from aux_motion_core.config import PredictorConfig
from aux_motion_core.predictor import Inferred, Predictor
from aux_motion_core.types import MotionPrediction, PredictionBatch, SkeletonFrame, TrackState

#: A log time farther from the stamp than this is of another clock, and the stamp is taken as time of arrival.
_SAME_CLOCK_NS = 10_000_000_000
PREDICTED = (TrackState.TRACKING, TrackState.DEGRADED)
#: (log_time_ns, frame in the predictor's frame), in order of their log times.
Frames = Iterable[tuple[int, SkeletonFrame]]


def arrival_ns(log_time_ns: int, stamp_ns: int) -> int:
    """When a recorded message came in, on the clock of its stamps."""
    return log_time_ns if 0 <= log_time_ns - stamp_ns <= _SAME_CLOCK_NS else stamp_ns


def by_person(batch: PredictionBatch) -> dict[str, MotionPrediction]:
    """A batch's predictions by person id."""
    return {p.person_id: p for p in batch.people}


@dataclass(frozen=True)
class Replayed:
    """A frame and what was predicted with it.

    Attributes:
        log_time_ns: when it was recorded.
        now_ns: when it arrived, on the clock of its stamps.
        frame: as it went into the predictor.
        batch: what came out.
        inferred: what went into the backend; None: nothing new.
        took_s: how long that took.
        moves: id -> id under which that person went until this frame.
    """

    log_time_ns: int
    now_ns: int
    frame: SkeletonFrame
    batch: PredictionBatch
    inferred: Inferred | None
    took_s: float
    moves: dict[str, str] = field(default_factory=dict)


def quiet(config: PredictorConfig, calibrated: bool = True) -> PredictorConfig:
    """The configuration without what does not change predictions: everything is judged here anyway.

    Args:
        config: of the node.
        calibrated: the model has a calibration table, so that radii can adapt.
    """
    if config.adaptation == "shadow" or not calibrated:
        config = config.model_copy(update={"adaptation": "off"})
    if config.learning == "shadow":
        config = config.model_copy(update={"learning": "off"})
    if not config.mix and config.adaptation == config.learning == "off":
        config = config.model_copy(update={"self_check_s": 0.0})
    return config


def predict(frames: Frames, predictor: Predictor) -> Iterator[Replayed]:
    """Predict a stream as the node does: after every message, at its time of arrival.

    Args:
        frames: (log_time_ns, frame) in the predictor's frame, in order of their log times.
        predictor: fresh.
    """
    predictor.keep_inferred = True
    if predictor.self_check:
        predictor.self_check.measures = False
    for log_time_ns, frame in frames:
        now_ns = arrival_ns(log_time_ns, frame.stamp_ns)
        start = perf_counter()
        predictor.add(frame)
        batch = predictor.predict(now_ns)
        yield Replayed(log_time_ns, now_ns, frame, batch, predictor.inferred, perf_counter() - start, predictor.moves)
