"""The report of `aux-motion evaluate`: one HTML file with everything in it, nothing loaded from elsewhere."""

from __future__ import annotations

import base64
from collections.abc import Callable
from html import escape
from typing import Any

from aux_motion_core.evaluation.run import Evaluation
from aux_motion_core.wire.clock import FUTURE_S

_STYLE = """
:root{color-scheme:light}
body{font:15px/1.5 system-ui,sans-serif;color:#1f2430;background:#fff;margin:0 auto;max-width:1080px;
padding:28px 24px 60px}
h1{font-size:25px;margin:0 0 2px}h2{font-size:18px;margin:38px 0 6px;border-top:1px solid #e4e6eb;padding-top:18px}
p{margin:6px 0 10px;max-width:860px}.muted{color:#6b7280}.small{font-size:13px}
table{border-collapse:collapse;margin:10px 0;font-variant-numeric:tabular-nums}
th,td{white-space:nowrap;padding:4px 12px;text-align:right;border-bottom:1px solid #e4e6eb}
th:first-child,td:first-child{text-align:left}
th{font-weight:600;color:#6b7280}tr.first td{font-weight:650}td.best{color:#1a7f5a}
img{max-width:100%;height:auto;display:block;margin:8px 0}
.problem{background:#fdecea;border-left:4px solid #c62828;padding:8px 14px;margin:8px 0}
.note{background:#f3f4f7;border-left:4px solid #b4bac6;padding:8px 14px;margin:8px 0}
details summary{cursor:pointer;color:#6b7280}.cols{display:flex;gap:48px;flex-wrap:wrap}
"""
#: Shown beside each other on the figure of joints.
_JOINT_HORIZONS = ("0.4", "1.0")


class _Pictures:
    """Draws where matplotlib is, and remembers what is missing where it is not."""

    def __init__(self) -> None:
        try:
            from aux_motion.commands import report_plots

            self._plots: Any = report_plots
        except ImportError:
            self._plots = None
        self.missing: list[str] = []

    def __call__(self, name: str, what: str, *arguments: Any) -> str:
        if self._plots is None:
            self.missing.append(what)
            return (
                f'<p class="note">Picture missing: {escape(what)}. It needs matplotlib: '
                "pip install 'aux_motion[plots]'</p>"
            )
        svg = getattr(self._plots, name)(*arguments)
        data = base64.b64encode(svg.encode()).decode()
        return f'<img alt="{escape(what)}" src="data:image/svg+xml;base64,{data}">'


def _words(name: str) -> str:
    return escape(name.replace("_", " "))


def _number(value: float | None, pattern: str = "{:.0f}") -> str:
    return "&ndash;" if value is None else pattern.format(value)


def _rows(head: list[str], rows: list[list[str]], classes: list[str] | None = None) -> str:
    lines = ["<table><tr>" + "".join(f"<th>{h}</th>" for h in head) + "</tr>"]
    for number, row in enumerate(rows):
        mark = f' class="{classes[number]}"' if classes and classes[number] else ""
        cells = "".join(c if c.startswith("<td") else f"<td>{c}</td>" for c in row)
        lines.append(f"<tr{mark}>{cells}</tr>")
    return "".join([*lines, "</table>"])


def _verdict(summary: dict[str, Any]) -> list[str]:
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
            text += f"; that is <b>{ratio:.2f}</b> of the best baseline here ({_words(best)}{told})"
        lines.append(text + ".")
    if errors and errors[next(iter(errors))][first]["low"] is None:
        lines.append(
            f"The recording is too short for intervals: it has {summary['segments']} segments of "
            f"{summary['segment_s']:g}&nbsp;s of a person, 5 are needed."
        )
    return lines


def _error_table(summary: dict[str, Any]) -> str:
    errors, rows, classes = summary["errors_mm"], [], []
    for source in summary["sources"]:
        row = [_words(source)]
        for cells in errors.values():
            cell = cells[source]
            best = ' class="best"' if cell["mean"] == min(c["mean"] for c in cells.values()) else ""
            parts = f"{_number(cell['median'])} / {_number(cell['p95'])}"
            row.append(f'<td{best}>{_number(cell["mean"])}<br><span class="muted small">{parts}</span></td>')
        rows.append(row)
        classes.append("first" if source == summary["sources"][0] else "")
    rows.append(["samples", *(f"{n}" for n in summary["samples"].values())])
    classes.append("muted")
    return _rows(["mm", *(f"{k} s" for k in errors)], rows, classes) + (
        '<p class="muted small">Mean, and below it median / 95th percentile. A sample is a person at a time; its error '
        "is the mean over the joints that were observed at that time. Green: the smallest of its column.</p>"
    )


