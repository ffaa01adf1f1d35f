"""Words that tell nobody by themselves: those of radiology, of the standard, of device names, of everyday English.

The list is that of the cleaner of texts, read as data where it lies; what reads it there is not used. A word that is a
name, too (``hall``), stands in it with the words that make it harmless (``catheter``).

Codes of the standard are nobody's numbers: 113105 is that of an option, and is written into each result.

Public names: ``is_common``, ``is_standard_code``, ``is_harmless_beside``, ``fold``.
"""

from __future__ import annotations

import csv
import gzip
import unicodedata
from functools import lru_cache
from importlib.resources import files
from typing import TYPE_CHECKING, Final

from pydicom._dicom_dict import DicomDictionary

if TYPE_CHECKING:
    from collections.abc import Set as AbstractSet

_MARKS: Final = "~!"
_STANDS_FOR_NOBODY: Final = (
    "anon anonym anonymous anonymized anonymised deidentified deid removed unknown unnamed none null test phantom qa qc"
    " demo patient pat name doctor physician hospital clinic klinik klinikum hopital ospedale ziekenhuis medical center"
    " centre university universitat department street road avenue january february march april may june july august"
    " september october november december jan feb mar apr jun jul aug sep sept oct nov dec monday tuesday wednesday"
    " thursday friday saturday sunday von van der den das des del della the and with for from prof mrs herr frau"
    " deidflow orthanc dicom dcm inc corp gmbh ltd"
)

_BESIDE: Final = {"young": frozenset({"adult", "adults", "age", "child", "children", "men", "women"})}
"""Words that make a name harmless, of names that the vocabulary does not have."""


@lru_cache(maxsize=1)
def _words() -> tuple[frozenset[str], dict[str, frozenset[str]]]:
    """Return the words, and those that are names, too, each with the words that make it harmless."""
    path = files("deidflow.tasks").joinpath("local", "deidentification", "text", "vocabulary.txt.gz")
    words, names = set(_STANDS_FOR_NOBODY.split()), {}
    for line in gzip.decompress(path.read_bytes()).decode("utf-8").splitlines():
        word, _, beside = line.partition(" ")
        if beside:
            names[word.lstrip(_MARKS)] = frozenset(beside.split())
        else:
            words.add(word.lstrip(_MARKS))
    for *_, name, _, keyword in DicomDictionary.values():
        words.update(fold(str(name)).replace("'", " ").replace("-", " ").split() if keyword else ())
    return frozenset(words), names


def fold(text: str) -> str:
    """Return a text in lower case without accents."""
    if text.isascii():
        return text.lower()
    parts = unicodedata.normalize("NFKD", text.casefold())
    return "".join(letter for letter in parts if not unicodedata.combining(letter))


def is_common(word: str) -> bool:
    """Whether a word stands in descriptions of studies without telling anybody."""
    return fold(word) in _words()[0]


@lru_cache(maxsize=1)
def _codes() -> frozenset[str]:
    """Return the codes of PS3.16, of any scheme, that are written in digits."""
    path = files("deidflow.tasks").joinpath("local", "deidentification", "tables", "terms.csv.gz")
    rows = csv.DictReader(gzip.decompress(path.read_bytes()).decode("utf-8").splitlines())
    return frozenset(row["value"] for row in rows if row["value"].isdigit())


def is_standard_code(text: str) -> bool:
    """Whether a number is a code of PS3.16."""
    return text in _codes()


def is_harmless_beside(word: str, others: AbstractSet[str]) -> bool:
    """Whether a name belongs to a term of the standard since one of its words stands beside it.

    Args:
        word: Folded.
        others: The words of the same value, folded.

    """
    beside = _words()[1].get(word, frozenset()) | _BESIDE.get(word, frozenset())
    return not beside.isdisjoint(others)
