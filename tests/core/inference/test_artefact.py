# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""An artefact that does not fit is refused in one line."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
import threading

import numpy as np
import onnx
import pytest
from support.core_helpers import MODEL

from aux_motion_core.bounds.seal import FIELD, sealed
from aux_motion_core.bounds.separation_bound import SeparationBoundError, load_separation_bound
from aux_motion_core.inference import artefact
from aux_motion_core.inference.artefact import ArtefactError
from aux_motion_core.inference.factory import make_backend
from aux_motion_core.inference.onnx import OnnxBackend

NOTHING = np.zeros((1, 25, 20, 3), np.float32), np.ones((1, 25, 20), bool)


@pytest.fixture
def folder(tmp_path):
    copy = tmp_path / "model"
    shutil.copytree(MODEL, copy)
    return copy


def _change(folder, **fields):
    card = folder / "model.json"
    content = json.loads(card.read_text())
    content.update(fields)
    card.write_text(json.dumps(sealed(content)))


def _refused(folder, match):
    with pytest.raises(ArtefactError, match=match) as error:
        OnnxBackend(artefact.load(folder))
    assert "\n" not in str(error.value)
    with pytest.raises(ArtefactError) as later:  # by the first answer at the latest
        make_backend("onnx", folder, beside=True).infer(*NOTHING)
    assert not any(t.name == "loading" for t in threading.enumerate())
    assert str(later.value) == str(error.value)


def test_the_shipped_artefact_loads(folder):
    loaded = artefact.load(folder)
    backend = OnnxBackend(loaded)
    assert (backend.history_steps, backend.future_steps, backend.dt_s) == (25, 25, 0.04)


