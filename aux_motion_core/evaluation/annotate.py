# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""A recording with what was predicted and what came of it, for RViz and Foxglove."""

from __future__ import annotations

from collections.abc import Iterator
from math import isfinite
from typing import Any

import numpy as np

from aux_motion_core.bags.definitions import store_for
from aux_motion_core.bags.files import BagError
from aux_motion_core.bags.markers import Marker, marker_array, number
from aux_motion_core.bags.writer import BagWriter
from aux_motion_core.constants import NS
from aux_motion_core.evaluation.errors import mean_of_seen
from aux_motion_core.evaluation.outcomes import Outcomes
from aux_motion_core.skeleton import BONES
from aux_motion_core.types import MotionPrediction, PredictionBatch, Reason, SkeletonFrame, TrackState
from aux_motion_core.wire.messages import ns_to_stamp

_BONES = np.array(BONES)
_LINE_LIST, _TEXT, _DELETE_ALL = 5, 9, 3
_NOW, _SOON, _LATER, _SEEN = (
    (0.12, 0.47, 0.71, 1.0),
    (0.16, 0.62, 0.56, 0.9),
    (0.91, 0.44, 0.32, 0.9),
    (0.6, 0.6, 0.65, 0.8),
)
_SOON_S = 0.4
_LINE_WIDTH_M = 0.02
_CLEAR = Marker("", 0, _LINE_LIST, action=_DELETE_ALL, scale=(_LINE_WIDTH_M, 0.0, 0.0))
ARRAY = "visualization_msgs/msg/MarkerArray"
DIAGNOSTICS = "diagnostic_msgs/msg/DiagnosticArray"
NUMBER = "std_msgs/msg/Float32"


