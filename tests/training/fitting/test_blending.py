# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""Blend and scale follow what networks say of recordings that they never saw."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training tests need torch (extra 'training')")

from support.train_helpers import clip  # noqa: E402

from aux_motion_core.history.normalise import REST_POSE  # noqa: E402
from aux_motion_core.inference import (  # noqa: E402
    artefact,  # noqa: E402
    precision,  # noqa: E402
)
from aux_motion_core.inference.onnx import OnnxBackend  # noqa: E402
from training import export, train  # noqa: E402
from training.checkpoint import as_checkpoint  # noqa: E402
from training.fitting import blending, out_of_fold  # noqa: E402
from training.fitting.blending import Predictions  # noqa: E402
from training.model import AuxMotionModel, Blend, ModelConfig  # noqa: E402

SIZES = ModelConfig(width=16, heads=2, layers=1, blend=8, rest_pose=REST_POSE.tolist())
CONFIG = train.TrainConfig(name="tiny", steps=2, batch=12, validate_every=2, warmup_steps=1, model=SIZES)
GROUPS = (("made/0",), ("made/1",), ("made/2",))
CLIPS = [clip(k) for k in range(3)]


@pytest.fixture(scope="module")
def exported(tmp_path_factory) -> tuple[Path, Path, float]:
    """A network with a blend: its checkpoint, its artefact, by how many metres ONNX and torch differ."""
    folder = tmp_path_factory.mktemp("exported")
    checkpoint = train.train(CONFIG, CLIPS[:2], CLIPS[2:], folder / "run")
    return checkpoint, folder / "model", export.export(checkpoint, folder / "model", CLIPS, "1.2.3")


@pytest.fixture(scope="module")
def plain_graph(tmp_path_factory) -> Path:
    """The graph of a network without a blend."""
    path = tmp_path_factory.mktemp("plain") / "plain.onnx"
    export.write_onnx(AuxMotionModel(replace(SIZES, blend=0)), path)
    return path


@pytest.fixture
def model() -> AuxMotionModel:
    torch.manual_seed(0)
    model = AuxMotionModel(SIZES)
    for p in model.parameters():  # fresh heads predict nothing
        p.data += 0.02 * torch.randn_like(p)
    return model.eval()


