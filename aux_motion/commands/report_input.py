# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""The section of the report of `aux-motion evaluate` on the input."""

from __future__ import annotations

from html import escape
from typing import Any

from aux_motion.commands.report_html import number, table, words
from aux_motion_core.wire.clock import FUTURE_S


def input_health(summary: dict[str, Any]) -> str:
    given = summary["input"]
    rows = [
        ["messages used", str(given["frames"])],
        ["rejected", f"{given['rejected']} ({100 * given['rejected_share']:.2f} %)"],
        ["duration", f"{given['duration_s']:.1f} s"],
        ["median rate", f"{number(given['rate_hz'], '{:.1f}')} Hz"],
        ["people (ids)", str(given["people_count"])],
        ["joints observed", f"{100 * given['joints_seen_share']:.1f} %"],
        ["messages with a prediction", f"{100 * given['predicted_share']:.1f} %"],
        ["gaps", str(given["gaps"]["count"])],
        ["repeated stamps", str(given["stamps"]["repeated"])],
        ["stamps that jump", str(given["stamps"]["jumps"])],
    ]
    rows += [[words(name), str(count)] for name, count in sorted((summary.get("clock") or {}).items())]
    delay, took = given["log_minus_stamp_ms"], given["processing_ms"]
    if delay:
        rows.append(
            [
                "log time minus stamp",
                f"least {delay['least']:.1f}, median {delay['p50']:.1f}, p95 {delay['p95']:.1f} ms",
            ]
        )
    if took:
        rows.append(
            ["message to prediction", f"median {took['p50']:.1f}, p95 {took['p95']:.1f}, p99 {took['p99']:.1f} ms"]
        )
    parts = ["<h2>The input</h2>", '<div class="cols"><div>', table(["", ""], rows), "</div><div>"]
    if given["counters"]:
        parts.append(
            "<h3>Repaired or left out</h3>"
            + table(["", "times"], [[words(k), str(v)] for k, v in given["counters"].items()])
        )
    if given["states"]:
        parts.append(
            "<h3>States of people</h3>"
            + table(["", "times"], [[words(k.lower()), str(v)] for k, v in given["states"].items()])
        )
    parts.append("</div></div>")
    for reason, count in given["rejected_reasons"].items():
        parts.append(f'<p class="note">{count} rejected: {escape(reason)}</p>')
    if delay:
        parts.append(f'<p class="muted small">{_delay_means(delay)}</p>')
    return "".join(parts)


def _delay_means(delay: dict[str, float]) -> str:
    if delay["least"] < -FUTURE_S * 1e3:
        return (
            f"Stamps are up to {-delay['least']:.0f}&nbsp;ms later than the recording of their messages: synchronise "
            "the tracker's clock with the recorder's. The delay is not known until then."
        )
    if delay["p50"] < 2.0:
        return (
            "Messages were recorded within 2&nbsp;ms of their stamps. A camera and its tracker need longer than that: "
            "the stamp is probably the time of publication, or it was written by who made the recording. Find the "
            "tracker's delay and set <code>stamp_latency_s</code>."
        )
    return (
        f"Half of the messages were recorded {delay['p50']:.0f}&nbsp;ms or more after their stamps: that is the "
        "tracker's delay when it stamps at capture. Leave <code>stamp_latency_s</code> at 0 then."
    )
