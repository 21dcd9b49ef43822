# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""3DPW: sequence pickles of SMPL joint positions, read without running anything that they name."""

from __future__ import annotations

import pickle
import re
from pathlib import Path
from typing import Any

import numpy as np

from aux_motion_core.skeleton import JOINTS
from training.data.clip import Clip, make_clip, z_up
from training.data.sources import Options, Source, existing, some

RATE_HZ = 30.0
SPLITS = ("train", "validation", "test")
SOURCE = "3DPW (von Marcard et al., ECCV 2018), virtualhumans.mpi-inf.mpg.de/3DPW"
LICENCE = "non-commercial scientific research only; no redistribution"
LAYOUT = "sequenceFiles/{train,validation,test}/*.pkl"
#: body20 joint -> joint of SMPL (24), SMPL-H (52) and SMPL-X (55); hands differ, see `hands`
SMPL: dict[str, int] = {
    "pelvis": 0, "left_hip": 1, "right_hip": 2, "spine": 3, "left_knee": 4, "right_knee": 5, "left_ankle": 7,
    "right_ankle": 8, "left_foot": 10, "right_foot": 11, "neck": 12, "head": 15, "left_shoulder": 16,
    "right_shoulder": 17, "left_elbow": 18, "right_elbow": 19, "left_wrist": 20, "right_wrist": 21,
}  # fmt: skip
#: joints of a model -> its left and right hand: the hand itself, or where the middle finger begins
HANDS: dict[int, tuple[int, int]] = {24: (22, 23), 52: (25, 40), 55: (28, 43)}


def smpl_order(joints: int) -> list[int]:
    """Index of each body20 joint among the joints of a model of 24, 52 or 55."""
    left, right = HANDS[joints]
    table = {**SMPL, "left_hand": left, "right_hand": right}
    return [table[j] for j in JOINTS]


_NUMPY = {"_reconstruct", "scalar"}


class _ArraysOnly(pickle.Unpickler):
    """Rebuilds plain values and numpy arrays; any other class or function is refused before it is looked up."""

    def find_class(self, module: str, name: str) -> Any:
        if module in ("numpy.core.multiarray", "numpy._core.multiarray") and name in _NUMPY:
            return getattr(np.core.multiarray if np.__version__ < "2" else np._core.multiarray, name)
        if module == "numpy" and name in ("ndarray", "dtype"):
            return getattr(np, name)
        if (module, name) == ("_codecs", "encode"):
            import _codecs

            return _codecs.encode
        raise pickle.UnpicklingError(f"it wants {module}.{name}, and only numpy arrays are read")


def read_arrays(path: Path) -> dict[str, Any]:
    """A pickled dict of plain values and numpy arrays, also of Python 2.

    Raises:
        ValueError: it is damaged, wants anything else, or is no dict; names the file.
    """
    try:
        with open(path, "rb") as f:
            content = _ArraysOnly(f, encoding="latin1").load()
    except OSError:
        raise
    except Exception as e:  # whatever a damaged pickle makes of the reader
        raise ValueError(f"{path}: cannot be read ({e}); get the file again") from None
    if not isinstance(content, dict):
        raise ValueError(f"{path}: expected a dict of 3DPW, got {type(content).__name__}")
    return content


def load_3dpw_positions(path: Path) -> list[np.ndarray]:
    """Joint positions of a sequence, one array a person.

    Returns:
        (frames, 24, 3) metres each, y up, at 30 Hz.

    Raises:
        ValueError: not a 3DPW sequence, or NaN in it; names file, person and frame.
    """
    content = read_arrays(path)
    people = content.get("jointPositions")
    if not isinstance(people, list) or not people:
        keys = sorted(map(str, content))
        raise ValueError(f"{path}: expected jointPositions, a list with an array a person; keys: {keys}")
    out = []
    for k, p in enumerate(people):
        p = p if isinstance(p, np.ndarray) else np.empty(0)
        if p.ndim != 2 or p.shape[1] != 72 or p.dtype.kind != "f" or not len(p):
            raise ValueError(f"{path}, person {k}: expected jointPositions of (frames, 72) numbers, got {p.shape}")
        bad = ~np.isfinite(p).all(1)
        if bad.any():
            raise ValueError(f"{path}, person {k}, frame {int(bad.argmax())}: expected finite numbers, got NaN or Inf")
        out.append(p.reshape(len(p), 24, 3))
    return out


def find(folder: Path, options: Options) -> list[Source]:
    """All sequences, `train/courtyard_box_00` and so on."""
    root = existing(folder, LAYOUT)
    root = root / "sequenceFiles" if (root / "sequenceFiles").is_dir() else root
    sources = [Source(f"{s}/{p.stem}", p) for s in SPLITS for p in (root / s).glob("*.pkl")]
    lacking = [s for s in SPLITS if not any(x.name.startswith(f"{s}/") for x in sources)]
    if sources and lacking and not options.partial:
        raise ValueError(
            f"{root}: no sequences in {', '.join(lacking)}; expected {LAYOUT}: extract it again, or --partial"
        )
    return some(sources, folder, LAYOUT)


def load(source: Source) -> list[Clip]:
    """Each person of a sequence as a clip; the sequence is the group."""
    action = re.sub(r"_\d+$", "", source.path.stem)
    return [
        make_clip(
            f"3dpw/{source.name}/{k}",
            f"3dpw_{source.path.stem}",
            action,
            RATE_HZ,
            z_up(positions[:, smpl_order(24)]),
            LICENCE,
            SOURCE,
        )
        for k, positions in enumerate(load_3dpw_positions(source.path))
    ]
