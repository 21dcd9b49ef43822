# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""A real browser for tests and benchmarks: chromium by Selenium, without a window, a graphics card or a network."""

from __future__ import annotations

import shutil
import time
from typing import Any

#: Counts the frames in which something was drawn, in every canvas of a page.
_COUNT_FRAMES = """
(() => {
  let drawn = false; window.__drawn = 0; window.__ticks = 0;
  for (const kind of [window.WebGL2RenderingContext, window.WebGLRenderingContext]) {
    if (!kind) continue;
    for (const name of ['drawArrays', 'drawElements', 'drawArraysInstanced', 'drawElementsInstanced',
                        'drawRangeElements']) {
      const draw = kind.prototype[name];
      if (draw) kind.prototype[name] = function (...a) { drawn = true; return draw.apply(this, a); };
    }
  }
  const tick = () => { window.__ticks++; if (drawn) { window.__drawn++; drawn = false; }
                       requestAnimationFrame(tick); };
  requestAnimationFrame(tick);
})();
"""
_ARGUMENTS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-dev-shm-usage",
    "--disable-gpu",  # as on a machine without a graphics card: pages and WebGL are drawn by the processor
    "--enable-unsafe-swiftshader",
    # no other host than this one
    "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1 , EXCLUDE localhost",
)


def missing() -> str:
    """Why there is no browser here, in one line; empty where there is one."""
    try:
        import selenium  # noqa: F401
    except ImportError:
        return "selenium is not installed (pip install 'aux_motion[test]')"
    for program in ("chromium", "chromedriver"):
        if shutil.which(program) is None:
            return f"{program} is not installed (apt install chromium chromium-driver)"
    return ""


def open_browser(size: tuple[int, int] = (1280, 720), more: tuple[str, ...] = ()) -> Any:
    """Chromium with a window of so many pixels; call `quit` on it.

    Args:
        size: width and height.
        more: further arguments of chromium.
    """
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    for argument in (*_ARGUMENTS, f"--window-size={size[0]},{size[1]}", *more):
        options.add_argument(argument)
    options.binary_location = shutil.which("chromium")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(shutil.which("chromedriver")))
    driver.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": _COUNT_FRAMES})
    return driver


def errors(driver: Any) -> list[str]:
    """Lines of the console that say that something is wrong."""
    return [e["message"] for e in driver.get_log("browser") if e["level"] == "SEVERE"]


def processor_s(pid: int) -> float:
    """Processor time of a process and its children, seconds."""
    import psutil

    top, total = psutil.Process(pid), 0.0
    for process in [top, *top.children(recursive=True)]:
        try:
            times = process.cpu_times()
        except psutil.Error:
            continue
        total += times.user + times.system
    return total


def resident_mib(pid: int) -> float:
    """Memory of a process and its children, shared pages shared out."""
    import psutil

    top, total = psutil.Process(pid), 0
    for process in [top, *top.children(recursive=True)]:
        try:
            total += process.memory_full_info().pss
        except psutil.Error:
            continue
    return round(total / 2**20, 0)


def frames_a_second(driver: Any, seconds: float = 5.0) -> dict[str, float]:
    """How often the page drew, and the browser's processor time for a frame: what other work on the machine leaves."""
    read = "return [window.__drawn, window.__ticks, performance.now()]"
    browser = driver.service.process.pid
    first, cpu_s = driver.execute_script(read), processor_s(browser)
    time.sleep(seconds)
    last, cpu_s = driver.execute_script(read), processor_s(browser) - cpu_s
    took_s = 1e-3 * (last[2] - first[2])
    drawn = last[0] - first[0]
    return {
        "drawn_hz": round(drawn / took_s, 1),
        "animation_hz": round((last[1] - first[1]) / took_s, 1),
        "browser_cpu_ms_per_frame": round(1e3 * cpu_s / max(drawn, 1), 1),
        "browser_cpu_share": round(cpu_s / took_s, 2),
    }
