# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""`aux-motion ssm`: the speed and separation monitor without ROS launch, and its closed-loop replay.

The monitor is `aux_motion.nodes.ssm_node`. Not a certified safety function: see docs/planners.md.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from aux_motion.commands.shipped import shipped

#: Runs the replay: folder of the results, folder of recordings or None, model folder or None -> lines to show.
Replay = Callable[[Path, Path | None, Path | None], list[str]]

app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)


@app.command()
def ssm(
    context: typer.Context,
    robot: Annotated[
        Path | None, typer.Option(help="Robot description (YAML); required, here or in --params.", callback=shipped)
    ] = None,
    formulation: Annotated[
        str | None,
        typer.Option(help="present_body or swept_occupancy; by default as in --params, else swept_occupancy."),
    ] = None,
    robot_source: Annotated[
        str | None,
        typer.Option(help="Where the robot is: auto, static, tf or poses; by default as in --params, else auto."),
    ] = None,
    expected_publishers: Annotated[
        int | None,
        typer.Option(min=1, max=16, help="How many predictors publish occupancy; by default as in --params, else 1."),
    ] = None,
    params: Annotated[Path | None, typer.Option(help="ROS parameter file (YAML); options win over it.")] = None,
    use_sim_time: Annotated[bool | None, typer.Option(help="Take the time from /clock.")] = None,
    namespace: Annotated[str | None, typer.Option(help="ROS namespace of the node.")] = None,
    domain: Annotated[
        int | None, typer.Option(min=0, max=232, help="ROS_DOMAIN_ID; by default the environment's.")
    ] = None,
    log_level: Annotated[str, typer.Option(help="debug, info, warn, error or fatal.")] = "info",
    demo: Annotated[bool, typer.Option(help="No node: a robot arm against recorded people, in closed loop.")] = False,
    data: Annotated[
        Path | None, typer.Option(help="With --demo: folder of recordings held out of training, beside the sample.")
    ] = None,
    model: Annotated[Path | None, typer.Option(help="With --demo: model folder; the shipped one by default.")] = None,
    out: Annotated[Path, typer.Option(help="With --demo: folder of the table and the picture.")] = Path("build/ssm"),
) -> None:
    """Speed and separation monitor: how fast a robot may be beside people. Not a certified safety function."""
    if params is not None and not params.is_file():
        raise typer.BadParameter(f"parameter file {params} does not exist", param_hint="--params")
    if demo:
        if context.obj is None:
            raise typer.BadParameter("the replay is not here: run aux-motion ssm --demo", param_hint="--demo")
        for line in context.obj(out, data, model):
            typer.echo(line)
        return
    overrides = {
        "robot": None if robot is None else str(robot),
        "formulation": formulation,
        "robot_source": robot_source,
        "expected_publishers": expected_publishers,
        "use_sim_time": use_sim_time,
    }
    arguments = ["aux-motion", "--ros-args", "--log-level", log_level.lower()]
    if params is not None:
        arguments += ["--params-file", str(params)]
    if namespace:
        arguments += ["-r", f"__ns:=/{namespace.strip('/')}"]
    if domain is not None:
        os.environ["ROS_DOMAIN_ID"] = str(domain)
    from aux_motion.nodes.ssm_node import spin  # after the environment is set

    raise typer.Exit(spin(arguments, {k: v for k, v in overrides.items() if v is not None}))


def main(arguments: list[str] | None = None, replay: Replay | None = None) -> int:
    """Parse `arguments` (None: the process' own) and run.

    Args:
        arguments: without the name.
        replay: what --demo runs; None: --demo is refused.

    Returns:
        Exit status: 0 after a signal or the replay, 1 when the node could not start, 2 for wrong options.
    """
    try:
        app(args=arguments, prog_name="aux-motion ssm", obj=replay)
    except SystemExit as end:
        return int(end.code or 0)
    return 0
