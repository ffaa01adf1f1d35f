"""Whole runs with a real Orthanc: as engine, as source and as destination."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final

import httpx

from benchmarks.generate import Shape, generate
from tests.contract.server import PATIENTLY_S, report_of, write
from tests.dicom_files import Element, Item, elements, instance
from tests.jobs import DEMO_DATA, Job, read_csv
from tests.orthanc_proxy import Hold, OrthancProxy, is_bulk_call
from tests.orthanc_server import OrthancServer

if TYPE_CHECKING:
    from pathlib import Path

    from tests.contract.server import Server

AT_ONCE: Final = 5


def test_both_engines_give_the_same_report(job: Job, server: Server) -> None:
    """Engine orthanc and engine local (to another server) report the same rows, outcomes and levels."""
    server.upload(DEMO_DATA)
    assert 0 == job("inventory", server.url, "-o", "manifest.csv").code
    with OrthancServer() as other:
        write(job, server, engine="local", destination={"orthanc": other.url})
        local = job("run", "job.yaml", "--run-id", "local")
        again = job("run", "job.yaml", "--run-id", "again")
        on_other = len(httpx.get(f"{other.url}/instances", timeout=30).json())
        write(job, server)
        remote = job("run", "job.yaml", "--run-id", "remote")

    assert (0, 0, 0) == (local.code, again.code, remote.code), local.err + again.err + remote.err
    assert report_of(job, "local") == report_of(job, "again") == report_of(job, "remote")
    assert 78 == on_other
    assert {1} == {len(made) for made in server.originals().values()}
    assert 78 == len(server.originals())


def test_the_books_sample_calls(job: Job, server: Server) -> None:
    """The Orthanc Book's modify and anonymize of two instances of unrelated patients, as manifests."""
    ids = server.upload(DEMO_DATA / "CT")[:1] + server.upload(DEMO_DATA / "MR")[:1]
    job.write_manifest([{"orthanc_id": name} for name in ids])
    write(job, server, operation="modify", options={"Replace": {"SeriesDescription": "HELLO"}})
    parents_before = {level: set(server.get(level)) for level in ("patients", "studies", "series")}

    modified = job("run", "job.yaml", "--run-id", "modified")
    once = server.originals()
    twice = job("run", "job.yaml", "--run-id", "twice")
    parents_after = {level: set(server.get(level)) for level in ("patients", "studies", "series")}
    write(job, server)
    anonymized = job("run", "job.yaml", "--run-id", "anonymized")

    assert (0, 2, 0) == (modified.code, twice.code, anonymized.code), modified.err + twice.err + anonymized.err
    assert "the run modified has done it" in twice.err
    assert set(ids) == set(once) == set(server.originals())
    assert {"HELLO"} == {server.dataset(made).SeriesDescription for names in once.values() for made in names}
    assert parents_before == parents_after
    lines = read_csv(job.root / "runs" / "anonymized" / "crosswalk.csv")
    assert [2, 2, 2, 2] == [
        sum(row["level"] == level and row["original_orthanc_id"] != row["new_orthanc_id"] for row in lines)
        for level in ("patient", "study", "series", "instance")
    ]
    for row in lines:
        place = {"study": "studies", "series": "series"}.get(row["level"], f"{row['level']}s")
        assert row["original_orthanc_id"] == server.get(f"{place}/{row['new_orthanc_id']}")["AnonymizedFrom"]


def test_a_patient_of_each_own_and_nothing_left(job: Job, server: Server, tmp_path: Path) -> None:
    """Patients with their own PatientID and name: every instance mapped, none split or merged, no identifier left."""
    generate(tmp_path / "made", 120, 8 << 10, shape=Shape(patients=6, studies_per_patient=2))
    server.upload(tmp_path / "made")
    originals = set(server.get("instances"))
    assert 0 == job("inventory", server.url, "-o", "all.csv").code
    rows = read_csv(job.root / "all.csv")
    subjects = {patient: f"SUBJ{number:03}" for number, patient in enumerate(sorted({r["PatientID"] for r in rows}))}
    job.write_manifest([{"orthanc_id": row["orthanc_id"], "subject": subjects[row["PatientID"]]} for row in rows])
    options = {
        "DicomVersion": "2021b",
        "Force": True,
        "Replace": {"PatientID": "{subject}", "PatientName": "{subject}"},
    }
    write(job, server, options=options, verify="full")

    done = job("run", "job.yaml", "--run-id", "own")

    assert 0 == done.code, done.err
    made = server.originals()
    assert originals == set(made)
    names = {row["PatientName"] for row in rows} | {row["PatientID"] for row in rows}
    for original, (result,) in made.items():
        dataset = server.dataset(result)
        before = server.dataset(original)
        assert subjects[str(before.PatientID)] == dataset.PatientID == dataset.PatientName
        left = [str(e.value) for e in dataset.iterall() if e.keyword in ("PatientName", "PatientID")]
        assert not names & set(left)
    patients = {server.dataset(result).PatientID for (result,) in made.values()}
    assert set(subjects.values()) == patients


