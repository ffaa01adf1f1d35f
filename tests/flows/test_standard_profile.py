"""A whole run with the PS3.15 profile, as the example config has it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydicom import dcmread
from ruamel.yaml import YAML

from deidflow.tasks.core.dicom.identifiers import orthanc_id
from tests.dicom_files import Element, instance
from tests.jobs import DEMO_DATA, read_csv

if TYPE_CHECKING:
    from pydicom import Dataset

    from tests.jobs import Job

STRICT = Path(__file__).parents[2] / "configs" / "strict.yaml"
RESEARCH = STRICT.with_name("research-tcia.yaml")
DEMO_FILES = ("CT/CT_small.dcm", "MR/MR_small.dcm", "RTPLAN/rtplan.dcm", "SR/test-SR.dcm", "US/examples_palette.dcm")
OF_THE_SITE = ("manifest", "source", "destination", "pseudonyms", "name")


def test_strict_run(job: Job) -> None:
    """Plan and report name the profile, every result is verified, and what cannot be made safe is refused by itself."""
    job.source.mkdir()
    own: dict[str, Any] = {
        "PatientName": "QQ^Jane",
        "PatientID": "P-1",
        "StudyDescription": "head of QQ",
        "StudyDate": "19330717",
    }
    (job.source / "1").write_bytes(instance(Element(0x00091001, "LO", b"QQ"), **own))
    other: dict[str, Any] = {
        "SOPClassUID": "1.2.840.10008.5.1.4.1.1.104.5",
        "EncapsulatedDocument": b"QQ",
        "PatientID": "P-2",
    }
    uids: dict[str, Any] = {"StudyInstanceUID": "1.2.4", "SeriesInstanceUID": "1.2.4.1", "SOPInstanceUID": "1.2.4.1.1"}
    (job.source / "2").write_bytes(instance(**other, **uids))
    config = YAML(typ="safe").load(STRICT)
    job.write_config(**{"options": None} | {key: value for key, value in config.items() if key not in OF_THE_SITE})
    job.write_manifest([{"orthanc_id": row["orthanc_id"]} for row in job.inventory()])
    planned = job("plan", "job.yaml", "--diff", "1")
    done = job("run", "job.yaml", "--run-id", "r")

    assert 0 == planned.code, planned.err
    assert "profile ps3.15-2026d" in planned.out
    assert "ps3.15-2026d: " in planned.out
    assert 1 == done.code, done.err
    rows = read_csv(done.run_dir / "reconciliation.csv")
    assert {"done", "failed"} == {row["outcome"] for row in rows}
    assert ["unsafe-content"] == [row["reason"].partition(":")[0] for row in rows if row["reason"]]
    (result,) = job.destination.rglob("*.dcm")
    assert b"QQ" not in result.read_bytes()
    assert "113100" == dcmread(result).DeidentificationMethodCodeSequence[0].CodeValue
    assert "ps3.15-2026d" in (done.run_dir / "report.html").read_text("utf-8")
    provenance = json.loads((done.run_dir / "provenance.json").read_text("utf-8"))
    assert ("ps3.15-2026d", []) == (provenance["profile"], provenance["profile_options"])
    assert provenance["profile_sha256"]
    _check_mappings(job, done.run_dir, dcmread(result))


def _check_mappings(job: Job, run_dir: Path, result: Dataset) -> None:
    """What has a result is in the two files, for their owner only; what failed is in neither."""
    refused = job("report", run_dir, "--mappings", job.destination / "pairs")
    assert (2, False) == (refused.code, (job.destination / "pairs").exists())
    assert "--mappings: must lie outside destination.folder" in refused.err
    folder = job.root / "mappings"
    assert 1 == job("report", run_dir, "--mappings", folder).code
    uids = {"1.2.3.1": result.StudyInstanceUID, "1.2.3.1.1": result.SeriesInstanceUID}
    assert {"P-1": result.PatientID} == _pairs(folder / "patid_mapping.csv")
    assert uids | {"1.2.3.1.1.1": result.SOPInstanceUID} == _pairs(folder / "uid_mapping.csv")
    assert {0o600} == {path.stat().st_mode & 0o777 for path in folder.iterdir()}


def _pairs(path: Path) -> dict[str, str]:
    header, *rows = path.read_text("utf-8").splitlines()
    assert "id_old,id_new" == header
    return dict(row.split(",") for row in rows)


def test_research_run(job: Job) -> None:
    """What an archive wants stays, and is verified: moved dates, ages, devices, safe private elements, descriptions."""
    job.source.mkdir()
    private = (Element(0x00190010, "LO", b"SIEMENS MR HEADER "), Element(0x0019100C, "IS", b"1000"))
    own: dict[str, Any] = {"PatientName": "QQ^Jane", "PatientID": "P-1", "PatientAge": "091Y", "StudyTime": "101112"}
    more: dict[str, Any] = {"StudyDescription": "brain QQ", "StudyDate": "20240301", "DeviceSerialNumber": "4711"}
    (job.source / "own").write_bytes(instance(*private, **own, **more))
    for name in DEMO_FILES:
        shutil.copy(DEMO_DATA / name, job.source)
    config = YAML(typ="safe").load(RESEARCH)
    job.write_config(**{"options": None} | {key: value for key, value in config.items() if key not in OF_THE_SITE})
    job.write_manifest([{"orthanc_id": row["orthanc_id"]} for row in job.inventory("instance")])
    done = job("run", "job.yaml", "--run-id", "r")

    assert 0 == done.code, done.out + done.err
    results = {str(one.get("DeviceSerialNumber")): one for one in map(dcmread, job.destination.rglob("*.dcm"))}
    assert len(DEMO_FILES) + 1 == len(list(job.destination.rglob("*.dcm")))
    result = results["4711"]
    assert (result.StudyDescription, result.PatientAge, result.StudyTime) == ("brain", "090Y", "101112")
    assert result[0x0019100C].value == 1000
    assert result.StudyDate not in ("", "20240301")
    assert "QQ" not in str(result)


def test_uids_stay_and_dates_move_by_the_manifest(job: Job) -> None:
    """A patient's rows must agree on the days; UIDs are the originals, and what names them as well."""
    job.source.mkdir()
    for number in range(3):
        uids: dict[str, Any] = {"StudyInstanceUID": f"1.2.{number}", "SeriesInstanceUID": f"1.2.{number}.1"}
        image = {"ReferencedSOPClassUID": "1.2.840.10008.5.1.4.1.1.2", "ReferencedSOPInstanceUID": "1.2.0.1.1"}
        values: dict[str, Any] = {
            "PatientID": f"P-{number // 2}",
            "PatientName": f"QQ^{number // 2}",
            "StudyDate": "20240301",
            "SOPInstanceUID": f"1.2.{number}.1.1",
            "FrameOfReferenceUID": "1.2.9",
            "ReferencedImageSequence": [image],
        }
        (job.source / str(number)).write_bytes(instance(**uids, **values))
    job.write_config(
        options=None,
        profile="ps3.15-2026d",
        profile_options=["retain-uids", "retain-longitudinal-modified-dates"],
        dates={"column": "offset"},
    )
    sources = list(map(dcmread, job.source.iterdir()))
    ids = {read.StudyInstanceUID: orthanc_id(read.PatientID, read.StudyInstanceUID) for read in sources}
    offsets = {"1.2.0": "-31", "1.2.1": "-30", "1.2.2": "+1"}
    job.write_manifest([{"orthanc_id": ids[uid], "offset": days} for uid, days in offsets.items()])
    refused = job("run", "job.yaml", "--run-id", "r")
    offsets["1.2.1"] = "-31"
    job.write_manifest([{"orthanc_id": ids[uid], "offset": days} for uid, days in offsets.items()])
    done = job("run", "job.yaml", "--run-id", "r")

    assert 2 == refused.code
    assert "the rows of one patient differ in the column of dates.column" in refused.err
    assert 0 == done.code, done.err
    results = {read.StudyInstanceUID: read for read in map(dcmread, job.destination.rglob("*.dcm"))}
    assert {uid: read.StudyDate for uid, read in results.items()} == {
        "1.2.0": "20240130",
        "1.2.1": "20240130",
        "1.2.2": "20240302",
    }
    for uid, read in results.items():
        assert (read.SOPInstanceUID, read.FrameOfReferenceUID) == (f"{uid}.1.1", "1.2.9")
        assert read.ReferencedImageSequence[0].ReferencedSOPInstanceUID == "1.2.0.1.1"
        assert "QQ" not in str(read)
        codes = [item.CodeValue for item in read.DeidentificationMethodCodeSequence]
        assert codes == ["113100", "113107", "113110"]
