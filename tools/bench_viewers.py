# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""Compares viser and rerun as the page of `aux-motion view`: start, memory, frames a second, without a network.

    python -m tools.bench_viewers --json docs/benchmarks/viewers.json --viser PYTHON --rerun PYTHON

Each library is installed in an environment of its own. A child process serves the same moving scene: people as lines,
25 poses ahead of them as points, and the bound as capsules, 30 times a second. Chromium looks at it, without a window,
without a graphics card and with every host but this one unreachable. Needs selenium, psutil and Debian's chromium.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

_SEGMENTS, _STEPS, _RATE_HZ = 17, 25, 30.0

# The scene, in a child with the library


def _people(count: int, at_s: float) -> tuple[Any, Any, Any]:
    """Skeletons (count, 19, 2, 3), poses ahead (count, steps, 20, 3) and capsule ends (count, segments, 2, 3)."""
    import numpy as np

    rng = np.random.default_rng(0)
    pose = rng.uniform((-0.4, -0.4, 0.0), (0.4, 0.4, 1.8), (count, 20, 3))
    pose[..., 0] += 1.5 * np.arange(count)[:, None] + 0.5 * np.sin(at_s)
    pose[..., 2] += 0.05 * np.sin(3.0 * at_s)
    bones = np.stack([pose[:, :-1], pose[:, 1:]], 2)
    ahead = pose[:, None] + 0.01 * np.arange(1, _STEPS + 1)[None, :, None, None]
    return bones, ahead, np.stack([pose[:, :_SEGMENTS], pose[:, 1 : _SEGMENTS + 1]], 2)


def serve_viser(people: int, port: int) -> None:
    """The scene in viser, until the process is ended."""
    import numpy as np
    import trimesh
    import viser

    server = viser.ViserServer(host="127.0.0.1", port=port, verbose=False)
    server.scene.set_up_direction("+z")
    ball, tube = trimesh.creation.icosphere(subdivisions=1), trimesh.creation.cylinder(1.0, 1.0, sections=12)
    n = people * _SEGMENTS

    def shapes(capsules: Any) -> tuple[Any, Any, Any, Any]:
        ends = capsules.reshape(-1, 2, 3)
        along = ends[:, 1] - ends[:, 0]
        length = np.linalg.norm(along, axis=1)
        axis = along / length[:, None]
        turn = np.concatenate([1.0 + axis[:, 2:], -axis[:, 1:2], axis[:, :1], np.zeros((len(axis), 1))], 1)
        turn /= np.linalg.norm(turn, axis=1, keepdims=True)
        scale = np.stack([np.full(n, 0.12), np.full(n, 0.12), length], 1)
        return ends.reshape(-1, 3), ends.mean(1), turn, scale

    bones, ahead, capsules = _people(people, 0.0)
    points, middle, turn, scale = shapes(capsules)
    lines = server.scene.add_line_segments("/now", bones.reshape(-1, 2, 3), (40, 120, 200), line_width=4)
    cloud = server.scene.add_point_cloud("/ahead", ahead.reshape(-1, 3), (230, 110, 80), point_size=0.02)
    upright = np.tile([1.0, 0.0, 0.0, 0.0], (2 * n, 1))
    balls = server.scene.add_batched_meshes_simple(
        "/balls",
        ball.vertices,
        ball.faces,
        upright,
        points,
        batched_scales=np.full(2 * n, 0.12),
        batched_colors=(90, 160, 90),
        opacity=0.3,
    )
    tubes = server.scene.add_batched_meshes_simple(
        "/tubes",
        tube.vertices,
        tube.faces,
        turn,
        middle,
        batched_scales=scale,
        batched_colors=(90, 160, 90),
        opacity=0.3,
    )
    print("serving", flush=True)
    start = time.monotonic()
    for k in range(10**9):
        bones, ahead, capsules = _people(people, time.monotonic() - start)
        points, middle, turn, scale = shapes(capsules)
        with server.atomic():
            lines.points, cloud.points = bones.reshape(-1, 2, 3), ahead.reshape(-1, 3)
            balls.batched_positions = points
            tubes.batched_positions, tubes.batched_wxyzs, tubes.batched_scales = middle, turn, scale
        time.sleep(max(0.0, start + (k + 1) / _RATE_HZ - time.monotonic()))


