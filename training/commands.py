# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""What all commands of training share: errors of the library become one line and an exit code."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import typer

#: What library functions raise on wrong input, a full disk or a loss that is not finite.
EXPECTED = (OSError, ValueError, FloatingPointError)


@contextmanager
def guard(command: str, code: int = 1) -> Iterator[None]:
    """End the command with one line `command: reason` where the library raises one of `EXPECTED`.

    Args:
        command: the module's name, which the line begins with.
        code: exit code.

    Raises:
        SystemExit: with the line, for `code` 1.
        typer.Exit: with another code; the line goes to standard error.
    """
    try:
        yield
    except EXPECTED as e:
        if code == 1:
            raise SystemExit(f"{command}: {e}") from None
        typer.echo(f"{command}: {e}", err=True)
        raise typer.Exit(code) from None
