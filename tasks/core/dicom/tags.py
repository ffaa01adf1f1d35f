"""DICOM tags and the paths to nested elements, in the syntax that Orthanc reads.

Orthanc (1.9.4 on, ``DicomPath::Parse``) takes a keyword in its exact case, ``gggg,eeee``, ``gggg-eeee`` or
``ggggeeee``, the last three also in parentheses, and steps into sequences with ``Sequence[0].Tag`` and
``Sequence[*].Tag``. The local engine also takes private elements by their creator, see ``private_tags``.

Public names: ``Path``, ``parse_tag``, ``parse_path``, ``format_tag``, ``describe_tag``, ``dictionary_vr``,
``uid_tags``, ``is_private``, ``is_computed``, ``is_overlay``, ``TagSyntaxError``, and the tags of the identifiers.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from pydicom.datadict import (  # type: ignore[attr-defined]  # the repeaters are of its private module
    DicomDictionary,
    RepeatersDictionary,
    dictionary_VR,
    keyword_for_tag,
    tag_for_keyword,
)

from deidflow.tasks.core.dicom.private_tags import (
    creator_of,
    format_private,
    parse_private,
    split_outside_quotes,
)
from deidflow.tasks.core.errors import BadText

SPECIFIC_CHARACTER_SET: Final = 0x00080005
IMAGE_TYPE: Final = 0x00080008
BURNED_IN_ANNOTATION: Final = 0x00280301
SOP_CLASS_UID: Final = 0x00080016
SOP_INSTANCE_UID: Final = 0x00080018
MODALITY: Final = 0x00080060
PATIENT_NAME: Final = 0x00100010
PATIENT_ID: Final = 0x00100020
PATIENT_BIRTH_DATE: Final = 0x00100030
PATIENT_SEX: Final = 0x00100040
ISSUER_OF_PATIENT_ID: Final = 0x00100021
PATIENT_IDENTITY_REMOVED: Final = 0x00120062
DEIDENTIFICATION_METHOD: Final = 0x00120063
STUDY_INSTANCE_UID: Final = 0x0020000D
SERIES_INSTANCE_UID: Final = 0x0020000E
FRAME_OF_REFERENCE_UID: Final = 0x00200052
ENCAPSULATED_DOCUMENT: Final = 0x00420011
PIXEL_DATA: Final = 0x7FE00010
SIGNATURES: Final = (0x4FFE0001, 0xFFFAFFFA)
"""MACParametersSequence and DigitalSignaturesSequence (PS3.3 section C.12.1.1.3)."""
DATA_SET_TRAILING_PADDING: Final = 0xFFFCFFFC

IDENTIFIERS: Final = (PATIENT_ID, STUDY_INSTANCE_UID, SERIES_INSTANCE_UID, SOP_INSTANCE_UID)
"""The attributes that make up Orthanc's identifiers; naming one at top level needs ``Force``."""

_OVERLAY_GROUPS: Final = 0x60
_FIRST_GROUP: Final = 0x0008
"""What stands below belongs into no dataset: commands, file meta information, directories."""

_NUMERIC = re.compile(r"([0-9a-fA-F]{1,4})[,-]([0-9a-fA-F]{1,4})|([0-9a-fA-F]{4})([0-9a-fA-F]{4})")
_REPEATING: Final = {
    entry[4]: int(mask.replace("x", "0"), 16) for mask, entry in RepeatersDictionary.items() if entry[4]
}
"""Keywords of repeating groups (overlays, curves) mean the first group, as for Orthanc: OverlayData is 6000,3000."""

_MAX_INDEX_DIGITS: Final = 9
_STEP = re.compile(r'(?P<tag>(?:[^\[\]"]|"[^"]*")+)(?:\[(?P<index>[^\[\]]*)\])?')
"""One step without blanks around it; blanks inside are taken off later, since matching them takes time without end."""


class TagSyntaxError(BadText):
    """The text is no tag or path; ``str(error)`` says what a good one looks like and does not repeat the text."""


@dataclass(frozen=True, slots=True, order=True)
class Path:
    """An element at top level or inside sequence items.

    Attributes:
        parents: The sequences on the way, outermost first, each with the item's index from 0, or -1 for ``[*]``.
        tag: The element itself, as a number (0x00100010); one named by its creator as ``private_tags`` has it.

    """

    parents: tuple[tuple[int, int], ...]
    tag: int

    def __str__(self) -> str:
        """Return the canonical text, ``0008,1032[*].0008,0100``, which Orthanc reads too."""
        steps = [f"{format_tag(tag)}[{'*' if index < 0 else index}]" for tag, index in self.parents]
        return ".".join([*steps, format_tag(self.tag)])

    @property
    def is_nested(self) -> bool:
        """Whether the element stands inside a sequence item."""
        return bool(self.parents)

    @property
    def names_creator(self) -> bool:
        """Whether a step is a private element named by its creator, so that each dataset tells its own number."""
        return any(creator_of(tag) for tag in (self.tag, *(parent for parent, _ in self.parents)))

    def describe(self) -> str:
        """Return the text with keywords where the dictionary has them, for people."""
        steps = [f"{describe_tag(tag)}[{'*' if index < 0 else index}]" for tag, index in self.parents]
        return ".".join([*steps, describe_tag(self.tag)])


