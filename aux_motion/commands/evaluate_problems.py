# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""What is wrong with a recording that is evaluated, and what to do about it."""

from __future__ import annotations

from concurrent.futures.process import BrokenProcessPool
from typing import Any

from aux_motion.commands.offline import End, Job
from aux_motion_core.evaluation.metrics import Evaluation

#: So many unusable messages are named and forgiven; more of them, and the recording is not what was meant.
FORGIVEN_SHARE = 0.01
#: Why nothing could be judged: a recording that is so many times as long as its stamps say; so many messages at least
#: that tell something of ids.
_OTHER_UNIT, _MANY = 10.0, 30


class EvaluateError(ValueError):
    """What cannot be evaluated or written, in one line."""


def one_line(error: Exception) -> str:
    """What an error says, in one line; only those of this package say it without their name."""
    if isinstance(error, BrokenProcessPool):
        return "a process was killed: out of memory? Use fewer --workers"
    said = (str(error).strip().splitlines() or ["no further message"])[0]
    return said if isinstance(error, ValueError) else f"{type(error).__name__}: {said}"


def problems(job: Job, end: End, evaluation: Evaluation) -> list[str]:
    """What makes the numbers less than they should be, in one line each."""
    found = ([end.damage] if end.damage else []) + end.inputs
    stream = evaluation.stream
    rejected = sum(end.rejected.values())
    if rejected > FORGIVEN_SHARE * (rejected + stream.frames):
        reason, count = end.rejected.most_common(1)[0]
        found.append(
            f"bag {job.bag}: {rejected} of {rejected + stream.frames} messages cannot be used; {count}: {reason}"
        )
    if stream.jump_count:
        at_s, by_s = stream.jumps[0]
        found.append(
            f"bag {job.bag}: its stamps jump {stream.jump_count} times, first by {by_s:g} s after {at_s:g} s (a clock "
            "was set, or a bag was played in a loop while recording): cut it there, or set stamp_source to receive"
        )
    return found


def why_nothing(job: Job, summary: dict[str, Any]) -> str:
    """Why nothing of a bag could be judged, in one line with the remedy.

    Args:
        job: the bag.
        summary: of its evaluation.
    """
    given = summary["input"]
    frames = given["frames"]
    if not frames:
        reason = next(iter(given["rejected_reasons"]), "it has none")
        return f"nothing of bag {job.bag} could be judged: no message can be used; {reason}"
    if not given["people_count"] and (odd := given["counters"].get("implausible_bodies", 0)):
        why = f"none of its {odd} skeletons has a size that bodies have: check the unit of the positions (metres)"
    elif not given["people_count"]:
        why = f"there is no skeleton in any of its {frames} messages: record while the tracker sees somebody"
    elif frames == 1:
        why = "it has one message: record some seconds"
    elif given["stamps"]["repeated"] >= frames - 1:
        why = f"its {frames} messages all have one stamp: the tracker does not stamp, set stamp_source to receive"
    elif not given["joints_seen_share"]:
        why = f"no joint of anybody was observed in its {frames} messages: they are all missing or guessed"
    elif given["counters"].get("non_finite_or_absurd_joints", 0) > frames:
        absurd = given["counters"]["non_finite_or_absurd_joints"]
        why = f"{absurd} joints in {frames} messages are absurdly far away: positions must be in metres"
    elif (passed_s := given["stamps"]["log_span_s"]) > _OTHER_UNIT * max(given["duration_s"], 0.1):
        why = (
            f"its {frames} messages were recorded within {passed_s:g} s, but their stamps say {given['duration_s']:g} "
            "s: check the unit of the stamps, or set stamp_source to receive"
        )
    elif frames >= _MANY and given["people_count"] > frames // 2:
        why = (
            f"there are {given['people_count']} ids in {frames} messages: nobody keeps one for long enough to be seen "
            "again; turn on the tracker's tracking"
        )
    elif not given["predictions"]:
        why = (
            f"nobody was seen for long enough to be predicted in {given['duration_s']:g} s of {frames} messages: "
            "record longer, at 5 Hz or more"
        )
    else:
        why = f"nobody was seen again after a prediction in {given['duration_s']:g} s: record longer"
    return f"nothing of bag {job.bag} could be judged: {why}"
