# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""README and docs name what exists: pages, sections, files, commands with their options, parameters."""

from __future__ import annotations

import ast
import importlib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
import typer
from support.pages import FENCE, PAGES, ROOT, SPAN, code, ids, prose, words

from aux_motion.nodes.parameters import NodeParameters

#: Commands that hand their options on to an app of their own.
OWN_APPS = {"run": "aux_motion.commands.run", "track": "aux_motion.commands.track", "ssm": "aux_motion.commands.ssm"}
PROGRAM = re.compile(
    r"(?:^|[\s;/])(?:aux-motion|python3? -m (?P<module>training[\w.]*|aux_motion[\w.]*))(?P<rest>(?=\s|$).*)"
)
FILE = re.compile(
    r"^(?:aux_motion|aux_motion_core|training|tests|tools|config|docs|examples|launch|models|samples)/[\w./-]+\.\w+$"
)
NAME = re.compile(r"^(?:aux_motion|aux_motion_core|training)(?:\.\w+)+(?=$|\()")


def invocations(text: str) -> Iterator[tuple[str, list[str]]]:
    """(module or "aux-motion", its words) of every command that a page names."""
    for line in code(text):
        if found := PROGRAM.search(line):
            yield found["module"] or "aux-motion", words(found["rest"])


def module_command(name: str) -> click.Command:
    """The command line of `python -m <name>`."""
    module = importlib.import_module(name)
    if isinstance(app := getattr(module, "app", None), typer.Typer):
        return typer.main.get_command(app)
    run = re.search(r"typer\.run\((\w+)\)", Path(str(module.__file__)).read_text(encoding="utf-8"))
    assert run is not None, f"python -m {name} has no command line"
    function = getattr(module, run[1])
    app = typer.Typer()
    app.command()(function)
    return typer.main.get_command(app)


def resolve(program: str, given: list[str]) -> tuple[click.Command, list[str]]:
    """The command that is meant, and the words behind its name."""
    if program != "aux-motion":
        pytest.importorskip("torch", reason="the extra `training` is not installed")
        command = module_command(program)
    elif given and given[0] in OWN_APPS:
        return module_command(OWN_APPS[given[0]]), given[1:]
    else:
        command = module_command("aux_motion.cli")
    if not isinstance(command, click.Group) and not hasattr(command, "commands"):
        return command, given
    if not given or given[0].startswith("-"):
        return command, given
    inner = command.commands.get(given[0])
    assert inner is not None, f"{program} has no command {given[0]!r}: it has {sorted(command.commands)}"
    return inner, given[1:]


