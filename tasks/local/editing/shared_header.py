"""What the instances of a series have in common, and what editing made of it.

Most of the header of an instance (patient, study, series, equipment, protocol) is the same in its whole series, byte
for byte. Equal bytes scan and edit to equal bytes, as long as the request and the identifiers above the instance are
the same. So two instances are scanned and edited in full; the runs of elements in which they agree are remembered with
what became of them, and the next instances are compared with these runs: a comparison of memory instead of a scan. What
lies between the runs is read and edited element by element as ever. Where anything differs from what is remembered the
instance is scanned and edited in full, and what differed is no longer taken for common.

Nothing is guessed: a result is the same as without this module (tests/local/editing/test_shared_header.py).

Public names: ``SharedHeaders``.
"""

from __future__ import annotations

from struct import error as StructError  # noqa: N812 (an exception class with a lower-case name)
from typing import TYPE_CHECKING, Final, NamedTuple

from deidflow.tasks.core.dicom.tags import (
    BURNED_IN_ANNOTATION,
    SERIES_INSTANCE_UID,
    SOP_CLASS_UID,
    SOP_INSTANCE_UID,
    SPECIFIC_CHARACTER_SET,
)
from deidflow.tasks.core.errors import InstanceFailed
from deidflow.tasks.local.dicom_file.elements import changed_tags
from deidflow.tasks.local.dicom_file.encoding import SHORT_VRS
from deidflow.tasks.local.dicom_file.findings import Findings
from deidflow.tasks.local.dicom_file.scanner import Scanner
from deidflow.tasks.local.editing.splice import says_burned_in
from deidflow.tasks.local.editing.table import LATE_TAGS

if TYPE_CHECKING:
    from deidflow.tasks.core.request.edits import Value
    from deidflow.tasks.local.dicom_file.elements import Element
    from deidflow.tasks.local.dicom_file.encoding import Encoding
    from deidflow.tasks.local.dicom_file.source_file import SourceFile
    from deidflow.tasks.local.editing.instance import Context, Editor
    from deidflow.tasks.local.editing.references import InstanceIdentifiers
    from deidflow.tasks.local.editing.spans import Span
    from deidflow.tasks.local.editing.table import Table

MAX_HEADER_BYTES: Final = 1 << 16
"""Elements behind this many bytes are never remembered: pixel data, above all."""

MAX_ELEMENT_BYTES: Final = 1 << 14
"""Nor is a long element, nor what stands behind it."""

_FIRST_OVERLAY: Final = 0x60000000
_OVERLAY_BITS: Final = frozenset({0x60000100, 0x60000102})
"""Overlays that may lie in the pixels; what becomes of these is not for this module."""

MAX_SERIES: Final = 16
"""Series whose headers are remembered at a time; a worker meets them one after the other."""

MAX_SHAPES: Final = 4
"""Different lists of elements within one series, such as a localizer among slices."""

_IN_A_RUN: Final = LATE_TAGS | {BURNED_IN_ANNOTATION, SPECIFIC_CHARACTER_SET}
"""What an instance is identified and decoded by, and what late values depend on; a series in which they differ is not
one."""


# What is done with a step of a remembered header; plain numbers, since the hot loop compares them.
_RUN: Final = 0
"""Elements that are the same in all instances."""
_KEEP: Final = 1
"""One element of a VR with a short length, which stays."""
_REMOVE: Final = 2
"""One element of a VR with a short length, which goes."""
_NEW: Final = 3
"""New elements, the same in all results."""
_OTHER: Final = 4
"""One element, scanned and edited as ever."""


class _Differs(Exception):
    """The instance is not like those that are remembered."""


class _Step(NamedTuple):
    """One step; which fields count depends on the kind.

    Attributes:
        kind: ``_RUN`` to ``_OTHER``.
        tag: Of a single element.
        raw: A run's bytes, or tag and VR as they stand in the file.
        output: What a run becomes, None for itself; new elements.

    """

    kind: int
    tag: int = 0
    raw: bytes = b""
    output: bytes | None = None


class Shared(NamedTuple):
    """What remembering gives for one instance.

    Attributes:
        table: By which it was edited.
        spans: Of the edited dataset.
        sop_class: Value of SOPClassUID as it stands in the dataset, None where it has none.
        burned_in: Whether BurnedInAnnotation is YES.

    """

    table: Table
    spans: list[Span]
    sop_class: bytes | None
    burned_in: bool


class _Template(NamedTuple):
    """A shape, ready to be compared with.

    Attributes:
        steps: In the order of the file.
        last_tag: Of the last element that the steps cover.
        context: What editing knows about the whole dataset.
        tail_values: New elements behind the steps.
        sop_class: See ``Shared``.
        burned_in: Likewise, as far as the steps go.

    """

    steps: list[_Step]
    last_tag: int
    context: Context
    tail_values: dict[int, Value]
    sop_class: bytes | None
    burned_in: bool