class Annotator:
    """Writes topics:

    - `/skeletons` every frame, `/predictions` and `/markers` (present, 0.4 s and the last step) at most `rate_hz`;
    - `/evaluation/seen_later`: markers of where people were seen at the last horizon of the prediction shown;
    - `/evaluation/error_mm_at_0_4s` and so on: mean error of what was predicted at that time;
    - `/diagnostics` once a second: state and reasons of each person.

    Once the file cannot be written any more the rest is left out; `failure` says why.

    Args:
        writer: open.
        rate_hz: of predictions and markers: a person cannot look at more, and files stay small.
    """

    def __init__(self, writer: BagWriter, rate_hz: float = 10.0) -> None:
        self._writer, self._period_ns = writer, round(NS / rate_hz)
        self._next_ns = self._next_seen_ns = self._next_diagnostics_ns = 0
        self._frame_id = ""
        self._types = store_for(ARRAY).types
        self.failure = ""

    def frame(self, now_ns: int, frame: SkeletonFrame, batch: PredictionBatch) -> None:
        """Take a frame and what was predicted with it."""
        if self.failure:
            return
        self._frame_id = batch.frame_id
        try:
            self._writer.write("/skeletons", frame, now_ns)
            if not 0 < self._next_ns - now_ns <= NS:
                self._next_ns = now_ns + self._period_ns
                self._writer.write("/predictions", batch, now_ns)
                self._writer.write_raw("/markers", ARRAY, self._prediction_markers(batch), now_ns)
            if not 0 < self._next_diagnostics_ns - now_ns <= NS:
                self._next_diagnostics_ns = now_ns + NS
                self._writer.write_message("/diagnostics", DIAGNOSTICS, self._diagnostics(batch), now_ns)
        except BagError as error:
            self.failure = str(error)

    def outcomes(self, outcomes: Outcomes, names: dict[int, str]) -> None:
        """Take outcomes; they are written at the time of their predictions."""
        if self.failure or not len(outcomes.predicted):
            return
        p = outcomes.predicted
        error_mm = 1e3 * mean_of_seen(outcomes.error_m[:, 0])  # (N, H)
        topics = [f"/evaluation/error_mm_at_{h:.1f}s".replace(".", "_") for h in outcomes.horizons_s]
        try:
            for stamp_ns, rows in _by_stamp(p.stamp_ns, p.judged):
                mean = error_mm[rows[0]] if len(rows) == 1 else mean_of_seen(error_mm[rows].T)
                for topic, value in zip(topics, mean.tolist(), strict=True):
                    if isfinite(value):
                        self._writer.write_raw(topic, NUMBER, number(value), stamp_ns)
                if not 0 < self._next_seen_ns - stamp_ns <= NS:
                    self._next_seen_ns = stamp_ns + self._period_ns
                    markers = [_CLEAR]
                    for row in rows[outcomes.seen[rows, -1].sum(1) > 1]:
                        pose = np.where(outcomes.seen[row, -1, :, None], outcomes.truth[row, -1], np.nan)
                        markers.append(_lines(int(p.person[row]), "seen_later", [pose], [_SEEN]))
                    raw = marker_array(markers, stamp_ns, self._frame_id)
                    self._writer.write_raw("/evaluation/seen_later", ARRAY, raw, stamp_ns)
        except BagError as error:
            self.failure = str(error)

    def _prediction_markers(self, batch: PredictionBatch) -> bytes:
        markers = [_CLEAR]
        for number_, person in enumerate(batch.people):
            soon = min(round(_SOON_S / batch.dt_s) - 1, len(person.mean) - 1)
            poses = [person.recovered, person.mean[soon], person.mean[-1]]
            markers.append(_lines(number_, "skeletons", poses, [_NOW, _SOON, _LATER]))
            markers.append(_label(number_, person))
        return marker_array(markers, batch.stamp_ns, self._frame_id)

    def _diagnostics(self, batch: PredictionBatch) -> Any:
        t = self._types
        status = []
        for person in batch.people:
            level = 0 if person.state == TrackState.TRACKING else 1
            reasons = ", ".join(str(r.name).lower() for r in Reason if r and r in person.reasons) or "none"
            values = [t["diagnostic_msgs/msg/KeyValue"](key="reasons", value=reasons)]
            status.append(
                t["diagnostic_msgs/msg/DiagnosticStatus"](
                    level=level,
                    name=f"evaluation: {person.person_id}",
                    message=person.state.name,
                    hardware_id="",
                    values=values,
                )
            )
        return t[DIAGNOSTICS](header=self._header(batch.stamp_ns), status=status)

    def _header(self, stamp_ns: int) -> Any:
        t = self._types
        stamp = t["builtin_interfaces/msg/Time"](**ns_to_stamp(stamp_ns))
        return t["std_msgs/msg/Header"](stamp=stamp, frame_id=self._frame_id)


def _by_stamp(stamp_ns: np.ndarray, judged: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    """Each stamp, in order, and the rows that are judged and have it."""
    rows = np.flatnonzero(judged)
    rows = rows[np.argsort(stamp_ns[rows], kind="stable")]
    stamps, first = np.unique(stamp_ns[rows], return_index=True)
    yield from zip(stamps.tolist(), np.split(rows, first[1:]), strict=True) if len(rows) else ()


def _lines(number_: int, namespace: str, poses: list[np.ndarray], colours: list[tuple[float, ...]]) -> Marker:
    points, shades = [], []
    for pose, colour in zip(poses, colours, strict=True):
        ends = np.asarray(pose, float)[_BONES]
        ends = ends[np.isfinite(ends).all((1, 2))].reshape(-1, 3)
        points.append(ends)
        shades.append(np.broadcast_to(np.array(colour, np.float32), (len(ends), 4)))
    return Marker(
        namespace,
        number_,
        _LINE_LIST,
        points=np.concatenate(points),
        colours=np.concatenate(shades),
        scale=(_LINE_WIDTH_M, 0.0, 0.0),
    )


def _label(number_: int, person: MotionPrediction) -> Marker:
    x, y, z = person.recovered[np.argmax(person.recovered[:, 2])].tolist()
    text = f"{person.person_id} {person.state.name.lower()}"
    return Marker("labels", number_, _TEXT, position=(x, y, z + 0.25), scale=(0.0, 0.0, 0.12), text=text)
