"""What must hold for one damaged DICOM file: read by the index, scanned, edited; refused by name, or a sound result.

The witnesses of a result: it scans to its end and names the new identifiers, pydicom reads it wherever it reads the
source, memory of a series and small windows change nothing, an edit that asks for nothing gives the source's bytes
wherever they are regular (decision 0010) and its meta information is whole and true, and no marker of a patient is
left where the profile promises to treat it.

Public names: ``Fault``, ``check_dicom``, ``timer``.
"""

from __future__ import annotations

import copy
import csv
import os
import time
from contextlib import contextmanager
from functools import lru_cache
from importlib.resources import files
from typing import TYPE_CHECKING, Final, NamedTuple
from unittest import mock

from deidflow.tasks.core.engine.protocol import PlannedInstance
from deidflow.tasks.core.engine.sources import SourceInstance
from deidflow.tasks.core.errors import InstanceFailed
from deidflow.tasks.core.pseudonyms.new_identifiers import new_identifiers
from deidflow.tasks.core.pseudonyms.pseudonyms import Pseudonyms
from deidflow.tasks.core.request.request import Operation
from deidflow.tasks.local.deidentification.compile import compile_request
from deidflow.tasks.local.dicom_file.encoding import encoding_of, is_uncompressed
from deidflow.tasks.local.dicom_file.findings import Irregularity
from deidflow.tasks.local.dicom_file.source_file import SourceFile
from deidflow.tasks.local.editing.items.shared_items import SharedItems
from deidflow.tasks.local.editing.references import References
from deidflow.tasks.local.editing.series.shared_header import SharedHeaders
from deidflow.tasks.local.folder.index import identify, read_index_entries
from deidflow.tasks.local.worker import Compiled, edit_source
from tests.fuzz.seeds import MARKERS
from tests.local.edits import KEY, SCOPE, Edit, anonymize, modify, read

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from deidflow.tasks.core.dicom.identifiers import DicomIdentifiers
    from deidflow.tasks.core.pseudonyms.pseudonyms import Pseudonyms as _Pseudonyms
    from deidflow.tasks.local.dicom_file.elements import Element
    from tests.fuzz.seeds import Seed


class Fault(AssertionError):
    """Something that must hold does not."""


_MAX_WITNESS_BYTES: Final = 1 << 23
"""pydicom copies its datasets more often; what it needs is not what is measured."""

NOTHING: Final = 5
"""Number of the request that asks for nothing at all."""

EDITS: Final[tuple[Edit, ...]] = (
    anonymize({}),
    anonymize({"DicomVersion": "2008", "KeepPrivateTags": True, "Keep": ["ReferencedImageSequence"]}, hardening=False),
    modify(
        {
            "Replace": {
                "PatientName": "New^Name",
                "ReferencedImageSequence[*].ReferencedSOPInstanceUID": "1.2.3",
                "ContentSequence[0].PatientID": "Z",
                "ContentSequence[*].ContentSequence[*].TextValue": "text",
            },
            "Remove": ["StudyDate", "ReferencedImageSequence[1].PatientName"],
        }
    ),
    modify({"Replace": {"SpecificCharacterSet": "ISO_IR 192", "InstitutionName": "Zürich"}, "RemovePrivateTags": True}),
    anonymize(
        {
            "DicomVersion": "2021b",
            "Keep": ["SeriesDescription", "(0008,1140)"],
            "Replace": {
                "PatientID": "S-1",
                "ReferencedStudySequence": [{"PatientID": "ZZ", "ReferencedSOPInstanceUID": "1.2.3.1"}],
                "SOPClassUID": "1.2.9",
            },
        }
    ),
    modify({"Keep": ["SOPInstanceUID"], "Force": True}),
)
_WEIGHTS: Final = (0, 0, 0, 0, 1, 2, 2, 3, 4, NOTHING)


class _Prepared(NamedTuple):
    """A request with what all files share."""

    edit: Edit
    pseudonyms: _Pseudonyms
    compiled: Compiled


class _Result(NamedTuple):
    """What became of a file: a result, or the code of its refusal."""

    data: bytes | None
    code: str


