"""Descriptors to clean: protocol names with a planted identifier, or none; the same for the same seed.

Public names: ``Own``, ``Descriptor``, ``Planter``.
"""

from __future__ import annotations

import csv
import random
import re
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from deidflow.tasks.local.deidentification.text.own_values import OwnValues
from deidflow.tasks.local.deidentification.text.words import fold, words_of

if TYPE_CHECKING:
    from collections.abc import Iterator

HERE: Final = Path(__file__).parent
_MONTHS: Final = "January February March April May June July August September October November December".split()  # noqa: SIM905 a list of months reads best so
_STREETS: Final = {
    "en": "{n} Willowbrook Lane, {z} Ashbourne",
    "de": "Birkenfelder Straße {n}, {z} Heidelberg",
    "fr": "{n} rue de Montparnasse, {z} Grenoble",
    "es": "Calle de Alcántara {n}, {z} Zaragoza",
    "ja": "東京都千代田区丸の内{n}-2-1",
}
_PHONES: Final = {
    "en": ("(555) 010-4477", "555-010-4477", "+1 555 010 4477", "Phone: 555 0104"),
    "de": ("06221 560147", "+49 6221 56 0147", "Tel. 06221/56-0147", "0170-5550147"),
    "fr": ("01 55 50 14 77", "+33 1 55 50 14 77", "tél 01.55.50.14.77"),
    "es": ("+34 915 550 147", "Tel: 915550147", "915-550-147"),
    "ja": ("03-5550-0147", "+81 3 5550 0147", "電話 03-5550-0147"),
}


_TRANSCRIBED: Final = {ord(one): two for one, two in zip("äöüßñé", ("ae", "oe", "ue", "ss", "n", "e"), strict=True)}


class Own(NamedTuple):
    """What an instance says of itself.

    Attributes:
        name: PatientName, "" for none.
        number: PatientID, "" for none.

    """

    name: str = ""
    number: str = ""

    @property
    def values(self) -> OwnValues:
        """The same as the cleaner gets it."""
        return OwnValues.of(persons=[self.name], others=[self.number])


class Descriptor(NamedTuple):
    """One text to clean.

    Attributes:
        text: What stands in the attribute.
        name: The protocol name in it.
        kind: What was planted.
        secrets: Folded words none of which may be left.
        own: What the instance says of itself.

    """

    text: str
    name: str
    kind: str
    secrets: frozenset[str]
    own: Own


