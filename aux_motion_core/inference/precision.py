# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""Lower precision made in the ONNX graph: fp16 with the parts that need fp32 kept, int8 as Q/DQ nodes.

TensorRT's strongly typed networks take their precision from the graph. Needs `onnx`, int8 also onnxruntime's
quantization tools (extra `tensorrt-rtx` or `tensorrt`).
"""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from aux_motion_core.inference.artefact import Artefact, ArtefactError

PRECISIONS = ("fp32", "fp16", "int8")
#: Largest mean and largest single distance from fp32 that a lower precision may have, metres.
MEAN_M, MOST_M = 1e-3, 5e-3
#: The same of the scale, in percent of it.
SCALE_MEAN_PERCENT, SCALE_MOST_PERCENT = 1.0, 10.0
#: Fewest windows that scales of activations may come from, and that parity is told from.
MIN_WINDOWS = 32


def _onnx():
    try:
        import onnx
    except ImportError:
        raise ArtefactError(
            "fp16 and int8 are made with the package onnx, which is not installed: pip install onnx"
        ) from None
    return onnx


def trunk(graph) -> list:
    """The transformer's own nodes, in order: after the first LayerNormalization, before the last weights.

    What is left is measured in metres (the base motion before, the cosine basis and the sums after) or is a mask:
    fp16 has 1 mm steps from 1 m on.

    Args:
        graph: an onnx GraphProto, sorted topologically.
    """
    weights = {i.name for i in graph.initializer if len(i.dims) == 2}

    def is_linear(node) -> bool:
        return node.op_type == "MatMul" and node.input[1] in weights

    after: set[str] = set()
    started = []
    for node in graph.node:
        if node.op_type == "LayerNormalization" or after.intersection(node.input):
            after.update(node.output)
            started.append(node)
    before: set[str] = set()
    kept = []
    for node in reversed(started):
        if is_linear(node) or before.intersection(node.output):
            before.update(node.input)
            kept.append(node)
    kept.reverse()
    return kept


def to_fp16(model):
    """A copy of an onnx ModelProto whose `trunk` computes in fp16; inputs, outputs and all else stay fp32."""
    onnx = _onnx()
    fp16, fp32 = onnx.TensorProto.FLOAT16, onnx.TensorProto.FLOAT
    model = onnx.shape_inference.infer_shapes(model, data_prop=True)
    graph = model.graph
    floats = {v.name for v in (*graph.value_info, *graph.input, *graph.output) if v.type.tensor_type.elem_type == fp32}
    initial = {i.name: i for i in graph.initializer}
    inside = {node.name for node in trunk(graph)}
    halves: set[str] = set()  # tensors that exist as "<name>/fp16"
    widened: set[str] = set()
    nodes = []
    for node in graph.node:
        changed = onnx.NodeProto()
        changed.CopyFrom(node)
        for k, name in enumerate(node.input):
            if node.name not in inside:
                if name in halves and name not in floats:
                    if name not in widened:
                        nodes.append(onnx.helper.make_node("Cast", [f"{name}/fp16"], [name], f"{name}/widen", to=fp32))
                        widened.add(name)
                continue
            if name in initial:
                tensor = initial[name]
                if tensor.data_type != fp32:
                    continue
                if name not in halves:
                    value = onnx.numpy_helper.to_array(tensor).astype(np.float16)
                    graph.initializer.append(onnx.numpy_helper.from_array(value, f"{name}/fp16"))
            elif name in floats:
                if name not in halves:
                    nodes.append(onnx.helper.make_node("Cast", [name], [f"{name}/fp16"], f"{name}/narrow", to=fp16))
            elif name not in halves:
                continue
            halves.add(name)
            changed.input[k] = f"{name}/fp16"
        if node.name in inside:
            for k, name in enumerate(node.output):
                if name in floats:
                    changed.output[k] = f"{name}/fp16"
                    halves.add(name)
                    floats.discard(name)
        nodes.append(changed)
    used = {name for node in nodes for name in node.input}
    kept = [i for i in graph.initializer if i.name in used]
    del graph.node[:], graph.initializer[:], graph.value_info[:]
    graph.node.extend(nodes)
    graph.initializer.extend(kept)
    onnx.checker.check_model(model)
    return model


def spread_products(model):
    """A copy of an onnx ModelProto whose fp32 matrix products are elementwise products and sums.

    TensorRT for RTX multiplies no fp32 matrices on Turing (sm75). What `to_fp16` leaves in fp32 is small.
    """
    onnx = _onnx()
    model = onnx.shape_inference.infer_shapes(model, data_prop=True)
    graph = model.graph
    values = (*graph.value_info, *graph.input, *graph.output)
    floats = {v.name for v in values if v.type.tensor_type.elem_type == onnx.TensorProto.FLOAT}
    nodes = []

    def add(kind: str, inputs: list[str], output: str, axes: list[int] | None = None, **attributes) -> str:
        if axes is not None:
            graph.initializer.append(onnx.numpy_helper.from_array(np.array(axes, np.int64), f"{output}/axes"))
            inputs = [*inputs, f"{output}/axes"]
        nodes.append(onnx.helper.make_node(kind, inputs, [output], f"{output}/{kind}", **attributes))
        return output

    for node in graph.node:
        out = node.output[0]
        if node.op_type not in ("MatMul", "Einsum") or out not in floats:
            nodes.append(node)
            continue
        if node.op_type == "MatMul":  # (..., m, k, 1) times (..., 1, k, n), summed over k
            left = add("Unsqueeze", [node.input[0]], f"{out}/left", [-1])
            right = add("Unsqueeze", [node.input[1]], f"{out}/right", [-3])
            add("ReduceSum", [add("Mul", [left, right], f"{out}/product")], out, [-2], keepdims=0)
            continue
        terms, kept = onnx.helper.get_attribute_value(node.attribute[0]).decode().replace(" ", "").split("->")
        every = kept + "".join(sorted(set(terms) - {","} - set(kept)))
        parts = []
        for k, (name, term) in enumerate(zip(node.input, terms.split(","))):
            order = sorted(range(len(term)), key=[every.index(label) for label in term].__getitem__)
            moved = add("Transpose", [name], f"{out}/moved{k}", perm=order)
            absent = [axis for axis, label in enumerate(every) if label not in term]
            parts.append(add("Unsqueeze", [moved], f"{out}/part{k}", absent))
        product = add("Mul", parts, f"{out}/product")
        add("ReduceSum", [product], out, list(range(len(kept), len(every))), keepdims=0)
    del graph.node[:]
    graph.node.extend(nodes)
    onnx.checker.check_model(model)
    return model


def linear_nodes(graph) -> list[str]:
    """Names of the `trunk`'s products with weights."""
    weights = {i.name for i in graph.initializer if len(i.dims) == 2}
    return [n.name for n in trunk(graph) if n.op_type == "MatMul" and n.input[1] in weights]


