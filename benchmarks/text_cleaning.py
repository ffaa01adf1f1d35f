"""How much text cleaning takes out, and how much it leaves: identifiers planted into real protocol names.

    python -m benchmarks.text_cleaning                     # 3,000 descriptors, the figures of docs/text-cleaning.md
    python -m benchmarks.text_cleaning --count 20000 --seed 7 --misses 50
    python -m benchmarks.text_cleaning --engine            # the same through the local engine: whole instances
    python -m benchmarks.text_cleaning --json

Each descriptor is a protocol name (``protocol_names.txt``) with one planted identifier or none. A planted identifier
is left if any part of it that tells somebody apart is a word of the result: a name of two letters or more, a number of
three digits or more, a year, a street. Harmless words are the words of two letters or more in the protocol names.
"""

from __future__ import annotations

import argparse
import csv
import json
import random
import re
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from pydicom import Dataset, dcmread
from pydicom.dataset import FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian

from deidflow.tasks.core.engine.protocol import PlannedInstance
from deidflow.tasks.core.pseudonyms.kept_identifiers import GivenIdentifiers
from deidflow.tasks.core.pseudonyms.new_identifiers import new_identifiers
from deidflow.tasks.core.pseudonyms.original_uids import OriginalUids
from deidflow.tasks.core.pseudonyms.pseudonyms import Key, Pseudonyms
from deidflow.tasks.core.request.profile_choice import CLEAN_DESCRIPTORS, ProfileChoice
from deidflow.tasks.core.request.request import Operation, parse_request
from deidflow.tasks.local.deidentification.text.cleaner import TextCleaner
from deidflow.tasks.local.deidentification.text.own_values import OwnValues
from deidflow.tasks.local.deidentification.text.words import fold, words_of
from deidflow.tasks.local.dicom_file.source_file import SourceFile
from deidflow.tasks.local.folder.index import identify
from deidflow.tasks.local.worker import Compiler, edit_source

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

HERE: Final = Path(__file__).parent
COUNT: Final = 3000
SEED: Final = 2026

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


@dataclass
class Score:
    """What came out."""

    descriptors: int = 0
    planted: Counter[str] = field(default_factory=Counter)
    left: Counter[str] = field(default_factory=Counter)
    harmless: int = 0
    kept: int = 0
    lost_words: Counter[str] = field(default_factory=Counter)
    altered: int = 0
    unplanted: int = 0
    misses: list[str] = field(default_factory=list)
    seconds: float = 0.0

    def as_dict(self) -> dict[str, object]:
        """Return the figures."""
        return {
            "descriptors": self.descriptors,
            "planted": sum(self.planted.values()),
            "planted_left": sum(self.left.values()),
            "planted_by_kind": dict(sorted(self.planted.items())),
            "harmless_words": self.harmless,
            "harmless_kept_percent": round(100 * self.kept / self.harmless, 2),
            "names_altered_percent": round(100 * self.altered / max(self.unplanted, 1), 1),
            "microseconds_each": round(1e6 * self.seconds / self.descriptors),
        }


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


Clean = Callable[[Descriptor], str]
"""Gives what is left of the text of a descriptor."""


def by_cleaner() -> Clean:
    """Clean the texts alone."""
    cleaner = TextCleaner()
    cleaner.clean("the vocabulary is read before the clock starts")
    return lambda one: cleaner.clean(one.text, one.own.values).text


def by_engine() -> Clean:
    """Clean whole instances, whose StudyComments has the text, with the profile and clean-descriptors."""
    key, choice = Key(bytes(range(32))), ProfileChoice(frozenset({CLEAN_DESCRIPTORS}))
    compiler = Compiler(key, "benchmark", GivenIdentifiers(), OriginalUids(), hardening=True, profile=choice)
    request = parse_request(Operation.ANONYMIZE, {"Force": True})
    pseudonyms = Pseudonyms(key, "benchmark", None)

    def clean(one: Descriptor) -> str:
        with SourceFile.of_bytes(_instance(one)) as source:
            original, _ = identify(source, source.scan())
            planned = PlannedInstance(1, b"", source.size, 0, original, new_identifiers(original, request, pseudonyms))
            result = edit_source(source, planned, compiler.compile(request)).to_bytes()
        return str(dcmread(BytesIO(result)).get("StudyComments", ""))

    return clean


def _instance(one: Descriptor) -> bytes:
    """Return an instance that says what a descriptor says of it."""
    dataset = Dataset()
    dataset.SpecificCharacterSet, dataset.SOPClassUID = "ISO_IR 192", CTImageStorage
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID, dataset.SOPInstanceUID = "1.2.3.1", "1.2.3.2", "1.2.3.3"
    dataset.PatientName, dataset.PatientID, dataset.StudyComments = one.own.name, one.own.number, one.text
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    target = BytesIO()
    dataset.save_as(target, enforce_file_format=True)
    return target.getvalue()


def score(descriptors: Iterable[Descriptor], clean: Clean) -> Score:
    """Clean and count."""
    result = Score()
    for one in descriptors:
        start = time.perf_counter()
        cleaned = clean(one)
        result.seconds += time.perf_counter() - start
        result.descriptors += 1
        words = Counter(word.folded for word in words_of(cleaned))
        if one.secrets:
            result.planted[one.kind] += 1
        # Secrets of scripts without blanks may be part of a word.
        left = {
            secret for secret in one.secrets if secret in words or (not secret.isascii() and secret in fold(cleaned))
        }
        if left:
            result.left[one.kind] += 1
            result.misses.append(f"{one.kind}: {one.text!r} -> {cleaned!r}, left: {sorted(left)}")
        if one.kind == "none":
            result.unplanted += 1
            result.altered += cleaned != one.text
        for word in words_of(one.name):
            if sum(map(str.isalpha, word.folded)) < 2 or word.folded in one.own.values.words:  # noqa: PLR2004 a word has two letters
                continue
            result.harmless += 1
            if words[word.folded]:
                words[word.folded] -= 1
                result.kept += 1
            else:
                result.lost_words[word.folded] += 1
    return result


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=COUNT)
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument(
        "--misses", type=int, default=20, metavar="N", help="print N of what was left and what was lost"
    )
    parser.add_argument("--engine", action="store_true", help="clean whole instances as a run does")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    clean = by_engine() if given.engine else by_cleaner()
    result = score(Planter(given.seed).descriptors(given.count), clean)
    if given.json:
        print(json.dumps(result.as_dict()))
        return
    for name, value in result.as_dict().items():
        print(f"{name}: {value}")
    print(f"left, by kind: {dict(result.left)}")
    for miss in result.misses[: given.misses]:
        print(f"  {miss}")
    print(
        "harmless words lost most often:", ", ".join(f"{w} {n}" for w, n in result.lost_words.most_common(given.misses))
    )


if __name__ == "__main__":
    main()
