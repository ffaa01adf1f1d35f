"""Text in the character set of a dataset, without ever losing a character.

Orthanc (1.10.1 to 1.13.0) drops characters that the set lacks; here they are an error of the instance.
Source: DICOM PS3.3 C.12.1.1.2 (defined terms), PS3.5 section 6.1 (edition 2026c); codecs by pydicom.

Public names: ``CharacterSet``, ``character_set``, ``given_character_set``, ``DEFAULT``.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from pydicom.charset import convert_encodings, decode_bytes, encode_string, python_encoding
from pydicom.valuerep import PersonName

from deidflow.tasks.core.errors import InstanceFailed
from deidflow.tasks.core.outcomes import ReasonCode
from deidflow.tasks.local.dicom_file.identifier_text import patient_id_text

_ESCAPE: Final = 0x1B
_PN_DELIMITERS: Final = {0x5E, 0x3D, 0x5C}
_TEXT_DELIMITERS: Final = {0x0D, 0x0A, 0x09, 0x0C, 0x5C}

_SINGLE_BYTE: Final = frozenset(
    {"latin_1", "iso8859_2", "iso8859_3", "iso8859_4"}
    | {f"iso_ir_{number}" for number in (126, 127, 138, 144, 148, 166)}
)
"""pydicom's names of the parts of ISO 8859 that follow an escape sequence."""

_DEFAULT_REPERTOIRE: Final = frozenset({"", "ISO_IR 6", "ISO 2022 IR 6"})
"""First values that stand for ASCII where code extensions are declared (PS3.3 C.12.1.1.2)."""

_MAY_BE_UTF_8: Final = frozenset({(), *((term,) for term in (*_DEFAULT_REPERTOIRE, "ISO_IR 100", "ISO 2022 IR 100"))})
"""ASCII alone, and Latin-1: much software labels UTF-8 so, and what can be UTF-8 is hardly any text in Latin-1."""

_KNOWN_CODECS: Final = frozenset(python_encoding.values())
"""Of the defined terms; pydicom also takes the name of any codec of Python for a term (punycode, unicode_escape)."""

_MAX_TERMS_BYTES: Final = 1024
"""All defined terms together have less."""


