"""Read results back and compare them with their sources, by pydicom: nothing of the code that wrote them is used.

Public names: ``Expected``, ``VerifierSettings``, ``start_verifier``, ``verify_in_worker``.
"""

from __future__ import annotations

import io
import os
import re
import warnings
from dataclasses import dataclass
from itertools import zip_longest
from typing import TYPE_CHECKING, Any, BinaryIO, Final, NamedTuple

from pydicom import dcmread
from pydicom.datadict import dictionary_has_tag, dictionary_VR

from deidflow.tasks.core.dicom.private_tags import creator_of, in_block
from deidflow.tasks.core.dicom.tags import (
    PATIENT_ID,
    PATIENT_NAME,
    Path,
    describe_tag,
)
from deidflow.tasks.core.engine.protocol import InstanceResult, PlannedInstance
from deidflow.tasks.core.errors import InstanceFailed, TransientError, Unusable, os_error_text
from deidflow.tasks.core.files.beneath import open_folder, open_plain_file
from deidflow.tasks.core.files.plain_files import NotPlainError
from deidflow.tasks.core.outcomes import Outcome, ReasonCode
from deidflow.tasks.core.processes.pool import prepare_process
from deidflow.tasks.core.request.request import Operation, Request
from deidflow.tasks.local.folder.index import read_index_entries
from deidflow.tasks.local.folder.shared_identifiers import SharedIdentifiers
from deidflow.tasks.local.folder.store import relative_path
from deidflow.tasks.verification.given_values import check_given_values
from deidflow.tasks.verification.inflation import inflatable
from deidflow.tasks.verification.pixels import check_pixels, hidden_bits
from deidflow.tasks.verification.structure import check_structure, content_hash, is_what_was_read
from deidflow.tasks.verification.uid_map import UidMap

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from pydicom import DataElement, Dataset
    from pydicom.tag import BaseTag

    from deidflow.tasks.core.engine.stores import Reader

_DEFLATED: Final = "1.2.840.10008.1.2.1.99"
_PIXEL_DATA_GROUP: Final = 0x7FE0
_COMPARED_BYTES: Final = 1 << 20
_PIXEL_KEYWORDS: Final = ("PixelData", "FloatPixelData", "DoubleFloatPixelData")
_CURVES_AND_OVERLAYS: Final = (0x5000, 0x6000)


@dataclass(frozen=True, slots=True)
class VerifierSettings:
    """What is the same for all instances.

    Attributes:
        source: The source folder.
        destination: The destination folder.
        full: Read every result; otherwise only whether it is there with its identifiers.
        hardening: Whether anonymize was to leave no name, no ID, no overlay.
        given_values: Whether what Replace and Remove ask for is looked up, since a server wrote the results.
        uid_map: SQLite file of original and new UIDs of the run; "" when nothing was anonymized.
        remote_source: Read from instead of the source folder.
        remote_results: Read from instead of the destination folder.
    """

    source: bytes
    destination: str
    full: bool
    hardening: bool
    given_values: bool = False
    uid_map: str = ""
    remote_source: Reader | None = None
    remote_results: Reader | None = None


class Expected(NamedTuple):
    """A result to verify.

    Attributes:
        instance: What it was made from.
        evidence: The SHA-256 of the result as it was written or found right before, "" when it never was.
        result_id: Its Orthanc identifier.
        is_done: Whether it counts as done now; another one that is found right is done again.
        content: The SHA-256 of the file that it was made from, "" when that was not noted.

    """

    instance: PlannedInstance
    evidence: str = ""
    result_id: str = ""
    is_done: bool = True
    content: str = ""


_OUTCOMES: Final = {ReasonCode.RESULT_MISSING: Outcome.MISSING, ReasonCode.SOURCE_CHANGED: Outcome.DONE}
_BY_THE_SOURCE: Final = frozenset(
    {ReasonCode.PIXEL_DATA_DIFFERS, ReasonCode.REFERENCE_BROKEN, ReasonCode.RESULT_DIFFERS}
)
"""What a source that was changed since may be to blame for."""
_IDENTIFIERS: Final = ("PatientID", "StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID")
_IDENTITY: Final = frozenset({PATIENT_NAME, PATIENT_ID})
_LOOKED_AT: Final = frozenset({"SQ", "UI", "UN"})
_MAY_BE_UIDS: Final = frozenset({"UI", "UN"})
_UIDS: Final = re.compile(rb"[0-9.\\]+[ \0]*")


