"""Whether a new value fits its element: VR and number of values from the dictionary of public tags.

These checks are the manifest's and the config's. The engines accept what Orthanc accepts, which checks nothing
(docs/orthanc.md, Values).

Public names: ``check_value``, ``check_path``.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Final, NamedTuple

from pydicom.datadict import dictionary_VM

from deidflow.tasks.core.dicom.tags import (
    ENCAPSULATED_DOCUMENT,
    PIXEL_DATA,
    Path,
    describe_tag,
    dictionary_vr,
    is_private,
)
from deidflow.tasks.core.dicom.value_representations import VALUE_FORMATS, Format
from deidflow.tasks.core.request.data_uris import IMAGES, OCTETS, parse_embedded, pdf_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from deidflow.tasks.core.request.edits import Value

_OCTETS: Final = f"data:{OCTETS};base64,"
_VM: Final = re.compile(r"(\d+)(?:-(\d*n|\d+))?")
_FILE_META_GROUP: Final = 0x0002
_OVERLAY_DATA: Final = 0x60003000
_ARRAYS: Final = frozenset({"OD", "OF", "OL", "OV"})
"""VRs whose one value holds any number of numbers (PS3.5 section 6.4)."""

_SHOWN_GOOD_OCTETS: Final = f"binary data must be written as {_OCTETS}..."
_SHOWN_GOOD_DOCUMENT: Final = "a document must be a PDF, written as data:application/pdf;base64,..."
_SHOWN_GOOD_PIXELS: Final = (
    f"pixels must be written as {_OCTETS}..., an image as data:image/png;base64,... or image/jpeg"
)


class _Rule(NamedTuple):
    """What the dictionary says about the values of one tag."""

    vr: str
    formats: tuple[Format, ...]
    fewest: int
    most: int | None


def check_value(tag: int, value: Value) -> str | None:
    """Find what is wrong with a new value of an element.

    Args:
        tag: The element, at any depth.
        value: Text (backslashes separate values) or items; empty is always fine.

    Returns:
        What is wrong and what a good value looks like, never the value itself; None when it fits.

    """
    if tag >> 16 <= _FILE_META_GROUP or tag & 0xFFFF == 0 or tag >> 16 == 0xFFFE:  # noqa: PLR2004 (items, delimiters)
        return "must be left out: file meta information and group lengths follow from the dataset"
    if isinstance(value, tuple):
        return _check_items(value)
    if not value:
        return None
    if tag in _CONTENT_CHECKS:
        return _CONTENT_CHECKS[tag](value)
    if value.startswith(_OCTETS):
        return _check_octets(tag, value)
    rule = None if is_private(tag) else _rule(tag)
    return None if rule is None else _check_text(rule, value)


def _check_document(value: str) -> str | None:
    """Octets are no document: Orthanc writes them into PixelData (1.10.1 to 1.13.0)."""
    embedded = parse_embedded(value)
    # Models for 3D printing are taken by later Orthancs (1.12.7).
    is_model = embedded is not None and embedded.mime.startswith("model/") and bool(embedded.content)
    return None if is_model or pdf_of(value) else _SHOWN_GOOD_DOCUMENT


def _check_pixels(value: str) -> str | None:
    embedded = parse_embedded(value)
    good = embedded is not None and embedded.content is not None and embedded.mime in (OCTETS, *IMAGES)
    return None if good else _SHOWN_GOOD_PIXELS


_CONTENT_CHECKS: Final[dict[int, Callable[[str], str | None]]] = {
    ENCAPSULATED_DOCUMENT: _check_document,
    PIXEL_DATA: _check_pixels,
}


def _check_items(items: tuple[tuple[tuple[int, Value], ...], ...]) -> str | None:
    for number, item in enumerate(items, 1):
        for tag, inner in item:
            problem = check_value(tag, inner)
            if problem is not None:
                return f"item {number}, {describe_tag(tag)}: {problem}"
    return None


def _check_octets(tag: int, value: str) -> str | None:
    embedded = parse_embedded(value)
    if embedded is None or embedded.content is None:
        return f"the data URI must hold valid base64; {_SHOWN_GOOD_OCTETS}"
    rule = None if is_private(tag) else _rule(tag)
    if rule and rule.formats and not any(fmt.gaps for fmt in rule.formats) and not rule.vr.endswith("OW"):
        # The routes read the bytes as text there, and none at all for tags (docs/orthanc.md, Values).
        text = embedded.content.decode("latin-1")
        problem = _check_text(rule, text) if text and rule.vr != "AT" else f"must not be bytes in VR {rule.vr}"
        return problem and f"{problem}; write numbers and tags as text"
    of_words = (dictionary_vr(tag) or "").removeprefix("US or ").removeprefix("SS or ") == "OW"
    unit = 2 if of_words or tag & 0xFF00FFFF == _OVERLAY_DATA else 1
    return f"the decoded data must be a multiple of {unit} bytes" if len(embedded.content) % unit else None


def _check_text(rule: _Rule, value: str) -> str | None:
    if not rule.formats:
        return f"must fit VR {rule.vr}: {_SHOWN_GOOD_OCTETS}"
    if "\\" not in value or not rule.formats[0].multiple:
        count = 1
        fits = any(fmt.fits(value) for fmt in rule.formats)
    else:
        values = value.split("\\")
        count = len(values)
        fits = any(all(fmt.fits(text) if text else fmt.gaps for text in values) for fmt in rule.formats)
    if not fits:
        good = " or ".join(fmt.good for fmt in rule.formats)
        return f"must fit VR {rule.vr}: {good}"
    if rule.most is not None and count > rule.most:
        return f"must have at most {rule.most} values, not {count} (a backslash separates values)"
    if count < rule.fewest:
        return f"must have at least {rule.fewest} values, not {count} (a backslash separates values)"
    return None


@lru_cache(maxsize=8192)
def _rule(tag: int) -> _Rule | None:
    """Return the rule for a public tag, None for tags that the dictionary lacks."""
    vr = dictionary_vr(tag)
    if vr is None or vr == "SQ":
        return None
    vrs = vr.split(" or ")
    formats = tuple(VALUE_FORMATS[name] for name in vrs if name in VALUE_FORMATS)
    vm = _VM.fullmatch(dictionary_VM(tag).split(" or ")[0])
    if vm is None or vr in _ARRAYS or not all(fmt.multiple for fmt in formats):
        return _Rule(vr, formats, 1, None)
    fewest = int(vm[1])
    most = fewest if vm[2] is None else None if vm[2].endswith("n") else int(vm[2])
    return _Rule(vr, formats, fewest, most)


def check_path(path: Path) -> str | None:
    """Find a step of a path that is no sequence; Orthanc would silently ignore it (docs/orthanc.md, Tags and paths)."""
    for parent, _ in path.parents:
        if dictionary_vr(parent) not in ("SQ", None):
            return f"a path must lead through sequences, and {describe_tag(parent)} is none"
    return None
