"""Texts in UTF-8 whose dataset declares no character set, or Latin-1, as much software labels it.

Public names: ``as_utf_8``.
"""

from __future__ import annotations

from typing import Final

_MAY_BE_UTF_8: Final = frozenset({b"", b"ISO_IR 6", b"ISO 2022 IR 6", b"ISO_IR 100", b"ISO 2022 IR 100"})


def as_utf_8(raw: bytes, declared: bytes) -> str | None:
    """Return a text read as UTF-8; hardly any text in Latin-1 is UTF-8 by chance.

    Args:
        raw: Its bytes.
        declared: The value of SpecificCharacterSet that counts for it, b"" for none.

    Returns:
        None where another character set is declared, or it is no UTF-8, or ASCII alone.

    """
    if declared not in _MAY_BE_UTF_8 or raw.isascii():
        return None
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return None