class Verifier:
    """Verifier of one run's results."""

    def __init__(self, settings: VerifierSettings) -> None:
        """Open what all instances share."""
        self._settings = settings
        self._uids = UidMap(settings.uid_map) if settings.uid_map else None
        self._shared = SharedIdentifiers()
        self._found = ""

    def verify(self, work: Sequence[tuple[Request, Sequence[Expected]]]) -> list[InstanceResult]:
        """Verify results.

        Returns:
            Those with something to note: what is wrong with one is its outcome, and there may be evidence to keep. One
            that could not be compared, since its source is not there, is done with the code ``source-changed``. The
            evidence of a failed one is the hash of what stands there now.

        Raises:
            TransientError: A server cannot be reached, which says nothing about a result.
            Unusable: A server cannot be used.

        """
        results = []
        for request, expected in work:
            for one in expected:
                number = one.instance.id
                self._found = ""
                try:
                    self._verify(request, one)
                    if self._found != one.evidence or not one.is_done:
                        results.append(InstanceResult(number, Outcome.DONE, evidence=self._found))
                except InstanceFailed as problem:
                    outcome = _OUTCOMES.get(problem.code, Outcome.FAILED)
                    results.append(InstanceResult(number, outcome, problem.code, str(problem), self._found))
                except (TransientError, Unusable):
                    raise
                except Exception as error:  # noqa: BLE001 (a result that cannot be read; the text may hold values)
                    text = f"the result cannot be read back ({type(error).__name__})"
                    failed = (Outcome.FAILED, ReasonCode.RESULT_DIFFERS, text, self._found)
                    results.append(InstanceResult(number, *failed))
        return results

    def _verify(self, request: Request, expected: Expected) -> None:
        if self._settings.remote_results is not None:
            result_file: BinaryIO = io.BytesIO(self._settings.remote_results.read(expected.result_id))
        else:
            result_file = self._open_result(expected.instance)
        with result_file, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if self._settings.full:
                self._compare_with_what_is_left(request, expected, result_file)
                return
        new = expected.instance.new
        destination = os.fsencode(self._settings.destination)
        (entry,) = read_index_entries(destination, [relative_path(new).encode()], shared=self._shared)
        if getattr(entry, "identifiers", None) != new:
            raise InstanceFailed(ReasonCode.RESULT_DIFFERS, "the result has other identifiers than planned")

    def _open_result(self, instance: PlannedInstance) -> BinaryIO:
        above, _, name = relative_path(instance.new).encode().rpartition(b"/")
        try:
            with open_folder(self._settings.destination, above) as folder:
                return os.fdopen(open_plain_file(folder, name), "rb")
        except NotPlainError:
            text = "a link or something else that is no plain file stands where the result belongs, or on the way to it"
            raise InstanceFailed(ReasonCode.RESULT_DIFFERS, text) from None
        except FileNotFoundError:
            raise InstanceFailed(ReasonCode.RESULT_MISSING, "the result is not in the destination") from None
        except OSError as error:
            text = f"the result cannot be read: {os_error_text(error)}"
            raise InstanceFailed(ReasonCode.RESULT_DIFFERS, text) from None

    def _compare_with_what_is_left(self, request: Request, expected: Expected, result_file: BinaryIO) -> None:
        """Compare with the source, or with what was noted of the result before the source was changed or deleted."""
        self._found = content_hash(result_file)
        as_planned = False
        try:
            with self._open_source(expected.instance) as source_file:
                as_planned = is_what_was_read(source_file, expected.instance, expected.content)
                result_file.seek(0)
                self._compare(request, expected, inflatable(source_file), inflatable(result_file))
                check_structure(result_file, source_file)
        except InstanceFailed as problem:
            if problem.code not in _BY_THE_SOURCE or as_planned:
                raise
            self._compare_with_evidence(expected, result_file)
        except (TransientError, Unusable):
            raise
        except Exception as error:
            if as_planned and not isinstance(error, OSError):
                raise
            self._compare_with_evidence(expected, result_file)
        else:
            self._check_evidence(expected)
            if not as_planned:  # what has changed since may be in what is not compared
                self._compare_with_evidence(expected, result_file)

    def _open_source(self, instance: PlannedInstance) -> BinaryIO:
        if self._settings.remote_source is None:
            above, _, name = bytes(instance.path).rpartition(b"/")
            with open_folder(self._settings.source, above) as folder:
                return os.fdopen(open_plain_file(folder, name), "rb")
        try:
            return io.BytesIO(self._settings.remote_source.read(instance.orthanc_id))
        except InstanceFailed:
            raise FileNotFoundError from None

    def _check_evidence(self, expected: Expected) -> None:
        if expected.evidence and self._found != expected.evidence:
            text = "the result is not what this run wrote, byte for byte"
            raise InstanceFailed(ReasonCode.RESULT_DIFFERS, text)

    def _compare(self, request: Request, expected: Expected, source_file: BinaryIO, result_file: BinaryIO) -> None:
        source = dcmread(source_file, force=True, stop_before_pixels=True)
        result = dcmread(result_file, force=True, stop_before_pixels=True)
        _check_identifiers(result, expected.instance, _same_bytes(source, result))
        if self._settings.given_values:
            check_given_values(request, result)
        anonymized = request.operation is Operation.ANONYMIZE
        if anonymized and self._uids is not None:
            self._check_references(request, source, result)
        if anonymized and self._settings.hardening:
            _check_nothing_left(request, source, result)
        if not _touches_pixels(request):
            hidden = hidden_bits(source, request) if anonymized and self._settings.hardening else 0
            check_pixels(source, source_file, result_file, hidden)

    def _compare_with_evidence(self, expected: Expected, result_file: BinaryIO) -> None:
        """Do what can be done when the source is gone, changed or not to be read."""
        result_file.seek(0)
        result = dcmread(result_file, force=True, stop_before_pixels=True)
        if not expected.evidence:
            _check_identifiers(result, expected.instance)
            text = "the source is not there as it was, so that the result cannot be compared with it"
            raise InstanceFailed(ReasonCode.SOURCE_CHANGED, text)
        self._check_evidence(expected)
        _check_identifiers(result, expected.instance, frozenset(_IDENTIFIERS))

    def _check_references(self, request: Request, source: Dataset, result: Dataset) -> None:
        """Every UID of the source that names something in this run must name what that became."""
        assert self._uids is not None  # noqa: S101 (the caller's condition)
        named = {path.tag for path in request.edits.paths()}
        # Whichever block a creator has: the request changes these elements on purpose.
        private = {in_block(tag, 0x10) for tag in named if creator_of(tag)}
        found = dict(_uids(result))
        for path, old in _uids(source):
            new = found.get(path)
            if new is None or any(tag in named or in_block(tag, 0x10) in private for tag in path[::2]):
                continue
            # A list that became shorter, as Orthanc's do, lost what it named last.
            for before, after in zip_longest(old, new, fillvalue=""):
                expected = self._uids.get(path[-1], before)
                if expected is None or after == expected:
                    continue
                if after == before:
                    text = f"{describe_tag(path[-1])} still names an original object of the run"
                    raise InstanceFailed(ReasonCode.IDENTIFIER_LEFT, text)
                text = f"{describe_tag(path[-1])} names another object than in the source"
                raise InstanceFailed(ReasonCode.REFERENCE_BROKEN, text)