class Planter:
    """Makes descriptors, the same for the same seed."""

    def __init__(self, seed: int) -> None:
        """Read names of protocols and of persons."""
        self.draw: Final = random.Random(seed)
        lines = (HERE / "protocol_names.txt").read_text(encoding="utf-8").splitlines()
        self.protocols: Final = [line for line in lines if not line.startswith("#")]
        with (HERE / "planted_names.csv").open(encoding="utf-8", newline="") as names:
            self.people: Final = list(csv.DictReader(names))
        self.kinds: Final = {
            "own name": self.own_name,
            "stranger": self.stranger,
            "stranger in context": self.stranger_in_context,
            "own number": self.own_number,
            "date": self.date,
            "telephone": self.telephone,
            "record number": self.record_number,
            "address": self.address,
            "e-mail": self.mail,
            "none": self.nothing,
        }

    def descriptors(self, count: int) -> Iterator[Descriptor]:
        """Yield descriptors, all kinds equally often."""
        makers = list(self.kinds.items())
        for number in range(count):
            kind, make = makers[number % len(makers)]
            name = self.draw.choice(self.protocols)
            planted, secrets, own = make()
            text = self.draw.choice(("{0} {1}", "{1} {0}", "{0}, {1}", "{0} - {1}", "{1}: {0}")).format(name, planted)
            # A word of the protocol's name may be equal to a secret without telling anything.
            harmless = {word.folded for word in words_of(name)} - own.values.words
            yield Descriptor(text if planted else name, name, kind, frozenset(secrets) - harmless, own)

    def person(self, *, strangers: bool = True) -> dict[str, str]:
        """Draw a person; strangers are not called by words of radiology."""
        return self.draw.choice([one for one in self.people if not strangers or one["language"] != "own"])

    def written(self, person: dict[str, str]) -> str:
        """Write a person's name in one of many ways."""
        family, given = person["family"], person["given"]
        if ord(given[0]) > 0x3000:  # noqa: PLR2004 kana and Han
            return self.draw.choice((f"{family}{given}", f"{family} {given}", f"{family}^{given}", f"{family}様"))
        way = self.draw.choice(
            ("{f}", "{g} {f}", "{f}, {g}", "{f}^{g}", "{F}^{G}", "{F}", "{F} {G}", "{i}. {f}", "{f} {i}.", "{f}_{g}")
        )
        return way.format(f=family, g=given, F=family.upper(), G=given.upper(), i=given[0])

    def secrets_of(self, *texts: str) -> set[str]:
        """Return the words of names, without particles."""
        small = {"de", "la", "von", "der", "o", "mc", "del"}
        return {word.folded for text in texts for word in words_of(text) if len(word.folded) > 1} - small | {
            fold(text) for text in texts
        }

    def own_name(self) -> tuple[str, set[str], Own]:
        """Plant the patient's own name, also one that is a word of radiology."""
        person = self.person(strangers=False)
        own = Own(f"{person['family']}^{person['given']}", "PID-77-4412")
        text = self.written(person)
        if self.draw.random() < 0.2:  # noqa: PLR2004 one in five is transcribed
            text = text.translate(_TRANSCRIBED)
        return text, self.secrets_of(person["family"], person["given"], text), own

    def stranger(self) -> tuple[str, set[str], Own]:
        """Plant the name of somebody of whom the instance says nothing."""
        person = self.person()
        return self.written(person), self.secrets_of(person["family"], person["given"]), Own()

    def stranger_in_context(self) -> tuple[str, set[str], Own]:
        """Plant it behind a title or another word that speaks of persons."""
        person = self.person()
        context = self.draw.choice(
            (
                "Dr. {}",
                "Dr {}",
                "for {}",
                "by {}",
                "ref {}",
                "Prof. {}",
                "Frau {}",
                "Herr Dr. {}",
                "Mme {}",
                "Sra. {}",
                "patient {}",
            )
        )
        text = context.format(self.draw.choice((person["family"], self.written(person))))
        return text, self.secrets_of(person["family"], person["given"]), Own()

    def own_number(self) -> tuple[str, set[str], Own]:
        """Plant an identifier that the instance has."""
        number = self.draw.choice(("PID-77-4412", "A4471", "47110815", "4MR1", "77/4412", "0815"))
        text = self.draw.choice((number, number.lower(), f"#{number}", f"({number})"))
        words = {word.folded for word in words_of(number) if any(map(str.isdigit, word.folded))}
        return text, {word for word in words if len(word) > 2}, Own(number=number)  # noqa: PLR2004 77 alone says nothing

    def date(self) -> tuple[str, set[str], Own]:
        """Plant a date in one of ten notations and some more."""
        year, month, day = self.draw.randint(1931, 2026), self.draw.randint(1, 12), self.draw.randint(13, 28)
        name = _MONTHS[month - 1]
        text = self.draw.choice(
            (
                f"{year}-{month:02d}-{day}",
                f"{year}{month:02d}{day}",
                f"{day}.{month:02d}.{year}",
                f"{day}/{month:02d}/{year}",
                f"{month}/{day}/{year % 100:02d}",
                f"{day} {name} {year}",
                f"{name} {day}, {year}",
                f"{day}-{name[:3].upper()}-{year}",
                f"{year}年{month}月{day}日",
                f"{day}. März {year}",
                f"{name[:3]} {year}",
                f"{year}/{month:02d}/{day} 14:32",
                f"{year}{month:02d}{day}143205",
                f"DOB {day}.{month}.{year % 100:02d}",
                f"{day} février {year}",
            )
        )
        digits = {part for part in re.findall(r"\d+", text) if len(part) > 2}  # noqa: PLR2004 days and months alone say nothing
        return text, digits | {"marz", "fevrier"} | ({f"{day}"} if not digits else set()), Own()

    def telephone(self) -> tuple[str, set[str], Own]:
        """Plant a telephone number of one of five countries."""
        text = self.draw.choice(self.draw.choice(list(_PHONES.values())))
        return text, {part for part in re.findall(r"\d+", text) if len(part) > 2} | {"77"}, Own()  # noqa: PLR2004 as above

    def record_number(self) -> tuple[str, set[str], Own]:
        """Plant a number of which the instance says nothing."""
        number = f"{self.draw.randint(10000, 9999999)}"
        short = f"{self.draw.randint(100, 9999)}"
        text = self.draw.choice(
            (
                *(
                    number,
                    f"MRN {short}",
                    f"MRN: {number}",
                    f"ID={short}",
                    f"Acc. No. {short}",
                    f"K{number}",
                    f"Fall {short}",
                ),
                *(
                    f"PAT-{short}-{number[:2]}",
                    f"case {short}",
                    f"123-45-{short.zfill(4)}",
                    f"DNI {number}X",
                    f"XQ{short}Z",
                ),
            )
        )
        secrets = {word.folded for word in words_of(text) if any(map(str.isdigit, word.folded))}
        return text, {word for word in secrets if len(word) > 2}, Own()  # noqa: PLR2004 as above

    def address(self) -> tuple[str, set[str], Own]:
        """Plant a postal address of one of five countries."""
        language = self.draw.choice(list(_STREETS))
        text = _STREETS[language].format(n=self.draw.randint(10, 99), z=self.draw.randint(10000, 99999))
        small = {"de", "rue", "calle", "lane", "strasse"}
        return text, {word.folded for word in words_of(text) if len(word.folded) > 1} - small, Own()

    def mail(self) -> tuple[str, set[str], Own]:
        """Plant an e-mail address or a URL."""
        person = self.person()
        box = (
            fold(f"{person['given'][0]}.{person['family']}").replace(" ", "")
            if person["given"].isascii()
            else "k.tanaka"
        )
        text = self.draw.choice(("{}@klinik-beispiel.example", "{}@mail.example.com", "https://pacs.example.org/p/{}"))
        return text.format(box), {word.folded for word in words_of(box) if len(word.folded) > 1}, Own()

    def nothing(self) -> tuple[str, set[str], Own]:
        """Plant nothing."""
        return "", set(), Own()
