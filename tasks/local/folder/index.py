"""What a folder holds: every DICOM instance with its identifiers, and every file that cannot be used, with a reason.

Only the first elements of each file are read. Nothing is changed, and nothing that is not a regular file is opened.

Public names: ``find_files``, ``read_index_entries``, ``read_identifiers``, ``identify``.
"""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING, Final

from deidflow.tasks.core.dicom.identifiers import DicomIdentifiers
from deidflow.tasks.core.dicom.persons import Person
from deidflow.tasks.core.dicom.tags import (
    FRAME_OF_REFERENCE_UID,
    IMAGE_TYPE,
    MODALITY,
    PATIENT_ID,
    SERIES_INSTANCE_UID,
    SOP_CLASS_UID,
    SOP_INSTANCE_UID,
    SPECIFIC_CHARACTER_SET,
    STUDY_INSTANCE_UID,
    describe_tag,
)
from deidflow.tasks.core.engine.review import ReviewCode, may_show_text
from deidflow.tasks.core.engine.sources import ProblemCode, SourceInstance, SourceProblem
from deidflow.tasks.core.errors import InstanceFailed
from deidflow.tasks.core.files.opened import changed_ns
from deidflow.tasks.core.outcomes import ReasonCode
from deidflow.tasks.core.quick_pickles import Records
from deidflow.tasks.local.dicom_file.character_sets import character_set
from deidflow.tasks.local.dicom_file.layout import NotDicomError
from deidflow.tasks.local.dicom_file.source_file import SourceFile
from deidflow.tasks.local.editing.splice import IMPLEMENTATION_CLASS_UID
from deidflow.tasks.local.folder.shared_identifiers import KIND, NEEDED, OPTIONAL, PERSONAL, SharedIdentifiers

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from deidflow.tasks.local.dicom_file.elements import Element
    from deidflow.tasks.local.folder.shared_identifiers import Found

HEADER_BYTES: Final = 8192
"""First read of each file; the identifiers of real objects lie within, others cost a second read."""

MEDIA_STORAGE_DIRECTORY: Final = b"1.2.840.10008.1.3.10"
_OWN_IMPLEMENTATION: Final = IMPLEMENTATION_CLASS_UID.encode()

INVENTORY_TAGS: Final = (
    0x00080016, 0x00080020, 0x00080030, 0x00080050, 0x00080060, 0x00081030, 0x0008103E, 0x00100010, 0x00100030,
    0x00100040, 0x00200011, 0x00200013,
)  # fmt: skip
"""What people recognise a patient, study, series or instance by; all stand before FrameOfReferenceUID."""

_MAX_TEXT_BYTES: Final = 1024

_READ: Final = NEEDED | OPTIONAL

MAX_IDENTIFIER_BYTES: Final = 0xFFFE
"""What the length field of their VRs holds; only in implicit VR, or as UN, an identifier can claim more."""


def find_files(folder: bytes, *, follow_links: bool = False) -> Iterator[bytes | SourceProblem]:
    """Yield the regular files below a folder, relative to it and in a fixed order, and what cannot be one.

    Symbolic links are not followed: what they lead to inside the folder is found by itself, what lies outside is none
    of the folder's business. FIFOs, sockets and devices are not opened.

    Args:
        folder: Where to look.
        follow_links: Links to files are files, and links to folders are folders; no folder is entered twice.

    """
    root = os.path.realpath(folder)
    waiting = [b""]
    entered: set[tuple[int, int]] = set()
    while waiting:
        below = waiting.pop()
        if follow_links and not _is_new(os.path.join(folder, below), entered):  # noqa: PTH118 (bytes)
            continue
        try:
            with os.scandir(os.path.join(folder, below)) as found:  # noqa: PTH118 (bytes, which pathlib lacks)
                entries = sorted(found, key=lambda entry: entry.name)
        except OSError:
            yield SourceProblem(below, ProblemCode.UNREADABLE)
            continue
        folders = []
        for entry in entries:
            path = os.path.join(below, entry.name)  # noqa: PTH118 (bytes)
            if entry.is_symlink() and not follow_links:
                problem = _link_problem(os.path.join(folder, path), root)  # noqa: PTH118 (bytes)
                if problem:
                    yield SourceProblem(path, problem)
            elif entry.is_dir():  # links are followed, or not here any more
                folders.append(path)
            elif entry.is_file():
                yield path
            else:
                is_broken = entry.is_symlink() and not os.path.exists(os.path.join(folder, path))  # noqa: PTH110, PTH118
                yield SourceProblem(path, ProblemCode.BROKEN_LINK if is_broken else ProblemCode.NOT_A_REGULAR_FILE)
        waiting += reversed(folders)