def _walk(dataset: Dataset, above: tuple[int, ...] = ()) -> Iterator[tuple[tuple[int, ...], DataElement]]:
    """Yield each UID and each patient's name and ID with its path (tags and item numbers by turns).

    The other elements are not decoded, since that is what takes pydicom's time.
    """
    for tag in dataset.keys():  # noqa: SIM118 (a Dataset iterates over decoded elements)
        if tag not in _IDENTITY and _vr(dataset, tag) not in _LOOKED_AT:
            continue
        element = dataset[tag]
        path = (*above, int(tag))
        if element.VR == "SQ":
            for number, item in enumerate(element.value or ()):
                yield from _walk(item, (*path, number))
        elif element.VR in _MAY_BE_UIDS or tag in _IDENTITY:
            yield path, element


def _vr(dataset: Dataset, tag: BaseTag) -> str:
    """Return a VR without decoding, "UN" where the file and the dictionary do not tell."""
    vr = dataset.get_item(tag).VR
    if vr not in (None, "UN"):
        return str(vr)
    return dictionary_VR(tag) if dictionary_has_tag(tag) else "UN"


def _uids(dataset: Dataset) -> Iterator[tuple[tuple[int, ...], list[str]]]:
    """Yield each UID element with its path and values; also what nobody knows the VR of and looks like UIDs."""
    for path, element in _walk(dataset):
        if element.VR == "UI" and element.value:
            values = [element.value] if isinstance(element.value, str) else element.value
            yield path, [str(value) for value in values]
        elif element.VR == "UN" and isinstance(element.value, bytes) and _UIDS.fullmatch(element.value):
            yield path, [text.strip(" \0") for text in element.value.decode("ascii").split("\\")]


