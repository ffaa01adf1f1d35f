"""What Prefect shows of a run: its name and tags, log lines, artifacts with progress, verdict and counts.

Counts, codes, chunk numbers and the run ID, and nothing else: Prefect stores all of it. Whatever keeps it from being
shown (a server that is away for a while) keeps nothing from being done.

Public names: ``tags_of``, ``show_name``, ``say``, ``showing_progress``, ``show_result``, ``RunRecord``, ``record_of``,
``NotReconciled``, ``in_words``, ``leave_unseen``, ``is_seen``.
"""

from __future__ import annotations

import contextlib
import re
import threading
from contextvars import copy_context
from typing import TYPE_CHECKING, Final, TypedDict

from prefect.artifacts import (
    create_markdown_artifact,
    create_progress_artifact,
    create_table_artifact,
    update_progress_artifact,
)
from prefect.client.orchestration import get_client
from prefect.context import FlowRunContext
from prefect.exceptions import FailedRun, MissingContextError
from prefect.logging import get_run_logger
from prefect.settings import get_current_settings

from deidflow.tasks.core.ledger.run_facts import read_facts
from deidflow.tasks.core.outcomes import REMEDIES, Outcome, ReasonCode
from deidflow.tasks.core.report.reasons import counted_by_outcome

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from deidflow.tasks.core.config.config import Config
    from deidflow.tasks.core.report.totals import Totals
    from deidflow.tasks.steps.run.progress import Progress
    from deidflow.tasks.steps.run.run import Run

_EVERY_S: Final = 2.0
"""Between two looks at how far a run is; Prefect's page asks as often."""


class RunRecord(TypedDict):
    """What a flow that calls ``bulk_edit`` gets.

    Attributes:
        run_id: Of the run.
        run_dir: Path of its run folder, with the report.
        verdict: ``reconciled``, or what keeps the run from it.
        exit_code: As the command's: 0, 1, 3 or 130.
        rows: How many rows of the manifest have each outcome.
        instances: The same for instances.

    """

    run_id: str
    run_dir: str
    verdict: str
    exit_code: int
    rows: dict[str, int]
    instances: dict[str, int]


class NotReconciled(FailedRun):
    """What a flow that calls ``bulk_edit`` gets raised where a run has begun and is not reconciled.

    Prefect takes no other kind of data for the state of such a run.

    Attributes:
        record: Of the run.

    """

    def __init__(self, message: str, record: RunRecord) -> None:
        """Take the message of the state."""
        super().__init__(message)
        self.record = record

    def __reduce__(self) -> tuple[type[NotReconciled], tuple[str, RunRecord]]:
        """Be the same in another process."""
        return type(self), (str(self), self.record)


_unseen: Final[set[str]] = set()


def leave_unseen(url: str) -> None:
    """Show nothing on a server that ends with this process.

    Args:
        url: Of its API, as in PREFECT_API_URL.

    """
    _unseen.add(url)


def is_seen() -> bool:
    """Whether anybody can see what Prefect shows of a run."""
    url = get_current_settings().api.url
    return bool(url) and url not in _unseen


def tags_of(config: Config) -> list[str]:
    """Return the tags of a config's runs and of its deployment."""
    return ["deidflow", config.name, config.engine, config.operation]


def show_name(run: Run) -> None:
    """Give the flow run the name of the run, and tags to find it by."""
    context = FlowRunContext.get()
    if not is_seen() or context is None or context.flow_run is None:
        return
    name, run_id = run.config.name, run.folder.name
    # A run ID that deidflow makes begins with the name already.
    full = run_id if run_id.startswith(f"{name}-") else f"{name}-{run_id}"
    with contextlib.suppress(Exception), get_client(sync_client=True) as client:
        tags = {*context.flow_run.tags, *tags_of(run.config)}
        client.update_flow_run(context.flow_run.id, name=full, tags=sorted(tags))


def say(text: str) -> None:
    """Write a line into the log of the flow run or task run that is at work."""
    with contextlib.suppress(MissingContextError):
        get_run_logger().info(text)


