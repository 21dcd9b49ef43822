# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""A stream of frames through the predictor, as the node takes them, without DDS."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import Executor
from dataclasses import dataclass, field

from aux_motion_core.config import PredictorConfig
from aux_motion_core.evaluation.together import Answered, Together
from aux_motion_core.person_batch import Inferred
from aux_motion_core.predictor import Predictor
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
        took_s: how long that took; frames that are predicted together share the time.
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


def predict(frames: Frames, predictor: Predictor, thread: Executor | None = None) -> Iterator[Replayed]:
    """Predict a stream as the node does: after every message, at its time of arrival.

    Messages that no outcome tells apart are predicted in one batch, see `together`. So the frames may be ahead of what
    is given, and what the predictor says of itself too.

    Args:
        frames: (log_time_ns, frame) in the predictor's frame, in order of their log times.
        predictor: fresh.
        thread: in which the backend answers, while what was asked before is judged; None: in this one. Which it is
            changes no bit of what is predicted.
    """
    if predictor.self_check:
        predictor.self_check.measures = False
    together = Together(predictor, None if predictor.learns else thread)
    for log_time_ns, frame in frames:
        yield from map(_replayed, together.take(log_time_ns, arrival_ns(log_time_ns, frame.stamp_ns), frame))
    yield from map(_replayed, together.rest())


def _replayed(one: Answered) -> Replayed:
    e = one.entered
    return Replayed(e.log_time_ns, e.now_ns, e.frame, one.batch, one.inferred, one.took_s, e.moves)
