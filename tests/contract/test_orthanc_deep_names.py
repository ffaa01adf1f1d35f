"""Names deeper than hardening reaches: such a result is not done and does not stay, however it is verified."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

import pytest

from tests.contract.server import write
from tests.dicom_files import Element, Item, elements, instance
from tests.jobs import Job, read_csv

if TYPE_CHECKING:
    from tests.contract.server import Server

WAVEFORM_SEQUENCE: Final = 0x54000100
CHANNEL_DEFINITION_SEQUENCE: Final = 0x003A0200


def _nested(levels: int, patient: dict[str, Any]) -> Element:
    """Return a sequence that the profiles keep, with a patient so many levels below."""
    inner = tuple(elements(patient))
    for _ in range(levels - 1):
        inner = (Element(CHANNEL_DEFINITION_SEQUENCE, "SQ", (Item(inner),)),)
    return Element(WAVEFORM_SEQUENCE, "SQ", (Item(inner),))


@pytest.mark.parametrize(
    "verify",
    [pytest.param("identifiers", marks=pytest.mark.versions), "full", pytest.param("none", marks=pytest.mark.versions)],
)
def test_a_name_deeper_than_hardening(job: Job, server: Server, verify: str) -> None:
    """At the first level it is removed; below, the instance fails and its result is gone; another's name may stay."""
    job.source.mkdir(exist_ok=True)
    patients = [(1, "Doe^Jane"), (2, "Doe^Jane"), (4, "Doe^Jane"), (2, "Phantom")]
    for number, (levels, name) in enumerate(patients):
        own: dict[str, Any] = {"PatientName": "Doe^Jane", "PatientID": "P-1", "SOPInstanceUID": f"2.25.77{number}"}
        data = instance(_nested(levels, {"PatientName": name}), **own)
        (job.source / f"{number}.dcm").write_bytes(data)
    names = server.upload(job.source)
    assert 0 == job("inventory", server.url, "-o", "manifest.csv").code
    write(job, server, verify=verify)

    done = job("run", "job.yaml", "--run-id", "deep")

    assert 1 == done.code, done.err
    lines = read_csv(job.root / "runs" / "deep" / "crosswalk.csv")
    rows = {row["original_orthanc_id"]: row for row in lines if row["level"] == "instance"}
    assert ["done", "failed", "failed", "done"] == [rows[name]["outcome"] for name in names]
    for failed in (names[1], names[2]):
        assert re.match(
            r"identifier-left: (the original PatientName|PatientName of the source) is left", rows[failed]["reason"]
        )
    assert {names[0], names[3]} == set(server.originals())
