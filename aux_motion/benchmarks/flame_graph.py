# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""What cProfile found as a tree of calls, and the tree as a flame graph (SVG).

cProfile knows who called whom, not the whole stack: a function's time is shared between its callers as it was spent for
each, and below it in the same shares. Exact where a function is called from one place, as nearly all of a node's are.
"""

from __future__ import annotations

import pstats
from collections.abc import Iterator
from dataclasses import dataclass, field
from html import escape
from pathlib import Path

Function = tuple[str, int, str]

#: Parts of all the time that are not shown.
_LEAST = 0.002
_DEEPEST = 60
_WIDTH, _ROW = 1400, 17


@dataclass
class Call:
    """A function called along one way.

    Attributes:
        function: file, line, name.
        seconds: spent in it and below.
        calls: how often, as a share of all its calls.
        below: what it called.
    """

    function: Function
    seconds: float
    calls: float
    below: list[Call] = field(default_factory=list)

    @property
    def own_s(self) -> float:
        """Seconds in the function itself."""
        return max(0.0, self.seconds - sum(c.seconds for c in self.below))

    @property
    def name(self) -> str:
        """Module and function, such as `history.track.add`."""
        file, _, function = self.function
        if file == "~":
            return function.strip("<>").removeprefix("built-in method ").removeprefix("method ")
        parts = Path(file).with_suffix("").parts
        for package in ("aux_motion_core", "aux_motion", "site-packages"):
            if package in parts:
                start = len(parts) - 1 - parts[::-1].index(package)
                return ".".join((*parts[start + (package != "aux_motion") :], function))
        return f"{parts[-1]}.{function}"


def tree(stats: pstats.Stats) -> Call:
    """Calls of a profile, below one root that holds all its time."""
    table = stats.stats  # type: ignore[attr-defined]  # no public way to the callers
    below: dict[Function, list[tuple[Function, float, int]]] = {}
    roots = []
    for function, (_, n, _, total_s, callers) in table.items():
        known = {c: v for c, v in callers.items() if c in table and c != function}
        if not known:
            roots.append((function, total_s, n))
        for caller, (_, times, _, spent_s) in known.items():
            below.setdefault(caller, []).append((function, spent_s, times))
    all_s = sum(s for _, s, _ in roots)

    def grow(function: Function, seconds: float, calls: float, above: frozenset[Function]) -> Call:
        call = Call(function, seconds, calls)
        total_s = table[function][3]
        if seconds < _LEAST * all_s or len(above) > _DEEPEST or total_s <= 0.0:
            return call
        share = seconds / total_s
        found = sorted(below.get(function, []), key=lambda b: -b[1])
        call.below = [grow(f, s * share, n * share, above | {f}) for f, s, n in found if f not in above]
        over = sum(c.seconds for c in call.below)
        if over > seconds:  # recursion counts twice
            for c in call.below:
                _scale(c, seconds / over)
        return call

    root = Call(("~", 0, "all"), all_s, 1)
    root.below = [grow(f, s, n, frozenset({f})) for f, s, n in sorted(roots, key=lambda r: -r[1])]
    return root


def _scale(call: Call, factor: float) -> None:
    call.seconds *= factor
    call.calls *= factor
    for c in call.below:
        _scale(c, factor)


def walk(call: Call, above: tuple[Call, ...] = ()) -> Iterator[tuple[Call, tuple[Call, ...]]]:
    """Every call with those above it, the root first."""
    yield call, above
    for c in call.below:
        yield from walk(c, (*above, call))


def svg(root: Call, title: str, frames: int) -> str:
    """The flame graph; the width of a box is its time.

    Args:
        root: of `tree`.
        title: above it.
        frames: that were predicted, for the times that boxes show under the pointer.
    """
    least_s = _LEAST * root.seconds
    boxes: list[str] = []
    deepest = 0

    def draw(call: Call, x: float, depth: int) -> None:
        nonlocal deepest
        deepest = max(deepest, depth)
        width = call.seconds / root.seconds * (_WIDTH - 20)
        ours = "aux_motion" in call.function[0]
        colour = "#f4a261" if ours else "#e76f51" if "onnxruntime" in call.function[2] else "#e9d8a6"
        said = escape(f"{call.name}: {1e3 * call.seconds / frames:.3f} ms a frame, {call.seconds / root.seconds:.1%}")
        text = escape(call.name[: int(width / 6.2)]) if width > 25 else ""
        y = _ROW * depth + 30
        boxes.append(
            f'<g><title>{said}</title><rect x="{x:.1f}" y="{y}" width="{max(width - 0.5, 0.2):.1f}" '
            f'height="{_ROW - 1}" fill="{colour}"/><text x="{x + 3:.1f}" y="{y + 12}">{text}</text></g>'
        )
        for c in call.below:
            if c.seconds >= least_s:
                draw(c, x, depth + 1)
                x += c.seconds / root.seconds * (_WIDTH - 20)

    draw(root, 10.0, 0)
    height = _ROW * (deepest + 2) + 34
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" width="{_WIDTH}">'
    style = "<style>text{font:11px monospace}</style>"
    return "\n".join([head, style, f'<text x="10" y="18">{escape(title)}</text>', *boxes, "</svg>", ""])
