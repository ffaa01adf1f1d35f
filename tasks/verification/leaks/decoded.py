"""The texts of a result that are not written in ASCII: decoded as their own dataset says, in canonical form.

A name that the source has in one character set may stand in an item of another, in another Unicode form, or in letters
of full width; as bytes they have nothing in common.

Source: DICOM PS3.3 section C.12.1.1.2 and PS3.5 section 6.1 (edition 2026c).

Public names: ``decoded_regions``, ``has_full_width``, ``is_text``,
``holds_more_than_ascii``.
"""

from __future__ import annotations

import re
import warnings
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from pydicom.charset import decode_bytes
from pydicom.valuerep import TEXT_VR_DELIMS

from deidflow.tasks.core.dicom.tags import SPECIFIC_CHARACTER_SET, dictionary_vr
from deidflow.tasks.verification.leaks.identifying import codecs_of
from deidflow.tasks.verification.leaks.letters import canonical
from deidflow.tasks.verification.leaks.regions import Leaf, Region

if TYPE_CHECKING:
    from collections.abc import Iterator

    from deidflow.tasks.verification.reader import Item, Read

_FULL_WIDTH: Final = re.compile(b"\xef[\xbc\xbd]")
"""The first bytes of letters and digits of full width in UTF-8."""
_TEXTS: Final = frozenset("LO LT PN SH ST UC UN UT".split())  # noqa: SIM905 (a list of codes)
_MAX_VALUE_BYTES: Final = 1 << 18
_ESCAPE: Final = b"\x1b"
_UTF_8: Final = "utf-8"


def has_full_width(data: bytes) -> bool:
    """Whether some bytes may hold letters or digits of full width, in UTF-8."""
    return b"\xef" in data and _FULL_WIDTH.search(data) is not None  # a byte by itself is found at once


@lru_cache(maxsize=8192)
def is_text(tag: int, vr: bytes) -> bool:
    """Whether an element may hold text in the character set of its dataset.

    Args:
        tag: Of the element.
        vr: As the file has it, b"" where it says none.

    """
    return (vr.decode("latin-1") or dictionary_vr(tag) or "UN") in _TEXTS


def holds_more_than_ascii(value: bytes) -> bool:
    """Whether a text is not written in ASCII alone."""
    return not value.isascii() or _ESCAPE in value


def decoded_regions(result: Read) -> Iterator[Region]:
    """Yield each text that holds more than ASCII, decoded, without accents and in lower case, in UTF-8.

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
            if holds_more_than_ascii(raw):
                leaf = Leaf(start, end, (*above, tag), vr)
                for text in {canonical(text) for text in _decoded(raw, character_set)}:
                    yield Region(0, text.encode("utf-8", "replace"), in_dataset=True, leaf=leaf)


def _decoded(raw: bytes, character_set: bytes) -> Iterator[str]:
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
        return
