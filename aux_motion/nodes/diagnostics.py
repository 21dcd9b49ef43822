# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""The content of /diagnostics."""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from builtin_interfaces.msg import Time
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue

from aux_motion_core.inference.interface import Backend
from aux_motion_core.types import NEVER_S, Learning, PredictionBatch, Reason, SelfCheckReport, TrackState, ViewReason
from aux_motion_core.wire.clock import StampClock
from aux_motion_core.wire.messages import ns_to_stamp

#: How long an error stays the status' level after it was seen last.
RECENT_S = 5.0
_RATE_WINDOW_S = 5.0
_OK, _WARN, _ERROR = DiagnosticStatus.OK, DiagnosticStatus.WARN, DiagnosticStatus.ERROR
#: Why a view is not complete that somebody should look at.
_UNSEEN = (
    ViewReason.INPUT_STAMPS
    | ViewReason.INPUT_REJECTED
    | ViewReason.INPUT_FROZEN
    | ViewReason.PERSON_UNPLACED
    | ViewReason.PERSON_IMPLAUSIBLE
)


class Rolling:
    """The last values of a quantity, for quantiles."""

    def __init__(self, size: int = 1000) -> None:
        """Keep `size` values."""
        self._values = np.empty(size)
        self._n = 0

    def add(self, seconds: float) -> None:
        """Note a duration in seconds."""
        self._values[self._n % len(self._values)] = seconds
        self._n += 1

    def quantiles_ms(self) -> dict[str, float]:
        """p50, p95 and p99 in milliseconds; empty before the first value."""
        if not self._n:
            return {}
        found = np.percentile(self._values[: self._n], (50, 95, 99)) * 1e3
        return dict(zip(("p50", "p95", "p99"), found.tolist(), strict=True))


@dataclass
class Problem:
    """A kind of error: count, time and text of the last one."""

    count: int = 0
    last: str = ""
    when: float = field(default=float("-inf"))

    def note(self, line: str) -> None:
        """Count one more, with its text."""
        self.count += 1
        self.last = line
        self.when = time.monotonic()

    @property
    def recent(self) -> bool:
        """Seen during the last `RECENT_S`."""
        return time.monotonic() - self.when < RECENT_S


#: Stages from a message to its prediction, in order, then the whole from the arrival on.
STAGES = ("convert", "resample", "backend", "learning", "describe", "inference", "message", "publish", "end_to_end")


