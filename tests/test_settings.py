"""The config: reading, overriding, checking; and the secrets that it names."""

from __future__ import annotations

import base64
import json
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from prefect.client.schemas.schedules import CronSchedule
from ruamel.yaml import YAML

from deidflow.tasks.core.config.config import Config
from deidflow.tasks.core.errors import InvalidInput, Problem
from deidflow.tasks.core.pseudonyms.pseudonyms import Key
from deidflow.tasks.core.request.private_attributes import SiteAction, SiteAttribute
from deidflow.tasks.core.request.request import Operation, parse_request
from deidflow.tasks.steps.run.settings import (
    check_files,
    credential_warning,
    load_config,
    load_credentials,
    load_key,
    read_config,
)

SECRET = bytes(range(32))

SOUND: dict[str, Any] = {
    "name": "nightly-trial",
    "manifest": "cohort.csv",
    "operation": "anonymize",
    "source": {"folder": "incoming/"},
    "destination": {"folder": "outgoing/"},
    "options": {"Replace": {"PatientID": "{subject}"}, "Force": True, "DicomVersion": "2023b"},
}


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run in a folder that is not the config's."""
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "jobs").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")


def write(tmp_path: Path, config: dict[str, Any] | str) -> Path:
    """Write a config and return its path."""
    path = tmp_path / "jobs" / "trial.yaml"
    if isinstance(config, str):
        path.write_text(config)
    else:
        with path.open("w") as stream:
            YAML().dump(config, stream)
    return path


def changed(changes: dict[str, Any]) -> dict[str, Any]:
    """Return the sound config with some dotted keys set, or removed where the value is ``...``."""
    config = deepcopy(SOUND)
    for key, value in changes.items():
        *groups, name = key.split(".")
        group = config
        for step in groups:
            group = group.setdefault(step, {})
        group[name] = value
        if value is ...:
            del group[name]
    return config


def load(tmp_path: Path, *overrides: str, **changes: Any) -> Config:
    """Load the sound config with changes."""
    return load_config(write(tmp_path, changed(changes)), overrides)


def problems(tmp_path: Path, config: dict[str, Any] | str, *overrides: str) -> list[Problem]:
    """Return what is wrong with a config."""
    with pytest.raises(InvalidInput) as caught:
        load_config(write(tmp_path, config), overrides)
    return list(caught.value.problems)


def keys(tmp_path: Path, changes: dict[str, Any]) -> list[str]:
    """Return the keys that are to blame."""
    return [problem.key for problem in problems(tmp_path, changed(changes))]


def test_defaults(tmp_path: Path) -> None:
    """Only what has no sensible default must be given; all paths are absolute."""
    jobs = tmp_path / "jobs"
    config = load(tmp_path)

    assert config.engine == "local"
    assert (config.hardening, config.verify, config.profile, config.schedule) == (True, "full", None, None)
    assert config.manifest == jobs / "cohort.csv"
    assert config.source.folder == jobs / "incoming"
    assert config.report.runs_dir == jobs / "runs"
    assert config.execution.model_dump() == {
        "chunk_size": 500,
        "runner": "threads",
        "workers": 2,
        "dask_address": None,
        "retries": 4,
        "retry_delay_seconds": 2.0,
        "job_timeout_seconds": 3600.0,
        "lock_wait_seconds": None,
    }
    assert config.orthanc.model_dump() == {
        "username_env": "ORTHANC_USERNAME",
        "password_env": "ORTHANC_PASSWORD",
        "verify_tls": True,
        "ca_file": None,
        "max_parallel_jobs": 2,
        "timeout_seconds": 60,
        "accept_unstable": False,
    }
    assert (config.scope, config.has_key) == ("nightly-trial", False)


def test_what_the_config_says_for_every_row(tmp_path: Path) -> None:
    """Operation, edits with their templates unfilled, and the other options."""
    defaults = load(tmp_path, **{"options.Remove": ["InstitutionName"]}).defaults
    expected = parse_request(Operation.ANONYMIZE, SOUND["options"] | {"Remove": ["InstitutionName"]})

    assert (defaults.operation, defaults.edits, defaults.settings) == (
        expected.operation,
        expected.edits,
        expected.settings,
    )


