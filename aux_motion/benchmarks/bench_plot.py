# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""A picture of what `aux-motion bench` measured (needs matplotlib, extra `plots`)."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from aux_motion.benchmarks.bench import STAGES
from aux_motion.benchmarks.bench_echo import FLOOR

_COLOURS = ("#264653", "#7f8fa6", "#2a9d8f", "#b5838d", "#e9c46a", "#8d6cab", "#e76f51")
_ECHO = "#b9bec9"


def check(file: Path) -> None:
    """See that `draw` can write a picture of that name, before anything is measured.

    Raises:
        ValueError: matplotlib is not installed, or makes no such pictures.
    """
    os.environ["MPLBACKEND"] = "agg"  # the environment may name one that is not here, as Jupyter does
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise ValueError("--picture needs matplotlib: pip install 'aux_motion[plots]'") from None
    kinds = Figure().canvas.get_supported_filetypes()
    if file.suffix.lower().lstrip(".") not in kinds:
        raise ValueError(f"--picture {file}: expected a name that ends in .png, .svg or .pdf")


def draw(records: list[dict[str, Any]], file: Path) -> None:
    """Stages by number of people, and end-to-end latency by rate beside the node that only answers.

    Args:
        records: of `bench.run`.
        file: see `check`.

    Raises:
        ValueError: see `check`.
    """
    check(file)
    import matplotlib.pyplot as plt

    live = [r for r in records if r["stage"] == "end_to_end"]
    staged = [r for r in records if r["stage"] in STAGES]
    main = staged[0]["backend"]
    staged = [r for r in staged if (r["backend"], r["threads"]) == (main, staged[0]["threads"])]
    people = sorted({r["people"] for r in staged})
    rates = sorted({r["rate_hz"] for r in live})
    figure, axes = plt.subplots(
        1, 1 + len(rates), figsize=(4.2 + 2.3 * len(rates), 3.8), width_ratios=[1.5] + [1.0] * len(rates)
    )
    first, *others = axes if rates else [axes]
    places = range(len(people))
    bottom = [0.0] * len(people)
    for colour, stage in zip(_COLOURS, STAGES[:-2], strict=True):
        height = [next(r["p50_ms"] for r in staged if (r["stage"], r["people"]) == (stage, n)) for n in people]
        first.bar(places, height, bottom=bottom, color=colour, label=stage, width=0.7)
        bottom = [a + b for a, b in zip(bottom, height, strict=True)]
    first.set_title(f"stages, {main}, p50", fontsize=10)
    first.set_ylabel("ms")
    first.legend(fontsize=8, frameon=False)
    for axis, rate in zip(others, rates, strict=True):
        for k, (backend, colour, name) in enumerate(((FLOOR, _ECHO, "echo"), (main, _COLOURS[2], "node"))):
            rows = [r for r in live if r["backend"] == backend and r["rate_hz"] == rate]
            at = [people.index(r["people"]) + 0.4 * k - 0.2 for r in rows]
            axis.bar(at, [r["p50_ms"] for r in rows], color=colour, width=0.36, label=f"{name}, p50")
            axis.plot(at, [r["p99_ms"] for r in rows], "_", color="#1f2430", markersize=9, label="p99" if k else None)
            for x, r in zip(at, rows, strict=True):
                if r["missed"] and backend != FLOOR:
                    axis.annotate(f"{r['missed']}/{r['sent']}\nmissed", (x, r["p50_ms"]), ha="center", fontsize=7)
        axis.axhline(1000.0 / rate, color="#e76f51", linewidth=0.8, linestyle=":", label="one frame")
        axis.set_title(f"over DDS at {rate} Hz", fontsize=10)
        axis.set_yscale("log")
        axis.set_ylim(0.5, 300.0)
    if others:
        others[0].legend(fontsize=7, frameon=False, loc="upper left")
    for axis in (first, *others):
        axis.set_xticks(list(places), [str(n) for n in people])
        axis.set_xlabel("people")
        axis.spines[["top", "right"]].set_visible(False)
    file.parent.mkdir(parents=True, exist_ok=True)
    figure.tight_layout()
    figure.savefig(file, dpi=120)
    plt.close(figure)
