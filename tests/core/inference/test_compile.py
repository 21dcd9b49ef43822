# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""ONNX to engines: ahead-of-time builds, lower precision in the graph, and what is refused."""

from __future__ import annotations

import hashlib
import json
import shutil

import numpy as np
import pytest
from support.core_helpers import MODEL
from support.gpu_stand_in import Machine

from aux_motion.commands import compile as compile_command
from aux_motion_core.bounds.seal import sealed
from aux_motion_core.evaluation import windows
from aux_motion_core.inference import artefact, build, compile, engine, precision, tensorrt

onnx = pytest.importorskip("onnx", reason="lower precisions are made with onnx, which is not installed")
FP16 = onnx.TensorProto.FLOAT16


@pytest.fixture(scope="module")
def model():
    return artefact.load(MODEL)


@pytest.fixture(scope="module")
def sample_windows(model):
    return windows.bag_windows(windows.sample_bag(), model)


@pytest.mark.parametrize(("target", "lower"), [("sm89", "fp32"), ("sm120", "fp16"), ("sm75", "fp16")])
def test_an_engine_is_built_ahead_of_time_without_a_gpu(model, sample_windows, tmp_path, target, lower):
    pytest.importorskip("tensorrt_rtx_bindings", reason="tensorrt_rtx builds without a GPU; it is not installed")
    card = build.build(model, tmp_path / "out", target, lower, 16, sample_windows)
    plan = (tmp_path / "out" / engine.PLAN).read_bytes()
    shapes = {"future": [-1, 25, 20, 3], "recovered": [-1, 25, 20, 3], "scale": [-1, 25, 20, 3]}
    assert card.inputs == {"positions": [-1, 25, 20, 3], "observed": [-1, 25, 20]}
    assert card.outputs == {name: shapes[name] for name in model.output_names}
    assert all(name.encode() in plan for name in (*card.inputs, *card.outputs))
    assert (card.flavour, card.target, card.precision, card.gpu) == ("tensorrt_rtx", target, lower, None)
    assert card.settings["batch"] == [1, 4, 16] and card.onnx_sha256 == model.onnx_sha256
    assert card.plan_sha256 == hashlib.sha256(plan).hexdigest()
    assert (card.parity["cpu"] is None) == (lower == "fp32")
    assert engine.read_card(tmp_path / "out", MODEL) == card
    trt = engine.load_flavour("tensorrt_rtx")
    assert engine.read_plan(tmp_path / "out", model, trt, target) == (card, plan)
    left = {file.name for file in (tmp_path / "out").iterdir()}
    assert left == {engine.PLAN, engine.CARD}


def test_the_parser_must_see_the_tensors_that_the_artefact_names(model, tmp_path):
    pytest.importorskip("tensorrt_rtx_bindings", reason="tensorrt_rtx builds without a GPU; it is not installed")
    longer = {**model.outputs, "future": ["batch", 50, 20, 3]}
    with pytest.raises(engine.EngineError, match="expected outputs .*50, 20, 3.* sees .*25, 20, 3"):
        build.build(model.model_copy(update={"outputs": longer}), tmp_path, "sm89")
    assert not list(tmp_path.iterdir())


def test_a_graph_that_is_none_is_refused(model, tmp_path):
    pytest.importorskip("tensorrt_rtx_bindings", reason="tensorrt_rtx builds without a GPU; it is not installed")
    (tmp_path / "model.onnx").write_bytes(b"no graph")
    with pytest.raises(engine.EngineError, match="cannot read"):
        build.build(model.model_copy(update={"folder": tmp_path}), tmp_path / "out", "sm89")


def test_only_the_transformer_is_fp16(model):
    graph = precision.to_fp16(onnx.load(model.onnx_file)).graph
    halves = {i.name for i in graph.initializer if i.data_type == FP16}
    linear = [n for n in graph.node if n.op_type == "MatMul" and n.input[1] in halves]
    norms = [n for n in graph.node if n.op_type == "LayerNormalization"]
    layers = model.training["model_config"]["layers"]
    assert len(linear) == layers * 16 + 2  # four blocks of four, and two heads
    assert all(n.input[1] in halves for n in norms) and len(norms) == layers * 8 + 2
    assert not any(n.op_type == "Einsum" and halves.intersection(n.input) for n in graph.node)
    basis = next(i for i in graph.initializer if i.name == "basis")
    assert basis.data_type == onnx.TensorProto.FLOAT
    assert {v.type.tensor_type.elem_type for v in (*graph.input, *graph.output)} == {onnx.TensorProto.FLOAT}


def test_fp16_agrees_with_fp32_on_the_sample(model, sample_windows):
    found = build.graph_parity(model, precision.make(model, "fp16", None), sample_windows)
    assert found["windows"] > 300
    assert 0.0 < found["mean_mm"] < 1.0 and found["most_mm"] < 5.0, found


