"""The texts of a result that are not written in ASCII: decoded as their own dataset says, in canonical form.

A name that the source has in one character set may stand in an item of another, in another Unicode form, in letters
of full width, or as an address writes it (%C3%BC); as bytes they have nothing in common.

Source: DICOM PS3.3 section C.12.1.1.2, PS3.5 section 6.1 and 6.2 (UR; edition 2026c); RFC 3986 section 2.1.

Public names: ``decoded_regions``, ``is_text``, ``needs_decoding``.
"""

from __future__ import annotations

import re
import warnings
from functools import lru_cache
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote_to_bytes

from pydicom.charset import decode_bytes
from pydicom.valuerep import TEXT_VR_DELIMS

from deidflow.tasks.core.dicom.tags import SPECIFIC_CHARACTER_SET, dictionary_vr
from deidflow.tasks.verification.character_sets import codecs_of, told_by_escapes
from deidflow.tasks.verification.leaks.letters import canonical, two_letters
from deidflow.tasks.verification.leaks.regions import Leaf, Region

if TYPE_CHECKING:
    from collections.abc import Iterator

    from deidflow.tasks.verification.reader import Item, Read

_PERCENT: Final = re.compile(b"%[0-9A-Fa-f]{2}")
_TEXTS: Final = frozenset("LO LT PN SH ST UC UN UR UT".split())  # noqa: SIM905 (a list of codes)
_SAYS_TEXT: Final = frozenset(vr.encode("ascii") for vr in _TEXTS - {"UN"})
_CONTROLS: Final = bytes({*range(1, 0x20), 0x7F} - set(b"\t\n\f\r\x1b"))
"""What stands in no text; NUL pads some."""
_MAX_VALUE_BYTES: Final = 1 << 18
_ESCAPE: Final = b"\x1b"
_UTF_8: Final = "utf-8"


def _is_quoted(data: bytes) -> bool:
    return b"%" in data and _PERCENT.search(data) is not None


@lru_cache(maxsize=8192)
def is_text(tag: int, vr: bytes) -> bool:
    """Whether an element may hold text in the character set of its dataset.

    Args:
        tag: Of the element.
        vr: As the file has it, b"" where it says none.

    """
    return (vr.decode("latin-1") or dictionary_vr(tag) or "UN") in _TEXTS


def needs_decoding(value: bytes) -> bool:
    """Whether a text is not written in ASCII alone, each letter as itself."""
    return not value.isascii() or _ESCAPE in value or _is_quoted(value)


def decoded_regions(result: Read) -> Iterator[Region]:
    """Yield each text that is to be decoded: in lower case, without accents and with umlauts as two letters, in UTF-8.

    Args:
        result: As far as it was read.

    """
    yield from _of_dataset(result, result.elements, (), b"")


def _of_dataset(result: Read, elements: Item, above: tuple[int, ...], character_set: bytes) -> Iterator[Region]:
    for tag, vr, start, end, items in elements:
        if items is not None:
            for item in items:
                yield from _of_dataset(result, item, (*above, tag), character_set)
        elif tag == SPECIFIC_CHARACTER_SET:
            character_set = result.value(start, end).strip(b" \0")
        elif is_text(tag, vr) and 1 < end - start <= _MAX_VALUE_BYTES:
            raw = result.value(start, end)
            if needs_decoding(raw) and (vr in _SAYS_TEXT or not _is_binary(raw)):
                leaf = Leaf(start, end, (*above, tag), vr)
                written = {raw, unquote_to_bytes(raw)} if _is_quoted(raw) else {raw}
                texts = {text for one in written for text in _decoded(one, character_set)}
                for text in {form(text) for text in texts for form in (canonical, two_letters)}:
                    yield Region(0, text.encode("utf-8", "replace"), in_dataset=True, leaf=leaf)


def _is_binary(raw: bytes) -> bool:
    """Whether a value of unknown kind is no text: without accents, any bytes would make up any short name."""
    return len(raw.translate(None, _CONTROLS)) < len(raw)


def _decoded(raw: bytes, character_set: bytes) -> Iterator[str]:
    character_set = told_by_escapes(raw, character_set)
    if character_set:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                yield decode_bytes(raw, codecs_of(character_set), TEXT_VR_DELIMS)
        except (LookupError, ValueError):
            pass
    try:
        yield raw.decode(_UTF_8)
    except UnicodeDecodeError:
        if not character_set:
            yield raw.decode("latin-1")
