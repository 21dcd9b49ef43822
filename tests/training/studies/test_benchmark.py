# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""The papers' protocols, on the real CMU files and on made files in the layouts of the others."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

pytest.importorskip("typer", reason="training tests need the extra 'training'")
torch = pytest.importorskip("torch", reason="training tests need torch (extra 'training')")

import typer  # noqa: E402

from training.data.h36m import ACTIONS  # noqa: E402
from training.studies import benchmark, benchmark_compare  # noqa: E402
from training.studies.benchmark import evaluate, gliding  # noqa: E402
from training.studies.benchmark_data import HISTORY, PROTOCOLS, Sequence, load_sequences, windows  # noqa: E402
from training.studies.benchmark_networks import (  # noqa: E402
    MIRROR,
    BenchmarkConfig,
    as_predictor,
    load_checkpoint,
    make_network,
    mirrored_joints,
    write_checkpoint,
)
from training.studies.benchmark_train import Batches, BenchmarkRun, train  # noqa: E402

MODEL = Path(__file__).resolve().parents[3] / "models" / "benchmark_cmu"
SMALL = {"width": 8, "layers": 1, "batch": 16, "save_every": 2}
APP = typer.Typer()
APP.command()(benchmark.main)


def said(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(APP, list(arguments))
    return result.exit_code, result.output


@pytest.fixture(scope="module")
def cmu_test() -> list[Sequence]:
    data = Path(__file__).resolve().parents[4] / "shared" / "data"
    if not data.is_dir():
        pytest.skip("the recordings are not here (../shared/data)")
    return load_sequences("cmu", data, "test")


def test_zero_velocity_is_the_published_one(cmu_test) -> None:
    result = evaluate(cmu_test, PROTOCOLS["cmu"], gliding(25, 0.0))
    assert result["frames"] == [1, 3, 7, 9, 13, 24]
    assert result["average_mm"] == [22.65, 43.26, 80.12, 96.12, 122.97, 163.66]
    assert result["actions_missing"] == ["basketball_signal", "directing_traffic"]


def test_positions_and_joints_are_the_papers(cmu_test, data_dir) -> None:
    golden = json.loads((data_dir / "golden_cmu_positions.json").read_text())
    checked = 0
    for frame in golden["frames"]:
        split, _, name = frame["file"].removesuffix(".txt").split("/")
        mine = next((s for s in cmu_test if s.name.endswith(f"/{name}")), None)
        if split == "test" and mine is not None and frame["row"] % 2 == 0:
            want = np.array(frame["positions_benchmark_mm"])
            assert np.allclose(mine.positions[frame["row"] // 2], want, atol=0.01)
            checked += 1
    assert checked
    skeleton = json.loads((data_dir / "skeletons.json").read_text())["cmu38"]
    p = PROTOCOLS["cmu"]
    assert list(p.predicted) == skeleton["benchmark_joints_predicted"]
    assert {str(k): v for k, v in p.copies.items()} == skeleton["benchmark_copies"]


def test_the_mean_over_all_joints_is_the_weighted_one(cmu_test) -> None:
    """The papers put the copies beside the predicted joints and average over all 38."""
    p, rng = PROTOCOLS["cmu"], np.random.default_rng(0)
    sequence = cmu_test[0]
    off = rng.normal(0, 30, (25, len(p.predicted), 3))

    def predict(past: np.ndarray) -> np.ndarray:
        return past[:, -1:] + off

    truth = sequence.positions[HISTORY : HISTORY + 25]
    whole = truth.copy()
    whole[:, list(p.predicted)] = sequence.positions[HISTORY - 1, list(p.predicted)] + off
    for copy, of in p.copies.items():
        whole[:, copy] = whole[:, of]
    want = np.linalg.norm(whole - truth, axis=-1).mean(1)
    assert benchmark.errors(sequence, p, predict)[0] == pytest.approx(want, abs=0.01)


def test_constant_velocity_is_right_where_motion_is_steady() -> None:
    p = PROTOCOLS["3dpw"]
    walk = np.arange(50.0)[:, None, None] * np.ones((1, 24, 3))
    steady = Sequence("a", "all", walk)
    assert evaluate([steady], p, gliding(30, np.inf))["average_mm"] == pytest.approx([0.0] * 5, abs=1e-9)
    zero = evaluate([steady], p, gliding(30, 0.0))["average_mm"]
    assert zero == pytest.approx([round(3**0.5 * (f + 1) * 23 / 24, 2) for f in p.frames])


def h36m_folder(tmp_path: Path, data_dir: Path, rows: int = 90) -> Path:
    """Files of the real layout: rows of 99 numbers; joints turn at even rows' pace, odd rows are nonsense."""
    rng = np.random.default_rng(1)
    for subject in ("S1", "S5"):
        (tmp_path / subject).mkdir()
        for action in ACTIONS:
            table = np.zeros((rows, 99))
            table[:, :6] = rng.normal(0, 1, (rows, 6)) * 100
            table[:, 6:] = rng.normal(0, 0.3, 93) * np.arange(rows)[:, None] / rows
            table[1::2] = 3.0
            np.savetxt(tmp_path / subject / f"{action}_1.txt", table, fmt="%.6f", delimiter=",")
    (tmp_path / "skeletons.json").write_bytes((data_dir / "skeletons.json").read_bytes())
    return tmp_path


def test_h36m_protocol(tmp_path, data_dir) -> None:
    folder, p = h36m_folder(tmp_path, data_dir), PROTOCOLS["h36m"]
    sequences = load_sequences("h36m", folder, "test")
    assert [s.action for s in sequences] == list(ACTIONS) and {s.name.split("/")[0] for s in sequences} == {"S5"}
    one = sequences[0].positions
    assert one.shape == (45, 32, 3) and not one[:, 0].any()
    # the joints that the papers copy do lie on their originals, and the four others never move
    for copy, of in p.copies.items():
        assert np.allclose(one[:, copy], one[:, of], atol=0.01), (copy, of)
    assert np.ptp(one[:, [0, 1, 6, 11]], axis=0).max() < 0.01
    assert len(p.predicted) == 22 and p.weights().sum() == pytest.approx(28 / 32)
    # without the odd rows the motion is smooth
    assert evaluate(sequences, p, gliding(25, 0.0))["average_mm"][0] > 1.0
    result = evaluate(sequences, p, gliding(25, np.inf))
    assert list(result["per_action_mm"]) == list(ACTIONS) and result["average_mm"][0] < 2.0
    assert result["true_ms"] == result["papers_ms"]


def test_3dpw_protocol(tmp_path) -> None:
    folder, rng = tmp_path / "sequenceFiles" / "test", np.random.default_rng(2)
    folder.mkdir(parents=True)
    body = rng.normal(0, 0.3, (24, 3))
    path = np.cumsum(rng.normal(0, 0.1, (90, 1, 3)), 0)
    people = [(body + path).reshape(90, 72), (body + path).reshape(90, 72)[:79]]
    with open(folder / "street_00.pkl", "wb") as f:
        pickle.dump({"jointPositions": people}, f)
    sequences, p = load_sequences("3dpw", tmp_path, "test"), PROTOCOLS["3dpw"]
    # 40 of the 50 rows that longer methods see are not ours; then the second person is a row too short
    assert [len(windows(s, p)) for s in sequences] == [90 - 40 - 40 + 1, 0]
    assert evaluate(sequences, p, gliding(30, 0.0))["average_mm"] == pytest.approx([0.0] * 5, abs=1e-6)


@pytest.mark.parametrize("dataset", ["cmu", "h36m", "3dpw"])
def test_no_data_is_one_line(tmp_path, dataset) -> None:
    out = str(tmp_path / "a.json")
    code, text = said("--dataset", dataset, "--data", str(tmp_path / "none"), "--json", out)
    assert code == 2 and text.count("\n") == 1 and "expected" in text and str(tmp_path / "none") in text


def test_a_wrong_row_is_named(tmp_path, data_dir) -> None:
    folder = h36m_folder(tmp_path, data_dir, rows=3)
    file = folder / "S5" / "eating_1.txt"
    file.write_text(file.read_text() + "1,2,3\n")
    code, text = said("--dataset", "h36m", "--data", str(folder), "--json", str(tmp_path / "a.json"))
    assert code == 2 and f"{file}, line 4: expected 99 columns, got 3" in text
    file.unlink()
    code, text = said("--dataset", "h36m", "--data", str(folder), "--json", str(tmp_path / "a.json"))
    assert code == 2 and "expected files of 35 rows or more" in text


def wavy(count: int = 3) -> list[Sequence]:
    """Bodies that swing to and fro, each at its own pace."""
    rng = np.random.default_rng(3)
    t = np.arange(120)[:, None, None]
    pace, size, at = (rng.uniform(*r, (count, 1, 38, 3)) for r in ((0.1, 0.2), (20, 90), (-300, 300)))
    return [Sequence(f"a/a_{k}", "a", at[k] + size[k] * np.sin(pace[k] * t)) for k in range(count)]


@pytest.fixture
def made(monkeypatch) -> None:
    monkeypatch.setattr("training.studies.benchmark_train.load_sequences", lambda *_: wavy())


def test_training_learns(made, tmp_path) -> None:
    config = BenchmarkConfig(width=32, layers=1, batch=32, steps=300, save_every=300, ema=0.98)
    train(config, tmp_path, tmp_path / "out", refit=True)
    predict, about = load_checkpoint(tmp_path / "out", "cmu")
    still = evaluate(wavy(), PROTOCOLS["cmu"], gliding(25, 0.0))["average_mm"]
    got = evaluate(wavy(), PROTOCOLS["cmu"], predict)["average_mm"]
    assert all(g < 0.75 * s for g, s in zip(got[2:], still[2:]))
    assert about["training"]["steps"] == 300


@pytest.mark.parametrize("network", ["mixer", "transformer"])
def test_a_run_goes_on_to_the_bit(made, tmp_path, network) -> None:
    config = BenchmarkConfig(network=network, recovery=True, dropout=0.1, steps=3, mirror=True, reverse=0.5, **SMALL)
    whole = train(config, tmp_path, tmp_path / "whole", refit=False)
    assert train(config, tmp_path, tmp_path / "parts", refit=False, minutes=0)["steps"] == 1
    parts = train(config, tmp_path, tmp_path / "parts", refit=False)
    assert parts["steps"] == whole["steps"] == 3
    files = [(tmp_path / k / "weights.safetensors").read_bytes() for k in ("whole", "parts")]
    assert files[0] == files[1]
    with pytest.raises(ValueError, match="another recipe"):
        train(config.model_copy(update={"seed": 1}), tmp_path, tmp_path / "parts", refit=False)


def test_held_out_files_are_not_trained_on(made, tmp_path) -> None:
    about = train(BenchmarkConfig(steps=1, **SMALL), tmp_path, tmp_path / "a", refit=False)
    assert about["windows"] == 2 * (120 - 34) and about["judged_on"] == "held-out training files"
    about = train(BenchmarkConfig(steps=1, **SMALL), tmp_path, tmp_path / "b", refit=True)
    assert about["windows"] == 3 * (120 - 34) and (tmp_path / "b" / "best_on_test" / "benchmark.json").is_file()


def test_a_nan_loss_stops_before_it_does_harm(tmp_path) -> None:
    run = BenchmarkRun(BenchmarkConfig(**SMALL), tmp_path, refit=False)
    before = [p.clone() for p in run.model.parameters()]
    with pytest.raises(FloatingPointError, match="step 0: the loss is nan"):
        next(run.train(lambda step: torch.full((2, 35, 25, 3), float("nan")), torch.ones(25)))
    assert run.step == 0 and all(torch.equal(a, b) for a, b in zip(before, run.model.parameters()))


def test_augmentation_keeps_a_body_a_body(cmu_test) -> None:
    """The rest pose, row 0, is its own mirror image within the skeleton's asymmetry."""
    rest = Sequence("walking/walking_1", "walking", np.repeat(cmu_test[-2].positions[:1], 35, axis=0))
    plain = Batches([rest], BenchmarkConfig(batch=8)).draw(0)
    mirrored = Batches([rest], BenchmarkConfig(batch=8, mirror=True)).draw(0)
    moved = (mirrored - plain).abs().amax((1, 2, 3))
    assert 0 < moved.max() < 20.0 and moved.min() == 0.0
    turned = Batches([rest], BenchmarkConfig(batch=8, yaw_rad=1.0, reverse=0.5)).draw(0)
    assert torch.allclose(turned.norm(dim=-1), plain.norm(dim=-1), rtol=1e-4) and (turned - plain).abs().max() > 50


def test_averaging_with_the_mirror_image_knows_no_sides(cmu_test) -> None:
    config = BenchmarkConfig(average_mirrored=True, **SMALL)
    model = make_network(config)
    torch.nn.init.normal_(model.out.weight)
    past, twins = windows(cmu_test[0], PROTOCOLS["cmu"])[:2, :HISTORY], mirrored_joints(PROTOCOLS["cmu"])
    image = past[:, :, twins] * MIRROR
    both, one = (as_predictor(model, c) for c in (config, BenchmarkConfig(**SMALL)))
    assert np.allclose(both(image)[:, :, twins] * MIRROR, both(past), atol=1e-2)
    assert np.abs(one(image)[:, :, twins] * MIRROR - one(past)).max() > 1.0


def test_bad_checkpoints_are_refused(tmp_path) -> None:
    config = BenchmarkConfig(**SMALL)
    model = make_network(config)
    good, out = tmp_path / "good", str(tmp_path / "a.json")
    write_checkpoint(good, config, model.state_dict(), {"steps": 0})
    past = np.zeros((1, HISTORY, 25, 3))
    assert np.array_equal(load_checkpoint(good, "cmu")[0](past), as_predictor(model, config)(past))

    def refused(name: str, dataset: str = "cmu") -> str:
        code, text = said("--dataset", dataset, "--predictor", name, "--data", "none", "--json", out)
        assert code == 2 and text.count("\n") == 1
        return text

    assert "expected zero_velocity" in refused("magic")
    assert "is for --dataset cmu, not h36m" in refused(str(good), "h36m")
    about = json.loads((good / "benchmark.json").read_text())
    (good / "benchmark.json").write_text(json.dumps(about | {"version": 99}))
    assert "expected version 1, got 99" in refused(str(good))
    (good / "benchmark.json").write_text(json.dumps(about))
    (good / "weights.safetensors").write_bytes(b"damaged")
    assert "not a checkpoint" in refused(str(good))
    (good / "weights.safetensors").unlink()
    assert "no weights.safetensors" in refused(str(good))


def test_table_stands_beside_what_is_published(cmu_test, data_dir, tmp_path) -> None:
    out = tmp_path / "z.json"
    code, text = said("--data", str(data_dir), "--json", str(out))
    assert code == 0, text
    result, page = json.loads(out.read_text()), out.with_suffix(".md").read_text()
    for p in json.loads(benchmark.PUBLISHED.read_text())["cmu"]:
        assert p["name"] in page and p["source"] in page
    assert "80 ms are 33 ms" in result["time"] and result["time"] in page
    assert f"| {result['average_mm'][0]} |" in page


def test_variants_are_compared_with_the_base(made, tmp_path) -> None:
    file, out = tmp_path / "variants.yaml", tmp_path / "out.json"
    file.write_text("base: {width: 8, layers: 1, batch: 16, steps: 1}\nvariants: {mirrored: {mirror: true}}\n")
    variants = benchmark_compare.read_variants(file)
    assert list(variants) == ["base", "mirrored"] and variants["mirrored"].mirror and not variants["base"].mirror
    benchmark_compare.compare(variants, tmp_path, tmp_path / "runs", out)
    runs = json.loads(out.read_text())["runs"]
    gain = 100 * (1 - runs["mirrored"]["last"]["score_mm"] / runs["base"]["last"]["score_mm"])
    assert f"{gain:+.1f} %" in out.with_suffix(".md").read_text()
    assert runs["mirrored"]["windows"] == runs["base"]["windows"] == 2 * (120 - 34)
    file.write_text("base: {widht: 8}\nvariants: {}\n")
    with pytest.raises(ValueError, match="widht"):
        benchmark_compare.read_variants(file)


@pytest.mark.skipif(not MODEL.is_dir(), reason="no benchmark checkpoint is shipped (models/benchmark_cmu)")
def test_the_shipped_checkpoint_gives_the_documented_figures(cmu_test) -> None:
    assert sum(f.stat().st_size for f in MODEL.rglob("*") if f.is_file()) < 8e6
    documented = json.loads((MODEL.parents[1] / "docs/benchmarks/benchmark_cmu.json").read_text())
    result = evaluate(cmu_test, PROTOCOLS["cmu"], load_checkpoint(MODEL, "cmu")[0])
    assert result["average_mm"] == pytest.approx(documented["average_mm"], abs=0.02)
    assert result["five_actions_mm"] == pytest.approx(documented["five_actions_mm"], abs=0.02)