def test_the_ledger_s_copy(tmp_path: Path) -> None:
    """JSON and back gives the same config."""
    config = load(
        tmp_path, pseudonyms={"key_env": "KEY"}, schedule={"cron": "0 2 * * *", "timezone": "Europe/Brussels"}
    )
    copy = Config.from_json(json.loads(json.dumps(config.to_json())))

    assert copy == config
    assert copy.defaults == config.defaults


def test_an_orthanc_as_source_and_engine(tmp_path: Path) -> None:
    """The engine on a server needs no destination."""
    config = load(tmp_path, engine="orthanc", source={"orthanc": "http://localhost:8042/"}, destination=...)

    assert config.source.orthanc == "http://localhost:8042"
    assert config.destination is None


def test_commented_out_groups(tmp_path: Path) -> None:
    """A group whose keys are all commented out has its defaults."""
    config = load(tmp_path, execution=None, report=None, orthanc=None)

    assert config.execution.workers == 2
    assert config.report.runs_dir == tmp_path / "jobs/runs"


def test_command_line_before_config(tmp_path: Path) -> None:
    """Paths of the command line are relative to the current folder."""
    path = write(tmp_path, changed({"execution.workers": 3, "report.runs_dir": "a"}))
    config, problems = read_config(
        path,
        ["execution.workers=4", "destination.folder=results", "schedule.interval=60"],
        manifest=Path("../other.csv"),
        runs_dir=Path("runs"),
    )

    assert not problems
    assert config is not None
    assert config.execution.workers == 4
    assert config.schedule is not None
    assert config.schedule.interval == 60
    assert config.manifest == tmp_path / "other.csv"
    assert config.report.runs_dir == tmp_path / "elsewhere/runs"
    assert config.destination is not None
    assert config.destination.folder == tmp_path / "elsewhere/results"
    assert config.source.folder == tmp_path / "jobs/incoming"


@pytest.mark.parametrize(
    ("override", "replace"),
    [
        ("options.Replace.StudyID=x=y", {"0010,0020": "{subject}", "StudyID": "x=y"}),
        ("options.Replace.PatientID={subject}", None),
        ('options.Replace.PatientID="007"', {"PatientID": "007"}),
        ("options.Replace.(0010-0020)=a", {"PatientID": "a"}),
        (
            "options.Replace.RequestAttributesSequence[*].StudyInstanceUID=1.2.3",
            {"PatientID": "{subject}", "RequestAttributesSequence[*].StudyInstanceUID": "1.2.3"},
        ),
        ("options.Replace={StudyID: a}", {"StudyID": "a"}),
        ("options.Replace.StudyID=", {"PatientID": "{subject}", "StudyID": ""}),
    ],
)
def test_overriding_single_tags(tmp_path: Path, override: str, replace: dict[str, str] | None) -> None:
    """What follows ``options.Replace.`` is one tag, in any spelling; the value is YAML."""
    path = write(tmp_path, changed({"options.Replace": {"0010,0020": "{subject}"}}))
    if replace is None:
        with pytest.raises(InvalidInput, match=r"items|text"):
            load_config(path, [override])
    else:
        expected = parse_request(Operation.ANONYMIZE, {"Replace": replace, "Force": True})
        assert load_config(path, [override]).defaults.edits.replace == expected.edits.replace


@pytest.mark.parametrize(
    ("override", "place", "key"),
    [
        ("execution.chunksize=5", "--set", "execution.chunksize"),
        ("nothing.at.all=5", "--set", "nothing"),
        ("execution.workers=many", "--set", "execution.workers"),
        ("execution.workers={", "--set execution.workers", ""),
        ("execution.workers", "--set execution.workers", ""),
        ("=5", "--set ", ""),
        ("options.Replace.studyid=a", "--set", "options.Replace.studyid"),
    ],
)
def test_bad_overrides(tmp_path: Path, override: str, place: str, key: str) -> None:
    """The command line is to blame, not the file."""
    (problem,) = problems(tmp_path, SOUND, override)

    assert (problem.file, problem.line, problem.key) == (place, 0, key)


