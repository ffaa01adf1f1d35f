"""Write ``terms.csv.gz``: the codes of PS3.16 with their meanings.

    pip install pydicom==3.0.2
    python -m deidflow.tasks.local.deidentification.tables.make_terms FOLDER

Source: the concepts of PS3.16 as pydicom 3.0.2 carries them (MIT licence); codes that are also known by their older
values (SRT) stand under both. Beside them the languages of reports, which pydicom lacks. Left out are meanings with a
number of five digits or more, which no text may have.
"""

from __future__ import annotations

import csv
import gzip
import io
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from pydicom.sr import _concepts_dict, _snomed_dict

if TYPE_CHECKING:
    from collections.abc import Iterator

_LONG_NUMBER: Final = re.compile(r"\d{5}")
_OF_LANGUAGES: Final = ("RFC5646", "RFC3066", "ISO639_1", "ISO639_2")
_LANGUAGES: Final = (
    "ar ara Arabic;cs ces Czech;da dan Danish;de deu German;el ell Greek;en eng English;es spa Spanish;fi fin Finnish;"
    "fr fra French;he heb Hebrew;hi hin Hindi;hu hun Hungarian;it ita Italian;ja jpn Japanese;ko kor Korean;"
    "nl nld Dutch;no nor Norwegian;pl pol Polish;pt por Portuguese;ru rus Russian;sv swe Swedish;th tha Thai;"
    "tr tur Turkish;uk ukr Ukrainian;zh zho Chinese"
)
"""Code of two letters, of three, and name: languages in which reports are written (PS3.16 TID 1204; ISO 639)."""


def _terms() -> Iterator[tuple[str, str, str]]:
    """Yield scheme, value and meaning."""
    concepts: dict[str, Any] = _concepts_dict.concepts
    older: dict[str, list[str]] = {}
    for value, newer in _snomed_dict.mapping["SRT"].items():
        older.setdefault(newer, []).append(value)
    for scheme, entries in concepts.items():
        for entry in entries.values():
            for value, (meaning, _) in entry.items():
                yield scheme, value, meaning
                if scheme == "SCT":
                    yield from (("SRT", one, meaning) for one in older.get(value, ()))
    for language in _LANGUAGES.split(";"):
        *values, meaning = language.split()
        yield from ((scheme, value, meaning) for scheme in _OF_LANGUAGES for value in values)


def main(folder: str) -> None:
    """Write the file into a folder, the same bytes whenever it is made."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("scheme", "value", "meaning"))
    writer.writerows(sorted({term for term in _terms() if not _LONG_NUMBER.search(term[2])}))
    (Path(folder) / "terms.csv.gz").write_bytes(gzip.compress(text.getvalue().encode(), 9, mtime=0))


if __name__ == "__main__":
    main(*sys.argv[1:])
