"""ONNX to a TensorRT engine: `engine.plan` with `engine.json` beside it, which says what it was made from and for.

Works with `tensorrt` 10 and 11 (builds on the GPU that will run it) and with `tensorrt_rtx` (also ahead of time, on a
machine without a GPU). Neither is imported before it is used.
"""

from __future__ import annotations

import hashlib
import importlib
import json
import os
import shlex
import tempfile
import time
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from types import ModuleType
from typing import Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, ValidationError

from aux_motion_core.inference import artefact as artefacts
from aux_motion_core.inference import precision as precisions
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
            problem = problem if missing else f"{candidate} cannot be loaded ({_line(error)})"
    if module is None:
        extra = name.replace("_", "-")
        raise EngineError(f"{problem or name + ' is not installed'}: pip install 'aux_motion[{extra}]'")
    major = int(module.__version__.split(".")[0])
    if major not in _MAJORS[name]:
        wanted = " or ".join(map(str, _MAJORS[name]))
        raise EngineError(f"expected {name} {wanted}, {module.__version__} is installed: install one of these")
    return module


def _line(error: BaseException) -> str:
    return (" ".join(str(error).split()) or type(error).__name__)[:200]


def logger(trt: ModuleType) -> Any:
    """A TensorRT logger that keeps the errors it is told, in `errors`."""

    class Kept(trt.ILogger):
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


def bag_windows(bag: str | Path, artefact: Artefact, most: int = 512) -> tuple[np.ndarray, np.ndarray]:
    """Normalised windows of a recording, cut as the node cuts them.

    Args:
        bag: skeletons.
        artefact: whose grid is used.
        most: so many at most, evenly over the recording.

    Returns:
        values (N, history, joints, 3) float32 and mask (N, history, joints) bool.

    Raises:
        BagError: the bag cannot be used.
        EngineError: it holds too few windows.
    """
    from aux_motion_core.bags import reader
    from aux_motion_core.config import PredictorConfig
    from aux_motion_core.inference.baselines import ZeroVelocity
    from aux_motion_core.predictor import Predictor

    kept: list[tuple[np.ndarray, np.ndarray]] = []

    backend = ZeroVelocity(artefact.dt_s, artefact.history_steps, artefact.future_steps)
    infer = backend.infer

    def record(values: np.ndarray, mask: np.ndarray) -> tuple[np.ndarray, np.ndarray, None]:
        kept.extend((v, m) for v, m in zip(values.astype(np.float32), mask) if m.any(1).sum() > 1)
        return infer(values, mask)

    backend.infer = record
    predictor = None
    errors: list[ValueError] = []
    for _, frame in reader.read_skeletons(bag, on_bad=errors.append):
        predictor = predictor or Predictor(backend, PredictorConfig(), frame.frame_id)
        if frame.frame_id == predictor.fixed_frame:
            predictor.add(frame)
            predictor.predict(frame.stamp_ns)
    if len(kept) < precisions.MIN_WINDOWS:
        raise EngineError(
            f"{bag}: expected a recording of at least {precisions.MIN_WINDOWS} windows, it has {len(kept)}: "
            "give a longer one"
        )
    pick = np.unique(np.linspace(0, len(kept) - 1, most).astype(int))
    return np.stack([kept[i][0] for i in pick]), np.stack([kept[i][1] for i in pick])


def _choose(target: str, gpu: Any) -> tuple[str, str]:
    """Flavour and compute capability for a target."""
    here = None if gpu is None else gpu.sm
    if target == "current":
        if here is None:
            raise EngineError(
                f"--target current needs a GPU and PyCUDA here: name a target instead ({', '.join(TARGETS)})"
            )
        target = here
    if target == here:
        try:
            load_flavour("tensorrt")
            return "tensorrt", target
        except EngineError as error:
            if target not in TARGETS:
                raise EngineError(f"{target} needs tensorrt, tensorrt_rtx does not know it: {error}") from None
    if target not in TARGETS:
        raise EngineError(
            f"expected --target current or {', '.join(TARGETS)}, got {target!r}: Hopper (sm90) and Jetson (sm87) need "
            "tensorrt, which builds only on that machine: run it there with --target current"
        )
    return "tensorrt_rtx", target


