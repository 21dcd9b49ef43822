# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""Rotation matrices, batched."""

from __future__ import annotations

import numpy as np
from scipy.spatial.transform import Rotation


def from_rotation_vectors(v: np.ndarray) -> np.ndarray:
    """(..., 3) exponential maps in radians -> (..., 3, 3)."""
    v = np.asarray(v, dtype=np.float64)
    angle = np.linalg.norm(v, axis=-1)[..., None, None]
    small = angle < 1e-8
    a = np.where(small, 1.0, angle)
    s = np.where(small, 1.0 - angle**2 / 6.0, np.sin(a) / a)
    c = np.where(small, 0.5 - angle**2 / 24.0, (1.0 - np.cos(a)) / a**2)
    k = np.zeros((*v.shape[:-1], 3, 3))
    k[..., 0, 1], k[..., 0, 2], k[..., 1, 2] = -v[..., 2], v[..., 1], -v[..., 0]
    k -= np.swapaxes(k, -1, -2)
    return np.eye(3) + s * k + c * (k @ k)


def from_xyz_degrees(angles: np.ndarray) -> np.ndarray:
    """(..., 3) degrees about fixed x, then y, then z -> (..., 3, 3): Rz Ry Rx."""
    a = np.deg2rad(np.asarray(angles, dtype=np.float64))
    (sx, sy, sz), (cx, cy, cz) = np.moveaxis(np.sin(a), -1, 0), np.moveaxis(np.cos(a), -1, 0)
    rows = [
        [cz * cy, cz * sy * sx - sz * cx, cz * sy * cx + sz * sx],
        [sz * cy, sz * sy * sx + cz * cx, sz * sy * cx - cz * sx],
        [-sy, cy * sx, cy * cx],
    ]
    return np.stack([np.stack(r, -1) for r in rows], -2)


def to_rotation_vectors(matrices: np.ndarray) -> np.ndarray:
    """(n, 3, 3) -> (n, 3) exponential maps in radians."""
    return Rotation.from_matrix(matrices).as_rotvec()
