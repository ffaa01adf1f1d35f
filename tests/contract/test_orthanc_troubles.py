"""Orthancs that cannot be used, or only later: a clear message, the right exit code, nothing half done."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING

import pytest
import trustme

from tests.contract.server import Server, reads_files, write
from tests.dicom_files import instance
from tests.jobs import DEMO_DATA, Job, read_csv
from tests.orthanc_proxy import Answer, Hang, OrthancProxy, Run, is_bulk_call
from tests.orthanc_server import OrthancServer, extra_roots, installed

if TYPE_CHECKING:
    from pathlib import Path


NOBODY = "-".join(["12345678"] * 5)
WRITES_NOTHING = (1, 12, 5)
"""The first version with the mode ReadOnly."""


@pytest.fixture(autouse=True)
def _with_orthanc() -> None:
    if not installed():
        pytest.skip("NO ORTHANC: nothing was tried on a real server (Debian: apt-get install orthanc)")


@pytest.mark.parametrize("trouble", ["password", "port", "not an Orthanc"])
def test_a_server_that_cannot_be_used_is_named(job: Job, trouble: str, prefect_environment: dict[str, str]) -> None:
    """Wrong password, wrong port or something else that answers: a clear message, exit code 3, nothing half done."""
    users = {"AuthenticationEnabled": True, "RegisteredUsers": {"someone": "else"}}
    job.write_manifest([{"orthanc_id": NOBODY}])
    with OrthancServer(settings=users if trouble == "password" else {}) as running:
        url = {
            "password": running.url,
            "port": "http://127.0.0.1:9",
            "not an Orthanc": prefect_environment["PREFECT_API_URL"],
        }[trouble]
        write(job, Server(running), source={"orthanc": url})
        done = job("run", "job.yaml")

    assert 3 == done.code, done.err
    assert "Traceback" not in done.err
    assert {
        "password": "set the environment variables ORTHANC_USERNAME",
        "port": "no connection",
        "not an Orthanc": "is not an Orthanc",
    }[trouble] in done.err
    assert not (job.root / "runs").exists()


def test_a_destination_that_cannot_be_used_is_named_before_anything_starts(job: Job, server: Server) -> None:
    """Nobody at the address of the destination: exit code 3, no run folder."""
    server.upload(DEMO_DATA / "CT")
    job.write_manifest([{"orthanc_id": server.get("studies")[0]}])
    write(job, server, engine="local", destination={"orthanc": "http://127.0.0.1:9"})

    done = job("run", "job.yaml")

    assert 3 == done.code, done.err
    assert "error: destination.orthanc: no connection" in done.err
    assert not (job.root / "runs").exists()


def test_a_certificate_is_checked(job: Job, server: Server, tmp_path: Path) -> None:
    """Unknown certificate: exit 3; with its CA the run is done; unchecked only when the config says so, and loudly.

    The proxy in front speaks TLS, as in most hospitals: Debian's Orthancs die in the handshake (civetweb 1.15).
    """
    authority, context = trustme.CA(), ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    authority.issue_cert("127.0.0.1").configure_cert(context)
    server.upload(DEMO_DATA / "CT")
    job.write_manifest([{"orthanc_id": server.get("studies")[0]}])
    with OrthancProxy(server.url, context) as proxy:
        write(job, server, source={"orthanc": proxy.url})
        unknown = job("run", "job.yaml")
        nothing_made = not (job.root / "runs").exists()
        trusted = job("run", "job.yaml", "--set", f"orthanc.ca_file={tmp_path / 'ca.pem'}")
        unchecked = job("run", "job.yaml", "--set", "orthanc.verify_tls=false", "--runs-dir", "others")

    assert (3, 0, 0) == (unknown.code, trusted.code, unchecked.code), unknown.err + trusted.err + unchecked.err
    assert "certificate cannot be verified" in unknown.err
    assert "orthanc.ca_file (without a config, in the environment variable SSL_CERT_FILE)" in unknown.err
    assert nothing_made
    assert "WARNING: orthanc.verify_tls is false" in unchecked.err
    assert "WARNING" not in trusted.err


@pytest.mark.versions
def test_a_server_that_is_busy_twice_is_asked_again(job: Job, server: Server) -> None:
    """503 twice to the bulk call, then it works: done once, with three attempts in the report."""
    originals = set(server.upload(DEMO_DATA / "CT"))
    job.write_manifest([{"orthanc_id": server.get("studies")[0]}])
    with OrthancProxy(server.url) as proxy:
        busy = proxy.add(Answer(503, {"Retry-After": "1"}), is_bulk_call, times=2)
        write(job, server, source={"orthanc": proxy.url})
        done = job("run", "job.yaml", "--run-id", "busy")

    assert 0 == done.code, done.err
    assert 2 == busy.hits
    (row,) = read_csv(job.root / "runs" / "busy" / "reconciliation.csv")
    assert ("done", "3") == (row["outcome"], row["attempts"])
    assert {1} == {len(made) for made in server.originals().values()}
    assert set(server.originals()) <= originals


def test_an_instance_that_goes_while_the_call_is_sent(job: Job, server: Server) -> None:
    """It alone fails as gone, whatever the version answers to a call that names it; the others are done."""
    names = server.upload(DEMO_DATA / "CT")
    gone = set(names[:1])
    job.write_manifest([{"orthanc_id": server.get("studies")[0]}])

    def delete() -> None:
        for name in gone:
            server.delete(f"instances/{name}")

    with OrthancProxy(server.url) as proxy:
        proxy.add(Run(delete, before=True), is_bulk_call, times=1)
        write(job, server, source={"orthanc": proxy.url}, verify="identifiers")
        done = job("run", "job.yaml", "--run-id", "gone")

    assert 1 == done.code, done.err
    lines = read_csv(job.root / "runs" / "gone" / "crosswalk.csv")
    failed = {row["original_orthanc_id"]: row["reason"] for row in lines if row["outcome"] != "done"}
    assert gone == {row["original_orthanc_id"] for row in lines if row["level"] == "instance"} & failed.keys()
    assert {True} == {failed[name].startswith(("source-changed: ", "not-found: ")) for name in gone}


def test_a_server_that_is_busy_while_results_are_read_back(job: Job, server: Server) -> None:
    """503 to the first of these requests: they are all made again, and the run is done."""
    server.upload(DEMO_DATA / "CT")
    job.write_manifest([{"orthanc_id": server.get("studies")[0]}])
    with OrthancProxy(server.url) as proxy:
        busy = proxy.add(Answer(503), lambda request, _: reads_files(request), times=2)
        write(job, server, source={"orthanc": proxy.url}, verify="full")
        done = job("run", "job.yaml", "--run-id", "busy")

    assert (0, 2) == (done.code, busy.hits), done.err


@pytest.mark.versions
@pytest.mark.parametrize(
    "away",
    [
        pytest.param(Answer(503), id="busy"),
        pytest.param(Answer(404, body=b"404 page not found"), id="proxy"),
    ],
)
def test_a_server_that_goes_while_results_are_read_back_says_nothing_about_them(
    job: Job, server: Server, away: Answer
) -> None:
    """No result counts as failed for it: exit code 3, and ``resume`` reads them back without making one anew."""
    server.upload(DEMO_DATA / "CT")
    job.write_manifest([{"orthanc_id": server.get("studies")[0]}])
    with OrthancProxy(server.url) as proxy:
        gone = proxy.add(away, lambda request, _: reads_files(request), times=None)
        write(job, server, source={"orthanc": proxy.url}, verify="full")
        ran = job("run", "job.yaml", "--run-id", "gone")
        verified = job("verify", job.root / "runs" / "gone")
        made = server.originals()
        refused = gone.hits
        proxy.clear()
        read_before = len(proxy.requests)
        resumed = job("resume", job.root / "runs" / "gone")
        read = [request for request in proxy.requests[read_before:] if reads_files(request)]

    assert (3, 3, 0) == (ran.code, verified.code, resumed.code), ran.err + verified.err + resumed.err
    assert refused
    assert f"HTTP {away.status}" in verified.err
    assert 2 == len(read)  # an archive of originals, and one of results
    assert made == server.originals()


@pytest.mark.parametrize(
    ("engine", "code"),
    [("orthanc", "server-error"), pytest.param("local", "destination-unusable", marks=pytest.mark.versions)],
)
def test_a_proxy_that_takes_no_large_request(job: Job, server: Server, engine: str, code: str) -> None:
    """413, as nginx answers to more than 1 MB by default: no fault of values and files; raised, resume is done."""
    job.source.mkdir()
    (job.source / "one").write_bytes(instance())
    server.upload(job.source)
    job.write_manifest([{"orthanc_id": server.get("studies")[0]}])
    with OrthancProxy(server.url) as proxy:
        too_large = Answer(413, body=b"<html>413 Request Entity Too Large</html>")
        proxy.add(too_large, lambda request, _: is_bulk_call(request, None) or request.path == "/instances", times=None)
        destination = {"orthanc": proxy.url} if engine == "local" else None
        write(job, server, engine=engine, source={"orthanc": proxy.url}, destination=destination)
        refused = job("run", "job.yaml", "--run-id", "large")
        (row,) = read_csv(job.root / "runs" / "large" / "reconciliation.csv")
        proxy.clear()
        resumed = job("resume", "runs/large")

    assert (1, 0) == (refused.code, resumed.code), refused.err + resumed.err
    assert code == row["reason"].partition(":")[0]
    assert "raise its limit (nginx: client_max_body_size)" in row["reason"]


@pytest.mark.parametrize("moment", [pytest.param("plan", marks=pytest.mark.versions), "work"])
def test_a_server_that_hangs_does_not_hang_the_run(job: Job, server: Server, moment: str) -> None:
    """No answer any more: the run ends by itself and says so; resumed when the server is well, all is done once."""
    server.upload(DEMO_DATA / "CT")
    job.write_manifest([{"orthanc_id": server.get("studies")[0]}])
    with OrthancProxy(server.url) as proxy:
        hanging = proxy.add(Hang(), lambda request, _: moment == "plan" or is_bulk_call(request, None), times=None)
        write(
            job,
            server,
            source={"orthanc": proxy.url},
            execution={"retries": 1, "retry_delay_seconds": 0.1},
            orthanc={"accept_unstable": True, "timeout_seconds": 1},
        )
        hung = job("run", "job.yaml", "--run-id", "hung")
        before = server.originals()
        hanging.release()
        proxy.clear()
        done = job("run", "job.yaml", "--run-id", "hung")

    assert ({"plan": 3, "work": 1}[moment], 0) == (hung.code, done.code), hung.err + done.err
    assert not before
    assert "does not answer in time" in hung.err if moment == "plan" else "failed" in hung.out
    assert "Traceback" not in hung.err
    assert {1} == {len(made) for made in server.originals().values()}


@pytest.mark.versions
@pytest.mark.parametrize("root", extra_roots(), ids=lambda root: root.name)
def test_a_read_only_server_is_no_place_for_results(job: Job, root: Path) -> None:
    """A read-only server (1.12.5 on) is refused as engine and as destination before anything starts, not as source."""
    with OrthancServer(root, {"StableAge": 1}) as running:
        filled = Server(running)
        filled.upload(DEMO_DATA / "CT")
        study = filled.get("studies")[0]
        filled.close()
        running.kill()
        running.configure(ReadOnly=True)
        running.start()
        if tuple(map(int, running.version.split("."))) < WRITES_NOTHING:
            pytest.skip(f"Orthanc {running.version} has no mode ReadOnly")
        job.write_manifest([{"orthanc_id": study}])
        write(job, filled)
        as_engine = job("run", "job.yaml")
        job.write_config(source={"folder": str(DEMO_DATA)}, destination={"orthanc": running.url})
        as_destination = job("run", "job.yaml")
        nothing_made = not (job.root / "runs").exists()
        job.write_config(source={"orthanc": running.url}, orthanc={"accept_unstable": True})
        as_source = job("run", "job.yaml")

    assert (3, 3) == (as_engine.code, as_destination.code), as_engine.err + as_destination.err
    assert "read-only" in as_engine.err
    assert "read-only" in as_destination.err
    assert nothing_made
    assert 0 == as_source.code, as_source.err
