# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""What `training.fitting.evidence` measured, as Markdown, and put between the markers of a page.

From a report that is there, without measuring again:

    python -m training.fitting.evidence_text --json docs/benchmarks/bounds.json --markdown docs/bounds.md
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from training.commands import guard
from training.pages import put

BEGIN, END = "<!-- bounds measured -->", "<!-- bounds end -->"
#: The level that is told in words.
LEVEL = "0.95"

_TIERS = {
    "new_subject": "new person",
    "new_motion": "washing a window",
    "handover": "handover, KTH",
    "real_tracker": "Kinect v1",
}
_HEAD = (
    "tier", "nominal", "each joint", "whole body over 1.0 s", "median volume of the 1.6 m/s reach set, 0.4 s", "1.0 s",
    "Winkler score, 0.4 s",
)  # fmt: skip
#: Fewer clips have no interval: it would say that all is certain.
_LEAST_CLIPS = 5
#: Shares are kept to four digits.
_LEAST_VOLUME = 1e-3


def _share(found: dict[str, Any] | None) -> str:
    """A share with its interval over clips."""
    if found is None:
        return ""
    few = found["clips"] < _LEAST_CLIPS
    return f"{found['overall']:.3f}" + ("" if few else f" [{found['low']:.3f}, {found['high']:.3f}]")


def _percent(share: float) -> str:
    return f"{100.0 * share:.0f} %"


def _volume(ratio: float) -> str:
    if ratio < _LEAST_VOLUME:
        return f"below 1/{1.0 / _LEAST_VOLUME:.0f}"
    return f"1/{1.0 / ratio:.0f}" if ratio < 0.01 else f"1/{1.0 / ratio:.1f}"


def table(report: dict[str, Any]) -> str:
    """Coverage, size and score of every tier and calibrated level."""
    lines = [f"| {' | '.join(_HEAD)} |", "|---" * len(_HEAD) + "|"]
    for tier, of in report["tiers"].items():
        for level, found in of["coverage"].items():
            if not found["calibrated"]:
                continue
            one = ", 1 condition" if len(found["condition"]) == 1 else ""
            clips = f"{of['clips']} clip{'s' if of['clips'] > 1 else ''}{one}"
            volume = found["median_volume_of_1.6mps_reach"]
            cells = (
                f"{_TIERS[tier]} ({clips})", level, _share(found), _share(found.get("body")), _volume(volume["0.4"]),
                _volume(volume["1"]), f"{1000.0 * found['winkler_m']['0.4']:.0f} mm",
            )  # fmt: skip
            lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _lowest(conditions: dict[str, dict[str, Any]], count: int) -> str:
    names = sorted(conditions, key=lambda n: conditions[n]["overall"])[:count]
    return "; ".join(f"{n.replace('_', ' ')} {_share(conditions[n])}" for n in names)


def _new_person(found: dict[str, Any]) -> list[str]:
    groups = [g for g in found["group"].values() if g["overall"] is not None]
    inside = sum(g["nominal_inside"] for g in groups)
    wide = sum(not g["nominal_inside"] and g["overall"] > float(LEVEL) for g in groups)
    lines = [
        f"- Each joint on its own, new person: {_share(found)}. Of {len(groups)} groups {inside} have the nominal in "
        f"their interval, {wide} are too wide and {len(groups) - inside - wide} too narrow.",
        f"- By condition the lowest are {_lowest(found['condition'], 3)}.",
    ]
    if "body" in found:
        body = found["body"]
        lines.append(
            f"- The whole body over the horizon, new person: {_share(body)}; lowest with "
            f"{_lowest(body['condition'], 4)}."
        )
    return lines


def _tracker(errors: dict[str, dict[str, Any]]) -> list[str]:
    told = [
        f"{e} m: each joint {f[LEVEL]['overall']:.3f}"
        + ("" if f[LEVEL]["whole_body"] is None else f", whole body {f[LEVEL]['whole_body']:.3f}")
        for e, f in errors.items()
        if LEVEL in f
    ]
    return [f"- In front of a Kinect v1, with a `tracker_error_m` of {'; '.join(told)}."] if told else []


def _unfamiliar(odd: dict[str, Any] | None) -> list[str]:
    if odd is None:
        return []
    tiers = ", ".join(f"{_TIERS[t]} {100.0 * v['share']:.1f} %" for t, v in odd["tiers"].items())
    corrupted = ", ".join(f"{n.replace('_', ' ')} {_percent(v['share'])}" for n, v in odd["corruptions"].items())
    return [
        f"- Windows called out of distribution: {tiers}; of the new person's, corrupted in ways that nothing was made "
        f"with: {corrupted}."
    ]


def text(report: dict[str, Any]) -> str:
    """All of it, for a page."""
    model, made = report["model"], report["calibration"]
    found = report["tiers"]["new_subject"]["coverage"].get(LEVEL, {})
    reach = report["reach_set"]
    held = reach["tiers"]["new_subject"]
    actions = ", ".join(a.replace("_", " ") for a in made["domain"]["actions"])
    lines = [
        f"Model {model['name']} {model['version']}; its table is of {made['windows']} windows of {made['clips']} clips "
        f"({actions}).",
        "",
        table(report),
        "",
        f"Read plainly, at {LEVEL}:",
        "",
        *(_new_person(found) if found.get("calibrated") else []),
        *_tracker(report["tiers"]["real_tracker"].get("overall_with_tracker_error_m", {})),
        *_unfamiliar(report["out_of_distribution"]),
        f"- The reach set at a fixed {reach['reach_speed_mps']:.1f} m/s holds the new person's whole body "
        f"{_percent(held['fixed']['whole_body'])} of the time; with the speed that was seen "
        f"{_percent(held['observed']['whole_body'])}.",
    ]
    return "\n".join(lines)


def fill(path: Path, report: dict[str, Any]) -> None:
    """Put it between the markers of a page.

    Raises:
        ValueError: the page has not both markers.
    """
    put(path, BEGIN, END, text(report))


def main(
    json_path: Annotated[Path, typer.Option("--json", help="report of training.fitting.evidence")] = Path(
        "docs/benchmarks/bounds.json"
    ),
    markdown: Annotated[Path, typer.Option(help="page with markers to fill")] = Path("docs/bounds.md"),
) -> None:
    """Fill a page from a report that was measured before."""
    with guard("training.fitting.evidence_text"):
        fill(markdown, json.loads(json_path.read_text(encoding="utf-8")))
    print(f"filled: {markdown}")


if __name__ == "__main__":
    typer.run(main)