def test_fp16_agrees_with_fp32_on_validation_windows(model, data_dir):
    pytest.importorskip("torch", reason="the validation clips are read by training, which needs torch")
    from training.data import load_split
    from training.data.windows import cut

    steps = (model.history_steps, model.future_steps, model.dt_s)
    cuts = [w for w in (cut(clip, *steps, 0.5) for clip in load_split(data_dir, "validation")) if w is not None]
    from aux_motion_core.history.normalise import normalise

    past, mask = (np.concatenate([getattr(w, name) for w in cuts]) for name in ("past", "past_mask"))
    mask = mask & (np.random.default_rng(0).random(mask.shape) < np.linspace(0.0, 2.0, len(mask))[:, None, None])
    values = normalise(past, mask)[0].astype(np.float32)
    found = build.graph_parity(model, precision.make(model, "fp16", None), (values, mask))
    assert found["windows"] > 200
    assert found["mean_mm"] < 1.0 and found["most_mm"] < 5.0, found


def test_products_spread_for_turing_are_the_same_numbers(model, sample_windows):
    whole = onnx.load(model.onnx_file)
    spread = precision.spread_products(whole)
    assert not {"MatMul", "Einsum"} & {n.op_type for n in spread.graph.node}
    some = tuple(x[:20] for x in sample_windows)
    assert build.graph_parity(model, spread.SerializeToString(), some)["most_mm"] < 0.01


def test_turing_takes_fp16_only(model, tmp_path):
    pytest.importorskip("tensorrt_rtx_bindings", reason="tensorrt_rtx builds without a GPU; it is not installed")
    with pytest.raises(engine.EngineError, match="only fp16 matrices on sm75 .*: use --precision fp16"):
        build.build(model, tmp_path, "sm75")


def test_fp16_of_a_person_never_seen_is_finite(model):
    import onnxruntime as ort

    session = ort.InferenceSession(precision.make(model, "fp16", None))
    nobody = {"positions": np.zeros((2, 25, 20, 3), np.float32), "observed": np.zeros((2, 25, 20), np.float32)}
    assert all(np.isfinite(x).all() for x in session.run(None, nobody))


def test_int8_quantises_the_transformers_weights_per_column_and_symmetric(model, sample_windows):
    quantised = onnx.load_from_string(precision.make(model, "int8", tuple(x[:64] for x in sample_windows)))
    initial = {i.name: onnx.numpy_helper.to_array(i) for i in quantised.graph.initializer}
    scaled = [n for n in quantised.graph.node if n.op_type == "DequantizeLinear" and n.input[0] in initial]
    weights = [n for n in scaled if initial[n.input[0]].ndim == 2]
    assert len(weights) == model.training["model_config"]["layers"] * 16 + 2
    assert all(initial[n.input[0]].dtype == np.int8 and initial[n.input[1]].ndim == 1 for n in weights)
    zero = [n.input[2] for n in quantised.graph.node if n.op_type in ("QuantizeLinear", "DequantizeLinear")]
    assert all(not initial[name].any() for name in zero)


def test_a_lower_precision_too_far_from_fp32_is_refused_with_numbers(model):
    near = {"windows": 100, "mean_mm": 0.99, "most_mm": 4.9}
    build.refuse_unlike("fp16", near, model)
    for far in ({**near, "mean_mm": 1.2}, {**near, "most_mm": 5.1}, {**near, "scale_most_percent": 10.1}):
        with pytest.raises(engine.EngineError, match="allowed are 1 and 5 mm: use fp16 or fp32"):
            build.refuse_unlike("int8", far, model)


def test_int8_without_real_windows_is_refused(model):
    with pytest.raises(artefact.ArtefactError, match="at least 32 real windows, 0 came"):
        precision.make(model, "int8", None)


def test_a_bag_gives_the_windows_that_the_node_would_cut(model, sample_windows):
    values, mask = sample_windows
    assert values.shape[1:] == (25, 20, 3) and values.dtype == np.float32 and mask.shape == values.shape[:3]
    assert not values[~mask].any() and mask.any((1, 2)).all()
    assert np.abs(values).max() < 3.0  # about the person's root


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--target", "sm90"], "Hopper (sm90) and Jetson (sm87) need tensorrt"),
        (["--target", "gtx"], "expected --target current or sm75"),
        (["--target", "sm89", "--precision", "fp8"], "no precision is called 'fp8'"),
        (["--target", "sm89", "--precision", "int8", "--data", "nothing.mcap"], "no such bag: nothing.mcap"),
    ],
)
def test_the_command_refuses_in_one_line(tmp_path, capsys, arguments, said):
    from aux_motion import cli

    with pytest.raises(SystemExit) as ended:
        cli.guard(lambda: cli.app(["compile", str(MODEL), "--out", str(tmp_path / "x"), *arguments]), "aux-motion")
    error = capsys.readouterr().err
    assert ended.value.code == 2 and said in error and error.count("\n") == 1
    assert not (tmp_path / "x").exists()


