# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""Training further on one's own recordings: parts do not overlap, gaps do not teach, the export is a model."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training tests need torch (extra 'training')")

from typer.testing import CliRunner  # noqa: E402

from aux_motion_core.bags.writer import BagWriter  # noqa: E402
from aux_motion_core.history.normalise import REST_POSE  # noqa: E402
from aux_motion_core.inference import artefact  # noqa: E402
from aux_motion_core.inference.onnx import OnnxBackend  # noqa: E402
from aux_motion_core.skeleton import INDEX, N_JOINTS, JointStatus  # noqa: E402
from aux_motion_core.types import SkeletonFrame  # noqa: E402
from training import finetune as module  # noqa: E402
from training.checkpoint import CHECKPOINT_VERSION, load_weights  # noqa: E402
from training.config import TrainConfig  # noqa: E402
from training.data import Clip  # noqa: E402
from training.data.clip import make_clip  # noqa: E402
from training.export import export  # noqa: E402
from training.finetune import OwnWindows, Tuning, choose_mix, finetune, mixed, own_loss, split, tune  # noqa: E402
from training.infer import torch_infer  # noqa: E402
from training.model import AuxMotionModel, ModelConfig  # noqa: E402
from training.seal import seal  # noqa: E402

CONFIG = ModelConfig(width=16, heads=2, layers=1)
MISSING = [INDEX["spine"], INDEX["left_foot"], INDEX["right_foot"]]


def motion(t: np.ndarray, seed: int) -> np.ndarray:
    """Somebody who stands and swings the arms, (frames, 20, 3); feet and spine are never seen."""
    rng = np.random.default_rng(seed)
    swing = np.zeros((1, N_JOINTS, 3))
    swing[:, 5:12] = 0.15 * rng.normal(size=(1, 7, 3))
    x = REST_POSE + [0.0, 0.0, 0.95] + swing * np.sin(2 * np.pi * 0.7 * t)[:, None, None]
    x[:, MISSING] = np.nan
    return x


def clip(seed: int, seconds: float) -> Clip:
    t = np.arange(0.0, seconds, 1 / 30)
    return make_clip(f"own/{seed}", f"own/{seed}", "swing", 30.0, motion(t, seed), "mine", "made", stamps_s=t)


@pytest.fixture(scope="module")
def base(tmp_path_factory) -> Path:
    """A tiny model, exported."""
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("base")
    model = AuxMotionModel(CONFIG)
    state = {
        "version": CHECKPOINT_VERSION, "step": 1, "history": [], "minutes": 0.0, "device": "cpu",
        "config": TrainConfig(name="tiny", model=model.config).model_dump(mode="json"),
        "average": model.state_dict(),
    }  # fmt: skip
    torch.save(state, folder / "checkpoint.pt")
    export(folder / "checkpoint.pt", folder / "tiny", [clip(0, 6.0), clip(1, 6.0)], "1.0.0")
    return folder / "tiny"


def record(folder: Path) -> Path:
    """A bag of two people and an npz file."""
    folder.mkdir()
    with BagWriter(folder / "cell.mcap") as bag:
        for k in range(900):
            people = np.stack([motion(np.array([k / 30]), s)[0] + [2.0 * s, 0, 0] for s in (3, 4)])
            status = np.where(np.isfinite(people).all(-1), JointStatus.OBSERVED, JointStatus.MISSING).astype(np.uint8)
            stamp_ns = round((5.0 + k / 30) * 1e9)
            frame = SkeletonFrame(stamp_ns, "map", ("a", "b"), people, status, (status > 0).astype(np.float32))
            bag.write("/skeletons", frame, stamp_ns)
    t = np.arange(0.0, 12.0, 0.04)
    np.savez(folder / "bench.npz", positions=motion(t, 5), stamps_s=t, licence="our own")
    return folder


def run(*args: object) -> tuple[int, str]:
    import typer

    app = typer.Typer()
    app.command()(module.main)
    result = CliRunner().invoke(app, [str(a) for a in args])
    return result.exit_code, result.output if result.exit_code == 0 else str(result.exception)


@pytest.mark.parametrize("seconds", [4.0, 8.0, 30.0])
def test_parts_share_no_frame(seconds):
    clips = [clip(k, seconds) for k in range(8)]
    parts = split([x for c in clips for x in (clip(99, 1.0), c)], CONFIG)  # one without a window takes no turn
    assert all(parts[p] for p in parts), "each part has recordings"
    for whole in clips:
        spans = sorted(
            (part.stamps_s[0], part.stamps_s[-1]) for ps in parts.values() for part in ps if part.name == whole.name
        )
        assert all(a[1] + 0.4 - 0.05 <= b[0] or i + 2 == len(spans) and a[1] < b[0] for i, (a, b) in
                   enumerate(zip(spans, spans[1:])))  # fmt: skip
        assert sum(b - a for a, b in spans) > 0.5 * seconds
    judged = {c.name for c in parts["held_out"]}
    assert len(judged) == (2 if seconds == 4.0 else 8)
    if seconds == 4.0:  # a recording is one part as a whole
        assert not judged & {c.name for p in ("train", "choose") for c in parts[p]}


