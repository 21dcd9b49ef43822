# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""`aux-motion safety-check`: plays what must never free a robot to a running predictor and monitor, and judges it.

What an integrator runs before commissioning, with the parameters of the cell. It needs no camera and no robot, runs on
a private domain, and moves nothing. A passed table is no proof of safety: see docs/safety_check.md.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from tqdm import tqdm

from aux_motion.benchmarks.safety_situations import SITUATIONS, Situation
from aux_motion.benchmarks.safety_stage import Setup, Stage
from aux_motion.commands.parameter_file import file_parameters
from aux_motion.commands.processes import private_domain
from aux_motion.nodes.declaration import wrong_types
from aux_motion.nodes.parameter_files import no_section, node_name, read_sections, values_for
from aux_motion.nodes.parameters import validate
from aux_motion.nodes.ssm_parameters import SsmParameters
from aux_motion_core.safety.robot import load_robot

#: The robot is fast from here on.
FAST = 0.95
#: ... and slow up to here, or as fast as with somebody beside it who is seen, if that is more.
SLOW = 0.02
_LEAST_MESSAGES = 5


def setup(
    robot: Path,
    params: Path | None,
    ssm_params: Path | None,
    fixed_frame: str | None,
    more: Sequence[str],
    near_m: tuple[float, float],
    far_m: tuple[float, float],
    folder: Path,
) -> Setup:
    """What is checked, from the user's files.

    Args:
        robot: description.
        params: of the predictor.
        ssm_params: of the monitor.
        fixed_frame: wins over the file.
        more: further parameters of the predictor, NAME:=VALUE.
        near_m: place beside the robot.
        far_m: place elsewhere.
        folder: of the logs.

    Raises:
        ValueError: a file or a parameter cannot be used.
    """
    values = file_parameters(params) if params else {}
    for given in more:
        name, found, value = given.partition(":=")
        if not found:
            raise ValueError(f"{given!r}: expected NAME:=VALUE with a parameter of config/predictor.yaml")
        values[name] = yaml.safe_load(value)
    if fixed_frame:
        values["fixed_frame"] = fixed_frame
    drop = ("input_topics", "input_trackers", "input_frames", "tracker", "tracker_joints")
    p = validate({k: v for k, v in values.items() if k not in drop})
    arguments = [] if params is None else ["--params", str(params)]
    arguments += ["--fixed-frame", p.fixed_frame]
    for given in more:
        arguments += ["-p", given]
    monitor = ["--robot", str(robot)]
    timeout_s = SsmParameters().people_timeout_s
    if ssm_params is not None:
        sections, monitor_name = read_sections(ssm_params), node_name("aux_motion_ssm")
        given = values_for(sections, monitor_name)
        if given is None:
            raise ValueError(no_section(ssm_params, sections, monitor_name))
        if wrong := wrong_types(given, SsmParameters):
            raise ValueError(f"parameter file {ssm_params}: {wrong[0]}")
        monitor += ["--params", str(ssm_params)]
        timeout_s = given.get("people_timeout_s", timeout_s)
    return Setup(
        p.fixed_frame.lstrip("/"),
        tuple(arguments),
        tuple(monitor),
        load_robot(robot),
        p.lost_after_s + p.absent_hold_s,
        timeout_s,
        near_m,
        far_m,
        folder,
    )


def _open(of: Setup, inputs: int, sim_time: bool) -> Stage:
    stage = Stage(of, inputs, sim_time)
    try:
        stage.start_predictor()
        stage.start_monitor()
        stage.play(60.0, stage.nobody, lambda: bool(stage.speeds) and stage.occupancies > 0)
        for process in stage.processes:
            process.check()
    except BaseException:
        stage.close()
        raise
    return stage


