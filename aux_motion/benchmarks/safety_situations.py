# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""The situations of `aux-motion safety-check`: what must never make a robot fast while somebody is beside it.

Each one is played to a running predictor and monitor (`safety_stage`). The first camera looks at the robot; where there
are two, the other one is well and sees somebody elsewhere, which must change nothing.
"""

from __future__ import annotations

import signal
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from aux_motion.benchmarks.safety_stage import Stage
from aux_motion.commands.processes import wait
from aux_motion_core.constants import NS

#: After a camera shows somebody, or dies, the robot must stand within this beside the monitor's timeout, seconds.
_REACTS_S = 0.5
#: How much longer than the hold a situation goes on, seconds.
_AFTER_HOLD_S = 2.0


@dataclass(frozen=True)
class Situation:
    """One row of the table.

    Attributes:
        item: group, as in docs/safety_check.md.
        name: short.
        what: happens.
        play: to a stage, after the robot is fast in an empty room; it calls `Stage.judge`.
        fast: the robot must become fast instead: without this no other row says anything.
        spoils: processes are not as before after it.
        sim_time: under /clock.
    """

    item: int
    name: str
    what: str
    play: Callable[[Stage], None]
    fast: bool = False
    spoils: bool = False
    sim_time: bool = False


def _long(stage: Stage) -> float:
    return stage.setup.hold_s + _AFTER_HOLD_S


def _react(stage: Stage, first: Callable[[float], object] | None) -> None:
    """Let what is wrong begin, give the monitor its time, then judge for longer than the hold."""
    stage.play(stage.setup.timeout_s + _REACTS_S, first)
    stage.judge()
    stage.play(_long(stage), first)


def _seen_then(stage: Stage, first: Callable[[float], object] | None, seconds: float | None = None) -> None:
    """Somebody beside the robot is seen for two seconds, then this."""
    stage.play(2.0, lambda t: stage.message({"near": stage.near()}))
    stage.judge()
    stage.play(_long(stage) if seconds is None else seconds, first)


def _within_hold(stage: Stage) -> float:
    return max(stage.setup.hold_s - 0.5, 0.3)


# 0: the table means something


def _empty(stage: Stage) -> None:
    stage.judge()
    stage.play(2.0, stage.nobody)


def _near(stage: Stage) -> None:
    def near(t: float) -> object:
        return stage.message({"near": stage.near()})

    stage.play(stage.setup.timeout_s + _REACTS_S + 1.0, near)
    stage.judge()
    stage.play(2.0, near)


# 1: somebody elsewhere switches nothing off


def _dies(stage: Stage) -> None:
    _seen_then(stage, None)


def _dies_empty(stage: Stage) -> None:
    _react(stage, None)


def _rejected(**changes: object) -> Callable[[Stage], None]:
    def play(stage: Stage) -> None:
        _react(
            stage,
            lambda t: [stage.message({"near": stage.near()}, **changes), stage.message({"far": stage.far()})],
        )

    return play


# 2: reported but unusable is not nobody


def _nan(stage: Stage) -> None:
    _react(stage, lambda t: stage.message({"near": stage.near() * np.nan}))


def _no_confidence(stage: Stage) -> None:
    _react(stage, lambda t: stage.message({"near": stage.near()}, confidence=[float("nan")] * len(stage.near())))


def _guessed(stage: Stage) -> None:
    _react(stage, lambda t: stage.guessed(stage.near()))


def _far_off(stage: Stage) -> None:
    _react(stage, lambda t: stage.message({"near": stage.near() + 2e4}))


def _then_guessed(stage: Stage) -> None:
    _seen_then(stage, lambda t: stage.guessed(stage.near()))


def _same_id(stage: Stage) -> None:
    def both(t: float) -> object:
        near = stage.near()
        near[:10] = np.nan  # fewer joints than the other one
        return stage.message([("1", stage.far()), ("1", near)])

    _react(stage, both)


# 3: an empty message is evidence only with a stamp that advances and is recent


def _same_stamp(stage: Stage) -> None:
    stamp_ns = stage.now_ns()
    _seen_then(stage, lambda t: stage.message(stamp_ns=stamp_ns))


def _old_stamp(stage: Stage) -> None:
    _seen_then(stage, lambda t: stage.message(stamp_ns=stage.now_ns() - 5 * NS))


def _no_stamp(stage: Stage) -> None:
    _seen_then(stage, lambda t: stage.message(stamp_ns=0))


def _future_stamp(stage: Stage) -> None:
    _seen_then(stage, lambda t: stage.message(stamp_ns=stage.now_ns() + 5 * NS))


# 4: a dead tracker over an empty room


def _all_die(stage: Stage) -> None:
    cameras, stage._cameras[1:] = stage._cameras[1:], []  # the others too
    _react(stage, None)
    stage._cameras[1:] = cameras


# 5: no body has this size


def _sized(factor: float) -> Callable[[Stage], None]:
    def play(stage: Stage) -> None:
        _react(stage, lambda t: stage.message({"near": stage.near() * factor}))

    return play


# 6: the same poses under new stamps


def _stuck(poses: int) -> Callable[[Stage], None]:
    """The tracker repeats its last poses in turn."""

    def play(stage: Stage) -> None:
        last: deque[object] = deque(maxlen=poses)

        def elsewhere(t: float) -> object:
            last.append(stage.seen(3.5 + stage.setup.near_m[0], 0.0))
            return stage.message({"1": last[-1]})

        def again(t: float) -> object:
            last.rotate()
            return stage.message({"1": last[-1]})

        stage.play(2.0, elsewhere)
        stage.play(3.0, again)
        stage.judge()
        stage.play(_long(stage), again)

    return play


# 7: the hold is not forgotten


def _reactivated(stage: Stage) -> None:
    stage.play(2.0, lambda t: stage.message({"near": stage.near()}))
    stage.judge()
    stage.transition("deactivate")
    stage.transition("activate")
    stage.play(_within_hold(stage), stage.nobody)


def _stamps_back(stage: Stage) -> None:
    def back(t: float) -> object:
        return stage.message(stamp_ns=stage.now_ns() - (2 * NS if t < 0.5 else 0))

    _seen_then(stage, back, _within_hold(stage))


def _clock_back(stage: Stage) -> None:
    stage.play(2.0, lambda t: stage.message({"near": stage.near()}))
    stage.judge()
    stage.clock_shift_ns -= 20 * NS
    stage.play(_within_hold(stage), stage.nobody)


def _respawned(stage: Stage) -> None:
    stage.play(2.0, lambda t: stage.message({"near": stage.near()}))
    stage.judge()
    first = stage.processes[0]
    stage.forget(first)
    first.popen.send_signal(signal.SIGKILL)
    first.stop()
    stage.start_predictor()
    before = stage.occupancies
    stage.play(30.0, stage.nobody, lambda: stage.occupancies > before + 1)
    stage.play(_within_hold(stage), stage.nobody)


def _relinked(stage: Stage) -> None:
    x, y = stage.setup.near_m

    def other(t: float) -> object:
        # appears beside the lost person after 0.5 s under another id, and walks away
        return stage.message({"2": stage.seen(x + 0.4 + 1.5 * max(t - 0.8, 0.0), y)} if t > 0.5 else {})

    _seen_then(stage, other, _within_hold(stage))


# 8: two publishers


def _stray(stage: Stage) -> None:
    """A second predictor that sees nobody; then the right one is killed."""
    topic = "safety_check_stray"
    kind = stage._kinds[0]
    other = stage.node.create_publisher(kind, topic, 10)
    stray = stage.start_predictor([topic])
    before = stage.occupancies

    def feed(t: float) -> object:
        other.publish(stage.message())
        return stage.message({"near": stage.near()})

    stage.play(8.0, feed, lambda: stage.occupancies > before + 10_000)
    stage.judge()
    stage.play(3.0, feed)
    first = stage.processes[0]
    stage.forget(first)
    first.popen.send_signal(signal.SIGKILL)
    first.stop()
    stage.play(6.0, feed)
    wait(lambda: stray.popen.poll() is None, stage.processes, 1.0, "the stray predictor")
    stage.node.destroy_publisher(other)


SITUATIONS: tuple[Situation, ...] = (
    Situation(0, "empty_room", "all cameras are well and see nobody near: the robot is fast", _empty, fast=True),
    Situation(0, "seen", "somebody stands beside the robot and is seen", _near),
    Situation(1, "camera_dies", "the camera at the robot dies while somebody stands there", _dies),
    Situation(1, "camera_dies_empty", "the camera at the robot dies while nobody is there; a newcomer", _dies_empty),
    Situation(1, "no_frame", "messages of the near person name no frame, another publisher's are well",
              _rejected(frame_id="")),
    Situation(1, "wrong_names", "messages of the near person have unknown joints, another publisher's are well",
              _rejected(joint_names=[f"joint_{i}" for i in range(20)])),
    Situation(2, "all_nan", "somebody is reported, all joints NaN", _nan),
    Situation(2, "confidence_nan", "somebody is reported, confidence NaN", _no_confidence),
    Situation(2, "all_guessed", "somebody is reported, all joints guessed by the tracker", _guessed),
    Situation(2, "seen_then_guessed", "somebody is seen, then only guessed", _then_guessed),
    Situation(2, "beyond_10_km", "somebody is reported 20 km away", _far_off),
    Situation(2, "same_id", "two people under one id, the near one with fewer joints", _same_id),
    Situation(3, "stamp_stands", "somebody is seen, then empty messages with the same stamp for ever", _same_stamp),
    Situation(3, "stamp_old", "somebody is seen, then empty messages 5 s old", _old_stamp),
    Situation(3, "stamp_ahead", "somebody is seen, then empty messages 5 s ahead", _future_stamp),
    Situation(3, "stamp_zero", "somebody is seen, then empty messages of 1970", _no_stamp),
    Situation(4, "all_die_empty", "all cameras die over an empty room", _all_die),
    Situation(5, "all_at_origin", "all joints at 0, 0, 0", _sized(0.0)),
    Situation(5, "tenth", "a body of a tenth of its size", _sized(0.1)),
    Situation(5, "thousandth", "a body in kilometres", _sized(0.001)),
    Situation(5, "millimetres", "a body in millimetres", _sized(1000.0)),
    Situation(6, "frozen", "the tracker repeats a body elsewhere under new stamps while somebody walks in", _stuck(1)),
    Situation(6, "frozen_in_turn", "the same with the tracker's last two frames in turn", _stuck(2)),
    Situation(7, "reactivated", "somebody is seen, then hidden, and the predictor is activated again", _reactivated),
    Situation(7, "stamps_back", "somebody is seen, then hidden, and stamps step back", _stamps_back),
    Situation(7, "clock_back", "somebody is seen, then hidden, and /clock jumps back", _clock_back,
              spoils=True, sim_time=True),
    Situation(7, "respawned", "somebody is seen, then hidden, and the predictor starts again", _respawned, spoils=True),
    Situation(7, "relinked", "somebody is lost, another one appears beside and walks away", _relinked),
    Situation(8, "stray_predictor", "a second predictor that sees nobody; then the right one is killed", _stray,
              spoils=True),
)  # fmt: skip
