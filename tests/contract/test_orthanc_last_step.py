"""A job whose last step fails on the server, and which would run for ever: its results are there, and taken."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, Final

import httpx
import pytest

from tests.contract.server import Server, write
from tests.dicom_files import Element, instance
from tests.jobs import read_csv

if TYPE_CHECKING:
    from tests.jobs import Job

pytestmark = [pytest.mark.versions, pytest.mark.timeout(180)]

IMPLICIT: Final = "1.2.840.10008.1.2"
STUDY: Final[dict[str, Any]] = {"PatientID": "1", "StudyInstanceUID": "2.25.1"}

SELECTOR: Final = Element(0x00720073, "OF", b"\0\0\x80?")
"""SelectorODValue with another VR than the dictionary's: in Implicit VR its four bytes are half a number of VR OD."""


def test_results_that_the_server_cannot_read(job: Job, server: Server) -> None:
    """1.13.0 cannot read what it converted, and says so of no instance: all but the one without a file are done."""
    files = [
        instance(**STUDY, SeriesInstanceUID="2.25.2", SOPInstanceUID="2.25.11"),
        instance(**STUDY, SeriesInstanceUID="2.25.2", SOPInstanceUID="2.25.12"),
        instance(SELECTOR, **STUDY, SeriesInstanceUID="2.25.3", SOPInstanceUID="2.25.13"),
        instance(**STUDY, SeriesInstanceUID="2.25.4", SOPInstanceUID="2.25.14"),
    ]
    names = [httpx.post(f"{server.url}/instances", content=file).raise_for_status().json()["ID"] for file in files]
    lost = server.get(f"instances/{names[-1]}")["FileUuid"]
    (server.running.storage / lost[:2] / lost[2:4] / lost).unlink()
    assert 0 == job("inventory", server.url, "-o", "manifest.csv").code
    options = {"Replace": {"StudyDescription": "Trial 7"}, "Level": "Study", "Transcode": IMPLICIT}
    write(job, server, operation="modify", verify="identifiers", options=options)

    ended = job("run", "job.yaml", "--run-id", "one")

    assert 1 == ended.code, ended.err
    lines = read_csv(job.root / "runs" / "one" / "crosswalk.csv")
    rows = {row["original_orthanc_id"]: row for row in lines if row["level"] == "instance"}
    assert {"done": 3, "failed": 1} == Counter(row["outcome"] for row in rows.values())
    assert rows[names[-1]]["reason"].startswith("source-unreadable")
    results = [rows[name]["new_orthanc_id"] for name in names[:-1]]
    assert set(results) == set(server.get("instances")) - set(names)
    assert {IMPLICIT} == {server.get(f"instances/{name}/metadata?expand")["TransferSyntax"] for name in results}
    assert b"\0\0\x80?" == server.element(results[2], "0072-0073")
    assert not [item for item in server.get("jobs?expand") if item["State"] == "Running"]