PROFILE: dict[str, Any] = {"options.DicomVersion": ..., "profile": "ps3.15-2026d"}
MODIFIED = PROFILE | {"profile_options": ["retain-longitudinal-modified-dates"]}
PROFILE_ON_ORTHANC = ["source.folder", "destination", "profile"]
CONTRADICTIONS: list[tuple[dict[str, Any], list[str]]] = [
    ({"engine": "orthanc", "source": {"orthanc": "http://a"}}, ["destination"]),
    ({"engine": "orthanc", "destination": ...}, ["source.folder"]),
    ({"destination": ...}, ["destination"]),
    ({"source": {}}, ["source"]),
    ({"source.orthanc": "http://localhost:8042"}, ["source"]),
    ({"destination": {"overwrite": True}}, ["destination"]),
    ({"profile": "basic", "options.DicomVersion": ...}, ["profile"]),
    ({"profile": "ps3.15-2026d"}, ["profile"]),
    ({"profile": "ps3.15-2026d", "engine": "orthanc", "options.DicomVersion": ...}, PROFILE_ON_ORTHANC),
    ({"profile_options": ["retain-device-identity"]}, ["profile_options"]),
    (
        PROFILE | {"profile_options": ["clean-recognizable-visual-features", "RetainUIDs"]},
        ["profile_options", "profile_options"],
    ),
    (PROFILE | {"profile_options": [["retain-uids"]]}, ["profile_options.0"]),
    (PROFILE | {"profile_options": [{"retain-uids": True}, None]}, ["profile_options.0", "profile_options.1"]),
    (PROFILE | {"profile_options": ["retain-uids"], "options.KeepSource": False}, ["options.KeepSource"]),
    (
        PROFILE | {"profile_options": ["retain-safe-private"], "options.KeepPrivateTags": True},
        ["options.KeepPrivateTags"],
    ),
    (MODIFIED | {"dates": {"column": "offset", "shift_days": [1, 10]}}, ["dates"]),
    (PROFILE | {"dates": {"column": "offset"}}, ["dates"]),
    (
        PROFILE | {"profile_options": ["retain-longitudinal-full-dates", "retain-longitudinal-modified-dates"]},
        ["profile_options"],
    ),
    (PROFILE | {"dates": {"shift_days": [1, 10]}}, ["dates"]),
    (MODIFIED | {"dates": {"shift_days": [10, 1]}}, ["dates.shift_days"]),
    (MODIFIED | {"dates": {"shift_days": [1, 6], "whole_weeks": True}}, ["dates.shift_days"]),
    (MODIFIED | {"dates": {"shift_days": [1]}}, ["dates.shift_days"]),
    ({"options.DicomVersion": "2022"}, ["options.DicomVersion"]),
    ({"options.DicomVersion": 2008}, ["options.DicomVersion"]),
    (
        {"engine": "orthanc", "source": {"orthanc": "http://a"}, "destination": ..., "options.DicomVersion": ...},
        ["options.DicomVersion"],
    ),
    ({"destination.folder": "incoming/results"}, ["destination.folder"]),
    ({"destination.folder": "incoming"}, ["destination.folder"]),
    ({"destination.folder": "."}, ["report.runs_dir", "destination.folder"]),
    ({"report.runs_dir": "outgoing/runs"}, ["report.runs_dir"]),
    ({"options.KeepSource": False, "verify": "identifiers"}, ["options.KeepSource"]),
    ({"options.KeepSource": False, "options.Permissive": True}, ["options.KeepSource"]),
    ({"options.KeepSource": False, "options.Keep": ["0008,0018"]}, ["options.Keep.0008,0018"]),
    ({"execution.runner": "dask"}, ["execution.dask_address"]),
    ({"schedule": {"timezone": "UTC"}}, ["schedule"]),
    ({"schedule": {"cron": "0 2 * * *", "interval": 60}}, ["schedule"]),
    ({"pseudonyms": {"key_env": "A", "key_file": "b"}}, ["pseudonyms"]),
]


