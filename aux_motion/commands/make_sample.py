# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""Make the sample bag again: fetch the video, track it (`make sample`, `python -m aux_motion.commands.make_sample`).

The video is the demonstration of Sports2D, carried by its wheel on PyPI (BSD-3-Clause).
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import Annotated

import typer

from aux_motion.commands import track
from aux_motion.commands.guard import guard

PACKAGE = "sports2d==0.8.34"
VIDEO = "Sports2D/Demo/demo.mp4"
VIDEO_SHA256 = "d9a66417185647b112304b57093f0c180f37a768e6a14daca75ca541f3b78039"
LICENCE = "sports2d-0.8.34.dist-info/licenses/LICENSE"
# Sports2D/Demo/Calib_demo.toml of the same wheel: focal length and principal point, and the camera's pose there
# is 0.077 degrees up and 1.708 m above the ground.
INTRINSICS = "2520.0897,2520.0897,884,497"
PITCH_DEG, CAMERA_HEIGHT_M = -0.077, 1.708
_ROOT = Path(__file__).resolve().parents[2]


class SampleError(ValueError):
    """Why the sample cannot be made, in one line."""


def fetch_wheel(folder: Path) -> Path:
    """Download the wheel with pip.

    Args:
        folder: to put it in.

    Raises:
        SampleError: pip could not.
    """
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
    command += ["--only-binary=:all:", "--python-version", "3.11", "--dest", str(folder), PACKAGE]
    done = subprocess.run(command, capture_output=True, text=True)
    found = sorted(folder.glob("*.whl"))
    if done.returncode or not found:
        lines = done.stderr.strip().splitlines() or ["pip said nothing"]
        raise SampleError(f"cannot download {PACKAGE}: {lines[-1]} (or name a wheel with --wheel)")
    return found[0]


def extract(wheel: Path, folder: Path) -> tuple[Path, str]:
    """Take the video out of the wheel.

    Args:
        wheel: of Sports2D.
        folder: for the video.

    Returns:
        The video and the text of its licence.

    Raises:
        SampleError: no such wheel, or another video in it.
    """
    try:
        with zipfile.ZipFile(wheel) as archive:
            data, licence = archive.read(VIDEO), archive.read(LICENCE).decode("utf-8")
    except (OSError, KeyError, zipfile.BadZipFile) as error:
        raise SampleError(f"{wheel} is not the wheel of {PACKAGE}: {error}") from None
    came = hashlib.sha256(data).hexdigest()
    if came != VIDEO_SHA256:
        raise SampleError(f"{VIDEO} of {wheel.name} has sha256 {came[:12]}: expected {VIDEO_SHA256[:12]}")
    folder.mkdir(parents=True, exist_ok=True)
    video = folder / Path(VIDEO).name
    video.write_bytes(data)
    return video, licence


def make(
    wheel: Annotated[Path | None, typer.Option(help=f"Wheel of {PACKAGE}; downloaded otherwise.")] = None,
    out: Annotated[Path, typer.Option(help="Bag to write.")] = _ROOT / "samples" / "sports2d_demo.mcap",
    video_folder: Annotated[Path, typer.Option(help="The video is left here.")] = _ROOT / "build" / "sample",
) -> None:
    """Make the sample bag, the file of its camera and the licence beside it."""
    with tempfile.TemporaryDirectory() as folder:
        video, licence = extract(wheel or fetch_wheel(Path(folder)), video_folder)
    track.run(
        str(video),
        out,
        people=2,
        intrinsics=INTRINSICS,
        pitch_deg=PITCH_DEG,
        camera_height_m=CAMERA_HEIGHT_M,
    )
    (out.parent / "LICENSE.sports2d").write_text(licence, encoding="utf-8")


def main() -> None:
    """Entry point; an error ends in one line and exit code 2."""
    guard(lambda: typer.run(make), "aux_motion.commands.make_sample")


if __name__ == "__main__":
    main()
