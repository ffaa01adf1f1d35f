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
import json
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pydicom import Dataset, dcmread
from pydicom.dataset import FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian

from benchmarks.planted_texts import Descriptor, Planter
from deidflow.tasks.core.engine.protocol import PlannedInstance
from deidflow.tasks.core.pseudonyms.kept_identifiers import GivenIdentifiers
from deidflow.tasks.core.pseudonyms.new_identifiers import new_identifiers
from deidflow.tasks.core.pseudonyms.original_uids import OriginalUids
from deidflow.tasks.core.pseudonyms.pseudonyms import Key, Pseudonyms
from deidflow.tasks.core.request.profile_choice import Option, ProfileChoice
from deidflow.tasks.core.request.request import Operation, parse_request
from deidflow.tasks.local.deidentification.text.cleaner import TextCleaner
from deidflow.tasks.local.deidentification.text.words import fold, words_of
from deidflow.tasks.local.dicom_file.source_file import SourceFile
from deidflow.tasks.local.folder.index import identify
from deidflow.tasks.local.worker import Compiler, edit_source

if TYPE_CHECKING:
    from collections.abc import Iterable

HERE: Final = Path(__file__).parent
COUNT: Final = 3000
SEED: Final = 2026


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


Clean = Callable[[Descriptor], str]
"""Gives what is left of the text of a descriptor."""


def by_cleaner() -> Clean:
    """Clean the texts alone."""
    cleaner = TextCleaner()
    cleaner.clean("the vocabulary is read before the clock starts")
    return lambda one: cleaner.clean(one.text, one.own.values).text


def by_engine() -> Clean:
    """Clean whole instances, whose StudyComments has the text, with the profile and clean-descriptors."""
    key, choice = Key(bytes(range(32))), ProfileChoice(frozenset({Option.CLEAN_DESCRIPTORS}))
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
