"""Carries a case out: by the bare route, and by `deidflow run` with either engine.

Public names: ``Refused``, ``carry_out``.
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import httpx
import pydicom

from tests.contract.server import write
from tests.contract.upstream.case import Results, Side, orthanc_id
from tests.jobs import read_csv

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from pydicom import Dataset

    from tests.contract.server import Server
    from tests.contract.upstream.case import Case, Version
    from tests.jobs import Job

_PLURAL = {"patient": "patients", "study": "studies", "series": "series", "instance": "instances"}
_QUICKLY = {"retries": 1, "retry_delay_seconds": 0.1}

_RACE = "Study not found"
"""What 1.12.7 now and then answers, with 404/17, when it reconstructs the results of several studies: asked again."""


class Refused(Exception):
    """A side refused the request, and made nothing."""


def carry_out(case: Case, side: Side, job: Job, server: Server | None) -> Results:
    """Do what the case asks for.

    Raises:
        Refused: The side does not do it, and nothing has changed.

    """
    made = case.files()
    files = [_written(file) for file in made]
    if side is Side.LOCAL:
        return _local(case, made, files, job)
    assert server is not None
    _fill(server, files)
    version = tuple(int(part) for part in server.running.version.split("."))
    before = set(server.get("instances"))
    if side is Side.ROUTE:
        return _route(case, made, server, version)
    _configure(case, job, made, server=server)
    ended = job("run", "job.yaml", "--run-id", "case")
    if ended.code != 0:
        assert ended.code in {1, 2}, ended.err
        assert before == set(server.get("instances")), ended.err
        raise Refused(ended.err)
    results = {row["original_orthanc_id"]: server.dataset(row["new_orthanc_id"]) for row in _instances(job)}
    return _paired(case, made, results, (side, version, set(server.get("instances")), server))


def _route(case: Case, made: list[Dataset], server: Server, version: Version) -> Results:
    asked, before = case.asked(made), set(server.get("instances"))
    body = {"DicomVersion": "2021b"} | dict(case.control) if case.control is not None else case.body()
    path = f"{_PLURAL[asked[0][0]]}/{asked[0][1]}/{case.operation}"
    if case.route == "bulk":
        path, body = f"tools/bulk-{case.operation}", body | {"Resources": [name for _, name in asked]}
    answer = httpx.post(f"{server.url}/{path}", json=body, timeout=60)
    if _RACE in answer.text:
        _fill(server, [_written(file) for file in made])
        return _route(case, made, server, version)
    if answer.is_error:
        assert before == set(server.get("instances")), answer.text
        raise Refused(answer.text)
    if case.route == "instance":
        alone = {asked[0][1]: pydicom.dcmread(io.BytesIO(answer.content))}
        return _paired(case, made, alone, (Side.ROUTE, version, before, None))
    results = {origin: server.dataset(names[0]) for origin, names in server.originals().items()}
    return _paired(case, made, results, (Side.ROUTE, version, set(server.get("instances")), server))


def _local(case: Case, made: list[Dataset], files: list[bytes], job: Job) -> Results:
    job.source.mkdir()
    for number, content in enumerate(files):
        (job.source / f"{number}.dcm").write_bytes(content)
    _configure(case, job, made)
    ended = job("run", "job.yaml", "--run-id", "case")
    if ended.code != 0:
        assert ended.code in {1, 2}, ended.err
        assert not _files(job.destination), ended.err
        assert [f"{number}.dcm" for number in range(len(files))] == sorted(p.name for p in _files(job.source))
        raise Refused(ended.err)
    found = {orthanc_id(made, "instance"): made for made in map(pydicom.dcmread, _files(job.destination))}
    results = {row["original_orthanc_id"]: found[row["new_orthanc_id"]] for row in _instances(job)}
    there = {orthanc_id(pydicom.dcmread(path), "instance") for path in _files(job.source)}
    return _paired(case, made, results, (Side.LOCAL, (), there, None))


def _configure(case: Case, job: Job, made: list[Dataset], server: Server | None = None) -> None:
    """Write config and manifest: the level that a route has in its name is an option of deidflow's."""
    options = case.body()
    if case.operation == "modify" and case.route == "level":
        options.setdefault("Level", case.resources[0][0].capitalize())
    config: dict[str, Any] = {"operation": case.operation, "options": options, "execution": _QUICKLY, **case.config}
    if server is None:
        job.write_config(**config)
    else:
        write(job, server, verify="full", **config)
    job.write_manifest([{"orthanc_id": name, "level": level} for level, name in case.asked(made)])


def _paired(
    case: Case,
    made: list[Dataset],
    results: Mapping[str, Dataset],
    where: tuple[Side, Version, set[str], Server | None],
) -> Results:
    side, version, there, server = where
    covered = {orthanc_id(file, "instance"): file for file in case.covered(made)}
    assert set(covered) == set(results)
    left = len(there & set(covered))
    return Results(side, version, tuple((file, results[name]) for name, file in covered.items()), left, server)


def _instances(job: Job) -> list[dict[str, str]]:
    rows = read_csv(job.root / "runs" / "case" / "crosswalk.csv")
    return [row for row in rows if row["level"] == "instance"]


def _files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*.dcm") if path.is_file()]


def _fill(server: Server, files: list[bytes]) -> None:
    """Leave nothing but these files on the server."""
    with httpx.Client(base_url=f"{server.url}/", timeout=60) as client:
        for patient in client.get("patients").raise_for_status().json():
            client.delete(f"patients/{patient}").raise_for_status()
        for content in files:
            client.post("instances", content=content).raise_for_status()


def _written(dataset: Dataset) -> bytes:
    buffer = io.BytesIO()
    pydicom.dcmwrite(buffer, dataset, enforce_file_format=True)
    return buffer.getvalue()
