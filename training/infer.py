# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""A torch model behind the call of a backend: numpy in and out."""

from __future__ import annotations

import numpy as np
import torch

from training.model import AuxMotionModel


def torch_infer(model: AuxMotionModel):
    """The model's `infer(values, mask)` with numpy in and out, as a backend has it."""
    device = next(model.parameters()).device

    @torch.no_grad()
    def infer(values: np.ndarray, mask: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
        was, _ = model.training, model.eval()
        future, recovered, *scale = model(
            torch.as_tensor(values, dtype=torch.float32, device=device),
            torch.as_tensor(mask, dtype=torch.float32, device=device),
        )
        model.train(was)
        return future.cpu().numpy(), recovered.cpu().numpy(), scale[0].cpu().numpy() if scale else None

    return infer
