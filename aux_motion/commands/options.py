"""What commands beside the main ones take on the command line; each imports what it needs only when it runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",") if name.strip())


def calibrate_cameras(
    bag: Annotated[Path, typer.Argument(help="Recording of somebody who walks before both.", show_default=False)],
    topics: Annotated[
        str, typer.Option(help="Topics of the trackers, the reference first, with commas; by default all with people.")
    ] = "",
    trackers: Annotated[str, typer.Option(help="Their trackers, with commas; by default from the types.")] = "",
    joints: Annotated[str, typer.Option(help="Joint list, with commas, where messages do not name their joints.")] = "",
    frames: Annotated[
        str, typer.Option(help="Frames of the positions, with commas, where messages name a wrong one or none.")
    ] = "",
    params: Annotated[
        Path | None, typer.Option(help="Parameter file (YAML): where the reference camera is (static_transforms).")
    ] = None,
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
        bag, _names(topics), _names(trackers), _names(joints), _names(frames), params, fixed_frame, max_offset
    )
    typer.echo(implementation.text(found))
    if json_out is not None:
        implementation.write_json(found, json_out)
