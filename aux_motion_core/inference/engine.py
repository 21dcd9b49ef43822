# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""An engine's folder: `engine.plan`, and `engine.json`, which says what it was made from and for.

Works with `tensorrt` 10 and 11 and with `tensorrt_rtx`; neither is imported before it is used.
"""

from __future__ import annotations

import hashlib
import importlib
import json
import os
import shlex
from pathlib import Path
from types import ModuleType
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from aux_motion_core.inference.artefact import Artefact, ArtefactError

#: Flavour -> modules that it may be called; the first is NVIDIA's own name, the other that of the bare wheel.
FLAVOURS = {"tensorrt": ("tensorrt",), "tensorrt_rtx": ("tensorrt_rtx", "tensorrt_rtx_bindings")}
#: Targets that `tensorrt_rtx` builds for without a GPU.
TARGETS = ("sm75", "sm80", "sm86", "sm89", "sm120")
TURING = "sm75"
PLAN, CARD, TIMING = "engine.plan", "engine.json", "timing.cache"
#: Batches up to this are what the kernels are tuned for.
TUNED_PEOPLE = 4
_MAJORS = {"tensorrt": (10, 11), "tensorrt_rtx": (1,)}


class EngineError(ArtefactError):
    """An engine that cannot be made or must not be used: expected, came, what to do, in one line."""


class EngineCard(BaseModel):
    """The content of engine.json.

    Attributes:
        onnx_sha256: of the artefact's model.onnx, whatever the precision.
        target: compute capability as `sm89`.
        gpu: that it was built on, None when ahead of time.
        inputs: name -> shape with -1 for the batch.
        outputs: likewise.
        parity: distances from fp32 by onnxruntime: `cpu` of the lower-precision graph run by onnxruntime, `gpu` of
            the engine; None where that was not measured.
    """

    model_config = ConfigDict(extra="forbid")

    schema_version: Literal[1] = 1
    model: str
    model_version: str
    onnx_sha256: str
    flavour: Literal["tensorrt", "tensorrt_rtx"]
    flavour_version: str
    target: str
    gpu: str | None
    precision: Literal["fp32", "fp16", "int8"]
    max_people: int
    inputs: dict[str, list[int]]
    outputs: dict[str, list[int]]
    settings: dict[str, Any]
    parity: dict[str, dict[str, float | int] | None]
    plan_sha256: str
    build_s: float


def load_flavour(name: str) -> ModuleType:
    """Import a flavour of TensorRT.

    Raises:
        EngineError: it is not installed, cannot be loaded, or is of another major version.
    """
    module = problem = None
    for candidate in FLAVOURS[name]:
        try:
            module = importlib.import_module(candidate)
            break
        except Exception as error:  # a broken install raises what it likes (missing libraries, RuntimeError)
            missing = isinstance(error, ModuleNotFoundError) and error.name == candidate
            problem = problem if missing else f"{candidate} cannot be loaded ({one_line(error)})"
    if module is None:
        extra = name.replace("_", "-")
        raise EngineError(f"{problem or name + ' is not installed'}: pip install 'aux_motion[{extra}]'")
    major = int(module.__version__.split(".")[0])
    if major not in _MAJORS[name]:
        wanted = " or ".join(map(str, _MAJORS[name]))
        raise EngineError(f"expected {name} {wanted}, {module.__version__} is installed: install one of these")
    return module


def one_line(error: BaseException) -> str:
    """What an exception says, in one line of at most 200 characters."""
    return (" ".join(str(error).split()) or type(error).__name__)[:200]


def logger(trt: ModuleType) -> Any:
    """A TensorRT logger that keeps the errors it is told, in `errors`."""

    base: Any = trt.ILogger

    class Kept(base):
        def __init__(self) -> None:
            trt.ILogger.__init__(self)
            self.errors: list[str] = []

        def log(self, severity: Any, message: str) -> None:
            if severity in (trt.ILogger.ERROR, trt.ILogger.INTERNAL_ERROR):
                self.errors.append(" ".join(message.split())[:300])
                del self.errors[:-20]

        def last(self) -> str:
            return self.errors[-1] if self.errors else "no message"

    return Kept()


def shapes(names: dict[str, list[int | str]]) -> dict[str, list[int]]:
    """An artefact's shapes with -1 for the batch."""
    return {n: [-1, *map(int, s[1:])] for n, s in names.items()}