def _is_new(folder: bytes, entered: set[tuple[int, int]]) -> bool:
    """Whether a folder was not entered before, by whatever name; one that cannot be looked at is told elsewhere."""
    try:
        status = os.stat(folder)  # noqa: PTH116 (bytes)
    except OSError:
        return True
    place = status.st_dev, status.st_ino
    if place in entered:
        return False
    entered.add(place)
    return True


def _link_problem(path: bytes, root: bytes) -> ProblemCode | None:
    target = os.path.realpath(path)
    if not os.path.exists(target):  # noqa: PTH110 (bytes)
        return ProblemCode.BROKEN_LINK
    return None if target.startswith(root + b"/") or target == root else ProblemCode.LINK_OUT_OF_FOLDER


def read_index_entries(
    folder: bytes,
    paths: Sequence[bytes],
    *,
    with_attributes: bool = False,
    follow_links: bool = False,
    shared: SharedIdentifiers | None = None,
) -> list[SourceInstance | SourceProblem]:
    """Read the identifiers of some files of a folder.

    Args:
        folder: The source folder.
        paths: Relative to it.
        with_attributes: Also decode what an inventory shows.
        follow_links: Whether the files may be symbolic links.
        shared: What was remembered of files before.

    """
    shared = shared or SharedIdentifiers()
    how = {"with_attributes": with_attributes, "follow_links": follow_links}
    return Records(_read_entry(folder, path, shared, **how) for path in paths)


def _read_entry(
    folder: bytes, path: bytes, shared: SharedIdentifiers, *, with_attributes: bool, follow_links: bool
) -> SourceInstance | SourceProblem:
    name = os.path.join(folder, path)  # noqa: PTH118 (bytes)
    try:
        with SourceFile.open(name, first_bytes=HEADER_BYTES, follow_links=follow_links) as source:
            status = os.fstat(source.descriptor)
            if not stat.S_ISREG(status.st_mode):
                return SourceProblem(path, ProblemCode.NOT_A_REGULAR_FILE)
            if source.meta_value(0x00020002).strip(b" \0") == MEDIA_STORAGE_DIRECTORY:
                return SourceProblem(path, ProblemCode.DICOMDIR)
            return _entry(path, source, status, shared, with_attributes=with_attributes)
    except NotDicomError:
        empty = os.stat(os.path.join(folder, path)).st_size == 0  # noqa: PTH116, PTH118 (bytes)
        return SourceProblem(path, ProblemCode.EMPTY if empty else ProblemCode.NOT_DICOM)
    except InstanceFailed:
        return SourceProblem(path, ProblemCode.DAMAGED)
    except OSError:
        return SourceProblem(path, ProblemCode.UNREADABLE)


def _entry(
    path: bytes, source: SourceFile, status: os.stat_result, shared: SharedIdentifiers, *, with_attributes: bool
) -> SourceInstance | SourceProblem:
    recalled = None if with_attributes else shared.recall(source)
    if recalled is not None:
        return _instance(path, source, status, recalled)
    found, elements = _scanned(source, None if with_attributes else shared)
    if isinstance(found, ProblemCode):
        return SourceProblem(path, found)
    return _instance(path, source, status, found, _attributes(source, elements) if with_attributes else None)