def _groups(summary: dict[str, Any], name: str, title: str) -> str:
    groups = summary.get(name, {})
    if not groups:
        return ""
    keys = list(summary["errors_mm"])
    rows = []
    for group, cells in groups.items():
        shown = [_number(cells[k][summary["sources"][0]]["mean"]) if k in cells else "&ndash;" for k in keys]
        samples = max((c["samples"] for c in cells.values()), default=0)
        rows.append([escape(group), *shown, str(samples)])
    return f"<div><h3>{title}</h3>" + _rows(["mm", *(f"{k} s" for k in keys), "samples"], rows) + "</div>"


def _small_table(summary: dict[str, Any]) -> str:
    """Jitter, bones and never seen by horizon."""
    keys = list(summary["errors_mm"])
    first = summary["sources"][0]
    rows = []

    def row(name: str, value: Callable[[str], float | None], pattern: str) -> None:
        rows.append([name, *(_number(value(k), pattern) for k in keys)])

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
    return _rows(["", *(f"{k} s" for k in keys)], rows) + (
        '<p class="muted small">What is never seen is not judged: where joints vanish (hidden, out of view) the errors '
        f"above are of the easier part.{told}</p>"
    )


def _bounds(summary: dict[str, Any], pictures: _Pictures) -> str:
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
                    _number(None if kind["nominal"] is None else 100 * kind["nominal"], "{:g}"),
                    _number(None if cell["coverage"] is None else 100 * cell["coverage"], "{:.1f}") + span,
                    _number(None if cell["body_coverage"] is None else 100 * cell["body_coverage"], "{:.1f}"),
                    _number(cell["radius_mm"]["median"]),
                    _number(cell["volume_ratio_median"], "{:.3f}"),
                    _number(cell["interval_score_mm"]),
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
    parts.append(_rows(head, rows))
    if summary["table"]:
        keys = list(summary["errors_mm"])
        rows = []
        for level, cells in summary["table"].items():
            shown = [_number(100 * cells[k]["coverage"], "{:.1f}") if k in cells else "&ndash;" for k in keys]
            rows.append([f"{100 * float(level):g}", *shown])
        parts.append("<h3>The model's table at each level, without adaptation: joints inside, %</h3>")
        parts.append(_rows(["asked, %", *(f"{k} s" for k in keys)], rows))
    parts.append(
        '<p class="muted small">&ldquo;pose held&rdquo;: of people who are not tracked (warming up, stale, absent); '
        "the bound grows with reach speed around the last pose. Radius: the median. Volume / ISO: the ball over one "
        "that grows with 1.6&nbsp;m/s. Score: interval score, radius plus what lies beyond it over 1 minus the level."
        "</p>"
    )
    return "".join(parts)


def _input(summary: dict[str, Any]) -> str:
    given = summary["input"]
    rows = [
        ["messages used", str(given["frames"])],
        ["rejected", f"{given['rejected']} ({100 * given['rejected_share']:.2f} %)"],
        ["duration", f"{given['duration_s']:.1f} s"],
        ["median rate", f"{_number(given['rate_hz'], '{:.1f}')} Hz"],
        ["people (ids)", str(given["people_count"])],
        ["joints observed", f"{100 * given['joints_seen_share']:.1f} %"],
        ["messages with a prediction", f"{100 * given['predicted_share']:.1f} %"],
        ["gaps", str(given["gaps"]["count"])],
        ["repeated stamps", str(given["stamps"]["repeated"])],
        ["stamps that jump", str(given["stamps"]["jumps"])],
    ]
    rows += [[_words(name), str(count)] for name, count in sorted((summary.get("clock") or {}).items())]
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
    parts = ["<h2>The input</h2>", '<div class="cols"><div>', _rows(["", ""], rows), "</div><div>"]
    if given["counters"]:
        parts.append(
            "<h3>Repaired or left out</h3>"
            + _rows(["", "times"], [[_words(k), str(v)] for k, v in given["counters"].items()])
        )
    if given["states"]:
        parts.append(
            "<h3>States of people</h3>"
            + _rows(["", "times"], [[_words(k.lower()), str(v)] for k, v in given["states"].items()])
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


def _faults(summary: dict[str, Any], pictures: _Pictures) -> str:
    found = summary.get("faults")
    if not found:
        return ""
    key = next((k for k in ("0.4",) if k in summary["errors_mm"]), next(iter(summary["errors_mm"]), None))
    if key is None:
        return ""
    first = summary["sources"][0]
    rows = []
    for name, points in found["curves"].items():
        errors = [_number(p["mpjpe_mm"].get(key, {}).get(first)) for p in points]
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
            _rows(head, rows),
            f'<p class="muted small">mm, {key}&nbsp;s ahead, {_words(first)}.</p>',
        ]
    )


