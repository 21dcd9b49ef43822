# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""The study of the auxiliary tasks: its cells, what they are judged by, and its tables."""

from __future__ import annotations

import json

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training tests need torch (extra 'training')")

from support.train_helpers import CLIPS, clip  # noqa: E402

from training.batches import make_batch  # noqa: E402
from training.config import TrainConfig, read_config  # noqa: E402
from training.model import AuxMotionModel  # noqa: E402
from training.studies import auxiliary_tasks, auxiliary_tasks_design, auxiliary_tasks_judge, auxiliary_tasks_report  # noqa: E402
from training.studies.auxiliary_tasks_design import ARMS, Cell, StudyConfig  # noqa: E402
from training.studies.auxiliary_tasks_judge import Judge  # noqa: E402

SETTINGS = StudyConfig(
    steps=2,
    seeds=[0, 1],
    train=TrainConfig(batch=6, warmup_steps=1, model={"width": 8, "heads": 2, "layers": 2}),
)


@pytest.fixture(scope="module")
def judge() -> Judge:
    return Judge(CLIPS, SETTINGS.train, 0.6)


@pytest.fixture(scope="module")
def trained(tmp_path_factory, judge):
    """A folder with some of the cells: those of seed 0 but one, and the first arm of seed 1."""
    out = tmp_path_factory.mktemp("study")
    (out / "study.json").write_text(SETTINGS.model_dump_json())
    made = {}
    for cell in [Cell(a, 0) for a in ("clean", "augment", "both")] + [Cell("clean", 1), Cell("both", 1)]:
        made[cell] = auxiliary_tasks.run_cell(cell, SETTINGS, CLIPS, {auxiliary_tasks_design.JUDGED[0]: judge}, out)
        for judged in (made[cell]["judged"], made[cell]["interpolated"]):
            judged.update(
                dict.fromkeys(auxiliary_tasks_design.JUDGED, judged.get(auxiliary_tasks_design.JUDGED[0], {}))
            )
        (out / f"{cell.name}.json").write_text(json.dumps(made[cell]))
    return out, made


def test_the_shipped_settings_are_the_papers_corruptions():
    c = read_config(auxiliary_tasks.CONFIG, StudyConfig)
    assert c.seeds == [0, 1, 2]
    m = c.train.corruption
    assert (m.mask_low, m.mask_high, m.noisy_low, m.noisy_high) == (0.3, 0.7, 0.2, 0.6)
    assert m.structured_share == m.tracker_noise_share == m.masked_and_noised_share == m.noised_and_masked_share == 0


def test_cells_have_names_of_their_own_and_the_most_telling_come_first():
    cells = auxiliary_tasks_design.plan([0, 1, 2])
    assert len({c.name for c in cells}) == len(cells)
    assert [c.arm for c in cells[: len(ARMS)]] == list(ARMS) and {c.seed for c in cells[: len(ARMS)]} == {0}
    assert {c.seed for c in cells if c.data < 1} == {0, 1, 2}


def test_arms_are_equal_in_steps_or_in_forward_passes():
    c = StudyConfig(steps=600, train=SETTINGS.train)
    assert {auxiliary_tasks_design.settings(Cell(a, 0), c).steps for a in ARMS} == {600}
    passes = {
        a: auxiliary_tasks_design.settings(Cell(a, 0, equal_passes=True), c).steps
        * auxiliary_tasks_design.PASSES.get(a, 3)
        for a in ARMS
    }
    assert set(passes.values()) == {1800}


def test_a_cell_differs_from_the_others_in_what_it_names_alone():
    plain = auxiliary_tasks_design.settings(Cell("mask", 3), SETTINGS)
    other = auxiliary_tasks_design.settings(Cell("mask", 3, mask=0.9), SETTINGS)
    assert other.corruption.mask_low == other.corruption.mask_high == 0.9
    same = {"name", "corruption"}
    assert plain.model_dump(exclude=same) == other.model_dump(exclude=same) and plain.seed == 3
    assert SETTINGS.train.corruption.mask_low == 0.3, "the study's own settings stay as they are"


def test_larger_shares_of_the_data_hold_the_smaller_ones():
    clips = [clip(k) for k in range(8)]
    for k, c in enumerate(clips):
        c.action = "ab"[k % 2]
    names = [{c.name for c in auxiliary_tasks.portion(clips, share, 0)} for share in (0.25, 0.5, 1.0)]
    assert [len(n) for n in names] == [2, 4, 8] and names[0] < names[1] < names[2]
    assert {c.action for c in auxiliary_tasks.portion(clips, 0.25, 0)} == {"a", "b"}


