# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""Sections of the report of `aux-motion evaluate` on errors, bounds, faults and recordings."""

from __future__ import annotations

from collections.abc import Callable
from html import escape
from typing import Any

from aux_motion.commands.report_html import Pictures, number, table, words


def verdict(summary: dict[str, Any]) -> list[str]:
    """What the figures say, in sentences; nothing that the intervals do not support."""
    errors, sources = summary["errors_mm"], summary["sources"]
    first = sources[0]
    lines = []
    for key in [k for k in ("0.4", "1.0") if k in errors] or list(errors)[:1]:
        cell = errors[key][first]
        interval = f" (95&nbsp;% interval {cell['low']:.0f} to {cell['high']:.0f})" if cell["low"] is not None else ""
        rivals = [s for s in sources if s not in (first, "mix", "model")]
        text = f"{key}&nbsp;s ahead, joints are off by <b>{cell['mean']:.0f}&nbsp;mm</b> on average{interval}"
        if rivals:
            best = min(rivals, key=lambda s: errors[key][s]["mean"])
            ratio, low, high = errors[key][best]["first_is"]
            told = ""
            if low is not None and high is not None:
                told = f", interval {low:.2f} to {high:.2f}"
                if low <= 1.0 <= high:
                    told += ": this recording does not tell them apart"
            text += f"; that is <b>{ratio:.2f}</b> of the best baseline here ({words(best)}{told})"
        lines.append(text + ".")
    if errors and errors[next(iter(errors))][first]["low"] is None:
        lines.append(
            f"The recording is too short for intervals: it has {summary['segments']} segments of "
            f"{summary['segment_s']:g}&nbsp;s of a person, 5 are needed."
        )
    return lines


def error_table(summary: dict[str, Any]) -> str:
    errors, rows, classes = summary["errors_mm"], [], []
    for source in summary["sources"]:
        row = [words(source)]
        for cells in errors.values():
            cell = cells[source]
            best = ' class="best"' if cell["mean"] == min(c["mean"] for c in cells.values()) else ""
            parts = f"{number(cell['median'])} / {number(cell['p95'])}"
            row.append(f'<td{best}>{number(cell["mean"])}<br><span class="muted small">{parts}</span></td>')
        rows.append(row)
        classes.append("first" if source == summary["sources"][0] else "")
    rows.append(["samples", *(f"{n}" for n in summary["samples"].values())])
    classes.append("muted")
    return table(["mm", *(f"{k} s" for k in errors)], rows, classes) + (
        '<p class="muted small">Mean, and below it median / 95th percentile. A sample is a person at a time; its error '
        "is the mean over the joints that were observed at that time. Green: the smallest of its column.</p>"
    )


def groups(summary: dict[str, Any], name: str, title: str) -> str:
    groups = summary.get(name, {})
    if not groups:
        return ""
    keys = list(summary["errors_mm"])
    rows = []
    for group, cells in groups.items():
        shown = [number(cells[k][summary["sources"][0]]["mean"]) if k in cells else "&ndash;" for k in keys]
        samples = max((c["samples"] for c in cells.values()), default=0)
        rows.append([escape(group), *shown, str(samples)])
    return f"<div><h3>{title}</h3>" + table(["mm", *(f"{k} s" for k in keys), "samples"], rows) + "</div>"


def small_table(summary: dict[str, Any]) -> str:
    """Jitter, bones and never seen by horizon."""
    keys = list(summary["errors_mm"])
    first = summary["sources"][0]
    rows = []

    def row(name: str, value: Callable[[str], float | None], pattern: str) -> None:
        rows.append([name, *(number(value(k), pattern) for k in keys)])

    def cell(table: str, *path: str) -> Callable[[str], float | None]:
        def find(key: str) -> float | None:
            found: Any = summary[table].get(key)
            for part in path:
                found = found.get(part) if isinstance(found, dict) else None
            return found

        return find

    row("jitter: change between successive predictions for one time, mm", cell("jitter_mm", first, "mean"), "{:.1f}")
    still = "zero_velocity"
    if still in summary["sources"] and still != first:
        row("the same of the pose held", cell("jitter_mm", still, "mean"), "{:.1f}")
    bone = cell("bones", first, "mean")
    row("bones: mean change of their length, %", lambda k: None if bone(k) is None else 100 * bone(k), "{:.1f}")
    unseen = cell("unseen", "share")
    row("outcomes never seen, %", lambda k: None if unseen(k) is None else 100 * unseen(k), "{:.0f}")
    own = summary["bones"].get("input", {}).get("mean")
    told = "" if own is None else f" The tracker itself changes bones by {100 * own:.1f}&nbsp;% on average."
    return table(["", *(f"{k} s" for k in keys)], rows) + (
        '<p class="muted small">What is never seen is not judged: where joints vanish (hidden, out of view) the errors '
        f"above are of the easier part.{told}</p>"
    )


