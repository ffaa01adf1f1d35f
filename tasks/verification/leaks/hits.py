"""Whether bytes that equal a part of an identifying value are that value left, or stand there by chance.

Public names: ``Hit``, ``is_left``.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple

from deidflow.tasks.core.dicom.tags import dictionary_vr
from deidflow.tasks.verification.fates import Fate
from deidflow.tasks.verification.leaks.atoms import Atom, Sort
from deidflow.tasks.verification.leaks.common_words import fold, is_harmless_beside, is_standard_code
from deidflow.tasks.verification.leaks.kinds import NUMERIC, STRUCTURED
from deidflow.tasks.verification.leaks.letters import begins_with_letter, ends_in_letter

if TYPE_CHECKING:
    from deidflow.tasks.verification.leaks.regions import Leaf

_CODE_VALUE: Final = 0x00080100
_MIN_IN_BINARY: Final = 6
"""Of a megabyte of any bytes, one in a million holds a given word of six letters."""
_MIN_CLOCK_IN_BINARY: Final = 8
"""Of dates and times, which tables of numbers hold as well."""
_MIN_WHATEVER_BESIDE: Final = 8
"""Characters of what is itself wherever it stands in bytes that are no text."""
_CJK: Final = "\u2e80"
_LETTERS_OF_ANY_CASE: Final = frozenset(b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ") | frozenset(
    range(0x80, 0x100)
)
_NUMBERS: Final = frozenset({Sort.NUMBER, Sort.PHONE, Sort.DATE, Sort.TIME})
_CLOCK: Final = frozenset({Sort.DATE, Sort.TIME})
_OF_THEIR_OWN_SORT: Final = frozenset({*_NUMBERS, Sort.AGE})
_GONE: Final = frozenset({Fate.REMOVED, Fate.EMPTIED, Fate.DUMMY})
_WORDS: Final = re.compile(r"[^\W\d_]+")
_BINARY: Final = frozenset("OB OD OF OL OV OW FD FL SL SS SV UL US UV".split())  # noqa: SIM905 (a list of codes)
_MIN_CAMEL: Final = 4
_TIME_BEHIND: Final = re.compile(rb"(?:[01]\d|2[0-3])[0-5]\d(?:[0-5]\d)?(?!\d)")
_PREFIX: Final = re.compile(rb"(?<!\d)(?:\+|00)?\d{0,3}[-_./ ()]{0,3}(?:\(?0\)?)?[-_./ ()]{0,3}\d{0,3}[-_./ ()]{0,3}$")
"""Country code and trunk prefix before a telephone number."""
_NUMBER: Final = re.compile(rb"[-+]?\d*\.?\d*(?:[eE][-+]?\d+)?")
_WRITTEN: Final = {"DS": _NUMBER, "IS": _NUMBER, "UI": re.compile(rb"[\d.]+")}
_ANY_DATE: Final = re.compile(rb"[-\d.:/+ ]+[DWMYdwmy]?")
"""How numbers, UIDs, dates, times and ages are written: what is not has no business there, and is no coincidence."""
_MIN_ANYWHERE: Final = 6
"""Digits of a number that is itself between letters."""


class Hit(NamedTuple):
    """Bytes that equal a pattern.

    Attributes:
        raw: As they stand there, without the zero bytes of wide characters.
        before: What stands before it in the same value, likewise; the last few bytes.
        after: What stands behind it.
        leaf: The element whose value holds them; None where they stand between elements.

    """

    raw: bytes
    before: bytes
    after: bytes
    leaf: Leaf | None


def is_left(atom: Atom, hit: Hit, fate: Fate, value: bytes) -> bool:
    """Judge a hit.

    Args:
        atom: Part of an identifying value that the pattern stands for.
        hit: Where it was found.
        fate: What the profile lets become of the element that it is in; FREE elsewhere.
        value: The element's whole value, folded; b"" where that is long.

    """
    is_binary = _is_binary(hit.leaf)
    if not _may_mean_it(atom, hit, fate, is_binary=is_binary) or _is_standard_code(hit.leaf, value):
        return False
    if atom.text[:1] >= _CJK or atom.sort is Sort.AS_WRITTEN:
        return True
    if atom.sort in {Sort.WORD, Sort.PHRASE}:
        return not _goes_on(hit, is_binary=is_binary) and not (atom.sort is Sort.WORD and _is_harmless(atom, value))
    if atom.sort is Sort.PHONE:
        return not hit.after[:1].isdigit() and _PREFIX.search(hit.before) is not None
    return not _is_within_number(atom, hit, is_binary=is_binary)


def _is_harmless(atom: Atom, value: bytes) -> bool:
    others = frozenset(_WORDS.findall(value.decode("latin-1"))) - {atom.text}
    return is_harmless_beside(fold(atom.text), others)


def _is_standard_code(leaf: Leaf | None, value: bytes) -> bool:
    if leaf is None or leaf.path[-1] != _CODE_VALUE:
        return False
    return is_standard_code(value.strip(b" \0").decode("latin-1"))


def _is_binary(leaf: Leaf | None) -> bool:
    return leaf is None or _vr(leaf) in _BINARY


def _vr(leaf: Leaf) -> str:
    vr = leaf.vr.decode("latin-1")
    return (dictionary_vr(leaf.path[-1]) or "UN").split(" or ")[-1] if vr in {"", "UN"} else vr


def _may_mean_it(atom: Atom, hit: Hit, fate: Fate, *, is_binary: bool) -> bool:
    """Whether such a value can stand in such a place."""
    if is_binary:
        least = _MIN_CLOCK_IN_BINARY if atom.sort in _CLOCK else _MIN_IN_BINARY
        return atom.sort is not Sort.AGE and len(hit.raw) >= least
    assert hit.leaf is not None  # noqa: S101 (what stands between elements is binary)
    vr = _vr(hit.leaf)
    if atom.sort not in _OF_THEIR_OWN_SORT or (vr not in NUMERIC and vr not in STRUCTURED):
        return True
    if vr in STRUCTURED and vr != "UI" and (fate in _GONE or (atom.sort in _CLOCK and _is_private(hit.leaf))):
        return True  # whose dates may stand in a private element is told before
    return _WRITTEN.get(vr, _ANY_DATE).fullmatch(hit.raw) is None


def _is_private(leaf: Leaf) -> bool:
    return any(tag & 0x10000 for tag in leaf.path)


def _goes_on(hit: Hit, *, is_binary: bool) -> bool:
    """Whether letters or digits go on before or behind it, a hump of a camel apart."""
    if _digits_meet(hit.before, hit.raw) or _digits_meet(hit.raw, hit.after):
        return True
    if is_binary:
        if len(hit.raw) >= _MIN_WHATEVER_BESIDE:
            return False
        return (hit.before[-1:].isalpha() and hit.raw[:1].isalpha()) or (
            hit.after[:1].isalpha() and hit.raw[-1:].isalpha()
        )
    first, last = hit.raw[:1], hit.raw[-1:]
    is_word_before = first[0] in _LETTERS_OF_ANY_CASE and ends_in_letter(hit.before)
    is_word_after = last[0] in _LETTERS_OF_ANY_CASE and begins_with_letter(hit.after)
    may_be_hump = len(hit.raw) >= _MIN_CAMEL and first.isupper()
    if is_word_before and not (may_be_hump and hit.before[-1:].islower()):
        return True
    return is_word_after and not (may_be_hump and last.islower() and hit.after[:1].isupper())


def _digits_meet(one: bytes, other: bytes) -> bool:
    return one[-1:].isdigit() and other[:1].isdigit()


def _is_within_number(atom: Atom, hit: Hit, *, is_binary: bool) -> bool:
    """Whether digits go on, or letters, or a decimal point with digits."""
    before, after = hit.before, hit.after
    if atom.sort is Sort.NUMBER:
        before = _without_zeros(before)
    if _digits_meet(before, hit.raw):
        return True
    if _digits_meet(hit.raw, after) and not (
        atom.sort is Sort.DATE and len(hit.raw) == len(atom.text) and _TIME_BEHIND.match(after)
    ):
        return True
    anywhere = atom.sort is Sort.DATE or sum(map(str.isdigit, atom.text)) >= _MIN_ANYWHERE
    anywhere = (
        anywhere or len(atom.text) >= _MIN_WHATEVER_BESIDE or (is_binary and len(hit.raw) >= _MIN_WHATEVER_BESIDE)
    )
    if not anywhere and (
        _is_letter(ends_in_letter(before), before[-1:], is_binary)
        or _is_letter(begins_with_letter(after), after[:1], is_binary)
    ):
        return True
    if before[-1:] == b"." and before[-2:-1].isdigit():
        return True
    # The fraction of a time goes with it.
    return atom.sort is not Sort.TIME and after[:1] == b"." and after[1:2].isdigit()


def _is_letter(in_text: bool, byte: bytes, is_binary: bool) -> bool:
    return byte.isalpha() if is_binary else in_text


def _without_zeros(before: bytes) -> bytes:
    """Return what stands before a number that has more zeros in front here."""
    rest = before.rstrip(b"0")
    return before if rest[-1:].isdigit() or rest[-1:] == b"." else rest
