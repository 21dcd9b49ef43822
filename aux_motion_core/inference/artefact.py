# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""Model artefacts: `model.onnx` + `model.json`, checked before anything is predicted with them."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from aux_motion_core.bounds.calibration import Calibration
from aux_motion_core.bounds.seal import SealError, opened
from aux_motion_core.skeleton import JOINTS, PARENTS

SCHEMA_VERSION = 1
#: Outputs of a model, in the order of `Backend.infer`; the last one may be missing.
OUTPUTS = ("future", "recovered", "scale")
_Shape = list[int | str]
#: A card is some 100 kB.
_LARGEST_CARD = 32 << 20
#: Shortest and longest time ahead that a model may predict, seconds.
_HORIZONS_S = (0.1, 5.0)
#: Begins the entry that names a file outside of an ONNX file (a `StringStringEntryProto` with the key "location").
_EXTERNAL = b"\x0a\x08location\x12"


class ArtefactError(ValueError):
    """An artefact that must not be used: what was expected, what came, what to do, in one line."""


class Artefact(BaseModel):
    """The content of model.json and where it lies.

    Attributes:
        inputs: `positions` (batch, history, joints, 3), `observed` (batch, history, joints).
        outputs: `future` (batch, steps, joints, 3), `recovered` (batch, history, joints, 3), and where the model has it
            `scale` as `future`: one sigma per axis in metres.
        dt_s: seconds from step to step.
        units: of positions.
        calibration: table of calibrated radii, None when the model has none.
    """

    model_config = ConfigDict(extra="forbid", defer_build=True)

    schema_version: Literal[1]
    name: str = Field(min_length=1, max_length=200)
    version: str = Field(min_length=1, max_length=200)
    joint_names: list[str]
    parents: list[int]
    inputs: dict[str, _Shape]
    outputs: dict[str, _Shape]
    dt_s: float = Field(gt=0.0, le=0.5)
    history_steps: int = Field(ge=2, le=1000)
    future_steps: int = Field(ge=1, le=1000)
    units: Literal["m"]
    normaliser: dict[str, Any]
    calibration: Calibration | None
    training: dict[str, Any]
    metrics: dict[str, Any]
    onnx_sha256: str = Field(pattern="^[0-9a-f]{64}$")
    git_commit: str
    folder: Path = Field(default=Path(), exclude=True)

    @property
    def output_names(self) -> tuple[str, ...]:
        """Its outputs in the order of `Backend.infer`."""
        return tuple(n for n in OUTPUTS if n in self.outputs)

    @property
    def onnx_file(self) -> Path:
        """Path of the ONNX file."""
        return onnx_file(self.folder)

    def check_file(self) -> None:
        """See that the ONNX file is there and still the one that model.json was written for.

        Raises:
            ArtefactError: it is not.
        """
        try:
            content = self.onnx_file.read_bytes()
        except OSError as error:
            raise ArtefactError(f"{self.onnx_file} cannot be read ({error}): copy the artefact again") from None
        digest = hashlib.sha256(content).hexdigest()
        if digest != self.onnx_sha256:
            raise ArtefactError(
                f"{self.onnx_file}: expected sha256 {self.onnx_sha256[:12]}... (model.json), the file has "
                f"{digest[:12]}...: the two files do not belong together; export or copy the artefact again"
            )
        if _EXTERNAL in content:
            raise ArtefactError(
                f"{self.onnx_file} keeps weights in another file, which its sha256 does not cover: expected one file; "
                "export it without external data (onnx.save, save_as_external_data=False)"
            )

    def check_numbers(self) -> None:
        """See that the step is the network's, as far as the card tells.

        Raises:
            ArtefactError: it is not, or the horizon is none.
        """
        horizon_s = self.dt_s * self.future_steps
        if not _HORIZONS_S[0] <= horizon_s <= _HORIZONS_S[1]:
            raise ArtefactError(
                f"{self.folder / 'model.json'}: dt_s {self.dt_s:g} and {self.future_steps} steps are {horizon_s:g} s "
                f"ahead: expected {_HORIZONS_S[0]:g} to {_HORIZONS_S[1]:g} s; export the model again"
            )
        trained = self.training.get("model_config")
        trained = trained if isinstance(trained, dict) else {}
        for name in ("dt_s", "history_steps", "future_steps"):
            if name in trained and trained[name] != getattr(self, name):
                raise ArtefactError(
                    f"{self.folder / 'model.json'}: {name} is {getattr(self, name):g}, the network was trained with "
                    f"{trained[name]!r}: export the model again"
                )


