# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""The training loop: it learns, and resumes to the bit."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training tests need torch (extra 'training')")

from support.train_helpers import CLIPS, clip, tiny  # noqa: E402

from aux_motion_core.skeleton import INDEX  # noqa: E402
from training import losses, monitor, train  # noqa: E402
from training.config import Arm  # noqa: E402
from training.data.corrupt import CorruptionConfig, corrupt_masked, corrupt_noised  # noqa: E402
from training.data.sampler import SamplerConfig, WindowSampler  # noqa: E402
from training.studies import bench_loop  # noqa: E402

ROOT = Path(__file__).resolve().parents[2]


def test_a_resumed_run_is_the_same_to_the_bit(tmp_path, monkeypatch):
    whole = train.train(tiny(), CLIPS[:3], CLIPS[3:], tmp_path / "whole")

    make_batch = train.make_batch

    def killed(sampler, c, step, *share):
        if step == 5:
            raise KeyboardInterrupt
        return make_batch(sampler, c, step, *share)

    monkeypatch.setattr(train, "make_batch", killed)
    with pytest.raises(KeyboardInterrupt):
        train.train(tiny(), CLIPS[:3], CLIPS[3:], tmp_path / "cut")
    monkeypatch.undo()
    assert torch.load(tmp_path / "cut" / "checkpoint.pt", weights_only=True)["step"] == 3
    resumed = train.train(tiny(), CLIPS[:3], CLIPS[3:], tmp_path / "cut")

    a, b = (torch.load(p, weights_only=True) for p in (whole, resumed))
    assert a["step"] == b["step"] == 6
    for part in ("model", "average"):
        assert all(torch.equal(a[part][k], b[part][k]) for k in a[part])
    assert a["history"] == b["history"]


def test_a_loss_that_is_no_number_stops_the_run_and_keeps_the_checkpoint(tmp_path, monkeypatch):
    make_batch = train.make_batch

    def spoiled(sampler, c, step, *share):
        batch = make_batch(sampler, c, step, *share)
        if step == 4:
            batch["clean"][:] = np.nan
        return batch

    monkeypatch.setattr(train, "make_batch", spoiled)
    with pytest.raises(FloatingPointError, match="step 4: the loss is nan of every sample"):
        train.train(tiny(), CLIPS[:3], CLIPS[3:], tmp_path)
    assert torch.load(tmp_path / "checkpoint.pt", weights_only=True)["step"] == 3


def test_a_loss_that_is_no_number_names_the_recording(tmp_path):
    wild = clip(7)
    wild.positions[:, INDEX["head"]] = 1e25
    c = tiny(sampler=SamplerConfig(definition_share=0.0, work_share=0.0))
    with pytest.raises(FloatingPointError, match="the loss is (nan|inf) of samples from made/7: look for wild values"):
        train.train(c, [CLIPS[0], wild, CLIPS[1]], CLIPS[3:], tmp_path)


def test_a_disk_without_room_for_the_log_ends_in_one_line(tmp_path, monkeypatch, capfd):
    """tensorboard's own writer would print the traceback of its thread."""
    path = train.train(tiny(), CLIPS[:3], CLIPS[3:], tmp_path)
    before, longer = path.read_bytes(), tiny()
    longer.steps = 9
    full = open("/dev/full", "ab", buffering=0)  # noqa: SIM115

    def opened(path, *args, **kwargs):
        return full if "tfevents" in str(path) else open(path, *args, **kwargs)

    monkeypatch.setattr(monitor, "open", opened, raising=False)
    with pytest.raises(OSError, match="tfevents.*: cannot be written: No space left.*saved before is whole") as e:
        train.train(longer, CLIPS[:3], CLIPS[3:], tmp_path)
    assert "\n" not in str(e.value) and "Traceback" not in capfd.readouterr().err
    assert path.read_bytes() == before


def test_tensorboard_reads_the_log(tmp_path):
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    train.train(tiny(), CLIPS[:3], CLIPS[3:], tmp_path)
    log = accumulator.EventAccumulator(str(tmp_path)).Reload()
    rows = json.loads((tmp_path / "metrics.json").read_text())
    got = [(x.step, x.value) for x in log.Scalars("validation_mm/clean@0.4")]
    assert got == [(r["step"], pytest.approx(r["clean@0.4"], rel=1e-6)) for r in rows]


