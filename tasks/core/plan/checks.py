"""What only the source and all rows together show: overlaps, counts, levels, patients that would split or merge.

Each check yields problems of one row or of several; no cell and no identifier is named.

Public names: ``check_rows_against_source``, ``check_patients``, ``check_persons``, ``check_merges``,
``check_identity_given_back``, ``PATIENT_MODULE``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pydicom.datadict import tag_for_keyword

from deidflow.tasks.core.dicom.persons import Person, differing, is_same_name, is_same_number
from deidflow.tasks.core.dicom.tags import PATIENT_ID, PATIENT_NAME, Path, describe_tag
from deidflow.tasks.core.errors import Problem
from deidflow.tasks.core.ledger.plan_checks import (
    overlapping_rows,
    patient_ids_of_several_persons,
    patient_ids_that_join,
    persons_under,
    rows_becoming,
    rows_of_patients,
    rows_taking_another_patient_id,
    rows_with_persons,
    wrong_counts,
    wrong_levels,
)
from deidflow.tasks.core.request.request import Operation

if TYPE_CHECKING:
    from collections.abc import Iterator

    from deidflow.tasks.core.ledger.ledger import Ledger
    from deidflow.tasks.core.ledger.manifest_rows import RequestCache
    from deidflow.tasks.core.request.edits import Edits
    from deidflow.tasks.core.request.request import Request

_PATIENT_MODULE_KEYWORDS: Final = (
    "PatientName",
    "PatientID",
    "IssuerOfPatientID",
    "IssuerOfPatientIDQualifiersSequence",
    "TypeOfPatientID",
    "PatientBirthDate",
    "PatientBirthDateInAlternativeCalendar",
    "PatientDeathDateInAlternativeCalendar",
    "PatientAlternativeCalendar",
    "PatientSex",
    "PatientBirthTime",
    "OtherPatientIDsSequence",
    "OtherPatientNames",
    "EthnicGroup",
    "EthnicGroupCodeSequence",
    "PatientComments",
    "PatientSpeciesDescription",
    "PatientSpeciesCodeSequence",
    "PatientBreedDescription",
    "PatientBreedCodeSequence",
    "BreedRegistrationSequence",
    "StrainDescription",
    "StrainNomenclature",
    "ResponsiblePerson",
    "ResponsiblePersonRole",
    "ResponsibleOrganization",
    "ReferencedPatientPhotoSequence",
    "QualityControlSubject",
)

PATIENT_MODULE: Final = frozenset(int(tag_for_keyword(keyword) or 0) for keyword in _PATIENT_MODULE_KEYWORDS)
"""Attributes of the Patient module (PS3.3 table C.7-1, edition 2026c): one patient has one value of each."""


def check_rows_against_source(ledger: Ledger) -> Iterator[Problem]:
    """Compare each row with what the source holds under its identifier.

    Expects what rows claim, as all checks up to ``check_persons`` do.
    """
    for line, _, level in wrong_levels(ledger):
        text = f"must be {level}, which is what the source holds under this identifier"
        yield Problem(text, line=line, column="level")
    for line, declared, held in wrong_counts(ledger):
        held_text = f"must be {held}, as many as the source holds, not {declared}"
        text = f"{held_text}; is more arriving? Wait for it, or correct the cell"
        yield Problem(text, line=line, column="instances")
    for pair in overlapping_rows(ledger):
        text = "must not name instances that another row names, too; keep only one of the two rows"
        yield Problem.of_rows(pair, text, "orthanc_id")


def check_patients(ledger: Ledger, requests: RequestCache) -> Iterator[Problem]:
    """Find patients whose rows give differing values to attributes of the Patient module.

    Patients without a PatientID are strangers to each other; the rows of one study are of one of them.
    """
    rows = rows_of_patients(ledger)
    signatures: dict[int, dict[str, object]] = {}
    start = 0
    for stop in range(1, len(rows) + 1):
        if stop < len(rows) and rows[stop][0] == rows[start][0]:
            continue
        group = rows[start:stop]
        start = stop
        if len({number for _, _, number in group}) == 1:
            continue
        for _, _, number in group:
            if number not in signatures:
                signatures[number] = _patient_values(requests.get(number))
        first = signatures[group[0][2]]
        differing = {
            name
            for _, _, number in group[1:]
            for name in first.keys() | signatures[number].keys()
            if first.get(name, _ABSENT) != signatures[number].get(name, _ABSENT)
        }
        if differing:
            names = ", ".join(sorted(differing))
            text = f"the rows of one patient differ in {names}; give all rows of a patient the same (or none)"
            yield Problem.of_rows(tuple(line for _, line, _ in group), text)


_ABSENT: Final = object()


def _patient_values(request: Request) -> dict[str, object]:
    """Return what the rows of one patient must have in common, by name."""
    edits = request.edits
    values: dict[str, object] = {"operation": request.operation, "the column of dates.column": request.shift_days}
    values |= {path.describe(): value for path, value in edits.replace.items() if _is_of_patient(path)}
    values |= {path.describe(): "removed" for path in edits.remove if _is_of_patient(path)}
    values |= {path.describe(): ("kept",) for path in edits.keep if _is_of_patient(path)}
    return values


def _is_of_patient(path: Path) -> bool:
    return not path.is_nested and path.tag in PATIENT_MODULE


def check_identity_given_back(ledger: Ledger, requests: RequestCache) -> Iterator[Problem]:
    """Find rows to anonymize whose Replace gives a patient the original PatientID or PatientName, as either of them.

    Who wants that says so with Keep. The name is known of files only.
    """
    given_back = {
        (line, tag, original): None
        for line, number, patient_id, person in rows_with_persons(ledger, Operation.ANONYMIZE)
        for tag, original in _given_back(requests.get(number).edits, patient_id, Person.from_text(person).name)
    }
    for line, tag, original in given_back:
        keyword, kept = describe_tag(tag), describe_tag(original)
        text = (
            f"the new {keyword} is the patient's original {'one' if tag == original else kept}, so nothing is "
            f"de-identified; give another, or write Keep: [{kept}] with Force: true when it is to stay"
        )
        yield Problem(text, line=line, column=keyword)


def _given_back(edits: Edits, patient_id: str, name: str) -> Iterator[tuple[int, int]]:
    """Yield what gives the identity back: the attribute that gets a value, and the one that had it.

    A blank, a capital or a comma makes no pseudonym; and what the request gives, the search for leaks lets pass.
    """
    originals = ((PATIENT_ID, patient_id, is_same_number), (PATIENT_NAME, name, is_same_name))
    for tag in (PATIENT_ID, PATIENT_NAME):
        new = edits.replace.get(Path((), tag))
        for original, value, is_same in originals:
            is_known = tag != original and Path((), original) in edits.keep
            if isinstance(new, str) and is_same(value, new) and not is_known:
                yield tag, original
                break


def check_persons(ledger: Ledger) -> Iterator[Problem]:
    """Find PatientIDs that several persons share, who would become one."""
    for patient_id in patient_ids_of_several_persons(ledger):
        claims = persons_under(ledger, patient_id)
        keywords = differing({person for _, person in claims})
        if keywords:
            text = (
                f"one PatientID, but {' and '.join(keywords)} differ: two persons would become one; correct the source,"
                " or set pseudonyms.allow_merge when they are one person"
            )
            yield Problem.of_rows(tuple(dict.fromkeys(line for line, _ in claims)), text)


def check_merges(ledger: Ledger, requests: RequestCache, *, allow_merge: bool) -> Iterator[Problem]:
    """Find new PatientIDs that would join two patients of the source; needs the targets of all instances."""
    column = describe_tag(PATIENT_ID)
    if not allow_merge:
        for patient_id in patient_ids_that_join(ledger):
            text = (
                f"two patients of the source would get one {column}; give each its own, or set pseudonyms.allow_merge "
                "when they are one person"
            )
            yield Problem.of_rows(rows_becoming(ledger, patient_id), text, column)
    for line, number in rows_taking_another_patient_id(ledger):
        request = requests.get(number)
        modifies = request.operation is Operation.MODIFY
        if modifies and allow_merge:  # a study that was filed under the wrong patient
            continue
        if not modifies and Path((), PATIENT_ID) not in request.edits.replace:
            text = (
                f"the pseudonym that would be the new {column} stands in the source already, as in results of an "
                "earlier run; take these out of the source"
            )
            yield Problem(text, line=line)
            continue
        text = f"the new {column} is the original one of another patient in the source; choose another"
        if modifies:
            text += ", or set pseudonyms.allow_merge to move the row to that patient"
        yield Problem(text, line=line, column=column)
