# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""Calibrate the radii of an artefact, and show on another person how often they hold:

    python -m training.calibrate --model models/body20_25hz --data ../shared/data --json build/cal.json

The table goes into the artefact's model.json. It is made of scores (error over the model's scale) of recordings that
the predicting network did not see: by recording group, a network of the same recipe that was trained without it
(`training.fitting.out_of_fold`; cross-conformal prediction, Vovk, Annals of Mathematics and Artificial Intelligence
74, 2015).
Evidence is counted in clips and in windows that do not overlap; masked copies of a window share its weight.

    python -m training.calibrate --model models/body20_25hz --bags DIR --out build/my_model    # your own \
        tracker
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Annotated

import typer

from aux_motion_core.bounds.calibration import (
    as_text,
)
from training.commands import guard
from training.data.files import try_to_write
from training.fitting.calibrate import calibrate, calibrate_on_bags, text, write


def main(
    model: Annotated[Path, typer.Option(help="folder of the artefact; its model.json gets the table")] = Path(
        "models/body20_25hz"
    ),
    data: Annotated[Path, typer.Option(help="folder with the data archives")] = Path("../shared/data"),
    json_path: Annotated[Path | None, typer.Option("--json", help="report of coverage")] = None,
    bags: Annotated[Path | None, typer.Option(help="calibrate on your own tracker: folder with bags")] = None,
    tracker: Annotated[
        str | None, typer.Option(help="with --bags: its name, where the message type is not enough")
    ] = None,
    topic: Annotated[str | None, typer.Option(help="with --bags: topic, where a bag has several")] = None,
    fixed_frame: Annotated[str, typer.Option(help="with --bags: z up; default: the frame of the messages")] = "",
    static_transform: Annotated[
        list[str] | None, typer.Option(help='with --bags: pose of a frame in it, "camera x y z qx qy qz qw"')
    ] = None,
    out: Annotated[Path | None, typer.Option(help="copy the artefact there and calibrate the copy")] = None,
) -> None:
    """Calibrate an artefact's radii and judge them on people who are not in the table."""
    with guard("training.calibrate"):
        if json_path:
            try_to_write(json_path.parent)
        if out:
            try_to_write(out.parent)
        if bags:
            table, report = calibrate_on_bags(model, bags, tracker, topic, fixed_frame, tuple(static_transform or ()))
        else:
            table, report = calibrate(model, data)
        if out and out.resolve() != model.resolve():
            shutil.copytree(model, out, dirs_exist_ok=True)
        write(out or model, table)
        if json_path:
            json_path.write_text(as_text(report) + "\n")
    print(text(report))
    print(f"written: {(out or model) / 'model.json'}" + (f", {json_path}" if json_path else ""))


if __name__ == "__main__":
    typer.run(main)