class _Shape:
    """Instances of one series with the same list of elements."""

    __slots__ = ("body", "elements", "gaps", "met", "template")

    def __init__(self, elements: list[Element], body: bytes) -> None:
        """Take the first instance."""
        self.elements = elements
        self.body = body
        self.gaps: set[int] = set()
        self.met = 1
        self.template: _Template | None = None

    def learn(self, elements: list[Element], body: bytes) -> bool:
        """Compare with another instance; return whether it is time to make a template."""
        self.gaps |= changed_tags(self.elements, self.body, elements, body)
        self.met += 1
        # Each new template costs as much as an instance: make them ever more seldom where instances go on to differ.
        return self.met & (self.met - 1) == 0


class SharedHeaders:
    """The memory of one worker for one request."""

    def __init__(self) -> None:
        """Begin without any."""
        self._series: dict[object, dict[tuple[int, ...], _Shape]] = {}

    def edit(self, source: SourceFile, editor: Editor, identifiers: InstanceIdentifiers) -> Shared | None:
        """Edit an instance by what is remembered of its series; None when that does not fit it, or it is damaged."""
        shapes = self._series.get(_series_of(source, editor, identifiers))
        if shapes is None or source.layout.doubts:
            return None
        for shape in shapes.values():
            if shape.template is not None:
                try:
                    return _apply(shape.template, source, editor, identifiers)
                except (_Differs, StructError):
                    continue
                except InstanceFailed:
                    break  # which of several faults is told must not depend on what is remembered
        return None

    def learn(
        self,
        source: SourceFile,
        elements: list[Element],
        editor: Editor,
        identifiers: InstanceIdentifiers,
        context: Context,
    ) -> None:
        """Take note of an instance that was scanned and edited in full."""
        if source.layout.deflated or source.is_rewritten or context.table.sets_character_set:
            return
        if context.table.check_frame is not None and source.layout.is_compressed:
            return  # each frame is looked at
        if context.table.names_creators:  # what a path means depends on elements that may lie anywhere
            return
        header = _header(elements, source)
        if header is None:
            return
        name = _series_of(source, editor, identifiers)
        shapes = self._series.pop(name, None)
        if shapes is None:
            if len(self._series) >= MAX_SERIES:
                del self._series[next(iter(self._series))]
            shapes = {}
        self._series[name] = shapes  # the latest stands last
        tags = tuple([element[0] for element in header])
        shape = shapes.get(tags)
        body = source.body[: header[-1][4]]
        if shape is None:
            if len(shapes) >= MAX_SHAPES:
                del shapes[next(iter(shapes))]
            shapes[tags] = _Shape(header, body)
        elif shape.learn(header, body):
            shape.template = _template(source, header, shape.gaps, editor, context)


def _series_of(source: SourceFile, editor: Editor, identifiers: InstanceIdentifiers) -> object:
    """Return all that a result depends on beside the request and the instance's own bytes."""
    layout = source.layout
    return (
        identifiers.original[:3],
        identifiers.new[:3],
        identifiers.patient_name,
        SOP_INSTANCE_UID in editor.changed,
        layout.transfer_syntax,
        id(layout.encoding),
    )


def _header(elements: list[Element], source: SourceFile) -> list[Element] | None:
    """Return the elements that can be remembered: up to the first long one, without the last; None for none."""
    at_hand = min(len(source.body), source.dataset_start + MAX_HEADER_BYTES)
    header: list[Element] = []
    last = -1
    for element in elements[:-1]:
        tag, _, start, _, end, _ = element
        if end > at_hand or end - start > MAX_ELEMENT_BYTES or tag >= _FIRST_OVERLAY:
            break
        if tag <= last or not tag & 0xFFFF:
            return None  # out of order, or the length of a group, which encloses what follows
        header.append(element)
        last = tag
    # All that follows the header must stand behind it, too: new elements are put in by their tags.
    if any(tag <= last or not tag & 0xFFFF for tag, *_ in elements[len(header) :]):
        return None
    return header if last >= SERIES_INSTANCE_UID else None


def _template(
    source: SourceFile, header: list[Element], gaps: set[int], editor: Editor, context: Context
) -> _Template | None:
    """Edit the runs between the gaps, and remember what becomes of them."""
    gaps = gaps | {SOP_INSTANCE_UID}
    if gaps & _IN_A_RUN:
        return None
    body, encoding = source.body, source.layout.encoding
    steps: list[_Step] = []
    run: list[Element] = []
    last = -1

    def end_run() -> None:
        nonlocal last
        if run:
            start, end = run[0][2], run[-1][4]
            values = _between(context.new_values, last, run[-1][0])
            output = _bytes_of(editor.edit_some(run, encoding, context, values), body)
            raw = body[start:end]
            steps.append(_Step(_RUN, raw=raw, output=None if output == raw else output))
            last = run[-1][0]
            run.clear()

    for element in header:
        tag = element[0]
        if tag not in gaps:
            run.append(element)
            continue
        end_run()
        inserted = _between(context.new_values, last, tag - 1)
        if inserted:
            steps.append(_Step(_NEW, output=_bytes_of(editor.edit_some([], encoding, context, inserted), body)))
        steps.append(_gap(element, body, encoding, editor, context))
        last = tag
    end_run()
    tail_values = {tag: value for tag, value in context.new_values.items() if tag > last}
    sop_class = next((body[element[3] : element[4]] for element in header if element[0] == SOP_CLASS_UID), None)
    return _Template(steps, last, context, tail_values, sop_class, says_burned_in(source, header))