class Stopwatch:
    """CPU seconds of the code under test; what the witnesses take does not count."""

    def __init__(self) -> None:
        """Begin at zero."""
        self.seconds = 0.0

    @contextmanager
    def running(self) -> Iterator[None]:
        """Count what happens inside."""
        start = time.process_time()
        try:
            yield
        finally:
            self.seconds += time.process_time() - start


timer: Final = Stopwatch()


@lru_cache(maxsize=len(EDITS))
def _prepared(number: int) -> _Prepared:
    edit = EDITS[number]
    is_modify = edit.request.operation is Operation.MODIFY
    pseudonyms = Pseudonyms(KEY, SCOPE, edit.request.content_hash() if is_modify else None)
    tables = compile_request(edit.request, hardening=edit.hardening)
    return _Prepared(
        edit, pseudonyms, Compiled(edit.request, tables, References(pseudonyms), SharedHeaders(), SharedItems())
    )


def check_dicom(data: bytes, seed: Seed, draw: int, folder: Path) -> str:
    """Run one input through the engine.

    Args:
        data: The damaged file.
        seed: What it was made of.
        draw: A random number that chooses the request and the extra checks.
        folder: Where to write it.

    Returns:
        ``done``, or ``refused: `` and where or why.

    Raises:
        Fault: Something does not hold.

    """
    number = _WEIGHTS[draw % len(_WEIGHTS)]
    prepared = _prepared(number)
    path = folder / "file"
    path.write_bytes(data)
    with timer.running():
        (entry,) = read_index_entries(os.fsencode(folder), [b"file"], with_attributes=True)
    if not isinstance(entry, SourceInstance):
        with timer.running():
            _scan_anyway(data)
        return f"refused: index {entry.code}"
    with timer.running():
        entry.identifiers.orthanc_ids()
        new = new_identifiers(entry.identifiers, prepared.edit.request, prepared.pseudonyms)
        instance = PlannedInstance(1, b"file", len(data), entry.mtime_ns, entry.identifiers, new)
        fresh = prepared.compiled._replace(headers=SharedHeaders(), items=None)
        plain = _edit(path, instance, fresh)
    remembers = draw % 3 > 0
    other = _with_memory(path, seed, number, instance) if remembers else _with_small_windows(path, instance, fresh)
    if plain != other:
        raise Fault(f"{'memory' if remembers else 'small windows'} changed the result: {plain.code} and {other.code}")
    if plain.data is None:
        return f"refused: {plain.code}"
    _check_result(data, plain.data, number, instance, witness=draw % 7 < 5)
    return "done"


def _scan_anyway(data: bytes) -> None:
    try:
        with SourceFile.of_bytes(data) as source:
            source.scan()
    except InstanceFailed:
        pass


def _edit(path: Path, instance: PlannedInstance, compiled: Compiled) -> _Result:
    try:
        with SourceFile.open(path) as source:
            return _Result(edit_source(source, instance, compiled).to_bytes(), "done")
    except InstanceFailed as problem:
        return _Result(None, str(problem.code))


def _with_small_windows(path: Path, instance: PlannedInstance, compiled: Compiled) -> _Result:
    with (
        mock.patch("deidflow.tasks.local.dicom_file.source_file.WHOLE_BYTES", 0),
        mock.patch("deidflow.tasks.local.dicom_file.source_file.WINDOW_BYTES", 700),
        timer.running(),
    ):
        return _edit(path, instance, compiled._replace(headers=SharedHeaders(), items=SharedItems()))


def _with_memory(path: Path, seed: Seed, number: int, instance: PlannedInstance) -> _Result:
    prepared = _prepared(number)
    remembered = _remembered(seed, number)
    headers = SharedHeaders()
    for series, shapes in remembered._series.items():
        headers._series[series] = {tags: copy.copy(shape) for tags, shape in shapes.items()}
        for shape in headers._series[series].values():
            shape.gaps = set(shape.gaps)
    headers._gaps = {tags: set(gaps) for tags, gaps in remembered._gaps.items()}
    with timer.running():
        return _edit(path, instance, prepared.compiled._replace(headers=headers))


