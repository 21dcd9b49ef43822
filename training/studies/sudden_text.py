# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""What `training.studies.sudden_motion` measured, as text, and put between the markers of a page."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from aux_motion_core.testing.sudden import STEADY
from training.pages import put

#: Names of what a page may hold: `<!-- sudden_motion NAME -->` ... `<!-- sudden_motion end -->`.
BLOCKS = ("table", "sentence")
_END = "<!-- sudden_motion end -->"
_MONITORS = {
    "fixed": "fixed speed: present body, 1.6 m/s",
    "separation": "separation bound, as shipped (never faster beside who stands than the fixed speed)",
    "separation_alone": "separation bound alone (`faster_than_fixed: true`)",
    "simultaneous": "simultaneous bound",
    "approach": "speed towards the robot: present body (`human_speed_from: approach`)",
    "separation_approach": "separation bound, beside who stands by the speed towards the robot",
}

#: Fewer clips have no interval.
_LEAST_CLIPS = 5
_HEAD_RECORDED = (
    "joints outside 0.95 at 0.2 s", "at 0.4 s", "whole body outside 0.95", "joints outside 0.99 at 0.2 s", "at 0.4 s",
    "whole body outside 0.99",
)  # fmt: skip
_SHORT = (
    ("separation_alone", "with the separation bound alone"),
    ("separation", "with it as shipped"),
    ("fixed", "with the fixed 1.6 m/s"),
    ("simultaneous", "with the simultaneous bound"),
)
_HEAD = (
    "motion", "joints outside 0.95 at 0.2 s", "at 0.4 s", "worst joint at 0.4 s", "some joint at 0.4 s",
    "whole body outside 0.95", "joints outside 0.99 at 0.2 s", "at 0.4 s", "worst joint at 0.4 s",
    "whole body outside 0.99", "calibrated",
)  # fmt: skip


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{100.0 * share:.0f} %"


def table(report: dict[str, Any]) -> str:
    """Both tables in Markdown."""
    model, setting = report["model"], report["setting"]
    lines = [
        f"Model {model['name']} {model['version']}, `tracker_error_m` {setting['tracker_error_m']:g} m; predictions "
        f"from {setting['before_s']:g} s before to {setting['after_s']:g} s after the onset.",
        "",
        "| " + " | ".join(_HEAD) + " |",
        "|---" * len(_HEAD) + "|",
    ]
    for name, levels in report["onset"].items():
        a, b = levels["0.95"], levels["0.99"]
        joint, share = a["worst_joint"]["0.4"]
        cells = [
            _percent(a["joints_outside"]["0.2"]),
            f"**{_percent(a['joints_outside']['0.4'])}**",
            f"{joint.replace('_', ' ')} {_percent(share)}" if share else "-",
            _percent(a["some_joint_outside"]["0.4"]),
            _percent(a["body_outside"]),
            _percent(b["joints_outside"]["0.2"]),
            _percent(b["joints_outside"]["0.4"]),
            _percent(b["worst_joint"]["0.4"][1]),
            _percent(b["body_outside"]),
            _percent(a["calibrated"]),
        ]
        title = name.replace("_", " ") + (" (nothing begins)" if name in STEADY else "")
        lines.append(f"| {title} | " + " | ".join(cells) + " |")
    recordings = {tier: v for tier, v in report["recordings"].items() if v["windows"]}
    if recordings:
        lines += ["", "| recordings: who stood and now moves | windows | " + " | ".join(_HEAD_RECORDED) + " |"]
        lines.append("|---" * (len(_HEAD_RECORDED) + 2) + "|")
        for tier, v in recordings.items():
            cells = [c for level in ("0.95", "0.99") for c in _outside(v["levels"].get(level))]
            title = f"| {tier.replace('_', ' ')} | {v['windows']} ({v['clips']} clips) | "
            lines.append(title + " | ".join(cells) + " |")
    if report["approaches"]:
        lines += [
            "",
            "| monitor | sudden approaches violated | violated for | deepest | full speed beside who stands from |",
        ]
        lines.append("|---|---|---|---|---|")
        for name, v in report["approaches"]["monitors"].items():
            full = (
                "never"
                if v["full_speed_beside_who_stands_from_m"] is None
                else f"{v['full_speed_beside_who_stands_from_m']:g} m"
            )
            lines.append(
                f"| {_MONITORS[name]} | {v['violated']} of {v['approaches']} | {v['violated_s']:.2f} s | "
                f"{v['worst_m']:.2f} m | {full} |"
            )
    return "\n".join(lines)


def _outside(level: dict[str, Any] | None) -> list[str]:
    """Joints at 0.2 and 0.4 s with the interval of the latter, and whole bodies."""
    if level is None:
        return ["-"] * 3
    early, late = level["joints"]["0.2"], level["joints"]["0.4"]
    few = late["clips"] < _LEAST_CLIPS  # their interval would say that all is certain
    span = "" if few else f" ({100.0 * (1.0 - late['high']):.0f} to {100.0 * (1.0 - late['low']):.0f})"
    body = level.get("whole_body")
    return [
        _percent(1.0 - early["overall"]),
        f"**{_percent(1.0 - late['overall'])}**{span}",
        _percent(None if body is None else 1.0 - body["overall"]),
    ]


def sentence(report: dict[str, Any]) -> str:
    """The figures in words, for pages that have no table."""
    sudden = {n: v for n, v in report["onset"].items() if n not in STEADY}
    parts = []
    if sudden:
        at = {level: sorted(v[level]["joints_outside"]["0.4"] for v in sudden.values()) for level in ("0.95", "0.99")}
        worst = sorted(v["0.95"]["worst_joint"]["0.4"][1] for v in sudden.values())
        names = ", ".join(n.replace("_", " ") for n in sudden)
        parts.append(
            f"Around the onset of synthetic sudden motion ({names}), {_span(at['0.95'])} of the joints are outside "
            f"their 0.95 radius at 0.4 s (the worst joint in {_span(worst)} of the predictions), and "
            f"{_span(at['0.99'])} outside their 0.99 radius."
        )
    if report["approaches"]:
        monitors = report["approaches"]["monitors"]
        told = [f"in {monitors[key]['violated']} {name} ({monitors[key]['violated_s']:.2f} s)" for key, name in _SHORT]
        parts.append(
            f"Of {monitors['fixed']['approaches']} sudden approaches, the person comes nearer than the robot needs to "
            f"stop {', '.join(told[:-1])}, and {told[-1]}."
        )
    return " ".join(parts)


def _span(shares: list[float]) -> str:
    return f"{100.0 * shares[0]:.0f} to {100.0 * shares[-1]:.0f} %"


def text(report: dict[str, Any]) -> str:
    """For the terminal."""
    return f"{table(report)}\n\n{sentence(report)}"


def fill(path: Path, report: dict[str, Any]) -> None:
    """Put the table and the sentence between the markers that a page has.

    Raises:
        ValueError: the page has no marker, or one without an end.
    """
    page = path.read_text(encoding="utf-8")
    made = {"table": table(report), "sentence": sentence(report)}
    begins = {name: begin for name in BLOCKS if (begin := f"<!-- sudden_motion {name} -->") in page}
    if not begins:
        raise ValueError(f"{path}: expected a marker <!-- sudden_motion {BLOCKS[0]} --> or {BLOCKS[1]}, found none")
    for name, begin in begins.items():
        put(path, begin, _END, made[name])
