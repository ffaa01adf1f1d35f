"""A header that the instances of a series have in common, with what becomes of each part: made once, then compared.

Public names: ``Template``, ``Shared``, ``Differs``, ``make_template``, ``apply_template``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from deidflow.tasks.core.dicom.private_tags import is_creator
from deidflow.tasks.core.dicom.tags import (
    BURNED_IN_ANNOTATION,
    SOP_CLASS_UID,
    SOP_INSTANCE_UID,
    SPECIFIC_CHARACTER_SET,
)
from deidflow.tasks.core.pixels.facts import PIXEL_ELEMENTS
from deidflow.tasks.local.dicom_file.encoding import SHORT_VRS, UNDEFINED, element_header
from deidflow.tasks.local.dicom_file.findings import Findings
from deidflow.tasks.local.dicom_file.scanner import Scanner
from deidflow.tasks.local.dicom_file.values import encode_element
from deidflow.tasks.local.editing.actions import Action
from deidflow.tasks.local.editing.item_texts import named_values
from deidflow.tasks.local.editing.painting.extremes import EXTREME_TAGS
from deidflow.tasks.local.editing.pixel_data.native_frames import most_pixels
from deidflow.tasks.local.editing.private_elements import CHARACTERISTICS
from deidflow.tasks.local.editing.series.endings import Ending, make_ending
from deidflow.tasks.local.editing.splice import says_burned_in
from deidflow.tasks.local.editing.table import LATE_TAGS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from deidflow.tasks.core.request.edits import Value
    from deidflow.tasks.local.dicom_file.elements import Element
    from deidflow.tasks.local.dicom_file.encoding import Encoding
    from deidflow.tasks.local.dicom_file.source_file import SourceFile
    from deidflow.tasks.local.editing.context import Context
    from deidflow.tasks.local.editing.instance import Editor
    from deidflow.tasks.local.editing.painting.choice import PixelWork
    from deidflow.tasks.local.editing.references import CleaningNotes, InstanceIdentifiers
    from deidflow.tasks.local.editing.spans import Span
    from deidflow.tasks.local.editing.table import NamedValue, Table

_OVERLAY_BITS: Final = frozenset({0x60000100, 0x60000102})
"""Overlays that may lie in the pixels; what becomes of these is not for this module."""
_IN_A_RUN: Final = LATE_TAGS | {BURNED_IN_ANNOTATION, CHARACTERISTICS, SPECIFIC_CHARACTER_SET}
"""What an instance is identified and decoded by, what late values depend on, and what private elements are judged by; a
series in which they differ is not one."""


_MAX_TAIL_ELEMENTS: Final = 1 << 15
"""Elements and items behind a header; with more the whole file is counted, which may have too many."""

# What is done with a step of a remembered header; plain numbers, since the hot loop compares them.
_RUN: Final = 0
"""Elements that are the same in all instances."""
_KEEP: Final = 1
"""One element of a VR with a short length, which stays."""
_REPLACE: Final = 2
"""One element of a VR with a short length, in whose place the same stands in all results, or nothing."""
_INSTANCE: Final = 3
"""SOPInstanceUID, which becomes the instance's new one."""
_NEW: Final = 4
"""New elements, the same in all results."""
_OTHER: Final = 5
"""One element, scanned and edited as ever."""


class Differs(Exception):
    """The instance is not like those that are remembered."""


class _Step(NamedTuple):
    """One step; which fields count depends on the kind.

    Attributes:
        kind: ``_RUN`` to ``_OTHER``.
        tag: Of a single element.
        raw: A run's bytes, or tag and VR as they stand in the file.
        output: What a run becomes, None for itself; what stands in an element's place, None for nothing; new elements.

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
        pixels: What is to be done with its pixels, where the table asks for that.
        tail: Its elements behind those that are remembered, as far as anything depends on them.

    """

    table: Table
    spans: list[Span]
    sop_class: bytes | None
    burned_in: bool
    pixels: PixelWork | None
    tail: Sequence[Element]


class Template(NamedTuple):
    """A shape, ready to be compared with.

    Attributes:
        steps: In the order of the file.
        size: Of the elements that the steps cover, in bytes, where they were met.
        last_tag: Of the last element that the steps cover.
        context: What editing knows about the whole dataset.
        tail_values: New elements behind the steps.
        sop_class: See ``Shared``.
        burned_in: Likewise, as far as the steps go.
        named: The values of the runs that identify, where the table asks for them.
        notes: What cleaning the runs came to.
        present: Whether the runs and gaps have an attribute of the table's ``where_present``.
        most_pixels: Bytes that pixel data behind has at the most; with more, something stands behind its frames.
        ending: The elements behind, where these are known, too, see ``endings``.

    """

    steps: list[_Step]
    size: int
    last_tag: int
    context: Context
    tail_values: dict[int, Value]
    sop_class: bytes | None
    burned_in: bool
    named: frozenset[NamedValue]
    notes: CleaningNotes
    present: bool = False
    most_pixels: int = UNDEFINED
    ending: Ending | None = None


