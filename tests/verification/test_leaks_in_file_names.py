"""Identifying values in the name of a result's file: each is found, as it is and as the name writes it (%C3%BC)."""

from __future__ import annotations

import io
import os
from functools import lru_cache
from typing import TYPE_CHECKING

import pytest

from deidflow.tasks.core.errors import InstanceFailed
from deidflow.tasks.core.request.profile_choice import ProfileChoice
from deidflow.tasks.core.request.request import Operation, Request, parse_request
from deidflow.tasks.local.dicom_file.source_file import SourceFile
from deidflow.tasks.verification.leaks.search import LeakSearch
from deidflow.tasks.verification.reader import read_dicom
from tests.local.edits import anonymize, deidentify
from tests.verification.leaks import KINDS, Leak, draw_leaks, source_of

if TYPE_CHECKING:
    from deidflow.tasks.core.engine.protocol import PlannedInstance
    from tests.local.edits import Edit

SEED = int(os.environ.get("S", "15"))
COUNT = 60
PLACES_OF_A_NAME = ("X-{0}", "{0}_1", "a {0} b")
TOO_SHORT = frozenset({"StudyID", "StudyTime", "PatientAge"})
"""Five digits, a time or an age are looked for in PatientID itself, and not in the name, which is mostly pseudonyms."""


@lru_cache
def edit_of(profile: str) -> tuple[Edit, LeakSearch, Request]:
    """Return what edits and what searches under a profile."""
    if profile == "ps3.15-2026d":
        choice = ProfileChoice()
        request = parse_request(Operation.ANONYMIZE, {"Force": True})
        return deidentify(choice), LeakSearch(choice, written_by_server=False), request
    body = {"Force": True, "DicomVersion": profile}
    return anonymize(body), LeakSearch(None, written_by_server=False), parse_request(Operation.ANONYMIZE, body)


def searched(leak: Leak, profile: str, text: str) -> str:
    """Search a sound result whose PatientID is planned to be a text, "" for the pseudonym; return what is said."""
    edit, search, request = edit_of(profile)
    data = source_of(leak._replace(by_source=False))
    with SourceFile.of_bytes(data) as source:
        planned: PlannedInstance = edit.plan(source)
    result = edit(data)
    if text:
        planned = planned._replace(new=planned.new._replace(patient_id=text))
    try:
        search.check(request, planned, read_dicom(io.BytesIO(data)), read_dicom(io.BytesIO(result)), None)
    except InstanceFailed as problem:
        return str(problem)
    return ""


@pytest.mark.parametrize("profile", ["2023b", "ps3.15-2026d"])
def test_each_leak_in_a_file_name_is_found(profile: str) -> None:
    """Whatever attribute and notation; a name of pseudonyms raises no alarm, and no reason repeats a value."""
    written = {kind.keyword: (kind.value, kind.written) for kind in KINDS}
    missed, alarms = [], []
    for number, leak in enumerate(draw_leaks(COUNT, seed=SEED, compressed=False)):
        if leak.keyword in TOO_SHORT:
            continue
        value, notations = written[leak.keyword]
        text = notations[number % len(notations)](value(leak.patient))
        said = searched(leak, profile, PLACES_OF_A_NAME[number % 3].format(text))
        if f"{leak.keyword} of the source is left in the file name" not in said:
            missed.append((leak.keyword, text, said))
        assert text not in said
        if searched(leak, profile, ""):
            alarms.append(leak.keyword)

    assert ([], []) == (missed, alarms)
