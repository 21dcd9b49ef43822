# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""What `training.studies.learning` measured, as Markdown, and put between the markers of a page."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from training.pages import put

BEGIN, END = "<!-- learning measured -->", "<!-- learning end -->"
_SPANS = ("0 to 2", "after 2", "after 10")
#: So many streams are named of those whose radii hold the least.
_LEAST = 4
_WANTED = {"after 2": "-10 % at 0.4 s, -15 % at 1.0 s", "after 10": "-20 %, -30 %"}


def _signed(value: float | None) -> str:
    return "" if value is None else f"{value:+.1f}"


def table(report: dict[str, Any]) -> str:
    """Change against the shipped model, percent, of every stream by the minutes of the person seen before."""
    heads = ["stream", *(f"{s} min: {h} s" for s in _SPANS for h in ("0.4", "1.0")), "worst minute"]
    lines = [f"| {' | '.join(heads)} |", f"|---|{'---|' * (len(heads) - 1)}"]
    for name, row in report["curves"].items():
        spans = row["change_percent"]
        cells = [_signed(spans.get(s, {}).get(h)) for s in _SPANS for h in ("0.4", "1.0")]
        star = " \\*" if row["chosen_on"] else ""
        lines.append(f"| {name}{star} | {' | '.join(cells)} | {_signed(row['worst_minute_percent'])} |")
    return "\n".join(lines)


def _means(report: dict[str, Any]) -> list[str]:
    lines = []
    for span, wanted in _WANTED.items():
        parts = []
        for kind in ("held out", "chosen on"):
            found = report["summary"][kind]["mean_change_percent"].get(span)
            if found:
                parts.append(
                    f"{_signed(found['0.4'])} and {_signed(found['1.0'])} % ({kind}, {found['streams']} streams)"
                )
        lines.append(f"- {span.capitalize()} minutes (wanted: {wanted}): mean {', '.join(parts)}.")
    worst = [f"{_signed(v['worst_minute_percent'])} % ({v['of']})" for v in report["summary"].values()]
    return [*lines, f"- Worst minute of any stream at any horizon (wanted: at most +2 %): {', '.join(worst)}."]


def _sessions(report: dict[str, Any]) -> str:
    if not report.get("sessions"):
        return ""
    lines = ["", "People of one tracker in turn, by the minutes of anybody before (wanted as above):", ""]
    spans = [f"{s} min: {h} s" for s in _SPANS for h in ("0.4", "1.0")]
    heads = ["tracker", "people", "minutes", *spans, "worst minute"]
    lines += [f"| {' | '.join(heads)} |", f"|---|{'---|' * (len(heads) - 1)}"]
    for name, row in report["sessions"].items():
        cells = [_signed(row["change_percent"].get(s, {}).get(h)) for s in _SPANS for h in ("0.4", "1.0")]
        cells.append(_signed(row["worst_minute_percent"]))
        lines.append(f"| {name} | {row['people']} | {row['minutes']:.1f} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _changes(report: dict[str, Any]) -> list[str]:
    rows = report["changes"]["change"]
    two = rows[0]["from_s"].index(2.0)
    worst = {f"{r['learnt_on']} to {r['goes_on_with']}": _worst(r["percent_from_then_to_60_s"], two) for r in rows}
    within = sum(w <= 2.0 for w in worst.values())
    name = max(worst, key=lambda n: worst[n])
    carried = report["changes"]["carried"]
    refused = sum(bool(r["refused"]) for r in carried)
    return [
        f"- The tracker changes in mid-stream under one id: from 2 to 60 s after it, {within} of {len(rows)} pairs are "
        f"at most 2 % above the shipped model at every horizon; the worst is {_signed(worst[name])} % ({name}).",
        f"- Learnt on one tracker, loaded for another as if it were the same: {refused} of {len(carried)} refused; "
        f"worst first minute of the others {_signed(max(_first_minute(r) for r in carried if not r['refused']))} %.",
    ]


def _worst(percent: dict[str, list[float | None]], k: int) -> float:
    return max(v[k] for v in percent.values() if v[k] is not None)


def _first_minute(row: dict[str, Any]) -> float:
    return max((v for v in row["first_minute_percent"].values() if v is not None), default=0.0)


def _coverage(report: dict[str, Any]) -> list[str]:
    found = report.get("coverage")
    if not found:
        return []
    held: dict[str, list[str]] = {}
    for what in ("coverage", "first_10_s"):
        on, off = ({n: v[mode][what] for n, v in found.items()} for mode in ("on", "off"))
        low = sorted(on, key=lambda n: on[n])[:_LEAST]
        held[what] = [f"{n} {on[n]:.3f} (off: {off[n]:.3f})" for n in low]
        held[what].append(f"learning lowers it by {max(off[n] - on[n] for n in on):.4f} at most")
    of = {n: v["coverage"] for n, v in report["curves"].items() if "learnt" in v["coverage"]}
    said = []
    for span in ("all", "first_10_s"):
        name = min((n for n in of if of[n]["learnt"][span]), key=lambda n: of[n]["learnt"][span])
        said.append(f"{of[name]['learnt'][span]:.3f} ({name}; shipped {of[name]['shipped'][span]:.3f})")
    return [
        f"- Share of joints inside their 0.95 radius through the node's path, learning on, in the first half minute of "
        f"each of {len(found)} streams (wanted: at least 0.94), the least: {'; '.join(held['coverage'])}.",
        f"- Of the first 10 s alone, the least: {'; '.join(held['first_10_s'])}.",
        "- By the model's table and the widening alone, whole streams, the least: "
        f"{said[0]}, of the first 10 s {said[1]}.",
    ]


def _rivals(report: dict[str, Any]) -> str:
    if not report.get("rivals"):
        return ""
    lines = ["", "Other learners, mean change after two minutes (`--rivals`):", ""]
    lines += ["| learner | 0.4 s | 1.0 s | worst minute |", "|---|---|---|---|"]
    for name, row in report["rivals"].items():
        mean, worst = row["mean"], row["worst_minute_percent"]
        lines.append(f"| {name} | {_signed(mean['0.4'])} | {_signed(mean['1.0'])} | {_signed(worst)} |")
    return "\n".join(lines) + "\n"


def text(report: dict[str, Any]) -> str:
    """All of it, for a page."""
    model = report["model"]
    return "\n".join(
        [
            f"Model {model['name']} {model['version']}. Each person or session is a stream in its order of time; each",
            "prediction is judged before it is learnt from. Constants were chosen on the streams marked \\*, the",
            "others only judged. Change of the error against the shipped model, percent, by the minutes of the",
            "person seen before:",
            "",
            table(report),
            "",
            *_means(report),
            _sessions(report),
            *_changes(report),
            *_coverage(report),
            _rivals(report),
        ]
    )


def fill(path: Path, report: dict[str, Any]) -> None:
    """Put it between the markers of a page.

    Raises:
        ValueError: the page has not both markers.
    """
    put(path, BEGIN, END, text(report))
