"""The two that are compared: a real Orthanc, and the local engine's ``BulkRoutes``; the same request goes to both.

Public names: ``Outcome``, ``Deck``, ``OrthancSide``, ``LocalSide``, ``KEY``.
"""

from __future__ import annotations

import shutil
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import httpx

from deidflow.tasks.core.dicom.identifiers import Level
from deidflow.tasks.core.engine.result_paths import relative_path
from deidflow.tasks.core.errors import InvalidInput
from deidflow.tasks.core.outcomes import Outcome as Result
from deidflow.tasks.core.pseudonyms.pseudonyms import Key
from deidflow.tasks.core.request.request import Operation
from deidflow.tasks.local.routes import BulkRoutes
from tests.memory import IN_MEMORY

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Self

    from deidflow.tasks.core.engine.protocol import InstanceResult, PlannedInstance

KEY = Key(b"parity" * 6)
_RACE = "Study not found"
"""What 1.12.7 now and then answers, with 404/17, when it reconstructs the results of several studies."""

_TRIES = 5
_LAST_STEP_S: Final = 2.0
"""How long a job with all its results may be running: from 1.11.3 on one whose last step fails repeats it for ever."""

_POLL_S: Final = 0.2
_SOURCE_OF = {Operation.ANONYMIZE: "AnonymizedFrom", Operation.MODIFY: "ModifiedFrom"}


@dataclass(slots=True)
class Outcome:
    """What one side did with a request.

    Attributes:
        refused: Why the whole request was refused, "" when it was not.
        files: The results by the Orthanc identifier of their sources.
        resources: Type and identifier of everything that was written or touched.
        answer: The answer without ``Resources``.
        reasons: Local engine: reason code by source, for what failed.

    """

    refused: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    resources: set[tuple[str, str]] = field(default_factory=set)
    answer: dict[str, Any] = field(default_factory=dict)
    reasons: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class Deck:
    """Files that are sent to both sides together; no two of them have one Orthanc identifier.

    Attributes:
        name: For messages.
        files: By the Orthanc identifier that the server gives them.
        names: Where each comes from.
        parents: Patient, study and series identifiers by instance, as the server has them.

    """

    name: str
    files: dict[str, bytes] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)
    parents: dict[str, tuple[str, str, str]] = field(default_factory=dict)


