"""What the instances of a series have in common, and what editing made of it.

Most of the header of an instance (patient, study, series, equipment, protocol) is the same in its whole series, byte
for byte. Equal bytes scan and edit to equal bytes, as long as the request and the identifiers above the instance are
the same. So two instances are scanned; the runs of elements in which they agree are remembered with what becomes of
them, and the next instances are compared with these runs: a comparison of memory instead of a scan. What lies between
the runs is read and edited element by element as ever. Where anything differs from what is remembered the instance is
scanned and edited in full, and what differed is no longer taken for common. The elements in which instances differ are
the same ones in the next series with such a list of elements, nearly always, so that one instance of it is enough.

Nothing is guessed: a result is the same as without this module (tests/local/editing/test_shared_header.py).

Public names: ``SharedHeaders``.
"""

from __future__ import annotations

from struct import error as StructError  # noqa: N812 (an exception class with a lower-case name)
from typing import TYPE_CHECKING, Final

from deidflow.tasks.core.dicom.tags import SERIES_INSTANCE_UID, SOP_INSTANCE_UID
from deidflow.tasks.core.errors import InstanceFailed
from deidflow.tasks.local.dicom_file.elements import changed_tags
from deidflow.tasks.local.editing.series.header_templates import (
    Differs,
    Shared,
    Template,
    apply_template,
    make_template,
)

if TYPE_CHECKING:
    from deidflow.tasks.local.dicom_file.elements import Element
    from deidflow.tasks.local.dicom_file.source_file import SourceFile
    from deidflow.tasks.local.editing.context import Context
    from deidflow.tasks.local.editing.instance import Editor
    from deidflow.tasks.local.editing.references import InstanceIdentifiers

MAX_HEADER_BYTES: Final = 1 << 16
"""Elements behind this many bytes are never remembered: pixel data, above all."""

MAX_ELEMENT_BYTES: Final = 1 << 14
"""Nor is a long element, nor what stands behind it."""

_FIRST_OVERLAY: Final = 0x60000000

MAX_SERIES: Final = 16
"""Series whose headers are remembered at a time; a worker meets them one after the other."""

MAX_SHAPES: Final = 4
"""Different lists of elements within one series, such as a localizer among slices."""

MAX_LISTS: Final = 64
"""Lists of elements of which it is kept in what the instances of the last series differed."""


class _Shape:
    """Instances of one series with the same list of elements."""

    __slots__ = ("body", "elements", "gaps", "is_guess", "met", "template")

    def __init__(self, elements: list[Element], body: bytes, gaps: set[int] | None) -> None:
        """Take the first instance, and the gaps of another series, if there is one that is alike."""
        self.elements = elements
        self.body = body
        self.gaps = gaps or set()
        self.is_guess = True
        self.met = 1
        self.template: Template | None = None

    def learn(self, elements: list[Element], body: bytes) -> bool:
        """Compare with another instance; return whether it is time to make a template."""
        if self.is_guess:  # and a wrong one
            self.gaps, self.is_guess = set(), False
        self.gaps |= changed_tags(self.elements, self.body, elements, body)
        self.met += 1
        # Each new template costs as much as an instance: make them ever more seldom where instances go on to differ.
        return self.met & (self.met - 1) == 0


class SharedHeaders:
    """The memory of one worker for one request."""

    def __init__(self) -> None:
        """Begin without any."""
        self._series: dict[object, dict[tuple[int, ...], _Shape]] = {}
        self._gaps: dict[tuple[int, ...], set[int]] = {}

    def edit(self, source: SourceFile, editor: Editor, identifiers: InstanceIdentifiers) -> Shared | None:
        """Edit an instance by what is remembered of its series; None when that does not fit it, or it is damaged."""
        shapes = self._series.get(_series_of(source, editor, identifiers))
        if shapes is None or source.layout.doubts:
            return None
        for shape in shapes.values():
            if shape.template is not None:
                shared = _edit_by(shape.template, source, editor, identifiers)
                if shared is not None:
                    return shared
        return None

    def learn(
        self,
        source: SourceFile,
        elements: list[Element],
        editor: Editor,
        identifiers: InstanceIdentifiers,
        context: Context,
    ) -> Shared | None:
        """Take note of an instance that was scanned, and edit it by what is remembered then, as ``edit`` does."""
        header = _header(elements, source) if _can_be_remembered(source, context) else None
        if header is None:
            return None
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
            gaps = self._gaps.get(tags)
            shape = shapes[tags] = _Shape(header, body, gaps)
            if gaps is None:
                return None
        elif not shape.learn(header, body):
            return None
        elif tags not in self._gaps and len(self._gaps) >= MAX_LISTS:
            del self._gaps[next(iter(self._gaps))]
        self._gaps[tags] = shape.gaps
        before = editor.take_notes()
        try:
            shape.template = make_template(source, elements, header, shape.gaps, editor, context)
        except InstanceFailed:
            shape.template = None
        editor.take_notes(before)
        if shape.template is None:
            return None
        shape.template.notes.add(before)
        return _edit_by(shape.template, source, editor, identifiers)


def _edit_by(template: Template, source: SourceFile, editor: Editor, identifiers: InstanceIdentifiers) -> Shared | None:
    """Edit an instance by a template; None when that does not fit it.

    So it is, too, when it is damaged: which of several faults is told must not depend on what is remembered.
    """
    before = editor.take_notes()
    try:
        return apply_template(template, source, editor, identifiers)
    except (Differs, StructError, InstanceFailed):
        editor.take_notes(before)
        return None


def _can_be_remembered(source: SourceFile, context: Context) -> bool:
    """Whether what becomes of a run of elements depends on nothing that may lie anywhere else."""
    table = context.table
    return not (
        source.layout.deflated
        or source.is_rewritten
        or table.sets_character_set
        or source.findings.doubts  # whether there is another reading depends on what follows, in each instance
        or (table.frame_blanks is not None and source.layout.is_compressed)  # each frame is looked at
        or table.names_creators  # what a path means depends on elements that may lie anywhere
    )


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