def test_another_onnx_file_is_refused(folder):
    data = bytearray((folder / "model.onnx").read_bytes())
    data[len(data) // 2] ^= 1
    (folder / "model.onnx").write_bytes(data)
    _refused(folder, "expected sha256 .* export or copy")


def test_another_schema_is_refused(folder):
    _change(folder, schema_version=99)
    _refused(folder, "expected schema_version 1, got 99")


def test_another_skeleton_is_refused(folder):
    names = json.loads((folder / "model.json").read_text())["joint_names"]
    _change(folder, joint_names=names[::-1])
    _refused(folder, "expected the 20 joints of body20")


def test_a_missing_field_is_named(folder):
    card = folder / "model.json"
    content = json.loads(card.read_text())
    del content["dt_s"]
    card.write_text(json.dumps(sealed(content)))
    _refused(folder, "dt_s")


@pytest.mark.parametrize("name", ["model.json", "model.onnx"])
def test_a_missing_file_is_named(folder, name):
    (folder / name).unlink()
    _refused(folder, f"no {name} in")


def test_a_broken_card_is_refused(folder):
    (folder / "model.json").write_text("{not json")
    _refused(folder, "cannot be read")


def test_a_file_that_is_no_onnx_is_refused(folder):
    import hashlib

    (folder / "model.onnx").write_bytes(b"no model")
    _change(folder, onnx_sha256=hashlib.sha256(b"no model").hexdigest(), calibration=None)
    _refused(folder, "onnxruntime .* cannot load it")


def test_wrong_shapes_are_refused(folder):
    inputs = json.loads((folder / "model.json").read_text())["inputs"]
    inputs["positions"][1] = 12
    _change(folder, inputs=inputs)
    _refused(folder, "positions: expected shape")


def test_a_scale_of_another_shape_is_refused(folder):
    outputs = json.loads((folder / "model.json").read_text())["outputs"]
    _change(folder, outputs={**outputs, "scale": ["batch", 25, 20]})
    _refused(folder, "scale: expected shape")


@pytest.mark.parametrize("people", [1, 2, 3, 7])
def test_threads_share_the_people_and_change_nothing(folder, people):
    loaded = artefact.load(folder)
    rng = np.random.default_rng(0)
    values = rng.normal(0.0, 0.3, (people, 25, 20, 3)).astype(np.float32)
    mask = rng.random((people, 25, 20)) < 0.8
    values[~mask] = 0.0
    alone, shared = OnnxBackend(loaded), OnnxBackend(loaded, threads=3)
    names = [t.name for t in threading.enumerate()]
    assert sum(n.startswith("inference") for n in names) == 2, "they are there before the first person"
    for _ in range(2):
        for a, b in zip(alone.infer(values, mask), shared.infer(values, mask), strict=True):
            np.testing.assert_allclose(a, b, atol=1e-5)
        shared.close()
        assert not any(t.name.startswith("inference") for t in threading.enumerate())
        shared.open()
    shared.close()


@pytest.mark.parametrize("threads", [2, 5])
def test_any_number_of_people_is_shared(threads):
    loaded = artefact.load(MODEL)
    rng = np.random.default_rng(0)
    values = rng.normal(0.0, 0.3, (17, 25, 20, 3)).astype(np.float32)
    mask = rng.random((17, 25, 20)) < 0.8
    values[~mask] = 0.0
    alone, shared = OnnxBackend(loaded), OnnxBackend(loaded, threads)
    for people in range(18):
        for a, b in zip(alone.infer(values[:people], mask[:people]), shared.infer(values[:people], mask[:people])):
            assert a.shape == b.shape and a.dtype == b.dtype and len(a) == people
            np.testing.assert_allclose(a, b, atol=1e-5)
    shared.close()


@pytest.mark.parametrize("threads", [1, 3])
def test_a_model_that_is_loaded_beside_answers_the_same(folder, threads):
    loaded = artefact.load(folder)
    here, beside = OnnxBackend(loaded, threads), make_backend("onnx", folder, threads, beside=True)
    for _ in range(2):
        for a, b in zip(here.infer(*NOTHING), beside.infer(*NOTHING), strict=True):
            np.testing.assert_array_equal(a, b)
        beside.close()
        beside.open()
    beside.close()
    here.close()
    make_backend("onnx", folder, threads, beside=True).close()  # while it is loaded
    assert not any(t.name.startswith(("inference", "loading")) for t in threading.enumerate())


@pytest.mark.parametrize("after_s", [0.0, 0.02, 0.05, 0.1])
def test_a_process_that_ends_while_a_model_is_loaded_ends_as_it_was_told(after_s):
    code = (
        "import sys, time; from aux_motion_core.inference.factory import make_backend\n"
        f"make_backend('onnx', {str(MODEL)!r}, beside=True); time.sleep({after_s}); sys.exit(3)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (3, "")


def test_where_the_system_gives_no_thread_the_model_is_loaded_at_once(folder, monkeypatch):
    def start(thread):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", start)
    assert np.isfinite(make_backend("onnx", folder, beside=True).infer(*NOTHING)[0]).all()


def test_where_the_system_gives_too_few_threads_none_is_left(monkeypatch):
    loaded, begin, begun = artefact.load(MODEL), threading.Thread.start, []

    def start(thread):
        if len(begun) == 2:
            raise RuntimeError("can't start new thread")
        begun.append(thread)
        begin(thread)

    monkeypatch.setattr(threading.Thread, "start", start)
    with pytest.raises(ArtefactError, match="threads 6: the system gives fewer .*: ask for fewer"):
        OnnxBackend(loaded, threads=6)
    assert len(begun) == 2 and not any(thread.is_alive() for thread in begun)


def test_a_file_that_changed_while_the_backend_was_closed_is_refused(folder):
    backend = OnnxBackend(artefact.load(folder))
    backend.close()
    other = onnx.load(folder / "model.onnx")
    other.producer_name = "another"
    onnx.save(other, folder / "model.onnx")
    with pytest.raises(ArtefactError, match="expected sha256 .* export or copy"):
        backend.open()
    (folder / "model.onnx").unlink()
    with pytest.raises(ArtefactError, match="cannot be read .*: copy the artefact again"):
        backend.open()


def test_the_shipped_model_gives_a_scale_that_grows_with_the_horizon(folder):
    loaded = artefact.load(folder)
    assert loaded.output_names == ("future", "recovered", "scale")
    values, mask = np.zeros((1, 25, 20, 3), np.float32), np.ones((1, 25, 20), bool)
    scale = OnnxBackend(loaded).infer(values, mask)[2]
    assert scale.shape == (1, 25, 20, 3) and (scale > 0).all()
    assert (scale[0, -1].mean(-1) > scale[0, 0].mean(-1)).all()


def _edit(folder, change, name="model.json", seal=True):
    """Change a file of the artefact, and seal it as somebody who knows how would."""
    file = folder / name
    content = json.loads(file.read_text())
    change(content)
    file.write_text(json.dumps(sealed(content) if seal else content))


def _scale(content, factor):
    for group in content["calibration"]["joints"] + content["calibration"]["bodies"]:
        for rows in filter(None, group["factor"].values()):
            for row in rows:
                row[:] = [None if x is None else x * factor for x in row]


def test_a_table_that_was_changed_after_it_was_written_is_refused(folder):
    _edit(folder, lambda c: c["calibration"]["familiar"].update(threshold=2.0), seal=False)
    _refused(folder, "content_sha256 .* changed after it was written")
    table = json.loads((folder / "separation.json").read_text())
    _edit(folder, lambda c: c["factor"]["0.99"].__setitem__(0, 2.4), "separation.json", seal=False)
    with pytest.raises(SeparationBoundError, match="changed after it was written"):
        load_separation_bound(folder, table["onnx_sha256"])


def test_an_artefact_of_an_older_version_loads_with_one_line(folder, caplog):
    _edit(folder, lambda c: c.pop(FIELD), seal=False)
    artefact.load(folder)
    artefact.load(folder)
    lines = [r.getMessage() for r in caplog.records]
    assert len(lines) == 1 and "no content_sha256" in lines[0] and "training.seal" in lines[0]


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda c: _scale(c, 0.01), "a factor is .* no calibration gives that"),
        (lambda c: _scale(c, 0.0), "a factor is 0, expected at least 0.05"),
        (lambda c: c["calibration"].update(top_speed_mps=[0.0] * 20), "top_speed_mps: expected 20 speeds"),
        (lambda c: c["calibration"].update(top_speed_mps=[12.0] * 3), "top_speed_mps: expected 20 speeds"),
        (lambda c: c["calibration"].update(top_speed_mps=[float("nan")] * 20), "top_speed_mps: expected 20 speeds"),
        (lambda c: c["calibration"]["familiar"].update(spread=[float("nan")] * 6), "spread: expected 6 finite"),
        (lambda c: c["calibration"]["familiar"].update(spread=[0.0] * 6), "spread: expected numbers above 0"),
        (lambda c: c["calibration"]["familiar"].update(centre=[0.0] * 3), "centre: expected 6 finite"),
        (lambda c: c["calibration"]["familiar"].update(threshold=1e308), "threshold"),
        (lambda c: c["calibration"].update(speed_edge_mps=float("nan")), "speed_edge_mps"),
        (lambda c: c.update(dt_s=0.4), "expected 0.1 to 5 s"),
        (lambda c: c.update(dt_s=0.01), "the network was trained with 0.04"),
        (lambda c: c.update(name="x" * 10_000), "name"),
    ],
)
def test_numbers_that_no_calibration_gives_are_refused(folder, change, match):
    _edit(folder, change)
    _refused(folder, match)


@pytest.mark.parametrize("change", [
    lambda c: c.update(factor={k: [0.0] * 25 for k in c["factor"]}),
    lambda c: c["factor"].update({"0.99": [0.06] * 25}),
    lambda c: c.update(typical_scale_m=[0.0] * 25),
])  # fmt: skip
def test_separation_factors_that_no_calibration_gives_are_refused(folder, change):
    of = json.loads((folder / "separation.json").read_text())["onnx_sha256"]
    load_separation_bound(folder, of)
    _edit(folder, change, "separation.json")
    with pytest.raises(SeparationBoundError, match="expected at least"):
        load_separation_bound(folder, of)


def test_weights_outside_of_the_onnx_file_are_refused(folder):
    model = onnx.load(folder / "model.onnx")
    onnx.save(model, folder / "model.onnx", save_as_external_data=True, location="weights.bin", size_threshold=0)
    assert (folder / "weights.bin").is_file()
    _edit(folder, lambda c: c.update(
        onnx_sha256=hashlib.sha256((folder / "model.onnx").read_bytes()).hexdigest(), calibration=None
    ))  # fmt: skip
    _refused(folder, "weights in another file")
