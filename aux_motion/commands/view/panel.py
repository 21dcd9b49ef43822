# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""The panel beside the scene: timeline, what is shown, states and decisions in words, curves."""

from __future__ import annotations

import queue
import time
from html import escape
from typing import Any

import numpy as np

from aux_motion.commands.view import scene as colours
from aux_motion.commands.view.scene import Shown
from aux_motion_core.evaluation.moments import Curves

EVERYBODY, NOBODY = "everybody", "none"
SPEEDS = ("0.1 x", "0.25 x", "0.5 x", "1 x", "2 x", "4 x")
#: Seconds before and after the moment that the curves show.
BEFORE_S, AFTER_S = 6.0, 2.0
#: Time over which coverage is averaged, seconds: one message tells little.
_MEAN_S = 1.0
_GAP_S = 0.4
_ERROR_PX, _COVERAGE_PX, _TOP_PERCENT = 130, 120, 105.0
#: How long a page may take to make a chart, seconds.
_MAKING_S = 0.8
#: Below every picture.
_OFF = -1e3
_WORST_NONE = "..."


def _hex(colour: tuple[int, int, int]) -> str:
    return "#{:02x}{:02x}{:02x}".format(*colour)


LEGEND = [
    (colours.NOW, "now (grey: not seen)"),
    (colours.PREDICTED, "predicted, and each joint's path"),
    (colours.BOUND, "bound: the space that the body keeps to"),
    (colours.SEEN_LATER, "seen later"),
    (colours.BASELINE, "baseline"),
    (colours.ROBOT, "robot"),
]


def _legend_html() -> str:
    parts = [
        f'<span style="white-space:nowrap;margin-right:12px"><span style="display:inline-block;width:10px;height:10px;'
        f'border-radius:3px;background:{_hex(c)};margin-right:5px"></span>{text}</span>'
        for c, text in LEGEND
    ]
    return f'<div style="font-size:12px;line-height:1.7;padding:0 4px">{"".join(parts)}</div>'


