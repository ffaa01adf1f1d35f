"""Compare what both sides made of the same request: outcome, answer, and every element of every result.

What Orthanc and the engine generate differs by design, so generated identifiers are compared as mappings: over all
files of a request, equal on one side must mean equal on the other, for each kind of value. Every other difference is
reported, and ``accepted.py`` says which of them are meant to be.

Public names: ``Comparison``, ``compare``.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

from deidflow.tasks.core.dicom.tags import PATIENT_ID, PIXEL_DATA, SPECIFIC_CHARACTER_SET, Path
from deidflow.tasks.core.pseudonyms.new_identifiers import as_stored_uid
from deidflow.tasks.core.request.edits import Edits
from deidflow.tasks.local.deidentification.orthanc_profiles import REFERENCED_UIDS
from deidflow.tasks.local.editing.references import padded_uid
from tests.contract.parity.differences import (
    ORTHANC_PATIENT_ID,
    ORTHANC_UID,
    OUR_PATIENT_ID,
    OUR_UID,
    Case,
    Difference,
    Step,
    decoded,
)
from tests.contract.parity.facts import is_anonymize, text_of
from tests.contract.parity.pixels import LOSSY_JPEG, TOLERANCE, is_same_image
from tests.contract.parity.reader import Dataset, DicomFile, Element, read_file, read_items

if TYPE_CHECKING:
    from tests.contract.parity.sides import Deck, Outcome

_OTHER_FILES: Final = frozenset({"not-done", "only-ours", "unreadable"})
_TRANSFER_SYNTAX_UID: Final = 0x00020010
_META: Final = (0x00020002, 0x00020003, 0x00020010)


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

    def __init__(self, result: Comparison, *, transcodes: bool) -> None:
        self.result = result
        self.transcodes = transcodes
        self.raw = (b"", b"", b"")
        self.one_is_implicit = False
        self.mapping = _Mapping()
        self.files: tuple[DicomFile, DicomFile, DicomFile] | None = None
        self.name = ""

    def report(self, kind: str, where: tuple[Step, ...] = (), tag: int = 0, detail: str = "", **sides: Any) -> None:
        self.result.differences.append(
            Difference(kind, where, tag, files=self.files, detail=detail, name=self.name, raw=self.raw, **sides)
        )

    def file(self, name: str, source: bytes, theirs: bytes, ours: bytes) -> None:
        self.name, self.raw = name, (source, theirs, ours)
        try:
            self.files = read_file(source), read_file(theirs), read_file(ours)
        except ValueError as error:
            self.files = None
            self.report("unreadable", detail=str(error))
            return
        before, orthanc, engine = self.files
        self.one_is_implicit = False
        for tag in _META:
            self.element((), tag, before.meta.get(tag), orthanc.meta.get(tag), engine.meta.get(tag), "meta")
        if orthanc.meta_text(_TRANSFER_SYNTAX_UID) == engine.meta_text(_TRANSFER_SYNTAX_UID):
            if (orthanc.implicit, orthanc.little) != (engine.implicit, engine.little):
                self.report("encoding")
                return
        else:
            self.one_is_implicit = orthanc.implicit is not engine.implicit
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
        if theirs.vr != ours.vr and not (self.one_is_implicit and "" in (theirs.vr, ours.vr)):
            self.report(kind or "vr", where, tag, source=source, theirs=theirs, ours=ours)
        if (
            source is not None
            and source.vr == "UN"
            and source.items is None
            and "" in (theirs.vr, ours.vr)
            and theirs != ours
        ):
            self.unknown(where, tag, source, theirs, ours)
        elif (
            theirs.items is not None
            or ours.items is not None
            or (
                source is not None
                and source.items is not None
                and "" in (theirs.vr, ours.vr)
                and theirs.value != ours.value
            )
        ):
            self.sequence(where, tag, source, theirs, ours)
        elif tag == PIXEL_DATA and not where and self.transcodes and theirs.value != ours.value:
            self.pixels(source, theirs, ours)
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

    def unknown(self, where: tuple[Step, ...], tag: int, source: Element, theirs: Element, ours: Element) -> None:
        """Compare what was sent as UN and then converted to implicit VR, in which it is no longer seen to be one."""
        same = (theirs.value, theirs.items) == (ours.value, ours.items)
        if not (same or self.generated(where, tag, source, theirs, ours)):
            self.report("value", where, tag, source=source, theirs=theirs, ours=ours)

    def pixels(self, source: Element | None, theirs: Element, ours: Element) -> None:
        """Compare decoded pixels: exactly, but for what two decoders make of lossy JPEG."""
        assert self.files is not None
        lossy = self.files[0].meta_text(_TRANSFER_SYNTAX_UID) in LOSSY_JPEG
        if not is_same_image(*self.raw[1:], tolerance=TOLERANCE if lossy else 0):
            self.report("pixels", (), PIXEL_DATA, source=source, theirs=theirs, ours=ours)

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
    walk = _Walk(result, transcodes=bool(case.body.get("Transcode")))
    case.given = _given(case, deck, sent)
    case.originals = _originals(deck, sent) if is_anonymize(case) else set()
    if theirs.refused or ours.refused:
        result.pairs = len(sent)
        if not (ours.refused or ours.files):
            pass  # refused file by file
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
            walk.raw = (deck.files[name], theirs.files[name], b"")
            walk.report("not-done", detail=ours.reasons.get(name, ""))
        elif name in ours.files:
            walk.raw = (deck.files[name], b"", ours.files[name])
            walk.report("only-ours")
    walk.name, walk.raw = "", (b"", b"", b"")
    _compare_resources(walk, deck, theirs, ours)
    for member in ("Description", "InstancesCount", "IsAnonymization"):
        if theirs.answer.get(member) != ours.answer.get(member):
            walk.report("answer", detail=f"{member}: {theirs.answer.get(member)}, {ours.answer.get(member)}")
    return result


def _compare_resources(walk: _Walk, deck: Deck, theirs: Outcome, ours: Outcome) -> None:
    """Compare how many resources of each level came out, where both made the same files and patients."""
    counts = [Counter(kind for kind, _ in outcome.resources) for outcome in (theirs, ours)]
    try:
        made = Counter(kind for kind, _ in _resources(deck, ours))
    except ValueError:
        return  # reported before
    if counts[1] != made:
        walk.report("answer", detail=f"Resources: {dict(counts[1])}, files: {dict(made)}")
    other = any(found.tag == PATIENT_ID or found.kind in _OTHER_FILES for found in walk.result.differences)
    if counts[0] != counts[1] and not other:
        walk.report("answer", detail=f"Resources: {dict(counts[0])}, {dict(counts[1])}")


def _originals(deck: Deck, sent: list[str]) -> set[bytes]:
    """Return the UIDs of everything that is sent."""
    datasets = [read_file(deck.files[name]).dataset for name in sent]
    found = (dataset.get(tag) for dataset in datasets for tag in REFERENCED_UIDS)
    return {text_of(element).encode("latin-1") for element in found if element is not None}


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


def _resources(deck: Deck, outcome: Outcome) -> set[tuple[str, tuple[str, ...]]]:
    """Return all resources that the results of one side make up."""
    resources = set()
    for name, data in outcome.files.items():
        dataset = read_file(data).dataset
        patient, before = dataset.get(PATIENT_ID), read_file(deck.files[name]).dataset.get(PATIENT_ID)
        if patient and before and patient.vr == "" and before.vr == "UN":
            # Identifiers are made before the conversion to implicit VR, in which a UN is no longer seen
            # (docs/orthanc.md, Orthanc identifiers).
            dataset[PATIENT_ID] = replace(patient, vr="UN")
        tags = (PATIENT_ID, 0x0020000D, 0x0020000E, 0x00080018)
        ids = tuple(decoded(dataset.get(tag), dataset.get(SPECIFIC_CHARACTER_SET)) for tag in tags)
        for depth, kind in enumerate(("Patient", "Study", "Series", "Instance"), 1):
            resources.add((kind, ids[:depth]))
    return resources
