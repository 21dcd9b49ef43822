# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""As much of `launch` and `launch_ros` as the launch files use, which have no wheels.

Arguments behave as there: one set of configurations, that includes share where no group scopes them; a declared default
counts only where nothing was set before. What would be started is noted. `tests/ros/real_launch.py` runs the real ones.
"""

from __future__ import annotations

import importlib.util
import sys
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any


class ArgumentError(RuntimeError):
    """A value that is none of the choices."""


@dataclass
class Context:
    """Configurations, and what was started."""

    launch_configurations: dict[str, str] = field(default_factory=dict)
    started: list[Any] = field(default_factory=list)

    def visit(self, action: Any) -> None:
        """As launch visits an action, and all that comes of it."""
        if isinstance(action, LaunchDescription):
            for part in action.entities:
                self.visit(part)
        elif isinstance(action, DeclareLaunchArgument):
            value = self.launch_configurations.setdefault(action.name, action.default_value)
            if value is None:
                raise ArgumentError(f"{action.name} is required")
            if action.choices and value not in action.choices:
                raise ArgumentError(f'Argument "{action.name}" provided value "{value}" is not valid')
        elif isinstance(action, OpaqueFunction):
            for part in action.function(self):
                self.visit(part)
        elif isinstance(action, IncludeLaunchDescription):
            self.launch_configurations.update(dict(action.launch_arguments))
            self.visit(description(action.source.path))
        else:
            self.started.append(action)


@dataclass
class LaunchDescription:
    entities: list[Any]


@dataclass
class DeclareLaunchArgument:
    name: str
    default_value: str | None = None
    description: str = ""
    choices: list[str] | None = None


@dataclass
class OpaqueFunction:
    function: Any


@dataclass
class PythonLaunchDescriptionSource:
    path: str


@dataclass
class IncludeLaunchDescription:
    source: PythonLaunchDescriptionSource
    launch_arguments: Any = ()


@dataclass
class LaunchConfiguration:
    name: str

    def perform(self, context: Context) -> str:
        return context.launch_configurations[self.name]


@dataclass
class ParameterValue:
    value: Any
    value_type: Any = None


class _Noted:
    """Something that is started, with its keywords."""

    def __init__(self, *arguments: Any, **keywords: Any) -> None:
        self.arguments, self.keywords = arguments, keywords

    def __getattr__(self, name: str) -> Any:
        return self.keywords[name]


class Node(_Noted):
    """Of launch_ros."""

    def parameter(self, name: str) -> Any:
        """Its value in the dictionaries, the last one winning; None: it is left to the files."""
        found = [p[name] for p in self.keywords["parameters"] if isinstance(p, dict) and name in p]
        value = found[-1] if found else None
        return value.value if isinstance(value, ParameterValue) else value

    @property
    def files(self) -> list[str]:
        """Names of the parameter files."""
        return [Path(p).name for p in self.keywords["parameters"] if isinstance(p, str)]


def _module(name: str, **members: Any) -> ModuleType:
    module = ModuleType(name)
    vars(module).update(members)
    return module


@contextmanager
def installed() -> Any:
    """The stand-ins as `launch` and `launch_ros`, for whatever is imported meanwhile."""
    noted = {n: type(n, (_Noted,), {}) for n in ("ExecuteProcess", "LogInfo", "RegisterEventHandler", "Shutdown")}
    noted |= {n: type(n, (_Noted,), {}) for n in ("TimerAction", "OnProcessExit")}
    here = {
        "launch": _module("launch", LaunchDescription=LaunchDescription),
        "launch.actions": _module(
            "launch.actions",
            DeclareLaunchArgument=DeclareLaunchArgument,
            IncludeLaunchDescription=IncludeLaunchDescription,
            OpaqueFunction=OpaqueFunction,
            **noted,
        ),
        "launch.event_handlers": _module("launch.event_handlers", **noted),
        "launch.launch_description_sources": _module(
            "sources", PythonLaunchDescriptionSource=PythonLaunchDescriptionSource
        ),
        "launch.substitutions": _module("launch.substitutions", LaunchConfiguration=LaunchConfiguration),
        "launch_ros": _module("launch_ros"),
        "launch_ros.actions": _module("launch_ros.actions", Node=Node),
        "launch_ros.parameter_descriptions": _module("descriptions", ParameterValue=ParameterValue),
    }
    gone = [*here, "aux_motion.nodes.launching"]  # that one imports them
    before = {name: sys.modules.pop(name, None) for name in gone}
    sys.modules.update(here)
    try:
        yield
    finally:
        for name, module in before.items():
            sys.modules.pop(name, None)
            if module is not None:
                sys.modules[name] = module


def module(path: str | Path) -> ModuleType:
    """A launch file, imported."""
    spec = importlib.util.spec_from_file_location(Path(path).name.replace(".", "_"), path)
    assert spec is not None and spec.loader is not None
    found = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(found)
    return found


def description(path: str | Path) -> LaunchDescription:
    """What a launch file describes."""
    return module(path).generate_launch_description()


def launch(*files: str | Path, **arguments: str) -> Context:
    """As one launch file that includes others without scopes, with arguments on the command line."""
    context = Context(dict(arguments))
    for file in files:
        context.visit(description(file))
    return context
