# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""What commands beside the main ones take on the command line; each imports what it needs only when it runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from aux_motion.commands.shipped import shipped

Bag = Annotated[
    Path, typer.Argument(help="Bag: a folder, .mcap, .db3 or .bag (ROS 1).", show_default=False, callback=shipped)
]
Topic = Annotated[str | None, typer.Option(help="Topic of the skeletons; needed where the bag has several.")]
Tracker = Annotated[
    str | None,
    typer.Option(help="Tracker that was recorded, such as azure_kinect; by default from the type of the topic."),
]
Joints = Annotated[
    str, typer.Option(help="Joint list where messages do not name their joints: coco17, or names with commas.")
]
Model = Annotated[Path | None, typer.Option(help="Model folder; the shipped one by default.")]
BackendName = Annotated[str, typer.Option(help="onnx (the model) or a baseline, such as damped_pose.")]
Params = Annotated[
    Path | None, typer.Option(help="Parameter file (YAML), read as the node reads it.", callback=shipped)
]
Namespace = Annotated[str, typer.Option(help="With --params: namespace of the node whose section counts, as robot1.")]
FixedFrame = Annotated[
    str | None, typer.Option(help="Frame of the predictions, z up; by default the bag's own (a fixed camera).")
]
Domain = Annotated[int | None, typer.Option(min=0, max=232, help="ROS_DOMAIN_ID; by default the environment's.")]
Progress = Annotated[bool, typer.Option(help="Show progress where there is a terminal.")]
#: What is not given does not override the parameter file.
GivenBackend = Annotated[
    str | None,
    typer.Option(help="onnx (the model) or a baseline, such as damped_pose; by default as in --params, else onnx."),
]
GivenThreads = Annotated[
    int | None,
    typer.Option(min=0, max=64, help="CPU threads of the backend; 0: automatic; by default as in --params, else 1."),
]


def names(text: str) -> tuple[str, ...]:
    """Names of a list with commas, without blanks around them."""
    return tuple(name.strip() for name in text.split(",") if name.strip())


def parameters(params: Path | None, namespace: str) -> dict[str, Any]:
    """What a parameter file says to the node, after what is wrong with its names was said."""
    from aux_motion.commands.parameter_file import file_parameters

    if params is None:
        return {}
    return file_parameters(params, namespace, lambda line: typer.echo(f"aux-motion: {line}", err=True))


def calibrate_cameras(
    bag: Annotated[
        Path, typer.Argument(help="Recording of somebody who walks before both.", show_default=False, callback=shipped)
    ],
    topics: Annotated[
        str, typer.Option(help="Topics of the trackers, the reference first, with commas; by default all with people.")
    ] = "",
    trackers: Annotated[str, typer.Option(help="Their trackers, with commas; by default from the types.")] = "",
    joints: Joints = "",
    frames: Annotated[
        str, typer.Option(help="Frames of the positions, with commas, where messages name a wrong one or none.")
    ] = "",
    params: Annotated[
        Path | None,
        typer.Option(
            help="Parameter file (YAML): where the reference camera is (static_transforms).", callback=shipped
        ),
    ] = None,
    namespace: Namespace = "",
    fixed_frame: Annotated[
        str | None,
        typer.Option(help="Frame of the predictions; by default as in --params, else the reference's."),
    ] = None,
    max_offset: Annotated[float, typer.Option(min=0.1, max=10.0, help="Largest clock offset to try, seconds.")] = 1.0,
    json_out: Annotated[Path | None, typer.Option("--json", help="Write the answer as JSON.")] = None,
) -> None:
    """Measure where one tracker is to another, and their clocks' offset, from somebody who walks in front of both."""
    from aux_motion.commands import calibrate_cameras as implementation
    from aux_motion.commands.overwrite import refuse_overwrite

    refuse_overwrite([bag, params], [json_out])
    found = implementation.calibrate(
        bag,
        names(topics),
        names(trackers),
        names(joints),
        names(frames),
        parameters(params, namespace),
        fixed_frame,
        max_offset,
    )
    typer.echo(implementation.text(found))
    if json_out is not None:
        implementation.write_json(found, json_out)


def export(
    bag: Bag,
    out_csv: Annotated[Path | None, typer.Option("--csv", help="Write the table as CSV.")] = None,
    out_parquet: Annotated[Path | None, typer.Option("--parquet", help="Write it as Parquet (needs pyarrow).")] = None,
    ahead: Annotated[
        str | None,
        typer.Option(
            help="Times of the predicted joints, seconds with commas; by default every 0.2 to 1.0; empty: only what "
            "was seen."
        ),
    ] = None,
    recorded: Annotated[
        bool | None,
        typer.Option(help="Predictions that were recorded, or made anew; by default recorded ones if any."),
    ] = None,
    topic: Topic = None,
    tracker: Tracker = None,
    joints: Joints = "",
    model: Model = None,
    params: Params = None,
    namespace: Namespace = "",
    fixed_frame: FixedFrame = None,
) -> None:
    """Write joints, predictions and bounds of a recording as a table, a row for each person, joint and time."""
    from aux_motion.commands import export as implementation
    from aux_motion.commands.offline import Job
    from aux_motion.commands.overwrite import refuse_overwrite

    refuse_overwrite([bag, params, model], [out_csv, out_parquet])
    try:
        times = None if ahead is None else [float(t) for t in names(ahead)]
        if not all(0.0 < t < float("inf") for t in times or ()):
            raise ValueError
    except ValueError:
        raise typer.BadParameter(f"--ahead {ahead!r}: expected seconds with commas, such as 0.2,0.5") from None
    parameters(params, namespace)
    values = {"fixed_frame": fixed_frame, "model_dir": str(model) if model else None}
    job = Job(
        bag=bag,
        topic=topic,
        tracker=tracker,
        joints=names(joints),
        params=params,
        namespace=namespace,
        values={k: v for k, v in values.items() if v is not None},
    )
    count = implementation.export(
        job, out_csv, out_parquet, times, recorded, lambda line: typer.echo(f"aux-motion: {line}", err=True)
    )
    typer.echo(f"written: {' and '.join(str(p) for p in (out_csv, out_parquet) if p)} ({count} rows)")
