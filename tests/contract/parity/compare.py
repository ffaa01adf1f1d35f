"""Compare what both sides made of the same request: outcome, answer, and every element of every result.

What Orthanc and the engine generate differs by design, so generated identifiers are compared as mappings: over all
files of a request, equal on one side must mean equal on the other, for each kind of value. Every other difference is
reported, and ``accepted.py`` says which of them are meant to be.

Public names: ``Case``, ``Difference``, ``Comparison``, ``compare``, ``decoded``.
"""

from __future__ import annotations

import re
import warnings
from collections import Counter
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

from pydicom.charset import convert_encodings, decode_bytes

from tasks.core.edits import Edits
from tasks.core.errors import InvalidInput
from tasks.core.identity import as_stored_uid
from tasks.core.request import Operation, Request, parse_request
from tasks.core.tags import PATIENT_ID, SPECIFIC_CHARACTER_SET, Path, describe_tag
from tasks.local.rules import REFERENCED_UIDS
from tasks.local.subject import padded_uid
from tests.contract.parity.reader import Dataset, DicomFile, Element, read_file, read_items

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tests.contract.parity.sides import Deck, Outcome

ORTHANC_UID: Final = re.compile(rb"1\.2\.276\.0\.7230010\.3\.1\.([234])\.[0-9.]+\0?")
OUR_UID: Final = re.compile(rb"2\.25\.[0-9]{30,39}\0?")
ORTHANC_PATIENT_ID: Final = re.compile(rb"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}")
OUR_PATIENT_ID: Final = re.compile(rb"[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
_OTHER_FILES: Final = frozenset({"not-done", "only-ours", "unreadable"})
_META: Final = (0x00020002, 0x00020003, 0x00020010)


@dataclass
class Case:
    """One request.

    Attributes:
        operation: Which route.
        body: Without ``Resources``.
        hardening: Whether the engine hardens.
        version: Of the server.
        given: UIDs that the request keeps or gives, padded; filled by ``compare``.

    """

    operation: Operation
    body: Mapping[str, Any]
    hardening: bool = False
    version: str = "1.10.1"
    given: set[bytes] = field(default_factory=set)

    @cached_property
    def request(self) -> Request | None:
        """The request as the engine reads it, None when it refuses it."""
        try:
            return parse_request(self.operation, self.body)
        except InvalidInput:
            return None


Step = tuple[int, int]


@dataclass(slots=True)
class Difference:
    """One difference in one place.

    Attributes:
        kind: ``missing`` and ``extra`` elements (seen from the engine), ``vr``, ``value``, ``shape`` (sequence or not),
            ``items`` (their number), ``order``, ``meta``; of a whole file ``not-done``, ``only-ours``, ``unreadable``;
            of the request ``refused``, ``accepted``, ``answer``, ``mapping``.
        where: Sequences and items on the way.
        tag: The element, 0 for none.
        source: As it was, None when it was absent.
        theirs: Orthanc's.
        ours: The engine's.
        files: Source and both results, in the order source, Orthanc, engine; None above the file.
        detail: For people.

    """

    kind: str
    where: tuple[Step, ...] = ()
    tag: int = 0
    source: Element | None = None
    theirs: Element | None = None
    ours: Element | None = None
    files: tuple[DicomFile, DicomFile, DicomFile] | None = None
    detail: str = ""
    name: str = ""

    def __str__(self) -> str:
        """Name the place and what stands there."""
        path = ".".join([*(f"{describe_tag(tag)}[{index}]" for tag, index in self.where), describe_tag(self.tag)])
        shown = [f"{side}={_show(element)}" for side, element in self._sides() if element or side != "source"]
        return f"{self.kind} {path} {' '.join(shown)} {self.detail} ({self.name})"

    def _sides(self) -> Iterator[tuple[str, Element | None]]:
        if self.tag:
            yield from (("source", self.source), ("orthanc", self.theirs), ("deidflow", self.ours))


def _show(element: Element | None) -> str:
    if element is None:
        return "-"
    if element.items is not None:
        return f"{element.vr}<{len(element.items)} items>"
    return f"{element.vr}{element.value[:48]!r}({len(element.value)})"


@dataclass(slots=True)
class Comparison:
    """What came out for one request.

    Attributes:
        pairs: Files compared; a file that both refuse counts.
        differences: All of them, accepted or not.

    """

    pairs: int = 0
    differences: list[Difference] = field(default_factory=list)


class _Mapping:
    """Generated values of both sides, by kind; one to one or not."""

    def __init__(self) -> None:
        self._forward: dict[tuple[str, bytes], bytes] = {}
        self._backward: dict[tuple[str, bytes], bytes] = {}

    def take(self, kind: str, theirs: bytes, ours: bytes) -> bool:
        """Note a pair; False when one of the two goes with another value already."""
        theirs, ours = theirs.rstrip(b"\0 "), ours.rstrip(b"\0 ")
        known = self._forward.setdefault((kind, theirs), ours)
        return known == ours and self._backward.setdefault((kind, ours), theirs) == theirs


class _Walk:
    """Comparison of all files of one request."""

    def __init__(self, result: Comparison) -> None:
        self.result = result
        self.mapping = _Mapping()
        self.files: tuple[DicomFile, DicomFile, DicomFile] | None = None
        self.name = ""

    def report(self, kind: str, where: tuple[Step, ...] = (), tag: int = 0, detail: str = "", **sides: Any) -> None:
        self.result.differences.append(
            Difference(kind, where, tag, files=self.files, detail=detail, name=self.name, **sides)
        )

    def file(self, name: str, source: bytes, theirs: bytes, ours: bytes) -> None:
        self.name = name
        try:
            self.files = read_file(source), read_file(theirs), read_file(ours)
        except ValueError as error:
            self.files = None
            self.report("unreadable", detail=str(error))
            return
        before, orthanc, engine = self.files
        for tag in _META:
            self.element((), tag, before.meta.get(tag), orthanc.meta.get(tag), engine.meta.get(tag), "meta")
        if (orthanc.implicit, orthanc.little) != (engine.implicit, engine.little):
            self.report("encoding")
            return
        self.dataset((), before.dataset, orthanc.dataset, engine.dataset)
        self.files = None

    def dataset(self, where: tuple[Step, ...], source: Dataset, theirs: Dataset, ours: Dataset) -> None:
        for tag in theirs.keys() | ours.keys():
            self.element(where, tag, source.get(tag), theirs.get(tag), ours.get(tag))
        if [tag for tag in theirs if tag in ours] != [tag for tag in ours if tag in theirs]:
            self.report("order", where)

    def element(
        self,
        where: tuple[Step, ...],
        tag: int,
        source: Element | None,
        theirs: Element | None,
        ours: Element | None,
        kind: str = "",
    ) -> None:
        if theirs is None or ours is None:
            if theirs is not ours:
                self.report(
                    kind or ("missing" if ours is None else "extra"),
                    where,
                    tag,
                    source=source,
                    theirs=theirs,
                    ours=ours,
                )
            return
        if theirs.vr != ours.vr:
            self.report(kind or "vr", where, tag, source=source, theirs=theirs, ours=ours)
        if theirs.items is not None or ours.items is not None:
            self.sequence(where, tag, source, theirs, ours)
        elif theirs.value != ours.value and not self.generated(where, tag, source, theirs, ours):
            self.report(kind or "value", where, tag, source=source, theirs=theirs, ours=ours)

    def sequence(
        self, where: tuple[Step, ...], tag: int, source: Element | None, theirs: Element, ours: Element
    ) -> None:
        items = [self.items(element) for element in (source, theirs, ours)]
        before, orthanc, engine = items
        if orthanc is None or engine is None:
            self.report("shape", where, tag, source=source, theirs=theirs, ours=ours)
            return
        if len(orthanc) != len(engine):
            self.report("items", where, tag, source=source, theirs=theirs, ours=ours)
        for index, (one, other) in enumerate(zip(orthanc, engine, strict=False)):
            old = before[index] if before and index < len(before) else {}
            self.dataset((*where, (tag, index)), old, one, other)

    def items(self, element: Element | None) -> list[Dataset] | None:
        if element is None or element.items is not None:
            return element.items if element else None
        assert self.files is not None
        return read_items(
            element.value, implicit=element.vr in ("UN", ""), little=self.files[1].little or element.vr == "UN"
        )

    def generated(
        self, where: tuple[Step, ...], tag: int, source: Element | None, theirs: Element, ours: Element
    ) -> bool:
        """Whether both values are generated ones; notes the pair, and reports it when it breaks the mapping."""
        if source is not None and theirs.value == source.value:
            return False
        uid = ORTHANC_UID.fullmatch(theirs.value)
        if uid and OUR_UID.fullmatch(ours.value):
            kind = uid[1].decode()
        elif ORTHANC_PATIENT_ID.fullmatch(theirs.value) and OUR_PATIENT_ID.fullmatch(ours.value):
            kind = "patient"
        else:
            return False
        if not self.mapping.take(kind, theirs.value, ours.value):
            self.report("mapping", where, tag, source=source, theirs=theirs, ours=ours)
        return True


def compare(case: Case, deck: Deck, sent: list[str], theirs: Outcome, ours: Outcome) -> Comparison:
    """Compare the outcomes of one request.

    Args:
        case: The request.
        deck: The files.
        sent: The instances it is for.
        theirs: What Orthanc did.
        ours: What the engine did.

    """
    result = Comparison()
    walk = _Walk(result)
    case.given = _given(case, deck, sent)
    if theirs.refused or ours.refused:
        result.pairs = len(sent)
        if not (ours.refused or ours.files):
            pass  # refused file by file
        elif theirs.refused.startswith("404/17 Study not found"):
            pass  # a race inside of Orthanc 1.12.7 when files of several studies are reconstructed; not an answer
        elif theirs.refused and not ours.refused:
            walk.report("accepted", detail=theirs.refused)
        elif ours.refused and not theirs.refused and theirs.files:
            walk.report("refused", detail=ours.refused)
        return result
    for name in sent:
        result.pairs += 1
        walk.name = f"{deck.names[name]} {name}"
        if name in theirs.files and name in ours.files:
            walk.file(walk.name, deck.files[name], theirs.files[name], ours.files[name])
        elif name in theirs.files:
            walk.report("not-done", detail=ours.reasons.get(name, ""))
        elif name in ours.files:
            walk.report("only-ours")
    walk.name = ""
    _compare_resources(walk, theirs, ours)
    for member in ("Description", "InstancesCount", "IsAnonymization"):
        if theirs.answer.get(member) != ours.answer.get(member):
            walk.report("answer", detail=f"{member}: {theirs.answer.get(member)}, {ours.answer.get(member)}")
    return result


def _compare_resources(walk: _Walk, theirs: Outcome, ours: Outcome) -> None:
    """Compare how many resources of each level came out, where both made the same files and patients."""
    counts = [Counter(kind for kind, _ in outcome.resources) for outcome in (theirs, ours)]
    try:
        made = Counter(kind for kind, _ in _resources(ours))
    except ValueError:
        return  # reported before
    if counts[1] != made:
        walk.report("answer", detail=f"Resources: {dict(counts[1])}, files: {dict(made)}")
    other = any(found.tag == PATIENT_ID or found.kind in _OTHER_FILES for found in walk.result.differences)
    if counts[0] != counts[1] and not other:
        walk.report("answer", detail=f"Resources: {dict(counts[0])}, {dict(counts[1])}")


def _given(case: Case, deck: Deck, sent: list[str]) -> set[bytes]:
    """Return the UIDs that the request gives, and the originals of those that it keeps."""
    given: set[bytes] = set()
    edits = case.request.edits if case.request else Edits()
    for tag in REFERENCED_UIDS:
        path = Path((), tag)
        value = edits.replace.get(path)
        if isinstance(value, str):
            given.add(padded_uid(as_stored_uid(value)))
        elif path in edits.keep:
            elements = (read_file(deck.files[name]).dataset.get(tag) for name in sent)
            given |= {padded_uid(as_stored_uid(element.value.decode("latin-1"))) for element in elements if element}
    return given


def decoded(element: Element | None, charset: Element | None) -> str:
    """Return text as pydicom reads it, without its padding."""
    if element is None:
        return ""
    declared = charset.value.decode("ascii", "replace").strip(" \0") if charset else ""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        text = decode_bytes(element.value, convert_encodings(declared.split("\\")), set())
    return text.rstrip("\0" if element.vr == "UN" else "\0 ")


def _resources(outcome: Outcome) -> set[tuple[str, tuple[str, ...]]]:
    """Return all resources that the results of one side make up."""
    resources = set()
    for data in outcome.files.values():
        dataset = read_file(data).dataset
        tags = (0x00100020, 0x0020000D, 0x0020000E, 0x00080018)
        ids = tuple(decoded(dataset.get(tag), dataset.get(SPECIFIC_CHARACTER_SET)) for tag in tags)
        for depth, kind in enumerate(("Patient", "Study", "Series", "Instance"), 1):
            resources.add((kind, ids[:depth]))
    return resources
