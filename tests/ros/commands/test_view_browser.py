# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""`aux-motion view` in a real browser: the scene has people, the timeline moves them, nothing goes wrong."""

from __future__ import annotations

import io
import threading
import time

import numpy as np
import pytest

from aux_motion.commands.view.command import opened
from aux_motion.commands.view.page import Page, serve
from aux_motion.commands.view.recording import Recording
from aux_motion.commands.view.robots import placed
from tools import browser

pytest.importorskip("viser", reason="viser is not installed (pip install 'aux_motion[view]')")
if browser.missing():
    pytest.skip(browser.missing(), allow_module_level=True)

PATIENCE_S = 60.0


def wait(condition, what):
    end = time.monotonic() + PATIENCE_S
    while not (found := condition()):
        assert time.monotonic() < end, what
        time.sleep(0.1)
    return found


class Opened:
    """The sample's page in a browser."""

    def __init__(self, root) -> None:
        self.recording = Recording(
            opened(root / "samples" / "sports2d_demo.mcap", {}),
            placed(root / "config" / "robot_example.yaml", "9.2 0.2 0 0"),
        )
        self.server = serve("127.0.0.1", 0)
        self.page = Page(self.server, self.recording, 2.33)
        self.thread = threading.Thread(target=self.page.run, daemon=True)
        self.thread.start()
        self.driver = browser.open_browser((1400, 800))
        self.driver.get(f"http://127.0.0.1:{self.server.get_port()}")
        wait(lambda: self.driver.execute_script("return window.__drawn") > 3, "nothing was drawn")
        wait(lambda: "tracking" in self.text() and self.orange() > 200, "no prediction in the scene")
        wait(lambda: self.recording.ended and "s ahead: error" in self.text(), "no outcome is told")

    def close(self) -> None:
        self.page.stop.set()
        self.thread.join(10.0)
        self.driver.quit()
        self.recording.close()
        self.server.stop()

    def text(self) -> str:
        """What the page says."""
        return self.driver.execute_script("return document.body.innerText")

    def scene(self) -> np.ndarray:
        """(H, W, 3) the middle of the page, between the panels."""
        from PIL import Image

        picture = np.asarray(Image.open(io.BytesIO(self.driver.get_screenshot_as_png())).convert("RGB"), int)
        return picture[120:, 340:-350]

    def orange(self) -> int:
        """Pixels in the colour of the prediction."""
        r, g, b = np.moveaxis(self.scene(), -1, 0)
        return int(((r > 140) & (r - g > 35) & (g - b > 15)).sum())

    def light(self) -> np.ndarray:
        """(N, 2) pixels in the colour of people now."""
        return np.argwhere(self.scene().min(-1) > 150)

    def button(self, text: str):
        """The button with that text, once it is there."""
        from selenium.webdriver.common.by import By

        def find():
            return next((b for b in self.driver.find_elements(By.TAG_NAME, "button") if b.text == text), None)

        return wait(find, f"no button {text}")

    def play(self, speed: str) -> None:
        """Play, slowly where the end must not come before the next click."""
        self.page._panel.events.put(("speed", speed))
        self.button("Play").click()

    def time_field(self):
        """The number beside the timeline."""
        from selenium.webdriver.common.by import By

        def number(field):
            try:
                return float(field.get_attribute("value"))
            except ValueError:
                return np.nan

        began = time.monotonic()

        def find():
            nonlocal began
            if time.monotonic() - began > 8.0:  # on a busy machine the echo of a letter may overwrite the next one
                began = time.monotonic()
                self.page._panel.events.put(("seek", self.page._at_s + 0.2))
            fields = self.driver.find_elements(By.CSS_SELECTOR, "input")
            at_s = self.page._panel._time.value
            return next((i for i in fields if abs(number(i) - at_s) < 0.01 and i.is_displayed()), None)

        return wait(find, "the timeline's number is not found")

    def seek(self, at_s: float) -> None:
        """Type a time, as a user does."""
        from selenium.webdriver.common.keys import Keys

        field = self.time_field()
        field.send_keys(Keys.CONTROL, "a")
        field.send_keys(f"{at_s:g}", Keys.ENTER)
        wait(lambda: abs(self.page._at_s - at_s) < 0.01, f"the timeline does not go to {at_s}")
        time.sleep(1.0)


