# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""Splits by recording group: lists of clip names under training/splits, and the clips behind them."""

from __future__ import annotations

import hashlib
import os
import tempfile
from fnmatch import fnmatchcase
from pathlib import Path

import numpy as np

from training.data import clip as clip_module
from training.data import cmu, kinect, kth, rotation
from training.data import work as work_module
from training.data.archives import cache_root, unpack
from training.data.clip import Clip

#: every split, in order; `seen_group` is optimistic, the other three tiers are held out
SPLITS: tuple[str, ...] = (
    "train",
    "validation",
    "new_subject",
    "new_motion",
    "handover",
    "real_tracker",
    "seen_group",
    "work_train",
    "robot_work",
    "construction",
    "rehab",
    "nuitrack",
)
#: What the deployed model is trained on, and what it is chosen on.
TRAINING: tuple[str, ...] = ("train", "work_train")
LISTS = Path(__file__).resolve().parents[1] / "splits"


def split_names(name: str) -> list[str]:
    """Clip names, or patterns with `*`, of a split.

    Raises:
        ValueError: there is no such split, or its list is empty.
    """
    if name not in SPLITS:
        raise ValueError(f"split {name!r}: expected one of {', '.join(SPLITS)}")
    lines = (LISTS / f"{name}.txt").read_text().splitlines()
    names = [line.split("#")[0].strip() for line in lines]
    names = [n for n in names if n]
    if not names:
        raise ValueError(f"{LISTS / name}.txt: expected clip names, one a line; it holds none")
    return names


def load_split(data_dir: str | os.PathLike, name: str) -> list[Clip]:
    """The clips of a split, in the list's order; archives are unpacked into the cache first.

    Args:
        data_dir: folder with the data archives.
        name: one of `SPLITS`.
    """
    return load_clips(data_dir, split_names(name))


def load_clips(data_dir: str | os.PathLike, names: list[str]) -> list[Clip]:
    """Clips by name: `train/walking/walking_2`, `02_01`, `kth/*`, `kinect_gestures/*`, `hra/*`."""
    folder = unpack(data_dir)
    clips: list[Clip] = []
    sets: dict[str, list[Clip]] = {}
    for name in names:
        kind = name.split("/")[0]
        if kind in ("kth", "kinect_gestures", *work_module.SETS):
            if kind not in sets:
                sets[kind] = _load_set(folder, kind, Path(data_dir))
            found = [c for c in sets[kind] if fnmatchcase(c.name, name)]
            if not found:
                raise ValueError(_missing(name, folder))
            clips += found
        else:
            clips.append(_load_cmu(folder, name))
    return clips


def _missing(name: str, folder: Path) -> str:
    return (
        f"{name}: expected this clip in the data, {folder} does not hold it: extract the archives again, or take the "
        "name out of the list in training/splits"
    )


def _load_set(folder: Path, kind: str, data_dir: Path) -> list[Clip]:
    if kind in work_module.SETS:
        path = data_dir / work_module.SETS[kind].file
        if not path.is_file():
            raise FileNotFoundError(f"{path}: the recordings {kind}/* are in it; put it there or name another --data")
        return work_module.load_work(path, kind)
    if kind == "kinect_gestures":
        return kinect.load_kinect_gestures(folder / "kinect_gestures" / "clips.npz")
    root = folder / "one_saved_handover_New"
    return [c for f in sorted(p for p in root.iterdir() if p.is_dir()) for c in kth.load_handover(f)]


def _load_cmu(folder: Path, name: str) -> Clip:
    subject = name.split("_")[0]
    if name in cmu.TRIALS.get(subject, {}):
        path = folder / "subjects" / subject / f"{name}.amc"
        group, action = f"cmu_{subject}", cmu.TRIALS[subject][name]
    else:
        path = folder / "cmu_mocap" / f"{name}.txt"
        action = path.parent.name
        group = f"cmu_text_{action}"
        action = "walking" if action == "walking_extra" else action
    if not path.is_file():
        raise ValueError(_missing(name, folder))
    cached = cache_root() / f"clips-{_loader_key()}" / folder.name / f"{name.replace('/', '__')}.npy"
    try:
        positions = np.load(cached)
        return clip_module.make_clip(name, group, action, cmu.RATE_HZ, positions, cmu.LICENCE, cmu.SOURCE)
    except (OSError, ValueError, EOFError):
        pass  # not cached yet, or damaged: parse it again
    if path.suffix == ".amc":
        clip = cmu.load_asf_amc(path.parent / f"{subject}.asf", path, name, group, action)
    else:
        clip = cmu.load_expmap_text(path, cmu.load_skeleton(folder / "skeletons.json"), name, group, action)
    cached.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=cached.parent, suffix=".part", delete=False) as part:
        np.save(part, clip.positions)
    os.replace(part.name, cached)
    return clip


def _loader_key() -> str:
    """Changes with the loaders' source, so that a cache of other loaders is not read."""
    sources = (clip_module.__file__, cmu.__file__, rotation.__file__)
    return hashlib.sha256(b"".join(Path(p).read_bytes() for p in sources)).hexdigest()[:12]