@pytest.mark.parametrize(
    ("text", "said"),
    [("steps: many", "steps: .*'many'"), ("stepz: 3", "stepz: Extra"), ("a: [", "expected YAML"), ("arm: x", "arm: ")],
)
def test_a_wrong_configuration_is_one_line(tmp_path, text, said):
    path = tmp_path / "c.yaml"
    path.write_text(text)
    with pytest.raises(SystemExit, match=f"c.yaml: {said}") as e:
        train.main(path)
    assert "\n" not in str(e.value)


#: a run in a process of its own: `python -c RUN OUT`
RUN = """
import sys
from pathlib import Path
import test_train
test_train.run(Path(sys.argv[1]))
"""
#: the same, killed as soon as it draws a batch after its first checkpoint
KILLED = (
    """
import os, signal, sys
from pathlib import Path
from training import train
def killed(*args):
    if (Path(sys.argv[1]) / "checkpoint.pt").exists():
        os.kill(os.getpid(), signal.SIGKILL)
    return make_batch(*args)
make_batch, train.make_batch = train.make_batch, killed
"""
    + RUN
)


def run(out: Path) -> None:
    c = tiny(chunks=2)
    c.steps, c.model.dropout, c.validate_every = 30, 0.0, 10
    train.train(c, CLIPS[:3], [], out)