@lru_cache(maxsize=256)
def _remembered(seed: Seed, number: int) -> SharedHeaders:
    """Return the memory of a worker that has met three instances of the seed's series."""
    prepared = _prepared(number)
    for data in (seed.data, seed.sibling, seed.data):
        with SourceFile.of_bytes(data) as source:
            original, _ = identify(source, source.scan())
        new = new_identifiers(original, prepared.edit.request, prepared.pseudonyms)
        instance = PlannedInstance(1, b"", len(data), 0, original, new)
        try:
            with SourceFile.of_bytes(data) as source:
                edit_source(source, instance, prepared.compiled)
        except InstanceFailed:
            break
    headers = copy.copy(prepared.compiled.headers)
    headers._series, headers._gaps = dict(headers._series), dict(headers._gaps)
    prepared.compiled.headers._series, prepared.compiled.headers._gaps = {}, {}
    return headers


def _check_result(data: bytes, result: bytes, number: int, instance: PlannedInstance, *, witness: bool) -> None:
    """Check a result with all witnesses.

    Raises:
        Fault: One of them speaks against it.

    """
    if number == NOTHING and result != data:
        _check_nothing_changed(data, result, instance)
    try:
        with SourceFile.of_bytes(result) as source:
            found = source.scan()
            identifiers, _ = identify(source, found)
            body = source.body
    except InstanceFailed as problem:
        raise Fault(f"the result cannot be read: {problem}") from None
    if identifiers != instance.new:
        raise Fault("the result has other identifiers than planned")
    if number == 0:
        _check_markers(body, found)
    if witness and len(body) < _MAX_WITNESS_BYTES:
        _check_with_pydicom(data, result, instance.original, hardened=number == 0)


def _check_nothing_changed(data: bytes, result: bytes, instance: PlannedInstance) -> None:
    """Check what an edit that asks for nothing may change: meta information that is not true, irregular elements.

    Raises:
        Fault: It changed anything else, or would change its own result again.

    """
    with SourceFile.of_bytes(data) as source, SourceFile.of_bytes(result) as edited:
        old, new = source.scan(), edited.scan()
        irregular = _irregular(source)
        if _irregular(edited):
            raise Fault("the result is irregular")
        end = old[-1][4] if old else source.dataset_start
        padding = source.read(end, source.body_size)  # which may go
        if not irregular and (
            source.read(source.dataset_start, end) != edited.read(edited.dataset_start, edited.body_size)
        ):
            raise Fault("an edit that asks for nothing changed a regular dataset")
        written = iter([edited.read(element[2], element[4]) for element in new])
        for _, _, start, _, end, _ in old:
            # All of them in their order: each search goes on behind the last one.
            if not any(start <= offset < end for offset in irregular) and source.read(start, end) not in written:
                raise Fault("an edit that asks for nothing changed a regular element")
        if not _is_true_meta(edited, new):
            raise Fault("the meta information of the result is not whole or not true")
        if not (irregular or padding or source.layout.deflated) and _is_true_meta(source, old):
            raise Fault("an edit that asks for nothing changed a regular file")
    with SourceFile.of_bytes(result) as edited:
        if edit_source(edited, instance, _prepared(NOTHING).compiled).to_bytes() != result:
            raise Fault("an edit that asks for nothing changed its own result")


def _irregular(source: SourceFile) -> list[int]:
    """Return the offsets of what is written anew by an edit that keeps what nobody can read."""
    return [start for start, kind in source.findings.irregular.items() if kind is not Irregularity.OPAQUE]


_META_VRS: Final = {0x00020000: "UL", 0x00020001: "OB"} | dict.fromkeys(
    (0x00020002, 0x00020003, 0x00020010, 0x00020012), "UI"
)
"""Of what each file has (PS3.10 7.1); one without SOPClassUID has no 0002,0002."""