def window(seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    rng = torch.Generator().manual_seed(seed)
    x = torch.randn(4, 1, 20, 3, generator=rng) + 0.02 * torch.randn(4, 10, 20, 3, generator=rng).cumsum(1)
    seen = (torch.rand(4, 10, 20, generator=rng) < 0.6).float()
    seen[0] = 0.0  # nobody was seen
    seen[1, :, 3] = 0.0
    return x, seen


def predictions(n: int, sigma: float = 0.05, seed: int = 0) -> Predictions:
    """A network that is far off; people whose noisy joints stay where they are, on average; Laplace errors."""
    rng = np.random.default_rng(seed)
    as_float = lambda x: torch.as_tensor(x, dtype=torch.float32)  # noqa: E731
    mean = rng.normal(size=(n, 20, 1, 3))
    x, y, z = np.eye(3)  # no combination of the others is the truth
    poses = np.concatenate([mean + 0.3 * x, mean, mean + 0.3 * y], 2)
    truth = mean[:, :, 0][:, None] + rng.laplace(0.0, sigma / 2**0.5, (n, 25, 20, 3))
    return Predictions(
        as_float(rng.normal(size=(n, 20, Blend.FEATURES))), as_float(poses), as_float(truth + 0.5 * z),
        as_float(truth + 0.5 * z), as_float(truth), torch.ones(n, 25, 20),
    )  # fmt: skip


def test_what_was_not_observed_reaches_neither_mean_nor_scale(model):
    x, seen = window()
    future, _, scale = model(x, seen)
    other = model(torch.where(seen[..., None] > 0, x, torch.full_like(x, 7.0)), seen)
    assert torch.equal(future, other[0]) and torch.equal(scale, other[2])
    assert torch.isfinite(future).all() and torch.isfinite(scale).all() and (scale > 0).all()
    assert future.shape == scale.shape == (4, 25, 20, 3)


def test_each_expert_is_what_its_name_says():
    blend, p = Blend(SIZES), predictions(2)
    last, mean, smooth = (p.poses[:, None, :, k].expand_as(p.truth) for k in range(3))
    expected = (p.network, p.network + smooth - last, last, mean, smooth, p.damped)
    for k, (name, value) in enumerate(zip(Blend.EXPERTS, expected, strict=True)):
        alone = torch.zeros(2, 20, 25, len(Blend.EXPERTS))
        alone[..., k] = 1.0
        assert torch.allclose(blend.combine(alone, p.poses, p.network, p.damped), value, atol=1e-5), name


def test_weights_are_a_convex_combination_and_a_fresh_one_trusts_the_network():
    weights, _ = Blend(SIZES).coefficients(torch.randn(3, 20, Blend.FEATURES))
    assert torch.allclose(weights.sum(-1), torch.ones(3, 20, 25)) and (weights >= 0).all()
    assert (weights.argmax(-1) == 0).all()


def test_who_is_better_than_the_network_is_believed_and_the_scale_is_the_errors():
    model = AuxMotionModel(SIZES)
    blend = blending.fit([predictions(60), predictions(60, seed=1)], model, width=8, steps=200)
    other = predictions(60, seed=2)
    gain = blending.gains(blend, [other])["1.0"]
    assert gain["blend_mm"] < 0.25 * gain["network_mm"]
    assert 0.9 < gain["sigma"] < 1.1
    with torch.no_grad():
        scale = blending.apply(blend, other)[1].exp()
    assert 0.045 < scale.median() < 0.055


def test_joints_that_were_not_seen_later_are_not_learned_from():
    p = predictions(40)
    wrong = replace(p, seen=p.seen.clone(), truth=p.truth.clone())
    wrong.seen[:, :, 5], wrong.truth[:, :, 5] = 0.0, 1e3
    blend = blending.fit([wrong], AuxMotionModel(SIZES), width=8, steps=5)
    assert all(torch.isfinite(w).all() and w.abs().max() < 10 for w in blend.parameters())
    assert blending.gains(blend, [wrong])["1.0"]["network_mm"] < 2e3


def test_more_trust_goes_to_both_of_the_networks_experts_and_leaves_the_scale():
    features = predictions(3).features
    blend = blending.fit([predictions(4)], AuxMotionModel(SIZES), width=8, steps=3)
    with torch.no_grad():
        both = (blend, blending.trusting(blend, (1.0, 3.0)))
        (weights, scale), (more, same) = (b.coefficients(features) for b in both)
    odds = [w[..., :2].sum(-1) / w[..., 2:].sum(-1) for w in (weights, more)]
    growth = (odds[1] / odds[0]).log()
    assert torch.allclose(growth[..., 0], torch.tensor(1.0), atol=1e-3)
    assert torch.allclose(growth[..., -1], torch.tensor(3.0), atol=1e-3)
    assert torch.equal(scale, same)


def test_an_export_with_a_blend_has_a_scale_that_agrees_with_torch(exported, plain_graph):
    _, folder, worst = exported
    assert worst <= export.PARITY_M
    loaded = artefact.load(folder)
    assert loaded.output_names == ("future", "recovered", "scale")
    values, mask = np.zeros((2, 10, 20, 3), np.float32), np.ones((2, 10, 20), bool)
    scale = OnnxBackend(loaded).infer(values, mask)[2]
    assert scale.shape == (2, 25, 20, 3) and (scale > 0).all()
    # what lower precision may touch ends before the blend
    onnx = pytest.importorskip("onnx")
    with_blend = precision.trunk(onnx.load(loaded.onnx_file).graph)
    assert len(with_blend) == len(precision.trunk(onnx.load(plain_graph).graph))


def test_training_further_leaves_the_blend(tmp_path, exported):
    checkpoint, folder, _ = exported
    other = CONFIG.model_copy(update={"seed": 1})
    again = train.train(other, CLIPS[:2], CLIPS[2:], tmp_path / "more", start_from=folder)
    was, now = (torch.load(p, weights_only=True)["average"] for p in (checkpoint, again))
    assert all(torch.equal(was[n], now[n]) for n in was if n.startswith("blend."))
    assert not torch.equal(was["encode.weight"], now["encode.weight"])
    assert as_checkpoint(folder)["config"]["model"]["blend"] == 8


def test_every_fold_gets_a_blend_that_its_own_clips_did_not_fit(tmp_path, monkeypatch, exported, plain_graph):
    monkeypatch.setattr(out_of_fold, "FOLDS", GROUPS)
    monkeypatch.setattr(blending, "FOLDS", GROUPS)
    monkeypatch.setattr(out_of_fold, "PREDICTED", ("train",))
    for module in (blending, out_of_fold):
        monkeypatch.setattr(module, "load_split", lambda data, name: CLIPS if name == "train" else [clip(9)])
    monkeypatch.setattr(blending, "tracker_clips", lambda data: [clip(8)])
    graphs = {False: plain_graph, True: exported[1] / "model.onnx"}
    monkeypatch.setattr(blending, "write_onnx", lambda n, path: shutil.copyfile(graphs[n.blend is not None], path))
    monkeypatch.setattr(blending, "latencies", lambda files, rounds: {n: f.stat().st_size for n, f in files.items()})
    monkeypatch.setattr(blending, "TRUST", ((0.0, 0.0), (1.0, 1.0)))
    plain = CONFIG.model_copy(update={"model": replace(SIZES, blend=0)})
    for k in range(3):
        train.train(plain, [c for c in CLIPS if c.group != f"made/{k}"], [], tmp_path / f"fold_{k}")
    fitted = []
    fit = blending.fit
    monkeypatch.setattr(blending, "fit", lambda p, *a: (fitted.append([id(x) for x in p]), fit(p, *a))[1])
    blending.main(
        tmp_path / "fold_0" / "checkpoint.pt", tmp_path, tmp_path, tmp_path / "out.pt", tmp_path / "model" / "folds",
        252, 2, 8, True, tmp_path / "report.json",
    )  # fmt: skip
    everything = set(fitted[3])
    assert [len(f) for f in fitted] == [2, 2, 2, 3]
    assert len({frozenset(everything - set(f)) for f in fitted[:3]}) == 3
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["latency_ms"]["network"] < report["latency_ms"]["with blend and scale"]
    assert set(report["against_best_baseline_percent"]) == {"made/9", "made/8"}
    assert report["held_out"] == [list(g) for g in GROUPS] and tuple(report["trust"]) in blending.TRUST
    assert set(report["validation"]) == {"clean", "missing_40pct", "tracker_noise"}
    assert report["tracker"]["clean"]["0.4"]["network_mm"] > 0 and len(report["folds"]) == 3
    state = torch.load(tmp_path / "out.pt", weights_only=True)
    assert state["config"]["model"]["blend"] == 8 and "blend.embedding" in state["average"]
    found = list(out_of_fold.folds(tmp_path / "model", tmp_path))
    assert [(f.index, [c.group for c in f.clips]) for f in found] == [(k, [f"made/{k}"]) for k in range(3)]
    x, seen = window()
    assert found[1].model(x, seen)[2].shape == (4, 25, 20, 3)


def test_a_fold_keeps_its_answers_and_a_damaged_or_missing_one_is_named(tmp_path, model):
    path = out_of_fold.save_fold(model, tmp_path, 0)
    x, seen = window()
    for a, b in zip(model(x, seen), out_of_fold.load_fold(tmp_path, 0)(x, seen)):
        assert (a - b).abs().max() < 0.02  # half precision
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(ValueError, match=r"fold_0.safetensors: expected a fold's network, .*training.fitting.blending"):
        out_of_fold.load_fold(tmp_path, 0)
    with pytest.raises(ValueError, match="the network that lacks fold 1 is not there: .*training.fitting.out_of_fold"):
        out_of_fold.load_fold(tmp_path, 1)


def test_a_real_trackers_recordings_are_at_hand_for_choosing(data_dir):
    clips = blending.tracker_clips(data_dir)
    assert len(clips) == 7 and 40 < sum(c.duration_s for c in clips) < 60


def test_every_training_clip_is_in_a_fold(data_dir):
    clips = out_of_fold.load_split(data_dir, "train")
    folds = [out_of_fold.fold_of(c) for c in clips]
    assert set(folds) == {0, 1, 2}
    with pytest.raises(ValueError, match="is in no fold"):
        out_of_fold.fold_of(CLIPS[0])