def test_capitals_in_an_address(tmp_path: Path) -> None:
    """Scheme and host mean the same in capitals (RFC 3986, 6.2.2.1), and are one address; a path stays as it is."""
    for address in ("HTTPS://PACS.Example.org:8443/Orthanc/", "Https://pacs.example.ORG:8443/Orthanc"):
        config = load(tmp_path, engine="orthanc", source={"orthanc": address}, destination=...)
        assert config.source.orthanc == "https://pacs.example.org:8443/Orthanc"


@pytest.mark.parametrize(("changes", "expected"), CONTRADICTIONS)
def test_contradictions(tmp_path: Path, changes: dict[str, Any], expected: list[str]) -> None:
    """Each is found and names the key that is to blame."""
    assert keys(tmp_path, changes) == expected


BAD_VALUES: list[tuple[str, Any]] = [
    ("name", "nightly trial"),
    ("name", "a" * 43),
    ("name", ""),
    ("manifest", ...),
    ("manifest", 7),
    ("operation", "anonymise"),
    ("operation", ...),
    ("engine", "remote"),
    ("source", ...),
    ("source", "incoming"),
    ("destination", {"folder": "x", "overwrite": "yes"}),
    ("destination", {"orthanc": "localhost:8042"}),
    ("destination", {"orthanc": "ftp://localhost"}),
    ("destination.folder", "HTTP://localhost:8042"),
    ("source.folder", "https://pacs"),
    ("report.runs_dir", "http://localhost:8042"),
    ("report.runs_dir", ""),
    ("manifest", ""),
    ("source.folder", ""),
    ("destination.folder", ""),
    ("pseudonyms.key_file", ""),
    ("destination", {"orthanc": "http://user:hunter2@localhost:8042"}),
    ("destination", {"orthanc": "http://"}),
    ("destination", {"orthanc": "http://a:99999"}),
    ("hardening", "true"),
    ("verify", "all"),
    ("unknown", 1),
    ("options", []),
    ("options.Resources", ["a"]),
    ("options.Synchronous", True),
    ("options.Asynchronous", True),
    ("options.Replac", {}),
    ("options.Permissive", "yes"),
    ("options.Level", "exam"),
    ("options.Transcode", "RLE"),
    ("options.Remove", "StudyID"),
    ("pseudonyms.key_env", "A KEY"),
    ("pseudonyms.scope", " "),
    ("pseudonyms.allow_merge", 1),
    ("execution.chunk_size", 0),
    ("execution.chunk_size", "500"),
    ("execution.chunk_size", 2.5),
    ("execution.workers", True),
    ("execution.workers", 0),
    ("execution.runner", "processes"),
    ("execution.retries", -1),
    ("execution.retry_delay_seconds", float("inf")),
    ("execution.job_timeout_seconds", 0),
    ("schedule.cron", "0 2 * *"),
    ("schedule.cron", "60 2 * * *"),
    ("schedule.cron", "0 2 * * mo"),
    ("schedule.cron", "0 R * * *"),
    ("schedule.cron", "@never"),
    ("schedule.cron", "0 2 31 2 *"),
    ("schedule.interval", 0),
    ("schedule.interval", 1e99),
    ("report.runs_dir", None),
    ("orthanc.max_parallel_jobs", 0),
    ("orthanc.verify_tls", "no"),
    ("orthanc.password", "hunter2"),
    ("orthanc.password_env", "pass word"),
]


@pytest.mark.parametrize(("key", "value"), BAD_VALUES)
def test_bad_values(tmp_path: Path, key: str, value: Any) -> None:
    """Each names its key and does not repeat the value."""
    (problem, *_) = problems(tmp_path, changed({key: value}))

    assert problem.key.startswith(key)
    assert "hunter2" not in problem.text


