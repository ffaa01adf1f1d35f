"""Orthanc's ``/tools/bulk-modify`` and ``/tools/bulk-anonymize`` as Python calls on a folder.

For programs that have no manifest: the routes' own request goes in, with ``Resources``, and an answer of the routes'
own shape comes out. Source: docs/orthanc.md, Options, Answers and jobs (Orthanc 1.10.1).

Public names: ``BulkRoutes``, ``UnknownResource``.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from deidflow.tasks.core.dicom.identifiers import DicomIdentifiers, Level, is_orthanc_id
from deidflow.tasks.core.engine.protocol import InstanceResult, PlannedInstance
from deidflow.tasks.core.engine.sources import SourceInstance
from deidflow.tasks.core.errors import InstanceFailed, InvalidInput, Problem
from deidflow.tasks.core.files.locks import lock_folder
from deidflow.tasks.core.outcomes import Outcome, ReasonCode
from deidflow.tasks.core.pseudonyms.kept_identifiers import GivenIdentifiers
from deidflow.tasks.core.pseudonyms.new_identifiers import new_identifiers
from deidflow.tasks.core.pseudonyms.original_uids import OriginalUids
from deidflow.tasks.core.pseudonyms.pseudonyms import Key, Pseudonyms
from deidflow.tasks.core.request.request import Operation, Request, parse_request
from deidflow.tasks.local.folder.duplicates import are_equal
from deidflow.tasks.local.folder.index import find_files, read_index_entries
from deidflow.tasks.local.folder.source import FolderSource
from deidflow.tasks.local.folder.store import FolderStore, clear_partial_results
from deidflow.tasks.local.transcoding.codecs import can_write, why_not
from deidflow.tasks.local.worker import Worker, WorkerSettings

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

_OF_THE_JOB = ("Synchronous", "Asynchronous", "UserData")
"""Members that say how an Orthanc runs its job and change no result; here every call waits for its end."""

_PLURAL = {Level.PATIENT: "patients", Level.STUDY: "studies", Level.SERIES: "series", Level.INSTANCE: "instances"}


class UnknownResource(InvalidInput):
    """``Resources`` must name what the folder holds (Orthanc: 404, OrthancStatus 17)."""


class BulkRoutes:
    """The two routes on one source folder; results go to another.

    The folder is read once, when the object is made; what is written to the destination is never a source.
    """

    def __init__(
        self,
        source: Path,
        destination: Path,
        key: Key,
        *,
        scope: str = "",
        hardening: bool = True,
        overwrite: bool = False,
    ) -> None:
        """Index the source.

        Args:
            source: Folder of DICOM files, read recursively, never changed.
            destination: Folder for the results, made when it is missing.
            key: Secret of generated identifiers.
            scope: Their scope.
            hardening: Anonymize: also remove overlays, curves, and nested names and IDs.
            overwrite: Whether other objects under a result's name are replaced.

        Raises:
            InvalidInput: One of the folders lies inside the other, so that results would become sources.

        """
        inner, outer = destination.resolve(), source.resolve()
        if inner.is_relative_to(outer) or outer.is_relative_to(inner):
            raise InvalidInput([Problem("source and destination must not lie inside one another", key="destination")])
        self._folder = os.fsencode(str(source))
        self._destination = destination
        self._key, self._scope = key, scope
        self._hardening, self._overwrite = hardening, overwrite
        self._instances: dict[str, list[SourceInstance]] = {}
        self._names: dict[str, list[str]] = {}
        paths = [path for path in find_files(self._folder) if isinstance(path, bytes)]
        for entry in read_index_entries(self._folder, paths):
            if isinstance(entry, SourceInstance):
                *parents, instance = entry.identifiers.orthanc_ids()
                same = self._instances.setdefault(instance, [])
                same.append(entry)
                if len(same) == 1:
                    for name in (*parents, instance):
                        self._names.setdefault(name, []).append(instance)

    def resources(self, level: Level) -> list[str]:
        """Return the Orthanc identifiers that the folder holds at a level, sorted."""
        return sorted({same[0].identifiers.orthanc_id(level) for same in self._instances.values()})

    def bulk_modify(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """Do what ``POST /tools/bulk-modify`` does; see ``call``."""
        return self.call(Operation.MODIFY, body)

    def bulk_anonymize(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """Do what ``POST /tools/bulk-anonymize`` does; see ``call``."""
        return self.call(Operation.ANONYMIZE, body)

    def call(self, operation: Operation, body: Mapping[str, Any]) -> dict[str, Any]:
        """Edit the instances that ``Resources`` names and answer as Orthanc does.

        Args:
            operation: Which route.
            body: Its own request. What tells an Orthanc how to run the job is read and changes nothing: ``Priority``,
                ``Synchronous``, ``Asynchronous`` (the answer is the synchronous one) and ``UserData``.

        Returns:
            ``Description, FailedInstancesCount, InstancesCount, IsAnonymization, Resources``; the latter each
            ``{ID, Path, Type}``, in the order Instance, Series, Study, Patient and by ID.

        Raises:
            InvalidInput: The body is wrong; nothing was done.
            UnknownResource: ``Resources`` names something that is not there; nothing was done.
            InstanceFailed: An instance failed and ``Permissive`` is not set; the others were done.
            Unusable: The destination cannot be written.

        """
        plan, results = self.apply(operation, body)
        failed = [result for result in results if result.outcome is not Outcome.DONE]
        if failed and not body.get("Permissive"):
            raise InstanceFailed(failed[0].code or ReasonCode.INTERNAL_ERROR, failed[0].text)
        bad = {result.id for result in failed}
        resources = {
            (level, instance.new.orthanc_id(level)) for instance in plan if instance.id not in bad for level in Level
        }
        return {
            "Description": "REST API",
            "FailedInstancesCount": len(failed),
            "InstancesCount": len(plan),
            "IsAnonymization": operation is Operation.ANONYMIZE,
            "Resources": [
                {"ID": name, "Path": f"/{_PLURAL[level]}/{name}", "Type": level.capitalize()}
                for level, name in sorted(resources, key=lambda item: (-item[0].depth, item[1]))
            ],
        }

    def apply(
        self, operation: Operation, body: Mapping[str, Any]
    ) -> tuple[list[PlannedInstance], list[InstanceResult]]:
        """Edit the instances and return the plan and what became of each, both in the order of Orthanc identifiers."""
        request = self._parse(operation, body)
        options = request.content_hash() if operation is Operation.MODIFY else None
        pseudonyms = Pseudonyms(self._key, self._scope, options)
        given = GivenIdentifiers()
        plan: list[PlannedInstance] = []
        named: set[str] = set()
        results: list[InstanceResult] = []
        seen: dict[DicomIdentifiers, int] = {}
        for number, name in enumerate(self._resolve(body.get("Resources"))):
            same = self._instances[name]
            first = min(same, key=lambda entry: entry.path)
            new = new_identifiers(first.identifiers, request, pseudonyms)
            named.update((*first.identifiers[1:], first.frame_of_reference_uid))
            given.add(first.identifiers, first.frame_of_reference_uid, request, new)
            plan.append(PlannedInstance(number, first.path, first.size, first.mtime_ns, first.identifiers, new))
            seen[new] = seen.get(new, 0) + 1
            if len(same) > 1 and not are_equal(self._folder, [entry.path for entry in same]):
                text = f"{len(same)} different files claim to be this instance"
                results.append(InstanceResult(number, Outcome.FAILED, ReasonCode.AMBIGUOUS_SOURCE, text))
        ambiguous = {result.id for result in results}
        results += [
            InstanceResult(one.id, Outcome.FAILED, ReasonCode.IDENTIFIER_COLLISION)
            for one in plan
            if seen[one.new] > 1 and one.id not in ambiguous
        ]
        self._destination.mkdir(parents=True, exist_ok=True)
        settings = WorkerSettings(
            FolderSource(self._folder),
            FolderStore(str(self._destination), self._overwrite),
            self._key,
            self._scope,
            self._hardening,
            given,
            OriginalUids(named),
        )
        failed = {result.id for result in results}
        with lock_folder(self._destination, "the destination"):
            results += Worker(settings).edit([(request, [one for one in plan if one.id not in failed])])
            clear_partial_results(str(self._destination))
        return plan, sorted(results)

    def _parse(self, operation: Operation, body: Mapping[str, Any]) -> Request:
        passed_over = ("Resources", *_OF_THE_JOB)
        request = parse_request(operation, {key: value for key, value in body.items() if key not in passed_over})
        settings = request.settings
        problems = [
            Problem("must be true or false", key=key)
            for key in ("Synchronous", "Asynchronous")
            if not isinstance(body.get(key, False), bool)
        ]
        if operation is Operation.ANONYMIZE and not settings.dicom_version:
            problems.append(
                Problem("must be given: the default differs between Orthanc's versions", key="DicomVersion")
            )
        if "Transcode" in body and not can_write(settings.transcode):
            problems.append(Problem(why_not(settings.transcode), key="Transcode"))
        if not settings.keep_source:
            problems.append(Problem("only `deidflow run` deletes sources, after verifying", key="KeepSource"))
        if problems:
            raise InvalidInput(problems)
        return request

    def _resolve(self, resources: Any) -> Iterable[str]:
        if not isinstance(resources, list) or not all(isinstance(name, str) for name in resources):
            raise InvalidInput([Problem("must be a list of Orthanc IDs, each in quotes", key="Resources")])
        if not all(is_orthanc_id(name) and name in self._names for name in resources):
            raise UnknownResource([Problem("must name what the folder holds", key="Resources")])
        return sorted({instance for name in resources for instance in self._names[name]})
