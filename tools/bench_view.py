# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""How fast `aux-motion view` starts, how fluent it is, and what it needs; in a real browser without a graphics card.

    python -m tools.bench_view --json docs/benchmarks/view.json

The sample, four people who walk for a minute, and one person for an hour. Needs the extras `view` and `test`, chromium
and chromium-driver.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path
from typing import Any

from aux_motion_core.bags import writer
from aux_motion_core.testing import synthetic
from tools import browser

_ROOT = Path(__file__).resolve().parent.parent
_SAMPLE = _ROOT / "samples" / "sports2d_demo.mcap"
_ROBOT = ["--robot", str(_ROOT / "config" / "robot_example.yaml")]


class _View:
    """`aux-motion view` in a process of its own."""

    def __init__(self, *arguments: str) -> None:
        command = [sys.executable, "-m", "aux_motion.cli", "view", *arguments, "--port", "0"]
        began = time.monotonic()
        self.process = subprocess.Popen(command, cwd=_ROOT, stdout=subprocess.PIPE, text=True)
        line = self.process.stdout.readline()
        self.address = re.search(r"http://\S+", line)[0].replace("localhost", "127.0.0.1")
        urllib.request.urlopen(self.address, timeout=10).close()
        self.start_s = time.monotonic() - began

    def close(self) -> None:
        self.process.terminate()
        self.process.wait()


def _text(driver: Any) -> str:
    return driver.execute_script("return document.body.innerText")


def _wait(condition: Any, patience_s: float = 60.0) -> float:
    began = time.monotonic()
    while not condition():
        if time.monotonic() - began > patience_s:
            raise RuntimeError("not within the time")
        time.sleep(0.02)
    return time.monotonic() - began


def _type_time(driver: Any, at_s: float) -> None:
    from selenium.webdriver.common.by import By
    from selenium.webdriver.common.keys import Keys

    field = next(
        i for i in driver.find_elements(By.CSS_SELECTOR, "input[inputmode], input[type=text]") if i.is_displayed()
    )
    field.send_keys(Keys.CONTROL, "a")
    field.send_keys(f"{at_s:g}", Keys.ENTER)


def _play(driver: Any) -> None:
    from selenium.webdriver.common.by import By

    next(b for b in driver.find_elements(By.TAG_NAME, "button") if b.text == "Play").click()


def measure(name: str, arguments: list[str], seconds: float, jump_s: float | None = None) -> dict[str, Any]:
    """Start, first picture, frames a second while it plays, memory."""
    view = _View(*arguments)
    driver = browser.open_browser((1280, 720))
    try:
        opened = time.monotonic()
        driver.get(view.address)
        _wait(lambda: "tracking" in _text(driver))
        shown_s = time.monotonic() - opened
        found: dict[str, Any] = {"what": name, "start_s": round(view.start_s, 2), "first_people_s": round(shown_s, 2)}
        if jump_s is not None:
            began = time.monotonic()
            _type_time(driver, jump_s)
            time.sleep(0.3)
            _wait(lambda: "tracking" in _text(driver) and "predicting" not in _text(driver))
            found["jump_s"] = round(time.monotonic() - began, 2)
        time.sleep(8.0)  # it predicts ahead, and the page finds its resolution
        _play(driver)
        time.sleep(2.0)
        cpu_s = browser.processor_s(view.process.pid)
        found.update(browser.frames_a_second(driver, seconds))
        found["server_cpu_share"] = round((browser.processor_s(view.process.pid) - cpu_s) / seconds, 2)
        found["server_mib"] = browser.resident_mib(view.process.pid)
        found["browser_mib"] = browser.resident_mib(driver.service.process.pid)
        found["load"] = round(os.getloadavg()[0], 2)  # of all that runs on the machine
        found["errors"] = browser.errors(driver)
        return found
    finally:
        driver.quit()
        view.close()


def _write(path: Path, people: int, seconds: float, rate_hz: float) -> Path:
    with writer.BagWriter(path) as out:
        for frame in synthetic.frames(people, seconds, rate_hz):
            out.write("/skeletons", frame, frame.stamp_ns)
    return path


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--only", choices=("sample", "four", "hour"))
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        plans: dict[str, Any] = {
            "sample": lambda: measure("the sample, 2 people, a robot", [str(_SAMPLE), *_ROBOT, "--start", "1"], 4.0),
            "four": lambda: measure(
                "4 people, 30 Hz, a robot", [str(_write(Path(folder) / "four.mcap", 4, 60.0, 30.0)), *_ROBOT], 10.0
            ),
            "hour": lambda: measure(
                "an hour of 1 person, 30 Hz", [str(_write(Path(folder) / "hour.mcap", 1, 3600.0, 30.0))], 10.0, 1800.0
            ),
        }
        results = []
        for name, plan in plans.items():
            if given.only in (None, name):
                results.append(plan())
                print(json.dumps(results[-1]), flush=True)
    if given.json:
        content = {"command": "python -m tools.bench_view --json docs/benchmarks/view.json", "results": results}
        given.json.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
