# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""Recordings that no training saw, as files for `aux-motion ssm --demo --data`.

python -m training.studies.held_out --data ../shared/data --out build/held_out
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from training.data import load_split

_SHORTEST_S = 2.0
_GESTURES_EVERY = 27


def recordings(data: Path) -> Iterator[dict[str, Any]]:
    """Clips of the held-out splits: all of new_subject, the pair of handover, every 27th gesture of real_tracker.

    Args:
        data: folder with the data archives.

    Yields:
        tier, name, stamps_s (F,), positions (F, P, 20, 3) in metres, mask (F, P, 20), and noise: whether the replay
        adds a tracker's noise, which it does where the recording is not a tracker's own.
    """

    def one(tier: str, clip: Any, noise: bool) -> dict[str, Any]:
        x, mask = clip.positions[:, None], clip.mask[:, None]
        return {
            "tier": tier,
            "name": clip.name,
            "stamps_s": clip.stamps_s,
            "positions": x,
            "mask": mask,
            "noise": noise,
        }

    for clip in load_split(data, "new_subject"):
        yield one("new_subject", clip, True)
    pair = load_split(data, "handover")
    if len(pair) == 2 and len(pair[0].positions) == len(pair[1].positions):
        x, mask = (np.stack([getattr(c, n) for c in pair], 1) for n in ("positions", "mask"))
        name = pair[0].name.rsplit("/", 1)[0]
        both = {"tier": "handover", "name": name, "stamps_s": pair[0].stamps_s, "positions": x, "mask": mask}
        yield {**both, "noise": True}
    for clip in load_split(data, "real_tracker")[::_GESTURES_EVERY]:
        if clip.duration_s >= _SHORTEST_S:
            yield one("real_tracker", clip, False)


def main(
    data: Annotated[Path, typer.Option(help="Folder with the data archives.")],
    out: Annotated[Path, typer.Option(help="Folder to write the clips to, one .npz file each.")],
) -> None:
    """Write the recordings that no training saw, for the closed-loop replay of the monitor."""
    if not data.is_dir():
        raise typer.BadParameter(
            f"{data} does not exist: expected the folder with the data archives", param_hint="--data"
        )
    out.mkdir(parents=True, exist_ok=True)
    count = 0
    for count, found in enumerate(recordings(data), 1):
        file = out / f"{count:03d}_{found['tier']}_{found['name'].replace('/', '_')}.npz"
        np.savez_compressed(file, **found)
    typer.echo(f"written: {count} recordings to {out}")


if __name__ == "__main__":
    typer.run(main)
