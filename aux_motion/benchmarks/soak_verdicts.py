# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""What must stay during a soak run, and the verdicts on it."""

from __future__ import annotations

from typing import Any

import numpy as np

from aux_motion_core.constants import NS

#: Resident memory may change by this share from the beginning to the end.
MEMORY_SHARE = 0.02
#: Medians of the latency may grow by this share plus this time, ms; the clock and other programs cause that much.
LATENCY_SHARE, LATENCY_MS = 0.25, 0.5
#: Share of the frames that may get no prediction of their own, and of the seconds that may lack a diagnostics message.
MISSED_SHARE, SILENT_SHARE = 0.01, 0.1
#: Values without which a diagnostics message is not complete, by the part that has them.
EXPECTED = {
    "input": ("input_rate_hz", "messages", "bad_messages", "frame_errors", "stamp_age_s", "frames"),
    "prediction": (
        "backend",
        "predictions",
        "heartbeats",
        "superseded_inferences",
        "prediction_errors",
        "people",
        *(
            f"{stage}_ms_p99"
            for stage in ("convert", "resample", "backend", "learning", "describe", "message", "publish")
        ),
        "end_to_end_ms_p50",
        "end_to_end_ms_p99",
    ),
}
#: Seconds since the beginning, part -> values, level of a diagnostics message.
Heard = tuple[float, dict[str, dict[str, str]], int]


def judge(
    watch: Any,
    span_ns: tuple[int, int],
    memory: list[tuple[float, int]],
    diagnostics: list[Heard],
    seconds: float,
) -> dict[str, Any]:
    """Verdicts on a run.

    Args:
        watch: with `sent_ns`, `sent`, `latency_s`, `answered_at_ns` and `answers`.
        span_ns: what is judged, system clock.
        memory: (seconds, bytes resident), a value a second.
        diagnostics: (seconds, part -> values, level).
        seconds: length of the run.
    """
    sent_ns = watch.sent_ns[: watch.sent]
    sent = int(((sent_ns >= span_ns[0]) & (sent_ns < span_ns[1])).sum())
    at_ns, late_ms = watch.answered_at_ns[: watch.answers], 1e3 * watch.latency_s[: watch.answers].astype(float)
    late_ms = late_ms[(at_ns >= span_ns[0]) & (at_ns < span_ns[1] + NS // 4)]
    every = max(len(memory) // 60, 1)
    last = diagnostics[-1][1] if diagnostics else {}
    for values in last.values():
        values.pop("model_dir", None)  # says where it ran, not how
    return {
        "verdicts": [
            _memory(memory),
            _latency(late_ms),
            _frames(sent, max(sent - len(late_ms), 0)),
            _diagnostics(diagnostics, seconds),
        ],
        "latency_ms": {
            "p50": round(float(np.median(late_ms)), 3) if len(late_ms) else None,
            "p99": round(float(np.percentile(late_ms, 99)), 3) if len(late_ms) else None,
            "p50_by_tenth": [round(float(np.median(p)), 3) for p in np.array_split(late_ms, 10) if len(p)],
        },
        "resident_mib": [round(b / 2**20, 2) for _, b in memory[::every]],
        "last_diagnostics": last,
    }


def _verdict(name: str, passed: bool, seen: str) -> dict[str, Any]:
    return {"name": name, "passed": bool(passed), "seen": seen}


def _memory(memory: list[tuple[float, int]]) -> dict[str, Any]:
    fifth = max(len(memory) // 5, 1)
    before, after = (float(np.median([b for _, b in part])) for part in (memory[:fifth], memory[-fifth:]))
    grown = after / before - 1.0
    return _verdict(
        "memory",
        abs(grown) <= MEMORY_SHARE,
        f"resident {before / 2**20:.1f} MiB at first, {after / 2**20:.1f} MiB at last: {100 * grown:+.2f} %, "
        f"allowed {100 * MEMORY_SHARE:.0f} %",
    )


def _latency(late_ms: np.ndarray) -> dict[str, Any]:
    thirds = np.array_split(late_ms, 3)
    (first_p50, first_p99), (last_p50, last_p99) = (
        np.percentile(part, (50, 99)) if len(part) else (np.nan, np.nan) for part in (thirds[0], thirds[2])
    )
    allowed = (1.0 + LATENCY_SHARE) * first_p50 + LATENCY_MS
    return _verdict(
        "latency",
        last_p50 <= allowed,
        f"p50 {first_p50:.2f} ms in the first third, {last_p50:.2f} ms in the last, allowed "
        f"{allowed:.2f} ms; p99 {first_p99:.2f} and {last_p99:.2f} ms",
    )


def _frames(sent: int, missed: int) -> dict[str, Any]:
    return _verdict(
        "frames",
        sent > 0 and missed <= MISSED_SHARE * sent,
        f"{missed} of {sent} frames without a prediction of their own, allowed {100 * MISSED_SHARE:.0f} %",
    )


def _diagnostics(diagnostics: list[Heard], seconds: float) -> dict[str, Any]:
    missing = sorted(
        {
            f"{part}: {key}"
            for t, values, _ in diagnostics
            if t >= 3.0  # before, not every stage has run
            for part, keys in EXPECTED.items()
            for key in keys
            if key not in values.get(part, {})
        }
    )
    silent = 1.0 - min(len(diagnostics) / max(seconds - 1.0, 1.0), 1.0)
    errors = sum(level >= 2 for _, _, level in diagnostics)
    return _verdict(
        "diagnostics",
        not missing and not errors and silent <= SILENT_SHARE,
        f"{len(diagnostics)} messages in {seconds:.0f} s, {errors} with an error, "
        + (f"missing: {', '.join(missing[:5])}" if missing else "all complete"),
    )