def make_template(
    source: SourceFile, elements: list[Element], header: list[Element], gaps: set[int], editor: Editor, context: Context
) -> Template | None:
    """Edit the runs between the gaps, and remember what becomes of them.

    Args:
        source: The open file.
        elements: All of its dataset.
        header: The first of these, as far as they are remembered.
        gaps: Tags of those that differ from instance to instance.
        editor: Of the file.
        context: Of the dataset.

    """
    gaps = gaps | {SOP_INSTANCE_UID}
    if (
        gaps & _IN_A_RUN
        or _pixels_may_differ(header, gaps, context)
        or (context.private is not None and any(map(is_creator, gaps)))
    ):
        return None
    steps, last = _steps(source, header, gaps, editor, context)
    common = [element for element in header if element[0] not in gaps]
    tail_values = {tag: value for tag, value in context.new_values.items() if tag > last}
    sop_class = next((source.body[one[3] : one[4]] for one in header if one[0] == SOP_CLASS_UID), None)
    notes, identifying = editor.take_notes(), _named(common, source, context)
    burned_in = says_burned_in(source, header)
    where = context.table.where_present
    present = where is not None and (not where.tags.isdisjoint(gaps) or where.is_in(common))
    size = header[-1][4] - source.dataset_start
    tail = elements[len(header) :]
    most = most_pixels(source, elements, gaps.union(element[0] for element in tail), context.table)
    ending = None if tail_values else make_ending(source, tail, editor, context, most)
    return Template(
        *(steps, size, last, context, tail_values, sop_class, burned_in, identifying, notes, present, most, ending)
    )


def _steps(
    source: SourceFile, header: list[Element], gaps: set[int], editor: Editor, context: Context
) -> tuple[list[_Step], int]:
    """Return the steps of a header, and the tag of the last element that they cover."""
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
    return steps, last


def _pixels_may_differ(header: list[Element], gaps: set[int], context: Context) -> bool:
    """Whether what is done with the pixels is another thing in each instance, or changes its header."""
    work = context.pixels
    if work is None:
        return False
    return bool(gaps & work.tags) or (
        work.painting is not None and any(element[0] in EXTREME_TAGS for element in header)
    )


def _named(elements: list[Element], source: SourceFile, context: Context) -> frozenset[NamedValue]:
    naming = context.table.naming
    return named_values(elements, source.read, context.charset, naming) if naming is not None else frozenset()


def _gap(element: Element, body: bytes, encoding: Encoding, editor: Editor, context: Context) -> _Step:
    """Tell what is done with an element that differs from instance to instance."""
    tag, vr, start, _, _, sequence = element
    names = context.table.naming is not None and (tag in context.table.naming.tags or vr == "PN")
    is_short = sequence is None and encoding.explicit and vr.encode() in SHORT_VRS
    raw = body[start : start + 6]
    if not names and is_short and tag == SOP_INSTANCE_UID:
        if tag in context.new_values and vr == "UI":
            return _Step(_INSTANCE, tag, raw)
    elif not names and is_short and tag not in context.new_values:
        rule = editor.top_rule(tag, vr, context)
        if (rule is None or rule.stays) and vr not in context.table.top.by_vr:
            return _Step(_KEEP, tag, raw)
        if rule is not None and (rule.removes or rule.action is Action.EMPTY):
            return _Step(_REPLACE, tag, raw, None if rule.removes else element_header(tag, vr, 0, encoding))
    return _Step(_OTHER, tag)


def _between(values: dict[int, Value], last: int, tag: int) -> dict[int, Value]:
    """Return the new values with tags behind one and not behind another."""
    return {new: value for new, value in values.items() if last < new <= tag}


def _bytes_of(spans: list[Span], body: bytes) -> bytes:
    return b"".join([span if isinstance(span, bytes) else body[span[0] : span[1]] for span in spans])


def apply_template(template: Template, source: SourceFile, editor: Editor, identifiers: InstanceIdentifiers) -> Shared:
    """Walk through an instance step by step.

    Raises:
        Differs: It is not like those that are remembered.
        InstanceFailed: It cannot be scanned or edited.

    """
    editor.know(template.context)
    source.hold(source.dataset_start + template.size)
    others: list[Element] = []
    spans, position = _apply_steps(template, source, editor, identifiers, others)
    kept = None if template.ending is None else template.ending.spans(source, position)
    if kept is not None:
        return _shared(template, source, identifiers, [*spans, *kept], others)
    tail = source.scan(start=position)
    findings = source.findings
    if findings.irregular or findings.doubts or findings.count > _MAX_TAIL_ELEMENTS or source.contradiction(tail):
        raise Differs
    last = template.last_tag
    asked = template.context.pixels.tags if template.context.pixels is not None else ()
    for element in tail:
        if (
            element[0] in asked
            or element[0] <= last
            or not element[0] & 0xFFFF
            or element[0] & 0xFF00FFFF in _OVERLAY_BITS
            or (element[0] in PIXEL_ELEMENTS and element[4] - element[3] > template.most_pixels)
        ):
            raise Differs
        last = element[0]
    shared = _shared(template, source, identifiers, spans, others, tail)
    context = template.context
    if context.private is not None:
        blocks = context.private.up_to(template.last_tag, tail, source.read, context.charset)
        context = context._replace(private=blocks)
    spans += editor.edit_some(tail, source.layout.encoding, context, template.tail_values)
    return shared