def build(
    artefact: Artefact,
    out: str | Path,
    target: str = "current",
    precision: str = "fp32",
    max_people: int = 16,
    windows: tuple[np.ndarray, np.ndarray] | None = None,
    flavour: str | None = None,
    gpu: Any = None,
    trt: ModuleType | None = None,
) -> EngineCard:
    """Build an engine into a folder; what lies there is replaced only when that worked.

    Args:
        artefact: a checked one.
        out: folder, made where it is missing.
        target: `current` or a compute capability as `sm89`.
        precision: fp32, fp16 or int8.
        max_people: largest batch.
        windows: normalised values and mask of real windows: int8 takes its scales from them, fp16 and int8 are
            compared with fp32 on them.
        flavour: `tensorrt` or `tensorrt_rtx`, with the GPU's own `target`; None: what can build that target.
        gpu: an open `Gpu`, None where there is none.
        trt: the flavour's module, where it is loaded already.

    Raises:
        EngineError: nothing that could build it is installed, the target is none, the lower precision is too far
            from fp32, or the build failed.
    """
    out = Path(out)
    chosen, sm = (flavour, target) if flavour is not None else _choose(target, gpu)
    if chosen == "tensorrt_rtx" and sm not in TARGETS:
        raise EngineError(f"tensorrt_rtx does not know {sm} (it knows {', '.join(TARGETS)}): use tensorrt")
    trt = trt or load_flavour(chosen)
    turing = chosen == "tensorrt_rtx" and sm == TURING
    if turing and precision != "fp16":
        raise EngineError(f"tensorrt_rtx multiplies only fp16 matrices on {sm} (Turing): use --precision fp16")
    graph = precisions.make(artefact, precision, windows, fp32_products=not turing)
    parity: dict[str, dict[str, float | int] | None] = {"cpu": None, "gpu": None}
    if precision != "fp32" and windows is not None:
        parity["cpu"] = graph_parity(artefact, graph, windows)
        refuse_unlike(precision, parity["cpu"], artefact)
    start = time.perf_counter()
    with gpu.current() if gpu is not None else nullcontext():
        plan, timing, settings = _build(trt, graph, artefact, sm, max_people, out / TIMING)
    card = EngineCard(
        model=artefact.name,
        model_version=artefact.version,
        onnx_sha256=artefact.onnx_sha256,
        flavour=chosen,
        flavour_version=trt.__version__,
        target=sm,
        gpu=gpu.name if gpu is not None and gpu.sm == sm else None,
        precision=precision,
        max_people=max_people,
        inputs=shapes(artefact.inputs),
        outputs=shapes(artefact.outputs),
        settings=settings,
        parity=parity,
        plan_sha256=hashlib.sha256(plan).hexdigest(),
        build_s=round(time.perf_counter() - start, 2),
    )
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out) as folder:
        for name, content in ((TIMING, timing), (PLAN, plan), (CARD, _json(card))):
            if content:
                file = Path(folder) / name
                file.write_bytes(content)
                os.replace(file, out / name)
    return card


def _json(card: EngineCard) -> bytes:
    return (json.dumps(card.model_dump(), indent=1) + "\n").encode()


def graph_parity(artefact: Artefact, graph: bytes, windows: tuple[np.ndarray, np.ndarray]) -> dict[str, float | int]:
    """`precision.parity` of a graph against the artefact, both run by onnxruntime on the CPU."""
    import onnxruntime as ort

    from aux_motion_core.inference.onnx import OnnxBackend

    values, mask = windows
    session = ort.InferenceSession(graph, providers=["CPUExecutionProvider"])
    got = session.run(artefact.output_names, {"positions": values, "observed": mask.astype(np.float32)})
    return precisions.parity(OnnxBackend(artefact).infer(values, mask), got)


