"""What a network says of recordings that it never saw, for all of the training split:

    python -m training.out_of_fold train --data ../shared/data --fold 0     # and 1, 2

The errors of a network on the recordings it was trained on are far smaller than on others, so they cannot tell how far
to trust it. The training split is therefore cut into three folds by recording group, and a network is trained on each
two of them; its predictions of the third are what blending, scale (`training.stacking`) and the calibrated bounds
(`training.calibrate`) are fitted on (stacked generalisation: Wolpert, Neural Networks 5, 1992; cross-conformal
prediction: Vovk, Annals of Mathematics and Artificial Intelligence 74, 2015).
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import torch
import typer

from training.data import Clip, load_split
from training.train import read_config, train

#: Recording groups of each fold: what is held out together. Classes of several groups are in several folds.
FOLDS: tuple[tuple[str, ...], ...] = (
    ("cmu_01",),
    ("cmu_text_walking_extra", "cmu_text_soccer", "cmu_text_jumping"),
    (
        "cmu_text_basketball_signal",
        "cmu_text_directing_traffic",
        "cmu_text_walking",
        "cmu_text_basketball",
        "cmu_text_running",
    ),
)
CONFIG = Path(__file__).parent / "configs" / "body20_25hz_folds.yaml"

app = typer.Typer(add_completion=False)


@app.callback()
def commands() -> None:
    """Networks that lack a third of the recordings each."""


def fold_of(clip: Clip) -> int:
    """The fold that holds this clip out.

    Raises:
        ValueError: its recording group is in none.
    """
    for fold, groups in enumerate(FOLDS):
        if clip.group in groups:
            return fold
    raise ValueError(f"{clip.name}: its recording group {clip.group!r} is in no fold: add it to FOLDS")


@app.command("train")
def train_fold(
    fold: Annotated[int, typer.Option(help="which fold is held out", min=0, max=len(FOLDS) - 1)],
    data: Annotated[Path, typer.Option(help="folder with the data archives")] = Path("../shared/data"),
    out: Annotated[Path | None, typer.Option(help="folder for checkpoint and metrics")] = None,
    config: Annotated[Path, typer.Option(help="YAML with the fields of TrainConfig")] = CONFIG,
    threads: Annotated[int, typer.Option(help="CPU threads for torch")] = 1,
) -> None:
    """Train the network that does not see one fold."""
    try:
        torch.set_num_threads(threads)
        clips = [c for c in load_split(data, "train") if fold_of(c) != fold]
        train(read_config(config), clips, load_split(data, "validation"), out or Path(f"build/training/fold_{fold}"))
    except (OSError, ValueError) as e:
        raise SystemExit(f"training.out_of_fold: {e}") from None


if __name__ == "__main__":
    app()