GOOD_CRONS = ["0 2 * * *", "*/15 8-18 1,15 jan-mar MON", "0 0 * * 7", "5 4 * * sun"]
GOOD_CRONS += ["@daily", "0 22-2 * * *", "0 3 L * *", "0 3 * * 5#2"]


def test_the_default_of_profile(tmp_path: Path) -> None:
    """Anonymize on engine local has the standard's profile, unless DicomVersion names another one."""
    without = {"options": {"Force": True}}
    for changes, profile in (({}, None), (without, "ps3.15-2026d"), ({**without, "operation": "modify"}, None)):
        config = load(tmp_path, **changes)
        assert profile == config.profile
        assert profile == Config.from_json(config.to_json()).profile
        assert (config.profile_choice is None) is (profile is None)


def test_private_attributes_of_the_site(tmp_path: Path) -> None:
    """Read with the config, from beside it, and kept with the run; each problem has file, line and column."""
    (tmp_path / "jobs" / "site.csv").write_text(
        "group;element;private_creator;vr;action\n0029;xx10;MY LAB;LO;\n0x0019;0c;SIEMENS MR HEADER;;x\n"
    )
    options = PROFILE | {"profile_options": ["retain-safe-private"]}
    config = load(tmp_path, **options, private={"keep": ["site.csv"]})
    found = [
        SiteAttribute(0x29, 0x10, "MY LAB", "LO", SiteAction.CLEAN),
        SiteAttribute(0x19, 0x0C, "SIEMENS MR HEADER", "", SiteAction.REMOVE),
    ]

    for one in (config, Config.from_json(json.loads(json.dumps(config.to_json())))):
        assert one.profile_choice is not None
        assert list(one.profile_choice.private) == found
    assert keys(tmp_path, PROFILE | {"private": {"keep": ["site.csv"]}}) == ["private"]
    assert keys(tmp_path, options | {"private": {"attributes": []}}) == ["private.attributes"]
    assert keys(tmp_path, options | {"private": {"keep": ["missing.csv"]}}) == ["private.keep"]
    assert keys(tmp_path, options | {"private": {"keep": "site.csv"}}) == ["private.keep"]
    (tmp_path / "jobs" / "bad.csv").write_text(
        "group,element,private_creator,vr,action,note\n0028,1,a\\b,XX,Q,\n0029\n0029,01,MY LAB,,,\n"
    )
    bad = problems(tmp_path, changed(options | {"private": {"keep": ["bad.csv"]}}))
    assert [(one.line, one.column) for one in bad] == [
        *((2, "group"), (2, "element"), (2, "private_creator"), (2, "vr"), (2, "action")),
        (3, ""),
    ]
    (tmp_path / "jobs" / "headless.csv").write_text("0029,01,MY LAB\n")
    named = problems(tmp_path, changed(options | {"private": {"keep": ["headless.csv"]}}))
    assert [one.column for one in named] == ["group", "element", "private_creator"]


def test_no_variable_is_a_folder_of_its_name(tmp_path: Path) -> None:
    """A destination `$HOME` would be made beside the config; one that is there, and is called so, is meant."""
    for path in ("$HOME/out", "x/${DATA}", "%USERPROFILE%/out"):
        with pytest.raises(InvalidInput, match=r"destination\.folder: must be a path as it is: no var"):
            load(tmp_path, destination={"folder": path})
    (tmp_path / "jobs" / "$HOME").mkdir()
    load(tmp_path, destination={"folder": "share$/x"})
    config = load(tmp_path, destination={"folder": "$HOME/out"})
    (tmp_path / "jobs" / "$HOME").rmdir()  # a share that is away: report, runs and verify of its runs go on
    assert config.to_json() == Config.from_json(config.to_json()).to_json()