def _is_true_meta(source: SourceFile, elements: list[Element]) -> bool:
    """Whether a file has a preamble and meta information with all that PS3.10 requires, once each, and all of it true.

    An implementation class and a version of the source's are as true as any (PS3.10 7.1, edition 2026c).
    """
    layout, head = source.layout, source.head
    meta = {tag: head[value:end] for tag, _, _, value, end, _ in layout.meta}
    vrs = {tag: vr for tag, vr, *_ in layout.meta}
    ends = [element[4] for element in layout.meta]
    gapless = [element[2] for element in layout.meta] == [layout.meta_start, *ends[:-1]]
    own: dict[int, bytes] = {}
    for tag, _, _, value, end, _ in elements:
        own.setdefault(tag, source.read(value, end))
    syntax = meta.get(0x00020010, b"").strip(b" \0").decode("ascii", "replace")
    return (
        layout.meta_start > 0
        and gapless
        and list(meta) == sorted(meta)
        and ends[-1:] == [layout.dataset_start]
        and {0x00020002: "UI", **vrs}.items() >= _META_VRS.items()
        and int.from_bytes(meta[0x00020000], "little") == layout.dataset_start - layout.meta[0][4]
        and _uid_of(meta[0x00020003]) == _uid_of(own.get(0x00080018, b""))
        and _uid_of(own.get(0x00080016, b"")) in ("", _uid_of(meta.get(0x00020002, b"")))
        and not syntax.strip("0123456789.")
        and (not is_uncompressed(syntax) or encoding_of(syntax) is layout.encoding)
    )


def _uid_of(raw: bytes) -> str:
    return raw.split(b"\0", 1)[0].decode("latin-1").replace(" ", "")


@lru_cache(maxsize=1)
def _treated() -> frozenset[int]:
    """Return the tags that profile 2023b promises to treat, from its table."""
    table = files("deidflow.tasks.local.deidentification").joinpath("profiles", "orthanc-2023b.csv").read_text("utf-8")
    rows = [row for row in csv.DictReader(table.splitlines()) if "x" not in row["tag"]]
    listed = {int(row["tag"].replace(",", ""), 16) for row in rows if row["action"] in ("X", "Z")}
    return frozenset(listed | {0x00100010, 0x00100020, 0x00100030})


def _check_markers(body: bytes, found: list[Element]) -> None:
    """Check that each marker in an anonymized dataset stands inside the value of one element that the profile keeps.

    A mutation may move a patient's name under a tag that is kept, and kept it is. What it cannot be is in PatientName,
    PatientID or PatientBirthDate at any depth, in a private element, in one that the profile removes or empties, in a
    curve or overlay, or between elements.
    """
    if not any(marker in body for marker in MARKERS):
        return
    leaves = list(_leaves(found, 0))
    for marker in MARKERS:
        at = body.find(marker)
        while at >= 0:
            tag, depth = next(((tag, depth) for tag, low, high, depth in leaves if low <= at < high), (-1, 0))
            curve = tag >> 24 in (0x50, 0x60) and depth == 0
            if tag in _treated() or tag < 0 or tag & 0x10000 or curve:
                raise Fault(f"{marker.decode()} is left in {tag:08x} at depth {depth}")
            at = body.find(marker, at + 1)


def _leaves(found: Sequence[Element], depth: int) -> Iterator[tuple[int, int, int, int]]:
    for tag, _, _, value, end, sequence in found:
        if sequence is None:
            yield tag, value, end, depth
        else:
            for item in sequence[1]:
                yield from _leaves(item[4], depth + 1)


def _check_with_pydicom(data: bytes, result: bytes, original: DicomIdentifiers, *, hardened: bool) -> None:
    try:
        dataset = read(result)
    except Exception as error:  # noqa: BLE001 (whatever pydicom says)
        try:
            uid = read(data).get("SOPInstanceUID")
        except Exception:  # noqa: BLE001
            return
        if str(uid or "").replace(" ", "") != original.sop_instance_uid:
            return  # it took the file for something else, such as one in another byte order
        raise Fault(f"pydicom reads the source and not the result: {type(error).__name__}") from None
    if not hardened:
        return
    for element in dataset.iterall():
        if element.tag in (0x00100010, 0x00100020, 0x00100030):
            raw = str(element.value).encode("utf-8", "replace")
            if any(marker in raw for marker in MARKERS):
                raise Fault(f"pydicom finds a marker in {element.tag}")
