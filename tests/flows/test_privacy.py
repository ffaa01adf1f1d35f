"""No patient data, no original identifier and no key leaves the run folder's private files."""

from __future__ import annotations

import re
import signal
import sqlite3
import time
from typing import TYPE_CHECKING

import pydicom
from pydicom.dataset import Dataset, FileMetaDataset

from tests.dicom_files import instance
from tests.jobs import COMMAND_S, KEY, Finished, Job, read_csv

if TYPE_CHECKING:
    from pathlib import Path

PUBLIC_FILES = ("report.html", "summary.json", "provenance.json")


class Markers:
    """Unique markers of 12 characters."""

    def __init__(self) -> None:
        """Begin with none."""
        self.all: list[str] = []

    def text(self) -> str:
        """Return a marker of letters and digits."""
        self.all.append(f"MARKER{len(self.all):06}")
        return self.all[-1]

    def uid(self) -> str:
        """Return a UID that holds a marker of digits."""
        self.all.append(f"9753{len(self.all):08}")
        return f"1.2.826.{self.all[-1]}"

    @staticmethod
    def found_in(data: bytes) -> list[str]:
        """Return all that looks like a marker, in one go: Prefect's files are large by now."""
        return [found.decode() for found in re.findall(rb"MARKER\d{6}|9753\d{8}", data)]


def _instance(markers: Markers, patient: tuple[str, str], study: str, series: str) -> Dataset:
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
    dataset.SOPClassUID = pydicom.uid.SecondaryCaptureImageStorage
    dataset.SOPInstanceUID = markers.uid()
    dataset.PatientID, dataset.PatientName = patient
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = study, series
    dataset.StudyDescription = markers.text()
    dataset.PatientComments = markers.text()
    item = Dataset()
    item.PatientName, item.PatientID = patient
    item.StudyInstanceUID = study
    dataset.ReferencedStudySequence = [item]
    dataset.BitsAllocated = 8
    dataset.PixelData = bytes(64)
    return dataset


def _corpus(job: Job, markers: Markers) -> None:
    """Write 40 patients with one study of 3 instances each, under marked file names; damage a few."""
    for _ in range(40):
        patient = (markers.text(), markers.text())
        folder = job.source / markers.text()
        folder.mkdir(parents=True)
        study, series = markers.uid(), markers.uid()
        for _ in range(3):
            dataset = _instance(markers, patient, study, series)
            dataset.save_as(folder / f"{markers.text()}.dcm", enforce_file_format=True)
    files = sorted(job.source.rglob("*.dcm"))
    files[0].write_bytes(files[0].read_bytes()[:-40])
    (job.source / f"{markers.text()}.txt").write_text("no DICOM")


def _kill_in_the_middle(job: Job, run_id: str) -> Finished:
    process = job.start("run", "job.yaml", "--run-id", run_id, "--skip-invalid", "--set", "destination.folder=cut")
    deadline = time.monotonic() + COMMAND_S
    while time.monotonic() < deadline and not any((job.root / "cut").rglob("*.dcm")):
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    return process.end()


def test_markers_stay_private(job: Job, prefect_home: Path) -> None:
    """After runs with every outcome and a crash with --debug no marker, Orthanc identifier or key is found outside."""
    markers = Markers()
    _corpus(job, markers)
    job.write_config(options={"DicomVersion": "2023b"}, execution={"chunk_size": 10})
    rows = [row | {"note": markers.text()} for row in job.inventory()]
    unknown = "-".join(["1234abcd"] * 5)
    broken = {"orthanc_id": markers.text(), "note": markers.text()}
    job.write_manifest([*rows, {"orthanc_id": unknown}, broken])
    said = []

    said.append(job("plan", "job.yaml", "--skip-invalid", "--diff", "2"))
    said.append(job("run", "job.yaml", "--run-id", "all", "--skip-invalid"))
    next(job.destination.rglob("*.dcm")).unlink()
    said.append(job("verify", job.root / "runs" / "all"))
    said.append(job("report", job.root / "runs" / "all"))
    said.append(_kill_in_the_middle(job, "cut"))
    said.append(job("report", job.root / "runs" / "cut"))
    ledger = job.root / "runs" / "cut" / "ledger.db"
    with sqlite3.connect(ledger) as connection:
        connection.execute("UPDATE meta SET value = ? WHERE key = 'config'", (f'{{"{markers.text()}": 1}}',))
    connection.close()
    said.append(job("resume", job.root / "runs" / "cut", "--debug"))

    outcomes = {row["outcome"] for run in ("all", "cut") for row in read_csv(job.root / "runs" / run / "crosswalk.csv")}
    outcomes |= {row["outcome"] for row in read_csv(job.root / "runs" / "all" / "reconciliation.csv")}
    assert {"done", "failed", "missing", "not_found", "invalid", "cancelled"} <= outcomes
    assert "File" in said[-1].err
    searched = [text.encode() for one in said for text in (one.out, one.err)]
    searched += [(job.root / "runs" / run / name).read_bytes() for run in ("all", "cut") for name in PUBLIC_FILES]
    searched += [path.read_bytes() for path in prefect_home.rglob("*") if path.is_file()]
    searched.append((prefect_home.parent / "prefect-server.log").read_bytes())
    everything = b"\n".join(searched)
    assert markers.all == Markers.found_in("\n".join(markers.all).encode())
    assert set() == set(markers.all).intersection(Markers.found_in(everything))
    secrets = [KEY, unknown, *(row["orthanc_id"] for row in rows)]
    assert [] == [secret for secret in secrets if secret.encode() in everything]


def test_libraries_say_nothing_of_a_file(job: Job) -> None:
    """Of pydicom's warnings and of its log, which repeat values, nothing is shown: by the flow's process, too."""
    job.source.mkdir()
    (job.source / "a.dcm").write_bytes(instance(SpecificCharacterSet="ZQXMARKER"))
    export = {"folder": "packed"}
    job.write_config(operation="modify", options={"Replace": {"InstitutionName": "x"}}, export=export)
    job.write_manifest(job.inventory())

    done = job("run", "job.yaml", "--run-id", "one")

    assert 0 == done.code, done.err
    assert (job.root / "packed" / "one" / "index.csv").exists()
    assert "ZQXMARKER" not in done.out + done.err
