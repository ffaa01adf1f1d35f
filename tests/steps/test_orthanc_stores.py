"""The local engine between a folder and an Orthanc, step by step: from one to the other, and back."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any, Final

import pytest

from deidflow.tasks.core.dicom.identifiers import DicomIdentifiers, Level
from deidflow.tasks.core.errors import Unusable
from deidflow.tasks.core.outcomes import Outcome
from deidflow.tasks.core.report.totals import DeletedSources
from deidflow.tasks.orthanc.connection.errors import RefusedCredentials
from deidflow.tasks.steps.run.progress import make_progress
from deidflow.tasks.steps.withdraw import withdraw_results
from tests.contract.server import SETTINGS, Server, require_orthanc
from tests.dicom_files import instance
from tests.jobs import files_of, read_csv
from tests.orthanc_proxy import Answer
from tests.orthanc_server import OrthancServer
from tests.steps.steps import Steps

if TYPE_CHECKING:
    from pathlib import Path

    from tests.orthanc_proxy import OrthancProxy

DROP_ALL_WHEN: Final = """
function ReceivedInstanceFilter(dicom, origin, info)
  local asked = io.open('{}')
  if asked then asked:close() end
  return not asked
end
"""
PATIENT = DicomIdentifiers("P-1", "1.2.3.1", "", "").orthanc_id(Level.PATIENT)


def _fill(folder: Path) -> None:
    folder.mkdir()
    for number in range(3):
        data = instance(SOPInstanceUID=f"1.2.3.1.1.{number}", InstanceNumber=str(number))
        (folder / f"{number}.dcm").write_bytes(data)


def _done(steps: Steps) -> int:
    assert 0 == steps.verify()
    result = steps.report()
    assert result.reconciled
    return result.instances[Outcome.DONE]


def test_from_a_folder_to_a_server_and_again(tmp_path: Path, server: Server) -> None:
    """The results are there once, however often the run is done; one that vanished is made again."""
    _fill(tmp_path / "source")
    steps = Steps(tmp_path)
    steps.plan([PATIENT], destination={"orthanc": server.url})
    steps.edit()
    assert 3 == _done(steps)
    names = set(server.get("instances"))
    assert 3 == len(names)
    server.delete(f"instances/{min(names)}")

    assert 1 == steps.verify(again=True)
    steps.resume()

    assert 3 == _done(steps)
    assert names == set(server.get("instances"))


@pytest.mark.parametrize("keeps", [True, False])
def test_from_a_server_to_a_folder(tmp_path: Path, server: Server, keeps: bool) -> None:
    """The same bytes as from a folder; sources that are to go are deleted on the server."""
    _fill(tmp_path / "source")
    server.upload(tmp_path / "source")
    from_folder, from_server = Steps(tmp_path), Steps(tmp_path)
    options: dict[str, Any] = {"DicomVersion": "2023b", "KeepSource": keeps}
    from_folder.plan([PATIENT], run_id="folder", destination={"folder": "expected"})
    from_folder.edit()
    access = {"accept_unstable": True}
    from_server.plan([PATIENT], run_id="s", source={"orthanc": server.url}, orthanc=access, options=options)
    from_server.edit()
    assert 0 == from_server.verify()
    deleted = from_server.delete()
    assert 3 == _done(from_server)

    assert files_of(tmp_path / "expected") == files_of(tmp_path / "results")
    assert (None if keeps else DeletedSources(3, 0, 0)) == deleted
    assert (3 if keeps else 0) == len(server.get("instances"))


def test_another_object_in_the_place_of_a_result(tmp_path: Path, server: Server) -> None:
    """It stays, and the instance fails; with destination.overwrite it is replaced."""
    _fill(tmp_path / "source")
    first, second, third = (Steps(tmp_path) for _ in range(3))
    first.plan([PATIENT], run_id="a", destination={"orthanc": server.url})
    first.edit()
    _done(first)
    changed = {"DicomVersion": "2023b", "Replace": {"StudyDescription": "Trial 7"}}
    second.plan([PATIENT], run_id="b", destination={"orthanc": server.url}, options=changed)
    second.edit()
    second.verify()
    assert 3 == second.report().instances[Outcome.FAILED]
    over = {"orthanc": server.url, "overwrite": True}
    third.plan([PATIENT], run_id="c", destination=over, options=changed)

    third.edit()

    assert 3 == _done(third)
    assert 3 == len(server.get("instances"))
    assert {b"Trial 7"} == {server.element(name, "0008-1030").rstrip(b" ") for name in server.get("instances")}


@pytest.mark.parametrize("overwrites", [False, True])
def test_a_filter_of_the_destination(tmp_path: Path, overwrites: bool) -> None:
    """What it drops is failed, with the reason, and an object that was to be replaced is still there."""
    require_orthanc()
    _fill(tmp_path / "source")
    (tmp_path / "filter.lua").write_text(DROP_ALL_WHEN.format(tmp_path / "drop"))
    settings = {**SETTINGS, "LuaScripts": [str(tmp_path / "filter.lua")], "OverwriteInstances": False}
    first, second = Steps(tmp_path), Steps(tmp_path)
    with OrthancServer(None, settings) as running, contextlib.closing(Server(running)) as server:
        if overwrites:
            first.plan([PATIENT], run_id="a", destination={"orthanc": server.url})
            first.edit()
        before = {name: server.element(name, "0008-1030") for name in server.get("instances")}
        (tmp_path / "drop").touch()
        options = {"DicomVersion": "2023b", "Replace": {"StudyDescription": "Trial 7"}}
        to = {"orthanc": server.url, "overwrite": overwrites}
        second.plan([PATIENT], run_id="b", destination=to, options=options)

        second.edit()

        after = {name: server.element(name, "0008-1030") for name in server.get("instances")}
        kept = second.run.folder / "replaced" / "-".join(["0badf00d"] * 5)
        kept.parent.mkdir(mode=0o700)
        kept.write_bytes(instance())
        with pytest.raises(Unusable, match="cannot be put back"):
            second.edit()
        assert kept.exists()
    assert 3 == second.report().instances[Outcome.FAILED]
    assert before == after
    assert overwrites is bool(after)
    lines = [row for row in read_csv(second.run.folder / "crosswalk.csv") if row["level"] == "instance"]
    assert 3 == len(lines)
    assert all(row["reason"].startswith("destination-unusable: ") and "a filter" in row["reason"] for row in lines)


def test_a_server_that_reads_identifiers_otherwise(tmp_path: Path) -> None:
    """Where DefaultEncoding makes another PatientID of a file, that is said, and not that the file has changed."""
    require_orthanc()
    (tmp_path / "source").mkdir()
    (tmp_path / "source" / "1").write_bytes(instance(charset="cp1251", PatientID="\u041f-1"))
    steps = Steps(tmp_path)
    settings = {**SETTINGS, "DefaultEncoding": "Windows1251"}
    with OrthancServer(None, settings) as running, contextlib.closing(Server(running)) as server:
        server.upload(tmp_path / "source")
        access = {"accept_unstable": True}
        steps.plan(server.get("patients"), source={"orthanc": server.url}, orthanc=access)
        steps.edit()

    assert 1 == steps.report().instances[Outcome.FAILED]
    (line,) = (row for row in read_csv(steps.run.folder / "crosswalk.csv") if row["level"] == "instance")
    assert line["reason"].startswith("ambiguous-encoding: ")
    assert "DefaultEncoding" in line["reason"]


def test_results_that_a_server_does_not_let_go(tmp_path: Path, server: Server, proxy: OrthancProxy) -> None:
    """Taking them back ends with what the server says, and they still count; allowed, it takes them back."""
    _fill(tmp_path / "source")
    steps = Steps(tmp_path)
    steps.plan([PATIENT], destination={"orthanc": proxy.url})
    steps.edit()
    proxy.add(Answer(403), lambda request, _: request.path.startswith("/tools/bulk-delete"), times=None)

    with make_progress() as progress:
        with pytest.raises(RefusedCredentials, match="bulk-delete"):
            withdraw_results(steps.run, (), progress)
        assert 3 == _done(steps)
        proxy.clear()
        assert 3 == withdraw_results(steps.run, (), progress).gone

    assert not server.get("instances")


def test_a_leak_that_a_server_does_not_let_go_is_told_as_such(
    tmp_path: Path, server: Server, proxy: OrthancProxy
) -> None:
    """No reason says that it was removed, and each says why it was not; allowed, the next verification removes it."""
    (tmp_path / "source").mkdir()
    (tmp_path / "source" / "1").write_bytes(instance(PatientName="Kowalczyk^Jan", SequenceName="Kowalczyk"))
    steps = Steps(tmp_path)
    steps.plan([PATIENT], destination={"orthanc": proxy.url}, options={"DicomVersion": "2021b"})
    steps.edit()
    proxy.add(Answer(403), lambda request, _: request.path.startswith("/tools/bulk-delete"), times=None)
    steps.verify()
    steps.report()

    assert 1 == len(server.get("instances"))
    (line,) = steps.crosswalk()
    assert line["reason"].startswith("identifier-left: PatientName of the source is left in SequenceName; the result ")
    assert "was not removed" in line["reason"]
    assert "POST tools/bulk-delete" in line["reason"]
    assert line["new_orthanc_id"] == server.get("instances")[0]

    proxy.clear()
    steps.verify(again=True)
    steps.report()
    (line,) = steps.crosswalk()

    assert not server.get("instances")
    assert "identifier-left: PatientName of the source is left in SequenceName" == line["reason"]