class OrthancSide:
    """A server that holds one deck at a time."""

    def __init__(self, url: str, version: str) -> None:
        """Take the address of an empty server that nobody else uses."""
        self.version = version
        self._client = httpx.Client(base_url=url, timeout=120.0, limits=httpx.Limits(max_keepalive_connections=0))
        self._present: set[str] = set()

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the connections."""
        self._client.close()

    def decks(self, name: str, files: Sequence[tuple[str, bytes]]) -> list[Deck]:
        """Upload files to learn which of them the server takes, and deal those out so that identifiers are unique."""
        self.clear()
        decks: list[Deck] = []
        known: set[bytes] = set()
        for file_name, data in files:
            answer = self._client.post("/instances", content=data)
            if answer.status_code != httpx.codes.OK or data in known:
                continue
            known.add(data)
            found = answer.json()
            instance = found["ID"]
            deck = next((deck for deck in decks if instance not in deck.files), None)
            if deck is None:
                deck = Deck(f"{name} {len(decks) + 1}")
                decks.append(deck)
            deck.files[instance], deck.names[instance] = data, file_name
            deck.parents[instance] = (found["ParentPatient"], found["ParentStudy"], found["ParentSeries"])
        self.clear()
        return decks

    def clear(self) -> None:
        """Remove everything."""
        patients = self._client.get("/patients").raise_for_status().json()
        self._delete(patients)

    def _delete(self, resources: Sequence[str]) -> None:
        if resources:
            self._client.post("/tools/bulk-delete", json={"Resources": list(resources)}).raise_for_status()

    def load(self, deck: Deck) -> None:
        """Put a deck on the server, and nothing else."""
        self.clear()
        for data in deck.files.values():
            self._client.post("/instances", content=data).raise_for_status()

    def run(self, operation: Operation, body: Mapping[str, Any], deck: Deck) -> Outcome:
        """Send a request for the loaded deck, fetch its results, and restore the server."""
        answer = self._send(operation, body)
        for _ in range(_TRIES - 1):
            if _RACE not in answer.text:
                break
            self._restore(deck)
            answer = self._send(operation, body)
        if answer.status_code != httpx.codes.OK:
            try:
                found = answer.json()
                reason = f"{answer.status_code}/{found.get('OrthancStatus')} {found.get('Details', found['Message'])}"
            except (ValueError, KeyError):
                reason = str(answer.status_code)
            self._restore(deck)
            return Outcome(reason)
        outcome = Outcome(answer=answer.json())
        resources = outcome.answer.pop("Resources")
        outcome.resources = {(entry["Type"], entry["ID"]) for entry in resources}
        instances = [entry["ID"] for entry in resources if entry["Type"] == "Instance"]
        member = _SOURCE_OF[operation]
        if instances:
            content = self._client.post("/tools/bulk-content", json={"Resources": instances, "Metadata": True})
            for entry in content.raise_for_status().json():
                data = self._client.get(f"/instances/{entry['ID']}/file").raise_for_status().content
                outcome.files[entry["Metadata"][member]] = data
        if deck.files.keys() & set(instances):
            self.load(deck)
        else:
            self._delete(instances)
        return outcome

    def _send(self, operation: Operation, body: Mapping[str, Any]) -> httpx.Response:
        """Send a request; one whose job would never end is cancelled, and answered with what the job says."""
        path = f"/tools/bulk-{operation}"
        if "Transcode" not in body:
            return self._client.post(path, json=body)
        with ThreadPoolExecutor(1) as pool:
            sent = pool.submit(self._client.post, path, json=body)
            since = time.monotonic()
            while not wait([sent], timeout=_POLL_S).done:
                job = self._job_at_last_step()
                if job is None:
                    since = time.monotonic()
                elif time.monotonic() - since >= _LAST_STEP_S:
                    self._client.post(f"/jobs/{job['ID']}/cancel").raise_for_status()
                    return httpx.Response(httpx.codes.OK, json=job["Content"])
        return sent.result()

    def _job_at_last_step(self) -> dict[str, Any] | None:
        """Return the running job, when it says of every instance what became of it."""
        for job in self._client.get("/jobs?expand").raise_for_status().json():
            content = job["Content"]
            if job["State"] == "Running" and "Resources" in content:
                made = sum(entry["Type"] == "Instance" for entry in content["Resources"])
                if made + content["FailedInstancesCount"] >= content["InstancesCount"]:
                    return dict(job)
        return None

    def _restore(self, deck: Deck) -> None:
        """Remove what a failed request left behind."""
        present = set(self._client.get("/instances").raise_for_status().json())
        if present != deck.files.keys():
            self.load(deck)


class LocalSide:
    """The local engine on a deck written to a folder; use as a context manager."""

    def __init__(self, *, hardening: bool = False) -> None:
        """Prepare an empty folder."""
        self.hardening = hardening
        self._folder = Path(tempfile.mkdtemp(prefix="parity-", dir=IN_MEMORY))

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Remove the folder."""
        shutil.rmtree(self._folder)

    def load(self, deck: Deck) -> None:
        """Write a deck, and nothing else."""
        source = self._folder / "source"
        shutil.rmtree(source, ignore_errors=True)
        source.mkdir()
        for number, data in enumerate(deck.files.values()):
            (source / f"{number:05}").write_bytes(data)
        self._routes = BulkRoutes(source, self._folder / "empty", KEY, scope="parity", hardening=self.hardening)

    def known(self) -> set[str]:
        """Return the Orthanc identifiers of the instances that the engine finds in the loaded deck."""
        return set(self._routes.resources(Level.INSTANCE))

    def run(self, operation: Operation, body: Mapping[str, Any]) -> Outcome:
        """Do a request on the loaded deck."""
        destination = self._folder / "results"
        shutil.rmtree(destination, ignore_errors=True)
        self._routes._destination = destination
        done: list[tuple[list[PlannedInstance], list[InstanceResult]]] = []

        def apply(operation: Operation, body: Mapping[str, Any]) -> tuple[list[PlannedInstance], list[InstanceResult]]:
            done.append(BulkRoutes.apply(self._routes, operation, body))
            return done[0]

        self._routes.apply = apply  # type: ignore[method-assign]
        try:
            answer = self._routes.call(operation, body)
        except InvalidInput as error:
            return Outcome(str(error) or "refused")
        ((plan, results),) = done
        outcome = Outcome(answer=answer)
        outcome.resources = {(entry["Type"], entry["ID"]) for entry in answer.pop("Resources")}
        for instance, result in zip(sorted(plan), results, strict=True):
            name = instance.original.orthanc_ids()[3]
            if result.outcome is Result.DONE:
                outcome.files[name] = (destination / relative_path(instance.new)).read_bytes()
            else:
                outcome.reasons[name] = str(result.code)
        return outcome