def onnx_file(folder: Path) -> Path:
    """The ONNX file of the artefact in a folder."""
    return folder / "model.onnx"


def load(folder: str | Path, calibrated: bool = True) -> Artefact:
    """Read and check an artefact.

    Args:
        folder: of the artefact.
        calibrated: take its calibration table too; without, one that does not fit is no error (it is made anew).

    Raises:
        ArtefactError: a file is missing or broken, the schema or the skeleton is another, or the ONNX file is not
            the one that model.json was written for.
    """
    folder = Path(folder)
    card, onnx = folder / "model.json", onnx_file(folder)
    for file in (card, onnx):
        if not file.is_file():
            raise ArtefactError(
                f"no {file.name} in {folder or '(no folder given)'}: expected a model artefact "
                "(model.onnx and model.json, written by python -m training.export)"
            )
    try:
        if card.stat().st_size > _LARGEST_CARD:
            raise ValueError(f"it has {card.stat().st_size} bytes, expected at most {_LARGEST_CARD}")
        content = json.loads(card.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ArtefactError(f"{card} cannot be read ({error}): export the model again") from None
    found = content.get("schema_version") if isinstance(content, dict) else None
    if found != SCHEMA_VERSION:
        raise ArtefactError(
            f"{card}: expected schema_version {SCHEMA_VERSION}, got {found!r}: use a model of this version of "
            "aux_motion, or export it again"
        )
    try:
        content = opened(content, card)
    except SealError as error:
        raise ArtefactError(str(error)) from None
    if not calibrated:
        content["calibration"] = None
    try:
        artefact = Artefact.model_validate({**content, "folder": folder})
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(p) for p in first["loc"])
        raise ArtefactError(f"{card}: {where}: {first['msg']}: export the model again") from None
    if tuple(artefact.joint_names) != JOINTS or tuple(artefact.parents) != PARENTS:
        raise ArtefactError(
            f"{card}: expected the {len(JOINTS)} joints of body20 in order ({JOINTS[0]}, {JOINTS[1]}, ...), got "
            f"{len(artefact.joint_names)} joints ({', '.join(artefact.joint_names[:2])}, ...): "
            "use a model for this skeleton"
        )
    joints = len(JOINTS)
    shapes = {
        "positions": [artefact.history_steps, joints, 3],
        "observed": [artefact.history_steps, joints],
        "future": [artefact.future_steps, joints, 3],
        "recovered": [artefact.history_steps, joints, 3],
        **({"scale": [artefact.future_steps, joints, 3]} if "scale" in artefact.outputs else {}),
    }
    for name, shape in shapes.items():
        got = {**artefact.inputs, **artefact.outputs}.get(name)
        if got is None or list(got[1:]) != shape:
            raise ArtefactError(f"{card}: {name}: expected shape [batch, {shape}], got {got}: export the model again")
    artefact.check_numbers()
    artefact.check_file()
    table, digest = artefact.calibration, artefact.onnx_sha256
    if table is not None and (table.onnx_sha256 != digest or table.steps != artefact.future_steps):
        raise ArtefactError(
            f"{card}: the calibration is of another model (sha256 {table.onnx_sha256[:12]}..., {table.steps} steps; "
            f"here {digest[:12]}..., {artefact.future_steps}): run python -m training.calibrate for this one"
        )
    return artefact