def test_gaps_are_interpolated_between_what_is_seen():
    x = np.arange(5.0)[None, :, None, None] * np.ones((1, 5, 3, 3))
    mask = np.ones((1, 5, 3), bool)
    mask[0, :, 0] = [True, False, False, True, False]
    mask[0, :, 1] = [False, False, True, True, True]
    mask[0, :, 2] = False
    rest = np.full((3, 3), 7.0)
    y = auxiliary_tasks_judge.interpolate(np.where(mask[..., None], x, 99.0), mask, rest)
    assert np.allclose(y[0, :, 0, 0], [0, 1, 2, 3, 3])
    assert np.allclose(y[0, :, 1, 0], [2, 2, 2, 3, 4])
    assert np.allclose(y[0, :, 2], 7.0)


def test_conditions_are_what_they_say(judge):
    cases, whole = judge.cases, judge.w.past_mask
    for percent in range(10, 80, 10):
        assert 1 - cases[f"missing {percent} %"][1].mean() == pytest.approx(percent / 100, abs=0.03)
    assert (~cases["four joints missing"][1].any(1)).sum(-1).tolist() == [4] * len(whole)
    assert cases["40 % of frames missing"][1][:, -1].all()
    assert all(np.array_equal(past, judge.w.past) for name, (past, _) in cases.items() if not name.startswith("noise"))
    moved = cases["noise 50 mm on 80 %"][0] - judge.w.past
    hit = (moved != 0).any(-1)
    assert hit.mean() == pytest.approx(0.8, abs=0.03) and moved[hit].std() == pytest.approx(0.05, rel=0.05)


def test_clips_are_judged_each_by_its_own_windows(judge):
    class Still(torch.nn.Module):
        """Predicts the present pose; one joint is off by 0.1 m."""

        config = SETTINGS.train.model

        def forward_all(self, x, m):
            future = x[:, -1:].expand(-1, 25, -1, -1).clone()
            future[:, :, 0, 0] += 0.1
            return {"future": torch.stack([future, future]), "recovered": x, "denoised": x}

    w = judge.w
    judged = judge.judge(Still())["clean"]
    for k in range(len(judge.names)):
        mine = judge.of == k
        step = w.past[mine][:, -1:] - w.future[mine][:, judge.steps]
        error = np.linalg.norm(step, axis=-1)
        expected = 1000 * error[..., 1:].sum((0, 2)) / error[0].size * len(judge.steps) / mine.sum()
        got = np.array(judged["all"][k])
        assert np.all(got >= expected - 0.01) and np.all(got <= expected + 1000 * (error[..., 0].mean(0) + 0.1) / 20)
    assert judged["unseen"][0] == [None] * len(auxiliary_tasks_design.HORIZONS_S)


def test_cosines_of_gradients(judge):
    from training.data.sampler import WindowSampler

    torch.manual_seed(0)
    model = AuxMotionModel(SETTINGS.train.model).train()
    sampler = WindowSampler(CLIPS, 10, 25, 0.04, SETTINGS.train.sampler)
    batches = [{k: torch.as_tensor(v) for k, v in make_batch(sampler, SETTINGS.train, 0).items()}]
    for name in ("past", "observed", "clean"):  # three times the same samples: the tasks pull one way
        third = batches[0][name][:2]
        batches[0][name] = torch.cat([third, third, third])
    cosines = auxiliary_tasks_judge.gradient_cosines(model, batches)
    assert cosines["predict~mask"] == pytest.approx(1.0, abs=1e-3)
    assert all(-1.001 <= v <= 1.001 for v in cosines.values())
    assert all(p.grad is None for p in model.parameters())


def test_a_cell_holds_what_the_tables_need(trained):
    _, made = trained
    both, clean = made[Cell("both", 0)], made[Cell("clean", 0)]
    assert both["forward_passes"] == 6 and clean["forward_passes"] == 2
    assert (
        clean["interpolated"][auxiliary_tasks_design.JUDGED[0]]["leg missing"]
        and not both["interpolated"][auxiliary_tasks_design.JUDGED[0]]
    )
    row = both["judged"]["new_subject"]
    assert len(row["clean"]["all"]) == len(CLIPS) and len(row["clean"]["layers"]) == 2
    assert row["missing 40 %"]["recovered"][0][0] > 0 and row["noise 20 mm on 50 %"]["denoised"][0][0] > 0
    assert "predict~mask" in both["history"][-1] and "predict~mask" not in clean["history"][-1]