def refuse_unlike(precision: str, found: dict[str, float | int], artefact: Artefact) -> None:
    """Raise `EngineError` where a lower precision is too far from fp32."""
    if not precisions.close_enough(found):
        raise EngineError(
            f"{precision} of {artefact.name} is {found['mean_mm']:.2f} mm from fp32 in the mean and "
            f"{found['most_mm']:.2f} mm at most over {found['windows']} windows (its scale "
            f"{found.get('scale_mean_percent', 0.0):.2f} and {found.get('scale_most_percent', 0.0):.2f} %), allowed "
            f"are {precisions.MEAN_M * 1e3:.0f} and {precisions.MOST_M * 1e3:.0f} mm: use "
            f"{'fp16 or ' if precision == 'int8' else ''}fp32"
        )


def _build(
    trt: ModuleType, graph: bytes, artefact: Artefact, sm: str, max_people: int, timing_file: Path
) -> tuple[bytes, bytes, dict[str, Any]]:
    """Plan, timing cache (empty where the flavour keeps none) and the settings used."""
    log = logger(trt)
    builder = trt.Builder(log)
    typed = getattr(trt.NetworkDefinitionCreationFlag, "STRONGLY_TYPED", None)  # TensorRT 11 and RTX know no other
    network = builder.create_network(0 if typed is None else 1 << int(typed))
    parser = trt.OnnxParser(network, log)
    if not parser.parse(graph):
        said = "; ".join(parser.get_error(i).desc() for i in range(parser.num_errors)) or log.last()
        raise EngineError(f"{trt.__name__} {trt.__version__} cannot read {artefact.onnx_file}: {said[:300]}")
    for kind, count, get, expected in (
        ("input", network.num_inputs, network.get_input, shapes(artefact.inputs)),
        ("output", network.num_outputs, network.get_output, shapes(artefact.outputs)),
    ):
        got = {get(i).name: list(get(i).shape) for i in range(count)}
        if got != expected:
            raise EngineError(f"expected {kind}s {expected} (model.json), {trt.__name__} sees {got}: export it again")
    config = builder.create_builder_config()
    ahead_of_time = trt.__name__.startswith("tensorrt_rtx")
    if ahead_of_time:
        config.num_compute_capabilities = 1
        config.set_compute_capability(getattr(trt.ComputeCapability, sm.upper()), 0)
    profile = builder.create_optimization_profile()
    tuned = min(TUNED_PEOPLE, max_people)
    for name, shape in shapes(artefact.inputs).items():
        profile.set_shape(name, (1, *shape[1:]), (tuned, *shape[1:]), (max_people, *shape[1:]))
    config.add_optimization_profile(profile)
    settings = {
        "batch": [1, tuned, max_people],
        "strongly_typed": True,
        "optimization_level": config.builder_optimization_level,
        "ahead_of_time": ahead_of_time,
    }
    if not ahead_of_time:  # RTX times nothing when it builds
        old = timing_file.read_bytes() if timing_file.is_file() else b""
        config.set_timing_cache(config.create_timing_cache(old), ignore_mismatch=False)
    plan = builder.build_serialized_network(network, config)
    if plan is None:
        raise EngineError(f"{trt.__name__} {trt.__version__} could not build for {sm}: {log.last()}")
    timing = b"" if ahead_of_time else bytes(memoryview(config.get_timing_cache().serialize()))
    return bytes(memoryview(plan)), timing, settings


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
        raise EngineError(f"{file} cannot be read ({_line(error)}): build it again: {build_it}") from None


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
        raise EngineError(f"{file} cannot be read ({_line(error)}): build it again: {again}") from None
    if hashlib.sha256(plan).hexdigest() != card.plan_sha256:
        raise EngineError(f"{file} is not the one of {CARD} (cut off or mixed up): build it again: {again}")
    return card, plan


