"""What a server cannot do is said by `plan`, stops `run`, and is never taken for done."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from tests.contract.server import SETTINGS, Server, write
from tests.dicom_files import EXPLICIT, Element, grey, instance
from tests.jobs import DEMO_DATA, Job, read_csv
from tests.orthanc_server import OrthancServer

if TYPE_CHECKING:
    from pathlib import Path

JPEG_BASELINE = "1.2.840.10008.1.2.4.50"
JPEG_2000_LOSSLESS = "1.2.840.10008.1.2.4.90"

UNTIL = [
    ("Replace.GraphicData", "1\\2", (1, 12, 5), "several numbers in VR FL need Orthanc 1.12.5"),
    ("Replace.SelectorSVValue", "-7", (1, 13, 0), "a value in VR SV needs Orthanc 1.13.0"),
    ("Replace.SelectorOVValue", "7\\8", (1, 13, 0), "a value in VR OV needs Orthanc 1.13.0"),
    ("Replace.FrameIncrementPointer", "FrameTime\\FrameTimeVector", (1, 13, 0), "several tags need Orthanc 1.13.0"),
    ("Replace.PixelPaddingValue", "-5", (99, 0, 0), "no negative numbers"),
    ("Replace.LUTData", "5", (99, 0, 0), "no Orthanc writes lookup tables"),
]
"""A column, a cell, the first version that takes it, and what plan says on those before."""


def version_of(server: Server) -> tuple[int, ...]:
    """Return its version as numbers."""
    return tuple(map(int, re.findall(r"\d+", server.running.version)))


def problems(said: str) -> list[str]:
    """Return the lines that name a column or a key."""
    return [line for line in said.splitlines() if line.startswith("error:")]


def test_plan_names_what_the_version_cannot_do(job: Job, server: Server) -> None:
    """All at once, by column or option; `run` stops with them and leaves the server as it was."""
    names = server.upload(DEMO_DATA / "CT")
    job.write_manifest([{"orthanc_id": names[0], **{column: cell for column, cell, _, _ in UNTIL}}])
    options = {"KeepLabels": True, "Transcode": JPEG_2000_LOSSLESS}
    write(job, server, operation="modify", options=options)

    planned = job("plan", "job.yaml")
    run = job("run", "job.yaml")

    version = version_of(server)
    assert (2, 2) == (planned.code, run.code)
    assert problems(planned.err) == problems(run.err)
    for column, _, since, text in UNTIL:
        assert (f"column {column}" in planned.err) is (version < since), column
        assert (text in planned.err) is (version < since), text
    assert ("options.KeepLabels: needs Orthanc 1.12.3" in planned.err) is (version < (1, 12, 3))
    assert "options.Transcode: the server has no codec" in planned.err
    assert ([], set(names)) == (server.get("jobs"), set(server.get("instances")))


@pytest.mark.parametrize(
    ("operation", "cells", "code"),
    [("modify", {}, 0), ("anonymize", {"operation": "modify"}, 0), ("modify", {"operation": "anonymize"}, 2)],
)
def test_a_profile_that_no_row_uses(job: Job, server: Server, operation: str, cells: dict[str, str], code: int) -> None:
    """A DicomVersion that the server lacks is refused where a row anonymizes, by the config or by itself."""
    names = server.upload(DEMO_DATA / "CT")
    job.write_manifest([{"orthanc_id": names[0], **cells}])
    write(job, server, operation=operation, options={"DicomVersion": "2023b", "Remove": ["StudyDescription"]})
    ran = job("run", "job.yaml")

    refused = code if version_of(server) < (1, 12, 1) else 0
    assert (refused, bool(refused)) == (ran.code, "options.DicomVersion: must be one" in ran.err), ran.err


@pytest.mark.parametrize(
    ("engine", "options", "named"),
    [
        ("orthanc", {"Transcode": JPEG_BASELINE, "LossyQuality": 50}, ["options.LossyQuality"]),
        (
            "local",
            {
                "KeepLabels": True,
                "PrivateCreator": "ACME",
                "LossyQuality": 50,
                "Priority": 3,
                "Transcode": JPEG_BASELINE,
            },
            [f"options.{name}" for name in ("KeepLabels", "PrivateCreator", "LossyQuality", "Priority", "Transcode")],
        ),
    ],
)
def test_options_without_effect_are_refused(job: Job, engine: str, options: dict[str, Any], named: list[str]) -> None:
    """Each by its key, before a server is asked."""
    job.write_manifest([{"orthanc_id": "-".join(["0" * 8] * 5)}])
    source: dict[str, Any] = {"orthanc": "http://127.0.0.1:9"} if engine == "orthanc" else {"folder": "source"}
    destination = None if engine == "orthanc" else {"folder": "results"}
    job.source.mkdir(exist_ok=True)
    job.write_config(operation="modify", engine=engine, source=source, destination=destination, options=options)

    planned = job("plan", "job.yaml")

    assert 2 == planned.code
    assert all(name in planned.err for name in named), planned.err
    assert planned.err.count("options.") == len(named)


def test_values_that_the_local_engine_does_not_take(job: Job) -> None:
    """An image for PixelData is for an Orthanc, whose codecs decode it; `plan` says so."""
    job.source.mkdir(exist_ok=True)
    (job.source / "one").write_bytes(instance(Modality="CT"))
    (row,) = job.inventory()
    image = "data:image/png;base64,iVBORw0KGgo="
    job.write_manifest([{"orthanc_id": row["orthanc_id"], "Replace.PixelData": image}])
    job.write_config(operation="modify", options={})

    planned = job("plan", "job.yaml")

    assert 2 == planned.code
    assert "Replace.PixelData: only an Orthanc decodes images" in planned.err


NOTES = [
    ({}, {"MaximumPatientCount": 90}, ["deletes its oldest patients"]),
    ({"KeepSource": False}, {}, ["KeepSource: with the originals go the attachments, labels and metadata"]),
    ({}, {"MaximumStorageSize": 500, "MaximumStorageMode": "Reject"}, ["takes nothing more when it is full"]),
    ({"PrivateCreator": "ACME"}, {"IngestTranscoding": "1.2.840.10008.1.2"}, ["IngestTranscoding:", "PrivateCreator:"]),
]


@pytest.mark.parametrize(("options", "settings", "texts"), NOTES, ids=["recycles", "deletes", "rejects", "converts"])
def test_plan_tells_what_is_to_be_known(
    job: Job, orthanc_root: Path | None, options: dict[str, Any], settings: dict[str, Any], texts: list[str]
) -> None:
    """Notes stop nothing; a version that does not tell its settings is named as such."""
    with OrthancServer(orthanc_root, {**SETTINGS, **settings}) as running:
        server = Server(running)
        (name, *_) = server.upload(DEMO_DATA / "CT")
        job.write_manifest([{"orthanc_id": name}])
        write(job, server, operation="modify", options=options)
        planned = job("plan", "job.yaml")
        version = version_of(server)
        server.close()

    assert 0 == planned.code, planned.err
    notes = [line for line in planned.out.splitlines() if line.startswith(("note:", "WARNING:"))]
    for text in texts:
        told = version >= (1, 12, 0) or text.startswith(("PrivateCreator", "KeepSource"))
        assert told is any(text in note for note in notes), notes
    assert (version < (1, 12, 0)) is any("does not tell" in note for note in notes)


def test_plan_says_that_references_between_calls_are_lost(job: Job, server: Server) -> None:
    """Studies of one patient that a server anonymizes in separate calls; in one call nothing is lost, nor by modify."""
    job.source.mkdir()
    for number in (1, 2):
        uids: dict[str, Any] = {"StudyInstanceUID": f"1.2.{number}", "SeriesInstanceUID": f"1.2.{number}.1"}
        data = instance(PatientID="P", SOPInstanceUID=f"1.2.{number}.1.1", **uids)
        (job.source / str(number)).write_bytes(data)
    server.upload(job.source)
    studies = server.get("studies")
    given = {"DicomVersion": "2021b", "Force": True, "Replace": {"PatientID": "N", "PatientName": "N"}}
    said = []
    for operation, cells in (("anonymize", ("a", "b")), ("anonymize", ("a", "a")), ("modify", ("a", "b"))):
        options = given if operation == "anonymize" else {}
        write(job, server, operation=operation, options=options)
        job.write_manifest(
            [{"orthanc_id": name, "Replace.StudyDescription": cell} for name, cell in zip(studies, cells, strict=True)]
        )
        planned = job("plan", "job.yaml")
        assert 0 == planned.code, planned.err
        said.append("the rows of 1 patient have different options" in planned.out)

    assert [True, False, False] == said


def test_no_key_is_missed_where_the_server_makes_identifiers(job: Job, server: Server) -> None:
    """A key would not make its identifiers match those of other runs; the local engine's it would."""
    (name, *_) = server.upload(DEMO_DATA / "CT")
    job.write_manifest([{"orthanc_id": name}])
    missed = "no key is configured"
    write(job, server, pseudonyms=None)
    planned, run = job("plan", "job.yaml"), job("run", "job.yaml")
    write(job, server, pseudonyms=None, engine="local", destination={"folder": "results"})
    locally, run_locally = job("plan", "job.yaml"), job("run", "job.yaml")

    assert (0, 0) == (planned.code, run.code)
    assert (missed in planned.out, missed in run.err) == (False, False)
    assert (missed in locally.out, missed in run_locally.err) == (True, True)


