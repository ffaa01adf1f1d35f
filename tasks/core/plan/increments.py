"""What stands between a plan and the runs before it: patients known under other numbers, rows that have changed.

Each check yields problems of rows; no cell and no identifier is named, runs are named by their IDs.

Public names: ``check_against_earlier_runs``, ``take_over``, ``fail_what_does_not_fit``.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from deidflow.tasks.core.dicom.tags import PATIENT_ID, describe_tag
from deidflow.tasks.core.errors import Problem
from deidflow.tasks.core.ledger.run_facts import change_facts
from deidflow.tasks.core.ledger.state import before as state
from deidflow.tasks.core.outcomes import Reason, ReasonCode

if TYPE_CHECKING:
    from collections.abc import Iterator

    from deidflow.tasks.core.ledger.ledger import Ledger
    from deidflow.tasks.core.ledger.state.before import Before

_KNOWN: Final = Reason(ReasonCode.KNOWN_PATIENT)


def check_against_earlier_runs(
    ledger: Ledger, before: Before, *, allow_merge: bool, on_server: bool
) -> Iterator[Problem]:
    """Compare a plan that has all its targets with what earlier runs did.

    Args:
        ledger: Being planned, with the state attached.
        before: The earlier runs.
        allow_merge: Whether two patients of the source may get one PatientID.
        on_server: Whether an Orthanc is the engine, which makes identifiers of its own.

    """
    state.find_latest(ledger, before, by_size=on_server)
    column = describe_tag(PATIENT_ID)
    if before.is_incremental:
        yield from _changed(ledger, before, on_server=on_server)
        # Where nothing is left out, check_merges finds them by the pseudonym of their patient.
        for line, run_id in state.rows_of_results(ledger) if not on_server else ():
            text = f"must hold originals, not results of the run {run_id}; take the row out of the manifest"
            yield Problem(text, line=line)
    elif on_server:
        for line, run_id in state.repeated_rows(ledger):
            text = (
                f"must not be done again: the run {run_id} has done it, and the server would get another copy; set "
                "incremental: true, which leaves out what is done, or take that run's results back with `deidflow "
                "withdraw`"
            )
            yield Problem(text, line=line)
    if not allow_merge:
        for line, run_id in state.taken_patient_ids(ledger, given_only=on_server):
            text = (
                f"the run {run_id} gave the same {column} to another patient; give a new one, or set "
                "pseudonyms.allow_merge when they are one person"
            )
            yield Problem(text, line=line, column=column)
    for line, run_id in state.renamed_patients(ledger, given_only=on_server):
        text = (
            f"the run {run_id} gave the patient another {column}, and both would stand in the destination; give the "
            f"same, or take its results back with `deidflow withdraw` on the folder of {run_id} and run again"
        )
        yield Problem(text, line=line, column=column)
    # Of rows with other options an incremental plan says so itself.
    for line, run_id in state.reshifted_patients(ledger, before, replaced=before.is_incremental or before.overwrites):
        text = (
            f"the run {run_id} moved the patient's dates otherwise; let dates say the same as then (with dates.column "
            f"the same days), or take its results back with `deidflow withdraw` on the folder of {run_id} and run again"
        )
        yield Problem(text, line=line)


def _changed(ledger: Ledger, before: Before, *, on_server: bool) -> Iterator[Problem]:
    for line, run_id, its_line, keeps_place in state.changed_rows(ledger):
        if before.redo and keeps_place and not on_server:
            continue
        way_out = (
            f"take its results back with `deidflow withdraw` (the folder of {run_id}, --row {its_line}) and run again"
        )
        if keeps_place and not on_server:
            way_out = "do it again with --redo and destination.overwrite: true, or " + way_out
        text = f"its effective options have changed since the run {run_id} did it (line {its_line}); {way_out}"
        yield Problem(text, line=line)


def take_over(ledger: Ledger, before: Before | None) -> None:
    """Leave out what earlier runs have done, where that is asked for: whatever else is wrong, it is not their rows."""
    if before is not None and before.is_incremental:
        changed = state.count_changed(ledger)
        change_facts(ledger, lambda facts: replace(facts, changed_before=changed))
        state.leave_done_before(ledger)


def fail_what_does_not_fit(ledger: Ledger, before: Before | None, *, allow_merge: bool, on_server: bool) -> None:
    """Fail instances whose results would not fit what there is: split studies, and on an Orthanc known patients."""
    for study in state.split_studies(ledger, looks_back=before is not None) if not allow_merge else ():
        where = [_counted("line", study.lines)] if study.lines[1:] else []
        where += [_counted("run", study.run_ids)] if study.run_ids else []
        text = (
            f"its StudyInstanceUID stands under two PatientIDs ({', '.join(where) or _counted('line', study.lines)}), "
            "so that one study would get two pseudonyms; correct the source, or set pseudonyms.allow_merge"
        )
        state.fail_study(ledger, study.uid, Reason(ReasonCode.SPLIT_STUDY, text))
    if before is not None and before.is_incremental and on_server:
        state.fail_known_patients(ledger, _KNOWN)


def _counted(what: str, values: tuple[object, ...]) -> str:
    return f"{what}{'s' if len(values) > 1 else ''} {', '.join(map(str, values))}"
