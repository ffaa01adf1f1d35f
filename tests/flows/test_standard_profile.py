"""A whole run with the PS3.15 profile, as the example config has it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydicom import dcmread
from ruamel.yaml import YAML

from tests.dicom_files import Element, instance
from tests.jobs import read_csv

if TYPE_CHECKING:
    from tests.jobs import Job

STRICT = Path(__file__).parents[2] / "configs" / "strict.yaml"
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
    job.write_config(options=None, **{key: value for key, value in config.items() if key not in OF_THE_SITE})
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
