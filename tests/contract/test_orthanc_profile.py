"""Engine local with the PS3.15 profile, from and to one real Orthanc."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.contract.server import report_of, write
from tests.dicom_files import Element, instance
from tests.jobs import read_csv

if TYPE_CHECKING:
    from tests.contract.server import Server
    from tests.jobs import Job

SAFE = (Element(0x00190010, "LO", b"SIEMENS MR HEADER "), Element(0x0019100C, "IS", b"1000"))


def test_profile_from_and_to_one_server(job: Job, server: Server) -> None:
    """Results stand beside their sources, are verified, say what was done, and hold nothing of the patient."""
    job.source.mkdir()
    for number in range(3):
        (job.source / str(number)).write_bytes(
            instance(
                *(*SAFE, Element(0x00290010, "LO", b"QQ LAB"), Element(0x00291001, "LO", b"QQ")),
                PatientName="QQ^Jane",
                PatientID="P-1",
                StudyDate="20240301",
                StudyDescription="chest of QQ",
                InstanceNumber=str(number),
                SOPInstanceUID=f"1.2.3.1.1.{number}",
            )
        )
    ids = server.upload(job.source)
    assert 0 == job("inventory", server.url, "-o", "manifest.csv").code
    options = ["retain-longitudinal-modified-dates", "retain-safe-private", "clean-descriptors"]
    write(
        *(job, server),
        engine="local",
        destination={"orthanc": server.url},
        options=None,
        profile="ps3.15-2026d",
        profile_options=options,
    )
    planned = job("plan", "job.yaml", "--diff", "1")
    done = job("run", "job.yaml", "--run-id", "r")
    again = job("verify", done.run_dir)

    assert (0, 0, 0) == (planned.code, done.code, again.code), planned.err + done.err + again.err
    assert "kept: ps3.15-2026d: C, retain-safe-private: Table E.3.10-1" in planned.out
    assert "ps3.15-2026d: C, clean-descriptors" in planned.out
    assert 6 == len(server.get("instances"))
    assert {"done"} == {row["outcome"] for row in read_csv(done.run_dir / "reconciliation.csv")}
    assert report_of(job, "r")
    for name in set(server.get("instances")) - set(ids):
        result = server.dataset(name)
        assert "QQ" not in str(result)
        assert (result.StudyDescription, result[0x0019100C].value) == ("chest of", 1000)
        assert result.StudyDate not in ("", "20240301")
        codes = [item.CodeValue for item in result.DeidentificationMethodCodeSequence]
        assert codes == ["113100", "113105", "113107", "113111"]
