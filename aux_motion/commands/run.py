# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""`aux-motion run`: the predictor node without ROS launch."""

from __future__ import annotations

import os
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated

import typer

from aux_motion.nodes.declaration import wrong_types
from aux_motion.nodes.parameter_files import ParameterFileError, text_value
from aux_motion.nodes.parameters import NodeParameters

app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)


@app.command()
def run(
    params: Annotated[Path | None, typer.Option(help="ROS parameter file (YAML); options win over it.")] = None,
    fixed_frame: Annotated[
        str | None, typer.Option(help="Frame of the predictions, z up; required, here or in --params.")
    ] = None,
    model: Annotated[Path | None, typer.Option(help="Model folder; the shipped one by default.")] = None,
    backend: Annotated[str | None, typer.Option(help="onnx (the model) or a baseline, such as damped_pose.")] = None,
    threads: Annotated[int | None, typer.Option(min=0, max=64, help="Threads of the backend; 0: automatic.")] = None,
    tracker: Annotated[str | None, typer.Option(help="What sends the skeletons (docs/trackers.md).")] = None,
    joints: Annotated[
        str | None, typer.Option(help="Joint list of pose_array: coco17, or every joint with commas.")
    ] = None,
    input_topic: Annotated[str | None, typer.Option(help="Topic of the skeletons; several with commas.")] = None,
    static_frame: Annotated[
        str | None, typer.Option(help="Frame that --static-transform brings to the fixed frame.")
    ] = None,
    static_transform: Annotated[
        str | None, typer.Option(help="Pose of --static-frame in the fixed frame: x,y,z in metres, qx,qy,qz,qw.")
    ] = None,
    mix: Annotated[bool | None, typer.Option(help="Weigh the model and the baselines by their recent errors.")] = None,
    learning: Annotated[
        str | None, typer.Option(help="Correction learnt from this tracker: off, shadow or on.")
    ] = None,
    learned_file: Annotated[
        Path | None, typer.Option(help="File that keeps what is learnt over restarts (.npz).")
    ] = None,
    param: Annotated[
        list[str] | None,
        typer.Option("-p", "--param", metavar="NAME:=VALUE", help="Any other parameter; may be given again."),
    ] = None,
    use_sim_time: Annotated[bool | None, typer.Option(help="Take the time from /clock.")] = None,
    autostart: Annotated[
        bool, typer.Option(help="Configure and activate at the start; off: a lifecycle manager does it.")
    ] = True,
    namespace: Annotated[str | None, typer.Option(help="ROS namespace of the node.")] = None,
    trace: Annotated[
        Path | None, typer.Option(help="Write what happened when, for chrome://tracing or ui.perfetto.dev.")
    ] = None,
    domain: Annotated[
        int | None, typer.Option(min=0, max=232, help="ROS_DOMAIN_ID; by default the environment's.")
    ] = None,
    log_level: Annotated[str, typer.Option(help="debug, info, warn, error or fatal.")] = "info",
) -> None:
    """Start the predictor node without ROS launch; Ctrl-C ends it. Options win over the parameter file."""
    if params is not None and not params.is_file():
        raise typer.BadParameter(f"parameter file {params} does not exist", param_hint="--params")
    if log_level.lower() not in ("debug", "info", "warn", "error", "fatal"):
        raise typer.BadParameter(f"{log_level!r}: expected debug, info, warn, error or fatal", param_hint="--log-level")
    overrides = {
        "fixed_frame": fixed_frame,
        "model_dir": None if model is None else str(model),
        "backend": backend,
        "threads": threads,
        "tracker": tracker,
        "tracker_joints": _texts(joints, "--joints"),
        "input_topic": input_topic if "," not in (input_topic or "") else None,
        "input_topics": _texts(input_topic, "--input-topic") if "," in (input_topic or "") else None,
        "static_transform_frame": static_frame,
        "static_transform": None if static_transform is None else _numbers(static_transform),
        "trace_file": None if trace is None else str(trace.absolute()),
        "mix": mix,
        "learning": learning,
        "learned_file": None if learned_file is None else str(learned_file.absolute()),
        "use_sim_time": use_sim_time,
        "autostart": autostart,
    }
    arguments = _arguments(params, namespace, log_level)
    given = _given(param or [])
    if domain is not None:
        os.environ["ROS_DOMAIN_ID"] = str(domain)
    from aux_motion.nodes.predictor_node import spin  # after the environment is set

    values = {**given, **{k: v for k, v in overrides.items() if v is not None}}
    raise typer.Exit(spin(arguments, values, needs_start=autostart))


def _arguments(params: Path | None, namespace: str | None, log_level: str) -> list[str]:
    """The ROS arguments of the node."""
    arguments = ["aux-motion", "--ros-args", "--log-level", log_level.lower()]
    if params is not None:
        arguments += ["--params-file", str(params)]
    if namespace:
        arguments += ["-r", f"__ns:=/{namespace.strip('/')}"]
    return arguments


def _given(texts: list[str]) -> dict[str, object]:
    """Values of NAME:=VALUE. They win over sections of a file that name the node, which rcl's own -p does not."""
    values: dict[str, object] = {}
    for text in texts:
        name, found, value = text.partition(":=")
        if not found or name not in NodeParameters.model_fields:
            near = get_close_matches(name, NodeParameters.model_fields, 1) if found else []
            hint = f"did you mean {near[0]}?" if near else "docs/parameters.md lists them"
            raise typer.BadParameter(
                f"{text!r}: expected NAME:=VALUE with a parameter of the node; {hint}", param_hint="--param"
            )
        try:
            values[name] = text_value(value)
        except ParameterFileError as error:
            raise typer.BadParameter(f"{name}: {error}", param_hint="--param") from None
    if wrong := wrong_types(values, NodeParameters):
        raise typer.BadParameter(wrong[0], param_hint="--param")
    return values


def _texts(text: str | None, option: str) -> list[str] | None:
    if not text:
        return None
    parts = [part.strip() for part in text.split(",") if part.strip()]
    if not parts:
        raise typer.BadParameter(f"{text!r}: expected names with commas", param_hint=option)
    return parts


def _numbers(text: str) -> list[float]:
    try:
        numbers = [float(part) for part in text.replace(",", " ").split()]
    except ValueError:
        numbers = []
    if len(numbers) != 7:
        raise typer.BadParameter(
            f"{text!r}: expected seven numbers x,y,z,qx,qy,qz,qw (metres, quaternion)",
            param_hint="--static-transform",
        )
    return numbers


def main(arguments: list[str] | None = None) -> int:
    """Parse `arguments` (None: the process' own) and run the node.

    Returns:
        Exit status: 0 after a signal, 1 when the node could not start, 2 for wrong options.
    """
    try:
        app(args=arguments, prog_name="aux-motion run")
    except SystemExit as end:
        return int(end.code or 0)
    return 0
