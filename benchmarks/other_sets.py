"""How many names in character sets that a file does not declare stay in cleaned texts, and are not looked for.

    python -m benchmarks.other_sets                 # 2,000 names of each of ten sets
    python -m benchmarks.other_sets --count 200 --seed 2

Names of three characters (of eight and seven letters) are drawn from each set at random, decoded as Latin-1, as a file
without SpecificCharacterSet is, and put into a text without a blank between family and given name.
"""

from __future__ import annotations

import argparse
import random
from typing import Final, NamedTuple

from deidflow.tasks.local.deidentification.text.cleaner import TextCleaner
from deidflow.tasks.local.deidentification.text.own_values import OwnValues
from deidflow.tasks.verification.leaks.atoms import Sort, atoms_of
from deidflow.tasks.verification.leaks.kinds import Kind
from deidflow.tasks.verification.leaks.patterns import FOLDED


class Letters(NamedTuple):
    """Which characters names are drawn from: all of a codec between two codes, and how many make a name."""

    codec: str
    first: int
    last: int
    family: int = 2
    given: int = 2


SETS: Final = {
    "Shift JIS, usual": Letters("shift_jis", 0x889F, 0x9872),
    "Shift JIS, rare": Letters("shift_jis", 0x989F, 0xEAA4),
    "Shift JIS, kana": Letters("shift_jis", 0x8340, 0x8396, 4, 4),
    "EUC-JP": Letters("euc_jp", 0xB0A1, 0xCFD3),
    "Big5": Letters("big5", 0xA440, 0xC67E, 1),
    "GBK": Letters("gbk", 0xB0A1, 0xD7F9, 1),
    "EUC-KR": Letters("euc_kr", 0xB0A1, 0xC8FE, 1),
    "cp949, rare": Letters("cp949", 0x8141, 0xA0FE, 1),
    "cp866": Letters("cp866", 0x80, 0xEF, 8, 7),
    "KOI8-R": Letters("koi8_r", 0xC0, 0xFF, 8, 7),
}


def characters(letters: Letters) -> list[bytes]:
    """Return the characters of a set that are letters."""
    found = []
    for code in range(letters.first, letters.last + 1):
        data = code.to_bytes(2 if code > 0xFF else 1)  # noqa: PLR2004 (a byte)
        text = data.decode(letters.codec, "ignore")
        if len(text) == 1 and text.isalpha():
            found.append(data)
    return found


def is_looked_for(name: bytes) -> bool:
    """Whether a part of a name, family and given name side by side, is one that the search knows."""
    plain = name.replace(b"^", b"").translate(FOLDED)
    return any(
        atom.text.encode("latin-1").translate(FOLDED) in plain
        for atom in atoms_of(Kind.PERSON, name.decode("latin-1"))
        if atom.sort in {Sort.WORD, Sort.AS_WRITTEN}
    )


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=2000, help="names of each set (default: 2000)")
    parser.add_argument("--seed", type=int, default=1, help="draws others (default: 1)")
    arguments = parser.parse_args()
    dice, cleaner = random.Random(arguments.seed), TextCleaner()
    print(f"{'of ' + str(arguments.count):20}{'stays in part':>14}{'not looked for':>16}")
    sums = [0, 0]
    for called, letters in SETS.items():
        known = characters(letters)
        left = missed = 0
        for _ in range(arguments.count):
            family, given = (b"".join(dice.choices(known, k=size)) for size in (letters.family, letters.given))
            own = OwnValues.of(persons=[b"^".join((family, given)).decode("latin-1")])
            text = cleaner.clean(f"CT thorax {(family + given).decode('latin-1')} nativ", own).text
            left += not set(text.replace("\\", " ").split()) <= {"CT", "thorax", "nativ"}
            missed += not is_looked_for(family + b"^" + given)
        print(f"{called:20}{left:14}{missed:16}")
        sums = [sums[0] + left, sums[1] + missed]
    total = arguments.count * len(SETS)
    print(f"{'all':20}{100 * sums[0] / total:12.2f} %{100 * sums[1] / total:14.2f} %")


if __name__ == "__main__":
    main()
