"""What a request gives and takes away is looked up in the result: what is missing is found, what is right is not."""

from __future__ import annotations

from typing import Any

import pytest
from pydicom.dataset import Dataset

from deidflow.tasks.core.errors import InstanceFailed
from deidflow.tasks.core.outcomes import ReasonCode
from deidflow.tasks.core.request.request import Operation, parse_request
from deidflow.tasks.verification.by_pydicom.given_values import check_given_values

ITEM = {"CodeValue": "1", "CodeMeaning": "Fußgelenk"}
BODY: dict[str, Any] = {
    "Replace": {
        "PatientName": "Müller^Jürgen",
        "StudyDescription": "",
        "ImageComments": "a\\b ",
        "Rows": "-5",
        "PatientWeight": "70.50",
        "OverlayData": "data:application/octet-stream;base64,AAE=",
        "ProcedureCodeSequence": [ITEM],
        "ReferencedStudySequence[*].PatientComments": "weiß",
    },
    "Remove": ["InstitutionName", "RequestAttributesSequence[*].ScheduledProcedureStepID"],
    "Force": True,
}


def result(**changes: Any) -> Dataset:
    """Return what the request makes, but for the changes."""
    made, item, study, step = Dataset(), Dataset(), Dataset(), Dataset()
    made.SpecificCharacterSet = "ISO_IR 100"
    item.CodeValue, item.CodeMeaning = "1", "Fußgelenk"
    study.PatientComments = "weiß"
    step.RequestedProcedureID = "kept"
    made.PatientName, made.StudyDescription, made.ImageComments = "Müller^Jürgen", None, "a\\b"
    made.Rows, made.PatientWeight = 65531, "70.5"
    made.add_new(0x60003000, "OB", b"\0\1")
    made.ProcedureCodeSequence, made.ReferencedStudySequence = [item], [study, study]
    made.RequestAttributesSequence = [step]
    for keyword, value in changes.items():
        setattr(made, keyword, value)
    return made


def code_of(made: Dataset, operation: Operation = Operation.MODIFY) -> ReasonCode | None:
    """Return what is found, as long as the text tells no value."""
    body = BODY | ({"DicomVersion": "2021b"} if operation is Operation.ANONYMIZE else {})
    try:
        check_given_values(parse_request(operation, body), made)
    except InstanceFailed as problem:
        return problem.code if "ller" not in str(problem) else None
    return None


def item(**elements: Any) -> Dataset:
    """Return an item of a sequence."""
    made = Dataset()
    for keyword, value in elements.items():
        setattr(made, keyword, value)
    return made


@pytest.mark.parametrize("operation", list(Operation))
def test_what_is_as_asked_for(operation: Operation) -> None:
    """Values that are there, in whatever form the file gives them, and elements that are gone."""
    assert code_of(result(), operation) is None


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"PatientName": "Mller^Jrgen"}, ReasonCode.CHARACTER_SET),
        ({"PatientName": ""}, ReasonCode.CHARACTER_SET),
        ({"PatientName": "Meier^Jürgen"}, ReasonCode.BAD_VALUE),
        ({"StudyDescription": "left"}, ReasonCode.BAD_VALUE),
        ({"Rows": 5}, ReasonCode.BAD_VALUE),
        ({"PatientWeight": "70"}, ReasonCode.BAD_VALUE),
        ({"OverlayData": b"\0\2"}, None),
        ({"InstitutionName": "left"}, ReasonCode.RESULT_DIFFERS),
        ({"InstitutionName": None}, ReasonCode.RESULT_DIFFERS),
        ({"RequestAttributesSequence": [item(ScheduledProcedureStepID="7")]}, ReasonCode.RESULT_DIFFERS),
        ({"ProcedureCodeSequence": [item(CodeValue="1", CodeMeaning="Fugelenk")]}, ReasonCode.CHARACTER_SET),
        ({"ProcedureCodeSequence": []}, ReasonCode.BAD_VALUE),
        ({"ReferencedStudySequence": [item(PatientComments="wei")]}, ReasonCode.CHARACTER_SET),
        ({"ReferencedStudySequence": []}, None),
    ],
)
def test_what_is_not(changes: dict[str, Any], code: ReasonCode | None) -> None:
    """Characters that were dropped, other values, and elements that are left; items that never were are no fault."""
    if "OverlayData" in changes:
        made = result()
        made[0x60003000].value = changes["OverlayData"]
        assert code_of(made) is ReasonCode.BAD_VALUE
        return
    assert code is code_of(result(**changes))


def test_a_profile_inside_of_a_replaced_sequence() -> None:
    """An anonymization may empty what it is given there, but not write half of it."""
    emptied = result(ProcedureCodeSequence=[item(CodeValue="1", CodeMeaning="")])
    assert code_of(emptied, Operation.ANONYMIZE) is None
    halved = result(ProcedureCodeSequence=[item(CodeValue="1", CodeMeaning="Fugelenk")])
    assert ReasonCode.CHARACTER_SET is code_of(halved, Operation.ANONYMIZE)
