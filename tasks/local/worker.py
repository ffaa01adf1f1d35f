"""The work on instances, as it runs inside a worker process: read, scan, edit, write, publish.

Nothing here raises for one instance: what happened comes back as a result, whose text holds no patient data.

Public names: ``WorkerSettings``, ``Worker``, ``Compiler``, ``Compiled``, ``edit_source``, ``start_worker``,
``edit_in_worker``, ``identifiers_of``.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, NamedTuple

from deidflow.tasks.core.dicom.tags import PATIENT_NAME, Path
from deidflow.tasks.core.engine.protocol import InstanceResult, PlannedInstance
from deidflow.tasks.core.engine.review import ReviewCode
from deidflow.tasks.core.engine.stores import BytesInMemory
from deidflow.tasks.core.errors import (
    DeidflowError,
    InstanceFailed,
    TransientError,
    Unusable,
    bare,
    os_error_text,
    unforeseen,
)
from deidflow.tasks.core.outcomes import Outcome, ReasonCode
from deidflow.tasks.core.pseudonyms.kept_identifiers import GivenIdentifiers
from deidflow.tasks.core.pseudonyms.new_identifiers import new_patient_name
from deidflow.tasks.core.pseudonyms.original_uids import OriginalUids
from deidflow.tasks.core.pseudonyms.pseudonyms import Key, Pseudonyms
from deidflow.tasks.core.quick_pickles import Records
from deidflow.tasks.core.request.request import Operation, Request
from deidflow.tasks.local.deidentification.compile import compile_request
from deidflow.tasks.local.deidentification.ps3_15 import Ps315
from deidflow.tasks.local.dicom_file.source_file import SourceFile
from deidflow.tasks.local.editing.instance import Editor
from deidflow.tasks.local.editing.items.shared_items import SharedItems
from deidflow.tasks.local.editing.painting.choice import with_painted_pixels
from deidflow.tasks.local.editing.pixel_data.compressed_frames import without_texts_in_frames
from deidflow.tasks.local.editing.pixel_data.native_frames import without_octets_behind_frames
from deidflow.tasks.local.editing.pixel_data.overlay_bits import without_overlay_bits
from deidflow.tasks.local.editing.references import InstanceIdentifiers, References
from deidflow.tasks.local.editing.series.shared_header import SharedHeaders
from deidflow.tasks.local.editing.splice import Assembly, assemble, says_burned_in, sop_class_of
from deidflow.tasks.local.folder.index import identify
from deidflow.tasks.local.transcoding.transcoder import transcode
from deidflow.tasks.local.viewing.text_detector import HOW_TO_INSTALL, can_detect
from deidflow.tasks.local.viewing.text_search import TextSearch

if TYPE_CHECKING:
    from collections.abc import Sequence

    from deidflow.tasks.core.engine.sources import InstanceSource
    from deidflow.tasks.core.engine.stores import ResultContent, ResultStore, Staged
    from deidflow.tasks.core.request.profile_choice import ProfileChoice
    from deidflow.tasks.local.dicom_file.elements import Element
    from deidflow.tasks.local.editing.context import Context
    from deidflow.tasks.local.editing.table import Tables

_PATIENT_NAME: Final = Path((), PATIENT_NAME)
_READ_OTHERWISE: Final = (
    "the Orthanc reads its identifiers otherwise, as where the file names no character set and DefaultEncoding there "
    "is not Latin1; take engine orthanc for it"
)
_COMPILED_REQUESTS: Final = 1024


@dataclass(frozen=True, slots=True)
class WorkerSettings:
    """What is the same for all instances of a run.

    Attributes:
        source: Where originals are read from.
        store: Where results go.
        key: Secret of the generated identifiers.
        scope: Their scope.
        hardening: See ``compile_request``.
        given: Kept and replaced identifiers of the whole run.
        originals: UIDs of all objects of the run before.
        profile: The PS3.15 profile of the run; None where requests name an Orthanc's.
        notes_content: Whether the sources are to be deleted, so that all that was read of each is noted.

    """

    source: InstanceSource
    store: ResultStore
    key: Key
    scope: str
    hardening: bool
    given: GivenIdentifiers = field(default_factory=GivenIdentifiers)
    originals: OriginalUids = field(default_factory=OriginalUids)
    profile: ProfileChoice | None = None
    notes_content: bool = False

    def lacks(self) -> str:
        """Return what keeps this machine from the work, "" for nothing."""
        detects = self.profile is not None and self.profile.pixels is not None and self.profile.pixels.detects
        ocr = f"pixels.detect needs the extra ocr: {HOW_TO_INSTALL}" if detects and not can_detect() else ""
        return self.source.lacks() or self.store.lacks() or ocr


class Compiled(NamedTuple):
    """A request, ready to be applied.

    Attributes:
        request: Itself.
        tables: What happens to each element.
        references: How identifiers are mapped.
        headers: What is remembered of the series that it was applied to.
        items: What is remembered of items, whatever series they stand in; None where nothing is to be.

    """

    request: Request
    tables: Tables
    references: References
    headers: SharedHeaders
    items: SharedItems | None


def identifiers_of(request: Request, instance: PlannedInstance, references: References) -> InstanceIdentifiers:
    """Return the instance with its new PatientName: given, generated, or None when the request leaves or removes it."""
    edits = request.edits
    given = edits.replace.get(_PATIENT_NAME)
    if isinstance(given, str):
        name: str | None = given
    elif request.operation is Operation.MODIFY or _PATIENT_NAME in edits.remove or _PATIENT_NAME in edits.keep:
        name = None
    else:
        name = new_patient_name(instance.new.patient_id)
    return InstanceIdentifiers(instance.original, instance.new, name, references, request.shift_days)


class Compiler:
    """Compiles the requests of one run."""

    def __init__(
        self,
        key: Key,
        scope: str,
        given: GivenIdentifiers,
        originals: OriginalUids,
        *,
        hardening: bool,
        profile: ProfileChoice | None = None,
    ) -> None:
        """Take what all requests share; see ``WorkerSettings``."""
        self._profile = Ps315(profile, key, scope) if profile is not None else None
        self._key, self._scope = key, scope
        self._given, self._originals = given, originals
        self._hardening = hardening
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
                pseudonyms = Pseudonyms(self._key, self._scope, options)
                given = self._given
                references = References(pseudonyms, given.uids, given.patient_ids, self._originals, given.names)
                self._references[options] = references
            known_uids, profile = bool(self._originals), self._profile
            tables = compile_request(request, hardening=self._hardening, known_uids=known_uids, profile=profile)
            compiled = Compiled(request, tables, references, SharedHeaders(), SharedItems())
            self._compiled[name] = compiled
        return compiled


class Worker:
    """Editor of instances for one run."""

    def __init__(self, settings: WorkerSettings) -> None:
        """Prepare what all instances share."""
        self._source = settings.source
        self._writer = settings.store.writer()
        self._notes_content = settings.notes_content
        choice = settings.profile and settings.profile.pixels
        self._text_search = TextSearch() if choice and choice.detects else None
        self._compiler = Compiler(
            *(settings.key, settings.scope, settings.given, settings.originals),
            hardening=settings.hardening,
            profile=settings.profile,
        )

    def edit(self, work: Sequence[tuple[Request, Sequence[PlannedInstance]]]) -> list[InstanceResult]:
        """Edit instances, publish their results together, and say what became of each.

        Raises:
            Unusable: The destination cannot be written.

        """
        results: list[InstanceResult] = []
        staged: list[Staged] = []
        done: list[InstanceResult] = []
        for request, instances in work:
            compiled = self._compiler.compile(request)
            for place, instance in enumerate(instances, 1):
                following = instances[place : place + 1]
                goes_on = bool(following) and following[0].original[:3] == instance.original[:3]
                outcome = self._stage(instance, compiled, goes_on=goes_on)
                if isinstance(outcome, InstanceFailed):
                    results.append(_failed(instance.id, outcome))
                else:
                    staged.append(outcome[0])
                    done.append(outcome[1])
        for result, problem in zip(done, self._writer.publish(staged), strict=True):
            results.append(_failed(result.id, problem) if problem else result)
        return results

    def _stage(
        self, instance: PlannedInstance, compiled: Compiled, *, goes_on: bool
    ) -> tuple[Staged, InstanceResult] | InstanceFailed:
        """Write a result to where it is not yet visible; return it, and what is to be noted once it is."""
        request = compiled.request
        try:
            original = self._source.open(instance)
            with SourceFile.of_original(original) as source:
                assembly = edit_source(source, instance, compiled, goes_on=goes_on)
                if self._text_search is not None and assembly.pixels is not None:
                    self._text_search.check(source, assembly.pixels.decision)
                staged = self._writer.stage(_content_of(assembly, request), instance, request.operation)
                if self._notes_content:
                    content = self._source.content(original)
                else:
                    content = self._source.excerpt(original, source.head)
                self._source.check(original, instance)
                anonymizes = request.operation is Operation.ANONYMIZE
                review = _review_of(assembly) if anonymizes else ""
                notes = assembly.notes
                result = InstanceResult(
                    instance.id,
                    Outcome.DONE,
                    evidence=staged.evidence,
                    content=content,
                    review=review,
                    removed=notes.removed,
                    unknown_words=tuple(sorted(notes.unknown)),
                )
                return staged, result
        except InstanceFailed as problem:
            return problem
        except EOFError:
            return InstanceFailed(ReasonCode.SOURCE_CHANGED, "the file became shorter while it was read")
        except FileNotFoundError:
            return InstanceFailed(ReasonCode.SOURCE_CHANGED, "the file is gone")
        except OSError as error:
            return InstanceFailed(ReasonCode.SOURCE_UNREADABLE, f"the file cannot be read: {os_error_text(error)}")
        except DeidflowError:
            raise
        except Exception as error:  # noqa: BLE001 (one instance never stops the others; the text may hold patient data)
            return unforeseen(error, "editing")


def _content_of(assembly: Assembly, request: Request) -> ResultContent:
    """Return what is to be written: the assembly itself, or what transcoding makes of it."""
    syntax = request.settings.transcode
    if syntax and syntax != assembly.source.layout.transfer_syntax:
        return BytesInMemory(transcode(assembly.to_bytes(), syntax))
    return assembly


def edit_source(source: SourceFile, instance: PlannedInstance, compiled: Compiled, *, goes_on: bool = True) -> Assembly:
    """Scan and edit one open file.

    Args:
        source: The file.
        instance: Which it is.
        compiled: What is asked for.
        goes_on: Whether more of its series follow, for which it is remembered what they may have in common.

    Raises:
        InstanceFailed: It cannot be scanned or edited, or is not the instance that was planned.

    """
    request, tables, references, headers, items = compiled
    identifiers = identifiers_of(request, instance, references)
    source.shapes = None if items is None else items.shapes
    editor = Editor(source, tables, identifiers, items)
    shared = headers.edit(source, editor, identifiers)
    if shared is None:
        elements = source.scan()
        found, _ = identify(source, elements)
        if found != instance.original:
            raise _another_instance(instance)
        source.check(elements)
        elements = source.make_regular(elements, drops_opaque=request.operation is Operation.ANONYMIZE)
        context = editor.context(elements)
        if goes_on:
            shared = headers.learn(source, elements, editor, identifiers, context)
        if shared is None:
            return _edited_in_full(source, elements, editor, context, identifiers)
    spans = with_painted_pixels(source, shared.tail, shared.spans, shared.table, shared.pixels)
    assembly = assemble(source, spans, shared.sop_class, shared.table, identifiers)
    assembly.burned_in, assembly.pixels = shared.burned_in, shared.pixels
    return assembly


def _another_instance(instance: PlannedInstance) -> InstanceFailed:
    if instance.path:
        return InstanceFailed(ReasonCode.SOURCE_CHANGED, "the file holds another instance than when it was planned")
    # An Orthanc finds instances by a hash of their identifiers: under one name they never change.
    return InstanceFailed(ReasonCode.AMBIGUOUS_ENCODING, _READ_OTHERWISE)


def _edited_in_full(
    source: SourceFile, elements: list[Element], editor: Editor, context: Context, identifiers: InstanceIdentifiers
) -> Assembly:
    """Edit element by element."""
    spans = editor.edit(elements, source.layout.encoding, source.body_size, context)
    if context.pixels is None or not context.pixels.paints:
        spans = without_texts_in_frames(source, elements, spans, context.table)
    if context.table.clears_overlay_bits:
        spans = without_overlay_bits(source, elements, spans, context.table)
    spans = without_octets_behind_frames(source, elements, spans, context.table)
    spans = with_painted_pixels(source, elements, spans, context.table, context.pixels)
    assembly = assemble(source, spans, sop_class_of(source, elements), context.table, identifiers)
    assembly.burned_in, assembly.pixels = says_burned_in(source, elements), context.pixels
    return assembly


def _review_of(assembly: Assembly) -> str:
    """Return why a person should look at the pixels of a result, "" for no reason."""
    if assembly.pixels is not None:
        return assembly.pixels.review
    return ReviewCode.BURNED_IN_TEXT if assembly.burned_in else ""


def _failed(number: int, problem: InstanceFailed) -> InstanceResult:
    review = ReviewCode.BURNED_IN_TEXT if problem.code is ReasonCode.BURNED_IN_TEXT else ""
    return InstanceResult(number, Outcome.FAILED, problem.code, str(problem), review=review)


_of_this_thread = threading.local()


def start_worker(settings: WorkerSettings) -> None:
    """Prepare this thread."""
    _of_this_thread.worker = Worker(settings)


def edit_in_worker(work: Sequence[tuple[Request, Sequence[PlannedInstance]]]) -> list[InstanceResult] | DeidflowError:
    """Run ``Worker.edit`` in a thread that was prepared.

    Errors are returned: a raised one would carry its own traceback to the parent.
    """
    worker: Worker = _of_this_thread.worker
    try:
        return Records(worker.edit(work))
    except (TransientError, Unusable) as error:
        return bare(error)