@dataclass(frozen=True, slots=True)
class CharacterSet:
    """The value of SpecificCharacterSet, with the codecs that go with it.

    Attributes:
        terms: The element's values; () when it is absent or empty.
        codecs: Python's codecs for them; "ascii" and "iso8859" among others.

    """

    terms: tuple[str, ...]
    codecs: tuple[str, ...]

    def encode(self, text: str, *, is_person_name: bool = False) -> bytes:
        """Encode text, with escape sequences where the set is multi-valued (ISO 2022).

        Raises:
            InstanceFailed: The set lacks one of the characters.

        """
        if text.isascii():
            return text.encode("ascii")
        try:
            if len(self.codecs) == 1:
                return text.encode(self.codecs[0])
            for codecs in self._orders_to_try():
                encoded = _encode_extended(text, codecs, is_person_name=is_person_name)
                if self.decode(encoded, is_person_name=is_person_name) == text:
                    return encoded
        except (UnicodeError, LookupError):
            pass
        message = "a new value has characters that the file's SpecificCharacterSet lacks"
        raise InstanceFailed(ReasonCode.CHARACTER_SET, message)

    def _orders_to_try(self) -> list[tuple[str, ...]]:
        """Return the codecs as pydicom is to try them."""
        if self.codecs[0] != "ascii":
            return [self.codecs]
        # pydicom returns to ASCII behind a value, as PS3.5 6.1.2.5.3 asks, only when the first codec is Latin-1. That
        # takes characters of Latin-1 from the other parts of ISO 8859, which need no return: they leave G0 alone.
        orders = [("iso8859", *self.codecs[1:])]
        if _SINGLE_BYTE.issuperset(self.codecs[1:]):
            orders.append(self.codecs)
        return orders

    def decode_patient_id(self, data: bytes, *, is_padded: bool = True) -> str:
        """Decode a PatientID as an Orthanc does (``identifier_text``).

        Args:
            data: The whole value. Blanks at its end are padding, but not where its length is odd, which DCMTK makes
                even with a NUL first; it ends at a NUL.
            is_padded: False for bytes of an unknown VR, which have no padding.

        """
        if is_padded and len(data) % 2 == 0:
            data = data.rstrip(b" ")
        return patient_id_text(self.terms, data.split(b"\0", 1)[0])

    def knows(self, data: bytes) -> bool:
        """Whether the set knows all bytes of a text, so that nothing is dropped when it is decoded."""
        if data.isascii() and _ESCAPE not in data:
            return True
        if self.terms in _MAY_BE_UTF_8 and _is_utf_8(data):
            return False  # what is left of it could not be written as the rest of the file is
        try:
            if len(self.codecs) == 1:
                data.decode(self.codecs[0])
            else:
                with warnings.catch_warnings():
                    warnings.simplefilter("error")
                    decode_bytes(data, list(self.codecs), _TEXT_DELIMITERS)
        except (UnicodeError, LookupError, UserWarning):
            return False
        return True

    def decode(self, data: bytes, *, is_person_name: bool = False) -> str:
        """Decode text, as UTF-8 where declared as Latin-1 or less; bytes that the set does not know are dropped."""
        if data.isascii() and _ESCAPE not in data:
            return data.decode("ascii")
        if self.terms in _MAY_BE_UTF_8 and _is_utf_8(data):
            return data.decode("utf-8")
        try:
            if len(self.codecs) == 1:
                return data.decode(self.codecs[0], "ignore")
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                return decode_bytes(data, list(self.codecs), _PN_DELIMITERS if is_person_name else _TEXT_DELIMITERS)
        except (UnicodeError, LookupError):
            return data.decode("latin-1")


def _is_utf_8(data: bytes) -> bool:
    """Whether bytes that are not ASCII can be UTF-8: in other character sets hardly any text is by chance."""
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return not data.isascii()


def _encode_extended(text: str, codecs: tuple[str, ...], *, is_person_name: bool) -> bytes:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pydicom warns where the caller refuses
        if is_person_name:
            return b"\\".join(PersonName(part).encode(codecs) for part in text.split("\\"))
        return b"\\".join(encode_string(part, codecs) for part in text.split("\\"))


def character_set(raw: bytes) -> CharacterSet:
    """Read the value of SpecificCharacterSet; absent, empty and unknown ones are Latin-1, Orthanc's default."""
    return _character_set(raw) if len(raw) <= _MAX_TERMS_BYTES else DEFAULT


@lru_cache(maxsize=256)
def _character_set(raw: bytes) -> CharacterSet:
    text = raw.decode("ascii", "replace").strip(" \0")
    terms = tuple(term.strip() for term in text.split("\\")) if text else ()
    if terms == ("ISO_IR 6",):
        return CharacterSet(terms, ("ascii",))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            codecs = tuple(convert_encodings(list(terms) or None))
    except (LookupError, ValueError):  # unknown, or no name of anything, such as one with a NUL in it
        codecs = ("iso8859",)
    if not _KNOWN_CODECS.issuperset(codecs):
        codecs = ("iso8859",)
    if len(codecs) > 1 and terms[0] in _DEFAULT_REPERTOIRE:
        # pydicom reads the default repertoire as Latin-1, whose upper half would be undeclared here.
        codecs = ("ascii", *codecs[1:])
    return CharacterSet(terms, codecs)


DEFAULT: Final = _character_set(b"")


def given_character_set(value: object) -> CharacterSet:
    """Return what a new value of SpecificCharacterSet declares; items declare nothing."""
    return character_set(value.encode("ascii", "replace") if isinstance(value, str) else b"")
