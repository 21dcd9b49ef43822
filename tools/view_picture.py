# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""The picture of the page of `aux-motion view` in the documents: the sample beside the example robot.

    python -m tools.view_picture --out docs/images/view.png

Needs the extras `view` and `test`, chromium and chromium-driver.
"""

from __future__ import annotations

import argparse
import io
import threading
import time
from pathlib import Path

from PIL import Image

from aux_motion.commands.view.command import opened
from aux_motion.commands.view.page import Page, serve
from aux_motion.commands.view.recording import Recording
from aux_motion.commands.view.robots import placed
from tools import browser

_ROOT = Path(__file__).resolve().parent.parent


def main() -> None:
    """Draw it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("docs/images/view.png"))
    parser.add_argument("--at", type=float, default=2.4, help="second of the sample")
    parser.add_argument("--horizon", default="0.2 s ahead")
    given = parser.parse_args()
    robot = placed(_ROOT / "config" / "robot_example.yaml", "8.6 0.9 0 0")
    recording = Recording(opened(_ROOT / "samples" / "sports2d_demo.mcap", {}), robot)
    server = serve("127.0.0.1", 0)
    page = Page(server, recording, given.at)
    page._panel._horizon.value = given.horizon
    page._panel._baseline.value = "damped pose"
    thread = threading.Thread(target=page.run, daemon=True)
    thread.start()
    driver = browser.open_browser((1440, 860), ("--force-device-scale-factor=1",))
    try:
        driver.get(f"http://127.0.0.1:{server.get_port()}")
        time.sleep(15.0)
        for button in driver.find_elements("css selector", ".mantine-Notification-closeButton"):
            button.click()  # that WebGL is drawn by the processor here
        time.sleep(3.0)
        picture = Image.open(io.BytesIO(driver.get_screenshot_as_png())).convert("RGB")
        picture.save(given.out, optimize=True)
        print(f"written: {given.out} ({given.out.stat().st_size / 1e3:.0f} kB)")
    finally:
        page.stop.set()
        thread.join()
        driver.quit()
        recording.close()
        server.stop()


if __name__ == "__main__":
    main()