def test_a_lower_precision_that_cannot_be_compared_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(compile_command, "sample_bag", lambda: None)
    with pytest.raises(engine.EngineError, match="fp16 is compared with fp32 on a recording.*--data BAG"):
        list(compile_command.run(MODEL, tmp_path, "sm89", "fp16", 16))
    assert not any(tmp_path.iterdir())


def test_the_present_gpu_as_target_needs_one(tmp_path):
    gpu = compile.open_gpu()
    if gpu is not None:
        gpu.close()
        pytest.skip("a GPU is here")
    with pytest.raises(engine.EngineError, match="--target current needs a GPU and PyCUDA here: name a"):
        list(compile_command.run(MODEL, tmp_path, "current", "fp32", 16))


def test_the_command_writes_an_engine_and_says_what_it_did(tmp_path):
    pytest.importorskip("tensorrt_rtx_bindings", reason="tensorrt_rtx builds without a GPU; it is not installed")
    lines = list(compile_command.run(MODEL, tmp_path, "sm86", "fp16", 8))
    assert lines[0].startswith("tensorrt_rtx 1.7") and "for sm86 (fp16, up to 8 people)" in lines[0]
    assert any("mean 0." in line and "mm" in line for line in lines)
    card = json.loads((tmp_path / engine.CARD).read_text())
    assert card["max_people"] == 8 and card["parity"]["cpu"]["windows"] > 300


def test_parity_looks_at_the_scale_where_both_have_one():
    future, recovered = np.zeros((4, 25, 20, 3), np.float32), np.zeros((4, 10, 20, 3), np.float32)
    scale = np.full_like(future, 0.05)
    wider = scale + np.float32(0.004)
    assert "scale_mean_percent" not in precision.parity((future, recovered, None), (future, recovered, scale))
    found = precision.parity((future, recovered, scale), [future, recovered, wider])
    assert found["mean_mm"] == 0.0 and found["scale_mean_percent"] == pytest.approx(8.0, abs=1e-3)
    assert not precision.close_enough(found)


@pytest.fixture
def other_model(model, tmp_path):
    """The shipped model with a scale where it has none, and without where it has one."""
    folder = tmp_path / "other"
    shutil.copytree(MODEL, folder)
    graph, card = onnx.load(model.onnx_file), json.loads((folder / "model.json").read_text())
    outputs = graph.graph.output
    if "scale" in card["outputs"]:
        del card["outputs"]["scale"]
        outputs.remove(next(o for o in outputs if o.name == "scale"))
    else:
        card["outputs"]["scale"] = card["outputs"]["future"]
        graph.graph.node.append(onnx.helper.make_node("Abs", ["future"], ["scale"], "scale"))
        scale = outputs.add()
        scale.CopyFrom(next(o for o in outputs if o.name == "future"))
        scale.name = "scale"
    onnx.save(graph, folder / "model.onnx")
    card["calibration"] = None  # it is of the shipped file
    card["onnx_sha256"] = hashlib.sha256((folder / "model.onnx").read_bytes()).hexdigest()
    (folder / "model.json").write_text(json.dumps(sealed(card)))
    return artefact.load(folder)


def test_models_with_and_without_a_scale_are_built_and_run(other_model, sample_windows, tmp_path):
    machine = Machine(other_model.folder)
    machine.max_people = 2
    machine.engine(tmp_path / "engine")
    stand_in = {"open_gpu": machine.open_gpu, "load_flavour": machine.load_flavour}
    backend = tensorrt.make("tensorrt_rtx", other_model, engine_dir=tmp_path / "engine", strict=True, **stand_in)
    batch = tuple(x[:5] for x in sample_windows)  # split: three runs
    for got, expected in zip(backend.infer(*batch), machine.model.infer(*batch), strict=True):
        assert (got is None) == (expected is None)
        assert got is None or np.allclose(got, expected, atol=1e-6)
    backend.close()
    assert (machine.model.infer(*batch)[2] is None) == ("scale" not in other_model.outputs)
    lower = build.graph_parity(other_model, precision.make(other_model, "fp16", None), sample_windows)
    assert ("scale_most_percent" in lower) == ("scale" in other_model.outputs) and precision.close_enough(lower)
    pytest.importorskip("tensorrt_rtx_bindings", reason="tensorrt_rtx builds without a GPU; it is not installed")
    card = build.build(other_model, tmp_path / "out", "sm89")
    assert set(card.outputs) == set(other_model.outputs)
