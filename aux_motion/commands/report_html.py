# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""Pieces of HTML of the report of `aux-motion evaluate`: numbers, tables and pictures."""

from __future__ import annotations

import base64
from html import escape
from typing import Any


class Pictures:
    """Draws where matplotlib is, and remembers what is missing where it is not."""

    def __init__(self) -> None:
        try:
            from aux_motion.commands import report_plots

            self._plots: Any = report_plots
        except ImportError:
            self._plots = None
        self.missing: list[str] = []

    def __call__(self, name: str, what: str, *arguments: Any) -> str:
        if self._plots is None:
            self.missing.append(what)
            return (
                f'<p class="note">Picture missing: {escape(what)}. It needs matplotlib: '
                "pip install 'aux_motion[plots]'</p>"
            )
        svg = getattr(self._plots, name)(*arguments)
        data = base64.b64encode(svg.encode()).decode()
        return f'<img alt="{escape(what)}" src="data:image/svg+xml;base64,{data}">'


def words(name: str) -> str:
    return escape(name.replace("_", " "))


def number(value: float | None, pattern: str = "{:.0f}") -> str:
    return "&ndash;" if value is None else pattern.format(value)


def table(head: list[str], rows: list[list[str]], classes: list[str] | None = None) -> str:
    lines = ["<table><tr>" + "".join(f"<th>{h}</th>" for h in head) + "</tr>"]
    for number, row in enumerate(rows):
        mark = f' class="{classes[number]}"' if classes and classes[number] else ""
        cells = "".join(c if c.startswith("<td") else f"<td>{c}</td>" for c in row)
        lines.append(f"<tr{mark}>{cells}</tr>")
    return "".join([*lines, "</table>"])