class Diagnostics:
    """Collects on the hot path (appends only); another thread may make the report."""

    def __init__(self, name: str) -> None:
        """Report under `name`, the node's."""
        self.name = name
        self.lifecycle = "unconfigured"
        self.failure = ""
        #: About how the node was started: parameter files that do not fit, mistyped names.
        self.remarks: list[str] = []
        self.about: dict[str, str] = {}
        self.backend: Backend | None = None
        self.clock = StampClock()
        self.fit: SelfCheckReport | None = None
        #: What radii mean and how often they held (`Predictor.about_bounds`).
        self.bounds: dict[str, str] = {}
        #: What was last wrong with the file of what is learnt.
        self.learned_file_trouble = ""
        self.bad_messages = Problem()
        self.frame_errors = Problem()
        self.prediction_errors = Problem()
        self.upside_down = Problem()
        #: Durations by stage; `inference` is resample, backend and describe together.
        self.stages = {name: Rolling() for name in STAGES}
        #: What the kernel gave and refused (`aux_motion.nodes.realtime.apply`), and where a trace is written.
        self.realtime: dict[str, str] = {}
        #: What is wrong with the inputs, and about them.
        self.source_trouble = ""
        self.source_values: dict[str, object] = {}
        self.messages = 0
        self.predictions = 0
        self.heartbeats = 0
        self.marker_arrays = 0
        self.superseded = 0
        self.resets = 0
        self.newest_stamp_ns: int | None = None
        self.counters: Counter[str] = Counter()
        self._arrivals: deque[float] = deque(maxlen=1000)
        self._batch: PredictionBatch | None = None

    def arrived(self) -> None:
        """Count a message, good or bad."""
        self.messages += 1
        self._arrivals.append(time.monotonic())

    def predicted(self, batch: PredictionBatch) -> None:
        """A batch was published."""
        self.predictions += 1
        self._batch = batch
        for person in batch.people:
            if person.reasons & Reason.NOT_Z_UP:
                self.upside_down.note(
                    f"person {person.person_id} stands upside down in {batch.frame_id!r}: "
                    "the fixed frame must have z up, or the frame of the input is wrong"
                )

    def timed(self, stage_s: Mapping[str, float], start: float, inferred: float, written: float, done: float) -> None:
        """Note how long the stages of a prediction took.

        Args:
            stage_s: of the predictor (`Predictor.stage_s`).
            start, inferred, written, done: when it began, was inferred, was written and was published
                (`time.perf_counter`).
        """
        for name, seconds in stage_s.items():
            self.stages[name].add(seconds)
        self.stages["inference"].add(inferred - start)
        self.stages["message"].add(written - inferred)
        self.stages["publish"].add(done - written)

    def input_rate_hz(self) -> float:
        """Messages a second over the last seconds."""
        now = time.monotonic()
        recent = [t for t in list(self._arrivals) if now - t < _RATE_WINDOW_S]
        if len(recent) < 2:
            return 0.0
        silent = now - recent[-1] > 1.0
        return (len(recent) - 1) / max((now if silent else recent[-1]) - recent[0], 1e-3)

    def report(self, now_ns: int) -> DiagnosticArray:
        """The message of this second.

        Args:
            now_ns: the node's clock, nanoseconds.
        """
        array = DiagnosticArray(status=[self._input(now_ns), self._prediction()])
        array.header.stamp = Time(**ns_to_stamp(now_ns))
        return array

    def _status(self, part: str, level: bytes, message: str, values: dict[str, object]) -> DiagnosticStatus:
        pairs = [
            KeyValue(key=key, value=f"{value:.3f}" if isinstance(value, float) else str(value))
            for key, value in values.items()
        ]
        return DiagnosticStatus(
            level=level, name=f"{self.name}: {part}", message=message, hardware_id=self.name, values=pairs
        )

    def _input(self, now_ns: int) -> DiagnosticStatus:
        values: dict[str, object] = {
            "input_topic": self.about.get("input_topic", ""),
            "fixed_frame": self.about.get("fixed_frame", ""),
            "input_rate_hz": self.input_rate_hz(),
            "messages": self.messages,
            "bad_messages": self.bad_messages.count,
            "last_bad_message": self.bad_messages.last,
            "frame_errors": self.frame_errors.count,
            "last_frame_error": self.frame_errors.last,
            "resets": self.resets,
            "stamp_source": self.clock.source,
        }
        values.update(self.source_values)
        if self._batch is not None:
            view = self._batch.view
            values["view"] = view.view.name.lower()
            values["view_reasons"] = ", ".join(r.name.lower() for r in ViewReason if r and r & view.reasons)
            values["people_without_place"] = view.unplaced_people
        if self.clock.drift_rate is not None:
            values["stamp_drift_ms_per_s"] = 1e3 * self.clock.drift_rate
        if self._arrivals:
            values["input_age_s"] = time.monotonic() - self._arrivals[-1]
        if self.newest_stamp_ns is not None:
            values["stamp_age_s"] = (now_ns - self.newest_stamp_ns) * 1e-9
        values.update(sorted((Counter(dict(self.counters)) + Counter(dict(self.clock.counters))).items()))
        return self._status("input", *self.input_verdict(now_ns), values)

    def input_verdict(self, now_ns: int) -> tuple[bytes, str]:
        """Level and message about the input.

        Args:
            now_ns: the node's clock, nanoseconds.
        """
        if self.frame_errors.recent:
            level, message = _ERROR, self.frame_errors.last
        elif self.bad_messages.recent:
            level, message = _WARN, self.bad_messages.last
        elif self.upside_down.recent:
            level, message = _WARN, self.upside_down.last
        elif self.lifecycle != "active":
            level, message = _OK, "not active"
        elif self.source_trouble:
            level, message = _WARN, self.source_trouble
        elif not self._arrivals or time.monotonic() - self._arrivals[-1] > RECENT_S:
            level, message = _WARN, f"no messages on {self.about.get('input_topic')}"
        elif stamps := self.clock.trouble():
            level, message = _WARN, stamps
        elif self._batch is not None and self._batch.view.reasons & _UNSEEN:
            level, message = _WARN, f"somebody may be there unseen: {self._batch.view.refusal(now_ns, NEVER_S)}"
        else:
            level, message = _OK, "receiving"
        return level, message

    def _prediction(self) -> DiagnosticStatus:
        values: dict[str, object] = {"lifecycle_state": self.lifecycle, **self.about}
        backend = {} if self.backend is None else dict(self.backend.about)
        values.update(backend)
        values.update(() if self.backend is None else sorted(list(self.backend.counters.items())))
        values.update(
            predictions=self.predictions,
            heartbeats=self.heartbeats,
            marker_arrays=self.marker_arrays,
            superseded_inferences=self.superseded,
            prediction_errors=self.prediction_errors.count,
        )
        if self._batch is not None:
            states = Counter(p.state for p in self._batch.people)
            values["people"] = len(self._batch.people)
            values.update({f"people_{state.name.lower()}": states[state] for state in TrackState})
        values.update(dict(self.realtime))
        for name, times in self.stages.items():
            for quantile, value in times.quantiles_ms().items():
                values[f"{name}_ms_{quantile}"] = value
        values.update(() if self.fit is None else _fit_values(self.fit))
        if self.fit is not None and self.fit.learning is not None:
            values.update(_learning_values(self.fit.learning), learned_file_trouble=self.learned_file_trouble)
        values.update(self.bounds)
        if self.failure:
            level, message = _ERROR, self.failure
        elif self.prediction_errors.recent:
            level, message = _ERROR, self.prediction_errors.last
        elif self.remarks:
            level, message = _WARN, "; ".join(self.remarks)
        elif "fallback" in backend:
            level, message = _WARN, f"the CPU predicts: {backend['fallback']}"
        elif self.lifecycle == "active" and self.fit is not None and (remark := self.fit.remark()):
            level, message = _WARN, remark
        elif self.lifecycle == "active" and "was not calibrated" in self.bounds.get("uncalibrated_because", ""):
            level, message = _WARN, self.bounds["uncalibrated_because"]
        elif self.lifecycle == "active":
            level, message = _OK, "predicting"
        else:
            level, message = _OK, self.lifecycle
        return self._status("prediction", level, message, values)


