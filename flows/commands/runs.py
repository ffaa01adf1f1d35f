"""``runs``: what runs there are, and how each ended.

Public names: ``list_runs``, ``RunsAnswer``.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from deidflow.flows.answers.answer import Answer, give
from deidflow.tasks.core.errors import InvalidInput
from deidflow.tasks.core.files.plain_files import trouble_with
from deidflow.tasks.core.ledger.ledger import may_have_ledger
from deidflow.tasks.core.outcomes import Outcome
from deidflow.tasks.steps.run.run_folder import is_run_id
from deidflow.tasks.steps.run.settings import read_config

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

# As report.files has them, which takes half a second to load.
_SUMMARY: Final = "summary.json"
_REPORT: Final = "report.html"
_WITHOUT_VERDICT: Final = {None: "not finished", True: "reconciled", False: "not reconciled"}
"""Summaries of deidflow 0.1.0 say in no words how a run ended."""
_HEADER: Final = ("begun (UTC)", "verdict", "rows", "instances", "run folder")


@dataclass(frozen=True, slots=True)
class RunsAnswer(Answer):
    """The runs of a folder; the document is their array.

    Attributes:
        folder: That holds the run folders.
        runs: What is known of each, the newest last: ``run_id``, ``run_dir``, ``started``, ``verdict``, ``exit_code``,
            ``rows``, ``instances``, ``report``.

    """

    folder: Path
    runs: tuple[Mapping[str, Any], ...]

    def document(self) -> list[Mapping[str, Any]]:
        """Return what programs read."""
        return list(self.runs)

    def lines(self) -> Iterator[str]:
        """Yield what people read."""
        if not self.runs:
            yield f"no runs in {self.folder}"
            return
        table = [_HEADER, *map(_line, self.runs)]
        widths = [max(map(len, column)) for column in zip(*table, strict=True)]
        for line in table:
            cells = (cell.ljust(width) for cell, width in zip(line, widths, strict=True))
            yield "  ".join(cells).rstrip()


def list_runs(place: Path) -> None:
    """Answer with the runs of a folder.

    Args:
        place: The folder with the run folders, or a config whose ``report.runs_dir`` it is.

    Raises:
        InvalidInput: The place cannot be read, or is a file that is no config.

    """
    folder = place if place.is_dir() else _runs_dir_of(place)
    try:
        inside = [path for path in folder.iterdir() if is_run_id(path.name)] if folder.is_dir() else []
        folders = [path for path in inside if may_have_ledger(path)]
    except OSError as error:
        raise InvalidInput(trouble_with(place, error)) from None
    runs = sorted(map(_described, folders), key=lambda run: (run["started"] or "~", run["run_id"]))
    give(RunsAnswer(folder, tuple(runs)))


def _runs_dir_of(config_file: Path) -> Path:
    """Return where a config has its run folders; what else is wrong with it does not matter."""
    config, problems = read_config(config_file)
    if config is None or any(problem.key.startswith("report") for problem in problems):
        raise InvalidInput(problems)
    return config.report.runs_dir


def _described(folder: Path) -> dict[str, Any]:
    """Return what is known of a run: from its summary, since the ledger may be at work."""
    found: dict[str, Any] = {}
    try:
        found = json.loads((folder / _SUMMARY).read_text("utf-8"))
    except (FileNotFoundError, ValueError):
        pass
    except OSError:
        found = {"verdict": "cannot be read"}
    report = folder / _REPORT
    return {
        "run_id": folder.name,
        "run_dir": str(folder),
        "started": found.get("started"),
        "verdict": found.get("verdict") or _WITHOUT_VERDICT[found.get("reconciled")],
        "exit_code": found.get("exit_code"),
        "rows": found.get("rows", {}),
        "instances": found.get("instances", {}),
        "report": str(report) if os.access(report, os.F_OK) else None,
    }


def _line(run: Mapping[str, Any]) -> tuple[str, ...]:
    started = (run["started"] or "").replace("T", " ")[:16]
    return started, run["verdict"], _counts(run["rows"]), _counts(run["instances"]), run["run_dir"]


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{counts[outcome]} {outcome}" for outcome in Outcome if counts.get(outcome)) or "none"