class _Windows:
    """Feeds onnxruntime's calibration, a batch of windows at a time."""

    def __init__(self, values: np.ndarray, mask: np.ndarray) -> None:
        self._batches = iter(
            [
                {"positions": values[i : i + 16], "observed": mask[i : i + 16].astype(np.float32)}
                for i in range(0, len(values) - 15, 16)  # equal batches
            ]
        )

    def get_next(self) -> dict[str, np.ndarray] | None:
        return next(self._batches, None)


@contextmanager
def quiet_quantizer() -> Iterator[None]:
    """Without the quantizer's advice on models with convolutions, which goes to the root logger."""
    root = logging.getLogger()
    level = root.level
    root.setLevel(logging.ERROR)
    try:
        yield
    finally:
        root.setLevel(level)


def to_int8(model, values: np.ndarray, mask: np.ndarray):
    """A copy of an onnx ModelProto whose `trunk` multiplies by int8 weights between Q/DQ nodes.

    Scales are static, symmetric (as TensorRT asks), of weights one per column.

    Args:
        values: (N, history, joints, 3) float32 normalised windows, zero where not observed.
        mask: (N, history, joints) which are observed.
    """
    _onnx()
    from onnxruntime.quantization import (
        CalibrationDataReader,
        CalibrationMethod,
        QuantFormat,
        QuantType,
        quantize_static,
    )

    class Reader(_Windows, CalibrationDataReader):
        pass

    onnx = _onnx()
    linear = linear_nodes(model.graph)
    with quiet_quantizer(), tempfile.TemporaryDirectory() as folder:
        source, out = Path(folder) / "fp32.onnx", Path(folder) / "int8.onnx"
        onnx.save(model, source)
        quantize_static(
            source,
            out,
            Reader(np.ascontiguousarray(values, np.float32), mask),
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=["MatMul"],
            nodes_to_quantize=linear,
            per_channel=True,
            activation_type=QuantType.QInt8,
            weight_type=QuantType.QInt8,
            calibrate_method=CalibrationMethod.MinMax,
            extra_options={
                "ActivationSymmetric": True,
                "WeightSymmetric": True,
                "OpTypesToExcludeOutputQuantization": ["MatMul"],
            },
        )
        return onnx.load(out)


