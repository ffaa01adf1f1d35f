"""The steps of a run one by one, with the real planner, engine, verifier and ledger, and without Prefect.

Public names: ``Steps``.
"""

from __future__ import annotations

import csv
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from deidflow.tasks.core.ledger.chunks import open_chunks
from deidflow.tasks.core.report.files import write_reports
from deidflow.tasks.steps.access.engines import open_work, verifying_workers
from deidflow.tasks.steps.apply import apply_chunk, reset_unfinished
from deidflow.tasks.steps.changed_sources import take_again
from deidflow.tasks.steps.delete_sources import delete_sources
from deidflow.tasks.steps.plan import find_again, prepare
from deidflow.tasks.steps.run.progress import make_progress
from deidflow.tasks.steps.run.run import Run, create_run
from deidflow.tasks.steps.run.settings import load_config
from deidflow.tasks.steps.verify import verify_results
from tests.jobs import KEY, read_csv

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from deidflow.tasks.core.report.totals import DeletedSources, Totals


@dataclass
class Steps:
    """A run of the local engine on ``root/source``, whose results go to ``root/results``."""

    root: Path
    run: Run = field(init=False)
    redo: bool = False

    def plan(
        self, rows: Sequence[str | Mapping[str, str]], *, run_id: str = "r", skip_invalid: bool = False, **changes: Any
    ) -> None:
        """Freeze the plan of some Orthanc identifiers.

        Args:
            rows: Of the manifest, or the identifiers alone.
            run_id: Name of the run folder.
            skip_invalid: See ``prepare``.
            changes: Of the config; None leaves a key out.

        Raises:
            InvalidInput: With what is wrong.

        """
        (self.root / "pseudonym.key").touch(0o600)
        (self.root / "pseudonym.key").write_text(KEY)
        config = {
            "name": "steps",
            "manifest": "manifest.csv",
            "operation": "anonymize",
            "source": {"folder": "source"},
            "destination": {"folder": "results"},
            "options": {"DicomVersion": "2023b"},
            "pseudonyms": {"key_file": "pseudonym.key"},
            "execution": {"workers": 1},
        }
        with (self.root / "job.yaml").open("w") as stream:
            given = {key: value for key, value in (config | changes).items() if value is not None}
            json.dump(given, stream)  # which is YAML, too
        cells = [{"orthanc_id": row} if isinstance(row, str) else row for row in rows]
        with (self.root / "manifest.csv").open("w", newline="", encoding="utf-8") as stream:
            writer = csv.DictWriter(stream, list(dict.fromkeys(name for row in cells for name in row)), restval="")
            writer.writeheader()
            writer.writerows(cells)
        loaded = load_config(self.root / "job.yaml")
        with make_progress(quiet=True) as progress:
            prepared = prepare(loaded, progress, skip_invalid=skip_invalid, redo=self.redo)
        self.run = create_run(prepared.ledger, loaded, prepared.key, self.root / "runs" / run_id, None)

    def edit(self) -> None:
        """Edit what is to be done."""
        with make_progress(quiet=True) as progress, open_work(self.run) as work:
            for number in open_chunks(self.run.ledger):
                apply_chunk(self.run, number, work.engine, progress)

    def finish(self) -> None:
        """Let the engine look once more when all edits are done, as the flow does."""
        with open_work(self.run) as work:
            work.engine.finish(self.run.stop.is_set)

    def verify(self, *, again: bool = False, full: bool = True, deep: bool = False) -> int:
        """Read the results back, or only look for them; return how many are wrong."""
        how = ("deep" if deep else "full") if full else "identifiers"
        with make_progress(quiet=True) as progress, verifying_workers(self.run, how) as workers:
            return verify_results(self.run, workers, progress, full=full, again=again).wrong

    def delete(self) -> DeletedSources | None:
        """Delete the sources; return what became of them."""
        with make_progress(quiet=True) as progress:
            return delete_sources(self.run, progress)

    def resume(self) -> None:
        """Do what the command does of that name, up to the report."""
        take_again(self.run)
        reset_unfinished(self.run.ledger)
        with make_progress(quiet=True) as progress:
            find_again(self.run, progress)
        self.edit()
        self.verify()

    def report(self) -> Totals:
        """Write the report."""
        return write_reports(self.run.ledger, self.run.folder)

    def crosswalk(self) -> list[dict[str, str]]:
        """Return the instances' lines of the crosswalk."""
        return [line for line in read_csv(self.run.folder / "crosswalk.csv") if line["level"] == "instance"]