def unknown_options(program: str, given: list[str]) -> list[str]:
    """Options that are named and that the command does not have."""
    command, rest = resolve(program, given)
    names = {"--help"}
    for parameter in command.params:
        names |= {*parameter.opts, *parameter.secondary_opts}
    named = [word.split("=")[0] for word in rest if re.match(r"--?[a-zA-Z]", word)]
    return [name for name in named if name not in names]


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub and MkDocs make them."""
    headings = re.findall(r"^#+ +(.+)$", FENCE.sub("", page.read_text(encoding="utf-8")), re.M)
    return {re.sub(r"[-\s]+", "-", re.sub(r"[^\w\s-]", "", h).strip().lower()) for h in headings}


def test_the_readme_is_short_and_names_the_two_commands() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert len(readme.splitlines()) <= 130
    assert "make demo" in readme and "make test" in readme


@pytest.mark.parametrize("page", PAGES, ids=ids)
def test_links_lead_somewhere(page: Path) -> None:
    broken = []
    for target in re.findall(r"\]\(([^)\s]+)\)", prose(page.read_text(encoding="utf-8"))):
        if re.match(r"https?://", target):
            continue
        path, _, anchor = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        if not file.exists() or (anchor and anchor not in anchors(file)):
            broken.append(target)
    assert not broken


@pytest.mark.parametrize("page", PAGES, ids=ids)
def test_commands_have_the_options_that_are_named(page: Path) -> None:
    wrong = []
    for program, given in invocations(page.read_text(encoding="utf-8")):
        wrong += [f"{program} {' '.join(given)}: no {name}" for name in unknown_options(program, given)]
    assert not wrong


def test_the_search_for_commands_finds_them() -> None:
    found = [i for page in PAGES for i in invocations(page.read_text(encoding="utf-8"))]
    assert {"aux-motion", "training.train", "training.fitting.out_of_fold"} <= {program for program, _ in found}
    assert {"run", "ssm", "evaluate", "record", "view"} <= {g[0] for p, g in found if p == "aux-motion" and g}
    assert len(found) > 100


def test_a_wrong_option_and_a_wrong_command_are_found() -> None:
    assert unknown_options("aux-motion", ["evaluate", "x.mcap", "--out", "y", "--no-such"]) == ["--no-such"]
    assert unknown_options("aux-motion", ["run", "-p", "mix:=true", "-q"]) == ["-q"]
    with pytest.raises(AssertionError, match="no command 'guess'"):
        unknown_options("aux-motion", ["guess"])


@pytest.mark.parametrize("page", PAGES, ids=ids)
def test_parameters_behind_p_exist(page: Path) -> None:
    for program, given in invocations(page.read_text(encoding="utf-8")):
        if program == "aux-motion" and given[:1] == ["run"]:
            named = {word.split(":=")[0] for word in given if ":=" in word}
            assert named <= set(NodeParameters.model_fields)


@pytest.mark.parametrize("page", PAGES, ids=ids)
def test_launch_files_take_the_arguments_that_are_named(page: Path) -> None:
    for line in code(page.read_text(encoding="utf-8")):
        if found := re.search(r"ros2 launch aux_motion (\S+\.py)(.*)", line):
            included = ["predict.launch.py", "ssm.launch.py"] if found[1] == "cell.launch.py" else []
            texts = set()
            for file in (found[1], *included):
                tree = ast.parse((ROOT / "launch" / file).read_text(encoding="utf-8"))
                texts |= {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant)}
            assert {word.split(":=")[0] for word in words(found[2]) if ":=" in word} <= texts


@pytest.mark.parametrize("page", PAGES, ids=ids)
def test_make_has_the_targets_that_are_named(page: Path) -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z]+):", makefile, re.M))
    for line in code(page.read_text(encoding="utf-8")):
        if found := re.match(r"\s*make ([a-z]+)\b(?! \w+ \w)", line):
            assert found[1] in targets


@pytest.mark.parametrize("page", PAGES, ids=ids)
def test_files_that_are_named_exist(page: Path) -> None:
    named = {span for span in SPAN.findall(FENCE.sub("", page.read_text(encoding="utf-8"))) if FILE.match(span)}
    made = {name for name in named if name.startswith("models/mine")}  # what the reader's own commands write
    assert not [name for name in sorted(named - made) if not (ROOT / name).exists()]


@pytest.mark.parametrize("page", PAGES, ids=ids)
def test_modules_and_their_names_that_are_named_exist(page: Path) -> None:
    missing = []
    for span in SPAN.findall(FENCE.sub("", page.read_text(encoding="utf-8"))):
        if found := NAME.match(span):
            parts = found[0].split(".")
            if parts[0] == "training":
                pytest.importorskip("torch", reason="the extra `training` is not installed")
            if not any(has(".".join(parts[:n]), parts[n:]) for n in range(len(parts), 0, -1)):
                missing.append(found[0])
    assert not missing


def has(module: str, names: list[str]) -> bool:
    """Whether there is such a module with such a name in it."""
    try:
        thing = importlib.import_module(module)
    except ModuleNotFoundError:
        return False
    for name in names:
        if not hasattr(thing, name):
            return False
        thing = getattr(thing, name)
    return True


@pytest.mark.parametrize("page", PAGES, ids=ids)
def test_python_examples_compile_and_import_what_exists(page: Path) -> None:
    for _, language, source in FENCE.findall(page.read_text(encoding="utf-8")):
        if language != "python":
            continue
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.ImportFrom) and node.module:
                if node.module.startswith("training"):
                    pytest.importorskip("torch", reason="the extra `training` is not installed")
                module = importlib.import_module(node.module)
                assert all(hasattr(module, alias.name) for alias in node.names)


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, str]]:
    """A folder as a reader has it, with recordings of the names that the pages use; and its environment."""
    folder = tmp_path_factory.mktemp("desk")
    for name in ("config", "models", "examples", "training"):
        (folder / name).symlink_to(ROOT / name)
    (folder / "recordings" / "monday_1").mkdir(parents=True)
    sample = ROOT / "samples" / "sports2d_demo.mcap"
    for name in ("recording.mcap", "my_recording.mcap", "monday.mcap", "recordings/monday_1/monday_1.mcap"):
        shutil.copy(sample, folder / name)
    programs = folder / "bin"
    programs.mkdir()
    for name, what in (("aux-motion", '-m aux_motion.cli "$@"'), ("python", '"$@"')):
        (programs / name).write_text(f'#!/bin/sh\nexec "{sys.executable}" {what}\n', encoding="utf-8")
        (programs / name).chmod(0o755)
    path = f"{programs}{os.pathsep}{os.environ['PATH']}"
    return folder, {**os.environ, "PATH": path, "PYTHONPATH": str(ROOT)}


def marked(page: Path) -> list[str]:
    """The blocks of a page behind a comment `runs`."""
    return re.findall(r"<!-- runs -->\n+```bash\n(.*?)```", page.read_text(encoding="utf-8"), re.S)


@pytest.mark.slow
@pytest.mark.parametrize("page", [page for page in PAGES if marked(page)], ids=ids)
def test_marked_blocks_run(page: Path, desk: tuple[Path, dict[str, str]]) -> None:
    folder, env = desk
    for block in marked(page):
        done = subprocess.run(
            ["bash", "-eu", "-c", block], cwd=folder, env=env, capture_output=True, text=True, timeout=100
        )
        assert done.returncode == 0, f"{block}\n{done.stdout}\n{done.stderr}"
        assert done.stdout.strip()


def test_there_are_marked_blocks() -> None:
    assert {"README.md", "docs/index.md", "docs/evaluation.md"} <= {ids(page) for page in PAGES if marked(page)}


def test_the_site_builds_without_a_broken_link(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("mkdocs", reason="the extra `docs` is not installed")
    pytest.importorskip("material", reason="the extra `docs` is not installed")
    monkeypatch.setenv("NO_MKDOCS_2_WARNING", "1")  # an advertisement in the output
    from mkdocs.commands.build import build
    from mkdocs.config import load_config

    build(load_config(str(ROOT / "mkdocs.yml"), strict=True, site_dir=str(tmp_path)))  # raises Abort at a warning
    pages = {page.stem for page in tmp_path.glob("*.html")}
    assert {page.stem for page in PAGES if page.parent != ROOT} | {"contributing"} <= pages