def serve_rerun(people: int, port: int) -> None:
    """The scene in rerun, until the process is ended."""
    import numpy as np
    import rerun as rr

    rr.init("aux_motion_trial")
    url = rr.serve_grpc(grpc_port=port + 1, server_memory_limit="1GB")
    rr.serve_web_viewer(web_port=port, open_browser=False, connect_to=url)
    rr.log("/", rr.ViewCoordinates.RIGHT_HAND_Z_UP, static=True)
    print("serving", flush=True)
    start = time.monotonic()
    for k in range(10**9):
        at_s = time.monotonic() - start
        bones, ahead, capsules = _people(people, at_s)
        ends = capsules.reshape(-1, 2, 3)
        along = ends[:, 1] - ends[:, 0]
        length = np.linalg.norm(along, axis=1)
        axis = along / length[:, None]
        turn = np.concatenate([-axis[:, 1:2], axis[:, :1], np.zeros((len(axis), 1)), 1.0 + axis[:, 2:]], 1)
        turn /= np.linalg.norm(turn, axis=1, keepdims=True)
        rr.set_time("time", duration=at_s)
        rr.log("now", rr.LineStrips3D(bones.reshape(-1, 2, 3), colors=(40, 120, 200), radii=0.01))
        rr.log("ahead", rr.Points3D(ahead.reshape(-1, 3), colors=(230, 110, 80), radii=0.01))
        rr.log(
            "bound",
            rr.Capsules3D(
                lengths=length, radii=np.full(len(ends), 0.12), translations=ends[:, 0],
                quaternions=turn, colors=(90, 160, 90, 80), fill_mode=rr.components.FillMode.Solid,
            ),
        )  # fmt: skip
        time.sleep(max(0.0, start + (k + 1) / _RATE_HZ - time.monotonic()))


# The trial


def trial(name: str, python: str, people: int, port: int, picture: Path | None) -> dict[str, Any]:
    """Start, memory and frames of one library."""
    command = [python, __file__, "--serve", name, "--people", str(people), "--port", str(port)]
    began = time.monotonic()
    child = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    from tools.browser import errors, frames_a_second, open_browser, resident_mib

    driver = None
    try:
        if not any(line.strip() == "serving" for line in child.stdout):
            raise RuntimeError(f"{name} did not start")
        serving_s = time.monotonic() - began
        driver = open_browser()
        opened = time.monotonic()
        address = f"http://127.0.0.1:{port}"
        if name == "rerun":
            address += f"?url=rerun%2Bhttp://127.0.0.1:{port + 1}/proxy&renderer=webgl"
        driver.get(address)
        while driver.execute_script("return window.__drawn || 0") < 5:
            if time.monotonic() - opened > 60.0:
                raise RuntimeError(f"{name} drew nothing within 60 s")
            time.sleep(0.02)
        drawn_s = time.monotonic() - opened
        time.sleep(6.0)
        frames = frames_a_second(driver)
        wrong = [line[:200] for line in errors(driver)]
        if picture:
            driver.save_screenshot(str(picture / f"{name}_{people}.png"))
        browser = driver.service.process.pid
        return {
            "library": name, "people": people, "serving_s": round(serving_s, 2), "first_frames_s": round(drawn_s, 2),
            **frames, "server_mib": resident_mib(child.pid), "browser_mib": resident_mib(browser), "errors": wrong,
        }  # fmt: skip
    finally:
        if driver is not None:
            driver.quit()
        child.kill()
        child.wait()


def _installed_mib(python: str) -> float:
    found = subprocess.run(
        [python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"], capture_output=True, text=True
    )
    size = subprocess.run(["du", "-sm", "--exclude=pip", found.stdout.strip()], capture_output=True, text=True)
    return float(size.stdout.split()[0])


def main() -> None:
    """Run the trials."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--pictures", type=Path)
    parser.add_argument("--viser", help="Python with viser and trimesh")
    parser.add_argument("--rerun", help="Python with rerun-sdk")
    parser.add_argument("--serve", choices=("viser", "rerun"))
    parser.add_argument("--people", type=int, default=4)
    parser.add_argument("--port", type=int, default=8091)
    given = parser.parse_args()
    if given.serve:
        {"viser": serve_viser, "rerun": serve_rerun}[given.serve](given.people, given.port)
        return
    results = []
    for name in ("viser", "rerun"):
        python = getattr(given, name)
        if python:
            found = trial(name, python, given.people, given.port, given.pictures)
            found["installed_mib"] = _installed_mib(python)
            print(json.dumps(found), flush=True)
            results.append(found)
    if given.json:
        given.json.write_text(json.dumps({"command": sys.argv[1:], "results": results}, indent=1) + "\n")


if __name__ == "__main__":
    main()
