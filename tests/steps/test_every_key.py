"""Every documented key of the config has its effect: each is tried here, or names the test that fails without it."""

from __future__ import annotations

import ast
import json
from base64 import b64encode
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pydicom
import pytest

from deidflow.tasks.apply import apply
from deidflow.tasks.core.config.config import Execution
from deidflow.tasks.core.dicom.identifiers import DicomIdentifiers, Level
from deidflow.tasks.core.errors import InvalidInput, TransientError
from deidflow.tasks.core.ledger.chunks import open_chunks
from deidflow.tasks.core.processes.pool import make_pool
from deidflow.tasks.core.pseudonyms.pseudonyms import Key, Pseudonyms
from deidflow.tasks.core.request.profile_choice import Option
from deidflow.tasks.local import engine as local_engine
from deidflow.tasks.retries import retrying
from tests.dicom_files import IMPLICIT, Element, instance, private_block
from tests.jobs import KEY
from tests.local.deaths import edit_for_an_hour
from tests.orthanc_proxy import OrthancProxy, Run
from tests.steps.steps import Steps
from tests.test_configs import documented_keys

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tests.contract.server import Server

ROOT: Final = Path(__file__).parents[2]
COUNT: Final = 3
OTHER_KEY: Final = KEY[::-1]
PATIENT: Final = DicomIdentifiers("P-1", "1.2.3.1", "", "").orthanc_id(Level.PATIENT)
INSTANCE: Final = DicomIdentifiers("P-1", "1.2.3.1", "1.2.3.1.1", "1.2.3.1.1.0").orthanc_id(Level.INSTANCE)
PRIVATE: Final = 0x00111001
OVERLAY: Final = 0x60003000

BASE: Final[dict[str, Any]] = {
    "name": "steps",
    "options": {"DicomVersion": "2023b"},
    "pseudonyms": {"key_file": "pseudonym.key"},
    "execution": {"workers": 1},
}
MODIFY: Final = {"operation": "modify", "options": {"Replace": {"SeriesDescription": "x"}}}
PROFILE: Final = {"options": {}, "profile": "ps3.15-2026d"}
DATES: Final = PROFILE | {"profile_options": [Option.RETAIN_MODIFIED_DATES]}
TEXTS: Final = PROFILE | {"profile_options": ["clean-descriptors"]}
NEW_ID: Final = {"options": {"DicomVersion": "2023b", "Replace": {"PatientID": "NEW"}}}


class Tried:
    """A run of the local engine to its end, or why it was not started."""

    def __init__(self, root: Path, config: Mapping[str, Any]) -> None:
        """Plan, edit, verify, report and delete."""
        self.root = root
        for folder, count in (("source", COUNT), ("elsewhere", 1)):
            (root / folder).mkdir()
            for number in range(count):
                (root / folder / f"{number}.dcm").write_bytes(_object(number))
        (root / "other.key").touch(0o600)
        (root / "other.key").write_text(OTHER_KEY)
        (root / "words.txt").write_text("Qwertz\n")
        (root / "site.csv").write_text("group,element,private_creator,vr,action\n0011,01,TEST BLOCK,LO,K\n")
        (root / "other.csv").write_text(f"orthanc_id\n{INSTANCE}\n")
        self.steps = Steps(root)
        self.chunks = 0
        self.error = ""
        try:
            self.steps.plan([{"orthanc_id": PATIENT, "offset": "-7"}], **config)
        except InvalidInput as error:
            self.error = str(error)
            return
        self.chunks = len(open_chunks(self.steps.run.ledger))
        self.steps.edit()
        self.steps.verify()
        self.steps.report()
        self.steps.delete()

    def results(self, folder: str = "results") -> list[Path]:
        """Return the files in a destination."""
        return sorted((self.root / folder).rglob("*.dcm"))

    def value(self, keyword: str | int) -> object:
        """Return the value of an element of the first result, None when it has none."""
        assert "" == self.error
        dataset = pydicom.dcmread(self.results()[0])
        return dataset[keyword].value if keyword in dataset else None

    @property
    def syntax(self) -> object:
        """The transfer syntax of the first result."""
        return pydicom.dcmread(self.results()[0]).file_meta.TransferSyntaxUID


