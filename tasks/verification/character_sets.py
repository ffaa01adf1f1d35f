"""Texts decoded as their dataset says, or as it should have said.

Public names: ``decoded``, ``codecs_of``, ``national_codecs``, ``told_by_escapes``.
"""

from __future__ import annotations

import re
import warnings
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from pydicom.charset import convert_encodings, decode_bytes

if TYPE_CHECKING:
    from collections.abc import Set as AbstractSet

_NATIONAL: Final = tuple(
    (re.compile(letters), tuple(codecs.split()))
    for letters, codecs in (
        ("[\u3041-\u30ff\u4e00-\u9fff\uff66-\uff9d]", "cp932 euc_jp iso2022_jp"),
        ("[\u4e00-\u9fff]", "gb18030 cp950"),
        ("[\uac00-\ud7a3]", "cp949"),
        ("[\u0400-\u04ff]", "cp1251 koi8_r cp866 iso8859_5"),
        ("[\u0370-\u03ff]", "cp1253 iso8859_7"),
        ("[\u0590-\u05ff]", "cp1255"),
        ("[\u0600-\u06ff]", "cp1256 iso8859_6"),
        ("[\u0e00-\u0e7f]", "cp874"),
        ("[\xc0-\xff]", "cp850"),
        ("[\u0100-\u017f]", "cp1250 iso8859_2 cp852 cp1252 cp1254"),
    )
)
_ESCAPE: Final = re.compile(rb"\x1b[$()]")
"""What begins an escape sequence of the sets below; terminals and printers have others."""
_EXTENDED: Final = b"ISO 2022 "
_ALL_WITH_ESCAPES: Final = b"\\".join(
    (b"", *(_EXTENDED + name for name in (b"IR 13", b"IR 87", b"IR 159", b"IR 149", b"IR 58")))
)
_MAY_BE_UTF_8: Final = frozenset({b"", b"ISO_IR 6", b"ISO 2022 IR 6", b"ISO_IR 100", b"ISO 2022 IR 100"})


def decoded(raw: bytes, declared: bytes, delimiters: AbstractSet[int]) -> str:
    """Return a text; as UTF-8 where it is that and declared as Latin-1 or less, as much software labels it.

    Hardly any text in Latin-1 is UTF-8 by chance.

    Args:
        raw: Its bytes.
        declared: The value of SpecificCharacterSet that counts for it, b"" for none; where it does not fit, Latin-1.
        delimiters: Characters behind which a text is in the first character set again (PS3.5 section 6.1.2.5.3).

    """
    declared = told_by_escapes(raw, declared)
    if declared in _MAY_BE_UTF_8 and not raw.isascii():
        try:
            return raw.decode("utf-8")
        except UnicodeDecodeError:
            pass
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return decode_bytes(raw, codecs_of(declared), set(delimiters))
    except (LookupError, ValueError):
        return raw.decode("latin-1")


def told_by_escapes(raw: bytes, declared: bytes) -> bytes:
    """Return the SpecificCharacterSet of a text: escape sequences tell it where none is declared that has any.

    Source: PS3.5 section 6.1.2.5 (edition 2026d); devices write them with no set, or Latin-1, declared.
    """
    has_escapes = _EXTENDED not in declared.partition(b"\\")[2] and _ESCAPE.search(raw) is not None
    return _ALL_WITH_ESCAPES if has_escapes else declared


@lru_cache(maxsize=64)
def codecs_of(declared: bytes) -> tuple[str, ...]:
    """Return Python's codecs for the values of SpecificCharacterSet."""
    names = [name.strip() for name in declared.decode("latin-1").split("\\")]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return tuple(convert_encodings(names))
        except (LookupError, ValueError):
            return ("latin-1",)


def national_codecs(text: str) -> set[str]:
    """Return Python's codecs in which software of the countries with such letters writes, whatever a file declares."""
    return {codec for letters, codecs in _NATIONAL if letters.search(text) for codec in codecs}
