# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""Windows of a recording, cut as the node cuts them: a lower precision takes its scales from them, and is compared."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from aux_motion_core.bags import reader
from aux_motion_core.config import PredictorConfig
from aux_motion_core.inference.artefact import Artefact
from aux_motion_core.inference.baselines import ZeroVelocity
from aux_motion_core.inference.build import Windows
from aux_motion_core.inference.engine import EngineError
from aux_motion_core.inference.precision import MIN_WINDOWS
from aux_motion_core.predictor import Predictor


def bag_windows(bag: str | Path, artefact: Artefact, most: int = 512) -> Windows:
    """Normalised windows of a recording.

    Args:
        bag: skeletons.
        artefact: whose grid is used.
        most: largest number of windows, evenly over the recording.

    Returns:
        values (N, history, joints, 3) float32 and mask (N, history, joints) bool.

    Raises:
        BagError: the bag cannot be used.
        EngineError: it holds too few windows.
    """
    backend = ZeroVelocity(artefact.dt_s, artefact.history_steps, artefact.future_steps)
    predictor: Predictor | None = None
    kept: list[tuple[np.ndarray, np.ndarray]] = []
    errors: list[ValueError] = []
    for _, frame in reader.read_skeletons(bag, on_bad=errors.append):
        if predictor is None:
            predictor = Predictor(backend, PredictorConfig(), frame.frame_id)
            predictor.keep_inferred = True
        if frame.frame_id != predictor.fixed_frame:
            continue
        predictor.add(frame)
        predictor.predict(frame.stamp_ns)
        if predictor.inferred is not None:
            batch = zip(predictor.inferred.values, predictor.inferred.mask)
            kept.extend((v, m) for v, m in batch if m.any(1).sum() > 1)
    if len(kept) < MIN_WINDOWS:
        raise EngineError(
            f"{bag}: expected a recording of at least {MIN_WINDOWS} windows, it has {len(kept)}: give a longer one"
        )
    pick = np.unique(np.linspace(0, len(kept) - 1, most).astype(int))
    return np.stack([kept[i][0] for i in pick]), np.stack([kept[i][1] for i in pick])


def sample_bag() -> Path | None:
    """The recording that comes with the checkout, None where it is not."""
    file = Path(__file__).resolve().parents[2] / "samples" / "sports2d_demo.mcap"
    return file if file.is_file() else None


def sample_windows(artefact: Artefact) -> Windows | None:
    """`bag_windows` of the recording that comes with the checkout, None where it is not."""
    bag = sample_bag()
    return None if bag is None else bag_windows(bag, artefact)