def _object(number: int) -> bytes:
    return instance(
        *private_block(0x0011, Element(PRIVATE, "LO", b"kept")),
        Element(OVERLAY, "OW", b"\1\2"),
        SOPInstanceUID=f"1.2.3.1.1.{number}",
        Modality="CT",
        StudyDate="20240110",
        StudyDescription="Chest Qwertz",
        InstitutionName="General",
    )


def _patient_id(key: str, scope: str) -> str:
    return Pseudonyms(Key.parse(key), scope).patient_id("P-1")


@dataclass(frozen=True)
class Effect:
    """What a key does.

    Attributes:
        value: Of the key.
        seen: What is looked at.
        expected: What is seen with the key; without it something else is.
        base: Of the config in both runs, beside ``BASE``.

    """

    value: Any
    seen: Callable[[Tried], object]
    expected: object
    base: dict[str, Any] = field(default_factory=dict)


EFFECTS: Final[dict[str, Effect]] = {
    "name": Effect("other", lambda run: run.value("PatientID"), _patient_id(KEY, "other")),
    "manifest": Effect("other.csv", lambda run: len(run.results()), 1),
    "operation": Effect("modify", lambda run: run.value("PatientName"), "Doe^Jane", {"options": {}, **PROFILE}),
    "source.folder": Effect("elsewhere", lambda run: len(run.results()), 1),
    "destination.folder": Effect("given", lambda run: len(run.results("given")), COUNT),
    # The only profile is the default, too: that the key is read shows where it excludes DicomVersion.
    "profile": Effect("ps3.15-2026d", lambda run: "key profile: must not be given together" in run.error, True),
    "profile_options": Effect(
        ["retain-institution-identity"], lambda run: run.value("InstitutionName"), "General", PROFILE
    ),
    "dates.shift_days": Effect([7, 7], lambda run: run.value("StudyDate"), "20240103", DATES),
    "dates.whole_weeks": Effect(
        True, lambda run: run.value("StudyDate"), "20240103", DATES | {"dates": {"shift_days": [2, 13]}}
    ),
    "dates.column": Effect("offset", lambda run: run.value("StudyDate"), "20240103", DATES),
    "text.keep": Effect(["words.txt"], lambda run: run.value("StudyDescription"), "Chest Qwertz", TEXTS),
    "text.unknown": Effect("review", lambda run: run.value("StudyDescription"), "Chest Qwertz", TEXTS),
    "private.keep": Effect(
        ["site.csv"], lambda run: run.value(PRIVATE), "kept", PROFILE | {"profile_options": ["retain-safe-private"]}
    ),
    "hardening": Effect(False, lambda run: run.value(OVERLAY), b"\1\2"),
    "options.Replace": Effect({"StudyDescription": "Trial 7"}, lambda run: run.value("StudyDescription"), "Trial 7"),
    "options.Remove": Effect(["Modality"], lambda run: run.value("Modality"), None),
    "options.Keep": Effect(["StudyDescription"], lambda run: run.value("StudyDescription"), "Chest Qwertz"),
    "options.KeepPrivateTags": Effect(True, lambda run: run.value(PRIVATE), "kept"),
    "options.RemovePrivateTags": Effect(True, lambda run: run.value(PRIVATE), None, MODIFY),
    "options.DicomVersion": Effect("2008", lambda run: "2008 " in str(run.value("DeidentificationMethod")), True),
    "options.Force": Effect(True, lambda run: run.error or run.value("PatientID"), "NEW", NEW_ID),
    "options.KeepSource": Effect(False, lambda run: len(list((run.root / "source").iterdir())), 0),
    "options.Level": Effect("Study", lambda run: run.value("StudyInstanceUID") == "1.2.3.1", False, MODIFY),
    "options.Transcode": Effect(IMPLICIT.uid, lambda run: run.syntax, IMPLICIT.uid),
    "pseudonyms.key_env": Effect(
        "OTHER_KEY", lambda run: run.value("PatientID"), _patient_id(OTHER_KEY, "steps"), {"pseudonyms": None}
    ),
    "pseudonyms.key_file": Effect("other.key", lambda run: run.value("PatientID"), _patient_id(OTHER_KEY, "steps")),
    "pseudonyms.scope": Effect("other", lambda run: run.value("PatientID"), _patient_id(KEY, "other")),
    "execution.chunk_size": Effect(1, lambda run: run.chunks, COUNT),
}

