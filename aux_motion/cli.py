# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""The command line `aux-motion`. Each command imports what it needs only when it runs."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from aux_motion.benchmarks import options
from aux_motion.commands import options as more
from aux_motion.commands.guard import guard
from aux_motion.commands.options import (
    Bag,
    Domain,
    FixedFrame,
    GivenBackend,
    GivenThreads,
    Joints,
    Model,
    Namespace,
    Params,
    Progress,
    Topic,
    Tracker,
    names,
    parameters,
)
from aux_motion.commands.shipped import shipped
from aux_motion.nodes.loading import loading

app = typer.Typer(
    name="aux-motion",
    help="Predict where people's joints will be, from a partial and noisy stream of 3D skeletons.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)

_OPEN = {"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []}


@app.command(context_settings=_OPEN, short_help="Start the predictor node without ROS launch.")
def run(context: typer.Context) -> None:
    """Start the predictor node without ROS launch (aux-motion run --help lists its options)."""
    from aux_motion.commands import run as implementation

    raise typer.Exit(implementation.main(context.args) or 0)


@app.command(context_settings=_OPEN, short_help="Track people in a video or camera with MediaPipe.")
def track(context: typer.Context) -> None:
    """Track people in a video or camera with MediaPipe (aux-motion track --help lists its options)."""
    from aux_motion.commands import track as implementation

    raise typer.Exit(implementation.main(context.args) or 0)


@app.command(short_help="Predict a bag and judge it by what came later.")
def predict(
    bag: Bag,
    out: Annotated[Path | None, typer.Option(help="Write skeletons and predictions to this .mcap.")] = None,
    topic: Topic = None,
    model: Model = None,
    backend: GivenBackend = None,
    threads: GivenThreads = None,
    params: Params = None,
    namespace: Namespace = "",
    fixed_frame: FixedFrame = None,
    baselines: Annotated[bool, typer.Option(help="Judge the baselines beside the model.")] = True,
    json_out: Annotated[Path | None, typer.Option("--json", help="Write the report as JSON.")] = None,
    tracker: Tracker = None,
    joints: Joints = "",
) -> None:
    """Predict a bag offline, without DDS, with the node's numbers, and judge it by what came later."""
    from aux_motion.commands import files, offline, predict
    from aux_motion.commands.overwrite import refuse_overwrite

    refuse_overwrite([bag, params, model], [out, json_out])
    job = offline.Job(
        bag=bag,
        topic=topic,
        tracker=tracker,
        joints=names(joints),
        params=_read_once(params, namespace),
        namespace=namespace,
        values=_given(backend=backend, threads=threads, model_dir=model, fixed_frame=fixed_frame),
        compare=baselines,
    )
    report = predict.predict(job, out)
    typer.echo(predict.text(report, out))
    if json_out is not None:
        files.write_text(json_out, json.dumps(predict.as_json(report), indent=1) + "\n")
        typer.echo(f"written: {json_out}")
    for line in [*report.remarks, *report.problems]:
        typer.echo(f"aux-motion: {line}", err=True)
    if report.problems:
        raise typer.Exit(2)


@app.command(short_help="Judge predictions on recordings; writes a report.")
def evaluate(
    bags: Annotated[
        list[Path],
        typer.Argument(
            help="Bags (a folder, .mcap, .db3 or .bag of ROS 1; compressed too), or folders of bags.",
            show_default=False,
            callback=shipped,
        ),
    ],
    out: Annotated[Path, typer.Option(help="Folder of the results.", show_default=False)],
    topic: Topic = None,
    tracker: Tracker = None,
    joints: Joints = "",
    model: Model = None,
    backend: GivenBackend = None,
    threads: GivenThreads = None,
    params: Params = None,
    namespace: Namespace = "",
    fixed_frame: FixedFrame = None,
    baselines: Annotated[bool, typer.Option(help="Judge the baselines and the mix beside the model.")] = True,
    learning: Annotated[
        bool, typer.Option("--learning", help="Learn on line, each prediction judged before; with the learning curve.")
    ] = False,
    faults: Annotated[
        str, typer.Option(help="Faults to lay over it, such as drop=0.3,noise_mm=40 (aux-motion fault-inject --list).")
    ] = "",
    seed: Annotated[int, typer.Option(help="Seed of the faults.")] = 0,
    fail_if: Annotated[
        list[str] | None,
        typer.Option(help="Exit code 1 when this holds, such as 'mpjpe_mm@0.4s>80'; may be repeated."),
    ] = None,
    workers: Annotated[int, typer.Option(min=0, max=64, help="Processes; 0: one for each CPU.")] = 0,
    annotated: Annotated[bool, typer.Option(help="Write annotated.mcap for RViz and Foxglove.")] = True,
    progress: Progress = True,
) -> None:
    """Judge predictions on recordings by what was seen later; writes summary.json, report.html, errors.csv."""
    from aux_motion.commands.report_drawing import Drawing

    job = {
        "topic": topic,
        "tracker": tracker,
        "joints": names(joints),
        "params": _read_once(params, namespace),
        "namespace": namespace,
        "values": _given(
            backend=backend,
            threads=threads,
            model_dir=model,
            fixed_frame=fixed_frame,
            learning="on" if learning else None,
        ),
        "compare": baselines,
        "faults": faults,
        "seed": seed,
        "annotated": annotated,
        "progress": progress,
    }

    def warn(line: str) -> None:
        typer.echo(f"aux-motion: {line}", err=True)

    with Drawing() as drawing:
        if workers != 1:
            drawing.start()  # first: it loads what takes long meanwhile
        with loading():
            from aux_motion.commands import evaluate as implementation
        code = implementation.main(bags, out, job, fail_if or [], workers, typer.echo, warn, drawing)
    if code:
        raise typer.Exit(code)


@app.command(short_help="Learn from recordings what the node learns on line.")
def learn(
    bags: Annotated[
        list[Path],
        typer.Argument(help="Bags in their order of time, or folders of bags.", show_default=False, callback=shipped),
    ],
    out: Annotated[Path, typer.Option(help="File for the node's learned_file (.npz).", show_default=False)],
    topic: Topic = None,
    tracker: Tracker = None,
    joints: Joints = "",
    model: Model = None,
    backend: GivenBackend = None,
    params: Params = None,
    namespace: Namespace = "",
    fixed_frame: FixedFrame = None,
    held_out: Annotated[
        float, typer.Option(min=0.0, max=0.9, help="Share of the last bag's end that nothing is learnt from.")
    ] = 0.25,
    progress: Progress = True,
) -> None:
    """Learn from recordings what the node would learn on line, and say what it gains on a part kept apart."""
    from aux_motion.commands import learn as implementation
    from aux_motion.commands.offline import Job
    from aux_motion.commands.overwrite import refuse_overwrite
    from aux_motion_core.bags.find import find_bags

    refuse_overwrite([*bags, params, model], [out])
    values = _given(backend=backend, model_dir=model, fixed_frame=fixed_frame)
    job = Job(
        Path(),
        topic=topic,
        tracker=tracker,
        joints=names(joints),
        params=_read_once(params, namespace),
        namespace=namespace,
        values=values,
        progress=progress,
    )
    jobs = [replace(job, bag=bag) for bag in find_bags(bags)]
    report = implementation.learn(jobs, out, held_out)
    typer.echo(implementation.text(report, out))
    for line in report.problems:
        typer.echo(f"aux-motion: {line}", err=True)
    if report.problems:
        raise typer.Exit(2)


@app.command(short_help="Show a recording or live topics in the browser.")
def view(
    path: Annotated[
        Path | None,
        typer.Argument(help="Bag, or folder made by aux-motion evaluate.", show_default=False, callback=shipped),
    ] = None,
    live: Annotated[bool, typer.Option("--live", help="What ROS topics say now, instead of a recording.")] = False,
    robot: Annotated[
        Path | None, typer.Option(help="Robot description (YAML, as for aux-motion ssm).", callback=shipped)
    ] = None,
    robot_at: Annotated[
        str, typer.Option(help="Where links without a frame stand: 'x y z yaw_deg' in the fixed frame.")
    ] = "",
    topic: Topic = None,
    tracker: Tracker = None,
    joints: Joints = "",
    model: Model = None,
    backend: GivenBackend = None,
    params: Params = None,
    namespace: Namespace = "",
    fixed_frame: FixedFrame = None,
    host: Annotated[str, typer.Option(help="Address to listen on; other machines reach 0.0.0.0.")] = "127.0.0.1",
    port: Annotated[
        int | None, typer.Option(min=0, max=65535, help="Port; by default 8088, or one that is free (0: any).")
    ] = None,
    browser: Annotated[bool, typer.Option("--open", help="Open the page in the desktop's browser.")] = False,
    start: Annotated[
        float | None, typer.Option(min=0.0, help="Second to begin at; by default the first with a prediction.")
    ] = None,
    domain: Domain = None,
) -> None:
    """Show people, predictions, bounds and the robot on a page in the browser; no ROS and no internet needed."""
    _use_domain(domain)
    from aux_motion.commands.view import command as implementation

    job = {
        "topic": topic,
        "tracker": tracker,
        "joints": names(joints),
        "params": _read_once(params, namespace),
        "namespace": namespace,
        "values": _given(backend=backend, model_dir=model, fixed_frame=fixed_frame),
    }
    implementation.view(path, job, live, robot, robot_at, host, port, browser, start, typer.echo)


@app.command()
def compile(  # noqa: A001
    model_dir: Annotated[Path, typer.Argument(help="Model folder (model.onnx, model.json).", show_default=False)],
    out: Annotated[Path, typer.Option(help="Folder of the engine.", show_default=False)],
    precision: Annotated[str, typer.Option(help="fp32, fp16 or int8.")] = "fp32",
    max_people: Annotated[int, typer.Option(min=1, max=256, help="People in a batch at most; more are split.")] = 16,
    target: Annotated[
        str, typer.Option(help="current (the GPU here), or sm75, sm80, sm86, sm89, sm120 without a GPU.")
    ] = "current",
    data: Annotated[
        Path | None, typer.Option(help="Recording to take int8 scales from and to compare with fp32 on.")
    ] = None,
) -> None:
    """Build a TensorRT engine from a model."""
    from aux_motion.commands import compile as implementation

    for line in implementation.run(model_dir, out, target, precision, max_people, data):
        typer.echo(line)


@app.command(short_help="Say which topic, tracker and frame a bag has.")
def describe(
    bag: Bag,
    topic: Topic = None,
    tracker: Tracker = None,
    joints: Joints = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print it as JSON.")] = False,
) -> None:
    """Say which topic of a bag has people, which tracker sent them, and in which frame they are."""
    from aux_motion.commands.describe import describe as look

    found = look(bag, topic, tracker, names(joints))
    typer.echo(json.dumps(found.as_json()) if as_json else found.text())


@app.command(short_help="Publish a bag's skeletons in real time.")
def play(
    bag: Bag,
    to: Annotated[
        str | None, typer.Option(help="Topic to publish on: skeletons, or a tracker's topic as recorded, by default.")
    ] = None,
    topic: Annotated[str | None, typer.Option(help="Topic in the bag; needed where several have people.")] = None,
    tracker: Annotated[str | None, typer.Option(help="Play the messages of this tracker.")] = None,
    rate: Annotated[float, typer.Option(min=0.01, max=100.0, help="Speed: 2 is twice as fast.")] = 1.0,
    loop: Annotated[bool, typer.Option(help="Start again at the end; stamps continue.")] = False,
    start: Annotated[float, typer.Option(min=0.0, help="Seconds to leave out at the beginning.")] = 0.0,
    clock: Annotated[
        float, typer.Option(min=0.0, max=1000.0, help="Rate of /clock with the bag's time, Hz (0: none); keeps stamps.")
    ] = 0.0,
    keep_stamps: Annotated[
        bool, typer.Option(help="Keep the recorded stamps; else they are moved to the present.")
    ] = False,
    tf: Annotated[bool, typer.Option(help="Play the bag's transforms too.")] = True,
    wait_for: Annotated[int, typer.Option(min=0, help="Subscribers to wait for before playing.")] = 1,
    domain: Domain = None,
) -> None:
    """Publish a bag's skeletons in real time. Never on the domain of a running robot."""
    _use_domain(domain)
    from aux_motion.commands import play

    count = play.play(bag, to, topic, rate, loop, keep_stamps, wait_for, start, clock, tracker, tf)
    typer.echo(f"played {count} messages of {bag}")


@app.command(short_help="Record skeletons and predictions to MCAP.")
def record(
    topics: Annotated[
        list[str] | None,
        typer.Argument(
            help="Topics; without: those of this package, of trackers, transforms and diagnostics.", show_default=False
        ),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="New .mcap file; by default named after the present time.", show_default=False)
    ] = None,
    seconds: Annotated[float | None, typer.Option(min=0.1, help="Length, seconds; by default until Ctrl-C.")] = None,
    sim_time: Annotated[
        bool, typer.Option("--sim-time", "--use-sim-time", help="Take the log times from /clock.")
    ] = False,
    domain: Domain = None,
) -> None:
    """Record skeletons and predictions to MCAP; what was recorded survives a kill and a full disk."""
    _use_domain(domain)
    from aux_motion.commands import record as implementation

    typer.echo(implementation.record(out, topics or (), seconds, sim_time))


@app.command(name="fault-inject", short_help="Add faults to live skeletons, on a domain apart.")
def fault_inject(
    spec: Annotated[
        str, typer.Argument(help="Faults with commas, such as drop=0.3,limb=left_arm,delay_ms=120.", show_default=False)
    ] = "",
    source: Annotated[str, typer.Option("--from", help="Topic to listen to.")] = "skeletons",
    target: Annotated[str, typer.Option("--to", help="Topic to publish on.")] = "skeletons_faulty",
    seed: Annotated[int, typer.Option(help="Seed of all random numbers.")] = 0,
    domain: Annotated[
        int | None, typer.Option(min=0, max=232, help="ROS_DOMAIN_ID to publish on; a private one by default.")
    ] = None,
    same_domain: Annotated[bool, typer.Option("--same-domain", help="Publish on the domain it listens on.")] = False,
    list_faults: Annotated[bool, typer.Option("--list", help="List all faults and exit.")] = False,
) -> None:
    """Add seeded faults to live skeletons, on a domain of their own; never where a robot runs."""
    from aux_motion_core.evaluation.faults import Faults, help_text

    if list_faults:
        typer.echo(help_text())
        return
    faults = Faults.parse(spec, seed)
    from aux_motion.commands import fault_inject as implementation

    typer.echo(implementation.inject(faults, source, target, domain, same_domain))


def _given(**options: object) -> dict[str, object]:
    """Parameters that were given on the command line: what is None leaves the parameter file's value alone."""
    return {k: str(v) if isinstance(v, Path) else v for k, v in options.items() if v is not None}


def _read_once(params: Path | None, namespace: str) -> Path | None:
    """The file as it came, after what is wrong with its names was said."""
    parameters(params, namespace)
    return params


def _use_domain(domain: int | None) -> None:
    if domain is not None:
        os.environ["ROS_DOMAIN_ID"] = str(domain)  # before rclpy starts


@app.command(context_settings=_OPEN, short_help="Speed and separation monitor.")
def ssm(context: typer.Context) -> None:
    """Speed and separation monitor, or with --demo its replay (aux-motion ssm --help lists its options)."""
    from aux_motion.commands import ssm as implementation

    raise typer.Exit(implementation.main(context.args, options.replay) or 0)


app.command(name="calibrate-cameras", short_help="Measure where two trackers are to each other.")(
    more.calibrate_cameras
)
app.command(short_help="Write joints, predictions and bounds as a table.")(more.export)
app.command(short_help="Measure latency, start and memory.")(options.bench)
app.command(name="safety-check", short_help="Play faults that must never free a robot.")(options.safety_check)
app.command(short_help="Run the node for long and watch it.")(options.soak)


def main() -> None:
    """Entry point of `aux-motion`."""
    guard(app, "aux-motion")


if __name__ == "__main__":
    main()