def parity(one: Sequence[np.ndarray | None], other: Sequence[np.ndarray | None]) -> dict[str, float | int]:
    """How far two runs' futures are apart over windows: mean and largest distance of a joint, millimetres.

    Where both have a scale, its mean and largest difference too, in percent of it.

    Args:
        one: what `Backend.infer` returns.
        other: the same from the other.
    """
    apart = np.linalg.norm(np.asarray(one[0], np.float64) - np.asarray(other[0], np.float64), axis=-1) * 1e3
    found: dict[str, float | int] = {
        "windows": len(apart),
        "mean_mm": round(float(apart.mean()), 4),
        "most_mm": round(float(apart.max()), 4),
    }
    if all(len(run) > 2 and run[2] is not None for run in (one, other)):
        scale, its = np.asarray(one[2], np.float64), np.asarray(other[2], np.float64)
        wider = np.abs(scale - its) / np.maximum(np.abs(scale), 1e-3) * 100
        found["scale_mean_percent"] = round(float(wider.mean()), 4)
        found["scale_most_percent"] = round(float(wider.max()), 4)
    return found


def close_enough(found: dict[str, float | int]) -> bool:
    """Whether `parity` allows the lower precision."""
    scale = found.get("scale_mean_percent", 0.0), found.get("scale_most_percent", 0.0)
    alike = found["mean_mm"] < MEAN_M * 1e3 and found["most_mm"] < MOST_M * 1e3
    return alike and scale[0] < SCALE_MEAN_PERCENT and scale[1] < SCALE_MOST_PERCENT


def check(precision: str) -> None:
    """Raise `ArtefactError` where no precision has that name."""
    if precision not in PRECISIONS:
        raise ArtefactError(f"no precision is called {precision!r}: choose {', '.join(PRECISIONS)}")


def make(
    artefact: Artefact, precision: str, windows: tuple[np.ndarray, np.ndarray] | None, fp32_products: bool = True
) -> bytes:
    """The artefact's graph in that precision.

    Args:
        precision: one of `PRECISIONS`.
        windows: normalised values and mask of real windows; int8 needs them.
        fp32_products: whether what runs it multiplies fp32 matrices; of fp16 only.

    Raises:
        ArtefactError: int8 without enough windows, a package is missing, or no precision has that name.
    """
    check(precision)
    if precision == "fp32":
        return artefact.onnx_file.read_bytes()
    model = _onnx().load(artefact.onnx_file)
    if precision == "fp16":
        half = to_fp16(model)
        return (half if fp32_products else spread_products(half)).SerializeToString()
    if windows is None or len(windows[0]) < MIN_WINDOWS:
        count = 0 if windows is None else len(windows[0])
        raise ArtefactError(
            f"int8 takes its scales from at least {MIN_WINDOWS} real windows, {count} came: give one, --data BAG"
        )
    return to_int8(model, *windows).SerializeToString()