def test_windows_know_what_is_missing():
    own = OwnWindows([clip(0, 6.0), clip(1, 6.0)], CONFIG)
    w, m, names = own.draw(np.random.default_rng(0), 64)
    assert w.shape == (64, 35, 20, 3) and m.shape == (64, 35, 20) and set(names) == {"own/0", "own/1"}
    assert not m[..., MISSING].any() and np.delete(m, MISSING, 2).all() and not w[~m].any()
    assert np.abs(w[:, 9, 0]).max() < 1e-6, "the present pelvis is the origin"
    left = w[:, 9, INDEX["left_hip"]] - w[:, 9, INDEX["right_hip"]]
    assert (left[:, 1] > 3 * np.abs(left[:, 0])).all(), "and the hips face +x, mirrored or not"


def test_what_is_not_known_teaches_nothing():
    """Other values where nothing is known leave loss and gradient as they are; where it is known they do not."""
    own, rng = OwnWindows([clip(0, 6.0)], CONFIG), np.random.default_rng(0)
    w, m, _ = own.draw(rng, 12)
    torch.manual_seed(0)
    model = AuxMotionModel(CONFIG).train()

    def outcome(windows):
        model.zero_grad()
        batch = module.make_batch(np.random.default_rng(1), windows, m, 10)
        loss = own_loss(model, {k: torch.as_tensor(v) for k, v in batch.items()})
        loss.mean().backward()
        return torch.cat([loss.detach(), *(p.grad.flatten() for p in model.parameters() if p.grad is not None)])

    before = outcome(w)
    assert torch.isfinite(before).all()
    assert torch.equal(before, outcome(np.where(m[..., None], w, 7.0)))
    changed = w.copy()
    changed[:, 20, INDEX["head"]] += 0.1
    assert not torch.allclose(before, outcome(changed))


def test_training_further_lowers_the_error_on_such_motion(base):
    old, _ = load_weights(base)
    clips = [clip(k, 20.0) for k in range(3)]
    parts = split(clips, old.config)
    new = tune(old, OwnWindows(parts["train"], old.config), None, Tuning(steps=60, batch=24, learning_rate=2e-3))
    held_out = module.windows_of(parts["held_out"], old.config)
    errors = [
        module.mean_over_clips(module.errors_mm(torch_infer(m), held_out, 0.04)) for m in (old, new)
    ]  # fmt: skip
    assert (errors[1][2:] < 0.92 * errors[0][2:]).all()
    mix, scores = choose_mix(old, new, module.windows_of(parts["choose"], old.config))
    assert mix > 0.5 and scores[str(mix)] == min(scores.values()) < scores["0.0"]
    assert choose_mix(old, new, {}) == (module.BLIND_MIX, {})


def test_gains_have_an_interval_over_recordings():
    before = {f"c{k}": [100.0] * 5 for k in range(40)}
    after = {f"c{k}": [90.0, 90.0 + 20 * (k % 2), 110.0, np.nan if k else 50.0, np.nan] for k in range(40)}
    g = module.gains(before, after)
    assert g["0.2"] == {"gain": 10.0, "low": 10.0, "high": 10.0} and g["0.6"]["high"] == -10.0
    assert g["0.4"]["low"] < 0.0 == g["0.4"]["gain"] < g["0.4"]["high"]
    assert g["0.8"] == {"gain": 50.0} and "1.0" not in g


def test_means_leave_out_what_nobody_saw():
    mean = module.mean_over_clips({"a": [1.0, np.nan, np.nan], "b": [3.0, 5.0, np.nan]})
    assert module.plain(mean) == [2.0, 5.0, None]
    report = {"errors_mm": {"held": {"before": [1.0, None, 2.0, 3.0, 4.0]}}, "gain_percent": {"0.2": {"gain": 1.0}}}
    assert "1.0        -" in module.table(report) and "+1.0 % (one recording: no interval)" in module.table(report)


def test_mixes_lie_between_old_and_new(base):
    old, new = load_weights(base)[0], load_weights(base)[0]
    with torch.no_grad():
        for p in new.parameters():
            p.add_(1.0)
    for share in (0.0, 0.25, 1.0):
        for p, q in zip(mixed(old, new, share).parameters(), old.parameters()):
            assert torch.allclose(p, q + share, atol=1e-6)