def _same_bytes(source: Dataset, result: Dataset) -> frozenset[str]:
    """Return the identifiers, by keyword, that are in the result as they are in the source; nothing is decoded."""
    return frozenset(
        keyword
        for keyword in _IDENTIFIERS
        if keyword in result and keyword in source and _raw(source, keyword) == _raw(result, keyword)
    )


def _raw(dataset: Dataset, keyword: str) -> Any:
    return dataset.get_item(keyword).value


def _check_identifiers(result: Dataset, instance: PlannedInstance, same: Collection[str] = ()) -> None:
    """Compare with the planned identifiers.

    One that was to stay and has the bytes of the source stays what it was, however pydicom reads it: text behind a NUL,
    bytes that the character set lacks, several values in a UID.

    Args:
        result: As pydicom reads it.
        instance: What was planned.
        same: The identifiers that are known to have the source's bytes.

    """
    for keyword, before, wanted in zip(_IDENTIFIERS, instance.original, instance.new, strict=True):
        if before == wanted and keyword in same:
            continue
        element = result.get(keyword)
        value = "" if element is None else _joined(element)
        # A PatientID sent as UN keeps the blank of its padding, which pydicom drops.
        if value.replace("\0", "").rstrip(" ") != wanted.rstrip(" "):
            raise InstanceFailed(ReasonCode.RESULT_DIFFERS, f"{keyword} of the result is not the planned one")
    in_meta = getattr(result, "file_meta", {}).get("MediaStorageSOPInstanceUID")
    if in_meta and _joined(in_meta) != instance.new.sop_instance_uid:
        text = "MediaStorageSOPInstanceUID of the result is not its SOPInstanceUID"
        raise InstanceFailed(ReasonCode.RESULT_DIFFERS, text)


def _joined(value: Any) -> str:
    return value if isinstance(value, str) else "\\".join(str(part) for part in value)


def _check_nothing_left(request: Request, source: Dataset, result: Dataset) -> None:
    """Look for the original name and ID at any depth, and for overlays and curves at top level."""
    kept = {path.tag for path in request.edits.keep}
    for tag, keyword in ((PATIENT_NAME, "PatientName"), (PATIENT_ID, "PatientID")):
        original = str(source.get(keyword) or "").strip()
        if not original or tag in kept or str(request.edits.replace.get(Path((), tag), "")).strip() == original:
            continue
        for path, element in _walk(result):
            if path[-1] == tag and str(element.value or "").strip() == original:
                raise InstanceFailed(ReasonCode.IDENTIFIER_LEFT, f"the original {keyword} is left in the result")
    named = {path.tag for path in (*request.edits.keep, *request.edits.replace)}
    for tag in result.keys():  # noqa: SIM118 (a Dataset iterates over elements)
        if tag.group & 0xFF00 in _CURVES_AND_OVERLAYS and not tag.is_private and int(tag) not in named:
            raise InstanceFailed(ReasonCode.IDENTIFIER_LEFT, f"{describe_tag(int(tag))} is left in the result")


def _touches_pixels(request: Request) -> bool:
    return bool(request.settings.transcode) or any(
        path.tag >> 16 == _PIXEL_DATA_GROUP for path in (*request.edits.replace, *request.edits.remove)
    )


_verifier: Verifier | None = None


def start_verifier(settings: VerifierSettings) -> None:
    """Prepare this process."""
    global _verifier  # noqa: PLW0603 (the process is the verifier)
    prepare_process()
    _verifier = Verifier(settings)


def verify_in_worker(
    work: Sequence[tuple[Request, Sequence[Expected]]],
) -> list[InstanceResult] | TransientError | Unusable:
    """Run ``Verifier.verify`` in this process; errors are returned, as by ``worker.edit_safely``."""
    assert _verifier is not None  # noqa: S101 (start_verifier ran before)
    try:
        return _verifier.verify(work)
    except TransientError as error:
        return TransientError(str(error))
    except Unusable as error:
        return Unusable(str(error))
