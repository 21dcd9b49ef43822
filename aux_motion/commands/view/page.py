# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""The page: a server on this machine, and the loop that moves the scene along the timeline."""

from __future__ import annotations

import queue
import socket
import threading
import time
from contextlib import redirect_stdout
from html import escape
from io import StringIO
from typing import Any

import numpy as np

from aux_motion.commands.view import words
from aux_motion.commands.view.panel import AFTER_S, BEFORE_S, Panel
from aux_motion.commands.view.scene import Scene, Shown
from aux_motion_core.evaluation.moments import ReplayMoment
from aux_motion_core.evaluation.replay import PREDICTED

#: Moments shown a second, and updates of what is slower to draw.
RATE_HZ, _SLOW_HZ = 30.0, 4.0
_PORT = 8088
#: From the middle of the people, against how wide they are spread; what is added for the bounds.
_EYE, _MARGIN_M = np.array([-0.78, -0.7, 0.3]), 0.6


class ViewError(ValueError):
    """The page cannot be shown, in one line."""


def serve(host: str, port: int | None) -> Any:
    """A server of viser.

    Args:
        host: address to listen on.
        port: 0: any that is free; None: 8088, or where that is taken any that is free.

    Raises:
        ViewError: viser is not installed, or the address cannot be used.
    """
    try:
        import viser
    except ImportError as error:
        raise ViewError(f"{error}: the page needs viser (pip install 'aux_motion[view]')") from None
    for wanted in (_PORT, 0) if port is None else (port,):
        try:
            port = _free(host, wanted)
            break
        except OSError as error:
            if wanted == 0 or port is not None:
                why = f"({error.strerror}): choose another --port or --host"
                raise ViewError(f"cannot listen on {host}:{wanted} {why}") from None
    with redirect_stdout(StringIO()):  # it draws a table of its addresses
        return viser.ViserServer(host=host, port=port, verbose=False)


def _free(host: str, port: int) -> int:
    """The port, which can be listened on; for 0 one that is free.

    Raises:
        OSError: it cannot.
    """
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind((host, port))
        return probe.getsockname()[1]


