# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""What every data set gives: its files, found and checked, and `Clip`s from them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from aux_motion_core.skeleton import INDEX
from training.data.clip import Clip

#: Upper arm, thigh, shin and back of an adult together lie in here, metres (children, and other definitions too).
_BODY_M = (0.8, 2.4)
#: Rates that recordings of people have; another one is a damaged header.
RATES_HZ = (1.0, 1000.0)
_LENGTHS = (
    ("left_shoulder", "left_elbow"),
    ("left_hip", "left_knee"),
    ("left_knee", "left_ankle"),
    ("pelvis", "neck"),
)


@dataclass(frozen=True)
class Options:
    """What a data set may need beside its folder.

    Attributes:
        partial: take what is there of a data set whose list of files is known.
        skeletons: skeletons.json; None: in the data set's folder or beside it.
        body_model: SMPL-H or SMPL-X model as npz, or the folder with male/, female/, neutral/.
        topic: of the skeletons, for bags with several.
    """

    partial: bool = False
    skeletons: Path | None = None
    body_model: Path | None = None
    topic: str | None = None


@dataclass(frozen=True)
class Source:
    """What is converted in one go: a name, its file, and the other files that it takes."""

    name: str
    path: Path
    needs: tuple[Path, ...] = ()
    topic: str | None = None


@dataclass(frozen=True)
class DataSet:
    """One data set.

    Attributes:
        find: (folder, options) -> sources, sorted by name; ValueError when the layout is not `layout`.
        load: source -> clips.
        layout: the files as they must lie, for messages and documentation.
    """

    find: Callable[[Path, Options], list[Source]]
    load: Callable[[Source], list[Clip]]
    layout: str


def existing(folder: Path, layout: str) -> Path:
    """`folder`, which must be one; FileNotFoundError says the layout."""
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder}: no such folder; expected {layout}; name it with --data")
    return folder


def some(sources: list[Source], folder: Path, layout: str) -> list[Source]:
    """The sources sorted by name, at least one."""
    if not sources:
        raise ValueError(f"{folder}: holds nothing of the kind; expected {layout}")
    return sorted(sources, key=lambda s: s.name)


def complete(sources: list[Source], expected: list[str], folder: Path, options: Options) -> list[Source]:
    """Refuse a data set that lacks files whose names are known."""
    missing = sorted(set(expected) - {s.name for s in sources})
    if missing and not options.partial:
        listed = ", ".join(missing[:4]) + (f" and {len(missing) - 4} more" if len(missing) > 4 else "")
        raise ValueError(
            f"{folder}: {len(missing)} of {len(expected)} files are missing ({listed}): extract the data set again, "
            "or take what is there with --partial"
        )
    return sources


def skeletons_file(folder: Path, options: Options) -> Path:
    """skeletons.json as given, else in the data set's folder, else beside it."""
    places = [options.skeletons] if options.skeletons else [folder / "skeletons.json", folder.parent / "skeletons.json"]
    found = next((p for p in places if p.is_file()), None)
    if found is None:
        raise FileNotFoundError(f"{places[0]}: no such file; name skeletons.json (it has the bones) with --skeletons")
    return found


def body_length(positions: np.ndarray) -> float:
    """Upper arm, thigh, shin and back together, median over frames; NaN when one of them is never seen."""
    with np.errstate(invalid="ignore"):
        lengths = [np.linalg.norm(positions[:, INDEX[a]] - positions[:, INDEX[b]], axis=-1) for a, b in _LENGTHS]
    return float(sum(np.median(x[np.isfinite(x)]) if np.isfinite(x).any() else np.nan for x in lengths))


def check_body(where: str, positions: np.ndarray) -> None:
    """Refuse what cannot be a person in metres, z up.

    Args:
        where: what the message begins with.
        positions: (frames, 20, 3), NaN where missing.

    Raises:
        ValueError: the wrong unit, or people upside down or lying in most frames.
    """
    length = body_length(positions)
    if np.isfinite(length) and not _BODY_M[0] < length < _BODY_M[1]:
        raise ValueError(
            f"{where}: expected metres; upper arm, thigh, shin and back together are {length:.3g} long, of a person "
            f"1.3 to 1.9: convert the unit"
        )
    with np.errstate(invalid="ignore"):
        up = positions[:, INDEX["neck"], 2] - positions[:, INDEX["pelvis"], 2]
    up = up[np.isfinite(up)]
    if len(up) and np.median(up) < 0.1:
        raise ValueError(
            f"{where}: expected z up; the neck is {np.median(up):.2f} m above the pelvis: turn the frame (for bags "
            "`aux-motion predict --params FILE --out FILE` writes /skeletons in the fixed frame)"
        )
