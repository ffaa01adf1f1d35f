"""What verifying found, brought into the ledger; a result that is wrong is taken out of the destination.

One that another run has replaced since, as that run's own evidence proves, is wrong here and stays: that run vouches
for it.

Public names: ``Findings``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from deidflow.tasks.core.errors import DeidflowError
from deidflow.tasks.core.ledger.results import note_gone, note_right, note_wrong
from deidflow.tasks.core.outcomes import Outcome, ReasonCode

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from deidflow.tasks.core.engine.protocol import Expected, InstanceResult
    from deidflow.tasks.steps.access.seams import RunStore
    from deidflow.tasks.steps.replaced_results import Replacements
    from deidflow.tasks.steps.run.run import Run

_REPLACED: Final = "the run {} has replaced it since, and vouches for it"
_STAYS: Final = "the result was not removed from the destination"
_NO_VERDICT: Final = (ReasonCode.INTERNAL_ERROR, ReasonCode.WORKER_DIED)
"""Verifying itself failed: the result may be right, and the last copy."""
_WRITTEN_AT_ONCE: Final = 2000
"""Each time the ledger is written the disk is waited for."""


class Findings:
    """Collects what is found and writes it to the ledger now and then.

    Attributes:
        failed: How many results that counted as done are wrong or missing.
        replaced: How many of them another run has replaced.

    """

    def __init__(
        self, run: Run, store: RunStore, replacements: Replacements, require: Callable[[], None], how: str
    ) -> None:
        """Take the run.

        Args:
            run: Open.
            store: Where the results stand.
            replacements: Of the same; whoever made them closes them.
            require: Called when results are missing; raises where source or destination are not there at all.
            how: ``full`` or ``identifiers``: what a result that is found right counts as.

        """
        self.failed = self.replaced = 0
        self._run = run
        self._store = store
        self._replacements = replacements
        self._require = require
        self._how = how
        self._right: dict[int, str] = {}

    def add(self, expected: Sequence[Expected], results: Sequence[InstanceResult]) -> None:
        """Note what was found of a batch.

        Args:
            expected: All that was looked at.
            results: Those with something to note, see ``Verifier.verify``.

        Raises:
            Unusable: Results are missing since the destination is not there any more, or are to be taken out of it
                while a run writes to it.

        """
        noted = {result.id: result for result in results}
        bad: list[tuple[Expected, InstanceResult]] = []
        uncompared: list[int] = []
        for one in expected:
            result = noted.get(one.instance.id)
            if result is None or (result.outcome is Outcome.DONE and result.code is None):
                evidence = one.evidence if result is None else result.evidence
                self._right[one.instance.id] = evidence or one.evidence
            elif result.outcome is Outcome.DONE:
                uncompared.append(one.instance.id)
            elif one.is_done or result.outcome is not Outcome.MISSING:
                bad.append((one, result))
        if any(result.outcome is Outcome.MISSING for _, result in bad) or uncompared:
            self._require()
        if bad or uncompared:
            self._write_bad(bad, uncompared)
        if len(self._right) >= _WRITTEN_AT_ONCE:
            self.write()

    def write(self) -> None:
        """Bring what was found right to the disk."""
        if self._right:
            note_right(self._run.ledger, self._how, self._right)
        self._right = {}

    def _write_bad(self, bad: Sequence[tuple[Expected, InstanceResult]], uncompared: Sequence[int]) -> None:
        if any(result.outcome is Outcome.FAILED for _, result in bad):
            self._replacements.hold()
        replaced = self._replacements.of([one for one, result in bad if _is_of_another(one, result)])
        bad = [
            (one, result._replace(code=ReasonCode.RESULT_DIFFERS, text=_REPLACED.format(replaced[one.instance.id])))
            if one.instance.id in replaced
            else (one, result)
            for one, result in bad
        ]
        # First that it failed, then that it is gone: a process killed in between leaves no result that counts.
        note_wrong(self._run.ledger, [result for _, result in bad], uncompared)
        self.failed += sum(one.is_done for one, _ in bad)
        self.replaced += sum(one.is_done for one, _ in bad if one.instance.id in replaced)
        note_gone(self._run.ledger, list(replaced))
        wrong = [
            (one, result) for one, result in bad if result.outcome is Outcome.FAILED and one.instance.id not in replaced
        ]
        gone, stays = self._remove([(one, result) for one, result in wrong if result.code not in _NO_VERDICT])
        # The server will give its results others.
        note_gone(self._run.ledger, gone, and_forget=self._run.config.engine == "orthanc")
        left = [result for _, result in wrong if result.id not in set(gone)]
        named = [result._replace(text="; ".join(filter(None, (result.text, stays)))) for result in left]
        note_wrong(self._run.ledger, named, ())

    def _remove(self, wrong: Sequence[tuple[Expected, InstanceResult]]) -> tuple[list[int], str]:
        """Take wrong results out; return the numbers of those that are gone, and what to say of the others."""
        try:
            return self._store.remove(self._run, wrong), _STAYS
        except DeidflowError as error:
            return [], f"{_STAYS} ({error})"


def _is_of_another(one: Expected, result: InstanceResult) -> bool:
    """Whether something else stands in the place of a result that was known to be right."""
    return result.outcome is Outcome.FAILED and bool(one.evidence and result.evidence not in ("", one.evidence))