class Page:
    """Shows a source.

    Args:
        server: of viser.
        source: a `Recording` or a `Live`.
        start_s: moment to begin at; None: the first one with a prediction.
    """

    def __init__(self, server: Any, source: Any, start_s: float | None = None) -> None:
        self._server, self._source = server, source
        duration = None if source.live else source.duration_s
        lines = tuple(b.text for b in source.bookmarks)
        horizons = source.moments.horizons_s
        self._panel = Panel(server, source.title, duration, source.moments.sources, horizons, lines, source.bounds)
        self._scene = Scene(server)
        self._at_s, self._speed = start_s or 0.0, 1.0
        self._seek_people = start_s is None and not source.live
        self._playing = source.live
        self._shown: Shown | None = None
        self._drawn: tuple[Any, ...] = ()
        self._slow_s = -1e9
        self._refresh_s: list[float] = []  # when curves are laid out anew, for who has just come
        self._placed = False
        self.stop = threading.Event()
        server.on_client_connect(self._greet)
        self._eye: tuple[np.ndarray, np.ndarray] | None = None

    def _greet(self, client: Any) -> None:
        now = time.monotonic()
        self._panel.hold(2.5)
        self._refresh_s += [now + 2.5, now + 7.0]
        if self._eye is not None:
            client.camera.position, client.camera.look_at = self._eye

    def run(self) -> None:
        """Until `stop` is set."""
        before = time.monotonic()
        while not self.stop.is_set():
            now = time.monotonic()
            self._events()
            self._advance(now - before)
            before = now
            self._source.look(self._at_s, self._playing)
            self._find_people()
            self._draw(now)
            self.stop.wait(max(0.0, 1.0 / RATE_HZ - (time.monotonic() - now)))

    def _find_people(self) -> None:
        """Begin where somebody is predicted first, unless somebody has moved the timeline."""
        if not self._seek_people:
            return
        for moment in self._source.moments.between(0.0, np.inf):
            if any(p.state in PREDICTED for p in moment.batch.people):
                self._at_s, self._seek_people = moment.at_s, False
                return
        if self._source.ended:
            self._seek_people = False

    # What people do

    def _events(self) -> None:
        while True:
            try:
                name, value = self._panel.events.get_nowait()
            except queue.Empty:
                return
            self._seek_people = False
            if name == "seek":
                self._playing = False
                self._at_s = (
                    value if not self._source.live else float(np.nan_to_num(self._source.moments.last_s)) + value
                )
            elif name == "play":
                self._playing = not self._playing
                if self._playing and not self._source.live and self._at_s >= self._source.duration_s - 0.05:
                    self._at_s = 0.0
            elif name == "step":
                self._playing = False
                self._take_step(value)
            elif name == "speed":
                self._speed = float(value.split()[0])
            elif name == "worst":
                self._go_to(self._panel.bookmark(value))
            self._drawn = ()

    def _take_step(self, value: str) -> None:
        moments = self._source.moments
        if value == "|<":
            self._at_s = 0.0 if not self._source.live else moments.first_s
        elif value == ">|":
            self._at_s = self._source.duration_s if not self._source.live else moments.last_s
        else:
            found = moments.beside(self._at_s, 1 if value == "step >" else -1)
            self._at_s = self._at_s if found is None else found.at_s

    def _go_to(self, index: int) -> None:
        if index < 0:
            return
        bookmark = self._source.bookmarks[index]
        self._playing, self._at_s = False, bookmark.at_s
        self._source.look(self._at_s)
        end = time.monotonic() + 10.0
        while time.monotonic() < end and not self.stop.is_set():  # it has to be predicted first
            found = [m for m in self._source.moments.between(self._at_s - 2.0, self._at_s + 2.0)
                     if m.frame.stamp_ns == bookmark.stamp_ns]  # fmt: skip
            if found:
                self._at_s = found[0].at_s
                self._panel.set_people(sorted({p.person_id for p in found[0].batch.people}))
                self._panel.pick(bookmark.person_id)
                return
            time.sleep(0.05)

    def _advance(self, passed_s: float) -> None:
        moments = self._source.moments
        if not self._playing or not len(moments):
            return
        if self._source.live:
            self._at_s = moments.last_s
            return
        # no faster than it is predicted
        self._at_s = min(self._at_s + self._speed * min(passed_s, 0.5), max(moments.last_s, self._at_s))
        if self._at_s >= self._source.duration_s or (self._source.ended and self._at_s >= moments.last_s):
            self._at_s = min(self._at_s, self._source.duration_s)
            self._playing = False

    # What is shown

    def _draw(self, now: float) -> None:
        moments, panel = self._source.moments, self._panel
        panel.set_playing(self._playing)
        moment = moments.at(self._at_s)
        shown = panel.shown
        self._place_camera()
        slow = now - self._slow_s >= 1.0 / _SLOW_HZ
        if slow:
            self._slow_s = now
            panel.set_time(self._at_s if not self._source.live else self._at_s - moments.last_s)
            panel.set_html(panel.note, escape(self._source.trouble))
            if self._refresh_s and now >= min(self._refresh_s):
                self._refresh_s.remove(min(self._refresh_s))
                panel.refresh()
        if moment is None or (not self._source.live and moment.at_s > self._at_s + 0.5):
            if slow:
                panel.set_html(panel.words, "predicting ..." if not self._source.ended else "nothing is here")
            return
        outcomes = {
            p.person_id: o for p in moment.batch.people if (o := moments.outcome(p.person_id, p.stamp_ns)) is not None
        }
        drawn = (moment.at_s, moment.frame.stamp_ns, shown, tuple(outcomes))
        if drawn != self._drawn:
            self._drawn = drawn
            self._scene.show(
                moment, outcomes, self._source.occupancy(moment, shown.bound) if shown.bound else None, shown
            )
        if slow:
            self._tell(moment, shown)

    def _tell(self, moment: ReplayMoment, shown: Shown) -> None:
        panel, people = self._panel, moment.batch.people
        panel.set_people(sorted(p.person_id for p in people))
        robot = self._source.robot.robot if self._source.robot is not None else None
        told = "No robot is here: name its description with --robot."
        if self._source.live:
            told = "No decision of a monitor is heard (topic separation)."
        speed = words.speed_html(moment.separation, robot, moment.robot_trouble, told)
        shown_people = [p for p in people if shown.person_id in ("", p.person_id)]
        states = "".join(words.person_html(p) for p in shown_people) or "Nobody is known."
        if self._source.live:
            states += words.view_html(moment.batch.view)
        elif moment.separation is not None:
            speed += '<div style="opacity:.55">as if the recording held everybody who was there</div>'
        panel.set_html(panel.words, f'{states}<hr style="opacity:.25;margin:4px 0">{speed}')
        person_id = shown.person_id or (people[0].person_id if people else "")
        curves = None
        if person_id:
            curves = self._source.moments.curves(
                person_id, shown.horizon, moment.at_s - BEFORE_S, moment.at_s + AFTER_S
            )
        panel.draw_curves(curves, moment.at_s, person_id, shown)

    def _place_camera(self) -> None:
        """Look at the first people from a distance, once."""
        if self._placed:
            return
        moments = self._source.moments
        some = moments.between(-np.inf, np.inf)[-300:]
        poses = [np.asarray(p.recovered) for m in some for p in m.batch.people]
        if not poses:
            return
        self._placed = True
        low, high = np.percentile(np.stack(poses).reshape(-1, 3), [1, 99], axis=0)
        robot = next((m.robot for m in some if m.robot is not None), None)
        if robot is not None:
            ends = robot[0].reshape(-1, 3)
            low, high = np.minimum(low, ends.min(0)), np.maximum(high, ends.max(0))
        middle = (low + high) / 2.0
        wide = float(np.linalg.norm(high - low)) + _MARGIN_M
        self._eye = (middle + _EYE * wide, middle)
        floor_m = 0.0 if -0.6 < low[2] < 0.6 else float(low[2])
        self._scene.place_floor(middle[:2], floor_m)
        self._server.initial_camera.position = tuple(self._eye[0].tolist())
        self._server.initial_camera.look_at = tuple(middle.tolist())
        for client in self._server.get_clients().values():
            self._greet(client)