def read_identifiers(descriptor: int, shared: SharedIdentifiers) -> DicomIdentifiers | None:
    """Read the identifiers of an open file as ``read_index_entries`` does, and nothing else of it.

    Args:
        descriptor: Of a regular file, which is closed here.
        shared: What was remembered of files before.

    Returns:
        None where there is no entry but a problem.

    """
    try:
        with SourceFile.of_descriptor(descriptor, HEADER_BYTES) as source:
            if source.meta_value(0x00020002).strip(b" \0") == MEDIA_STORAGE_DIRECTORY:
                return None
            found = shared.recall(source) or _scanned(source, shared)[0]
    except (NotDicomError, InstanceFailed, OSError):
        return None
    return None if isinstance(found, ProblemCode) else found[0]


def _scanned(source: SourceFile, shared: SharedIdentifiers | None) -> tuple[Found | ProblemCode, list[Element]]:
    """Find out about a file element by element; what is found is remembered, where there is a memory."""
    elements: list[Element] = []
    whole: list[Element] = []
    damaged = is_ordinary = False
    try:
        source.scan(FRAME_OF_REFERENCE_UID, elements)
        is_ordinary = _is_complete(source, _find(elements))
        if not is_ordinary:
            # What is missing may stand out of order, even behind the pixel data.
            try:
                source.scan(elements=whole)
            finally:
                elements = max(elements, whole, key=len)  # of what cannot be inflated to its end the start is known
    except InstanceFailed:
        # What was read up to here may identify it; whether it can be edited shows when the engine reads it whole.
        damaged = True
    identifiers, frame_of_reference = identify(source, elements)
    if not all(identifiers[1:]):
        return ProblemCode.DAMAGED if damaged else ProblemCode.MISSING_IDENTIFIERS, elements
    found = (identifiers, frame_of_reference, _person(source, elements), *_kind(source, elements))
    if is_ordinary and shared is not None:
        shared.learn(source, elements, found)
    return found, elements


def _instance(
    path: bytes,
    source: SourceFile,
    status: os.stat_result,
    found: Found,
    attributes: dict[str, str] | None = None,
) -> SourceInstance:
    identifiers, frame_of_reference, person, sop_class_uid, review, modality = found
    is_result = source.meta_value(0x00020012).strip(b" \0") == _OWN_IMPLEMENTATION
    size, mtime_ns = status.st_size, changed_ns(status)
    if not review and _says_burned_in(source):
        review = ReviewCode.BURNED_IN_TEXT
    return SourceInstance(
        path,
        size,
        mtime_ns,
        identifiers,
        frame_of_reference,
        attributes or {},
        is_result,
        person=person,
        sop_class_uid=sop_class_uid,
        review=review,
        modality=modality,
    )


def _kind(source: SourceFile, elements: list[Element]) -> tuple[str, str, str]:
    """Return SOPClassUID, the code of review that goes with an object of this kind, and Modality."""
    found = _texts(source, elements, KIND)
    sop_class_uid = found.get(SOP_CLASS_UID, "")
    risk = may_show_text(sop_class_uid, found.get(IMAGE_TYPE, ""))
    return sop_class_uid, ReviewCode.BURNED_IN_TEXT if risk else "", found.get(MODALITY, "")


def _says_burned_in(source: SourceFile) -> bool:
    """Whether BurnedInAnnotation is YES, as far as the bytes at hand tell; the engine, which reads all, knows it."""
    body, encoding = source.body, source.layout.encoding
    tag = _BURNED_IN_LITTLE if encoding.little else _BURNED_IN_BIG
    start = body.find(tag, 0, HEADER_BYTES)
    while start >= 0:
        if body.startswith(_YES_FOLLOWS, start + len(tag), HEADER_BYTES):
            return True
        start = body.find(tag, start + 1, HEADER_BYTES)
    return False


