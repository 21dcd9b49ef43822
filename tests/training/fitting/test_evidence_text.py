# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""What the evidence for bounds says on its page."""

import copy
import json

import pytest

from training.fitting import evidence, evidence_text
from training.fitting.evidence_text import BEGIN, END, fill, table, text


@pytest.fixture(scope="module")
def report(root):
    return json.loads((root / "docs" / "benchmarks" / "bounds.json").read_text())


def test_the_page_holds_what_the_report_says(root, report, tmp_path):
    page = tmp_path / "page.md"
    page.write_text((root / "docs" / "bounds.md").read_text())
    fill(page, report)
    assert page.read_text() == (root / "docs" / "bounds.md").read_text(), (
        "run: python -m training.fitting.evidence_text --json docs/benchmarks/bounds.json --markdown docs/bounds.md"
    )


def test_every_tier_and_calibrated_level_has_a_row_with_its_shares(report):
    report = copy.deepcopy(report)
    report["tiers"]["handover"]["coverage"]["0.99"] = {"calibrated": False, "why": "too few"}
    rows = table(report).splitlines()[2:]
    kept = [
        (of["clips"], level, found)
        for of in report["tiers"].values()
        for level, found in of["coverage"].items()
        if found["calibrated"]
    ]
    assert len(rows) == len(kept) == 11
    for row, (clips, level, found) in zip(rows, kept):
        assert f"| {level} | {found['overall']:.3f}" in row and f"{found['body']['overall']:.3f}" in row
        assert ("[" in row) == (clips >= 5), "an interval over a few clips would say that all is certain"


def test_volumes_are_no_finer_than_what_the_report_keeps(report):
    report = copy.deepcopy(report)
    volume = report["tiers"]["new_subject"]["coverage"]["0.95"]["median_volume_of_1.6mps_reach"]
    volume.update({"0.4": 0.0003, "1": 0.0045})
    assert "| below 1/1000 | 1/222 |" in table(report)


def test_groups_are_counted_by_where_the_nominal_lies(report):
    report = copy.deepcopy(report)
    group = {"overall": 0.95, "nominal_inside": True}
    report["tiers"]["new_subject"]["coverage"]["0.95"]["group"] = {
        "inside": group,
        "wide": group | {"overall": 0.99, "nominal_inside": False},
        "narrow": group | {"overall": 0.9, "nominal_inside": False},
        "narrow too": group | {"overall": 0.8, "nominal_inside": False},
        "nobody": dict.fromkeys(group),
    }
    assert "Of 4 groups 1 have the nominal in their interval, 1 are too wide and 2 too narrow." in text(report)


def test_a_report_without_the_level_or_the_score_is_told_without_them(report):
    report = copy.deepcopy(report) | {"out_of_distribution": None}
    for of in report["tiers"].values():
        of["coverage"].pop("0.95")
    report["tiers"]["real_tracker"].pop("overall_with_tracker_error_m")
    told = text(report)
    assert "Of 15 groups" not in told and "out of distribution" not in told and "The reach set at" in told


def test_both_commands_fill_the_page(report, tmp_path, monkeypatch, capsys):
    page, made = tmp_path / "page.md", tmp_path / "bounds.json"
    monkeypatch.setattr(evidence, "evidence", lambda model, data: report)
    page.write_text(f"a\n{BEGIN}\nold\n{END}\nb\n")
    evidence.main(model=tmp_path, data=tmp_path, json_path=made, markdown=page)
    assert page.read_text() == f"a\n{BEGIN}\n{text(report)}\n{END}\nb\n"
    page.write_text(f"{BEGIN}\nold\n{END}")
    evidence_text.main(json_path=made, markdown=page)
    assert page.read_text() == f"{BEGIN}\n{text(report)}\n{END}"
    page.write_text(f"{BEGIN}\nno end\n")
    with pytest.raises(SystemExit, match=END):
        evidence_text.main(json_path=made, markdown=page)