def bounds(summary: dict[str, Any], pictures: Pictures) -> str:
    if not summary["bounds"]:
        return (
            "<h2>Bounds</h2><p>The model publishes no radius for people it tracks (reason <code>uncalibrated</code>), "
            "so there is no coverage to judge.</p>"
        )
    parts = ["<h2>Bounds: did they hold, and how large were they?</h2>"]
    parts.append(pictures("bounds", "coverage and radius over the horizon", summary))
    rows = []
    for label, kind in summary["bounds"].items():
        for key, cell in kind["horizons"].items():
            span = "" if cell["low"] is None else f" ({100 * cell['low']:.1f}&ndash;{100 * cell['high']:.1f})"
            rows.append(
                [
                    escape(label),
                    key,
                    str(cell["joints_judged"]),
                    number(None if kind["nominal"] is None else 100 * kind["nominal"], "{:g}"),
                    number(None if cell["coverage"] is None else 100 * cell["coverage"], "{:.1f}") + span,
                    number(None if cell["body_coverage"] is None else 100 * cell["body_coverage"], "{:.1f}"),
                    number(cell["radius_mm"]["median"]),
                    number(cell["volume_ratio_median"], "{:.3f}"),
                    number(cell["interval_score_mm"]),
                ]
            )
    head = [
        "bound",
        "s",
        "joints",
        "asked, %",
        "inside, %",
        "people wholly, %",
        "radius, mm",
        "volume / ISO",
        "score, mm",
    ]
    parts.append(table(head, rows))
    parts.append(early_misses(summary))
    parts.append(onsets(summary))
    if summary["table"]:
        keys = list(summary["errors_mm"])
        rows = []
        for level, cells in summary["table"].items():
            shown = [number(100 * cells[k]["coverage"], "{:.1f}") if k in cells else "&ndash;" for k in keys]
            rows.append([f"{100 * float(level):g}", *shown])
        parts.append("<h3>The model's table at each level, without adaptation: joints inside, %</h3>")
        parts.append(table(["asked, %", *(f"{k} s" for k in keys)], rows))
    parts.append(
        '<p class="muted small">&ldquo;pose held&rdquo;: of people who are not tracked (warming up, stale, absent); '
        "the bound grows with reach speed around the last pose. Radius: the median. Volume / ISO: the ball over one "
        "that grows with 1.6&nbsp;m/s. Score: interval score, radius plus what lies beyond it over 1 minus the level."
        "</p>"
    )
    return "".join(parts)


def early_misses(summary: dict[str, Any]) -> str:
    """Misses within the first tenths of a second, each kind of bound apart."""
    found = {label: kind["early"] for label, kind in summary["bounds"].items() if kind["early"]}
    if not found:
        return ""
    rows = [
        [
            escape(label),
            f"{e['joints_missed']} of {e['joints_judged']}",
            f"{100 * e['joint_miss_share']:.2f}",
            f"{e['predictions_missed']} of {e['predictions']}",
            f"{100 * e['prediction_miss_share']:.2f}",
            f"{e['farthest_beyond_mm']:.0f}",
        ]
        for label, e in found.items()
    ]
    until_s = next(iter(found.values()))["until_s"]
    head = ["bound", "joints outside", "%", "predictions with one outside", "%", "by up to, mm"]
    return (
        f"<h3>Misses within the first {until_s:g}&nbsp;s</h3>"
        + table(head, rows)
        + '<p class="muted small">At every step until then: a joint outside its own radius, and a prediction of which '
        "some joint is outside the bound of the whole body. Nobody has time to answer these.</p>"
    )


