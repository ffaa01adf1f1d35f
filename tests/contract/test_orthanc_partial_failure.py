"""One instance that an Orthanc cannot edit: it alone fails, and what is mended is done with its patient as a whole."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, Final

import httpx
import pytest

from benchmarks.generate import Shape, generate
from tests.contract.server import Server, write
from tests.dicom_files import instance
from tests.jobs import read_csv

if TYPE_CHECKING:
    from pathlib import Path

    from tests.jobs import Job

COUNT: Final = 120


def _attachment(server: Server, instance: str) -> Path:
    name = server.get(f"instances/{instance}")["FileUuid"]
    return server.running.storage / str(name[:2]) / str(name[2:4]) / str(name)


def _instances(job: Job, run_id: str) -> dict[str, dict[str, str]]:
    lines = read_csv(job.root / "runs" / run_id / "crosswalk.csv")
    return {row["original_orthanc_id"]: row for row in lines if row["level"] == "instance"}


def _delete(server: Server, instance: str) -> None:
    httpx.delete(f"{server.url}/instances/{instance}").raise_for_status()


def _outcomes(lines: dict[str, dict[str, str]]) -> Counter[str]:
    return Counter(row["outcome"] for row in lines.values())


OPERATIONS: Final[list[Any]] = [
    pytest.param("anonymize", {"DicomVersion": "2021b"}, id="anonymize"),
    pytest.param("modify", {"Replace": {"StudyDescription": "Trial 7"}}, id="modify", marks=pytest.mark.versions),
]


@pytest.mark.parametrize(("operation", "options"), OPERATIONS)
def test_one_bad_instance_costs_only_itself(
    job: Job, server: Server, tmp_path: Path, operation: str, options: dict[str, Any]
) -> None:
    """Of 120 in one call 119 are done, one fails with its reason, nothing is orphaned; mended, resume does it.

    Anonymized again as a whole, so that all are in one new study; with modify the 119 stay as they are.
    """
    generate(tmp_path / "made", COUNT, 8 << 10, shape=Shape(patients=1, series_per_study=1))
    names = server.upload(tmp_path / "made")
    attachment = _attachment(server, names[7])
    attachment.rename(attachment.with_suffix(".away"))
    assert 0 == job("inventory", server.url, "-o", "manifest.csv").code
    write(job, server, verify="identifiers", operation=operation, options=options)

    done = job("run", "job.yaml", "--run-id", "bad")

    assert 1 == done.code, done.err
    first = _instances(job, "bad")
    failed = first[names[7]]
    assert {"done": COUNT - 1, "failed": 1} == _outcomes(first)
    assert ("failed", "") == (failed["outcome"], failed["new_orthanc_id"])
    assert failed["reason"].startswith("source-unreadable: the Orthanc cannot read the instance's file")
    assert 2 * COUNT - 1 == len(server.get("instances"))
    assert {1} == {len(made) for made in server.originals().values()}

    again = job("resume", job.root / "runs" / "bad")
    assert 1 == again.code, again.err
    assert {"done": COUNT - 1, "failed": 1} == _outcomes(_instances(job, "bad"))
    assert 2 * COUNT - 1 == len(server.get("instances"))

    attachment.with_suffix(".away").rename(attachment)
    mended = job("resume", job.root / "runs" / "bad")
    assert 0 == mended.code, mended.err
    last = _instances(job, "bad")
    results = server.originals()
    assert {"done": COUNT} == _outcomes(last)
    assert {name: [row["new_orthanc_id"]] for name, row in last.items()} == results
    assert 2 * COUNT == len(server.get("instances"))
    new_studies = {server.get(f"instances/{made}/study")["ID"] for (made,) in list(results.values())[::40]}
    assert 1 == len(new_studies)
    if operation == "anonymize":
        assert 2 == len(server.get("studies"))
    else:
        assert 1 == len(server.get("studies"))
        kept = [name for name, row in first.items() if row["new_orthanc_id"] == last[name]["new_orthanc_id"]]
        assert COUNT - 1 == len(kept)


@pytest.mark.versions
def test_a_mended_patient_costs_no_other(job: Job, server: Server, tmp_path: Path) -> None:
    """Three patients in one call, one instance of one fails: when it is mended the other two keep their results."""
    generate(tmp_path / "made", 30, 8 << 10, shape=Shape(patients=3, series_per_study=1))
    names = server.upload(tmp_path / "made")
    attachment = _attachment(server, names[0])
    attachment.rename(attachment.with_suffix(".away"))
    assert 0 == job("inventory", server.url, "-o", "manifest.csv").code
    write(job, server)

    done = job("run", "job.yaml", "--run-id", "three")
    first = _instances(job, "three")
    attachment.with_suffix(".away").rename(attachment)
    mended = job("resume", job.root / "runs" / "three")
    last = _instances(job, "three")

    assert (1, 0) == (done.code, mended.code), done.err + mended.err
    patient = server.get(f"instances/{names[0]}/patient")["ID"]
    same = {name for name in names if server.get(f"instances/{name}/patient")["ID"] == patient}
    changed = {name for name in names if first[name]["new_orthanc_id"] != last[name]["new_orthanc_id"]}
    assert same == changed
    assert (60, 6) == (len(server.get("instances")), len(server.get("patients")))
    assert {1} == {len(made) for made in server.originals().values()}


@pytest.mark.versions
def test_results_whose_originals_are_gone_are_never_given_up(job: Job, server: Server, tmp_path: Path) -> None:
    """Somebody deletes originals after the run, and another result: resume keeps what could not be made again."""
    generate(tmp_path / "made", 10, 8 << 10, shape=Shape(patients=1, series_per_study=1))
    names = server.upload(tmp_path / "made")
    assert 0 == job("inventory", server.url, "-o", "manifest.csv").code
    write(job, server, verify="identifiers")
    assert 0 == job("run", "job.yaml", "--run-id", "gone").code
    first = _instances(job, "gone")
    _delete(server, names[1])
    _delete(server, first[names[2]]["new_orthanc_id"])

    seen = job("verify", job.root / "runs" / "gone")
    again = job("resume", job.root / "runs" / "gone")

    assert (1, 1) == (seen.code, again.code), seen.err + again.err
    last = _instances(job, "gone")
    assert {"done": 9, "failed": 1} == _outcomes(last)
    assert last[names[2]]["reason"].startswith("source-changed")
    kept = {name for name in names if first[name]["new_orthanc_id"] == last[name]["new_orthanc_id"]}
    assert set(names) - {names[2]} == kept
    assert 9 + 9 == len(server.get("instances"))


@pytest.mark.versions
def test_a_server_whose_script_deletes_results(job: Job, server: Server, tmp_path: Path) -> None:
    """Results that a rule sends on and deletes are missing; nothing says that the originals were."""
    generate(tmp_path / "made", 2, 8 << 10, shape=Shape(patients=1, series_per_study=1))
    names = server.upload(tmp_path / "made")
    script = server.running.storage / "route.lua"
    script.write_text(
        "function OnStoredInstance(instanceId, tags, metadata)\n"
        "  if metadata['AnonymizedFrom'] ~= nil then Delete(instanceId) end\nend\n"
    )
    server.running.kill()
    server.running.configure(LuaScripts=["storage/route.lua"])
    server.running.start()
    assert 0 == job("inventory", server.url, "-o", "manifest.csv").code
    write(job, server)
    ran = job("run", "job.yaml", "--run-id", "routed")
    lines = _instances(job, "routed")

    # Whether they are missed by the call or by who verifies depends on when the script has its turn; where that is
    # amid the storing, 1.13.0 now and then says that it did not store the result.
    said = {(line["outcome"], line["reason"].partition(":")[0]) for line in lines.values()}
    assert (1, 2) == (ran.code, len(lines)), ran.err
    assert said <= {("missing", "result-missing"), ("failed", "server-error")}
    assert set(names) == set(server.get("instances"))


@pytest.mark.parametrize("engine", [pytest.param("orthanc", marks=pytest.mark.versions), "local"])
def test_a_server_that_describes_no_errors(job: Job, server: Server, tmp_path: Path, engine: str) -> None:
    """``HttpDescribeErrors`` off: one lost file costs itself alone, and the reason names the setting."""
    generate(tmp_path / "made", 3, 8 << 10, shape=Shape(patients=1, series_per_study=1))
    names = server.upload(tmp_path / "made")
    _attachment(server, names[1]).unlink()
    server.running.kill()
    server.running.configure(HttpDescribeErrors=False)
    server.running.start()
    assert 0 == job("inventory", server.url, "-o", "manifest.csv").code
    write(job, server, engine=engine, destination={"folder": "out"} if engine == "local" else None)
    ran = job("run", "job.yaml", "--run-id", "silent")
    lines = _instances(job, "silent")

    assert (1, Counter({"done": 2, "failed": 1})) == (ran.code, _outcomes(lines)), ran.err
    assert ("failed", True) == (lines[names[1]]["outcome"], "HttpDescribeErrors" in lines[names[1]]["reason"])


@pytest.mark.versions
def test_a_file_that_the_server_has_lost_costs_engine_local_only_itself(job: Job, server: Server) -> None:
    """As source, one instance of three fails; as destination, one result whose place has such an object."""
    job.source.mkdir()
    for number in range(3):
        (job.source / str(number)).write_bytes(instance(SOPInstanceUID=f"1.2.3.1.1.{number}"))
    away = _attachment(server, server.upload(job.source)[0])
    assert 0 == job("inventory", server.url, "-o", "manifest.csv").code
    kept = away.rename(away.with_suffix(".away"))
    write(job, server, engine="local", destination={"folder": "results"})
    source = job("run", "job.yaml", "--run-id", "source"), _instances(job, "source")
    kept.rename(away)
    mended = job("resume", "runs/source")
    write(job, server, engine="local", destination={"orthanc": server.url}, name="other")
    assert 0 == job("run", "job.yaml", "--run-id", "first").code
    _attachment(server, next(iter(_instances(job, "first").values()))["new_orthanc_id"]).unlink()
    destination = job("run", "job.yaml", "--run-id", "again"), _instances(job, "again")

    assert (1, 0, 1) == (source[0].code, mended.code, destination[0].code), source[0].err + mended.err
    for (_, lines), code in ((source, "source-unreadable"), (destination, "destination-conflict")):
        assert {"done": 2, "failed": 1} == _outcomes(lines)
        assert [code] == [row["reason"].partition(":")[0] for row in lines.values() if row["outcome"] == "failed"]
