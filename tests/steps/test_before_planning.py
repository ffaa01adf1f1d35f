"""Every problem at once: config, files, key, manifest and destination are checked before anything is planned."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest
from ruamel.yaml import YAML

from deidflow.tasks.core.dicom.identifiers import DicomIdentifiers, Level
from deidflow.tasks.core.errors import InvalidInput, TransientError, Unusable
from deidflow.tasks.steps.load import check_before_planning, load_checked
from tests.dicom_files import instance
from tests.jobs import KEY, read_csv
from tests.steps.steps import Steps

if TYPE_CHECKING:
    from pathlib import Path

    from deidflow.tasks.core.config.config import Config
    from tests.contract.server import Server

GOOD_ID = DicomIdentifiers("P-1", "", "", "").orthanc_id(Level.PATIENT)
SOUND: dict[str, Any] = {
    "name": "trial",
    "manifest": "m.csv",
    "operation": "anonymize",
    "source": {"folder": "in"},
    "destination": {"folder": "out"},
    "options": {"DicomVersion": "2023b"},
    "pseudonyms": {"key_file": "trial.key"},
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A project in which all is well."""
    (tmp_path / "in").mkdir()
    (tmp_path / "m.csv").write_text(f"orthanc_id\n{GOOD_ID}\n")
    (tmp_path / "trial.key").touch(0o600)
    (tmp_path / "trial.key").write_text(KEY)
    return tmp_path


def _path(folder: Path, **changes: Any) -> Path:
    path = folder / "job.yaml"
    with path.open("w") as stream:
        YAML(typ="safe").dump({key: value for key, value in (SOUND | changes).items() if value is not None}, stream)
    return path


def _load(folder: Path, **changes: Any) -> Config:
    return load_checked(_path(folder, **changes))


def _keys(error: InvalidInput) -> set[str]:
    return {problem.key or f"column {problem.column}" for problem in error.problems}


def test_a_sound_project(folder: Path) -> None:
    """The key is handed on, so that it is read once; without one there is none."""
    key = check_before_planning(_load(folder), skip_invalid=False)
    assert key is not None
    assert check_before_planning(_load(folder, pseudonyms=None), skip_invalid=False) is None


def test_a_wrong_config_does_not_hide_the_rest(folder: Path) -> None:
    """What else is wrong with files, key, manifest and destination is told in the same breath."""
    (folder / "m.csv").write_text("orthanc_id,level,Replace.StudyDate\nnot an ID,exam,yesterday\n")
    (folder / "trial.key").chmod(0o644)
    (folder / "out").write_text("a file")

    with pytest.raises(InvalidInput) as caught:
        _load(folder, source={"folder": "elsewhere"}, execution={"workers": 0})

    assert _keys(caught.value) == {
        *("execution.workers", "source.folder", "pseudonyms.key_file", "destination.folder"),
        *("column orthanc_id", "column level", "column Replace.StudyDate"),
    }


def test_rows_are_not_blamed_for_what_the_options_are_missing(folder: Path) -> None:
    """Where a key of the requests is wrong, only the rows' own columns are checked."""
    (folder / "m.csv").write_text("orthanc_id,Replace.StudyDate\nnot an ID,yesterday\n")

    with pytest.raises(InvalidInput) as caught:
        _load(folder, options={"DicomVersion": "1999"})

    assert _keys(caught.value) == {"options.DicomVersion", "column orthanc_id"}


def test_what_is_wrong_in_the_options_is_told_once(folder: Path) -> None:
    """And not again with each row, all of which take it over; what a row does wrong itself is told of it."""
    ids = "".join(f"{GOOD_ID[:-1]}{number},\n" for number in range(9))
    (folder / "m.csv").write_text(f"orthanc_id,Keep\n{ids}{GOOD_ID[:-1]}a,PatientID\nnot an ID,\n")

    with pytest.raises(InvalidInput) as caught:
        _load(folder, options={"DicomVersion": "2023b", "Remove": ["PatientID"], "Keep": ["StudyInstanceUID"]})

    assert _keys(caught.value) == {
        *("options.Keep.StudyInstanceUID", "options.Remove.PatientID"),
        *("column Keep", "column orthanc_id"),
    }
    assert 4 == len(caught.value.problems)


