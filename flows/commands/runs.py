"""``runs``: what runs there are, and how each ended.

Public names: ``list_runs``.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

import click

from deidflow.tasks.core.errors import InvalidInput
from deidflow.tasks.core.files.plain_files import trouble_with
from deidflow.tasks.core.ledger.ledger import FILE_NAME
from deidflow.tasks.core.outcomes import Outcome
from deidflow.tasks.steps.run.settings import runs_dir_of

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_SUMMARY: Final = "summary.json"
_REPORT: Final = "report.html"
_HEADER: Final = ("begun (UTC)", "verdict", "rows", "instances", "run folder")


def list_runs(place: Path, *, as_json: bool = False) -> None:
    """Print the runs of a folder, the newest last.

    Args:
        place: The folder with the run folders, or a config whose ``report.runs_dir`` it is.
        as_json: Print a JSON array with one object for each run instead.

    Raises:
        InvalidInput: The place cannot be read.

    """
    folder = place if place.is_dir() else runs_dir_of(place)
    try:
        if not place.is_dir():
            place.stat()
        folders = [path for path in folder.iterdir() if (path / FILE_NAME).exists()] if folder.is_dir() else []
    except OSError as error:
        raise InvalidInput(trouble_with(place, error)) from None
    runs = sorted(map(_described, folders), key=lambda run: (run["started"] or "~", run["run_id"]))
    if as_json:
        click.echo(json.dumps(runs, indent=2))
    elif not runs:
        click.echo(f"no runs in {folder}")
    else:
        table = [_HEADER, *map(_line, runs)]
        widths = [max(map(len, column)) for column in zip(*table, strict=True)]
        for line in table:
            cells = (cell.ljust(width) for cell, width in zip(line, widths, strict=True))
            click.echo("  ".join(cells).rstrip())


def _described(folder: Path) -> dict[str, Any]:
    """Return what is known of a run: from its summary, since the ledger may be at work."""
    try:
        found = json.loads((folder / _SUMMARY).read_text("utf-8"))
    except (OSError, ValueError):
        found = {}
    report = folder / _REPORT
    return {
        "run_id": folder.name,
        "run_dir": str(folder),
        "started": found.get("started"),
        "verdict": _verdict(found),
        "exit_code": found.get("exit_code"),
        "rows": found.get("rows", {}),
        "instances": found.get("instances", {}),
        "report": str(report) if report.exists() else None,
    }


def _verdict(summary: Mapping[str, Any]) -> str:
    if not summary:
        return "not finished"
    return "reconciled" if summary["reconciled"] else "not reconciled"


def _line(run: Mapping[str, Any]) -> tuple[str, ...]:
    started = (run["started"] or "").replace("T", " ")[:16]
    return started, run["verdict"], _counts(run["rows"]), _counts(run["instances"]), run["run_dir"]


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{counts[outcome]} {outcome}" for outcome in Outcome if counts.get(outcome)) or "none"
