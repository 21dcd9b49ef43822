# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""Pieces of HTML of the report of `aux-motion evaluate`: numbers, tables and pictures."""

from __future__ import annotations

import base64
from collections.abc import Callable
from html import escape
from typing import Any

from aux_motion.commands.report_drawing import Drawing


class Pictures:
    """Pictures of a page, or a line on what is missing where one cannot be drawn.

    Args:
        drawing: draws them.
    """

    def __init__(self, drawing: Drawing) -> None:
        self._drawing = drawing
        self._begun: list[tuple[str, Callable[[], str]]] = []

    def __call__(self, name: str, what: str, *arguments: Any) -> str:
        """Have a picture drawn; returns what stands for it until `placed`."""
        self._begun.append((what, self._drawing.begin(name, *arguments)))
        return self._mark(len(self._begun) - 1)

    @staticmethod
    def _mark(number: int) -> str:
        return f"<!--picture {number}-->"

    def placed(self, page: str) -> str:
        """The page with its pictures."""
        for number, (what, svg) in enumerate(self._begun):
            page = page.replace(self._mark(number), self._html(what, svg), 1)
        return page

    @staticmethod
    def _html(what: str, svg: Callable[[], str]) -> str:
        try:
            data = base64.b64encode(svg().encode(errors="replace")).decode()
        except ImportError:
            return (
                f'<p class="note">Picture missing: {escape(what)}. It needs matplotlib: '
                "pip install 'aux_motion[plots]'</p>"
            )
        except Exception as error:  # the page is worth more than one picture
            why = " ".join(f"{type(error).__name__}: {error}".split())
            return f'<p class="note">Picture missing: {escape(what)}. It cannot be drawn: {escape(why)}</p>'
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
