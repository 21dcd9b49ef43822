# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""The view: what must be so before nobody may mean that nobody is there."""

import numpy as np
import pytest

from aux_motion_core.types import NEVER_S, View, ViewReason, ViewReport
from aux_motion_core.validity import InputEvidence, judge
from aux_motion_core.wire.messages import view_fields, view_from_message
from tests.support.core_helpers import as_object

NS = 1_000_000_000
GOOD = InputEvidence(newest_ns=10 * NS)


def test_nothing_is_known_before_somebody_judged_it():
    assert ViewReport().view is View.UNKNOWN and judge([]).view is View.UNKNOWN
    assert ViewReport().input_age_s(5 * NS) == NEVER_S
    assert ViewReport().refusal(0, 1e9)


def test_all_inputs_well_is_complete_and_the_oldest_counts():
    report = judge([GOOD, InputEvidence(newest_ns=9 * NS)])
    assert report.view is View.COMPLETE and report.reasons is ViewReason.NONE
    assert report.input_age_s(10 * NS) == pytest.approx(1.0)
    assert report.refusal(10 * NS, 1.5) == ""
    assert "1.00 s old" in report.refusal(10 * NS, 0.5)
    assert "ahead" in report.refusal(5 * NS, 0.5)


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (InputEvidence(), ViewReason.INPUT_SILENT),
        (InputEvidence(10 * NS, ViewReason.INPUT_STAMPS), ViewReason.INPUT_STAMPS),
        (InputEvidence(10 * NS, unplaced=2), ViewReason.PERSON_UNPLACED),
    ],
)
def test_one_bad_input_is_not_made_good_by_another(bad, reason):
    for inputs in ([bad], [GOOD, bad], [bad, GOOD]):
        report = judge(inputs)
        assert report.view is View.INCOMPLETE and report.reasons == reason
        assert reason.name.lower() in report.refusal(10 * NS, 1e9)


def test_what_is_missing_beside_the_inputs_counts():
    assert judge([GOOD], ViewReason.RESET) == ViewReport(View.INCOMPLETE, ViewReason.RESET, 10 * NS)


@pytest.mark.parametrize(
    "view", [ViewReport(), ViewReport(View.INCOMPLETE, ViewReason.RESET, 7 * NS + 5, 3), judge([GOOD])]
)
def test_the_view_survives_the_wire(view):
    assert view_from_message(as_object(view_fields(view))) == view


def test_a_message_of_an_older_version_or_an_unknown_value_is_unknown():
    assert view_from_message(object()) == ViewReport()
    fields = view_fields(judge([GOOD])) | {"view": 77}
    assert view_from_message(as_object(fields)).view is View.UNKNOWN


def test_an_unplaced_person_is_never_free_even_if_the_sender_says_complete():
    assert "without a place" in ViewReport(View.COMPLETE, ViewReason.NONE, NS, 1).refusal(NS, np.inf)