def test_profile_on_an_orthanc_says_what_to_write_instead(tmp_path: Path) -> None:
    """The two lines, with the config's own server; put in, they make a config that is sound."""
    text = (
        "name: a\nmanifest: a.csv\noperation: anonymize\nprofile: ps3.15-2026d\nsource: {orthanc: 'http://pacs:8042'}\n"
    )
    (problem,) = problems(tmp_path, text + "engine: orthanc\n")
    lines = "".join(f"{line}\n" for line in problem.text.splitlines()[1:])

    assert problem.key == "profile"
    assert lines == "engine: local\ndestination: {orthanc: http://pacs:8042}\n"
    assert load_config(write(tmp_path, text + lines)).profile is not None


@pytest.mark.parametrize(
    "line",
    [
        "profile_options: [clean-descriptors]",
        "dates: {column: days}",
        "private: {keep: [a.csv]}",
        "text: {unknown: review}",
        "pixels: {detect: true}",
    ],
)
def test_what_goes_with_a_profile_on_an_orthanc_says_the_same(tmp_path: Path, line: str) -> None:
    """Whoever names an option of the profile wants the profile."""
    text = f"name: a\nmanifest: a.csv\noperation: anonymize\nengine: orthanc\nsource: {{orthanc: 'http://pacs:8042'}}\n{line}\n"
    (problem,) = (one for one in problems(tmp_path, text) if "\n" in one.text)

    assert problem.key == line.partition(":")[0]
    assert problem.text.splitlines()[1:] == ["engine: local", "destination: {orthanc: http://pacs:8042}"]


@pytest.mark.parametrize("cron", GOOD_CRONS)
def test_good_crons(tmp_path: Path, cron: str) -> None:
    """Numbers, ranges, steps, lists, names and abbreviations, all of which Prefect takes, too."""
    assert load(tmp_path, schedule={"cron": cron, "timezone": "Europe/Brussels"}).schedule is not None
    assert CronSchedule(cron=cron, timezone="Europe/Brussels").cron == cron


@pytest.mark.parametrize("zone", ["Europe/Brussel", "Europe", "", "../etc"])
def test_bad_time_zones(tmp_path: Path, zone: str) -> None:
    """The message names a good one."""
    assert keys(tmp_path, {"schedule": {"cron": "0 2 * * *", "timezone": zone}}) == ["schedule.timezone"]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PatientComments", "007"),
        ("PatientComments", "2024-01-31"),
        ("PatientComments", "2024-01-31T10:00:00Z"),
        ("PatientComments", "true"),
        ("PatientComments", "1e3"),
        ("PatientComments", "[a]"),
        ("PatientComments", "{a: b}"),
        ("PatientSex", "male"),
        ("StudyDate", '"2024-01-31"'),
        ("patientcomments", "a"),
        ("00104000", "a"),
        ("ProcedureCodeSequence", "a"),
        ("ProcedureCodeSequence", "[{CodeValue: 12}]"),
        ("ProcedureCodeSequence", f"[{{CodeValue: {'a' * 17}}}]"),
        ("PatientID[0].StudyDate", '""'),
        ("PatientComments", '"{subject.x}"'),
        ("PatientComments", '"{"'),
        ("StudyInstanceUID", '""'),
    ],
)
def test_bad_entries_of_replace(tmp_path: Path, name: str, value: str) -> None:
    """YAML's own types, unknown tags, values that do not fit and bad templates; with the line of the entry."""
    text = (
        "name: a\nmanifest: a.csv\noperation: modify\nsource: {folder: in}\ndestination: {folder: out}\n"
        f"options:\n  Force: true\n  Replace:\n    StudyID: good\n    {name}: {value}\n"
    )
    (problem,) = problems(tmp_path, text)

    assert problem.line == 10
    assert problem.key.startswith("options.Replace.")


def test_text_that_yaml_1_2_leaves_alone(tmp_path: Path) -> None:
    """``yes`` and ``NO`` are text there, and so is null an empty value."""
    config = load_config(write(tmp_path, json.dumps(SOUND).replace('"{subject}"', "yes, StudyID: NO, StudyDate: ")))

    assert [str(value) for value in config.defaults.edits.replace.values()] == ["yes", "NO", ""]


