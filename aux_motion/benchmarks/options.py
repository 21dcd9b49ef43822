# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""Options of `aux-motion bench`, `soak` and `ssm --demo`; what they run is imported when it runs."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from aux_motion.commands.options import BackendName, Model
from aux_motion.commands.shipped import shipped


def bench(
    json_out: Annotated[Path | None, typer.Option("--json", help="Write the records as JSON.")] = None,
    picture: Annotated[Path | None, typer.Option(help="Write a picture (PNG, SVG; needs matplotlib).")] = None,
    model: Model = None,
    backend: BackendName = "onnx",
    people: Annotated[str, typer.Option(help="Numbers of people, with commas.")] = "1,4,8,16",
    threads: Annotated[str, typer.Option(help="Numbers of threads, with commas; the node has the first.")] = "1,2",
    rates: Annotated[str, typer.Option(help="Rates of the input over DDS, Hz, with commas.")] = "15,30,60,120",
    rounds: Annotated[int, typer.Option(min=5, help="Measured rounds of each stage and variant.")] = 300,
    baselines: Annotated[bool, typer.Option(help="Measure the baselines too.")] = True,
    backends: Annotated[
        bool,
        typer.Option(help="Measure the other ways to run the model too (plain torch: training.studies.torch_eager)."),
    ] = False,
    dds_seconds: Annotated[
        float, typer.Option(min=0.0, help="End to end over DDS: seconds for each rate and number of people; 0: none.")
    ] = 3.0,
    profile: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER",
            help="Only profile the node under load (first of --people and --rates, --dds-seconds): profile.txt, "
            "profile.svg (a flame graph), profile.pstats.",
        ),
    ] = None,
) -> None:
    """Measure latency per stage, of backends, end to end over DDS beside a node that only answers, start and memory."""
    from aux_motion.benchmarks import bench as implementation
    from aux_motion.benchmarks.bench_table import table

    numbers, workers = _numbers(people, "--people"), _numbers(threads, "--threads")
    hertz = _numbers(rates, "--rates", 1000)
    if dds_seconds > 0.0 and dds_seconds * min(hertz) < 4.0:
        raise ValueError(f"--dds-seconds {dds_seconds:g}: expected at least {4.0 / min(hertz):g} for {min(hertz)} Hz")
    _check_written(json_out)
    if profile is not None:
        from aux_motion.benchmarks import bench_profile

        _check_written(profile / "profile.txt")
        seconds = max(dds_seconds, 1.0)
        typer.echo(bench_profile.run(model, backend, numbers[0], hertz[0], seconds, profile))
        typer.echo(f"written: {profile / 'profile.txt'}, {profile / 'profile.svg'}, {profile / 'profile.pstats'}")
        return
    if picture is not None:
        from aux_motion.benchmarks import bench_plot

        bench_plot.check(picture)
        _check_written(picture)
    report = implementation.run(model, numbers, workers, rounds, baselines, dds_seconds, backend, hertz, backends)
    typer.echo(table(report["records"]))
    _write_json(json_out, {"command": ["aux-motion", *sys.argv[1:]], **report})
    if picture is not None:
        bench_plot.draw(report["records"], picture)
        typer.echo(f"written: {picture}")


def soak(
    minutes: Annotated[float, typer.Option(min=0.1, max=10_000.0, help="Length of the run, minutes.")] = 10.0,
    people: Annotated[int, typer.Option(min=1, max=64, help="People who come and go.")] = 8,
    rate: Annotated[float, typer.Option(min=5.0, max=240.0, help="Frames of the input a second, Hz.")] = 60.0,
    model: Model = None,
    backend: BackendName = "onnx",
    threads: Annotated[int, typer.Option(min=1, max=64, help="CPU threads of the backend.")] = 1,
    json_out: Annotated[Path | None, typer.Option("--json", help="Write the verdicts and what was seen.")] = None,
) -> None:
    """Run the node for long, people coming, going and changing ids: memory, latency and diagnostics must stay."""
    from aux_motion.benchmarks import soak as implementation

    _check_written(json_out)
    report = implementation.run(minutes, people, rate, model, backend, threads)
    typer.echo(implementation.text(report))
    _write_json(json_out, {"command": ["aux-motion", *sys.argv[1:]], **report})
    if not all(verdict["passed"] for verdict in report["verdicts"]):
        raise typer.Exit(1)