def format_tag(tag: int) -> str:
    """Write a tag as Orthanc does.

    >>> format_tag(0x0010_0020)
    '0010,0020'
    """
    if creator_of(tag):
        return format_private(tag)
    return f"{tag >> 16:04x},{tag & 0xFFFF:04x}"


def describe_tag(tag: int) -> str:
    """Return the keyword, or ``gggg,eeee`` for tags that the dictionary lacks."""
    return format_private(tag) if creator_of(tag) else keyword_for_tag(tag) or format_tag(tag)


def is_private(tag: int) -> bool:
    """Whether the group is odd (PS3.5 section 7.8, edition 2026c)."""
    return bool(tag & 0x10000)


def is_computed(tag: int) -> bool:
    """Whether Orthanc passes over new values of it: group lengths, commands and file meta information."""
    return tag & 0xFFFF == 0 or tag >> 16 in (0x0000, 0x0002)


def is_overlay(tag: int) -> bool:
    """Whether an element belongs to an overlay: groups 6000 to 60FF (PS3.5 section 7.6, edition 2026c)."""
    return tag >> 24 == _OVERLAY_GROUPS


@lru_cache(maxsize=8192)
def dictionary_vr(tag: int) -> str | None:
    """Return the VR of a public tag in pydicom's dictionary (``US or SS`` for ambiguous ones), or None.

    A private creator is LO, a group length UL; other private tags are unknown (None).
    """
    if tag & 0xFFFF == 0:
        return "UL"
    if is_private(tag):
        return "LO" if 0x10 <= tag & 0xFFFF <= 0xFF else None  # noqa: PLR2004 (PS3.5 section 7.8.1)
    try:
        return dictionary_VR(tag)
    except KeyError:
        return None


@lru_cache
def uid_tags() -> frozenset[int]:
    """Return the public attributes of a dataset whose VR is UI, whatever VR a file gives them."""
    return frozenset(tag for tag, (vr, *_) in DicomDictionary.items() if vr == "UI" and tag >> 16 >= _FIRST_GROUP)


def parse_tag(text: str) -> int:
    """Read one tag.

    Args:
        text: A keyword (exact case) or a number: ``PatientID``, ``0010,0020``, ``(0010-0020)``, ``00100020``.

    Returns:
        The tag as a number.

    Raises:
        TagSyntaxError: The text is neither.

    """
    name = text.strip()
    bare = name[1:-1] if name.startswith("(") and name.endswith(")") else name
    number = _NUMERIC.fullmatch(bare)
    if number:
        group, element = (part for part in number.groups() if part is not None)
        return int(group, 16) << 16 | int(element, 16)
    tag = tag_for_keyword(name) if name else None  # the dictionary has entries without a keyword
    if tag is None:
        tag = _REPEATING.get(name)
    if tag is None:
        message = (
            "unknown tag; write the DICOM keyword in its exact case (PatientID) or the number (0010,0020), as for "
            "names of an Orthanc's own Dictionary"
        )
        raise TagSyntaxError(message)
    return int(tag)


@lru_cache(maxsize=65536)
def parse_path(text: str) -> Path:
    """Read a tag or a path into sequences.

    Args:
        text: ``PatientID``, ``RequestAttributesSequence[*].ScheduledProcedureStepID``, ``0008,1032[0].0008,0100``,
            ``0029,"SIEMENS CSA HEADER",10``.

    Returns:
        The path; equal for all spellings of the same element.

    Raises:
        TagSyntaxError: A step is no tag, a sequence has no index, or the last element has one.

    """
    steps = [_STEP.fullmatch(step.strip()) for step in split_outside_quotes(text, ".")]
    parsed: list[tuple[int, int | None]] = []
    for step in steps:
        if step is None:
            message = "a path must be written SequenceKeyword[0].Keyword or SequenceKeyword[*].Keyword"
            raise TagSyntaxError(message)
        parsed.append((_parse_step(step["tag"]), _parse_index(step["index"])))
    *parents, (tag, last_index) = parsed
    if last_index is not None:
        message = "the last element of a path must have no index: an item itself cannot be named"
        raise TagSyntaxError(message)
    checked: list[tuple[int, int]] = []
    for parent, index in parents:
        if index is None:
            message = "every sequence on the way must have an index, [0] or [*] for all items"
            raise TagSyntaxError(message)
        checked.append((parent, index))
    return Path(tuple(checked), tag)


def _parse_step(text: str) -> int:
    try:
        private = parse_private(text)
    except BadText as error:
        raise TagSyntaxError(str(error)) from None
    return parse_tag(text) if private is None else private


def _parse_index(text: str | None) -> int | None:
    if text is None:
        return None
    text = text.strip()
    if text == "*":
        return -1
    if not text.isascii() or not text.isdigit() or len(text) > _MAX_INDEX_DIGITS:
        message = "an index must be a number from 0, or * for all items"
        raise TagSyntaxError(message)
    return int(text)
