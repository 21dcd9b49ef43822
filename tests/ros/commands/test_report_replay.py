# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""The report's replays of the worst moments: what they hold, how large pages get, and that they play in a browser."""

from __future__ import annotations

import base64
import json
import re
import time

import numpy as np
import pytest

from aux_motion.commands import evaluate
from aux_motion.commands.offline import Job, Reading
from aux_motion.commands.report_replay import clips, html
from aux_motion_core.bags.writer import BagWriter
from aux_motion_core.evaluation.worst import WorstMoment
from aux_motion_core.testing import synthetic
from aux_motion_core.types import SkeletonFrame
from tools import browser

UNSEEN = -32768


def write(path, frames):
    with BagWriter(path) as out:
        for frame in frames:
            out.write("/skeletons", frame, frame.stamp_ns)
    return path


def moment(frames, k, person=0):
    """A prediction that says that the person stays."""
    pose = frames[k].positions[person]
    at_s = (frames[k].stamp_ns - frames[0].stamp_ns) * 1e-9
    later = frames[k + 30].positions[person]
    return WorstMoment(
        frames[k].person_ids[person], frames[k].stamp_ns, at_s, 1.0, 0.5, {"zero_velocity": 0.5}, pose,
        np.ones(20, bool), pose, later, np.repeat(pose[None], 25, 0),
    )  # fmt: skip


def test_a_clip_is_what_was_seen_around_the_moment(tmp_path):
    frames = synthetic.frames(2, 6.0)
    reading = Reading(Job(bag=write(tmp_path / "walk.mcap", frames)))
    (clip,) = clips(reading.frames, frames[0].stamp_ns, [moment(frames, 90, 1)])
    assert clip.at_s == pytest.approx(np.arange(-15, 32) / 30, abs=1e-6)
    expected = np.stack([f.positions[1] for f in frames[75:122]])
    assert clip.seen == pytest.approx(expected, abs=1e-5)


def test_a_body_whose_id_changed_is_still_shown(tmp_path):
    frames = [
        f if k < 100 else SkeletonFrame(f.stamp_ns, f.frame_id, ("new", "other"), f.positions, f.status, f.confidence)
        for k, f in enumerate(synthetic.frames(2, 6.0))
    ]
    reading = Reading(Job(bag=write(tmp_path / "walk.mcap", frames)))
    (clip,) = clips(reading.frames, frames[0].stamp_ns, [moment(frames, 90)])
    assert len(clip.at_s) == 47
    assert clip.seen[-1] == pytest.approx(frames[121].positions[0], abs=1e-5)


def test_moments_that_are_near_each_other_are_read_together(tmp_path):
    frames = synthetic.frames(2, 30.0)
    reading = Reading(Job(bag=write(tmp_path / "walk.mcap", frames)))
    begun = []

    def counted(start_ns):
        begun.append(start_ns)
        yield from reading.frames(start_ns)

    moments = [moment(frames, 800, 1), moment(frames, 90), moment(frames, 110, 1), moment(frames, 95)]
    together = clips(counted, frames[0].stamp_ns, moments)
    assert len(begun) == 2
    for found, one in zip(together, moments, strict=True):
        (alone,) = clips(reading.frames, frames[0].stamp_ns, [one])
        assert found.moment is one and np.array_equal(found.at_s, alone.at_s)
        assert np.array_equal(found.seen, alone.seen, equal_nan=True) and len(found.at_s) == 47


def test_fast_trackers_are_thinned_out(tmp_path):
    frames = synthetic.frames(1, 4.0, rate_hz=120.0)
    reading = Reading(Job(bag=write(tmp_path / "walk.mcap", frames)))
    (clip,) = clips(reading.frames, frames[0].stamp_ns, [moment(frames, 240)])
    assert 35 < len(clip.at_s) < 55 and np.diff(clip.at_s).min() >= 0.03


def test_the_page_holds_the_numbers_to_the_millimetre(tmp_path):
    frames = synthetic.frames(1, 6.0)
    status = frames[80].status.copy()
    status[0, 5] = 0
    frames[80] = SkeletonFrame(frames[80].stamp_ns, "map", frames[80].person_ids, frames[80].positions, status,
                               frames[80].confidence)  # fmt: skip
    reading = Reading(Job(bag=write(tmp_path / "walk.mcap", frames)))
    (clip,) = clips(reading.frames, frames[0].stamp_ns, [moment(frames, 90)])
    text = html([clip], 0.04)
    (data,) = json.loads(re.search(r'id="replay-data">(.*?)</script>', text)[1])
    origin = clip.moment.present.mean(0)

    def unpack(name):
        return np.frombuffer(base64.b64decode(data[name]), "<i2").reshape(-1, 20, 3)

    seen, path = unpack("seen"), unpack("path")
    assert len(seen) == len(data["times"]) == 47 and len(path) == 26
    hidden = seen == UNSEEN
    assert hidden[5, 5].all() and hidden.sum() == 3  # the joint that was not seen
    assert seen[~hidden] * 1e-3 == pytest.approx((clip.seen - origin)[~hidden], abs=6e-4)
    assert path[0] * 1e-3 == pytest.approx(clip.moment.present - origin, abs=6e-4)
    assert "http" not in text and html([], 0.04) == ""