def command(model_dir: Path, card: EngineCard | None = None, out: Path | None = None, **values: Any) -> str:
    """The command line that builds an engine, of the same settings as `card`."""
    if card is not None:
        values = {"target": card.target, "precision": card.precision, "max_people": card.max_people, **values}
    options = [f"--{name.replace('_', '-')} {shlex.quote(str(value))}" for name, value in values.items()]
    where = f" --out {shlex.quote(str(out))}" if out is not None else " --out DIR"
    return " ".join(["aux-motion compile", shlex.quote(str(model_dir)), *options]) + where


def card_content(card: EngineCard) -> bytes:
    """The content of engine.json."""
    return (json.dumps(card.model_dump(), indent=1) + "\n").encode()


def read_card(folder: str | Path, model_dir: Path) -> EngineCard:
    """Read engine.json.

    Raises:
        EngineError: there is none or it cannot be used, with the command that builds one.
    """
    file = Path(folder) / CARD
    build_it = command(model_dir, out=Path(folder))
    if not file.is_file():
        raise EngineError(f"no {CARD} in {folder}: build an engine: {build_it}")
    try:
        return EngineCard.model_validate(json.loads(file.read_text(encoding="utf-8")))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise EngineError(f"{file}: {where}: {first['msg']}: build it again: {build_it}") from None
    except (OSError, ValueError) as error:
        raise EngineError(f"{file} cannot be read ({one_line(error)}): build it again: {build_it}") from None


def read_plan(folder: str | Path, artefact: Artefact, trt: ModuleType, sm: str) -> tuple[EngineCard, bytes]:
    """The engine of a folder, checked against model, TensorRT and GPU.

    Args:
        folder: with engine.plan and engine.json.
        artefact: that it must be built from.
        trt: the flavour that will run it.
        sm: compute capability of the GPU that will run it.

    Raises:
        EngineError: it does not match; the line has the command that builds one that does.
    """
    card = read_card(folder, artefact.folder)
    file = Path(folder) / PLAN
    flavour = next(f for f, names in FLAVOURS.items() if trt.__name__.split(".")[0] in names)
    again = command(artefact.folder, card, Path(folder), target=sm)
    for what, expected, got in (
        ("model.onnx", artefact.onnx_sha256[:12], card.onnx_sha256[:12]),
        ("TensorRT", f"{flavour} {trt.__version__}", f"{card.flavour} {card.flavour_version}"),
        ("GPU", sm, card.target),
        ("inputs", shapes(artefact.inputs), card.inputs),
        ("outputs", shapes(artefact.outputs), card.outputs),
    ):
        if expected != got:
            raise EngineError(f"{file}: {what}: expected {expected}, it is for {got}: build it again: {again}")
    try:
        plan = file.read_bytes()
    except OSError as error:
        raise EngineError(f"{file} cannot be read ({one_line(error)}): build it again: {again}") from None
    if hashlib.sha256(plan).hexdigest() != card.plan_sha256:
        raise EngineError(f"{file} is not the one of {CARD} (cut off or mixed up): build it again: {again}")
    return card, plan


def cache_dir(artefact: Artefact, trt: ModuleType, sm: str, precision: str = "fp32", max_people: int = 16) -> Path:
    """Where `auto` keeps the engine that it built (XDG_CACHE_HOME, else ~/.cache)."""
    root = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    name = f"{artefact.onnx_sha256[:16]}-{trt.__name__.split('.')[0]}-{trt.__version__}-{sm}-{precision}-{max_people}"
    return root / "aux_motion" / "engines" / name