def test_all_problems_at_once_with_their_lines(tmp_path: Path) -> None:
    """Wrong types do not hide contradictions; entries of lists have lines, too."""
    text = (
        "name: a b\nmanifest: a.csv\noperation: anonymize\nengine: orthanc\n"
        "source:\n  folder: in\ndestination:\n  folder: out\n  owerwrite: true\n"
        "options:\n  Remove:\n    - InstitutionName\n    - institutionname\n  Keep: [PatientID]\n"
        "execution: {workers: 0}\n"
    )
    found = problems(tmp_path, text, "verify=all")

    assert [(problem.line, problem.key) for problem in found] == [
        (1, "name"),
        (6, "source.folder"),
        (7, "destination"),
        (9, "destination.owerwrite"),
        (10, "options.DicomVersion"),
        (13, "options.Remove.institutionname"),
        (14, "options.Keep.PatientID"),
        (15, "execution.workers"),
        (0, "verify"),
    ]
    assert "did you mean overwrite?" in found[3].text
    assert str(found[0]).startswith(f"{tmp_path}/jobs/trial.yaml, line 1, key name: ")
    assert str(found[-1]).startswith("--set, key verify: must be one of full, identifiers or none")


@pytest.mark.parametrize(
    ("text", "line", "column"),
    [
        ("name: a\nname: b\n", 2, "1"),
        ("options:\n  Replace: {StudyID: a, StudyID: b}\n", 2, "25"),
        ("options:\n\tForce: true\n", 2, "1"),
        ("name: a: b\n", 1, "8"),
        ("name: [a\n", 2, "1"),
        ("", 0, ""),
        ("- a\n", 0, ""),
        ("a: &x [*x]\n", 0, ""),
    ],
)
def test_syntax_errors(tmp_path: Path, text: str, line: int, column: str) -> None:
    """Duplicate keys and tabs among them."""
    (problem, *_) = problems(tmp_path, text)

    if line:
        assert (problem.line, problem.column) == (line, column)


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    """A missing file, a folder and another encoding are no tracebacks."""
    latin = tmp_path / "latin.yaml"
    latin.write_bytes("name: a\nmanifest: é.csv\n".encode("latin-1"))
    for path, text in ((tmp_path / "no", "^not found: "), (tmp_path, "plain file"), (latin, "line 2: must be UTF-8")):
        with pytest.raises(InvalidInput, match=text):
            load_config(path)


def test_links_do_not_hide_that_folders_overlap(tmp_path: Path) -> None:
    """Symbolic links are resolved."""
    (tmp_path / "jobs/incoming").mkdir()
    (tmp_path / "jobs/link").symlink_to("incoming")

    assert keys(tmp_path, {"destination.folder": "link/results"}) == ["destination.folder"]


def test_files_that_a_run_needs(tmp_path: Path) -> None:
    """Manifest, source and certificates must be there when a run starts, not when a schedule does."""
    config = load(tmp_path, **{"orthanc.ca_file": "ca.pem"})

    assert [problem.key for problem in check_files(config)] == ["manifest", "source.folder", "orthanc.ca_file"]
    (tmp_path / "jobs/cohort.csv").touch()
    (tmp_path / "jobs/ca.pem").touch()
    (tmp_path / "jobs/incoming").mkdir()
    assert check_files(config) == []


