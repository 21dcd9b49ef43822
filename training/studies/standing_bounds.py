# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""Bounds of people who stand before depth cameras, beside the ISO 13855 ball, and how often they hold for moving hands:

    python -m training.studies.standing_bounds --model models/body20_25hz --data ../shared/data --json FILE

At 0.95, the 0.05 m added that the node adds until a tracker is calibrated. Who stands and whose hands move is told by
`training.tiers`; radii are medians over the joints that are seen now, then over windows.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from aux_motion_core.bounds.radii import Bounds, equivalent_scale, known
from aux_motion_core.history.normalise import denormalise, normalise
from aux_motion_core.inference import artefact
from aux_motion_core.inference.onnx import OnnxBackend
from aux_motion_core.skeleton import INDEX
from training.data import load_split
from training.data.windows import cut
from training.tiers import BEFORE, kinds

LEVEL, ADDED_M, ISO_MPS = 0.95, 0.05, 1.6
BODY_UNTIL_S, JOINTS_AT_S = 0.5, 0.4
#: Split -> every how many clips.
TIERS = {"real_tracker": 15, "rehab": 2, "nuitrack": 3}
_HANDS = [INDEX["left_wrist"], INDEX["right_wrist"]]


def measure(loaded: artefact.Artefact, clips: list) -> dict:
    """Radii of who stands and coverage of hands that move, over all windows of the clips."""
    backend = OnnxBackend(loaded)
    h, dt = backend.history_steps, backend.dt_s
    body_step, joint_step = round(BODY_UNTIL_S / dt) - 1, round(JOINTS_AT_S / dt) - 1
    bounds = Bounds(loaded.calibration, LEVEL, body_steps=body_step + 1)
    bodies, joints, held = [], [], []
    for clip in clips:
        w = cut(clip, h, backend.future_steps, dt, 0.4)
        if w is None:
            continue
        what = kinds(w, dt).before
        values, heading = normalise(w.past, w.past_mask)
        future, _, scale = backend.infer(values, w.past_mask)
        error = np.linalg.norm(denormalise(future, heading) - w.future, axis=-1)
        free, body = bounds.radii(known(w.past, w.past_mask, dt), None if scale is None else equivalent_scale(scale))
        seen, stands = w.past_mask[:, -1], what == BEFORE.index("still")
        for of, step, into in ((body, body_step, bodies), (free, joint_step, joints)):
            for radius, who in zip(of[stands, step], seen[stands]):
                into.append(np.median(radius[who]) + ADDED_M)
        moving = what == BEFORE.index("hands")
        inside = error[moving][:, :, _HANDS] <= free[moving][:, :, _HANDS] + ADDED_M
        if (known_truth := w.future_mask[moving][:, :, _HANDS]).any():
            held.append(float(inside[known_truth].mean()))
    return {
        "standing_windows": len(bodies),
        "body_radius_over_iso_radius_until_0.5s": round(float(np.median(bodies)) / (ISO_MPS * BODY_UNTIL_S), 2),
        "iso_volume_over_joint_volume_at_0.4s": round((ISO_MPS * JOINTS_AT_S / float(np.median(joints))) ** 3, 1),
        "moving_hands_covered": round(float(np.mean(held)), 3),
        "clips_with_moving_hands": len(held),
    }


def main(
    model: Annotated[Path, typer.Option(help="folder of the artefact")] = Path("models/body20_25hz"),
    data: Annotated[Path, typer.Option(help="folder with the data archives")] = Path("../shared/data"),
    json_path: Annotated[Path, typer.Option("--json")] = Path("docs/benchmarks/standing_bounds.json"),
) -> None:
    """Measure and write."""
    try:
        loaded = artefact.load(model)
        if loaded.calibration is None:
            raise ValueError(f"{model}: expected a calibrated artefact: run python -m training.fitting.calibrate")
        found = {tier: measure(loaded, load_split(data, tier)[::every]) for tier, every in TIERS.items()}
        report = {
            "schema_version": 1,
            "command": "python -m training.studies.standing_bounds",
            "model": {"name": loaded.name, "version": loaded.version},
            "tiers": found,
        }
        json_path.write_text(json.dumps(report, indent=1) + "\n")
    except (OSError, ValueError) as e:
        raise SystemExit(f"training.studies.standing_bounds: {e}") from None
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    typer.run(main)