HELD: Final = {
    "engine": "tests/contract/test_orthanc_runs.py::test_both_engines_give_the_same_report",
    "source.ignore_damaged": "tests/flows/test_truth.py::test_damaged_files_count_until_they_are_fetched_again",
    "export.folder": "tests/steps/test_exports.py::test_the_last_step_of_a_run",
    "export.layout": "tests/steps/test_exports.py::test_what_a_person_should_look_at_is_left_out",
    "export.archive": "tests/steps/test_exports.py::test_two_exports_are_equal",
    "export.per": "tests/steps/test_exports.py::test_two_exports_are_equal",
    "export.recipients": "tests/steps/test_exports.py::test_archives_are_for_their_recipients_alone",
    "export.include_review": "tests/steps/test_exports.py::test_what_a_person_should_look_at_is_left_out",
    "source.follow_links": "tests/steps/test_delivery.py::test_a_cohort_of_links",
    "destination.mode": "tests/steps/test_delivery.py::test_permissions_of_results",
    "source.orthanc": "tests/steps/test_orthanc_stores.py::test_from_a_server_to_a_folder",
    "destination.orthanc": "tests/steps/test_orthanc_stores.py::test_from_a_folder_to_a_server_and_again",
    "destination.overwrite": "tests/steps/test_orthanc_stores.py::test_another_object_in_the_place_of_a_result",
    "verify": "tests/flows/test_truth.py::test_without_checks_nothing_is_claimed",
    "incremental": "tests/steps/test_increments.py::test_only_what_is_new_is_done_and_lands_where_the_old_is",
    "skip_invalid": "tests/steps/test_increments.py::test_with_skip_invalid_everything_else_is_done",
    "options.PrivateCreator": "tests/steps/test_every_key.py::test_what_is_sent_to_an_orthanc",
    "options.Priority": "tests/steps/test_every_key.py::test_what_is_sent_to_an_orthanc",
    "options.LossyQuality": "tests/core/test_engine_options.py::test_options_that_an_engine_passes_over",
    "options.Permissive": "tests/local/test_routes.py::test_permissive",
    "options.KeepLabels": "tests/core/test_engine_options.py::test_what_came_with_a_version",
    "pixels.rules": "tests/steps/test_pixel_sheets.py::test_each_rule_and_each_group_without_one_has_pictures",
    "pixels.unmatched": "tests/steps/test_pixels_at_risk.py::test_a_hundred_at_risk_and_a_hundred_not",
    "pixels.detect": "tests/steps/test_site_rules.py::test_detect_needs_the_extra",
    "pixels.lossy": "tests/local/editing/painting/test_compressed.py::test_it_can_be_refused",
    "pseudonyms.allow_merge": "tests/flows/test_truth.py::test_persons_who_share_a_patient_id",
    "execution.runner": "tests/flows/test_dask.py::test_a_cluster_that_loses_a_worker",
    "execution.workers": "tests/steps/test_every_key.py::test_the_number_of_workers",
    "execution.dask_address": "tests/flows/test_dask.py::test_a_cluster_that_loses_a_worker",
    "execution.retries": "tests/steps/test_every_key.py::test_how_often_and_after_how_long_a_chunk_is_tried_again",
    "execution.retry_delay_seconds": (
        "tests/steps/test_every_key.py::test_how_often_and_after_how_long_a_chunk_is_tried_again"
    ),
    "execution.lock_wait_seconds": "tests/steps/test_delivery.py::test_a_run_waits_for_the_destination",
    "execution.job_timeout_seconds": "tests/steps/test_every_key.py::test_how_long_a_chunk_may_take",
    "schedule.cron": "tests/flows/test_schedule.py::test_two_in_the_morning_stays_two_in_the_morning",
    "schedule.interval": "tests/flows/test_schedule.py::test_an_interval_is_in_seconds",
    "schedule.timezone": "tests/flows/test_schedule.py::test_two_in_the_morning_stays_two_in_the_morning",
    "report.runs_dir": "tests/flows/test_demo.py::test_pandas_reads_the_report",
    "orthanc.username_env": "tests/steps/test_every_key.py::test_who_asks_an_orthanc",
    "orthanc.password_env": "tests/steps/test_every_key.py::test_who_asks_an_orthanc",
    "orthanc.verify_tls": "tests/contract/test_orthanc_troubles.py::test_a_certificate_is_checked",
    "orthanc.ca_file": "tests/contract/test_orthanc_troubles.py::test_a_certificate_is_checked",
    "orthanc.max_parallel_jobs": (
        "tests/contract/test_orthanc_runs.py::test_as_many_jobs_at_a_time_as_the_config_allows"
    ),
    "orthanc.timeout_seconds": (
        "tests/contract/test_orthanc_troubles.py::test_a_server_that_hangs_does_not_hang_the_run"
    ),
    "orthanc.accept_unstable": (
        "tests/contract/test_orthanc_remedies.py::test_a_server_in_trouble_and_a_study_that_arrives"
    ),
}
"""Keys that need a server, a schedule or a whole command, by the test that fails when the key has no effect."""