def test_the_key_from_a_variable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Hex or base64."""
    config = load(tmp_path, pseudonyms={"key_env": "TRIAL_KEY", "scope": "s"})

    for text in (SECRET.hex(), base64.b64encode(SECRET).decode()):
        monkeypatch.setenv("TRIAL_KEY", text)
        key = load_key(config)
        assert key is not None
        assert key.fingerprint == Key(SECRET).fingerprint
    assert (config.scope, config.has_key) == ("s", True)


@pytest.mark.parametrize("text", ["", " ", "secret", "ab" * 31])
def test_bad_keys_in_a_variable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    """The message says how to make one; a missing variable is named."""
    config = load(tmp_path, pseudonyms={"key_env": "TRIAL_KEY"})
    if text:
        monkeypatch.setenv("TRIAL_KEY", text)
    with pytest.raises(InvalidInput, match="openssl rand -hex 32") as caught:
        load_key(config)
    assert "secret" not in str(caught.value)
    assert text.strip() or "TRIAL_KEY must be set; put back the key of earlier runs" in str(caught.value)


def test_the_key_from_a_file(tmp_path: Path) -> None:
    """Relative to the config, and only for its owner's eyes."""
    config = load(tmp_path, pseudonyms={"key_file": "trial.key"})
    path = tmp_path / "jobs/trial.key"
    with pytest.raises(
        InvalidInput, match=r"must be the path of a file that is there .*; put back the key of earlier runs"
    ):
        load_key(config)
    path.write_text(f"{SECRET.hex()}\n")
    path.chmod(0o640)
    with pytest.raises(InvalidInput, match="chmod 600"):
        load_key(config)
    path.chmod(0o600)
    key = load_key(config)
    assert key is not None
    assert key.fingerprint == Key(SECRET).fingerprint


@pytest.mark.parametrize("name", ["key_env", "key_file"])
def test_a_key_in_the_place_of_its_name_is_not_repeated(tmp_path: Path, name: str) -> None:
    """In hex, which may look like a variable, and in base64, which may look like a path with folders."""
    for text in ("ab" * 32, *(base64.b64encode(three * 12).decode() for three in (b"\xff\x0f\0", b"\x03\xff\0"))):
        with pytest.raises(InvalidInput, match="the secret itself never stands here") as caught:
            load_key(load(tmp_path, pseudonyms={name: text}))
        assert text[-20:] not in str(caught.value)
    (tmp_path / "jobs/keys").mkdir()
    with pytest.raises(InvalidInput, match=r"must be a plain file, not a folder, .*/keys"):
        load_key(load(tmp_path, pseudonyms={"key_file": "keys"}))


def test_no_key(tmp_path: Path) -> None:
    """Without one, the run makes its own; the other keys of the group do not ask for one."""
    assert load_key(load(tmp_path)) is None
    assert load_key(load(tmp_path, pseudonyms={"allow_merge": True})) is None


def test_credentials(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both or neither; those that the config names itself must be there."""
    access = load(tmp_path).orthanc
    named = load(tmp_path, **{"orthanc.password_env": "SECRET"}).orthanc

    for name in ("ORTHANC_USERNAME", "ORTHANC_PASSWORD", "SECRET"):
        monkeypatch.delenv(name, raising=False)
    assert load_credentials(access) is None
    with pytest.raises(InvalidInput, match="must be set"):
        load_credentials(named)
    monkeypatch.setenv("ORTHANC_USERNAME", "u")
    with pytest.raises(InvalidInput, match="ORTHANC_PASSWORD must be set"):
        load_credentials(access)
    monkeypatch.setenv("ORTHANC_PASSWORD", "p")
    assert load_credentials(access) == ("u", "p")
    monkeypatch.delenv("ORTHANC_USERNAME")
    with pytest.raises(InvalidInput, match="ORTHANC_USERNAME must be set"):
        load_credentials(access)


@pytest.mark.parametrize(
    ("url", "warned"),
    [
        ("http://orthanc.example.org:8042", True),
        ("http://192.168.1.2:8042", True),
        ("https://orthanc.example.org", False),
        ("http://localhost:8042", False),
        ("http://127.0.0.2:8042", False),
        ("http://[::1]:8042", False),
    ],
)
def test_passwords_over_plain_http(url: str, *, warned: bool) -> None:
    """Loud when another machine is at the other end; silent without a password."""
    assert bool(credential_warning(url, ("user", "secret"))) is warned
    assert "secret" not in credential_warning(url, ("user", "secret"))
    assert credential_warning(url, None) == ""
