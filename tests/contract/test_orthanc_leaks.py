"""What a real Orthanc leaves in its results with hardening off: each identifier is named once, with both attributes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.contract.server import Server, write
from tests.dicom_files import Element, Item, grey, instance
from tests.jobs import read_csv

if TYPE_CHECKING:
    from tests.jobs import Job

pytestmark = pytest.mark.timeout(180)

PEOPLE: dict[str, Any] = {
    "PatientName": "Kowalczyk^Bronislaw",
    "PatientBirthDate": "19470213",
    "AccessionNumber": "A4711-0815",
}
NAME = Element(0x00100010, "PN", b"Kowalczyk^Bronislaw ")
CREATOR = Element(0x00080014, "UI", b"1.2.826.0.1.3680043.8.498")
LEFT: dict[str, tuple[Element, ...]] = {
    "": (),
    "PatientName of the source is left in DerivationCodeSequence > PatientName": (
        Element(0x00089215, "SQ", (Item((NAME,)),)),
    ),
    "PatientName of the source is left in DerivationCodeSequence > CodeMeaning": (
        Element(0x00089215, "SQ", (Item((Element(0x00080104, "LO", b"of Mr Kowalczyk "),)),)),
    ),
    "InstanceCreatorUID of the source is left in DerivationCodeSequence > InstanceCreatorUID": (
        CREATOR,
        Element(0x00089215, "SQ", (Item((CREATOR,)),)),
    ),
    "PatientBirthDate of the source is left in ImageID": (Element(0x00540400, "SH", b"*13.02.1947 "),),
    "AccessionNumber of the source is left in OverlayLabel": (
        Element(0x60000010, "US", b"\x08\0"),
        Element(0x60000011, "US", b"\x08\0"),
        Element(0x60000040, "CS", b"G "),
        Element(0x60000050, "SS", b"\1\0\1\0"),
        Element(0x60000100, "US", b"\1\0"),
        Element(0x60000102, "US", b"\0\0"),
        Element(0x60001500, "LO", b"A4711 0815"),
        Element(0x60003000, "OW", bytes(8)),
    ),
}


def test_what_orthanc_leaves_is_named(job: Job, server: Server) -> None:
    """Sequences, descriptors and overlays that 1.10.1 passes through; the results go from the server again."""
    job.source.mkdir()
    studies = {}
    for number, (text, extra) in enumerate(LEFT.items()):
        root = f"1.2.826.0.1.3680043.9.{number}"
        data = instance(
            *extra,
            Element(0x7FE00010, "OB", bytes(range(64))),
            meta={"SourceApplicationEntityTitle": "KOWALCZYK"},
            **grey(),
            **PEOPLE,
            PatientID=f"HX{number}2345",
            StudyInstanceUID=f"{root}.1",
            SeriesInstanceUID=f"{root}.2",
            SOPInstanceUID=f"{root}.3",
        )
        (job.source / f"{number}").write_bytes(data)
        studies[f"{root}.1"] = text
    server.upload(job.source)
    uids = {server.get(f"studies/{name}")["MainDicomTags"]["StudyInstanceUID"]: name for name in server.get("studies")}
    job.write_manifest([{"orthanc_id": uids[uid]} for uid in studies])
    write(job, server, hardening=False)

    run = job("run", "job.yaml", "--run-id", "left")

    assert 1 == run.code, run.err
    run_dir = job.root / "runs" / "left"
    lines = read_csv(run_dir / "crosswalk.csv")
    of_study = {line["original_orthanc_id"]: line for line in lines if line["level"] == "study"}
    wanted = {uid: f"identifier-left: {text}" if text else "" for uid, text in studies.items()}
    assert wanted == {uid: of_study[uids[uid]]["reason"] for uid in studies}
    assert len(studies) + 1 == len(server.get("instances"))
    assert len(studies) - 1 == len(read_csv(run_dir / "failures.csv"))
    review = [row["reason"] for row in read_csv(run_dir / "review.csv")]
    assert len(studies) - 1 == review.count("identifier-left")
    report = (run_dir / "report.html").read_text("utf-8")
    assert "identifier-left" in report
    assert "owalczyk" not in report + run.err + run.out