def _gap(element: Element, body: bytes, encoding: Encoding, editor: Editor, context: Context) -> _Step:
    """Tell what is done with an element that differs from instance to instance."""
    tag, vr, start, _, _, sequence = element
    raw = body[start : start + 6]
    if sequence is None and encoding.explicit and vr.encode() in SHORT_VRS and tag not in context.new_values:
        rule = editor.top_rule(tag, vr, context)
        if (rule is None or rule.stays) and vr not in context.table.top.by_vr:
            return _Step(_KEEP, tag, raw)
        if rule is not None and rule.removes:
            return _Step(_REMOVE, tag, raw)
    return _Step(_OTHER, tag)


def _between(values: dict[int, Value], last: int, tag: int) -> dict[int, Value]:
    """Return the new values with tags behind one and not behind another."""
    return {new: value for new, value in values.items() if last < new <= tag}


def _bytes_of(spans: list[Span], body: bytes) -> bytes:
    return b"".join([span if isinstance(span, bytes) else body[span[0] : span[1]] for span in spans])


def _apply(template: _Template, source: SourceFile, editor: Editor, identifiers: InstanceIdentifiers) -> Shared:
    """Walk through an instance step by step.

    Raises:
        _Differs: It is not like those that are remembered.
        InstanceFailed: It cannot be scanned or edited.

    """
    spans, position = _apply_steps(template, source, editor, identifiers)
    tail = source.scan(start=position)
    if source.findings.irregular or source.findings.doubts or source.contradiction(tail):
        raise _Differs
    last = template.last_tag
    for element in tail:
        if element[0] <= last or not element[0] & 0xFFFF or element[0] & 0xFF00FFFF in _OVERLAY_BITS:
            raise _Differs
        last = element[0]
    spans += editor.edit_some(tail, source.layout.encoding, template.context, template.tail_values)
    return Shared(template.context.table, spans, template.sop_class, template.burned_in or says_burned_in(source, tail))


def _apply_steps(
    template: _Template, source: SourceFile, editor: Editor, identifiers: InstanceIdentifiers
) -> tuple[list[Span], int]:
    """Return what becomes of the remembered elements, and where they end."""
    body = source.body
    unpack = source.layout.encoding.tag_vr_length.unpack_from
    spans: list[Span] = []
    position = kept_from = source.dataset_start
    for kind, tag, raw, output in template.steps:
        start, made = position, output
        if kind <= _REMOVE:
            if not body.startswith(raw, position):
                raise _Differs
            if kind == _RUN:
                position += len(raw)
                if output is None:
                    continue
            else:
                position += 8 + unpack(body, position)[3]
                if kind == _KEEP:
                    continue
        elif kind == _OTHER:
            element = _scan_one(source, position, tag)
            position = element[4]
            new_values = _values_of(tag, element, template.context, source, identifiers)
            made = _bytes_of(editor.edit_some([element], source.layout.encoding, template.context, new_values), body)
        if kept_from < start:
            spans.append((kept_from, start))
        if made:
            spans.append(made)
        kept_from = position
    if position > len(body):
        raise _Differs
    if kept_from < position:
        spans.append((kept_from, position))
    return spans, position


def _scan_one(source: SourceFile, position: int, tag: int) -> Element:
    """Scan the element at an offset, which has to be the one that is expected there."""
    if position >= len(source.body):
        raise _Differs
    found: list[Element] = []
    scanner = Scanner(source.body, 0, source.body_size, source.read, Findings())
    scanner.top(found, position, source.layout.encoding, tag)
    is_regular = not scanner.findings.irregular and not scanner.findings.doubts
    if len(found) != 1 or found[0][0] != tag or not scanner.stopped_at_tag or not is_regular:
        raise _Differs
    return found[0]


def _values_of(
    tag: int, element: Element, context: Context, source: SourceFile, identifiers: InstanceIdentifiers
) -> dict[int, Value]:
    """Return the new value of an element, if it has one."""
    if tag != SOP_INSTANCE_UID:
        return {tag: context.new_values[tag]} if tag in context.new_values else {}
    value = source.body[element[3] : element[4]].rstrip(b"\0")
    if value != identifiers.original.sop_instance_uid.encode("latin-1", "replace"):
        raise _Differs
    return {tag: identifiers.new.sop_instance_uid} if tag in context.new_values else {}