def test_the_runner_goes_on_with_what_is_missing(tmp_path, monkeypatch):
    ran = []
    monkeypatch.setattr(auxiliary_tasks, "load_split", lambda data, name: CLIPS)
    monkeypatch.setattr(auxiliary_tasks, "run_cell", lambda cell, *_: ran.append(cell) or {"cell": cell.name})
    few = [Cell("clean", 0), Cell("both", 0), Cell("mask", 0)]
    monkeypatch.setattr(auxiliary_tasks, "plan", lambda seeds: few)
    auxiliary_tasks.run(SETTINGS, tmp_path, tmp_path / "out", 1.0)
    (tmp_path / "out" / "both-seed0.json").unlink()
    settled = tmp_path / "out" / "study.json"
    before = json.loads(settled.read_text())
    del before["train"]["compile"]  # written before there was such a setting: it had the default
    settled.write_text(json.dumps(before))
    auxiliary_tasks.run(SETTINGS, tmp_path, tmp_path / "out", 1.0)
    assert ran == [*few, Cell("both", 0)]
    with pytest.raises(ValueError, match="expected the same study, got other settings"):
        auxiliary_tasks.run(SETTINGS.model_copy(update={"steps": 3}), tmp_path, tmp_path / "out", 1.0)


def test_the_tables_leave_empty_what_is_not_trained(trained, tmp_path):
    out, made = trained
    doc, figures = tmp_path / "page.md", tmp_path / "sub" / "figures.json"
    doc.write_text(f"before\n{auxiliary_tasks_report.BEGIN}\nold\n{auxiliary_tasks_report.END}\nafter\n")
    auxiliary_tasks.main(out=out, report=True, doc=doc, json_path=figures)
    page = doc.read_text()
    assert page.startswith("before\n") and page.endswith("\nafter\n") and "old" not in page
    report = json.loads(figures.read_text())
    assert set(report["cells_done"]) == {c.name for c in made}
    rows = report["tables"]["equal update steps, 0.4 s"]
    assert rows["denoise"].pop("seeds") == 0 and set(rows["denoise"].values()) == {None}
    assert rows["both"]["seeds"] == 2 and rows["augment"]["seeds"] == 1
    by_hand = np.mean(
        [
            [r[1] for r in made[Cell("both", s)]["judged"][t]["clean"]["all"]]
            for s in (0, 1)
            for t in auxiliary_tasks_design.JUDGED
        ]
    )
    assert rows["both"]["clean"] == pytest.approx(by_hand, abs=0.06)
    assert len([line for line in page.splitlines() if line.startswith("| denoise |")]) > 3
    paired = report["tables"]["equal update steps, paired, percent at 0.4 s"]
    assert paired["both against clean"]["clean"]["seeds"] == 2 and paired["both against augment"]["clean"]["seeds"] == 1
    auxiliary_tasks.main(out=out, report=True, doc=doc, json_path=figures)
    assert doc.read_text() == page, "the same again"


def test_paired_differences():
    base = {s: np.linspace(50, 150, 20) for s in (0, 1)}
    better = auxiliary_tasks_report.paired({s: 0.9 * e for s, e in base.items()}, base)
    assert better["percent"] == better["low"] == better["high"] == -10.0 and better["clips"] == 20
    rng = np.random.default_rng(0)
    noisy = {s: e * rng.normal(1.0, 0.3, 20) for s, e in base.items()}
    unclear = auxiliary_tasks_report.paired(noisy, base)
    assert unclear["low"] < unclear["percent"] < unclear["high"]
    some = {0: np.where(np.arange(20) < 5, np.nan, base[0])}
    assert auxiliary_tasks_report.paired(some, base)["clips"] == 15 and auxiliary_tasks_report.paired({}, base) is None


@pytest.mark.parametrize("text", ["", auxiliary_tasks_report.BEGIN])
def test_a_page_without_a_place_for_the_tables_is_said(trained, tmp_path, text):
    doc = tmp_path / "page.md"
    doc.write_text(text)
    with pytest.raises(SystemExit, match="training.studies.auxiliary_tasks: .*page.md: expected the lines"):
        auxiliary_tasks.main(out=trained[0], report=True, doc=doc, json_path=tmp_path / "x.json")


def test_a_folder_without_a_study_is_said(tmp_path):
    with pytest.raises(SystemExit, match="expected a study, found none: train its cells first"):
        auxiliary_tasks.main(out=tmp_path, report=True)