def test_no_key_is_without_a_test() -> None:
    """Each documented key stands in one of the two tables; a test that is named there exists and knows the key."""
    assert sorted(documented_keys()) == sorted([*EFFECTS, *HELD])
    for key, place in HELD.items():
        path, _, name = place.partition("::")
        text = (ROOT / path).read_text("utf-8")
        assert name in {node.name for node in ast.walk(ast.parse(text)) if isinstance(node, ast.FunctionDef)}, place
        assert key.rpartition(".")[2] in text, place


def _with(config: Mapping[str, Any], key: str, value: Any) -> dict[str, Any]:
    """Return a config with one dotted key set."""
    changed = deepcopy(dict(config))
    *groups, name = key.split(".")
    group = changed
    for step in groups:
        group[step] = {} if group.get(step) is None else group[step]
        group = group[step]
    group[name] = value
    return changed


@pytest.fixture(scope="module")
def without(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Mapping[str, Any]], Tried]:
    """Give the run of a config; several keys have one in common."""
    known: dict[str, Tried] = {}

    def tried(config: Mapping[str, Any]) -> Tried:
        text = json.dumps(config, sort_keys=True)
        if text not in known:
            known[text] = Tried(tmp_path_factory.mktemp("without"), config)
        return known[text]

    return tried


@pytest.mark.parametrize("key", EFFECTS)
def test_a_key_and_its_effect(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, without: Callable[[Mapping[str, Any]], Tried], key: str
) -> None:
    """What is seen with the key is what it stands for, and without the key it is not seen."""
    monkeypatch.setenv("OTHER_KEY", OTHER_KEY)
    effect = EFFECTS[key]
    base = BASE | effect.base

    assert effect.expected == effect.seen(Tried(tmp_path, _with(base, key, effect.value)))
    assert effect.expected != effect.seen(without(base))


def _small(root: Path, **changes: Any) -> Steps:
    """Return a planned run of the local engine on one object."""
    (root / "source").mkdir()
    (root / "source" / "0.dcm").write_bytes(_object(0))
    steps = Steps(root)
    steps.plan([PATIENT], **changes)
    return steps