def start(arguments: list[str], out: Path) -> subprocess.Popen:
    path = os.pathsep.join(map(str, (ROOT, ROOT / "tests", ROOT / "tests" / "training")))
    return subprocess.Popen(
        [sys.executable, *arguments, str(out)],
        env={**os.environ, "PYTHONPATH": path},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The run that nothing happened to."""
    torch.set_num_threads(1)  # as in the processes, see conftest.py
    out = tmp_path_factory.mktemp("whole")
    run(out)
    return out


def finish(process: subprocess.Popen) -> None:
    error = process.communicate(timeout=200)[1]
    assert process.returncode == 0, error


def test_a_killed_process_goes_on_to_the_bit(tmp_path, whole):
    process = start(["-c", KILLED], tmp_path)
    error = process.communicate(timeout=200)[1]
    assert process.returncode == -signal.SIGKILL, error
    assert 0 < torch.load(tmp_path / "checkpoint.pt", weights_only=True)["step"] < 30, "killed on its way"
    finish(start(["-c", RUN], tmp_path))
    a, b = (torch.load(p / "checkpoint.pt", weights_only=True) for p in (whole, tmp_path))
    assert a["step"] == b["step"] == 30 and a["history"] == b["history"]
    for part in ("model", "average"):
        assert all(torch.equal(a[part][k], b[part][k]) for k in a[part])


def test_two_processes_train_as_one(tmp_path, whole):
    code = tmp_path / "run.py"
    code.write_text(RUN)
    finish(start(["-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2", str(code)], tmp_path))
    one, two = (json.loads((p / "metrics.json").read_text()) for p in (whole, tmp_path))
    assert [r["step"] for r in one] == [r["step"] for r in two] == [10, 20, 30]
    for a, b in zip(one, two):
        assert a == pytest.approx(b, rel=1e-3)
    assert one[0]["loss_predict"] > 0


def test_a_share_of_a_batch_that_does_not_divide_is_said(tmp_path):
    with pytest.raises(ValueError, match="chunks: expected a multiple of the 1 processes, at most a third"):
        train.train(tiny(chunks=5), CLIPS[:3], [], tmp_path)


def test_shares_of_a_batch_make_the_whole():
    c = tiny(chunks=2)
    sampler = WindowSampler(CLIPS, 10, 25, 0.04, c.sampler)
    whole = train.make_batch(sampler, c, 3)
    shares = [train.make_batch(sampler, c, 3, k, 2) for k in (0, 1)]
    for key, value in whole.items():
        parts = [s[key].reshape(3, 2, *value.shape[1:]) for s in shares]
        assert np.array_equal(value, np.concatenate(parts, 1).reshape(value.shape))


def gradients(c: train.TrainConfig, sampler) -> dict[str, torch.Tensor]:
    torch.manual_seed(0)
    model = train.AuxMotionModel(c.model).train()
    linear = [h.linear for h in model.predict_heads] + [model.recover_head[1], model.denoise_head[1]]
    for layer in linear:  # zero at the start: no gradient would pass
        torch.nn.init.normal_(layer.weight, std=0.1)
    batch = {k: torch.as_tensor(v) for k, v in train.make_batch(sampler, c, 0).items()}
    loss = losses.Tasks(model, c.arm)(batch)
    sum(loss[n] for n in ("predict", "mask", "denoise") if n in loss).backward()
    return {k: v.grad for k, v in model.named_parameters() if v.grad is not None and v.grad.abs().sum() > 0}


def test_the_arms_train_what_they_say():
    made = {}
    for arm in Arm.__args__:
        c = tiny(arm=arm)
        c.model.dropout = 0.0
        made[arm] = gradients(c, WindowSampler(CLIPS, 10, 25, 0.04, c.sampler))
    heads = {a: {k.split(".")[0] for k in g if k.startswith(("recover", "denoise"))} for a, g in made.items()}
    both = {"recover_head", "denoise_head"}
    assert heads == {
        "both": both, "clean": set(), "augment": set(), "mask": {"recover_head"}, "denoise": {"denoise_head"},
        "past_only": both, "detached": both,
    }  # fmt: skip
    trunk = {a: {k: v for k, v in g.items() if not k.startswith(("recover", "denoise"))} for a, g in made.items()}
    for key, value in trunk["augment"].items():  # detached: the trunk learns as if there were no such heads
        assert torch.allclose(value, trunk["detached"][key], rtol=1e-3, atol=1e-6), key
    assert not torch.allclose(trunk["both"]["encode.weight"], trunk["augment"]["encode.weight"], rtol=1e-2)
    assert not torch.allclose(trunk["both"]["encode.weight"], trunk["past_only"]["encode.weight"], rtol=1e-2)


def test_a_compiled_forward_pass_gives_the_same_losses_and_gradients():
    c = tiny()
    c.model.dropout, c.model.layers = 0.0, 1
    sampler = WindowSampler(CLIPS, 10, 25, 0.04, c.sampler)
    batch = {k: torch.as_tensor(v) for k, v in train.make_batch(sampler, c, 0).items()}
    made = []
    for compiled in (False, True):
        torch.manual_seed(0)
        tasks = losses.Tasks(train.AuxMotionModel(c.model).train())
        if compiled:
            tasks.compile(backend="aot_eager")  # captured and differentiated as ever, but no code is generated
        loss = tasks(batch)
        (loss["predict"] + loss["mask"] + loss["denoise"]).backward()
        made.append((loss, tasks.model.predict_heads[0].linear.weight.grad))
    (a, ga), (b, gb) = made
    assert all(a[k].item() == pytest.approx(b[k].item(), rel=1e-5) for k in a)
    assert torch.allclose(ga, gb, atol=1e-5) and ga.abs().sum() > 0


def test_bfloat16_leaves_positions_and_velocities_alone():
    c = tiny()
    c.model.dropout = 0.0
    sampler = WindowSampler(CLIPS, 10, 25, 0.04, c.sampler)
    batch = {k: torch.as_tensor(v) for k, v in train.make_batch(sampler, c, 0).items()}
    model = train.AuxMotionModel(c.model).train()
    exact = losses.Tasks(model)(batch)
    base = model.base_motion(batch["past"], batch["observed"])
    tasks = losses.Tasks(model, bf16_on="cpu")
    rounded = tasks(batch)
    with torch.autocast("cpu", torch.bfloat16):
        assert all(torch.equal(a, b) for a, b in zip(base, model.base_motion(batch["past"], batch["observed"])))
    for key in exact:
        assert rounded[key].dtype == torch.float32
        assert rounded[key].item() == pytest.approx(exact[key].item(), rel=0.02)


def test_training_lowers_the_loss():
    c = tiny()
    c.model.layers, c.batch = 1, 24
    sampler = WindowSampler(CLIPS, 10, 25, 0.04, c.sampler)
    torch.manual_seed(0)
    model = train.AuxMotionModel(c.model).train()
    optimiser = torch.optim.Adam(model.parameters(), lr=3e-3)
    batch = {k: torch.as_tensor(v) for k, v in train.make_batch(sampler, c, 0).items()}
    totals = []
    for _ in range(100):
        loss = losses.losses(model, batch)
        total = loss["predict"] + loss["mask"] + loss["denoise"]
        optimiser.zero_grad()
        total.backward()
        optimiser.step()
        totals.append(total.item())
    assert totals[-1] < 0.75 * totals[0]


def test_the_three_tasks_are_scored_on_what_they_are_about():
    c = tiny()
    sampler = WindowSampler(CLIPS, 10, 25, 0.04, c.sampler)
    batch = {k: torch.as_tensor(v) for k, v in train.make_batch(sampler, c, 0).items()}
    model = train.AuxMotionModel(c.model).train()
    third = len(batch["past"]) // 3
    assert batch["observed"][:third].all(), "prediction sees clean, whole input"
    assert not batch["observed"][third : 2 * third].all(), "masking lacks some"
    noise = (batch["past"] - batch["clean"][:, :10])[2 * third :] * batch["observed"][2 * third :, ..., None]
    assert noise.abs().max() > 1e-3, "denoising carries noise"
    assert torch.allclose(batch["past"][:third], batch["clean"][:third, :10])
    loss = losses.losses(model, batch)
    assert set(loss) >= {"predict", "mask", "denoise"} and all(torch.isfinite(v) for v in loss.values())
    loss["mask"].backward()
    assert model.recover_head[1].weight.grad.abs().sum() > 0
    assert model.denoise_head[1].weight.grad is None or model.denoise_head[1].weight.grad.abs().sum() == 0


def test_batches_depend_on_seed_and_step_alone():
    c = tiny()
    sampler = WindowSampler(CLIPS, 10, 25, 0.04, c.sampler)
    a, b, other = (train.make_batch(sampler, c, s) for s in (7, 7, 8))
    assert all(np.array_equal(a[k], b[k]) for k in a)
    assert not np.array_equal(a["past"], other["past"])


def test_windows_never_cross_a_fault_of_the_recording():
    bad = clip(9, 8.0)
    bad.positions[240:] += 50.0
    sampler = WindowSampler([bad], 10, 25, 0.04, SamplerConfig(drift_share=0.0, mixed_share=0.0))
    w = sampler.draw(np.random.default_rng(0), 200)
    assert np.linalg.norm(np.diff(w, axis=1), axis=-1).max() < 1.0


def test_windows_never_show_a_missing_joint():
    gap = clip(9, 8.0)
    gap.mask[200:210, 3] = False
    gap.positions[200:210, 3] = 0.0
    sampler = WindowSampler([gap], 10, 25, 0.04, SamplerConfig())
    assert len(sampler.names) == 2 and sampler.length_s.sum() == pytest.approx((199 + 269) / 60)


def test_a_data_set_without_a_split_is_cut_by_groups():
    clips = [replace(clip(k), group=f"g{k % 4}") for k in range(12)]
    training, validation = train.held_out(clips)
    assert len(training) == 9 and len(validation) == 3
    assert not {c.group for c in training} & {c.group for c in validation}
    with pytest.raises(ValueError, match="expected two recording groups or more"):
        train.held_out([clip(0)])


def test_training_on_a_prepared_folder(tmp_path):
    from training.data.shards import SCHEMA_VERSION, write_json, write_shard

    shards = []
    for k in range(3):
        content = write_shard(tmp_path / f"shard-{k}", [clip(k)], {})
        shards.append({"folder": f"shard-{k}", "frames": content["clips"][0]["frames"], "files": content["files"]})
    write_json(tmp_path / "manifest.json", {"schema_version": SCHEMA_VERSION, "shards": shards})
    path = tmp_path / "c.yaml"
    path.write_text("steps: 2\nbatch: 6\nmodel: {width: 16, heads: 2, layers: 1}\n")
    train.main(path, prepared=tmp_path, out=tmp_path / "run")
    state = torch.load(tmp_path / "run" / "checkpoint.pt", weights_only=True)
    assert state["step"] == 2 and state["data"]["split"].startswith("a prepared data set")
    drawn = np.array(state["config"]["model"]["rest_pose"])  # is not given: from windows, which begin at the root
    assert 0.3 < np.linalg.norm(drawn[INDEX["head"]]) < 1.0
    with pytest.raises(SystemExit, match="training.train: .*nothing"):
        train.main(path, prepared=tmp_path / "nothing", out=tmp_path / "run")


def test_the_loop_and_the_straightforward_one_have_the_same_losses():
    c = tiny()
    c.model.dropout = 0.0
    sampler = WindowSampler(CLIPS, 10, 25, 0.04, c.sampler)
    one, three = (k(sampler, c, torch.device("cpu")) for k in (bench_loop.OnePass, bench_loop.ThreePasses))
    for loop in (one, three):
        loop.turn(3)
    for (name, a), b in zip(one.model.named_parameters(), three.model.parameters()):
        assert torch.allclose(a, b, atol=2e-4), name
    report = bench_loop.bench(c, CLIPS, 1, 1)
    assert set(report["samples_per_s"]) == {"one_pass", "three_passes"}
    assert all(v > 0 for v in report["samples_per_s"].values())


def test_clips_that_are_too_short_are_said():
    with pytest.raises(ValueError, match="longer than 1.36 s"):
        WindowSampler([clip(0, 1.0)], 10, 25, 0.04, SamplerConfig())


def test_corruption_leaves_something_to_see():
    rng = np.random.default_rng(0)
    windows = rng.normal(size=(300, 10, 20, 3))
    for corrupt in (corrupt_masked, corrupt_noised):
        values, seen = corrupt(rng, windows, CorruptionConfig())
        assert np.isfinite(values).all() and seen.any((1, 2)).all()
    _, seen = corrupt_masked(rng, windows, CorruptionConfig(structured_share=0.0))
    assert 0.18 < seen.mean((1, 2)).min() and seen.mean((1, 2)).max() < 0.82


def test_gaps_come_as_the_resampling_leaves_them():
    rng = np.random.default_rng(0)
    windows = np.arange(10)[None, :, None, None] * np.ones((200, 1, 20, 3))
    c = CorruptionConfig(structured_share=0.0, masked_and_noised_share=0.0, interpolated_share=1.0)
    values, seen = corrupt_masked(rng, windows, c)
    assert np.allclose(values[seen], windows[seen]) and (values[~seen] == 0.0).all()
    plain = corrupt_masked(rng, windows, CorruptionConfig(structured_share=0.0))[1]
    assert seen.mean() > 1.3 * plain.mean()
    c = CorruptionConfig(mask_low=0.0, mask_high=0.0, structured_share=0.0, newest_gone_share=1.0)
    seen = corrupt_masked(rng, windows, c)[1]
    newest = seen[:, ::-1].argmax(1)
    assert (seen.sum(1) == 10 - newest).all()  # once seen, seen all the time before
    assert 0.3 < (newest > 0).mean() < 0.7


def test_a_run_can_start_from_another(tmp_path):
    first = train.train(tiny(), CLIPS[:3], CLIPS[3:], tmp_path / "first")
    second = train.train(tiny(seed=1), CLIPS[:3], CLIPS[3:], tmp_path / "second", start_from=first)
    was, now = (torch.load(p, weights_only=True) for p in (first, second))
    assert (now["step"], now["steps_before"], was["steps_before"]) == (6, 6, 0)
    far = train.train(tiny(seed=1), CLIPS[:3], CLIPS[3:], tmp_path / "far")
    other = torch.load(far, weights_only=True)["average"]
    name = "encode.weight"
    assert (now["average"][name] - was["average"][name]).norm() < 0.5 * (now["average"][name] - other[name]).norm()


def test_metrics_are_written_beside_the_checkpoint(tmp_path):
    train.train(tiny(), CLIPS[:3], CLIPS[3:], tmp_path)
    rows = json.loads((tmp_path / "metrics.json").read_text())
    assert [r["step"] for r in rows] == [3, 6] and rows[0]["clean@1.0"] > 0
    assert list(tmp_path.glob("events.*")), "tensorboard"