class Panel:
    """The controls; what people do with them comes as (name, value) in `events`, in order.

    Args:
        server: of viser.
        title: of what is viewed.
        duration_s: of the recording; None: live, where the timeline is what was heard lately.
        sources: names, the published one first.
        horizons_s: that may be picked.
        bookmarks: lines to pick from.
        bounds: label -> kind of bound, the first one is shown at the start.
        remembered_s: live: how far back the timeline goes.
    """

    def __init__(
        self,
        server: Any,
        title: str,
        duration_s: float | None,
        sources: tuple[str, ...],
        horizons_s: np.ndarray,
        bookmarks: tuple[str, ...],
        bounds: dict[str, str],
        remembered_s: float = 30.0,
    ) -> None:

        self.events: queue.Queue[tuple[str, Any]] = queue.Queue()
        self._sources = sources
        gui = server.gui
        gui.configure_theme(dark_mode=True, show_logo=False, show_share_button=False, control_width="large")
        gui.set_panel_label(title)
        gui.main_panel.dock_right()
        gui.main_panel.set_width(340)
        low, high = (0.0, max(duration_s, 0.01)) if duration_s is not None else (-remembered_s, 0.0)
        first = low if duration_s is not None else high
        self._live = duration_s is None
        self._time = gui.add_slider("time, s", low, high, 0.001 if high - low < 600 else 0.01, first)
        self._play = gui.add_button("Play")
        self._step = gui.add_button_group("step", ("|<", "< step", "step >", ">|"))
        self._speed = gui.add_dropdown("speed", SPEEDS, initial_value="1 x", visible=not self._live)
        with gui.add_folder("show"):
            self._person = gui.add_dropdown("person", (EVERYBODY,), initial_value=EVERYBODY)
            labels = tuple(f"{h:.1f} s ahead" for h in horizons_s)
            self._horizons = dict(zip(labels, horizons_s.tolist(), strict=True))
            middle = labels[min(1, len(labels) - 1)]
            self._horizon = gui.add_dropdown("horizon", labels, initial_value=middle)
            others = (NOBODY, *(s.replace("_", " ") for s in sources[1:]))
            self._baseline = gui.add_dropdown("baseline", others, initial_value=NOBODY, visible=len(sources) > 1)
            self._bound = gui.add_dropdown("bound", tuple(bounds), initial_value=next(iter(bounds)))
            self._bounds = bounds
            self._paths = gui.add_checkbox("paths of the joints", True)
            self._later = gui.add_checkbox("seen later", True)
            self._worst = gui.add_dropdown(
                "worst moments", (_WORST_NONE, *bookmarks), initial_value=_WORST_NONE, visible=bool(bookmarks)
            )
        gui.add_html(_legend_html())
        self.note = gui.add_html("")
        beside = gui.add_panel()
        with beside.add_tab("what is known"):
            self._add_figures(gui)
        beside.dock_left()
        beside.set_width(330)
        self._wire(server)

    def _add_figures(self, gui: Any) -> None:
        self.words = gui.add_html("")
        self._curve_title = gui.add_html("")
        axis = [{"size": 34}, {"size": 54}]
        x = {"time": False, "range": (-BEFORE_S, AFTER_S)}
        nothing = np.array([-BEFORE_S, AFTER_S])
        self._error = gui.add_uplot(
            (nothing, nothing * 0.0, nothing * 0.0, nothing * 0.0),
            (
                {},
                {"label": "published", "stroke": _hex(colours.PREDICTED), "width": 2},
                {"label": "baseline", "stroke": _hex(colours.BASELINE), "width": 1.5},
                {"label": "now", "stroke": "#8a94a8", "width": 1, "points": {"show": False}},
            ),
            scales={"x": x, "y": {"range": (0.0, 100.0)}},
            axes=axis,
            legend={"show": False},
            height=_ERROR_PX,
            padding=(10, 16, 0, 0),
        )
        self._coverage = gui.add_uplot(
            (nothing, nothing * 0.0, nothing * 0.0, nothing * 0.0),
            (
                {},
                {"label": "inside", "stroke": _hex(colours.BOUND), "width": 2},
                {"label": "promised", "stroke": "#8a94a8", "width": 1, "dash": (4, 4)},
                {"label": "now", "stroke": "#8a94a8", "width": 1, "points": {"show": False}},
            ),
            scales={"x": x, "y": {"range": (0.0, _TOP_PERCENT)}},
            axes=axis,
            legend={"show": False},
            height=_COVERAGE_PX,
            padding=(10, 16, 0, 0),
        )
        self._top_mm = 100.0
        self._made, self._quiet_until_s = 0, 0.0

    def _wire(self, server: Any) -> None:
        def on(handle: Any, name: str) -> None:
            @handle.on_update
            def _(event: Any) -> None:
                if event.client_id is not None:  # not set by this program itself
                    self.events.put((name, handle.value))

        on(self._time, "seek")
        on(self._speed, "speed")
        on(self._worst, "worst")
        for handle in (self._person, self._horizon, self._baseline, self._bound, self._paths, self._later):
            on(handle, "shown")
        self._play.on_click(lambda _: self.events.put(("play", None)))
        self._step.on_click(lambda _: self.events.put(("step", self._step.value)))
        for label, hotkey, event in (
            ("Play or pause", "space", ("play", None)),
            ("Step back", "arrowleft", ("step", "< step")),
            ("Step forward", "arrowright", ("step", "step >")),
        ):
            command = server.gui.add_command(label, hotkey=hotkey)
            command.on_trigger(lambda _, event=event: self.events.put(event))

    @property
    def shown(self) -> Shown:
        """What is asked for."""
        horizons = list(self._horizons)
        baseline = self._baseline.value.replace(" ", "_")
        return Shown(
            person_id="" if self._person.value == EVERYBODY else self._person.value,
            horizon_s=self._horizons[self._horizon.value],
            horizon=horizons.index(self._horizon.value),
            baseline=self._sources.index(baseline) if baseline in self._sources else 0,
            bound=self._bounds[self._bound.value],
            paths=self._paths.value,
            later=self._later.value,
        )

    def bookmark(self, text: str) -> int:
        """Which of the worst moments a line is; -1: none."""
        return self._worst.options.index(text) - 1

    def pick(self, person_id: str) -> None:
        """Show one person's prediction."""
        if person_id in self._person.options:
            self._person.value = person_id

    def set_people(self, ids: list[str]) -> None:
        """Who may be picked."""
        options = (EVERYBODY, *ids)
        if tuple(self._person.options) != options:
            chosen = self._person.value
            self._person.options = options
            self._person.value = chosen if chosen in options else EVERYBODY

    def set_time(self, at_s: float) -> None:
        """Move the timeline's handle."""
        value = min(max(at_s, self._time.min), self._time.max)
        if abs(value - self._time.value) > 1e-9:
            self._time.value = value

    def set_playing(self, playing: bool) -> None:
        """Name the button."""
        name = "Pause" if playing else "Play"
        if self._play.label != name:
            self._play.label = name

    def set_html(self, handle: Any, text: str) -> None:
        """Write a block, where it changed."""
        wrapped = f'<div style="font-size:13px;line-height:1.45;padding:0 4px">{text}</div>' if text else ""
        if handle.content != wrapped:
            handle.content = wrapped

    def refresh(self) -> None:
        """Let the page make its curves anew, and leave it alone meanwhile: data that comes then costs the ticks."""
        self._made += 1
        for chart, top in ((self._error, self._top_mm), (self._coverage, _TOP_PERCENT)):
            chart.scales = {**chart.scales, "y": {"range": (0.0, top + 1e-6 * self._made)}}
        self.hold(_MAKING_S)

    def hold(self, seconds: float) -> None:
        """Send no data to the curves for this time."""
        self._quiet_until_s = max(self._quiet_until_s, time.monotonic() + seconds)

    def draw_curves(self, curves: Curves | None, now_s: float, person_id: str, shown: Shown) -> None:
        """The curves around a time.

        Args:
            curves: of the person; None: there are none.
            now_s: the moment that is shown.
            person_id: whose they are.
            shown: horizon and baseline.
        """
        quiet = time.monotonic() < self._quiet_until_s
        if curves is None or not len(curves.at_s):
            self.set_html(self._curve_title, '<span style="opacity:.7">No outcome is known around this moment.</span>')
            if quiet:
                return
            self._error.data = tuple(self._with_now([np.array([-BEFORE_S, AFTER_S])], self._top_mm, 2))
            self._coverage.data = tuple(self._with_now([np.array([-BEFORE_S, AFTER_S])], _TOP_PERCENT, 2))
            return
        names = list(curves.error_mm)
        first, other = curves.error_mm[names[0]], curves.error_mm[names[shown.baseline]]
        good = np.isfinite(first) & np.isfinite(other)
        at_s = curves.at_s[good] - now_s
        at_now = int(np.argmin(np.abs(at_s))) if good.any() else -1
        told = ""
        if at_now >= 0:
            ago_s = -float(at_s[at_now])
            told = f" <b>{first[good][at_now]:.0f} mm</b>" + (f" ({ago_s:.1f} s ago)" if abs(ago_s) > _GAP_S else "")
            if shown.baseline:
                told += f", {escape(names[shown.baseline].replace('_', ' '))} {other[good][at_now]:.0f} mm"
        inside = _running_mean(curves.at_s, curves.inside, _MEAN_S)
        has = np.isfinite(inside)
        share = ""
        if has.any():
            nearest = np.argmin(np.abs(curves.at_s[has] - now_s))
            share = f", joints inside the bound <b>{100 * inside[has][nearest]:.0f} %</b>"
        title = f"{escape(person_id)}, {shown.horizon_s:.1f} s ahead: error{told}{share}"
        self.set_html(
            self._curve_title, title + '<div style="opacity:.6">error in mm; joints inside in %; s from now</div>'
        )
        if quiet:
            return
        largest = float(max(first[good].max(initial=0.0), other[good].max(initial=0.0)))
        top = 100.0 * max(np.ceil(1.1 * largest / 100.0), 1.0)
        if top > self._top_mm or top < 0.4 * self._top_mm:
            self._top_mm = top
            self.refresh()
            return
        shown_other = other[good] if shown.baseline else np.full(good.sum(), _OFF)
        self._error.data = tuple(self._with_now([at_s, first[good], shown_other], self._top_mm, 2))
        promised = 100.0 * curves.nominal if np.isfinite(curves.nominal) else _OFF
        cover = [curves.at_s[has] - now_s, 100.0 * inside[has], np.full(has.sum(), promised)]
        self._coverage.data = tuple(self._with_now(cover, _TOP_PERCENT, 2))

    @staticmethod
    def _with_now(columns: list[np.ndarray], top: float, series: int) -> list[np.ndarray]:
        """Columns x and series, with a line at x = 0 as one more series; off the picture where there is nothing."""
        columns = _with_gaps(columns)
        x = columns[0]
        values = columns[1:] or [np.full(len(x), _OFF)] * series
        if not len(x):
            x, values = np.array([-BEFORE_S, AFTER_S]), [np.full(2, _OFF)] * series
        at = int(np.searchsorted(x, 0.0))
        within = x[0] <= 0.0 <= x[-1]
        out = [np.insert(x, at, [0.0, 0.0, 0.0])]
        out += [np.insert(v, at, [np.interp(0.0, x, v) if within else _OFF] * 3) for v in values]
        out.append(np.insert(np.full(len(x), _OFF), at, [_OFF, top, _OFF]))
        return out


