# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""Where training data come from, over several runs."""

from training.data.terms import DataTerms, SourceTerms


def terms(*sources: str) -> DataTerms:
    return DataTerms(
        sources=[SourceTerms(source=s, licence="free") for s in sources], classes_min={"walk": 1.0}, split="a"
    )


def test_a_list_of_an_older_artefact_is_left_out_where_each_source_is_named():
    older = DataTerms.of_artefact({"data": "one; two", "licence": "one: free; two: free", "split": "a"})
    both = older.then(terms("one", "two", "three"))
    assert [s.source for s in both.sources] == ["one", "three", "two"]
    assert both.for_artefact()["data"] == "one; three; two"


def test_what_nobody_names_apart_stays():
    older = DataTerms.of_artefact({"data": "one; four", "licence": "one: free; four: free", "split": "a"})
    assert [s.source for s in older.then(terms("one")).sources] == ["one", "one; four"]