def _row(stage: Stage, situation: Situation, limit: float) -> dict[str, Any]:
    begin = time.monotonic()
    row: dict[str, Any] = {
        "item": situation.item,
        "name": situation.name,
        "inputs": stage.inputs,
        "what": situation.what,
    }
    stage.mark = None
    ready = stage.settle(FAST, stage.setup.hold_s + 20.0)
    worst, heard, why = float("nan"), 0, "the robot never became fast in an empty room: the row says nothing"
    if ready:
        situation.play(stage)
        worst, heard, why = stage.worst()
        for process in stage.processes:
            process.check()
    if ready and heard < _LEAST_MESSAGES:
        why = f"only {heard} speed fractions were heard"
    passed = ready and heard >= _LEAST_MESSAGES and (worst >= FAST if situation.fast else worst <= limit)
    row |= {
        "speed_fraction": None if np.isnan(worst) else round(worst, 4),
        "limit": FAST if situation.fast else round(limit, 4),
        "passed": bool(passed),
        "reason": why,
        "seconds": round(time.monotonic() - begin, 1),
    }
    return row


def run(
    of: Setup,
    inputs: Sequence[int] = (1, 2),
    rows: Sequence[str] = (),
    say: Callable[[str], None] = lambda line: None,
) -> dict[str, Any]:
    """Play the table.

    Args:
        of: what is checked.
        inputs: numbers of cameras.
        rows: names or items of situations; empty: all. The two of item 0 are always played.
        say: called with each line as it is known.

    Returns:
        The report.

    Raises:
        ValueError: an unknown row, or a process that does not start.
    """
    known = {s.name for s in SITUATIONS} | {str(s.item) for s in SITUATIONS}
    unknown = [r for r in rows if r not in known]
    if unknown:
        raise ValueError(f"unknown situation {unknown[0]!r}: expected one of {', '.join(s.name for s in SITUATIONS)}")
    chosen = [s for s in SITUATIONS if not rows or s.item == 0 or s.name in rows or str(s.item) in rows]
    private_domain()
    out: list[dict[str, Any]] = []
    say(f"{'item':>4}  {'situation':<20}{'inputs':>6}  {'speed':>6}  {'limit':>6}")
    for count in inputs:
        limit, stage = SLOW, None
        try:
            for situation in tqdm(chosen, unit=" situations", desc=f"{count} inputs", leave=False, disable=None):
                if stage is not None and (situation.sim_time != stage.sim_time):
                    stage.close()
                    stage = None
                stage = stage or _open(of, count, situation.sim_time)
                try:
                    row = _row(stage, situation, limit)
                except ValueError as error:  # a process that ended: of this row
                    row = {"item": situation.item, "name": situation.name, "inputs": count, "what": situation.what,
                           "speed_fraction": None, "limit": limit, "passed": False, "reason": str(error),
                           "seconds": 0.0}  # fmt: skip
                    situation = SITUATIONS[-1]  # start anew
                if row["name"] == "seen" and row["passed"] is False and (row["speed_fraction"] or 1.0) < 0.5:
                    # this far from this robot somebody who is seen leaves some speed: that is the measure
                    limit = row["speed_fraction"] + SLOW
                    row |= {"passed": True, "limit": 0.5}
                out.append(row)
                with tqdm.external_write_mode():
                    say(line(row))
                if situation.spoils:
                    stage.close()
                    stage = None
        finally:
            if stage is not None:
                with suppress(Exception):
                    stage.close()
    return {
        "predictor": list(of.predictor),
        "monitor": list(of.monitor),
        "robot": of.robot.name,
        "hold_s": of.hold_s,
        "people_timeout_s": of.timeout_s,
        "near_m": list(of.near_m),
        "far_m": list(of.far_m),
        "rows": out,
        "passed": bool(out) and all(r["passed"] for r in out),
    }


def line(row: dict[str, Any]) -> str:
    """A row as a line."""
    speed = "none" if row["speed_fraction"] is None else f"{row['speed_fraction']:.2f}"
    verdict = "PASS" if row["passed"] else "FAIL"
    text = f"{row['item']:>4}  {row['name']:<20}{row['inputs']:>6}  {speed:>6}  {row['limit']:>6.2f}  {verdict}"
    return text if row["passed"] else f"{text}  {row['what']}; {row['reason']}"


def logs() -> Path:
    """A folder for the logs of the processes."""
    return Path(tempfile.mkdtemp(prefix="aux_motion_safety_check_"))
