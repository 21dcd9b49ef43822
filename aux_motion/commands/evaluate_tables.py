# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""An evaluation's summary as CSV and as lines to read."""

from __future__ import annotations

import csv
from io import StringIO
from typing import Any

from aux_motion.commands.csv_cells import text_cell
from aux_motion_core.evaluation.judge import Verdict, error_table


def table(summary: dict[str, Any]) -> str:
    """The errors as CSV: one line for each scope, horizon and source."""
    text = StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(
        [
            "scope",
            "name",
            "horizon_s",
            "source",
            "samples",
            "mean_mm",
            "median_mm",
            "p95_mm",
            "low_mm",
            "high_mm",
            "unseen_share",
        ]
    )

    def rows(scope: str, name: str, key: str, cells: dict[str, Any], samples: int, unseen: Any) -> None:
        for source in summary["sources"]:
            c = cells[source]
            writer.writerow(
                [
                    scope,
                    text_cell(name),
                    key,
                    text_cell(source),
                    samples,
                    c["mean"],
                    c["median"],
                    c["p95"],
                    c.get("low"),
                    c.get("high"),
                    unseen,
                ]
            )

    for key, cells in summary["errors_mm"].items():
        rows("all", "", key, cells, summary["samples"][key], summary["unseen"].get(key, {}).get("share"))
    for key, joints in summary["joints_mm"].items():
        for joint, cells in joints.items():
            unseen = summary["unseen"].get(key, {}).get("joints", {}).get(joint)
            rows("joint", joint, key, cells, cells["samples"], unseen)
    for scope in ("speeds", "people"):
        for name, horizons in summary.get(f"{scope}_mm", {}).items():
            for key, cells in horizons.items():
                rows({"speeds": "speed", "people": "person"}[scope], name, key, cells, cells["samples"], None)
    return text.getvalue()


def _early(early: dict[str, Any]) -> str:
    return (
        f"outside {100 * early['joint_miss_share']:.2f} % of {early['joints_judged']} joints, some joint of "
        f"{100 * early['prediction_miss_share']:.2f} % of {early['predictions']} predictions, by up to "
        f"{early['farthest_beyond_mm']:.0f} mm"
    )


def text(summary: dict[str, Any]) -> str:
    """The summary in a few readable lines."""
    given = summary["input"]
    lines = [error_table(Verdict(summary["mpjpe_mm"], summary["samples"])), ""]
    if summary["unseen"]:
        shares = ", ".join(f"{k} s {100 * u['share']:.0f} %" for k, u in summary["unseen"].items())
        lines.append(f"never seen   {shares} of the joints that were seen when the prediction was made: not judged")
    for label, kind in summary["bounds"].items():
        cells = [f"{k} s {100 * c['coverage']:.1f} %" for k, c in kind["horizons"].items() if c["coverage"] is not None]
        nominal = "" if kind["nominal"] is None else f" (asked {100 * kind['nominal']:g} %)"
        lines.append(f"bound        {label}{nominal}: held {', '.join(cells)}")
        if kind["early"]:
            lines.append(f"  first {kind['early']['until_s']:g} s {_early(kind['early'])}")
    for label, kind in summary["onset"]["bounds"].items():
        cells = [f"{k} s {100 * c['coverage']:.1f} %" for k, c in kind["horizons"].items() if c["coverage"] is not None]
        if cells:
            lines.append(
                f"onset        {label}, of {kind['predictions']} of who stood and moves: held {', '.join(cells)}"
            )
    learning = summary.get("learning")
    if learning and learning["minutes"]:
        changes = [learning["change_percent"][i] for i in sorted({0, len(learning["minutes"]) - 1})]
        said = ", then ".join(", ".join(f"{k} s {v:+.1f} %" for k, v in c.items()) for c in changes)
        worst = learning["worst_minute_percent"]
        lines.append(f"learning     against the model, first and last minute: {said}; worst minute {worst:+.1f} %")
    rate = f"{given['rate_hz']:g} Hz" if given["rate_hz"] else "no rate"
    lines.append(
        f"input        {given['frames']} messages in {given['duration_s']:.1f} s ({rate}), "
        f"{given['people_count']} people, {given['rejected']} rejected, {given['gaps']['count']} gaps"
    )
    if given["counters"]:
        lines.append("repaired     " + ", ".join(f"{k} {v}" for k, v in given["counters"].items()))
    if summary.get("clock"):
        lines.append("stamps       " + ", ".join(f"{k} {v}" for k, v in sorted(summary["clock"].items())))
    delay = given["log_minus_stamp_ms"]
    if delay:
        lines.append(f"delay        log time minus stamp: least {delay['least']:.1f} ms, median {delay['p50']:.1f} ms")
    if given["processing_ms"]:
        lines.append("processing   " + ", ".join(f"{k} {v:.1f} ms" for k, v in given["processing_ms"].items()))
    return "\n".join(lines)