def test_lossy_conversion_of_the_server(job: Job, orthanc_root: Path | None) -> None:
    """A server that converts with loss what it stores is refused unless Transcode takes its place."""
    with OrthancServer(orthanc_root, {**SETTINGS, "IngestTranscoding": JPEG_BASELINE}) as running:
        server = Server(running)
        (name, *_) = server.upload(DEMO_DATA / "CT")
        job.write_manifest([{"orthanc_id": name}])
        write(job, server, operation="modify", options={})
        refused = job("plan", "job.yaml")
        write(job, server, operation="modify", options={"Transcode": "1.2.840.10008.1.2.1"})
        planned = job("plan", "job.yaml")
        version = version_of(server)
        server.close()

    assert (0 if version < (1, 11, 0) else 2, 0) == (refused.code, planned.code)
    assert (version >= (1, 11, 0)) is ("IngestTranscoding" in refused.err)


def image(number: int, bits: int) -> bytes:
    """Return an image of a series."""
    values = (np.arange(64 * 64) % 251).astype(f"<u{bits // 8}").reshape(64, 64)
    return instance(
        Element(0x7FE00010, "OW", values.tobytes()),
        syntax=EXPLICIT,
        PatientID="P-1",
        StudyInstanceUID="1.2.3",
        SeriesInstanceUID="1.2.3.4",
        SOPInstanceUID=f"1.2.3.4.{number}",
        **grey(64, 64, bits),
    )


