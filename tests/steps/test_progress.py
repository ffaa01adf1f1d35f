"""How far long work is: lines for logs, a bar on a terminal."""

from __future__ import annotations

import io
import sys
from typing import TYPE_CHECKING

from deidflow.tasks.steps.run import progress as module
from deidflow.tasks.steps.run.progress import make_progress

if TYPE_CHECKING:
    import pytest


def test_lines(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Each step ends with a line; a long one says now and then how much is left."""
    monkeypatch.setattr(module, "_SECONDS_BETWEEN_LINES", 0.0)
    with make_progress() as progress:
        progress.start("reading")
        progress.start("editing", 4)
        progress.advance(2)
        progress.advance(2)

    first, second, third, last = capsys.readouterr().err.splitlines()
    assert first.startswith("reading (")
    assert second.startswith("editing: 2 / 4, ")
    assert second.endswith(" s left")
    assert third.startswith("editing: 4 / 4, ")
    assert last.startswith("editing: 4 / 4, ")


def test_quiet(capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing at all."""
    with make_progress(quiet=True) as progress:
        progress.start("editing", 4)
        progress.advance(4)

    assert ("", "") == capsys.readouterr()


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    """A terminal shows name and counts of each step."""
    terminal = _Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")
    with make_progress() as progress:
        progress.start("editing", 4)
        progress.advance(3)
        progress.finish()
        progress.start("verifying")
        progress.advance()

    shown = terminal.getvalue()
    assert "editing" in shown
    assert "3/3" in shown
    assert "verifying" in shown
