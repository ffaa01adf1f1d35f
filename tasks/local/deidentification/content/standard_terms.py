"""The codes of PS3.16 with the standard's own meanings: such a meaning is nobody's words.

Public names: ``is_standard_scheme``, ``is_standard_term``.
"""

from __future__ import annotations

import csv
import gzip
from functools import lru_cache
from importlib.resources import files
from typing import Final

_TABLES: Final = "deidflow.tasks.local.deidentification.tables"

# Coding schemes of PS3.16 section 8 that are kept by bodies of their own, so that no site can write into them.
_STANDARD_SCHEMES: Final = frozenset(
    [
        "ACR",
        "ASTM-sigpurpose",
        "BARI",
        "BI",
        "CD10",
        "CPT",
        "CTV3",
        "C4",
        "C5",
        "CVX",
        "DCM",
        "FMA",
        "HPC",
        "I10",
        "I10P",
        "I11",
        "I9",
        "I9C",
        "IBSI",
        "ICDO3",
        "ISO3166_1",
        "ISO639_1",
        "ISO639_2",
        "ITIS_TSN",
        "LN",
        "MA",
        "MDC",
        "MDNS",
        "MSH",
        "NCIt",
        "NDC",
        "NEU",
        "NICIP",
        "PATHLEX",
        "PUBCHEM_CID",
        "RADELEMENT",
        "RADLEX",
        "RFC3066",
        "RFC5646",
        "RXNORM",
        "SCPECG",
        "SCT",
        "SNM3",
        "SRT",
        "UBERON",
        "UCUM",
        "UMLS",
        "UNS",
        "UPC",
    ]
)


def is_standard_scheme(designator: str) -> bool:
    """Whether a coding scheme is one of the standard's, not of a vendor or a site (99..., L)."""
    return designator.strip(" ") in _STANDARD_SCHEMES


@lru_cache
def _terms() -> frozenset[tuple[str, str, str]]:
    packed = files(_TABLES).joinpath("terms.csv.gz").read_bytes()
    rows = csv.reader(gzip.decompress(packed).decode("utf-8").splitlines()[1:])
    return frozenset((scheme, value, _compared(meaning)) for scheme, value, meaning in rows)


def is_standard_term(designator: str, value: str, meaning: str) -> bool:
    """Whether the meaning of a code is the standard's own for it, in capitals or not.

    Args:
        designator: Of the coding scheme.
        value: Of the code.
        meaning: As an object has it.

    """
    return (designator.strip(" "), value.strip(" "), _compared(meaning)) in _terms()


def _compared(meaning: str) -> str:
    return " ".join(meaning.casefold().split())