def onsets(summary: dict[str, Any]) -> str:
    """Coverage of who stood and now moves."""
    found, what = summary["onset"], summary["onset"]["definition"]
    keys = list(summary["errors_mm"])
    rows = []
    named = {**found["bounds"], **{f"table at {level}": kind for level, kind in found["table"].items()}}
    for label, kind in named.items():
        cells = [kind["horizons"].get(k, {}).get("coverage") for k in keys]
        body = kind["whole_second_body_coverage"]
        shown = [number(None if c is None else 100 * c, "{:.1f}") for c in (*cells, body)]
        rows.append([escape(label), str(kind["predictions"]), str(kind["segments"]), *shown])
    title = "<h3>Who stood and now moves: joints inside, %</h3>"
    note = (
        f'<p class="muted small">Who moved slower than {what["stood_below_mps"]:g}&nbsp;m/s until shortly before, and '
        f"of whom {what['moved_joints']} joints or more are {what['moved_m']:g}&nbsp;m away "
        f"{what['moved_after_s']:g}&nbsp;s later. It is known only afterwards who belongs to it.</p>"
    )
    if not rows:
        return title + "<p>Nobody did, in this recording.</p>" + note
    return title + table(["bound", "predictions", "segments", *(f"{k} s" for k in keys), "wholly, 1 s"], rows) + note


def fault_curves(summary: dict[str, Any], pictures: Pictures) -> str:
    found = summary.get("faults")
    if not found:
        return ""
    key = next((k for k in ("0.4",) if k in summary["errors_mm"]), next(iter(summary["errors_mm"]), None))
    if key is None:
        return ""
    first = summary["sources"][0]
    rows = []
    for name, points in found["curves"].items():
        errors = [number(p["mpjpe_mm"].get(key, {}).get(first)) for p in points]
        rows.append(
            [
                escape(points[-1]["faults"] if name != "all" else "all together"),
                *errors,
                f"{100 * points[-1]['predicted_share']:.0f}",
            ]
        )
    head = ["", *(f"{100 * f:g} %" for f in found["fractions"]), "predicted at 100 %, %"]
    return "".join(
        [
            "<h2>With faults laid over the recording</h2>",
            "<p>Each fault alone and all together, from nothing to what was asked "
            f"(<code>{escape(found['spec'])}</code>, seed {found['seed']}), judged by the recording as it is. Horizons "
            "begin when the prediction is made, so that a delay shows as the error it causes.</p>",
            pictures("fault_curves", "error over the strength of each fault", summary, key),
            table(head, rows),
            f'<p class="muted small">mm, {key}&nbsp;s ahead, {words(first)}.</p>',
        ]
    )


def learning_curve(summary: dict[str, Any], pictures: Pictures) -> str:
    found = summary.get("learning")
    if not found or not found["minutes"]:
        return ""
    keys = [k for k in ("0.4", "1.0") if k in found["minutes"][-1]["errors_mm"]]
    first, model, *others = found["sources"]
    rows = []
    for minute in found["minutes"]:
        cells = [f"{minute['minute'] + 1}"]
        for key in keys:
            v = minute["errors_mm"].get(key, {})
            best = min((v[o][0] for o in others if o in v), default=None)
            cells += [number(v[s][0]) if s in v else "" for s in (model, first)]
            cells.append("" if best is None else number(best))
        rows.append(cells)
    names = (words(model), words(first), "best baseline")
    head = ["minute", *(f"{name} {key} s" for key in keys for name in names)]
    worst = found["worst_minute_percent"]
    return "".join(
        [
            "<h2>What is learnt on line</h2>",
            "<p>Each prediction was judged before anything was learnt from it. "
            + ("" if worst is None else f"The worst minute at any horizon: {worst:+.1f}&nbsp;% against the model.")
            + "</p>",
            pictures("learning_curve", "error of each minute, with and without what was learnt", summary, keys),
            table(head, rows),
            '<p class="muted small">mm; intervals in the picture: 95 %, over blocks of 5 s.</p>',
        ]
    )


def recordings(summary: dict[str, Any]) -> str:
    rows = []
    keys = list(summary["errors_mm"])
    first = summary["sources"][0]
    for name, part in summary["bags"].items():
        cells = [number(part["mpjpe_mm"].get(k, {}).get(first)) for k in keys]
        link = f'<a href="{escape(part["folder"])}/report.html">{escape(name)}</a>'
        rows.append([link, f"{part['input']['duration_s']:.1f}", *cells, str(len(part["problems"]) or "")])
    rows += [
        [escape(name), f'<td colspan="{len(keys) + 2}">{escape(line)}</td>']
        for name, line in summary["failed_bags"].items()
    ]
    return "<h2>The recordings</h2>" + table(["", "s", *(f"{k} s, mm" for k in keys), "problems"], rows)
