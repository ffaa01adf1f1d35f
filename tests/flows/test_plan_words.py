"""What `plan` says of elements named by number or creator, and of identities that are given back."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from deidflow.flows.commands.inventory import InventoryAnswer
from deidflow.flows.manifest_files import Written
from tests.dicom_files import instance

if TYPE_CHECKING:
    from tests.jobs import Job

CREATOR = '0029,"SIEMENS CSA HEADER",10'


@pytest.fixture
def small_job(job: Job) -> Job:
    """A job on one small file."""
    job.source.mkdir()
    (job.source / "1").write_bytes(instance(PatientID="P-1", PatientName="Doe^Jane"))
    job.write_config()
    job.write_manifest([{"orthanc_id": row["orthanc_id"]} for row in job.inventory()])
    return job


def test_what_an_inventory_leaves_out() -> None:
    """Results are instances, wherever they are; an Orthanc has no files."""
    answer = InventoryAnswer(Written(Path("m.csv"), 0), {"not-dicom": 2, "results": 1})
    assert ["2 files not used: not-dicom", "1 instance not used: results of earlier runs"] == [
        line.partition(" (--")[0] for line in answer.lines()
    ][1:]


def test_plain_private_numbers_are_warned_of(small_job: Job) -> None:
    """In the config and in the manifest, each once; with the creator's name there is nothing to warn of."""
    (row,) = small_job.inventory()
    small_job.write_manifest([{"orthanc_id": row["orthanc_id"], "Remove": "0029,1011"}])
    small_job.write_config(options={"DicomVersion": "2023b", "Keep": ["0029,1010"], "Force": True})
    numbers = small_job("plan", "job.yaml")
    small_job.write_manifest([{"orthanc_id": row["orthanc_id"]}])
    small_job.write_config(options={"DicomVersion": "2023b", "Keep": [CREATOR], "Force": True})
    creators = small_job("plan", "job.yaml")

    assert (0, 0) == (numbers.code, creators.code), numbers.err + creators.err
    (warning,) = [line for line in numbers.out.splitlines() if line.startswith("WARNING:")]
    assert "the number may belong to another creator" in warning
    assert 1 == warning.count("0029,1010") == warning.count("0029,1011")
    assert CREATOR in warning
    assert "WARNING:" not in creators.out


def test_what_a_request_does_besides_its_edits(small_job: Job) -> None:
    """What goes with the originals, and what the results are written as."""
    options = {"Replace": {"StudyDescription": "x"}, "Transcode": "1.2.840.10008.1.2.1", "KeepSource": False}
    no_effect = {"KeepPrivateTags": True, "RemovePrivateTags": True}
    small_job.write_config(operation="modify", options=options | no_effect)
    planned = small_job("plan", "job.yaml")

    assert 0 == planned.code, planned.err
    for said in ("digital signatures, which", "transcode to 1.2.840.10008.1.2.1", "SOURCES ARE DELETED afterwards"):
        assert said in planned.out
    assert "options.KeepPrivateTags has no effect: it is for anonymize, and no row has that operation" in planned.out
    assert "options.RemovePrivateTags has" not in planned.out


@pytest.mark.parametrize("member", ["Keep", "Remove", "Replace"])
def test_creators_are_no_words_for_an_orthanc(small_job: Job, member: str) -> None:
    """With engine orthanc the key is named, and what to do, before any server is asked."""
    options = {"DicomVersion": "2021b", member: {CREATOR: "x"} if member == "Replace" else [CREATOR]}
    address = {"orthanc": "http://127.0.0.1:9"}
    small_job.write_config(engine="orthanc", source=address, destination=None, options=options)
    planned = small_job("plan", "job.yaml")
    ran = small_job("run", "job.yaml")

    assert (2, 2) == (planned.code, ran.code), planned.err + ran.err
    for said in (planned.err, ran.err):
        assert f"options.{member}" in said
        assert "names a private creator, which no Orthanc reads; use engine: local" in said
    assert not (small_job.root / "runs").exists()


@pytest.mark.parametrize("keyword", ["PatientID", "PatientName"])
def test_a_template_that_gives_the_identity_back(small_job: Job, keyword: str) -> None:
    """The row is refused by line and column; who means it says Keep."""
    (row,) = small_job.inventory()
    original = {"PatientID": "P-1", "PatientName": "Doe^Jane^"}[keyword]
    small_job.write_manifest([{"orthanc_id": row["orthanc_id"], "subject": original}])
    options: dict[str, Any] = {"DicomVersion": "2023b", "Force": True}
    small_job.write_config(options=options | {"Replace": {keyword: "{subject}"}})
    refused = small_job("plan", "job.yaml")
    small_job.write_config(options=options | {"Keep": [keyword]})
    kept = small_job("plan", "job.yaml")

    assert (2, 0) == (refused.code, kept.code), refused.err + kept.err
    assert f"the new {keyword} is the patient's original one" in refused.err
    assert "line 2" in refused.err
    assert original not in refused.err