def _shared(
    template: Template,
    source: SourceFile,
    identifiers: InstanceIdentifiers,
    spans: list[Span],
    others: list[Element],
    tail: Sequence[Element] = (),
) -> Shared:
    """Return what remembering gives, unless values of an instance decide what becomes of others."""
    context, scanned = template.context, [*others, *tail]
    if context.named != template.named | _named(scanned, source, context) or _has_other_values(template, scanned):
        raise Differs
    identifiers.notes.add(template.notes)
    burned_in = template.burned_in or says_burned_in(source, tail)
    return Shared(context.table, spans, template.sop_class, burned_in, context.pixels, tail)


def _has_other_values(template: Template, scanned: list[Element]) -> bool:
    """Whether an instance has other new values than the remembered ones, by the attributes that it has."""
    where, known = template.context.table.where_present, template.context.new_values
    if where is None:
        return False
    is_known = all(known.get(tag) == value for tag, value in where.values.items())
    return is_known != (template.present or where.is_in(scanned))


def _apply_steps(
    template: Template,
    source: SourceFile,
    editor: Editor,
    identifiers: InstanceIdentifiers,
    others: list[Element],
) -> tuple[list[Span], int]:
    """Return what becomes of the remembered elements, and where they end; add those to the others that were scanned."""
    body = source.body
    unpack = source.layout.encoding.tag_vr_length.unpack_from
    spans: list[Span] = []
    position = kept_from = source.dataset_start
    for kind, tag, raw, output in template.steps:
        start, made = position, output
        if kind <= _INSTANCE:
            if not body.startswith(raw, position):
                raise Differs
            position += len(raw) if kind == _RUN else 8 + unpack(body, position)[3]
            if kind == _INSTANCE:
                made = _instance_uid(body[start + 8 : position], template.context, source, identifiers)
            elif kind == _KEEP or (kind == _RUN and output is None):
                continue
        elif kind == _OTHER:
            element = _scan_one(source, position, tag)
            others.append(element)
            position = element[4]
            new_values = _values_of(tag, element, template.context, source, identifiers)
            made = _bytes_of(editor.edit_some([element], source.layout.encoding, template.context, new_values), body)
        if kept_from < start:
            spans.append((kept_from, start))
        if made:
            spans.append(made)
        kept_from = position
    if position > len(body):
        raise Differs
    if kept_from < position:
        spans.append((kept_from, position))
    return spans, position


def _scan_one(source: SourceFile, position: int, tag: int) -> Element:
    """Scan the element at an offset, which has to be the one that is expected there."""
    if position >= len(source.body):
        raise Differs
    found: list[Element] = []
    scanner = Scanner(source.body, 0, source.body_size, source.read, Findings())
    scanner.top(found, position, source.layout.encoding, tag)
    is_regular = not scanner.findings.irregular and not scanner.findings.doubts
    if len(found) != 1 or found[0][0] != tag or not scanner.stopped_at_tag or not is_regular:
        raise Differs
    return found[0]


def _instance_uid(value: bytes, context: Context, source: SourceFile, identifiers: InstanceIdentifiers) -> bytes:
    """Return the element that stands in the place of SOPInstanceUID."""
    _check_instance(value, identifiers)
    return encode_element(SOP_INSTANCE_UID, identifiers.new.sop_instance_uid, context.charset, source.layout.encoding)


def _values_of(
    tag: int, element: Element, context: Context, source: SourceFile, identifiers: InstanceIdentifiers
) -> dict[int, Value]:
    """Return the new value of an element, if it has one."""
    if tag == SOP_INSTANCE_UID:
        _check_instance(source.body[element[3] : element[4]], identifiers)
        return {tag: identifiers.new.sop_instance_uid} if tag in context.new_values else {}
    return {tag: context.new_values[tag]} if tag in context.new_values else {}


def _check_instance(value: bytes, identifiers: InstanceIdentifiers) -> None:
    """Compare the value of SOPInstanceUID with that of the plan."""
    if value.rstrip(b"\0") != identifiers.original.sop_instance_uid.encode("latin-1", "replace"):
        raise Differs