BAD: dict[str, tuple[dict[str, Any], set[str]]] = {
    "no manifest": ({"manifest": "other.csv"}, {"manifest"}),
    "runs_dir is a file": ({"report": {"runs_dir": "m.csv"}}, {"report.runs_dir"}),
    "no encoder": (
        {"options": {"DicomVersion": "2023b", "Transcode": "1.2.840.10008.1.2.4.51"}},
        {"options.Transcode"},
    ),
    "nothing reads it": ({"options": {"DicomVersion": "2023b", "Priority": 1}}, {"options.Priority"}),
    "no variable": ({"pseudonyms": {"key_env": "TEST_DEIDFLOW_NOT_THERE"}}, {"pseudonyms.key_env"}),
    "dask beside an Orthanc": (
        {
            "engine": "orthanc",
            "source": {"orthanc": "http://127.0.0.1:9"},
            "destination": None,
            "pseudonyms": None,
            "execution": {"runner": "dask", "dask_address": "tcp://localhost:1"},
        },
        {"execution.runner"},
    ),
    "a creator for an Orthanc": (
        {
            "engine": "orthanc",
            "source": {"orthanc": "http://127.0.0.1:9"},
            "destination": None,
            "pseudonyms": None,
            "options": {"DicomVersion": "2023b", "Keep": ['0029,"SIEMENS CSA HEADER",10']},
        },
        {"options.Keep"},
    ),
    "no room for the name of a ledger": ({"report": {"runs_dir": "/".join(["x" * 200] * 3)}}, {"report.runs_dir"}),
    "no password": (
        {"source": {"orthanc": "http://127.0.0.1:9"}, "orthanc": {"password_env": "TEST_DEIDFLOW_NOT_THERE"}},
        {"orthanc.password_env"},
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_what_only_the_machine_shows(folder: Path, name: str) -> None:
    """Each is told by its key, before a source is read."""
    changes, keys = BAD[name]
    with pytest.raises(InvalidInput) as caught:
        check_before_planning(_load(folder, **changes), skip_invalid=False)

    assert keys <= _keys(caught.value)


def test_rows_that_may_be_set_aside(folder: Path) -> None:
    """With skip_invalid they are no hindrance; without, each is told, beside the destination's trouble."""
    (folder / "m.csv").write_text("orthanc_id\nnot an ID\n")
    (folder / "out").write_text("a file")
    config = _load(folder)

    with pytest.raises(InvalidInput) as caught:
        check_before_planning(config, skip_invalid=False)
    assert {"column orthanc_id", "destination.folder"} == _keys(caught.value)
    assert [f"must be a folder: {folder / 'out'}"] == [one.text for one in caught.value.problems if one.key]
    with pytest.raises(InvalidInput) as caught:
        check_before_planning(_load(folder, destination={"orthanc": "http://127.0.0.1:9"}), skip_invalid=False)
    assert {"column orthanc_id", "destination.orthanc"} == _keys(caught.value)
    with pytest.raises(Unusable, match=r"destination\.folder: must be a folder"):
        check_before_planning(config, skip_invalid=True)


def test_a_row_that_was_set_aside_says_where_to_look(tmp_path: Path) -> None:
    """Its line of the report names the columns that are wrong, and nothing of what stands in them."""
    (tmp_path / "source").mkdir()
    (tmp_path / "source" / "1").write_bytes(instance())
    steps = Steps(tmp_path)
    wrong = {"orthanc_id": "not an ID", "Replace.StudyDate": "yesterday"}
    steps.plan([{"orthanc_id": GOOD_ID}, wrong], skip_invalid=True)
    steps.edit()
    steps.report()

    rows = read_csv(steps.run.folder / "reconciliation.csv")
    expected = [("done", ""), ("invalid", "invalid-row: see Replace.StudyDate, orthanc_id")]
    assert expected == [(row["outcome"], row["reason"]) for row in rows]


def test_a_destination_below_a_file_or_a_loop_of_links(folder: Path) -> None:
    """The place that is in the way is named."""
    (folder / "file").write_text("")
    (folder / "loop").symlink_to("loop")
    for name in ("file/out", "loop/out"):
        with pytest.raises(Unusable, match=r"destination\.folder"):
            check_before_planning(_load(folder, destination={"folder": name}), skip_invalid=False)


def test_a_destination_that_cannot_be_written(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is found out before a plan is made; root may write anywhere, so the system is asked in another's name."""
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(Unusable, match=r"destination\.folder: cannot be written"):
        check_before_planning(_load(folder), skip_invalid=False)


def test_a_destination_that_does_not_answer(folder: Path) -> None:
    """Nobody listens there: that is no fault of the input."""
    with pytest.raises((Unusable, TransientError), match="no connection"):
        check_before_planning(_load(folder, destination={"orthanc": "http://127.0.0.1:9"}), skip_invalid=False)


def test_a_destination_that_answers(folder: Path, server: Server) -> None:
    """An Orthanc that can be written is no problem; certificates that cannot be read are told as such."""
    config = _load(folder, destination={"orthanc": server.url})
    assert check_before_planning(config, skip_invalid=False) is not None

    (folder / "ca.pem").write_text("no certificate")
    wrong = _load(folder, destination={"orthanc": "https://127.0.0.1:9"}, orthanc={"ca_file": "ca.pem"})
    assert check_before_planning(wrong, skip_invalid=False) is not None  # the client says it when it is first used
