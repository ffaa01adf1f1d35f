"""Engine local with the PS3.15 profile, from and to one real Orthanc."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.contract.server import report_of, write
from tests.dicom_files import Element, instance
from tests.jobs import read_csv
from tests.local.editing.painting.images import Image

if TYPE_CHECKING:
    from tests.contract.server import Server
    from tests.jobs import Finished, Job

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


RULES = """\
rules:
- name: banner
  when: {Manufacturer: Acme, Rows: 41, Columns: 37}
  regions: [{x: 0, y: 0, width: 37, height: 5}]
"""


def test_pixels_of_one_server_are_shown_counted_and_painted(job: Job, server: Server) -> None:
    """`pixels` and `plan` say of an Orthanc what the rules come to, and the run does it; review.csv lists it."""
    job.source.mkdir()
    kinds = {"Manufacturer": "Acme", "Modality": "US"}, {"Modality": "US"}, {"Modality": "MR"}
    for number, more in enumerate(kinds):
        image = Image.random(number, 2, 41, 37, "MONOCHROME2")
        uids = {"SeriesInstanceUID": f"1.2.3.1.{number}", "SOPInstanceUID": f"1.2.3.1.{number}.1"}
        values: dict[str, Any] = {"PatientID": "P-1", "PatientName": "QQ^Jane", **uids, **more}
        (job.source / str(number)).write_bytes(image.file(**values))
    server.upload(job.source)
    (job.root / "site.yaml").write_text(RULES)
    assert 0 == job("inventory", server.url, "-o", "manifest.csv").code
    write(
        *(job, server),
        engine="local",
        destination={"orthanc": server.url},
        options=None,
        profile="ps3.15-2026d",
        profile_options=["clean-pixel-data"],
        pixels={"rules": ["site.yaml"]},
    )
    shown = job("pixels", "job.yaml", "-o", "sheets")
    planned = job("plan", "job.yaml")
    done = job("run", "job.yaml", "--run-id", "r")
    review = read_csv(done.run_dir / "review.csv")
    (painted,) = (row["new_orthanc_id"] for row in crosswalk(done) if row["original_dicom_id"] == "1.2.3.1.0.1")

    assert (0, 0, 1) == (shown.code, planned.code, done.code), shown.err + planned.err + done.err
    assert "paint          1 instances of 1 series  site.yaml, line 2: banner" in shown.out
    assert "refuse         1 instances of 1 series  ultrasound" in shown.out
    assert 3 == len(list((job.root / "sheets").glob("*.png")))
    assert "1 painted, site.yaml, line 2: banner" in planned.out
    assert "1 REFUSED (burned-in-text), no rule for: ultrasound" in planned.out
    assert "1 not at risk" in planned.out
    assert ["burned-in-text", "painted-pixels"] == sorted(row["reason"] for row in review)
    assert not server.dataset(painted).pixel_array[:, :5].any()
    assert server.dataset(painted).pixel_array[:, 5:].any()


def crosswalk(run: Finished) -> list[dict[str, str]]:
    """Return the lines of instances."""
    return [row for row in read_csv(run.run_dir / "crosswalk.csv") if row["level"] == "instance"]
