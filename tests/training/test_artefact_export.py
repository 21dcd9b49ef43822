# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""Exports: ONNX agrees with torch, and model.json carries the terms of the data that the weights saw."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="training tests need torch (extra 'training')")

from support.train_helpers import CLIPS, tiny  # noqa: E402

from aux_motion_core.inference import artefact  # noqa: E402
from training import checkpoint, export, train  # noqa: E402

#: Recordings of one's own.
MINE = [replace(c, source="our own cell", licence="internal", action="lift") for c in CLIPS[:2]]


@dataclass(frozen=True)
class Exported:
    """A run, its artefact, and by how many metres ONNX and torch differ."""

    checkpoint: Path
    model: Path
    worst: float


@pytest.fixture(scope="module")
def exported(tmp_path_factory) -> Exported:
    """A run on `MINE`, exported."""
    folder = tmp_path_factory.mktemp("exported")
    path = train.train(tiny(), MINE, CLIPS[3:], folder / "run", split="prepared")
    return Exported(path, folder / "model", export.export(path, folder / "model", CLIPS, "1.2.3"))


@pytest.fixture
def same_graph(monkeypatch, exported) -> None:
    """Take the graph that is there, for checkpoints of the same weights; tracing takes long.

    An export of other weights fails: they are compared with torch.
    """
    graph = exported.model / "model.onnx"
    monkeypatch.setattr(export, "write_onnx", lambda model, path: shutil.copyfile(graph, path))


def test_an_export_agrees_with_torch_and_loads(exported):
    assert exported.worst <= export.PARITY_M
    loaded = artefact.load(exported.model)
    assert (loaded.name, loaded.version, loaded.training["steps"]) == ("tiny", "1.2.3", 6)
    assert str(exported.model.parent).encode() not in (exported.model / "model.onnx").read_bytes()


def test_an_export_that_disagrees_is_refused(tmp_path, monkeypatch, exported, same_graph):
    infer = export.OnnxBackend.infer
    off = lambda s, v, m: tuple(y if y is None else y + 1e-3 for y in infer(s, v, m))  # noqa: E731
    monkeypatch.setattr(export.OnnxBackend, "infer", off)
    with pytest.raises(ValueError, match="differ by 1.0.e-03 m"):
        export.export(exported.checkpoint, tmp_path / "model", CLIPS, "1.2.3")
    with pytest.raises(artefact.ArtefactError):
        artefact.load(tmp_path / "model")


def test_a_checkpoint_and_its_artefact_carry_the_terms_of_the_data(tmp_path, exported, same_graph):
    """Of all data that the weights saw: those of the run that it began from, too."""
    said = artefact.load(exported.model).training
    assert (said["data"], said["licence"], said["split"]) == ("our own cell", "internal", "prepared")
    assert list(said["classes_min"]) == ["lift"]
    cmu = [replace(c, source="CMU", licence="free") for c in CLIPS[:3]]
    stay = tiny(learning_rate=0.0)  # the weights are those that it begins with
    for start in (exported.checkpoint, exported.model):
        out = tmp_path / start.stem
        second = train.train(stay, cmu, CLIPS[3:], out / "run", start_from=start, split="train")
        export.export(second, out / "model", CLIPS, "1.0.0")
        said = artefact.load(out / "model").training
        assert said["data"] == "CMU; our own cell" and said["licence"] == "CMU: free; our own cell: internal"
        assert said["sources"] == [
            {"source": "CMU", "licence": "free"},
            {"source": "our own cell", "licence": "internal"},
        ]
        assert said["split"] == "prepared; then train" and set(said["classes_min"]) == {"lift", "walk"}


def test_a_checkpoint_of_before_terms_were_recorded_claims_none(tmp_path, exported, same_graph):
    state = torch.load(exported.checkpoint, weights_only=True)
    del state["data"]
    path = tmp_path / "checkpoint.pt"
    checkpoint.save_atomically(state, path)
    export.export(path, tmp_path / "model", CLIPS, "1.0.0")
    said = artefact.load(tmp_path / "model").training
    assert said["data"] == said["licence"] == said["split"] == "not recorded"