def _bags(summary: dict[str, Any]) -> str:
    rows = []
    keys = list(summary["errors_mm"])
    first = summary["sources"][0]
    for name, part in summary["bags"].items():
        cells = [_number(part["mpjpe_mm"].get(k, {}).get(first)) for k in keys]
        link = f'<a href="{escape(part["folder"])}/report.html">{escape(name)}</a>'
        rows.append([link, f"{part['input']['duration_s']:.1f}", *cells, str(len(part["problems"]) or "")])
    rows += [
        [escape(name), f'<td colspan="{len(keys) + 2}">{escape(line)}</td>']
        for name, line in summary["failed_bags"].items()
    ]
    return "<h2>The recordings</h2>" + _rows(["", "s", *(f"{k} s, mm" for k in keys), "problems"], rows)


def page(summary: dict[str, Any], evaluation: Evaluation | None) -> str:
    """The page.

    Args:
        summary: of a bag, or of several (with `bags`).
        evaluation: the metrics of the bag, for what is drawn but not in the summary; None: of several bags.
    """
    pictures = _Pictures()
    several = "bags" in summary
    model = summary["model"]
    title = f"{len(summary['bags'])} recordings" if several else escape(summary["bag"])
    parts = [
        f"<h1>Predictions judged: {title}</h1>",
        f'<p class="muted">{_words(model["name"])} {escape(model["version"])} ({escape(model["backend"])}), aux_motion '
        f"{escape(summary['aux_motion'])}. Every prediction is compared with what the tracker saw later, on joints "
        "that were observed then.</p>",
    ]
    parts += [f'<p class="problem">{escape(line)}</p>' for line in summary["problems"]]
    if summary["errors_mm"]:
        parts += [f"<p>{line}</p>" for line in _verdict(summary)]
        parts.append("<h2>Error over the horizon</h2>")
        parts.append(pictures("error_over_horizon", "error over the horizon with baselines and intervals", summary))
        parts.append(_error_table(summary))
        if several:
            parts.append(_bags(summary))
        parts.append("<h2>Error by joint</h2>")
        keys = [k for k in _JOINT_HORIZONS if k in summary["joints_mm"]] or list(summary["joints_mm"])[:1]
        parts.append(pictures("joint_map", "mean error of each joint on a skeleton", summary, keys))
        parts.append('<p class="muted small">A person who faces you; hollow: never observed, not judged.</p>')
        parts.append('<div class="cols">' + _groups(summary, "speeds_mm", "By speed of the person"))
        parts.append(_groups(summary, "people_mm", "By person") + "</div>")
        parts.append("<h2>Steadiness, bodies, and what was never seen</h2>" + _small_table(summary))
        parts.append(_bounds(summary, pictures))
    elif several:
        parts.append(_bags(summary))
    if evaluation is not None and evaluation.worst.moments:
        parts.append("<h2>The worst moments</h2>")
        parts.append(pictures("worst_moments", "the worst moments", evaluation.worst.moments))
    if evaluation is not None and evaluation.timeline.people:
        parts.append("<h2>States and gaps over time</h2>")
        parts.append(
            pictures(
                "timeline", "states of people, gaps of the input and error over time", summary, evaluation.timeline
            )
        )
    parts.append(_faults(summary, pictures))
    parts.append(_input(summary))
    if summary.get("parameters"):
        changed = ", ".join(f"{escape(k)}: {escape(str(v))}" for k, v in summary["parameters"].items())
        parts.append(f'<h2>Parameters</h2><p class="small">Other than the defaults: {changed}</p>')
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" '
        f'content="width=device-width"><title>{title}</title><style>{_STYLE}</style></head><body>'
        + "\n".join(p for p in parts if p)
        + "</body></html>\n"
    )
