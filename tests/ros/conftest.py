# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""Shared by the tests of the ROS side: a private domain, a probe on it, and node processes that end with the test."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:  # without ROS the tests are skipped
    from support.node_harness import NodeProcess, Probe


@pytest.fixture
def domain() -> int:
    """A domain that nobody else here uses."""
    from support.node_harness import private_domain

    return private_domain()


@pytest.fixture
def probe(domain: int) -> Iterator[Probe]:
    """A probe on the test's domain."""
    from support.node_harness import Probe

    probe = Probe(domain)
    yield probe
    probe.close()


@pytest.fixture
def start(domain: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., NodeProcess]]:
    """Start the node with these parameters, or a command, on the test's domain; all end with the test."""
    from support.node_harness import NodeProcess

    processes: list[NodeProcess] = []

    def run(command: list[str] | None = None, extra: dict[str, str] | None = None, **parameters: object) -> NodeProcess:
        for name, value in (extra or {}).items():  # in front of what the environment has
            monkeypatch.setenv(name, os.pathsep.join([value, *filter(None, [os.environ.get(name)])]))
        log = tmp_path / f"process{len(processes)}.log"
        processes.append(NodeProcess(domain, log, command, **parameters))
        return processes[-1]

    yield run
    for process in processes:
        process.stop(signal.SIGKILL)


@pytest.fixture
def watched_node(start: Callable[..., NodeProcess], probe: Probe) -> Callable[..., tuple[NodeProcess, Probe]]:
    """Start a node with autostart and these parameters; the probe notices when it ends."""

    def run(**parameters: object) -> tuple[NodeProcess, Probe]:
        node = start(autostart=True, **parameters)
        probe.watched.append(node)
        return node, probe

    return run
