"""Whether bytes that equal a part of an identifying value are that value left, or stand there by chance.

Public names: ``Hit``, ``is_left``.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple

from deidflow.tasks.core.dicom.tags import dictionary_vr
from deidflow.tasks.verification.fates import Fate
from deidflow.tasks.verification.leaks.atoms import Atom, Sort
from deidflow.tasks.verification.leaks.common_words import fold, is_harmless_beside
from deidflow.tasks.verification.leaks.kinds import NUMERIC, STRUCTURED

if TYPE_CHECKING:
    from deidflow.tasks.verification.leaks.regions import Leaf

_MIN_IN_BINARY: Final = 6
"""Of a megabyte of any bytes, one in a million holds a given word of six letters."""
_MIN_DIGITS_IN_BINARY: Final = 8
_CJK: Final = "\u2e80"
_LETTERS: Final = frozenset(b"abcdefghijklmnopqrstuvwxyz") | frozenset(range(0x80, 0x100))
_DIGITS: Final = frozenset(b"0123456789")
_POINTS: Final = frozenset(b".")
_NUMBERS: Final = frozenset({Sort.NUMBER, Sort.DATE, Sort.TIME})
_OF_THEIR_OWN_SORT: Final = frozenset({*_NUMBERS, Sort.AGE})
_GONE: Final = frozenset({Fate.REMOVED, Fate.EMPTIED, Fate.DUMMY})
_WORDS: Final = re.compile(r"[^\W\d_]+")
_BINARY: Final = frozenset("OB OD OF OL OV OW FD FL SL SS SV UL US UV".split())  # noqa: SIM905 (a list of codes)


class Hit(NamedTuple):
    """Bytes that equal a pattern.

    Attributes:
        pattern: Folded, as it was searched for.
        start: Where they begin, in the file or in the dataset.
        end: Where they end.
        wide: Whether they are characters of 16 bits.
        leaf: The element whose value holds them; None where they stand between elements.

    """

    pattern: bytes
    start: int
    end: int
    wide: bool
    leaf: Leaf | None


def is_left(atom: Atom, hit: Hit, fate: Fate, before: bytes, after: bytes, value: bytes) -> bool:
    """Judge a hit.

    Args:
        atom: Part of an identifying value that the pattern stands for.
        hit: Where it was found.
        fate: What the profile lets become of the element that it is in; FREE elsewhere.
        before: Folded bytes of the value before the hit; the last few are enough.
        after: Folded bytes behind it.
        value: The element's whole value, folded; b"" where that is long.

    """
    if not _may_mean_it(atom, hit, fate):
        return False
    if atom.text[:1] >= _CJK:
        return True
    if hit.wide:
        before, after = before[-2:].strip(b"\0"), after[:3].strip(b"\0")
    last, first = before[-1:], after[:1]
    if atom.sort is Sort.WORD:
        if set(last + first) & _LETTERS:
            return False
        others = frozenset(_WORDS.findall(value.decode("latin-1"))) - {atom.text}
        return not is_harmless_beside(fold(atom.text), others)
    if atom.sort is Sort.PHRASE:
        own_first, own_last = hit.pattern[0], hit.pattern[-1]
        joined = (own_first in _LETTERS and set(last) & _LETTERS) or (own_last in _LETTERS and set(first) & _LETTERS)
        runs_on = (own_first in _DIGITS and set(last) & _DIGITS) or (own_last in _DIGITS and set(first) & _DIGITS)
        return not joined and not runs_on
    return not _is_within_number(atom, before, after)


def _may_mean_it(atom: Atom, hit: Hit, fate: Fate) -> bool:
    """Whether such a value can stand in such a place."""
    if hit.leaf is None:
        return len(hit.pattern) >= _MIN_IN_BINARY
    vr = hit.leaf.vr.decode("latin-1")
    if vr in {"", "UN"}:
        vr = (dictionary_vr(hit.leaf.path[-1]) or "UN").split(" or ")[-1]
    if vr in _BINARY:
        digits = atom.sort in _NUMBERS
        return atom.sort is not Sort.AGE and len(hit.pattern) >= (_MIN_DIGITS_IN_BINARY if digits else _MIN_IN_BINARY)
    if vr in NUMERIC:
        return atom.sort not in _OF_THEIR_OWN_SORT
    if vr in STRUCTURED and atom.sort in _OF_THEIR_OWN_SORT:
        return fate in _GONE and vr != "UI"
    return True


def _is_within_number(atom: Atom, before: bytes, after: bytes) -> bool:
    """Whether digits go on, or letters, or a decimal point with digits."""
    last, first = set(before[-1:]), set(after[:1])
    own = _DIGITS | _LETTERS if atom.sort is not Sort.DATE else _DIGITS
    if last & own or first & own:
        return True
    if last & _POINTS and set(before[-2:-1]) & _DIGITS:
        return True
    # The fraction of a time goes with it.
    return atom.sort is not Sort.TIME and bool(first & _POINTS) and bool(set(after[1:2]) & _DIGITS)