@contextlib.contextmanager
def showing_progress(run: Run, progress: Progress) -> Iterator[None]:
    """Show in an artifact how much of a run is edited and verified, while the block lasts."""
    if not is_seen():
        yield
        return
    ended = threading.Event()

    def watch() -> None:
        # A run that is over by then has its result to show. Whatever fails here keeps nothing from being done.
        if ended.wait(_EVERY_S):
            return
        with contextlib.suppress(Exception):
            artifact = create_progress_artifact(
                progress=0.0, key=_key(run.config.name, "progress"), description=f"run {run.folder.name}"
            )
            shown = 0.0
            while not ended.wait(_EVERY_S):
                if (now := round(100 * progress.share(), 1)) > shown:
                    shown = now
                    with contextlib.suppress(Exception):
                        update_progress_artifact(artifact, progress=now)  # type: ignore[arg-type]
            update_progress_artifact(artifact, progress=round(100 * progress.share(), 1))  # type: ignore[arg-type]

    thread = threading.Thread(target=copy_context().run, args=(watch,), daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join(_EVERY_S)


def show_result(run: Run, totals: Totals) -> None:
    """Show verdict, counts and reasons as an artifact, and a table of each outcome that there is.

    To be called by the flow: artifacts of a task stand below those of its flow on Prefect's page.
    """
    if not is_seen():
        return
    name = run.config.name
    with contextlib.suppress(Exception):
        tables = counted_by_outcome(run.ledger)
        create_markdown_artifact(_page(run, totals), key=_key(name, "result"), description=f"run {run.folder.name}")
        for outcome, lines in tables.items():
            table = [
                {
                    "reason": str(code or ""),
                    "rows": rows,
                    "instances": instances,
                    "what to do": REMEDIES[code] if code else "",
                }
                for code, (rows, instances) in lines.items()
            ]
            create_table_artifact(table, key=_key(name, str(outcome)), description=f"run {run.folder.name}: {outcome}")


def record_of(run: Run, totals: Totals | None, exit_code: int) -> RunRecord:
    """Return what the flow gives to whoever called it."""
    return RunRecord(
        run_id=run.folder.name,
        run_dir=str(run.folder),
        verdict=_verdict(totals),
        exit_code=exit_code,
        rows={str(outcome): count for outcome, count in totals.rows.items()} if totals else {},
        instances={str(outcome): count for outcome, count in totals.instances.items()} if totals else {},
    )


def in_words(run: Run, totals: Totals | None) -> str:
    """Return verdict and counts of a run as a state's message has them.

    As in ``run trial-20260131T020000Z-1a2b: reconciled; rows: 40 done; instances: 78 done``.
    """
    text = f"run {run.folder.name}: {_verdict(totals)}"
    if totals is not None:
        text += f"; rows: {_counts(totals.rows)}; instances: {_counts(totals.instances)}"
    return text


def _counts(counts: Mapping[Outcome, int]) -> str:
    return ", ".join(f"{count} {outcome}" for outcome, count in counts.items() if count) or "none"


def _verdict(totals: Totals | None) -> str:
    return totals.verdict if totals is not None else "not reported"


def _page(run: Run, totals: Totals) -> str:
    facts = read_facts(run.ledger)
    lines = [
        f"## {_verdict(totals).capitalize()}",
        "",
        f"Run `{run.folder.name}`, {run.config.operation} on engine {facts.engine}.",
        "",
        "| outcome | rows | instances |",
        "| --- | ---: | ---: |",
        *(
            f"| {outcome} | {totals.rows[outcome]} | {totals.instances[outcome]} |"
            for outcome in Outcome
            if totals.rows[outcome] or totals.instances[outcome]
        ),
    ]
    if totals.checks != "none":
        lines += ["", f"Verified: {totals.verified} of {totals.instances[Outcome.DONE]} ({totals.checks})."]
    codes = dict.fromkeys((*totals.row_reasons, *totals.instance_reasons))
    if codes:
        lines += ["", "| reason | rows | instances | what to do |", "| --- | ---: | ---: | --- |"]
        lines += [_reason_line(totals, code) for code in codes]
    if totals.review:
        lines += ["", "Look at these before the results are given away (`review.csv`):", ""]
        lines += [f"* {count} {code}" for code, count in totals.review.items()]
    return "\n".join(lines)


def _reason_line(totals: Totals, code: ReasonCode) -> str:
    rows, instances = totals.row_reasons.get(code, 0), totals.instance_reasons.get(code, 0)
    return f"| {code} | {rows} | {instances} | {REMEDIES[code]} |"


def _key(name: str, what: str) -> str:
    """Return the key of an artifact, which Prefect wants in lower-case letters, digits and dashes."""
    return "-".join(filter(None, ("deidflow", *re.split("[^a-z0-9]+", name.lower()), what.replace("_", "-"))))