def cache_dir(artefact: Artefact, trt: ModuleType, sm: str, precision: str = "fp32", max_people: int = 16) -> Path:
    """Where `auto` keeps the engine that it built (XDG_CACHE_HOME, else ~/.cache)."""
    root = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    name = f"{artefact.onnx_sha256[:16]}-{trt.__name__.split('.')[0]}-{trt.__version__}-{sm}-{precision}-{max_people}"
    return root / "aux_motion" / "engines" / name


def sample_bag() -> Path | None:
    """The recording that comes with the checkout, None where it is not."""
    file = Path(__file__).resolve().parents[2] / "samples" / "sports2d_demo.mcap"
    return file if file.is_file() else None


def open_gpu() -> Any:
    """A `Gpu`, or None where there is none."""
    from aux_motion_core.inference.cuda import Gpu, GpuError

    try:
        return Gpu()
    except GpuError:
        return None


def compile_model(
    model_dir: str | Path,
    out: str | Path,
    target: str = "current",
    precision: str = "fp32",
    max_people: int = 16,
    data: str | Path | None = None,
) -> Iterator[str]:
    """`aux-motion compile`: build, compare, and say line by line what was done.

    Args:
        model_dir: artefact.
        out: folder of the engine.
        target: `current` or one of `TARGETS`.
        precision: fp32, fp16 or int8.
        max_people: largest batch, 1 to 256.
        data: recording (bag) for scales and parity; None: the sample that comes with the checkout.

    Raises:
        ValueError: in one line, what is wrong.
    """
    artefact = artefacts.load(model_dir)
    precisions.check(precision)
    source = Path(data) if data is not None else sample_bag()
    if source is None and precision != "fp32":
        raise EngineError(
            f"{precision} is compared with fp32 on a recording, and the sample is not here: give one, --data BAG"
        )
    gpu = open_gpu()
    try:
        windows = None
        if source is not None and (precision != "fp32" or gpu is not None):
            windows = bag_windows(source, artefact)
        card = build(artefact, out, target, precision, max_people, windows, gpu=gpu)
        yield (
            f"{card.flavour} {card.flavour_version} built {artefact.name} {artefact.version} for {card.target} "
            f"({card.precision}, up to {card.max_people} people) in {card.build_s:.1f} s"
        )
        if card.gpu is not None and windows is not None:
            card.parity["gpu"] = found = _gpu_parity(artefact, out, windows)
            if precision != "fp32" and not precisions.close_enough(found):
                (Path(out) / CARD).unlink()
                refuse_unlike(precision, found, artefact)
            (Path(out) / CARD).write_bytes(_json(card))
        for where, found in card.parity.items():
            if found is not None:
                what = "the engine" if where == "gpu" else "its graph on the CPU"
                yield (
                    f"parity with fp32 ({what}, {found['windows']} windows of {source}): "
                    f"mean {found['mean_mm']:.3f} mm, at most {found['most_mm']:.3f} mm"
                )
        if card.gpu is None:
            yield f"not run here: that needs a GPU of kind {card.target}"
        yield f"written: {Path(out) / PLAN}, {Path(out) / CARD}"
    finally:
        if gpu is not None:
            gpu.close()


def _gpu_parity(artefact: Artefact, out: str | Path, windows: tuple[np.ndarray, np.ndarray]) -> dict[str, float | int]:
    from aux_motion_core.inference import tensorrt
    from aux_motion_core.inference.onnx import OnnxBackend

    flavour = read_card(out, artefact.folder).flavour
    backend = tensorrt.make(flavour, artefact, 1, engine_dir=out, deadline_s=10.0, strict=True)
    try:
        found = precisions.parity(OnnxBackend(artefact).infer(*windows), backend.infer(*windows))
    finally:
        backend.close()
    return found
