# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""What the study of learning says on its page."""

import json

import pytest

from training.studies.learning_text import BEGIN, END, fill, table


@pytest.fixture(scope="module")
def report(root):
    return json.loads((root / "docs" / "benchmarks" / "learning.json").read_text())


def test_every_stream_has_a_row_with_its_worst_minute(report):
    lines = table(report).splitlines()[2:]
    assert len(lines) == len(report["curves"])
    for line, (name, row) in zip(lines, report["curves"].items()):
        assert line.startswith(f"| {name}")
        assert row["worst_minute_percent"] is None or f"| {row['worst_minute_percent']:+.1f} |" in line


def test_the_page_holds_what_the_report_says(root, report, tmp_path):
    page = tmp_path / "page.md"
    page.write_text((root / "docs" / "learning.md").read_text())
    fill(page, report)
    assert page.read_text() == (root / "docs" / "learning.md").read_text(), (
        "run: python -m training.studies.learning --data ../shared/data --markdown docs/learning.md"
    )


def test_a_page_without_markers_is_said(tmp_path, report):
    page = tmp_path / "page.md"
    page.write_text(f"{BEGIN}\nno end\n")
    with pytest.raises(ValueError, match=END):
        fill(page, report)
