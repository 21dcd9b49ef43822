# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""Whether a view is complete: what every output says of "nobody there". Nobody is never assumed.

Each input is judged on its own: that somebody else is seen well changes nothing about the input that died.
"""

from __future__ import annotations

from collections.abc import Sequence

from aux_motion_core.types import InputEvidence, View, ViewReason, ViewReport


def judge(inputs: Sequence[InputEvidence], reasons: ViewReason = ViewReason.NONE, unplaced: int = 0) -> ViewReport:
    """The view that these inputs give together.

    Args:
        inputs: all that are configured; without any the view is UNKNOWN.
        reasons: what is missing beside them, of the people (`Predictor`) and the node.
        unplaced: people who may be there beside those whom inputs report, and are not among the people.

    Returns:
        COMPLETE only where every input was heard, nothing is wrong with any of them and everybody has a place.
    """
    if not inputs:
        return ViewReport()
    for one in inputs:
        reasons |= one.reasons
        if one.newest_ns <= 0:
            reasons |= ViewReason.INPUT_SILENT
        if one.unplaced and not one.reasons & ViewReason.PERSON_IMPLAUSIBLE:
            reasons |= ViewReason.PERSON_UNPLACED
    return ViewReport(
        View.INCOMPLETE if reasons else View.COMPLETE,
        reasons,
        max(min(one.newest_ns for one in inputs), 0),
        sum(one.unplaced for one in inputs) + unplaced,
    )
