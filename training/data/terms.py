# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""Where training data come from and under which terms: kept in the checkpoint, written into the artefact."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel

from training.data.clip import Clip

#: What a checkpoint or an artefact without terms says.
NOT_RECORDED = "not recorded"
#: Words of the terms of recordings that no shipped model may be trained on.
_NOT_FOR_TRAINING = ("validation", "none stated", "evaluation only")


def refuse_validation_only(clips: Sequence[Clip]) -> None:
    """Check that all of these may be trained on, for a model that ships.

    Raises:
        ValueError: one of them is for validation only.
    """
    for c in clips:
        if any(words in c.licence for words in _NOT_FOR_TRAINING):
            raise ValueError(f"{c.name}: is for validation only ({c.licence}): take it out of the training splits")


class SourceTerms(BaseModel):
    """One source of data and its licence."""

    source: str
    licence: str


class DataTerms(BaseModel):
    """The data of a training run.

    Attributes:
        sources: every source with its licence, sorted.
        classes_min: minutes of each motion class, most first.
        split: which part of the data was trained on.
    """

    sources: list[SourceTerms] = []
    classes_min: dict[str, float] = {}
    split: str = NOT_RECORDED

    @classmethod
    def of(cls, clips: Sequence[Clip], split: str) -> DataTerms:
        """The terms of the clips that are trained on."""
        pairs = sorted({(c.source or NOT_RECORDED, c.licence or NOT_RECORDED) for c in clips})
        minutes: dict[str, float] = {}
        for c in clips:
            minutes[c.action] = minutes.get(c.action, 0.0) + (len(c.positions) - 1) / c.rate_hz / 60
        return cls(
            sources=[SourceTerms(source=s, licence=t) for s, t in pairs],
            classes_min={a: round(x, 1) for a, x in sorted(minutes.items(), key=lambda x: -x[1])},
            split=split,
        )

    @classmethod
    def of_checkpoint(cls, state: dict[str, Any]) -> DataTerms:
        """The terms in a checkpoint; a checkpoint of before they were recorded says so."""
        if "data" in state:
            return cls.model_validate(state["data"])
        return cls(sources=[SourceTerms(source=NOT_RECORDED, licence=NOT_RECORDED)])

    @classmethod
    def of_artefact(cls, training: dict[str, Any]) -> DataTerms:
        """The terms in `training` of a model.json; older ones have one text for all sources."""
        one = {"source": training.get("data", NOT_RECORDED), "licence": training.get("licence", NOT_RECORDED)}
        return cls(
            sources=[SourceTerms(**s) for s in training.get("sources", [one])],
            classes_min=training.get("classes_min", {}),
            split=training.get("split", NOT_RECORDED),
        )

    def then(self, other: DataTerms) -> DataTerms:
        """These data and then the other ones: all sources; a motion class in both counts with the longer time."""
        names = {s.source for s in (*self.sources, *other.sources)}

        def joined(text: str) -> bool:
            """Whether it only lists sources that are there on their own, as older artefacts have it."""
            parts = text.split("; ")
            return len(parts) > 1 and set(parts) <= names

        pairs = sorted({(s.source, s.licence) for s in (*self.sources, *other.sources) if not joined(s.source)})
        minutes = {
            a: max(self.classes_min.get(a, 0.0), other.classes_min.get(a, 0.0))
            for a in {**self.classes_min, **other.classes_min}
        }
        splits = dict.fromkeys([*self.split.split("; then "), *other.split.split("; then ")])
        return DataTerms(
            sources=[SourceTerms(source=s, licence=t) for s, t in pairs],
            classes_min=dict(sorted(minutes.items(), key=lambda x: -x[1])),
            split="; then ".join(splits),
        )

    def for_artefact(self) -> dict[str, Any]:
        """The fields of `training` in model.json."""
        by_licence: dict[str, list[str]] = {}
        for s in self.sources:
            by_licence.setdefault(s.licence, []).append(s.source)
        terms = [licence if len(by_licence) == 1 else f"{', '.join(s)}: {licence}" for licence, s in by_licence.items()]
        return {
            "data": "; ".join(dict.fromkeys(s.source for s in self.sources)),
            "licence": "; ".join(terms),
            "sources": [s.model_dump() for s in self.sources],
            "split": self.split,
            "classes_min": self.classes_min,
        }
