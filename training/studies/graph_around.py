# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""What is around the network, in NumPy and as part of its graph, in turn: `python -m training.studies.graph_around`.

Before: the newest samples onto the grid, and normalised. After: normalisation undone, radii by a factor of the scale,
the scale along the fixed axes. Times are processor time on one core, each after a run of the network, as in the node.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import onnxruntime as ort
import torch
import typer
from torch import Tensor, nn

from aux_motion_core.bounds.radii import equivalent_scale
from aux_motion_core.history.normalise import (
    _LEFT,
    _RIGHT,
    _WEIGHT,
    denormalise,
    denormalise_scale,
    find_heading,
    last_seen,
    normalised,
)
from aux_motion_core.history.resample import resample_all
from aux_motion_core.inference import artefact
from aux_motion_core.skeleton import N_JOINTS
from aux_motion_core.solvers import one_blas_thread

_SAMPLES, _STEPS, _DT_S, _GAP_S, _SNAP_S = 38, 25, 0.04, 0.25, 1e-4


class Before(nn.Module):
    """Samples of the last second, stamps and positions as offsets from the newest one, on the grid and normalised."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("grid", _DT_S * torch.arange(1 - _STEPS, 1).float())
        for name, values in (("left", _LEFT), ("right", _RIGHT)):
            self.register_buffer(name, torch.tensor(values))
        self.register_buffer("weight", torch.tensor(_WEIGHT).float())

    def forward(self, stamps: Tensor, places: Tensor, seen: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """stamps (N, n), places (N, n, J, 3), seen (N, n, J); the values, the mask, the rotation."""
        n = stamps.shape[1]
        g = self.grid[None, :, None]
        index = torch.arange(1, n + 1).float()[None, None, :, None]
        earlier = (stamps[:, None] <= g + _SNAP_S).float()[..., None] * seen[:, None]
        later = (stamps[:, None] >= g - _SNAP_S).float()[..., None] * seen[:, None]
        b, a = (earlier * index).amax(2) - 1, n - (later * (n + 1 - index)).amax(2)
        ok = (b >= 0) & (a < n)
        b, a = b.clamp(0, n - 1).long(), a.clamp(0, n - 1).long()
        each = stamps[:, :, None].expand(-1, -1, N_JOINTS)
        t0, t1 = torch.gather(each, 1, b), torch.gather(each, 1, a)
        gap = t1 - t0
        mask = (ok & (gap <= _GAP_S + _SNAP_S)).float()
        f = ((g - t0) / torch.where(gap > 0, gap, torch.ones_like(gap))).clamp(0, 1)[..., None]
        p0, p1 = (torch.gather(places, 1, k[..., None].expand(-1, -1, -1, 3)) for k in (b, a))
        x = (p0 + f * (p1 - p0)) * mask[..., None]
        pair = (x[:, -1].index_select(1, self.left) - x[:, -1].index_select(1, self.right))[..., :2]
        axis = (self.weight[None, :, None] * pair).sum(1)
        axis = axis / axis.square().sum(-1, keepdim=True).sqrt().clamp(min=1e-9)
        cos, sin, zero = axis[:, 1:], -axis[:, :1], torch.zeros_like(axis[:, :1])
        rows = ((cos, -sin, zero), (sin, cos, zero), (zero, zero, zero + 1.0))
        turn = torch.stack([torch.cat(row, 1) for row in rows], 1)
        return ((x - x[:, -1:, :1]) @ turn[:, None]) * mask[..., None], mask, turn


class After(nn.Module):
    """The prediction in the fixed frame, its radii and its scale."""

    def forward(self, future: Tensor, scale: Tensor, turn: Tensor, factor: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """future, scale (N, S, J, 3), turn (N, 3, 3), factor (N, S, J)."""
        back = turn.transpose(-1, -2)[:, None]
        size = (scale.square().sum(-1) / 3.0).sqrt()
        return future @ back, factor * size, (scale.square() @ back.square()).sqrt()


def _session(model: nn.Module, example: tuple[Tensor, ...], names: list[str], folder: Path) -> Any:
    batch = torch.export.Dim("batch", min=1, max=64)
    path = folder / f"{type(model).__name__}.onnx"
    torch.onnx.export(
        model.eval(),
        example,
        path,
        input_names=names,
        dynamic_shapes=tuple({0: batch} for _ in example),
        dynamo=True,
        verbose=False,
    )
    return _open(path)


def _open(path: Path) -> Any:
    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def main(
    model: Annotated[Path, typer.Option(help="folder of the artefact")] = Path("models/body20_25hz"),
    rounds: Annotated[int, typer.Option(min=20)] = 200,
) -> None:
    """Measure for one person and for eight."""
    one_blas_thread()
    network = _open(artefact.load(model).onnx_file)
    with tempfile.TemporaryDirectory() as name:
        n = (2, _SAMPLES)
        given = torch.zeros(n), torch.randn(*n, N_JOINTS, 3), torch.ones(*n, N_JOINTS)
        before = _session(Before(), given, ["stamps", "places", "seen"], Path(name))
        f = torch.ones(2, _STEPS, N_JOINTS, 3)
        after = _session(
            After(), (f, f, torch.eye(3).repeat(2, 1, 1), f[..., 0]), ["future", "scale", "turn", "factor"], Path(name)
        )
    for people in (1, 8):
        rng = np.random.default_rng(0)
        places, seen = rng.normal(0.0, 0.4, (people, _SAMPLES, N_JOINTS, 3)), rng.random((people, _SAMPLES, 20)) > 0.1
        seen[:, -1] = True
        stamps = np.tile(np.linspace(-1.2, 0.0, _SAMPLES), (people, 1))
        x = np.abs(rng.normal(size=(people, _STEPS, N_JOINTS, 3))).astype(np.float32)
        feed = {"positions": x, "observed": np.ones(x.shape[:3], np.float32)}
        factor = np.ones(x.shape[:3])

        def numpy_before(s: Any = stamps, p: Any = places, m: Any = seen) -> Any:
            windows, mask = resample_all(s, p, m, _DT_S, _STEPS, _GAP_S)
            heading = find_heading(windows, mask, last_seen(windows, mask))
            return normalised(windows, mask, heading), heading

        def graph_before(s: Any = stamps, p: Any = places, m: Any = seen) -> Any:
            near = (p - p[:, -1:, :1]).astype(np.float32)
            return before.run(None, {"stamps": s.astype(np.float32), "places": near, "seen": m.astype(np.float32)})

        values, heading = numpy_before()
        found = graph_before()
        turn = found[2]
        ways = {
            "before, NumPy": numpy_before,
            "before, graph": graph_before,
            "after, NumPy": lambda x=x, h=heading, k=factor: (
                denormalise(x, h), k * equivalent_scale(x), denormalise_scale(x, h)
            ),
            "after, graph": lambda x=x, t=turn, k=factor: after.run(
                None, {"future": x, "scale": x, "turn": t, "factor": k.astype(np.float32)}
            ),
        }  # fmt: skip
        spent: dict[str, list[float]] = {way: [] for way in ways}
        for _ in range(rounds):
            for way, work in ways.items():
                network.run(None, feed)
                start = time.thread_time()
                work()
                spent[way].append(time.thread_time() - start)
        apart_um = 1e6 * float(np.abs(values - found[0]).max())
        times = ", ".join(f"{way} {1e6 * np.median(s):.0f}" for way, s in spent.items())
        typer.echo(f"{people} people, µs: {times}; apart by {apart_um:.1f} µm")


if __name__ == "__main__":
    typer.run(main)
