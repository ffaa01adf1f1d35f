"""What stands behind a header that the instances of a series have in common: pixel data, nearly always, and padding.

Where these are the same elements in all instances, and each stays or goes whatever it holds, an instance needs no scan
there: the element headers are compared, and the last element has to end where the dataset does.

Public names: ``Ending``, ``make_ending``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from deidflow.tasks.core.dicom.tags import BURNED_IN_ANNOTATION, is_overlay
from deidflow.tasks.core.pixels.facts import PIXEL_ELEMENTS
from deidflow.tasks.local.dicom_file.encoding import UNDEFINED, stores_fragments

if TYPE_CHECKING:
    from deidflow.tasks.local.dicom_file.elements import Element
    from deidflow.tasks.local.dicom_file.encoding import Encoding
    from deidflow.tasks.local.dicom_file.source_file import SourceFile
    from deidflow.tasks.local.editing.context import Context
    from deidflow.tasks.local.editing.instance import Editor

_MAX_ELEMENTS: Final = 4
_HEADER_BYTES: Final = 12
_LENGTH_BYTES: Final = 4
_BYTES: Final = frozenset({"OB", "OW"})
"""VRs of what holds no elements and no text (PS3.5 section 6.2, edition 2026c)."""


class Ending(NamedTuple):
    """The last elements of the instances of a series.

    Attributes:
        steps: Of each, in the order of the file: tag, VR and what is reserved, as they stand there; whether it stays,
            and how many bytes it has then at the most.
        encoding: Of the dataset.

    """

    steps: list[tuple[bytes, bool, int]]
    encoding: Encoding

    def spans(self, source: SourceFile, position: int) -> list[tuple[int, int]] | None:
        """Return what stays of the end of an instance; None where it has to be scanned.

        Args:
            source: The open file.
            position: Of the first of these elements in its body.

        Raises:
            OSError: It cannot be read.

        """
        body, end, length_at = source.body, source.body_size, self.encoding.long_length.unpack_from
        spans: list[tuple[int, int]] = []
        for raw, stays, most in self.steps:
            value = position + _HEADER_BYTES
            header = body[position:value] if value <= len(body) else source.read(position, value)
            if not header.startswith(raw) or len(header) < _HEADER_BYTES:
                return None
            (length,) = length_at(header, _HEADER_BYTES - _LENGTH_BYTES)
            if length == UNDEFINED or (stays and length > most):
                return None
            if stays:
                spans.append((position, value + length))
            position = value + length
        return spans if position == end else None


def make_ending(
    source: SourceFile, tail: list[Element], editor: Editor, context: Context, most_pixels: int
) -> Ending | None:
    """Remember the last elements of an instance that was edited; None where what becomes of them is not told by that.

    Args:
        source: The open file.
        tail: Its last elements.
        editor: Of the file.
        context: Of the dataset.
        most_pixels: Bytes that its pixel data has at the most, in each instance.

    """
    encoding, table = source.layout.encoding, context.table
    tags = [element[0] for element in tail]
    if (
        not 0 < len(tail) <= _MAX_ELEMENTS
        or tags != sorted(set(tags))
        or not encoding.explicit
        or source.layout.deflated
        or stores_fragments(source.layout.transfer_syntax)
        or context.pixels is not None
        or any(map(is_overlay, tags))  # which may lie in the pixels, whose bits are cleared then
        or (table.naming is not None and any(tag in table.naming.tags for tag in tags))
        or (table.where_present is not None and not table.where_present.tags.isdisjoint(tags))
    ):
        return None
    steps: list[tuple[bytes, bool, int]] = []
    for tag, vr, start, value, _, sequence in tail:
        rule = editor.top_rule(tag, vr, context)
        removes = rule is not None and rule.removes
        if (
            vr not in _BYTES
            or sequence is not None
            or value - start != _HEADER_BYTES
            or tag == BURNED_IN_ANNOTATION
            or tag in context.new_values
            or tag & 0x10000
            or vr in table.top.by_vr
            or not (removes or rule is None or rule.stays)
        ):
            return None
        most = most_pixels if tag in PIXEL_ELEMENTS else UNDEFINED
        steps.append((source.read(start, value - _LENGTH_BYTES), not removes, most))
    return Ending(steps, encoding)
