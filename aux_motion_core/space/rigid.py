# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""The rotation and translation between two sets of paired points.

They follow from an SVD (Kabsch, Acta Crystallographica A32, 1976; Umeyama, IEEE PAMI 13, 1991).
"""

from __future__ import annotations

import numpy as np


def fit_rigid(a: np.ndarray, b: np.ndarray, rounds: int = 5) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rotation (3, 3), translation (3,) and distances (n,) of the robust best fit `a = rotation @ b + translation`.

    Args:
        a: (n, 3) metres.
        b: (n, 3) metres, the same points in the other frame.
        rounds: of reweighting (Huber, three times the median distance).
    """
    weight = np.ones(len(a))
    for _ in range(rounds):
        w = weight / weight.sum()
        centre_a, centre_b = w @ a, w @ b
        u, _, vt = np.linalg.svd(((b - centre_b) * w[:, None]).T @ (a - centre_a))
        flip = np.diag([1.0, 1.0, np.sign(np.linalg.det(vt.T @ u.T))])
        rotation = vt.T @ flip @ u.T
        translation = centre_a - rotation @ centre_b
        away = np.linalg.norm(a - b @ rotation.T - translation, axis=1)
        limit = max(3.0 * float(np.median(away)), 1e-9)
        weight = np.minimum(1.0, limit / np.maximum(away, 1e-12))
    return rotation, translation, away
