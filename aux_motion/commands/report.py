# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""The report of `aux-motion evaluate`: one HTML file with everything in it, nothing loaded from elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from html import escape
from typing import Any

from aux_motion.commands import report_replay
from aux_motion.commands.report_drawing import Drawing
from aux_motion.commands.report_html import Pictures, words
from aux_motion.commands.report_input import input_health
from aux_motion.commands.report_replay import Clip
from aux_motion.commands.report_sections import (
    bounds,
    error_table,
    fault_curves,
    groups,
    learning_curve,
    recordings,
    small_table,
    verdict,
)
from aux_motion_core.evaluation.run import Evaluation

_STYLE = """
:root{color-scheme:light dark;--ink:#1f2430;--muted:#6b7280;--paper:#fff;--line:#e4e6eb;--panel:#f8f9fb;--good:#1a7f5a;
--bad:#fdecea;--bad-edge:#c62828;--note:#f3f4f7;--note-edge:#b4bac6;--seen:#b4bac6;--predicted:#e76f51}
@media (prefers-color-scheme:dark){:root{--ink:#e6e9f0;--muted:#9aa3b5;--paper:#14171e;--line:#2b3140;--panel:#1b202b;
--good:#54c79a;--bad:#3a1d1f;--bad-edge:#e57373;--note:#1f2531;--note-edge:#5b6580;--seen:#5f6b85;--predicted:#ff9a6b}
img{background:#fff;border-radius:8px;padding:6px}a{color:#8ab4ff}}
body{font:15px/1.5 system-ui,sans-serif;color:var(--ink);background:var(--paper);margin:0 auto;max-width:1080px;
padding:28px 24px 60px;overflow-wrap:anywhere}
h1{font-size:25px;margin:0 0 2px}
h2{font-size:18px;margin:38px 0 6px;border-top:1px solid var(--line);padding-top:18px}
p{margin:6px 0 10px;max-width:860px}.muted{color:var(--muted)}.small{font-size:13px}
table{border-collapse:collapse;margin:10px 0;font-variant-numeric:tabular-nums;display:block;overflow-x:auto;
max-width:100%;width:max-content}
th,td{white-space:nowrap;padding:4px 12px;text-align:right;border-bottom:1px solid var(--line)}
th:first-child,td:first-child{text-align:left}
th{font-weight:600;color:var(--muted)}tr.first td{font-weight:650}td.best{color:var(--good)}
img{max-width:100%;height:auto;display:block;margin:8px 0;box-sizing:border-box}
.problem{background:var(--bad);border-left:4px solid var(--bad-edge);padding:8px 14px;margin:8px 0}
.note{background:var(--note);border-left:4px solid var(--note-edge);padding:8px 14px;margin:8px 0}
details summary{cursor:pointer;color:var(--muted)}.cols{display:flex;gap:0 48px;flex-wrap:wrap}
.cols>*{min-width:0;max-width:100%}
@media (max-width:640px){body{padding:16px 12px 40px;font-size:14px}h1{font-size:20px}th,td{padding:4px 8px}}
"""
#: Shown beside each other on the figure of joints.
_JOINT_HORIZONS = ("0.4", "1.0")


def page(
    summary: dict[str, Any],
    evaluation: Evaluation | None,
    clips: Callable[[], Sequence[Clip]] = tuple,
    folder: str = "",
    drawing: Drawing | None = None,
) -> str:
    """The page.

    Args:
        summary: of a bag, or of several (with `bags`).
        evaluation: the metrics of the bag, for what is drawn but not in the summary; None: of several bags.
        clips: reads what was seen around the worst moments.
        folder: of the results, for the line that tells how to look at them; empty: it is not told.
        drawing: draws its pictures; None: they are drawn here.
    """
    pictures = Pictures(drawing or Drawing())
    several = "bags" in summary
    model = summary["model"]
    title = f"{len(summary['bags'])} recordings" if several else escape(summary["bag"])
    parts = [
        f"<h1>Predictions judged: {title}</h1>",
        f'<p class="muted">{words(model["name"])} {escape(model["version"])} ({escape(model["backend"])}), aux_motion '
        f"{escape(summary['aux_motion'])}. Every prediction is compared with what the tracker saw later, on joints "
        "that were observed then.</p>",
    ]
    parts += [f'<p class="problem">{escape(line)}</p>' for line in summary["problems"]]
    if folder and not several:
        parts.append(report_replay.view_note(folder))
    if summary["errors_mm"]:
        parts += _judged(summary, pictures)
    elif several:
        parts.append(recordings(summary))
    if evaluation is not None:
        parts += _over_time(summary, evaluation, clips, pictures)
    parts.append(fault_curves(summary, pictures))
    parts.append(input_health(summary))
    if summary.get("parameters"):
        changed = ", ".join(f"{escape(k)}: {escape(str(v))}" for k, v in summary["parameters"].items())
        parts.append(f'<h2>Parameters</h2><p class="small">Other than the defaults: {changed}</p>')
    return pictures.placed(
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" '
        f'content="width=device-width,initial-scale=1"><title>{title}</title><style>{_STYLE}{report_replay.STYLE}</style></head><body>'
        + "\n".join(p for p in parts if p)
        + "</body></html>\n"
    )


def _over_time(
    summary: dict[str, Any], evaluation: Evaluation, clips: Callable[[], Sequence[Clip]], pictures: Pictures
) -> list[str]:
    """The sections on when what happened."""
    worst, states = [], []
    moments = evaluation.worst.moments
    picture = pictures("worst_moments", "the worst moments", moments) if moments else ""
    if evaluation.timeline.people:
        what = "states of people, gaps of the input and error over time"
        states = ["<h2>States and gaps over time</h2>", pictures("timeline", what, summary, evaluation.timeline)]
    if moments:
        worst.append("<h2>The worst moments</h2>")
        if found := clips():  # a picture for printers and where scripts are off
            worst.append(report_replay.html(list(found), evaluation.dt_s))
            picture = f"<noscript>{picture}</noscript>"
        worst.append(picture)
    return worst + states


def _judged(summary: dict[str, Any], pictures: Pictures) -> list[str]:
    """The sections on what was judged."""
    parts = [f"<p>{line}</p>" for line in verdict(summary)]
    parts.append("<h2>Error over the horizon</h2>")
    parts.append(pictures("error_over_horizon", "error over the horizon with baselines and intervals", summary))
    parts.append(error_table(summary))
    if "bags" in summary:
        parts.append(recordings(summary))
    parts.append("<h2>Error by joint</h2>")
    keys = [k for k in _JOINT_HORIZONS if k in summary["joints_mm"]] or list(summary["joints_mm"])[:1]
    parts.append(pictures("joint_map", "mean error of each joint on a skeleton", summary, keys))
    parts.append('<p class="muted small">A person who faces you; hollow: never observed, not judged.</p>')
    parts.append('<div class="cols">' + groups(summary, "speeds_mm", "By speed of the person"))
    parts.append(groups(summary, "people_mm", "By person") + "</div>")
    parts.append("<h2>Steadiness, bodies, and what was never seen</h2>" + small_table(summary))
    parts.append(bounds(summary, pictures))
    parts.append(learning_curve(summary, pictures))
    return parts
