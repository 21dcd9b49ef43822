# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""What `aux-motion bench` measured, as readable tables."""

from __future__ import annotations

from typing import Any

from aux_motion.benchmarks.bench_echo import FLOOR
from aux_motion_core.inference.variants import table as variant_table

Record = dict[str, Any]


def table(records: list[Record]) -> str:
    """Records as readable tables, milliseconds."""
    parts = [_stage_table([r for r in records if r["stage"] not in ("variant", "end_to_end")])]
    if variants := [r for r in records if r["stage"] == "variant"]:
        parts.insert(0, variant_table(variants))
    if live_records := [r for r in records if r["stage"] == "end_to_end"]:
        parts.append(_live_table(live_records))
    return "\n\n".join(parts)


def _stage_table(records: list[Record]) -> str:
    titles = "".join(f"{t:>10}" for t in ("p50 ms", "p95 ms", "p99 ms"))
    head = f"{'stage':<12}{'backend':<30}{'people':>7}{'threads':>9}{titles}"
    lines = [head, "-" * len(head)]
    main, previous = records[0]["backend"], None
    for r in records:
        group = (r["backend"], r["people"], r["threads"]) if r["backend"] == main else r["backend"]
        if previous is not None and group != previous:
            lines.append("")
        previous = group
        lines.append(
            f"{r['stage']:<12}{r['backend']:<30}{r['people']:>7}{r['threads']:>9}"
            f"{r['p50_ms']:>10.2f}{r['p95_ms']:>10.2f}{r['p99_ms']:>10.2f}"
        )
    return "\n".join(lines)


def _live_table(records: list[Record]) -> str:
    head = (
        f"{'end_to_end':<12}{'rate Hz':>8}{'people':>7}{'p50 ms':>9}{'p99 ms':>9}{'echo p50':>10}{'p99':>8}"
        f"{'above p50':>11}{'p99':>8}{'missed':>8}{'of':>6}{'one core':>10}"
    )
    lines = [head, "-" * len(head)]
    for r in records:
        if r["backend"] == FLOOR:
            continue
        floor = next(
            f for f in records if (f["backend"], f["people"], f["rate_hz"]) == (FLOOR, r["people"], r["rate_hz"])
        )
        lines.append(
            f"{r['backend']:<12}{r['rate_hz']:>8}{r['people']:>7}{r['p50_ms']:>9.2f}{r['p99_ms']:>9.2f}"
            f"{floor['p50_ms']:>10.2f}{floor['p99_ms']:>8.2f}{r['above_floor_p50_ms']:>11.2f}"
            f"{r['above_floor_p99_ms']:>8.2f}{r['missed']:>8}{r['sent']:>6}{100 * r['node_cpu_share']:>9.0f}%"
        )
    first = records[0]
    lines.append(
        f"node: first prediction {first['start_to_first_prediction_s']:.2f} s after its start, "
        f"{first['node_rss_mib']:.0f} MiB resident"
    )
    return "\n".join(lines)