def replay(out: Path, data: Path | None, model: Path | None) -> list[str]:
    """What `aux-motion ssm --demo` runs; returns lines to show."""
    from aux_motion.benchmarks import ssm_demo

    summary = ssm_demo.run(out, data=data, model=model)
    return [ssm_demo.text(summary), f"written: {out / 'summary.json'}, {out / 'table.txt'}, {out / 'ssm.png'}"]


def _numbers(text: str, option: str, most: int = 64) -> list[int]:
    try:
        numbers = [int(part) for part in text.split(",")]
    except ValueError:
        numbers = []
    if not numbers or not all(1 <= n <= most for n in numbers):
        raise ValueError(f"{option} {text!r}: expected whole numbers from 1 to {most} with commas, such as 1,4,8")
    return numbers


def _check_written(file: Path | None) -> None:
    """Raise before minutes of work when their result could not be written."""
    if file is None:
        return
    there = file.exists()
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open("ab"):
            pass
        if not there:
            file.unlink()
    except OSError as error:
        why = os.strerror(error.errno or 0).lower()
        raise ValueError(f"{file} cannot be written ({why}): name a file in a folder that is writable") from None


def _write_json(file: Path | None, content: dict) -> None:
    if file is not None:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
        typer.echo(f"written: {file}")


def safety_check(
    robot: Annotated[
        Path, typer.Option(help="Robot description (YAML), as the monitor's.", show_default=False, callback=shipped)
    ],
    params: Annotated[Path | None, typer.Option(help="Parameter file (YAML) of the predictor.")] = None,
    ssm_params: Annotated[Path | None, typer.Option(help="Parameter file (YAML) of the monitor.")] = None,
    fixed_frame: Annotated[str | None, typer.Option(help="Frame of the predictions, where no file names it.")] = None,
    param: Annotated[
        list[str] | None,
        typer.Option("-p", "--param", metavar="NAME:=VALUE", help="Any other parameter of the predictor."),
    ] = None,
    inputs: Annotated[str, typer.Option(help="Numbers of cameras, with commas.")] = "1,2",
    rows: Annotated[str, typer.Option(help="Situations by name or item, with commas; by default all.")] = "",
    near: Annotated[str, typer.Option(help="Place beside the robot: x,y in m.")] = "1.2,0.3",
    far: Annotated[str, typer.Option(help="Place of somebody elsewhere: x,y in m.")] = "9.0,0.0",
    json_out: Annotated[Path | None, typer.Option("--json", help="Write the table as JSON.")] = None,
) -> None:
    """Play what must never free a robot (dead cameras, bad stamps, ...) to predictor and monitor; PASS or FAIL."""
    from aux_motion.benchmarks import safety_check as implementation

    _check_written(json_out)
    folder = implementation.logs()
    of = implementation.setup(
        robot, params, ssm_params, fixed_frame, param or [], _place(near, "--near"), _place(far, "--far"), folder
    )
    chosen = [r.strip() for r in rows.split(",") if r.strip()]
    report = implementation.run(of, _numbers(inputs, "--inputs", 2), chosen, typer.echo)
    passed = sum(row["passed"] for row in report["rows"])
    typer.echo(f"{passed} of {len(report['rows'])} passed; logs: {folder}")
    _write_json(json_out, {"command": ["aux-motion", *sys.argv[1:]], **report})
    if not report["passed"]:
        raise typer.Exit(1)


def _place(text: str, option: str) -> tuple[float, float]:
    try:
        x, y = (float(part) for part in text.split(","))
    except ValueError:
        raise ValueError(f"{option} {text!r}: expected x,y in metres, such as 1.2,0.3") from None
    return x, y