@pytest.fixture(scope="module")
def page(root):
    found = Opened(root)
    yield found
    found.close()


def test_the_scene_has_skeletons_and_is_not_blank(page):
    scene = page.scene()
    assert len(np.unique(scene.reshape(-1, 3), axis=0)) > 200
    assert len(page.light()) > 300
    assert page.orange() > 200
    names = page.driver.execute_script("return Object.keys(window.__viserSceneTree.getState())")
    for node in ("/now/tubes", "/predicted/tubes", "/seen_later/tubes", "/bound/0", "/robot/tubes", "/floor/tubes"):
        assert node in names


def test_the_page_tells_states_distance_and_speed(page):
    text = page.text()
    for part in ("person_1", "person_2", "tracking", "allowed speed", "distance", "needed:", "bound: conformal, 95 %"):
        assert part in text, part
    assert "0.4 s ahead: error" in text.replace("\n", " ")


def test_the_timeline_moves_the_scene(page):
    before, where = page.scene(), page.light().mean(0)
    page.seek(5.0)
    moved = (np.abs(page.scene() - before).max(-1) > 40).mean()
    assert moved > 0.005
    away = np.linalg.norm(page.light().mean(0) - where)
    assert away > 3.0
    page.seek(2.33)
    # the same moment looks the same, but for the page's resolution
    assert np.linalg.norm(page.light().mean(0) - where) < 0.3 * away
    assert (np.abs(page.scene() - before).max(-1) > 40).mean() < 0.8 * moved


def test_play_pause_and_step(page):
    page.seek(1.5)
    page.play("0.1 x")
    wait(lambda: page.page._at_s > 1.6, "it does not play")
    page.button("Pause").click()
    wait(lambda: not page.page._playing, "it does not pause")
    at_s = page.page._at_s
    time.sleep(0.5)
    assert page.page._at_s == at_s
    page.button("step >").click()
    wait(lambda: 0.0 < page.page._at_s - at_s < 0.07, "no step")
    page.button("|<").click()
    wait(lambda: page.page._at_s == 0.0, "not back")
    page.seek(2.33)


def test_curves_have_the_errors_around_the_moment(page):
    page.seek(3.0)
    now_s = page.recording.moments.at(3.0).at_s
    curves = page.recording.moments.curves("person_1", 1, now_s - 6.0, now_s + 2.0)
    known = curves.error_mm["model"][np.isfinite(curves.error_mm["model"])]
    assert len(known) > 60

    def drawn():
        charts = page.driver.execute_script(
            "return Object.values(window.__viserTestpoints.uplots).map(u => u.chart.data.map(d => Array.from(d)))"
        )
        return any(np.abs(known[:, None] - np.array(chart[1])).min(1).max() < 1e-2 for chart in charts)

    wait(drawn, "the curves do not show the errors")
    page.play("0.1 x")
    time.sleep(3.0)
    page.button("Pause").click()
    ticks = page.driver.execute_script(
        "return Object.values(window.__viserTestpoints.uplots).map(u => u.chart.axes[0]._splits)"
    )
    assert ticks == [[-6, -4, -2, 0, 2]] * 2
    page.seek(2.33)


def test_no_error_in_the_console_and_no_other_host(page):
    assert not browser.errors(page.driver)
    loaded = page.driver.execute_script("return performance.getEntriesByType('resource').map(e => e.name)")
    hosts = {name.split("/")[2] for name in loaded if name.startswith("http")}
    assert all(host.startswith(("127.0.0.1", "localhost")) for host in hosts), hosts


def test_it_stays_fluent(page):
    """Not the figure that the documents name: another test may use the machine. But it plays."""
    page.seek(1.5)
    page.play("1 x")
    time.sleep(1.0)
    assert browser.frames_a_second(page.driver, 3.0)["drawn_hz"] > 2.0
    page.page._panel.events.put(("seek", 2.33))
