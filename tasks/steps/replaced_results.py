"""Results that other runs have put into the same places: with ``destination.overwrite`` others, otherwise the same.

Public names: ``Replacements``, ``delivered_elsewhere``.
"""

from __future__ import annotations

from contextlib import ExitStack, suppress
from functools import partial
from typing import TYPE_CHECKING

from deidflow.tasks.core.dicom.identifiers import Level
from deidflow.tasks.core.errors import DeidflowError
from deidflow.tasks.core.files.evidence import is_evidence_of
from deidflow.tasks.core.ledger.ledger import FILE_NAME, Ledger
from deidflow.tasks.core.ledger.run_facts import read_facts
from deidflow.tasks.core.ledger.state.deliveries import delivered_evidence, runs_that_delivered
from deidflow.tasks.steps.run.earlier import synced_state, where_of

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from deidflow.tasks.core.engine.protocol import Expected
    from deidflow.tasks.steps.access.seams import RunStore
    from deidflow.tasks.steps.run.run import Run


class Replacements:
    """What other runs have put into the places of a run's results; to be closed, after which it may be asked again."""

    def __init__(self, run: Run, store: RunStore, *, is_held: bool) -> None:
        """Take what is verified.

        Args:
            run: That one.
            store: Where its results stand.
            is_held: Whether the destination is held for the run anyway, so that ``hold`` need not.

        """
        self._run = run
        self._store = store
        self._is_held = is_held
        self._holds = is_held
        self._held = ExitStack()
        self._delivered: Callable[[Collection[str]], dict[str, list[str]]] | None = None

    def close(self) -> None:
        """Let go of the destination and of what is known of other runs."""
        self._held.close()
        self._holds, self._delivered = self._is_held, None

    def hold(self) -> None:
        """Hold the destination from now on, so that no run replaces what is about to be taken out.

        Raises:
            Unusable: A run writes to it now.

        """
        if not self._holds:
            self._held.enter_context(self._store.locked(self._run.waits()))
            self._holds = True

    def of(self, others: Sequence[Expected]) -> dict[int, str]:
        """Return which run wrote what stands in the places of results, as its own evidence proves.

        Args:
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
        if self._delivered is None:
            self._delivered = self._look_back()
        by_run = self._delivered(wanted)
        by_run.pop(self._run.folder.name, None)
        runs_dir = self._run.config.report.runs_dir
        for run_id, names in by_run.items():
            # A run that cannot be looked into proves nothing.
            with suppress(DeidflowError, OSError), Ledger.open(runs_dir / run_id / FILE_NAME) as ledger:
                for name, evidence in delivered_evidence(ledger, names).items():
                    if _stands(self._store, self._run, wanted[name], evidence):
                        found.setdefault(wanted[name].instance.id, run_id)
        return found

    def _look_back(self) -> Callable[[Collection[str]], dict[str, list[str]]]:
        """Read the ledgers of the runs beside this one, which takes long where there are many, and so is done once."""
        config = self._run.config
        where = where_of(config, read_facts(self._run.ledger).key_fingerprint)
        state = self._held.enter_context(synced_state(config, where, exclude=self._run.folder.name, keeps=False))
        return (lambda _: {}) if state is None else partial(runs_that_delivered, state)


def delivered_elsewhere(run: Run, results: Collection[str]) -> set[str]:
    """Return those of some results (their Orthanc identifiers) that other runs have delivered to the same place."""
    if not results:
        return set()
    where = where_of(run.config, read_facts(run.ledger).key_fingerprint)
    with synced_state(run.config, where, exclude=run.folder.name, keeps=False) as state:
        by_run = {} if state is None else runs_that_delivered(state, results, where.place)
    return {name for run_id, names in by_run.items() if run_id != run.folder.name for name in names}


def _stands(store: RunStore, run: Run, one: Expected, evidence: str) -> bool:
    with store.results(run).open(one.instance.new, one.result_id) as file:
        return is_evidence_of(evidence, file.stream())
