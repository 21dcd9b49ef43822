# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""What a network says of recordings that it never saw, for all of the training split:

    python -m training.fitting.out_of_fold train --data ../shared/data --fold 0     # and 1, 2

The errors of a network on the recordings it was trained on are far smaller than on others, so they cannot tell how far
to trust it. The training split is therefore cut into three folds by recording group, and a network is trained on each
two of them; its predictions of the third are what blending, scale (`training.fitting.blending`) and the calibrated
bounds
(`training.calibrate`) are fitted on (stacked generalisation: Wolpert, Neural Networks 5, 1992; cross-conformal
prediction: Vovk, Annals of Mathematics and Artificial Intelligence 74, 2015).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

import torch
import typer
from safetensors import safe_open
from safetensors.torch import save_file

from training.commands import guard
from training.config import read_config
from training.data import Clip, load_split
from training.data.terms import refuse_validation_only
from training.model import AuxMotionModel, ModelConfig
from training.train import train

#: Recording groups of each fold: what is held out together. Classes of several groups are in several folds.
FOLDS: tuple[tuple[str, ...], ...] = (
    ("cmu_01", "hra_CollaborativeStacking", "hra_ObjectInspection", "cmu_indian"),
    (
        "cmu_text_walking_extra",
        "cmu_text_soccer",
        "cmu_text_jumping",
        "cmu35",  # test walks of walking_extra are this person, too
        "hra_CollaborativeLifting",
        "cmu62",
        "cmu_martial",
    ),
    (
        "cmu_text_basketball_signal",
        "cmu_text_directing_traffic",
        "cmu_text_walking",
        "cmu_text_basketball",
        "cmu_text_running",
        "hra_HumanRobotHandover",
        "hra_PickPlaceCloseHuman",
        "hra_RobotHandball",
        "cmu07",
        "cmu08",
        "cmu39",
        "cmu_salsa",
    ),
)
#: Folder beside an artefact that holds the networks of the folds.
FOLDER = "folds"
CONFIG = Path(__file__).resolve().parents[1] / "configs" / "body20_25hz_work.yaml"
#: What the folds are predicted for: dance and fighting are trained on, but no motion of people at work.
PREDICTED = ("train", "work_train")
_NOT_PREDICTED = "cmu_dance/"


@dataclass
class Fold:
    """A network and what it never saw.

    Attributes:
        index: of `FOLDS`.
        model: trained without the fold's groups; its blend and scale were fitted on the other folds' predictions.
        clips: the training split's clips of the fold's groups.
    """

    index: int
    model: AuxMotionModel
    clips: list[Clip]


def save_fold(model: AuxMotionModel, folder: Path, fold: int) -> Path:
    """Write a fold's network to `folder`, in half precision: all of them lie beside the artefact."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"fold_{fold}.safetensors"
    weights = {n: p.detach().half().contiguous() for n, p in model.state_dict().items()}
    save_file(weights, path, metadata={"model_config": json.dumps(asdict(model.config))})
    path.chmod(0o644)  # safetensors makes it for the owner alone
    return path


def load_fold(folder: Path, fold: int) -> AuxMotionModel:
    """A fold's network.

    Raises:
        ValueError: it is not there, or cannot be read.
    """
    path = folder / f"fold_{fold}.safetensors"
    again = "write it with python -m training.fitting.out_of_fold train and python -m training.fitting.blending"
    if not path.is_file():
        raise ValueError(f"{path}: the network that lacks fold {fold} is not there: {again}")
    try:
        with safe_open(path, "pt") as file:
            model = AuxMotionModel(ModelConfig(**json.loads(file.metadata()["model_config"])))
            model.load_state_dict({n: file.get_tensor(n).float() for n in file.keys()})  # noqa: SIM118
    except Exception as error:  # whatever damaged or other weights make of the readers
        raise ValueError(f"{path}: expected a fold's network, got {type(error).__name__}: {again}") from None
    return model.eval()


def predicted_clips(data: Path) -> list[Clip]:
    """The training clips that blend, scale and bounds are fitted on."""
    clips = [c for split in PREDICTED for c in load_split(data, split)]
    return [c for c in clips if not c.name.startswith(_NOT_PREDICTED)]


def folds(model_dir: Path, data: Path) -> Iterator[Fold]:
    """The folds of an artefact, one after the other.

    Args:
        model_dir: artefact with a folder `folds`.
        data: folder with the data archives.

    Raises:
        ValueError: a network is not there, or damaged.
        OSError: the data are not there.
    """
    clips = predicted_clips(data)
    for fold in range(len(FOLDS)):
        yield Fold(fold, load_fold(Path(model_dir) / FOLDER, fold), [c for c in clips if fold_of(c) == fold])


app = typer.Typer(add_completion=False)


@app.callback()
def commands() -> None:
    """Networks that lack a third of the recordings each."""


def fold_of(clip: Clip) -> int:
    """The fold that holds this clip out.

    Raises:
        ValueError: its recording group is in none.
    """
    group = "cmu_salsa" if clip.group.startswith("cmu_salsa") else clip.group
    for fold, groups in enumerate(FOLDS):
        if group in groups:
            return fold
    raise ValueError(f"{clip.name}: its recording group {clip.group!r} is in no fold: add it to FOLDS")


@app.command("train")
def train_fold(
    fold: Annotated[int, typer.Option(help="which fold is held out", min=0, max=len(FOLDS) - 1)],
    data: Annotated[Path, typer.Option(help="folder with the data archives")] = Path("../shared/data"),
    out: Annotated[Path | None, typer.Option(help="folder for checkpoint and metrics")] = None,
    config: Annotated[Path, typer.Option(help="YAML with the fields of TrainConfig")] = CONFIG,
    steps: Annotated[int | None, typer.Option(help="overrides the file's steps")] = None,
    batch: Annotated[int | None, typer.Option(help="overrides the file's batch")] = None,
    threads: Annotated[int, typer.Option(help="CPU threads for torch")] = 1,
    warm_from: Annotated[
        Path | None, typer.Option(help="weights of a network that lacks the fold's groups, too: those that fit")
    ] = None,
    validate: Annotated[bool, typer.Option(help="tell the errors on the validation split")] = True,
) -> None:
    """Train the network that does not see one fold."""
    with guard("training.fitting.out_of_fold"):
        torch.set_num_threads(threads)
        settings = read_config(config)
        clips = [c for split in settings.splits for c in load_split(data, split) if fold_of(c) != fold]
        settings.steps, settings.batch = steps or settings.steps, batch or settings.batch
        refuse_validation_only(clips)
        validation = load_split(data, "validation") if validate else []
        place = out or Path(f"build/training/fold_{fold}")
        split = f"training/splits: {', '.join(settings.splits)}; without the groups of fold {fold}"
        train(settings, clips, validation, place, split=split, warm_from=warm_from)


if __name__ == "__main__":
    app()