def _with_gaps(columns: list[np.ndarray]) -> list[np.ndarray]:
    """Columns x and series, the series off the picture where x has a gap: no line over what is not known."""
    x = columns[0]
    if not len(x):
        return columns
    after = np.flatnonzero(np.diff(x) > _GAP_S) + 1
    at = np.concatenate([[0], np.repeat(after, 2), [len(x)]])
    inside = np.stack([x[after - 1] + 1e-6, x[after] - 1e-6], 1).reshape(-1)
    edge = np.concatenate([[x[0] - 1e-6], inside, [x[-1] + 1e-6]])
    return [np.insert(x, at, edge), *(np.insert(c, at, _OFF) for c in columns[1:])]


def _running_mean(at_s: np.ndarray, values: np.ndarray, over_s: float) -> np.ndarray:
    """Mean of what is known within so many seconds before each time; NaN where nothing is."""
    good = np.isfinite(values)
    total = np.concatenate([[0.0], np.cumsum(np.where(good, values, 0.0))])
    count = np.concatenate([[0], np.cumsum(good)])
    low = np.searchsorted(at_s, at_s - over_s)
    high = np.arange(1, len(at_s) + 1)
    number = count[high] - count[low]
    return np.where(number > 0, (total[high] - total[low]) / np.maximum(number, 1), np.nan)