def test_patients_who_differ_in_a_blank_stay_two(job: Job, server: Server) -> None:
    """PatientIDs that differ in blanks at the beginning only are two patients on the server, and two new ones."""
    job.source.mkdir()
    for number, patient in enumerate(("P-1", "  P-1")):
        uids: dict[str, Any] = {"StudyInstanceUID": f"1.2.{number}", "SeriesInstanceUID": f"1.2.{number}.1"}
        data = instance(PatientID=patient, SOPInstanceUID=f"1.2.{number}.1.1", **uids)
        (job.source / str(number)).write_bytes(data)
    server.upload(job.source)
    assert 0 == job("inventory", server.url, "-o", "manifest.csv").code
    write(job, server, verify="full")

    done = job("run", "job.yaml", "--run-id", "blanks")

    assert 0 == done.code, done.out + done.err
    made = [server.dataset(result).PatientID for (result,) in server.originals().values()]
    assert (2, 2) == (len(made), len(set(made)))


def test_as_many_jobs_at_a_time_as_the_config_allows(job: Job, server: Server) -> None:
    """``orthanc.max_parallel_jobs``: six patients have a call each; five are sent, the sixth waits."""
    generate(job.source, 6, 8 << 10, shape=Shape(patients=6, studies_per_patient=1))
    server.upload(job.source)
    assert 0 == job("inventory", server.url, "-o", "manifest.csv").code
    with OrthancProxy(server.url) as proxy:
        held = proxy.add(Hold(before=True), is_bulk_call, times=None)
        access = {"accept_unstable": True, "max_parallel_jobs": AT_ONCE}
        write(job, server, source={"orthanc": proxy.url}, execution={"chunk_size": 1}, orthanc=access)
        running = job.start("run", "job.yaml", "--run-id", "r")
        end = time.monotonic() + PATIENTLY_S
        while held.hits < AT_ONCE and time.monotonic() < end:
            time.sleep(0.05)
        time.sleep(1)  # for a sixth
        at_once = held.hits
        held.release()
        finished = running.end()

    assert (0, AT_ONCE) == (finished.code, at_once), finished.err


def test_what_a_person_should_look_at(job: Job, server: Server) -> None:
    """Captures and emptied documents by their class, on every version; what an image says itself is not asked for."""
    job.source.mkdir()
    content = Element(0x0040A730, "SQ", (Item(tuple(elements({"TextValue": "no finding"}))),))
    made = {
        "1.2.3.1.1.1": instance(SOPClassUID="1.2.840.10008.5.1.4.1.1.7"),
        "1.2.3.1.1.2": instance(content, SOPClassUID="1.2.840.10008.5.1.4.1.1.88.11", SOPInstanceUID="1.2.3.1.1.2"),
        "1.2.3.1.1.3": instance(SOPInstanceUID="1.2.3.1.1.3", BurnedInAnnotation="YES"),
    }
    for name, data in made.items():
        (job.source / name).write_bytes(data)
    server.upload(job.source)
    job.write_manifest([{"orthanc_id": study} for study in server.get("studies")])
    write(job, server, verify="identifiers")
    plan = job("plan", "job.yaml")
    run = job("run", "job.yaml", "--run-id", "look")

    assert (0, 0) == (plan.code, run.code), plan.err + run.err
    listed = read_csv(job.root / "runs" / "look" / "review.csv")
    assert ["burned-in-text", "content-emptied"] == sorted(row["reason"] for row in listed)
    assert all(row["new_sop_instance_uid"] not in made for row in listed)
    for reason in ("burned-in-text", "content-emptied"):
        assert f"1 {reason}" in plan.out
        assert f"1 {reason}" in run.out
