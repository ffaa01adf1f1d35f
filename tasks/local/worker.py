"""The work on instances, as it runs inside a worker process: read, scan, edit, write, publish.

Nothing here raises for one instance: what happened comes back as a result, whose text holds no patient data.

Public names: ``WorkerSettings``, ``Worker``, ``Compiled``, ``edit_source``, ``start_worker``, ``edit_in_worker``,
``edit_safely``.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from hashlib import sha256
from traceback import walk_tb
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from deidflow.tasks.core.dicom.tags import PATIENT_NAME, Path
from deidflow.tasks.core.engine.protocol import InstanceResult, PlannedInstance
from deidflow.tasks.core.errors import DeidflowError, InstanceFailed, TransientError, Unusable, bare, os_error_text
from deidflow.tasks.core.outcomes import Outcome, ReasonCode
from deidflow.tasks.core.processes.pool import prepare_process
from deidflow.tasks.core.pseudonyms.kept_identifiers import GivenIdentifiers
from deidflow.tasks.core.pseudonyms.new_identifiers import new_patient_name
from deidflow.tasks.core.pseudonyms.original_uids import OriginalUids
from deidflow.tasks.core.pseudonyms.pseudonyms import Key, Pseudonyms
from deidflow.tasks.core.report.review import ReviewCode
from deidflow.tasks.core.request.request import Operation, Request
from deidflow.tasks.local.dicom_file.source_file import SourceFile
from deidflow.tasks.local.editing.instance import Editor
from deidflow.tasks.local.editing.overlay_bits import without_overlay_bits
from deidflow.tasks.local.editing.references import References, Subject
from deidflow.tasks.local.editing.rules import Rules, compile_rules
from deidflow.tasks.local.editing.shared_header import SharedHeaders
from deidflow.tasks.local.editing.splice import Assembly, assemble, says_burned_in, sop_class_of
from deidflow.tasks.local.folder.index import identify
from deidflow.tasks.local.folder.store import FolderStore
from deidflow.tasks.local.transcoding.transcoder import transcode

if TYPE_CHECKING:
    from collections.abc import Sequence

    from deidflow.tasks.core.engine.stores import Reader, RemotePlace

_COMPILED_REQUESTS: Final = 1024
_HASHED_BYTES: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class WorkerSettings:
    """What is the same for all instances of a run.

    Attributes:
        source: The source folder.
        destination: The destination folder.
        overwrite: Whether other objects under a result's name are replaced.
        key: Secret of the generated identifiers.
        scope: Their scope.
        hardening: See ``compile_rules``.
        given: Kept and replaced identifiers of the whole run.
        originals: UIDs of all objects of the run before.
        remote_source: Read from instead of the source folder.
        remote_destination: Written to instead of the destination folder.
        notes_content: Whether the sources are to be deleted, so that what was read of each is noted.

    """

    source: bytes
    destination: str
    overwrite: bool
    key: Key
    scope: str
    hardening: bool
    given: GivenIdentifiers = field(default_factory=GivenIdentifiers)
    originals: OriginalUids = field(default_factory=OriginalUids)
    remote_source: Reader | None = None
    remote_destination: RemotePlace | None = None
    notes_content: bool = False


class Compiled(NamedTuple):
    """A request, ready to be applied.

    Attributes:
        rules: What happens to each element.
        references: How identifiers are mapped.
        headers: What is remembered of the series that it was applied to.

    """

    rules: Rules
    references: References
    headers: SharedHeaders


def subject_of(request: Request, instance: PlannedInstance, references: References) -> Subject:
    """Return the instance with its new PatientName: given, generated, or None when the request leaves or removes it."""
    path = Path((), PATIENT_NAME)
    edits = request.edits
    given = edits.replace.get(path)
    if isinstance(given, str):
        name: str | None = given
    elif request.operation is Operation.MODIFY or path in edits.remove or path in edits.keep:
        name = None
    else:
        name = new_patient_name(instance.new.patient_id)
    return Subject(instance.original, instance.new, name, references)


class Worker:
    """Editor of instances for one run."""

    def __init__(self, settings: WorkerSettings) -> None:
        """Prepare what all instances share."""
        self._settings = settings
        self._folder_store = FolderStore(settings.destination, overwrite=settings.overwrite)
        self._remote_store = settings.remote_destination.store() if settings.remote_destination else None
        self._compiled: dict[str, Compiled] = {}
        self._references: dict[str | None, References] = {}

    def compile(self, request: Request) -> Compiled:
        """Prepare a request; those used before are kept."""
        name = request.canonical()
        compiled = self._compiled.get(name)
        if compiled is None:
            if len(self._compiled) >= _COMPILED_REQUESTS:
                self._compiled.clear()
                self._references.clear()
            options = request.content_hash() if request.operation is Operation.MODIFY else None
            references = self._references.get(options)
            if references is None:
                given = self._settings.given
                pseudonyms = Pseudonyms(self._settings.key, self._settings.scope, options)
                references = References(pseudonyms, given.uids, given.patient_ids, self._settings.originals)
                self._references[options] = references
            rules = compile_rules(request, hardening=self._settings.hardening)
            compiled = Compiled(rules, references, SharedHeaders(rules))
            self._compiled[name] = compiled
        return compiled

    def edit(self, work: Sequence[tuple[Request, Sequence[PlannedInstance]]]) -> list[InstanceResult]:
        """Edit instances, publish their results together, and say what became of each.

        Raises:
            Unusable: The destination cannot be written.

        """
        results: list[InstanceResult] = []
        staged: list[Any] = []
        done: list[InstanceResult] = []
        for request, instances in work:
            compiled = self.compile(request)
            for instance in instances:
                outcome = self._stage(instance, compiled)
                if isinstance(outcome, InstanceFailed):
                    results.append(_failed(instance.id, outcome))
                else:
                    staged.append(outcome[0])
                    done.append(outcome[1])
        store = self._remote_store or self._folder_store
        for result, problem in zip(done, store.publish(staged), strict=True):
            results.append(_failed(result.id, problem) if problem else result)
        return results

    def _stage(self, instance: PlannedInstance, compiled: Compiled) -> tuple[Any, InstanceResult] | InstanceFailed:
        """Write a result to where it is not yet visible; return it, and what is to be noted once it is."""
        try:
            with self._open(instance) as source:
                assembly = edit_source(source, instance, compiled)
                staged, evidence = self._write(assembly, instance, compiled.rules.request)
                content = _content(source) if self._settings.notes_content else ""
                _check_unchanged(source, instance)
                review = ReviewCode.BURNED_IN_TEXT if assembly.burned_in and compiled.rules.anonymizes else ""
                result = InstanceResult(instance.id, Outcome.DONE, evidence=evidence, content=content, review=review)
                return staged, result
        except InstanceFailed as problem:
            return problem
        except FileNotFoundError:
            return InstanceFailed(ReasonCode.SOURCE_CHANGED, "the file is gone")
        except OSError as error:
            return InstanceFailed(ReasonCode.SOURCE_UNREADABLE, f"the file cannot be read: {os_error_text(error)}")
        except DeidflowError:
            raise
        except Exception as error:  # noqa: BLE001 (one instance never stops the others; the text may hold patient data)
            return InstanceFailed(ReasonCode.INTERNAL_ERROR, f"{type(error).__name__} {_where(error)}")

    def _open(self, instance: PlannedInstance) -> SourceFile:
        if self._settings.remote_source is not None:
            try:
                return SourceFile.of_bytes(self._settings.remote_source.read(instance.orthanc_id))
            except InstanceFailed as problem:
                raise InstanceFailed(ReasonCode.SOURCE_CHANGED, str(problem)) from None
        path = os.path.join(self._settings.source, instance.path)  # noqa: PTH118 (bytes)
        return _open_unchanged(path, instance)

    def _write(self, assembly: Assembly, instance: PlannedInstance, request: Request) -> tuple[Any, str]:
        """Stage a result; return it, and its hash where it is in memory anyway."""
        syntax = request.settings.transcode
        data = None
        if syntax and syntax != assembly.source.layout.transfer_syntax:
            data = transcode(assembly.to_bytes(), syntax)
        if self._remote_store is not None:
            whole = data or assembly.to_bytes()
            return self._remote_store.stage(whole, instance, request.operation), sha256(whole).hexdigest()
        try:
            if data is not None:
                content = data
                return self._folder_store.stage(lambda descriptor: _write_bytes(descriptor, content), instance.new), ""
            return self._folder_store.stage(assembly.write, instance.new), ""
        except EOFError:
            raise InstanceFailed(ReasonCode.SOURCE_CHANGED, "the file became shorter while it was read") from None
        except OSError as error:
            message = f"the destination cannot be written: {os_error_text(error)}"
            raise Unusable(message, error) from None


def edit_source(source: SourceFile, instance: PlannedInstance, compiled: Compiled) -> Assembly:
    """Scan and edit one open file.

    Raises:
        InstanceFailed: It cannot be scanned or edited, or is not the instance that was planned.

    """
    rules, references, headers = compiled
    subject = subject_of(rules.request, instance, references)
    editor = Editor(source, rules, subject)
    shared = headers.edit(source, editor, subject)
    if shared is not None:
        assembly = assemble(source, shared.parts, shared.sop_class, rules, subject)
        assembly.burned_in = shared.burned_in
        return assembly
    elements = source.scan()
    identifiers, _ = identify(source, elements)
    if identifiers != instance.original:
        raise InstanceFailed(ReasonCode.SOURCE_CHANGED, "the file holds another instance than when it was planned")
    source.check(elements)
    elements = source.make_regular(elements, drops_opaque=rules.anonymizes)
    parts = editor.edit(elements, source.layout.encoding, source.body_size)
    headers.learn(source, elements, editor, subject)
    if rules.drop_top_curves_and_overlays:
        parts = without_overlay_bits(source, elements, parts, rules)
    assembly = assemble(source, parts, sop_class_of(source, elements), rules, subject)
    assembly.burned_in = says_burned_in(source, elements)
    return assembly


def _open_unchanged(path: bytes, instance: PlannedInstance) -> SourceFile:
    source = SourceFile.open(path)
    try:
        _check_unchanged(source, instance)
    except BaseException:
        source.close()
        raise
    return source


def _check_unchanged(source: SourceFile, instance: PlannedInstance) -> None:
    if source.descriptor < 0:  # in memory, where nobody changes it
        return
    status = os.fstat(source.descriptor)
    if status.st_size != instance.size or status.st_mtime_ns != instance.mtime_ns:
        raise InstanceFailed(ReasonCode.SOURCE_CHANGED, "the file changed after the plan was frozen")


def _content(source: SourceFile) -> str:
    """Return the SHA-256 of a source as it was read; "" for one on a server, which names its content itself."""
    if source.descriptor < 0:
        return ""
    digest, position = sha256(), 0
    while data := os.pread(source.descriptor, _HASHED_BYTES, position):
        digest.update(data)
        position += len(data)
    return digest.hexdigest()


def _where(error: Exception) -> str:
    """Return the place in deidflow that an error came from, for a report of it; never its text."""
    own = [frame for frame, _ in walk_tb(error.__traceback__) if "deidflow" in frame.f_globals.get("__name__", "")]
    if not own:
        return "while editing"
    return f"in {own[-1].f_globals['__name__'].rpartition('.')[2]}.{own[-1].f_code.co_name}"


def _write_bytes(descriptor: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(descriptor, rest) :]


def _failed(number: int, problem: InstanceFailed) -> InstanceResult:
    return InstanceResult(number, Outcome.FAILED, problem.code, str(problem))


_worker: Worker | None = None


def start_worker(settings: WorkerSettings) -> None:
    """Prepare this process."""
    global _worker  # noqa: PLW0603 (the process is the worker)
    prepare_process()
    _worker = Worker(settings)


def edit_in_worker(work: Sequence[tuple[Request, Sequence[PlannedInstance]]]) -> list[InstanceResult] | DeidflowError:
    """Run ``Worker.edit`` in this process; see ``edit_safely``."""
    assert _worker is not None  # noqa: S101 (start_worker ran before)
    return edit_safely(_worker, work)


def edit_safely(
    worker: Worker, work: Sequence[tuple[Request, Sequence[PlannedInstance]]]
) -> list[InstanceResult] | DeidflowError:
    """Run ``Worker.edit``; errors are returned, since a raised one would carry its own traceback to the parent."""
    try:
        return worker.edit(work)
    except (TransientError, Unusable) as error:
        return bare(error)