def test_names_cannot_break_the_page(tmp_path):
    frames = [
        SkeletonFrame(f.stamp_ns, "map", ("</script><b>",), f.positions, f.status, f.confidence)
        for f in synthetic.frames(1, 6.0)
    ]
    reading = Reading(Job(bag=write(tmp_path / "walk.mcap", frames)))
    text = html(clips(reading.frames, frames[0].stamp_ns, [moment(frames, 90)]), 0.04)
    assert text.count("</script>") == 2 and "<\\/script>" in text  # only its own two


def page_of(minutes, folder):
    """The page of two people whose ids change, with gaps."""
    frames = []
    for k, f in enumerate(synthetic.frames(2, 60.0 * minutes, rate_hz=4.0)):
        if k % 97 < 5:
            continue  # gaps
        names = tuple(f"{i}_{k // 80}" for i in f.person_ids)
        frames.append(SkeletonFrame(f.stamp_ns, f.frame_id, names, f.positions, f.status, f.confidence))
    job = {"progress": False, "annotated": False, "compare": False, "values": {"backend": "damped_pose"}}
    bag = write(folder / f"{minutes}.mcap", frames)
    evaluate.main([bag], folder / f"{minutes}", job, [], 1, lambda _: None, lambda _: None)
    return (folder / f"{minutes}" / "report.html").read_text()


def test_the_page_of_a_long_bag_stays_small(tmp_path):
    """Twice as long a bag has no larger page: what grows with the length would show."""
    pytest.importorskip("matplotlib", reason="matplotlib is not installed")
    page, longer = (page_of(minutes, tmp_path) for minutes in (5, 10))
    for text in (page, longer):
        assert "replay-data" in text and text.count('class="replay"') == 8
    assert len(longer.encode()) < 1.1 * len(page.encode()) < 1_500_000  # 5 MB are allowed


# In a browser


@pytest.fixture(scope="module")
def report(root, tmp_path_factory):
    """The sample's report, and a browser."""
    if browser.missing():
        pytest.skip(browser.missing())
    pytest.importorskip("matplotlib", reason="matplotlib is not installed")
    out = tmp_path_factory.mktemp("report")
    job = {"progress": False, "annotated": False, "compare": False}
    evaluate.main([root / "samples" / "sports2d_demo.mcap"], out, job, [], 1, lambda _: None, lambda _: None)
    driver = browser.open_browser((1000, 800))
    driver.get(f"file://{out / 'report.html'}")
    yield driver
    driver.quit()


def ink(driver, n=0):
    """Sum of all pixels of a replay's canvas."""
    return driver.execute_script(
        "const c = document.querySelectorAll('.replay canvas')[arguments[0]];"
        "return c.getContext('2d').getImageData(0, 0, c.width, c.height).data.reduce((a, b) => a + b, 0)", n,
    )  # fmt: skip


def test_replays_are_drawn_and_play(report):
    count = report.execute_script("return window.__replays.length")
    assert count >= 4
    assert all(ink(report, n) > 1000 for n in range(count))
    before = ink(report)
    report.execute_script("document.querySelector('.replay button').click()")
    time.sleep(1.0)
    t = report.execute_script("return window.__replays[0].t")
    assert -0.5 < t < 1.0 and ink(report) != before
    assert report.execute_script("return window.__replays[1].t") == 1.0  # the others stay
    report.execute_script(
        "const s = document.querySelector('.replay input'); s.value = 0.2; s.dispatchEvent(new Event('input'))"
    )
    assert report.execute_script("return [window.__replays[0].t, window.__replays[0].playing]") == [0.2, False]
    assert not browser.errors(report)


def test_dark_mode_and_phones(report):
    def background():
        return report.execute_script("return getComputedStyle(document.body).backgroundColor")

    assert background() == "rgb(255, 255, 255)"
    dark = {"features": [{"name": "prefers-color-scheme", "value": "dark"}]}
    report.execute_cdp_cmd("Emulation.setEmulatedMedia", dark)
    assert background() == "rgb(20, 23, 30)"
    phone = {"width": 390, "height": 844, "deviceScaleFactor": 2, "mobile": True}
    report.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", phone)
    assert report.execute_script("return document.documentElement.scrollWidth") <= 390
    assert ink(report) > 1000
    report.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})
    report.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
