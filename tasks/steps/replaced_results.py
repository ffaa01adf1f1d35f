"""Results that other runs have put into the same places: with ``destination.overwrite`` others, otherwise the same.

Public names: ``replaced_by``, ``delivered_elsewhere``.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from deidflow.tasks.core.dicom.identifiers import Level
from deidflow.tasks.core.errors import DeidflowError
from deidflow.tasks.core.files.evidence import is_evidence_of
from deidflow.tasks.core.ledger.ledger import FILE_NAME, Ledger
from deidflow.tasks.core.ledger.state.deliveries import delivered_evidence, runs_that_delivered
from deidflow.tasks.steps.run.earlier import synced_state, where_of

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from deidflow.tasks.core.engine.protocol import Expected
    from deidflow.tasks.steps.access.seams import RunStore
    from deidflow.tasks.steps.run.run import Run


def replaced_by(run: Run, store: RunStore, others: Sequence[Expected]) -> dict[int, str]:
    """Return which run wrote what stands in the places of results, as its own evidence proves.

    Args:
        run: That is verified.
        store: Where the results stand.
        others: Results of which something else stands in the destination than the run wrote.

    Returns:
        The run ID, by the number of the instance; nothing for what no run beside this one's folder has delivered.

    Raises:
        Unusable: The runs beside this one cannot be known now.

    """
    wanted = {one.instance.new.orthanc_id(Level.INSTANCE): one for one in others}
    found: dict[int, str] = {}
    if not wanted:
        return found
    where = where_of(run.config, run.key.fingerprint)
    with synced_state(run.config, where, exclude=run.folder.name, keeps=False) as state:
        by_run = {} if state is None else runs_that_delivered(state, wanted)
    by_run.pop(run.folder.name, None)
    for run_id, names in by_run.items():
        # A run that cannot be looked into proves nothing.
        with suppress(DeidflowError, OSError), Ledger.open(run.config.report.runs_dir / run_id / FILE_NAME) as ledger:
            for name, evidence in delivered_evidence(ledger, names).items():
                if _stands(store, run, wanted[name], evidence):
                    found.setdefault(wanted[name].instance.id, run_id)
    return found


def delivered_elsewhere(run: Run, results: Collection[str]) -> set[str]:
    """Return those of some results (their Orthanc identifiers) that other runs have delivered to the same place."""
    if not results:
        return set()
    where = where_of(run.config, run.key.fingerprint)
    with synced_state(run.config, where, exclude=run.folder.name, keeps=False) as state:
        by_run = {} if state is None else runs_that_delivered(state, results, where.place)
    return {name for run_id, names in by_run.items() if run_id != run.folder.name for name in names}


def _stands(store: RunStore, run: Run, one: Expected, evidence: str) -> bool:
    with store.results(run).open(one.instance.new, one.result_id) as file:
        return is_evidence_of(evidence, file.stream())