def _fit_values(report: SelfCheckReport) -> dict[str, str]:
    """The self-check of all people together: a number for each horizon."""
    fit = report.overall

    def row(values: np.ndarray, factor: float = 1.0, digits: int = 1) -> str:
        return " ".join(f"{factor * v:.{digits}f}" for v in values)

    return {
        "self_check": report.verdict.name.lower(),
        "self_check_horizons_s": row(report.horizons_s, digits=2),
        "self_check_error_mm": row(fit.error_m, 1e3),
        "self_check_holding_error_mm": row(fit.holding_error_m, 1e3),
        "self_check_jitter_mm": row(fit.jitter_m, 1e3),
        "self_check_unseen_share": row(fit.unseen_share, digits=3),
        "self_check_outcomes": row(fit.outcomes, digits=0),
    }


def _learning_values(learning: Learning) -> dict[str, str]:
    """What is learnt on line, in figures: a number for each horizon."""

    def row(values: np.ndarray, factor: float = 1.0, digits: int = 1) -> str:
        return " ".join(f"{factor * v:.{digits}f}" for v in values)

    return {
        "learning": learning.mode,
        "learning_model_error_mm": row(learning.shipped_m, 1e3),
        "learning_error_mm": row(learning.learnt_m, 1e3),
        "learning_gain_percent": row(learning.gain(), 1e2),
        "learning_share": row(learning.share, digits=2),
        "learning_outcomes": row(learning.outcomes, digits=0),
        "learning_learnt_s": f"{learning.learnt_s:.0f}",
        "learning_remark": learning.remark,
    }