def test_a_conversion_that_did_not_take_place(job: Job, server: Server, tmp_path: Path) -> None:
    """An object that the server could not convert is failed, and its result is gone; others are done."""
    (tmp_path / "images").mkdir()
    for number, bits in enumerate((8, 16, 8, 16), 1):
        (tmp_path / "images" / str(number)).write_bytes(image(number, bits))
    sources = server.upload(tmp_path / "images")
    job.write_manifest([{"orthanc_id": name} for name in sources])
    write(job, server, operation="modify", options={"Transcode": JPEG_BASELINE}, verify="identifiers")

    run = job("run", "job.yaml", "--run-id", "converted")
    resumed = job("resume", "runs/converted")

    assert (1, 1) == (run.code, resumed.code), run.err
    rows = {row["orthanc_id"]: row for row in read_csv(job.root / "runs" / "converted" / "reconciliation.csv")}
    assert ["done", "failed", "done", "failed"] == [rows[name]["outcome"] for name in sources]
    assert all(rows[name]["reason"].startswith("transcoding-failed: ") for name in sources[1::2])
    made = server.originals()
    assert {sources[0], sources[2]} == set(made)
    assert [1, 1] == [len(names) for names in made.values()]
    for names in made.values():
        assert JPEG_BASELINE == server.get(f"instances/{names[0]}/metadata?expand")["TransferSyntax"]
    assert set(sources) <= set(server.get("instances"))
