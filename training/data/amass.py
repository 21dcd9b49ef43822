# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""AMASS: body-model parameters; the joints come from a body model that the user has registered for."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from training.data.clip import Clip, make_clip
from training.data.files import read_npz
from training.data.rotation import from_rotation_vectors
from training.data.sources import RATES_HZ, Options, Source, existing, some
from training.data.threedpw import HANDS, smpl_order

SOURCE = "AMASS (Mahmood et al., ICCV 2019), amass.is.tue.mpg.de"
LICENCE = "non-commercial scientific research only; each collection in it has its own terms too"
LAYOUT = "<collection>/<subject>/<motion>_poses.npz (SMPL-H) or <motion>_stageii.npz (SMPL-X)"
DOWNLOAD = (
    "register at mano.is.tue.mpg.de and download 'Extended SMPL+H model' (smplh.tar.xz), unpack it, and name its "
    "folder (with male/, female/, neutral/) or one model.npz with --body-model"
)


@dataclass(frozen=True)
class BodyModel:
    """What joints need of a body model: `rest` (J, 3) and `shape` (J, 3, betas) in metres, `parents`."""

    rest: np.ndarray
    shape: np.ndarray
    parents: tuple[int, ...]


@lru_cache(maxsize=4)
def load_body_model(path: Path) -> BodyModel:
    """Read an SMPL-H or SMPL-X model (npz with J_regressor, v_template, shapedirs, kintree_table).

    Raises:
        ValueError: not such a file.
    """
    try:
        f = read_npz(path)
        regressor, template, shapes, tree = (f[k] for k in ("J_regressor", "v_template", "shapedirs", "kintree_table"))
    except (OSError, KeyError, ValueError) as e:
        raise ValueError(f"{path}: expected a body model as npz with plain arrays ({e}); {DOWNLOAD}") from None
    joints, vertices = (*regressor.shape, 0, 0)[:2]
    if joints not in HANDS or regressor.ndim != 2:
        raise ValueError(f"{path}: expected 52 joints (SMPL-H) or 55 (SMPL-X), got {regressor.shape}; {DOWNLOAD}")
    if (template.shape, shapes.shape[:-1], tree.shape) != ((vertices, 3), (vertices, 3), (2, joints)):
        raise ValueError(
            f"{path}: expected v_template {(vertices, 3)}, shapedirs {(vertices, 3)} and a number of shapes, and "
            f"kintree_table {(2, joints)}, got {template.shape}, {shapes.shape} and {tree.shape}; {DOWNLOAD}"
        )
    parents = tuple(int(p) if 0 <= int(p) < joints else -1 for p in tree[0].astype(np.int64).astype(np.int32))
    if any(p >= k for k, p in enumerate(parents)):
        raise ValueError(f"{path}: expected a kintree_table with parents before their children; {DOWNLOAD}")
    return BodyModel(regressor @ template, np.einsum("jv,vcb->jcb", regressor, shapes), parents)


def smpl_kinematics(model: BodyModel, poses: np.ndarray, trans: np.ndarray, betas: np.ndarray) -> np.ndarray:
    """Joints of a posed body.

    Args:
        poses: (frames, 3 J) axis-angle, parents first.
        trans: (frames, 3) metres.
        betas: (B,) shape.

    Returns:
        (frames, J, 3) metres.
    """
    n, j = len(poses), len(model.rest)
    count = min(len(betas), model.shape.shape[2])
    rest = model.rest + model.shape[:, :, :count] @ betas[:count]
    local = from_rotation_vectors(poses.reshape(n, j, 3))
    turn, place = np.empty((n, j, 3, 3)), np.empty((n, j, 3))
    for k, parent in enumerate(model.parents):
        if parent < 0:
            turn[:, k], place[:, k] = local[:, k], rest[k] + trans
        else:
            turn[:, k] = turn[:, parent] @ local[:, k]
            place[:, k] = place[:, parent] + turn[:, parent] @ (rest[k] - rest[parent])
    return place


def find(folder: Path, options: Options) -> list[Source]:
    """All motions; files of shapes only are left out."""
    root = existing(folder, LAYOUT)
    files = [p for end in ("_poses.npz", "_stageii.npz") for p in root.rglob(f"*{end}")]
    some([Source(str(p), p) for p in files], folder, LAYOUT)
    if options.body_model is None:
        raise ValueError(f"{folder}: AMASS holds no joint positions, a body model makes them: {DOWNLOAD}")
    model = options.body_model
    models = sorted(model.rglob("*.npz")) if model.is_dir() else [model]
    if not models or not models[0].is_file():
        raise FileNotFoundError(f"{model}: no body model (npz) there; {DOWNLOAD}")
    needs = tuple(models)
    return sorted(
        (Source(p.relative_to(root).with_suffix("").as_posix(), p, needs) for p in files), key=lambda s: s.name
    )


def _gender(arrays: dict[str, np.ndarray]) -> str:
    """male, female or neutral; some releases hold bytes, some nothing that is read without pickle."""
    try:
        return str(arrays["gender"].astype(str))
    except (KeyError, ValueError):
        return "neutral"


def load(source: Source) -> list[Clip]:
    """One motion as a clip; AMASS has z up."""
    path = source.path
    arrays = read_npz(path)
    try:
        rate = float(arrays["mocap_framerate" if "mocap_framerate" in arrays else "mocap_frame_rate"])
        poses, trans, betas = (arrays[k].astype(np.float64) for k in ("poses", "trans", "betas"))
    except (KeyError, TypeError, ValueError) as e:
        raise ValueError(f"{path}: expected poses, trans, betas and mocap_framerate of AMASS ({e})") from None
    if not len(np.atleast_1d(poses)) or betas.ndim != 1 or not RATES_HZ[0] <= rate <= RATES_HZ[1]:
        raise ValueError(
            f"{path}: expected frames at {RATES_HZ[0]:g} to {RATES_HZ[1]:g} Hz and betas (shapes,), got "
            f"poses {poses.shape} at {rate:g} Hz and betas {betas.shape}"
        )
    gender = re.escape(_gender(arrays))
    named = [m for m in source.needs if re.search(rf"(^|[^a-z]){gender}", "/".join(m.parts[-2:]).lower())]
    model = load_body_model(named[0] if named else source.needs[0])
    joints = len(model.rest)
    if poses.ndim != 2 or poses.shape[1] != 3 * joints or trans.shape != (len(poses), 3):
        raise ValueError(
            f"{path}: expected poses (frames, {3 * joints}), as the body model has {joints} joints, and trans "
            f"(frames, 3); got {poses.shape} and {trans.shape}: name the body model of this release"
        )
    bad = ~(np.isfinite(poses).all(1) & np.isfinite(trans).all(1))
    if bad.any() or not np.isfinite(betas).all():
        raise ValueError(f"{path}, frame {int(bad.argmax())}: expected finite numbers, got NaN or Inf")
    positions = smpl_kinematics(model, poses, trans, betas)[:, smpl_order(joints)]
    parts = source.name.split("/")
    action = re.sub(r"[_\d]*(poses|stageii)?$", "", parts[-1]).lower() or "motion"
    return [make_clip(f"amass/{source.name}", "/".join(parts[:-1]), action, rate, positions, LICENCE, SOURCE)]
