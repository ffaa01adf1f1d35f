"""Write ``vocabulary.txt.gz`` and ``given_names.txt.gz``: what text cleaning keeps, and what it takes for a person.

    pip install pydicom==3.0.2 faker==40.63.0
    python -m deidflow.tasks.local.deidentification.text.make_vocabulary SCOWL FOLDER

Sources:

* the code meanings of PS3.16 and the names and keywords of PS3.6, as pydicom 3.0.2 carries them (MIT licence);
* SCOWL 2020.12.07, the lists ``words`` of sizes 10 to 35, English, American and British (its licence asks for the
  notice in ``README.md``): SCOWL is the folder of these lists, ``/usr/share/dict/scowl`` of Debian's package ``scowl``;
* ``radiology_words.txt``, beside this file, written by hand;
* names of persons in nine languages, from Faker (MIT licence), and SCOWL's ``proper-names`` up to size 50, which are
  taken out.

The standard's terms have names of persons and places, too. A word that they write with a capital only, and that is in
no other list, is taken for one (Hadlock, Bazett); so are the breeds, languages and countries of its context groups. A
word of the standard that is also a name of persons (White, Young, Long) is written with the words that stand beside
it in the standard's own terms, and is kept beside these only. A common word that is also a name is left out, unless the
list written by hand has it.
"""

from __future__ import annotations

import gzip
import importlib
import re
import sys
from collections import defaultdict
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from pydicom._dicom_dict import DicomDictionary
from pydicom.sr import _concepts_dict

from deidflow.tasks.local.deidentification.text.words import fold

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_LOCALES: Final = ("de_DE", "en_GB", "en_US", "es_ES", "es_MX", "fr_FR", "it_IT", "nl_NL", "pl_PL", "pt_PT", "ja_JP")
_MOST_COMMON: Final = (10, 20)
_COMMON: Final = (10, 20, 35)
_PROPER: Final = (35, 40, 50)
_RARE_PROPER: Final = (60, 70, 80, 95)
NO_COMPOUNDS: Final = "# From here on no compounds are made of the words."
_SHORTEST_PART: Final = 3
_OF_PLACES: Final = frozenset({4030, 5000, 5001, 7480, 7481})
"""Context groups of PS3.16: languages, countries, breeds and their registries."""
_WORD: Final = re.compile(r"[^\W\d_]+")
_SHORTEST: Final = 2


def _meanings() -> Iterator[str]:
    concepts: dict[str, Any] = _concepts_dict.concepts
    for scheme in concepts.values():
        for entry in scheme.values():
            yield from (meaning for meaning, groups in entry.values() if _OF_PLACES.isdisjoint(groups))


def _keywords() -> Iterator[str]:
    yield from (name for _, _, name, _, _ in DicomDictionary.values())


def _only_capitalised(terms: Iterable[str]) -> set[str]:
    """Return the words that are written Thus and never thus or THUS."""
    seen: dict[str, set[bool]] = defaultdict(set)
    for term in terms:
        for word in _WORD.findall(term):
            seen[fold(word)].add(word.istitle())
    return {word for word, how in seen.items() if how == {True}}


def _words(text: str) -> list[str]:
    return [word for word in map(fold, _WORD.findall(text)) if len(word) >= _SHORTEST]


def _scowl(folder: Path, kind: str, sizes: tuple[int, ...]) -> set[str]:
    paths = [folder / f"{variant}-{kind}.{size}" for variant in ("english", "american", "british") for size in sizes]
    return {word for path in paths if path.exists() for word in _words(_decoded(path))}


def _decoded(path: Path) -> str:
    """Return a list's text; SCOWL has some in ISO 8859-1."""
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return path.read_text(encoding="iso-8859-1")


def _flat(values: object) -> Iterator[str]:
    if isinstance(values, str):
        yield from _words(values)
    elif isinstance(values, list | tuple | set | frozenset | dict):
        for value in values:
            yield from _flat(value)


def _names(kinds: tuple[str, ...]) -> set[str]:
    found: set[str] = set()
    for locale in _LOCALES:
        provider = importlib.import_module(f"faker.providers.person.{locale}").Provider
        for attribute in dir(provider):
            if attribute.startswith(kinds):
                found.update(_flat(getattr(provider, attribute)))
    return found


def by_hand(text: str) -> set[str]:
    """Return the words written by hand; a line that begins with # says what follows."""
    return {fold(word) for line in text.splitlines() if not line.startswith("#") for word in line.split()}


def _is_compound(word: str, parts: set[str]) -> bool:
    cuts = range(_SHORTEST_PART, len(word) - _SHORTEST_PART + 1)
    return word not in parts and any(word[:cut] in parts and word[cut:] in parts for cut in cuts)


def vocabulary(scowl: Path, hand: set[str], compounds: set[str]) -> Iterator[str]:
    """Yield the lines: ``word``, ``~word`` of radiology that is also a name, ``word another``, ``!word`` (a name)."""
    terms = [_words(term) for term in (*_meanings(), *_keywords())]
    most_common, common = _scowl(scowl, "words", _MOST_COMMON), _scowl(scowl, "words", _COMMON)
    keywords = {word for term in _keywords() for word in _words(term)}
    standard = {word for term in terms for word in term}
    standard -= _only_capitalised(_meanings()) - common - keywords
    beside: dict[str, set[str]] = defaultdict(set)
    for term in terms:
        for one, two in pairwise(term):
            beside[one].add(two)
            beside[two].add(one)
    names = _names(("first_name", "last_name", "last_romanized", "first_romanized"))
    names |= _scowl(scowl, "proper-names", _PROPER) - most_common - hand
    rare = _scowl(scowl, "proper-names", _RARE_PROPER)
    common -= rare - most_common
    yield from (f"!{word}" for word in sorted(names | rare) if _is_compound(word, compounds))
    for word in sorted(standard | common | hand):
        if word not in names:
            yield word
        elif word in hand:
            yield f"~{word}"
        elif word in standard and word in common:
            # Short neighbours (of, in, to) say nothing, and a neighbour that is a name itself would vouch for a name.
            partners = sorted(other for other in beside[word] if len(other) > 3 and other not in names)  # noqa: PLR2004
            if partners:
                yield " ".join((word, *partners))


def _write(path: Path, lines: Iterable[str]) -> None:
    path.write_bytes(gzip.compress("".join(f"{line}\n" for line in lines).encode(), 9, mtime=0))


def main(scowl: str, folder: str) -> None:
    """Write both files into a folder, the same bytes whenever they are made."""
    text = (Path(folder) / "radiology_words.txt").read_text(encoding="utf-8")
    hand = by_hand(text)
    _write(Path(folder) / "vocabulary.txt.gz", vocabulary(Path(scowl), hand, by_hand(text.partition(NO_COMPOUNDS)[0])))
    given = {name for name in _names(("first_name", "first_romanized")) if name.isascii() and name not in hand}
    _write(Path(folder) / "given_names.txt.gz", sorted(given))


if __name__ == "__main__":
    main(*sys.argv[1:])