def test_bags_to_model(tmp_path, base):
    bags = record(tmp_path / "bags")
    code, said = run("--model", base, "--bags", bags, "--out", tmp_path / "mine", "--steps", 12, "--version", "2.0.0")
    assert code == 0 and "before" in said and "after against before" in said and "zero_velocity" in said
    loaded = artefact.load(tmp_path / "mine")
    assert (loaded.name, loaded.version) == ("mine", "2.0.0")
    assert loaded.training["finetuned_from"]["onnx_sha256"] == artefact.load(base).onnx_sha256
    said = loaded.training
    assert "our own" in {s["licence"] for s in said["sources"]} and "our own" in said["licence"]
    assert artefact.load(base).training["data"] == "not recorded" and "not recorded" in said["data"]
    assert "CMU" not in said["data"] and said["split"].endswith("then all but the last 25% of own recordings")
    report = json.loads((tmp_path / "mine" / "finetune.json").read_text())
    assert sorted(report["recordings"]) == ["own/bench", "own/cell/a", "own/cell/b"]
    rows = report["errors_mm"]["held-out parts, mm after"]
    # the figures of the table are those of the exported file
    parts = split([clip_ for s in module.dataset("folder").find(bags, module.Options())
                   for clip_ in module.dataset("folder").load(s)], CONFIG)  # fmt: skip
    windows = module.windows_of(parts["held_out"], CONFIG)
    again = module.mean_over_clips(module.errors_mm(OnnxBackend(loaded).infer, windows, 0.04))
    assert np.allclose(rows["after"], again, atol=0.006) and rows["before"] != rows["after"]
    # and it can be trained further again
    assert load_weights(tmp_path / "mine")[0].config == load_weights(base)[0].config


def test_first_data_are_mixed_in(tmp_path, base, monkeypatch):
    """With --data the model also sees what it was first trained on, and the table says what became of it."""
    first = [clip(k, 8.0) for k in (10, 11)]
    for c in first:
        c.mask[:] = True
    asked = []
    monkeypatch.setattr(module, "load_split", lambda data, name: asked.append(name) or first)
    monkeypatch.setattr(module, "export", lambda checkpoint, out, clips, version: shutil.copytree(base, out))
    report = finetune(base, record(tmp_path / "bags"), tmp_path / "mine", Path("somewhere"), tuning=Tuning(4, 12))
    assert asked == ["train", "validation"]
    assert list(report["errors_mm"]) == ["held-out parts, mm after", "first data's validation split, mm after"]


@pytest.mark.filterwarnings("ignore:invalid value")
def test_a_loss_that_is_no_number_names_the_recording(base):
    old, _ = load_weights(base)
    own = OwnWindows([clip(0, 6.0), clip(1, 6.0)], old.config)
    rows = own.starts[np.array(own.names) == "own/1"]
    own.values[rows.min() :, INDEX["head"]] = np.inf
    with pytest.raises(FloatingPointError, match="step 0: the loss is nan, from own/1: look for wild values"):
        tune(old, own, None, Tuning(steps=2, batch=24))


def edit(model: Path, old: str, new: str) -> None:
    (model / "model.json").write_text((model / "model.json").read_text().replace(old, new))
    seal(model / "model.json")


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda m: (m / "weights.safetensors").unlink(), "expected weights.safetensors .* export the model"),
        (lambda m: (m / "weights.safetensors").write_bytes(b"x" * 100), "weights.safetensors: does not fit model.json"),
        (lambda m: shutil.rmtree(m), "no model.json in "),
        (
            lambda m: edit(m, '"width": 16', '"width": 32'),
            "weights.safetensors: does not fit model.json",
        ),
        (
            lambda m: edit(m, '"schema_version": 1', '"schema_version": 9'),
            "expected schema_version 1, got 9",
        ),
    ],
)  # fmt: skip
def test_models_that_cannot_be_trained_further(tmp_path, base, spoil, says):
    model = Path(shutil.copytree(base, tmp_path / "model"))
    spoil(model)
    (tmp_path / "bags").mkdir()
    code, said = run("--model", model, "--bags", tmp_path / "bags", "--out", tmp_path / "mine")
    assert code == 1 and said.startswith("training.finetune: ") and "\n" not in said
    assert re.search(says, said), said


def test_recordings_that_cannot_be_used(tmp_path, base):
    bags = tmp_path / "bags"
    args = ("--model", base, "--bags", bags, "--out", tmp_path / "mine")
    assert "no such folder; name the one with bags or npz files with --bags" in run(*args)[1]
    bags.mkdir()
    assert "holds nothing of the kind; expected bags" in run(*args)[1]
    t = np.arange(0.0, 3.0, 0.04)
    np.savez(bags / "a.npz", positions=motion(t, 0), stamps_s=t)
    code, said = run(*args)
    assert code == 1 and "nothing can be held out to judge by: expected somebody for 5.6 s" in said
    np.savez(bags / "a.npz", positions=1000 * motion(t, 0), stamps_s=t)
    assert "a.npz: expected metres" in run(*args)[1]
    assert "name another --out" in run("--model", base, "--bags", bags, "--out", base)[1]
    assert not (tmp_path / "mine").exists()


def test_a_place_that_cannot_be_written_is_said_before_training(tmp_path, base, monkeypatch):
    bags = tmp_path / "bags"
    bags.mkdir()
    t = np.arange(0.0, 12.0, 0.04)
    np.savez(bags / "a.npz", positions=motion(t, 0), stamps_s=t)
    (tmp_path / "file").write_text("")
    monkeypatch.setattr(module, "tune", lambda *a: pytest.fail("trained first"))
    code, said = run("--model", base, "--bags", bags, "--out", tmp_path / "file" / "mine")
    assert code == 1 and "file: cannot be written to: File exists" in said and "\n" not in said
