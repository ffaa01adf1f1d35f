"""What a text means to the search: which of its parts stand for a value of the source, and which only look like it."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deidflow.tasks.verification.fates import Fate
from deidflow.tasks.verification.leaks.atoms import Sort, atoms_of
from deidflow.tasks.verification.leaks.hits import Hit, is_left
from deidflow.tasks.verification.leaks.identifying import Value, text_of, value_of
from deidflow.tasks.verification.leaks.kinds import Kind
from deidflow.tasks.verification.leaks.letters import begins_with_letter, ends_in_letter
from deidflow.tasks.verification.leaks.notations import cores_in, cores_of
from deidflow.tasks.verification.leaks.patterns import Patterns, find, patterns_of, squeezed
from deidflow.tasks.verification.leaks.regions import Leaf

NAME, UMLAUT = Value(Kind.PERSON, b"Hendricks^Philippa"), Value(Kind.PERSON, b"Gr\xf6\xdfmann^K\xe4the", b"ISO_IR 100")
KANA = Value(Kind.PERSON, "やまだ^タロウ".encode(), b"ISO_IR 192")
DAY, MARCH = Value(Kind.DATE, b"19610303"), Value(Kind.DATE, b"20170315")
PHONE, NUMBER = Value(Kind.PHONE, b"+44 20 7946 0958"), Value(Kind.IDENTIFIER, b"MRN-4829137")
E_MAIL = Value(Kind.DESCRIPTOR, b"ask " + b"lena" * 17 + b"@klinik.example")
CODE, ZEROS = Value(Kind.IDENTIFIER, b"Abdominal123"), Value(Kind.IDENTIFIER, b"0048291")
UID, TIME = Value(Kind.UID, b"1.2.826.0.1.5.7"), Value(Kind.TIME, b"142233")


def is_found(value: Value, data: bytes, vr: bytes = b"LO") -> bool:
    """Tell whether a value is left in an element that holds some bytes."""
    folded, hits = find(data, Patterns([value]), [])
    leaf = Leaf(0, len(data), (0x00189999,), vr)
    for found in hits:
        parts = data[found.start : found.end], data[: found.start], data[found.end :]
        raw, before, after = (part.replace(b"\0", b"") if found.wide else part for part in parts)
        hit = Hit(raw, before[-16:], after[:16], leaf)
        if any(is_left(atom, hit, Fate.FREE, folded) for atom in found.atoms):
            return True
    return False


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (NAME, "of hendricks2"),
        (NAME, "scanOfHendricksKnee"),
        (NAME, "PHILIPPA.HENDRICKS"),
        (UMLAUT, "Groessmann"),
        (UMLAUT, "GROSSMANN"),
        (UMLAUT, "Gro\u0308ßmann"),
        (KANA, "ヤマダさん"),
        (KANA, "ﾔﾏﾀﾞ"),
        (KANA, "たろう"),
        (DAY, "3. Maerz 1961"),
        (DAY, "March 3rd, 1961"),
        (DAY, "3 / 3 / 1961"),
        (DAY, "1961年3月3日"),
        (DAY, "19610303101532.0"),
        (PHONE, "0044207946-0958"),
        (PHONE, "(020) 79 46 09 58"),
        (PHONE, "+44 (0)20 7946 0958"),
        (NUMBER, "mrn4829137_2"),
        (NUMBER, "0004829137"),
        (NUMBER, "482 913 7"),
        (CODE, "abdominal123"),
        (Value(Kind.IDENTIFIER, b"0482913"), "482913"),
        (UID, "1_2_826_0_1_5_7"),
        (TIME, "2:22:33 PM"),
        (E_MAIL, "to " + "lena" * 17 + "@klinik.example"),
    ],
)
@pytest.mark.parametrize("codec", ["utf-8", "utf-16-le", "utf-16-be"])
def test_what_is_found(value: Value, text: str, codec: str) -> None:
    """In any punctuation, in 8 and in 16 bits."""
    assert is_found(value, text.encode(codec))


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (NAME, "Hendricksen"),
        (NAME, "phil hend"),
        (MARCH, "PS 3.15-2017c"),
        (MARCH, "1.2.20170315"),
        (DAY, "1961030"),
        (DAY, "719610303"),
        (PHONE, "79460958123"),
        (NUMBER, "48291374"),
        (NUMBER, "1.4829137"),
        (ZEROS, "48291"),
        (Value(Kind.IDENTIFIER, b"University123"), "university123"),
        (UID, "1.2.826.0.1.5.70"),
        (UID, "1.2.826.0.1.5.7.1"),
        (TIME, "1422331"),
    ],
)
def test_what_only_looks_like_it(value: Value, text: str) -> None:
    """Within other words and numbers, or with two kinds of separators in a date."""
    assert not is_found(value, text.encode())


@pytest.mark.parametrize(
    ("value", "text", "vr", "is_leak"),
    [
        (NUMBER, "MRN-4829137", b"UI", True),
        (NUMBER, "MRN-4829137", b"IS", True),
        (NUMBER, "MRN-4829137", b"DA", True),
        (NUMBER, "4829137", b"IS", False),
        (NUMBER, "1.2.4829137", b"UI", False),
        (DAY, "1961-03-03", b"UI", True),
        (DAY, "03.03.1961", b"DS", True),
        (DAY, "3 March 1961", b"DA", True),
        (DAY, "1.2.19610303", b"UI", False),
        (DAY, "19610303.5", b"DS", False),
        (DAY, "-19610303", b"IS", False),
        (DAY, "1961.03.03", b"DA", False),
        (DAY, "19610303101532.5+0100", b"DT", False),
        (TIME, "14:22:33", b"TM", False),
        (TIME, "14h22m33", b"TM", True),
    ],
)
def test_in_values_that_are_written_in_one_way(value: Value, text: str, vr: bytes, *, is_leak: bool) -> None:
    """A number, date or UID holds others by coincidence; what cannot be part of one does not stand there so."""
    assert is_leak == is_found(value, text.encode(), vr)


@given(st.binary(max_size=40), st.binary(max_size=40))
def test_a_name_in_bytes(before: bytes, after: bytes) -> None:
    """A name of eight letters and more is found in bytes that are no text, whatever stands beside it."""
    assert is_found(NAME, before + b"Hendricks" + after, b"OB")


@given(st.characters(codec="utf-8"), st.text(max_size=3))
def test_letters_in_utf_8(letter: str, other: str) -> None:
    """A character of UTF-8 is a letter if it is one, whatever bytes it has."""
    assert letter.isalpha() == ends_in_letter(f"{other} {letter}".encode())
    assert letter.isalpha() == begins_with_letter(f"{letter} {other}".encode())


@given(
    st.one_of(
        st.builds("1.2.{}.{}".format, st.integers(0, 10**12), st.integers(0, 10**12)).map(
            lambda text: Value(Kind.UID, text.encode())
        ),
        st.times().map(lambda time: Value(Kind.TIME, time.strftime("%H%M%S.%f").encode())),
        st.dates(date(1850, 1, 1)).map(lambda day: Value(Kind.DATE, day.strftime("%Y%m%d").encode())),
    )
)
def test_cores_stand_in_each_notation(value: Value) -> None:
    """Where the letters and digits of a text hold none of them, no pattern of the part can stand there."""
    for pattern, atom in patterns_of(value):
        assert any(core in squeezed(pattern.key) for core in cores_of(atom))


def test_what_need_not_be_searched() -> None:
    """Whatever may stand in some bytes is told by their letters and digits, in characters of 16 bits, too."""
    values = [NAME, UMLAUT, DAY, MARCH, PHONE, NUMBER, UID, TIME, Value(Kind.AGE, b"061Y")]
    for value in values:
        patterns = Patterns([value])
        for pattern, _ in patterns_of(value):
            for between in (b"", b"\0", b"-"):
                folded = b"x\0" + between.join(pattern.groups) + b"\0"
                for text in (folded, folded.replace(b"\0", b""), b"\0".join(map(bytes, zip(folded, strict=True)))):
                    narrow = text.replace(b"\0", b"")
                    found = patterns.candidates(text, narrow, squeezed(narrow))
                    assert patterns.may_stand_in(squeezed(text)) >= bool(found)

    assert not Patterns(values).may_stand_in(squeezed(b"thorax in inspiration"))
    assert not Patterns([]).may_stand_in(b"thorax")


@given(
    st.sampled_from(Kind),
    st.one_of(
        st.from_regex(rb"[0-9.]{0,30}[ \0]{0,2}", fullmatch=True),
        st.times().map(lambda time: time.strftime("%H%M%S.%f").encode()),
        st.from_regex(rb"[0-9:.\\ \0-]{0,20}", fullmatch=True),
        st.binary(max_size=20),
    ),
    st.integers(0, 20),
)
def test_cores_before_parts_are_made(kind: Kind, raw: bytes, size: int) -> None:
    """What is told of a value as it stands in the file is what is told of its parts."""
    cores, value = cores_in(kind, raw[: size or None]), value_of(kind, raw[: size or None], b"")

    if cores and value is not None:
        assert {cores} >= {cores_of(atom) for atom in atoms_of(kind, text_of(value))}


@pytest.mark.parametrize("text", ["Klinikum Universität", "HÔPITAL", "hopital"])
def test_what_stands_for_nobody(text: str) -> None:
    """A common word is one with accents, too, which names of institutions have and lists of words have not."""
    assert not any(atom.sort is Sort.WORD for atom in atoms_of(Kind.PLACE, text))


@pytest.mark.timeout(20)
def test_no_value_takes_long() -> None:
    """A run of letters that might become an address is read once, not once for each of them."""
    assert not any("@" in atom.text for atom in atoms_of(Kind.DESCRIPTOR, "a" * 200_000))
