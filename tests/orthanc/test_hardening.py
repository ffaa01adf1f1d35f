"""What anonymize removes beyond the profile, and what a request can keep of it."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pydicom
import pytest

from deidflow.tasks.core.request.request import Operation, parse_request
from deidflow.tasks.orthanc.hardening import hardened_body, hardening_entries, kept_sequences
from tests.dicom_files import Element
from tests.orthanc.shelf import make
from tests.tools.make_kept_sequences import TARGET, make_table

if TYPE_CHECKING:
    from deidflow.tasks.orthanc.connection.client import OrthancClient

NAME, PATIENT_ID = "0010,0010", "0010,0020"
REQUEST, PROCEDURE = "0040,0275[*]", "0008,1032[*]"  # removed and kept by 2021b


def entries(**body: Any) -> set[str]:
    """Return what is added to an anonymization."""
    return set(hardening_entries(parse_request(Operation.ANONYMIZE, {"DicomVersion": "2021b", **body})))


def test_table_is_generated() -> None:
    """The checked-in table is what its generator makes."""
    assert make_table() == Path(TARGET).read_text("ascii")


@pytest.mark.parametrize("version", ["2008", "2017c", "2021b", "2023b"])
def test_every_profile_has_kept_sequences(version: str) -> None:
    """ProcedureCodeSequence stays under all profiles, RequestAttributesSequence under none."""
    kept = kept_sequences(version)

    assert 0x00081032 in kept
    assert 0x00400275 not in kept


def test_modify_is_left_alone() -> None:
    """Hardening is for anonymize."""
    assert () == hardening_entries(parse_request(Operation.MODIFY, {}))


def test_nested_ids_go_when_the_id_is_given() -> None:
    """Orthanc maps nested PatientID by itself unless PatientID is in Replace."""
    given = entries(Replace={"PatientID": "x"}, Force=True)

    assert f"{PROCEDURE}.{NAME}" in entries()
    assert f"{PROCEDURE}.{PATIENT_ID}" not in entries()
    assert {f"{PROCEDURE}.{NAME}", f"{PROCEDURE}.{PATIENT_ID}", "6000,3000", "601e,3000", "5000,3000"} <= given


def test_what_the_request_names_stays() -> None:
    """Keep and Replace of the same elements win."""
    assert "6002,3000" not in entries(Keep=["6002,3000"])
    assert f"{PROCEDURE}.{NAME}" not in entries(Keep=["ProcedureCodeSequence[0].PatientName"])
    assert f"{PROCEDURE}.{NAME}" not in entries(Replace={"ProcedureCodeSequence": [{"PatientName": "Mine"}]})
    assert not any(entry.endswith(NAME) for entry in entries(Keep=["PatientName"]))


def test_kept_sequences_are_cleaned_too() -> None:
    """Where the user's Keep shields a sequence from the profile, nested IDs are not mapped and have to go."""
    kept = entries(Keep=["RequestAttributesSequence"])

    assert {f"{REQUEST}.{NAME}", f"{REQUEST}.{PATIENT_ID}"} <= kept
    assert f"{REQUEST}.{NAME}" not in entries()


@pytest.mark.parametrize("more", [{}, {"Keep": ["RequestAttributesSequence"]}, {"Replace": {"PatientID": "NEW"}}])
def test_nothing_is_left_on_a_real_server(client: OrthancClient, more: dict[str, Any]) -> None:
    """Names, IDs, overlays and curves are gone; everything else of the items is there."""
    nested = [{"PatientName": "Doe^Jane", "PatientID": "OLD-ID", "CodeValue": "T-1"}]
    sequences = dict.fromkeys(("ProcedureCodeSequence", "RequestAttributesSequence", "AnatomicRegionSequence"), nested)
    upload = client.upload(make_with_overlays(PatientID="OLD-ID", **sequences))
    request = parse_request(Operation.ANONYMIZE, {"DicomVersion": "2021b", "Force": True, **more})
    with client.stream("POST", f"instances/{upload.orthanc_ids[3]}/anonymize", hardened_body(request)) as pieces:
        result = pydicom.dcmread(io.BytesIO(b"".join(pieces)))

    left = [element for element in result.iterall() if str(element.value) in ("Doe^Jane", "OLD-ID")]
    assert [] == left
    assert [] == [tag for tag in result.keys() if tag.group in (0x5000, 0x6000, 0x601E)]  # noqa: SIM118
    assert "T-1" == result.ProcedureCodeSequence[0].CodeValue


def make_with_overlays(**keywords: Any) -> bytes:
    """Return a file with a curve and two overlays."""
    overlays = [Element(group << 16 | element, "OW", b"ab") for group in (0x6000, 0x601E) for element in (0x3000,)]
    return make(Element(0x50000005, "US", b"\1\0"), *overlays, **keywords)
