# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""Conditions on a summary, such as `mpjpe_mm@0.4s>80`, that let a test of a recording fail.

    NAME OPERATOR NUMBER      NAME: metric[.of][@HORIZONs]      OPERATOR: < <= > >=

`metrics` gives every name and value of a summary; `FAMILIES` says what they are.
"""

from __future__ import annotations

import difflib
import operator
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

FAMILIES: dict[str, str] = {
    "mpjpe_mm": "mean error of what is published; .SOURCE: of another source; @HORIZONs",
    "median_mm": "median of the same",
    "p95_mm": "95th percentile of the same",
    "ratio": ".SOURCE: error of what is published over that of the source, below 1 is better; @HORIZONs",
    "ratio_high": ".SOURCE: upper end of the interval of the same",
    "joint_mm": ".JOINT: mean error of a joint; @HORIZONs",
    "speed_mm": ".still, .slow, .fast: mean error by speed of the person; @HORIZONs",
    "samples": "people at a time that were judged; @HORIZONs",
    "unseen_share": "share of outcomes never seen; @HORIZONs",
    "jitter_mm": "change of a prediction from one message to the next; @HORIZONs",
    "bone_change": "mean change of bones' lengths, as a share; @HORIZONs",
    "coverage": "share of joints within the calibrated radius; @HORIZONs",
    "body_coverage": "share of people wholly within the simultaneous bound; @HORIZONs",
    "radius_mm": "median calibrated radius; @HORIZONs",
    "early_miss": "share of joints outside the calibrated radius within the first 0.2 s",
    "early_body_miss": "share of predictions of which a joint is outside the simultaneous bound within the first 0.2 s",
    "onset_coverage": "share of joints within the calibrated radius, of who stood and now moves; @HORIZONs",
    "onset_body_coverage": "share of predictions of who stood and now moves, held at every step of the horizon",
    "faulted_mm": ".FAULT: mean error with that fault at its full strength; @HORIZONs",
    "frames": "messages used",
    "rejected": "messages that could not be used",
    "rejected_share": "their share of all messages",
    "predicted_share": "share of messages after which somebody was predicted",
    "joints_seen_share": "share of joints that were observed",
    "rate_hz": "median rate of the input",
    "gaps": "pauses of the input longer than max_gap_s",
    "duration_s": "length of the recording",
    "processing_ms": ".p50, .p95, .p99: time from a message to its prediction",
    "log_minus_stamp_ms": ".p50, .p95, .p99, .least: delay between a stamp and the recording of its message",
    "counter": ".NAME: what the predictor repaired or dropped",
}
#: What can be counted: what did not occur is 0.
COUNTERS = (
    "duplicate_body_flagged", "duplicate_body_merged", "duplicate_person_id", "id_relinked", "id_reused",
    "left_right_swap_believed", "left_right_swap_undone", "non_finite_or_absurd_joints", "non_finite_output",
    "non_finite_scale", "not_z_up", "out_of_distribution", "outlier_believed", "outlier_masked", "people_displaced",
    "people_over_limit", "person_only_guessed", "person_without_joints", "relink_ambiguous", "stamp_in_the_future",
    "stamp_merged", "stamp_reordered", "stamp_reset", "stamp_too_old", "tf_queue_full", "tf_timeout", "tf_unusable",
    "stamp_wild", "unsure_joints", "joints_on_one_place", "implausible_bodies", "frozen_bodies",
    "people_unconfirmed", "relink_doubtful", "outside_region",
    "tf_waited", "azure_kinect_nobody", "azure_kinect_unknown_joint", "hiros_skeleton_without_markers",
    "hiros_unknown_joint", "jsk_unknown_joint", "mocap_not_in_map",
    "ros4hri_body_without_tf", "yolo_empty_array", "yolo_joint_without_depth",
    "yolo_person_without_3d_keypoints", "yolo_person_without_id", "zed_body_off", "zed_body_without_id",
    "zed_coasting", "zed_object_without_skeleton",
)  # fmt: skip
_OPERATORS = {"<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge}
_NUMBER = r"\d*\.?\d+"
_CONDITION = re.compile(
    rf"\s*([A-Za-z_]\w*)((?:\.\w+)?)((?:@{_NUMBER}s)?)\s*(<=|>=|<|>)\s*([-+]?{_NUMBER}(?:[eE][-+]?\d+)?)\s*"
)


class GateError(ValueError):
    """A condition that cannot be checked, in one line."""


@dataclass(frozen=True)
class Condition:
    """One condition.

    Attributes:
        text: as given.
        name: of the metric.
        sign: "<", "<=", ">" or ">=".
        limit: the number.
    """

    text: str
    name: str
    sign: str
    limit: float

    def holds(self, values: dict[str, float]) -> bool:
        """Whether it holds.

        Raises:
            GateError: there is no such value; names those that are alike.
        """
        if self.name not in values:
            family = self.name.split("@")[0].split(".")[0]
            alike = [n for n in values if n.split("@")[0].split(".")[0] == family]
            alike = sorted(alike, key=lambda n: -difflib.SequenceMatcher(None, n, self.name).ratio())[:12]
            there = f"there are {', '.join(alike)}" if alike else f"nothing of {family} was measured here"
            raise GateError(f"--fail-if {self.text!r}: no value is called {self.name}; {there}")
        return _OPERATORS[self.sign](values[self.name], self.limit)


def parse(text: str) -> Condition:
    """A condition.

    Raises:
        GateError: it is not of the form, or the metric is unknown; lists the known ones.
    """
    found = _CONDITION.fullmatch(text)
    if not found:
        raise GateError(f"--fail-if {text!r}: expected a condition such as 'mpjpe_mm@0.4s>80' (signs: < <= > >=)")
    family, of, horizon, sign, limit = found.groups()
    if family not in FAMILIES:
        raise GateError(f"--fail-if {text!r}: no metric is called {family!r}; there are {', '.join(FAMILIES)}")
    if horizon:
        horizon = "@" + f"{float(horizon[1:-1]):.6g}" + "s"
    return Condition(text.strip(), f"{family}{of}{horizon}", sign, float(limit))


def _put(values: dict[str, float], name: str, value: Any) -> None:
    if isinstance(value, int | float) and not isinstance(value, bool):
        values[name] = float(value)


def metrics(summary: dict[str, Any]) -> dict[str, float]:
    """Every value of a summary that a condition can name.

    Args:
        summary: of `evaluate`, of one bag or of all.

    Returns:
        Name -> value, in the order of `FAMILIES`.
    """
    values: dict[str, float] = {}
    for key, row in summary["errors_mm"].items():
        at = f"@{float(key):.6g}s"
        for source, cell in row.items():
            names = [f".{source}"] + ([""] if source == summary["sources"][0] else [])
            for of in names:
                _put(values, f"mpjpe_mm{of}{at}", cell["mean"])
                _put(values, f"median_mm{of}{at}", cell["median"])
                _put(values, f"p95_mm{of}{at}", cell["p95"])
            if "first_is" in cell:
                _put(values, f"ratio.{source}{at}", cell["first_is"][0])
                _put(values, f"ratio_high.{source}{at}", cell["first_is"][2])
        _put(values, f"samples{at}", summary["samples"][key])
    first = summary["sources"][0]
    for key, joints in summary["joints_mm"].items():
        for joint, cell in joints.items():
            _put(values, f"joint_mm.{joint}@{float(key):.6g}s", cell[first]["mean"])
    for speed, rows in summary["speeds_mm"].items():
        for key, cell in rows.items():
            _put(values, f"speed_mm.{speed}@{float(key):.6g}s", cell[first]["mean"])
    for key, cell in summary["unseen"].items():
        _put(values, f"unseen_share@{float(key):.6g}s", cell["share"])
    for key, cell in summary["jitter_mm"].items():
        _put(values, f"jitter_mm@{float(key):.6g}s", cell[first]["mean"])
    for key, cell in summary["bones"].items():
        if key != "input":
            _put(values, f"bone_change@{float(key):.6g}s", cell[first]["mean"])
    calibrated = [k for k in summary["bounds"].values() if k["nominal"] is not None]
    for kind in calibrated[:1]:
        for key, cell in kind["horizons"].items():
            at = f"@{float(key):.6g}s"
            _put(values, f"coverage{at}", cell["coverage"])
            _put(values, f"body_coverage{at}", cell["body_coverage"])
            _put(values, f"radius_mm{at}", cell["radius_mm"]["median"])
        early = kind["early"] or {}
        _put(values, "early_miss", early.get("joint_miss_share"))
        _put(values, "early_body_miss", early.get("prediction_miss_share"))
    for kind in [k for k in summary["onset"]["bounds"].values() if k["nominal"] is not None][:1]:
        for key, cell in kind["horizons"].items():
            _put(values, f"onset_coverage@{float(key):.6g}s", cell["coverage"])
        _put(values, "onset_body_coverage", kind["whole_second_body_coverage"])
    for fault, curve in summary.get("faults", {}).get("curves", {}).items():
        for key, row in curve[-1]["mpjpe_mm"].items():
            _put(values, f"faulted_mm.{fault}@{float(key):.6g}s", row[first])
    given = summary["input"]
    for name in (
        "frames", "rejected", "rejected_share", "predicted_share", "joints_seen_share", "rate_hz", "duration_s",
    ):  # fmt: skip
        _put(values, name, given[name])
    _put(values, "gaps", given["gaps"]["count"])
    for name in ("processing_ms", "log_minus_stamp_ms"):
        for part, value in (given[name] or {}).items():
            _put(values, f"{name}.{part}", value)
    for name, value in {**dict.fromkeys(COUNTERS, 0), **given["counters"]}.items():
        _put(values, f"counter.{name}", value)
    return values


def check(conditions: Iterable[Condition], values: dict[str, float]) -> list[str]:
    """The conditions that hold, each with the value, as lines.

    Raises:
        GateError: a condition names a value that is not there.
    """
    return [f"{c.text} ({c.name} is {values[c.name]:g})" for c in conditions if c.holds(values)]
