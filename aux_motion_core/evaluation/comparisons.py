# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""What the model is compared with: every baseline and the mix, on the very windows that the predictor cut."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from aux_motion_core.config import PredictorConfig
from aux_motion_core.evaluation.mixture import Mixture, Step
from aux_motion_core.history.normalise import Heading
from aux_motion_core.inference import baselines
from aux_motion_core.inference.ensemble import Ensemble
from aux_motion_core.inference.interface import Backend
from aux_motion_core.selfcheck import ahead_ns, grid_steps

MIX = "mix"
#: Source that carries what was learnt on line; the model alone is beside it.
LEARNT = "learnt"


@dataclass(frozen=True)
class Grid:
    """What the judge needs to know of a backend."""

    name: str
    version: str
    dt_s: float
    history_steps: int
    future_steps: int

    @classmethod
    def of(cls, backend: Backend) -> Grid:
        """Of a backend."""
        return cls(backend.name, backend.version, backend.dt_s, backend.history_steps, backend.future_steps)


def denormalised(positions: np.ndarray, heading: Heading) -> np.ndarray:
    """As `normalise.denormalise` for (N, K, steps, J, 3), in one pass; float32."""
    cos, sin = np.cos(heading.yaw), np.sin(heading.yaw)
    turn = np.zeros((len(cos), 3, 3), np.float32)
    turn[:, 0, 0], turn[:, 0, 1] = cos, sin
    turn[:, 1, 0], turn[:, 1, 1] = -sin, cos
    turn[:, 2, 2] = 1.0
    flat = positions.reshape(len(cos), -1, 3).astype(np.float32, copy=False) @ turn
    return (flat + heading.origin[:, None].astype(np.float32)).reshape(positions.shape)


class Sources:
    """Computes the other sources for many steps at once.

    Args:
        backend: what predicts.
        config: of the predictor.
        compare: the baselines and the mix; False: the predictor's own answer alone.
    """

    def __init__(self, backend: Grid, config: PredictorConfig, compare: bool = True) -> None:
        grid = {"dt_s": backend.dt_s, "history_steps": backend.history_steps, "future_steps": backend.future_steps}
        own = "model" if backend.name not in baselines.BASELINES else backend.name
        self._baselines = (
            [baselines.make(n, **grid) for n in baselines.BASELINES if n != backend.name] if compare else []
        )
        names = [own, *(b.name for b in self._baselines)]
        #: The published prediction is not the model's alone, which then stands beside it.
        self._other = config.mix or config.learning == "on"
        #: Whether the model's own answer and the baselines' are wanted beside the published one.
        self._compare = compare or config.learning == "on"
        if self._other:
            first = MIX if config.mix else LEARNT
            self.names: tuple[str, ...] = (first, *names) if self._compare else (first,)
        else:
            self.names = (*names, MIX) if compare else (own,)
        self._steps = grid_steps(backend.dt_s, backend.future_steps)
        self._mix = Ensemble(backend, self._steps)
        self._mixture = Mixture(self._mix, ahead_ns(backend.dt_s, self._steps))

    def reset(self) -> None:
        """Forget everybody."""
        self._mixture.reset()

    def futures(self, steps: list[Step], published: np.ndarray) -> np.ndarray:
        """Every source's prediction.

        Args:
            steps: in order, N people in all.
            published: (N, steps, J, 3) float32, the predictor's answers in the fixed frame.

        Returns:
            (N, K, steps, J, 3) float32 in the fixed frame.
        """
        if not self._compare:
            return published[:, None]
        parts = [s.inferred for s in steps]
        values, mask = np.concatenate([p.values for p in parts]), np.concatenate([p.mask for p in parts])
        heading = Heading(
            np.concatenate([p.heading.origin for p in parts]), np.concatenate([p.heading.yaw for p in parts])
        )
        own = np.concatenate([p.future for p in parts])
        members = np.stack([own, *baselines.futures(self._baselines, values, mask)], 1)
        fixed = denormalised(members, heading)
        if self._other:
            return np.concatenate([published[:, None], fixed], 1)
        weights = self._mixture.weights(steps, fixed[:, :, self._steps])
        mixed = denormalised(self._mix.mixed(weights, members)[:, None], heading)
        return np.concatenate([published[:, None], fixed[:, 1:], mixed], 1)
