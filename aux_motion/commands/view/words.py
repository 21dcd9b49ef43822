# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""States, reasons and decisions in words, for people who look at the page."""

from __future__ import annotations

from html import escape

import numpy as np

from aux_motion_core.safety.robot import Robot
from aux_motion_core.safety.separation import Separation, SpeedReason
from aux_motion_core.types import MotionPrediction, Reason, TrackState, View, ViewReason, ViewReport

STATES = {
    TrackState.WARMING_UP: "warming up: seen too briefly to predict; only the present pose and a growing bound",
    TrackState.TRACKING: "tracking: predicted",
    TrackState.DEGRADED: "degraded: predicted, but the input is poor",
    TrackState.STALE: "stale: not seen lately; the bound grows around the last pose",
    TrackState.ABSENT: "absent: lost, and may still be there unseen; the bound grows around the last pose",
}
REASONS = {
    Reason.SHORT_HISTORY: "seen for too short a time",
    Reason.FEW_JOINTS: "few joints are seen",
    Reason.IMPUTED: "joints that were never seen are guessed",
    Reason.INPUT_GAP: "gaps in the input",
    Reason.INPUT_OLD: "the input is old",
    Reason.STAMP_JUMP: "the time stamps jumped",
    Reason.DUPLICATE_ID: "two skeletons have this id",
    Reason.NOT_Z_UP: "the body does not stand along +z: the frame may be wrong",
    Reason.OUTLIER_MASKED: "joints that jumped are left out, and the bound is wider",
    Reason.ID_RELINKED: "the tracker changed this person's id",
    Reason.OUT_OF_DISTRIBUTION: "a motion that the calibration does not know",
    Reason.UNCALIBRATED: "the bound is what a body can reach, no calibrated number",
    Reason.BACKEND_FALLBACK: "another way of computing took over",
    Reason.NON_FINITE_OUTPUT: "the model gave no usable number",
}
SPEEDS = {
    SpeedReason.FREE: "full speed",
    SpeedReason.SLOWED: "slowed",
    SpeedReason.STOPPED: "stopped",
    SpeedReason.NO_PEOPLE_YET: "stopped: nothing is known of people yet",
    SpeedReason.PEOPLE_STALE: "stopped: what is known of people is old",
    SpeedReason.NO_ROBOT_YET: "stopped: the robot's place is not known",
    SpeedReason.ROBOT_STALE: "stopped: the robot's place is old",
    SpeedReason.NO_BOUND: "stopped: somebody has no bound",
    SpeedReason.BAD_DATA: "stopped: the data cannot be used",
    SpeedReason.VIEW_INCOMPLETE: "stopped: somebody may be there who is not among the people",
    SpeedReason.PUBLISHERS: "stopped: several nodes say where people are, or none",
}
VIEWS = {
    View.UNKNOWN: "Nobody has judged whether everybody is among them.",
    View.INCOMPLETE: "Somebody may be there who is not among them:",
    View.COMPLETE: "Every input is heard, and all that they report is among them.",
}
VIEW_REASONS = {
    ViewReason.INPUT_SILENT: "an input is silent",
    ViewReason.INPUT_STAMPS: "an input's time stamps stand still, are old or ahead",
    ViewReason.INPUT_REJECTED: "an input's newest message could not be used",
    ViewReason.INPUT_FROZEN: "an input repeats the same bodies",
    ViewReason.PERSON_UNPLACED: "somebody is reported without a usable place",
    ViewReason.PERSON_IMPLAUSIBLE: "somebody is of a size that no body has",
    ViewReason.PERSON_UNCONFIRMED: "a newcomer is not yet believed",
    ViewReason.PERSON_LOST: "somebody was lost a short while ago",
    ViewReason.PEOPLE_OVER_LIMIT: "there are more people than max_people",
    ViewReason.RESET: "the node began anew a short while ago",
    ViewReason.FAILED: "the prediction failed",
}
STATE_COLOURS = {
    TrackState.WARMING_UP: "#9aa7bd",
    TrackState.TRACKING: "#4cd2b0",
    TrackState.DEGRADED: "#f2c14e",
    TrackState.STALE: "#f2845c",
    TrackState.ABSENT: "#e0525f",
}


def reasons(given: Reason) -> list[str]:
    """Each reason in words."""
    return [text for reason, text in REASONS.items() if reason in given]


def view_html(report: ViewReport) -> str:
    """How complete the view is, as a block of HTML."""
    why = ", ".join(text for reason, text in VIEW_REASONS.items() if reason in report.reasons)
    end = f" {escape(why)}." if why else ""
    return f'<div style="opacity:.75">{escape(VIEWS[report.view])}{end}</div>'


def bound(person: MotionPrediction) -> str:
    """What a person's radius is."""
    if person.radius is None:
        return "no bound"
    kind = person.radius_basis.split(":")[0]
    last = f"{np.median(person.radius[-1]):.2f} m at the last step"
    if kind == "reach":
        return f"bound: within reach, {last}"
    level = f", {100 * person.radius_coverage:g} % promised" if np.isfinite(person.radius_coverage) else ""
    return f"bound: {kind}{level}, {last}"


def person_html(person: MotionPrediction) -> str:
    """A person's state, bound and reasons as a block of HTML."""
    colour = STATE_COLOURS[person.state]
    name, _, rest = STATES[person.state].partition(":")
    lines = [
        f'<div style="margin:0 0 8px"><b>{escape(person.person_id)}</b> '
        f'<span style="color:#10141b;background:{colour};border-radius:8px;padding:0 7px">{name}</span>'
        f'<div style="opacity:.75">{escape(rest.strip())}; {escape(bound(person))}</div>'
    ]
    lines += [f'<div style="opacity:.75">&bull; {escape(text)}</div>' for text in reasons(person.reasons)]
    return "".join(lines) + "</div>"


def speed_html(decision: Separation | None, robot: Robot | None, trouble: str, told: str = "") -> str:
    """The distance and the allowed speed as a block of HTML."""
    if decision is None:
        return f'<div style="opacity:.75">{escape(trouble or told)}</div>'
    share = decision.allowed_speed_fraction
    colour = speed_colour(share)
    name = SPEEDS[decision.reason]
    near = decision.minimum_distance_m
    if np.isfinite(near):
        shown = f"{max(near, 0.0):.2f} m" if near > 0.0 else "inside"
        where = f"{escape(decision.person_id)} ({_word(decision.person_segment)}) to {_word(decision.robot_link)}"
        distance = f'<div>distance <b id="view-distance">{shown}</b>, {where}</div><div style="opacity:.75">needed: '
        distance += f"{decision.protective_distance_m:.2f} m (ISO/TS 15066, {_formulation(decision)})</div>"
    else:
        distance = '<div style="opacity:.75">nobody is known</div>' if near > 0 else ""
    full = f" = {share * robot.max_speed_mps:.2f} m/s" if robot is not None else ""
    return (
        f'<div>allowed speed <b style="color:{colour}">{100 * share:.0f} %{full}</b> ({escape(name)})</div>{distance}'
        f'<div style="opacity:.75">{escape(trouble or decision.reason_text)}</div>'
    )


def speed_colour(share: float) -> str:
    """Green at full speed, yellow while slowed, red while standing."""
    return "#4cd2b0" if share >= 1.0 else "#f2c14e" if share > 0.0 else "#ff6b6b"


def _word(name: str) -> str:
    return escape(name.replace("_", " "))


def _formulation(decision: Separation) -> str:
    return "to all that may be occupied" if int(decision.formulation) == 1 else "to the body as seen"