def test_the_number_of_workers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As many processes edit, and as many verify, as ``execution.workers`` says."""
    asked = []

    def count(number: int, *others: Any) -> Any:
        asked.append(number)
        return make_pool(number, *others)

    monkeypatch.setattr("deidflow.tasks.core.processes.workers.make_pool", count)
    steps = _small(tmp_path, execution={"workers": 3})
    steps.edit()
    steps.verify()

    assert [3, 3] == asked


def test_how_long_a_chunk_may_take(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """``execution.job_timeout_seconds`` ends a chunk of the local engine, which is then tried again."""
    monkeypatch.setattr(local_engine, "edit_in_worker", edit_for_an_hour)
    monkeypatch.setattr(local_engine, "_DRAIN_S", 0.1)
    steps = _small(tmp_path, execution={"workers": 1, "job_timeout_seconds": 0.1})

    with pytest.raises(TransientError, match=r"execution\.job_timeout_seconds"):
        steps.edit()


def test_how_often_and_after_how_long_a_chunk_is_tried_again() -> None:
    """``retries`` times, first after ``retry_delay_seconds``, then after twice as long each time."""
    task = retrying(apply, Execution(retries=3, retry_delay_seconds=0.5))

    assert (3, [0.5, 1.0, 2.0]) == (task.retries, task.retry_delay_seconds)


def _on_server(root: Path, server: Server, proxy: OrthancProxy, *, count: int = 1, **changes: Any) -> Steps:
    """Return a planned run of an Orthanc."""
    (root / "files").mkdir()
    for number in range(count):
        (root / "files" / f"{number}.dcm").write_bytes(_object(number))
    server.upload(root / "files")
    steps = Steps(root)
    config: dict[str, Any] = {
        "engine": "orthanc",
        "source": {"orthanc": proxy.url},
        "destination": None,
        "pseudonyms": None,
        "orthanc": {"accept_unstable": True},
        "options": {"DicomVersion": "2021b"},
        "execution": None,
    }
    steps.plan([PATIENT], **(config | changes))
    return steps


def test_what_is_sent_to_an_orthanc(tmp_path: Path, server: Server) -> None:
    """``options.Priority`` and ``options.PrivateCreator`` are in the request, as the config gives them."""
    with OrthancProxy(server.url) as proxy:
        options = {"DicomVersion": "2021b", "Priority": 3, "PrivateCreator": "ACME"}
        _on_server(tmp_path, server, proxy, options=options).edit()
        (sent,) = [json.loads(one.body) for one in proxy.requests if one.path.startswith("/tools/bulk-anonymize")]

    assert (3, "ACME") == (sent["Priority"], sent["PrivateCreator"])


def test_who_asks_an_orthanc(tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """User and password stand in the variables that ``orthanc.username_env`` and ``orthanc.password_env`` name."""
    monkeypatch.setenv("TEST_USER", "alice")
    monkeypatch.setenv("TEST_PASSWORD", "secret")
    access = {"accept_unstable": True, "username_env": "TEST_USER", "password_env": "TEST_PASSWORD"}
    with OrthancProxy(server.url) as proxy:
        _on_server(tmp_path, server, proxy, orthanc=access)
        said = {one.headers.get("Authorization") for one in proxy.requests}

    assert {f"Basic {b64encode(b'alice:secret').decode()}"} == said


def test_how_long_a_job_of_an_orthanc_may_take(tmp_path: Path, server: Server) -> None:
    """``execution.job_timeout_seconds`` ends the wait for a job, which is cancelled."""

    def pause() -> None:
        (job,) = (job for job in server.get("jobs?expand") if job["State"] in ("Pending", "Running"))
        server.post(f"jobs/{job['ID']}/pause", {})

    with OrthancProxy(server.url) as proxy:
        steps = _on_server(tmp_path, server, proxy, count=60, execution={"job_timeout_seconds": 0.1})
        proxy.add(Run(pause), lambda request, _: request.path.startswith("/tools/bulk-anonymize"))
        with pytest.raises(TransientError, match="paused"):
            steps.edit()