_BURNED_IN_LITTLE: Final = b"\x28\x00\x01\x03"
_BURNED_IN_BIG: Final = b"\x00\x28\x03\x01"
_YES_FOLLOWS: Final = (b"CS\x04\x00YES", b"CS\x03\x00YES", b"\x04\x00\x00\x00YES", b"CS\x00\x04YES")
"""VR, length and the beginning of the value, in all encodings."""


def _find(elements: list[Element]) -> dict[int, Element]:
    """Return the elements that identify, by tag: of several the first counts, wherever it stands."""
    found: dict[int, Element] = {}
    for element in elements:
        tag = element[0]
        if tag in _READ and tag not in found and element[5] is None:
            found[tag] = element
    return found


def _is_complete(source: SourceFile, found: dict[int, Element]) -> bool:
    """Whether nothing that stands further behind can change the identifiers."""
    if not found.keys() >= NEEDED:
        return False
    if SPECIFIC_CHARACTER_SET in found:
        return True
    patient_id = source.read(*found[PATIENT_ID][3:5])
    return patient_id.isascii() and patient_id.replace(b" ", b"").replace(b"\0", b"").isalnum()


def identify(source: SourceFile, elements: list[Element]) -> tuple[DicomIdentifiers, str]:
    """Decode the identifiers as Orthanc does, and FrameOfReferenceUID; "" for what is absent.

    Source: docs/orthanc.md, Orthanc identifiers.

    Raises:
        InstanceFailed: One of them is too long to be an identifier.

    """
    found = _find(elements)
    values: dict[int, bytes] = {}
    for tag, (_, _, _, value, end, _) in found.items():
        if end - value <= MAX_IDENTIFIER_BYTES:
            values[tag] = source.read(value, end)
        elif tag not in OPTIONAL:  # on which nothing depends
            message = f"{describe_tag(tag)} is longer than {MAX_IDENTIFIER_BYTES} bytes"
            raise InstanceFailed(ReasonCode.DAMAGED, message)
    # Bytes of no known meaning have no padding, neither for DCMTK.
    is_padded = PATIENT_ID not in found or found[PATIENT_ID][1] != "UN"
    charset = character_set(values.get(SPECIFIC_CHARACTER_SET, b""))
    identifiers = DicomIdentifiers(
        charset.decode_patient_id(values.get(PATIENT_ID, b""), is_padded=is_padded),
        *(_uid(values.get(tag, b"")) for tag in (STUDY_INSTANCE_UID, SERIES_INSTANCE_UID, SOP_INSTANCE_UID)),
    )
    return identifiers, _uid(values.get(FRAME_OF_REFERENCE_UID, b""))


def _uid(raw: bytes) -> str:
    return raw.split(b"\0", 1)[0].decode("latin-1").replace(" ", "")


def _person(source: SourceFile, elements: list[Element]) -> str:
    """Return whose it says it is, see ``deidflow.tasks.core.dicom.persons``."""
    found = _texts(source, elements, PERSONAL)
    return Person(*(found.get(tag, "") for tag in PERSONAL)).to_text()


def _attributes(source: SourceFile, elements: list[Element]) -> dict[str, str]:
    return {describe_tag(tag): text for tag, text in _texts(source, elements, INVENTORY_TAGS).items()}


def _texts(source: SourceFile, elements: list[Element], wanted: Collection[int]) -> dict[int, str]:
    """Return the texts of elements; of one that stands twice the first counts, wherever the character set stands."""
    found: dict[int, tuple[str, bytes]] = {}
    for tag, vr, _, value, end, sequence in elements:
        is_wanted = tag in wanted or tag == SPECIFIC_CHARACTER_SET
        if is_wanted and tag not in found and sequence is None and end - value <= _MAX_TEXT_BYTES:
            found[tag] = vr, source.read(value, end)
    _, terms = found.pop(SPECIFIC_CHARACTER_SET, ("", b""))
    charset = character_set(terms)
    return {tag: charset.decode(raw, is_person_name=vr == "PN").strip(" \0") for tag, (vr, raw) in found.items()}
