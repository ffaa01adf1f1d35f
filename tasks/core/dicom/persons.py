"""Whether objects with one PatientID are of one person, by the attributes that people recognise a person by.

Two hospitals number their patients independently, and numbers are mistyped: what then shares a PatientID is merged by
everything that goes by it. Names are compared forgivingly, since one person's are written in many ways.

Public names: ``Person``, ``differing``, ``is_same_name``, ``is_same_number``.
"""

from __future__ import annotations

import json
import re
import unicodedata
from typing import TYPE_CHECKING, Final, NamedTuple, Self

if TYPE_CHECKING:
    from collections.abc import Iterable

_WORDS: Final = re.compile(r"[^\W_]+")


class Person(NamedTuple):
    """What an object says of its patient; each may be "".

    Attributes:
        name: PatientName.
        birth_date: PatientBirthDate.
        sex: PatientSex.
        issuer: IssuerOfPatientID.

    """

    name: str = ""
    birth_date: str = ""
    sex: str = ""
    issuer: str = ""

    def to_text(self) -> str:
        """Return it as one text, "" when nothing is said."""
        return json.dumps(self, ensure_ascii=False) if any(self) else ""

    @classmethod
    def from_text(cls, text: str) -> Self:
        """Return what ``to_text`` was made from."""
        return cls(*json.loads(text)) if text else cls()


def differing(texts: Iterable[str]) -> list[str]:
    """Return the keywords of the attributes in which they contradict each other.

    Blanks around and between, the case, empty components at the end, and the ideographic and phonetic groups of a name
    (PS3.5 6.2.1.2, edition 2026d) tell no person from another, and neither does what is not given.

    Args:
        texts: Of ``Person.to_text``.

    >>> differing([Person("Doe^Jane").to_text(), Person("DOE^JANE^^ ", "19500101").to_text()])
    []
    >>> differing([Person("Doe^Jane", issuer="A").to_text(), Person("Roe^Jane", issuer="B").to_text()])
    ['PatientName', 'IssuerOfPatientID']
    """
    persons = [Person.from_text(text) for text in texts]
    found = []
    if _names_differ([person.name for person in persons]):
        found.append("PatientName")
    for keyword, values in (
        ("PatientBirthDate", {person.birth_date for person in persons}),
        ("PatientSex", {person.sex for person in persons}),
        ("IssuerOfPatientID", {person.issuer for person in persons}),
    ):
        if len({_plain(value) for value in values} - {""}) > 1:
            found.append(keyword)
    return found


def _names_differ(names: Iterable[str]) -> bool:
    components: list[set[str]] = []
    for name in names:
        for place, component in enumerate(name.split("=")[0].split("^")):
            if place == len(components):
                components.append(set())
            components[place].add(_plain(component))
    return any(len(values - {""}) > 1 for values in components)


def _plain(text: str) -> str:
    return " ".join(text.replace("\0", " ").split()).casefold()


def is_same_name(name: str, other: str) -> bool:
    """Whether two texts spell one name, in whatever order and punctuation.

    Of the alphabetic, ideographic and phonetic groups (PS3.5 6.2.1.2, edition 2026d) one is enough.

    Args:
        name: Value of PatientName; "" is nobody's.
        other: Likewise, or any text.

    >>> is_same_name("Doe^Jane", " DOE, Jane^^")
    True
    >>> is_same_name("Doe^Jane", "Doe^John")
    False
    """
    return not _spelled(name).isdisjoint(_spelled(other))


def _spelled(name: str) -> set[tuple[str, ...]]:
    groups = (_WORDS.findall(unicodedata.normalize("NFKC", group).casefold()) for group in name.split("="))
    return {tuple(sorted(words)) for words in groups if words}


def is_same_number(number: str, other: str) -> bool:
    """Whether two texts are one PatientID for people: blanks around it and case tell nothing (PS3.5 6.2, 2026d).

    Args:
        number: Value of PatientID; "" is nobody's.
        other: Likewise, or any text.

    >>> is_same_number("AB-12", " ab-12")
    True
    """
    return bool(_plain(number)) and _plain(number) == _plain(other)
