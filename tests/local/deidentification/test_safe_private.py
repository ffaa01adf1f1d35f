"""Retain Safe Private: what stays is known by its creator, in any block, and is cleaned; everything else goes."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deidflow.tasks.core.errors import InstanceFailed
from deidflow.tasks.core.outcomes import ReasonCode
from deidflow.tasks.core.request.private_attributes import SiteAction, SiteAttribute
from deidflow.tasks.core.request.profile_choice import Option, ProfileChoice
from deidflow.tasks.local.deidentification.standard.safe_private import standard_attributes
from deidflow.tasks.local.dicom_file.source_file import SourceFile
from deidflow.tasks.local.worker import edit_source
from deidflow.tasks.verification.comparison import compare
from deidflow.tasks.verification.leaks.search import LeakSearch
from deidflow.tasks.verification.permitted import permitted
from deidflow.tasks.verification.reader import read_dicom
from tests.dicom_files import BIG, EXPLICIT, IMPLICIT, Element, Item, Syntax, instance
from tests.local.edits import deidentify, read
from tests.local.strategies import PROPERTY

if TYPE_CHECKING:
    from pydicom import Dataset

SAFE: Final = ProfileChoice(frozenset({Option.RETAIN_SAFE_PRIVATE}))
OWN: Final[dict[str, Any]] = {"PatientName": "QQ^Jane", "PatientID": "P", "StudyDate": "20240301"}
SIEMENS: Final = Element(0x00190010, "LO", b"SIEMENS MR HEADER ")
HOLOGIC: Final = Element(0x7E010010, "LO", b"HOLOGIC, Inc. ")


def treated(*extra: Element, choice: ProfileChoice = SAFE, syntax: Syntax = EXPLICIT) -> Dataset:
    """Return what becomes of an instance with more elements, once the verifier has agreed to it."""
    data = instance(*extra, syntax=syntax, **OWN)
    edit = deidentify(choice)
    result = edit(data)
    judge(data, result, choice)
    return read(result)


def judge(source: bytes, result: bytes, choice: ProfileChoice) -> None:
    """Have the verifier compare and search, which shares no code with the editor."""
    edit, (before, after) = deidentify(choice), (read_dicom(io.BytesIO(one)) for one in (source, result))
    compare(before, after, permitted(edit.request, hardening=True, hidden_bits=False, profile=choice), None)
    with SourceFile.of_bytes(source) as opened:
        LeakSearch(choice, written_by_server=False).check(edit.request, edit.plan(opened), before, after, None)


def statement(status: bytes, *more: Element, creator: bytes = b"QQ LAB", group: bytes = b"\x29\0") -> Element:
    """Return what an object says of a block, little endian."""
    own = [
        *(Element(0x00080301, "US", group), Element(0x00080302, "LO", creator)),
        Element(0x00080303, "CS", status),
    ]
    return Element(0x00080300, "SQ", (Item((*own, *more)),))


def test_the_list_is_complete() -> None:
    """479 attributes of 20 creators, none of them twice."""
    assert 479 == len(standard_attributes())
    assert 20 == len({creator for _, creator, _ in standard_attributes()})


@pytest.mark.parametrize("block", [0x10, 0x11, 0xFF])
@pytest.mark.parametrize("syntax", [EXPLICIT, IMPLICIT, BIG])
def test_the_block_does_not_matter_and_the_creator_does(block: int, syntax: Syntax) -> None:
    """In every encoding, at the top and in items, also of private sequences; blocks keep their numbers."""

    def own(creator: bytes) -> tuple[Element, ...]:
        return (
            Element(0x00190000 | block, "LO", creator),
            Element(0x0019000C | block << 8, "IS", b"1000"),
            Element(0x00190099 | block << 8, "LO", b"QQ"),
        )

    safe, other = own(b"SIEMENS MR HEADER "), own(b"SIEMENS CSA HEADER")
    for inside in (safe, other):
        nested = Element(0x00081115, "SQ", (Item(inside),))
        private = (HOLOGIC, Element(0x7E011010, "SQ", (Item((Element(0x00100010, "PN", b"QQ^A"), *inside)),)))
        after = treated(nested, *inside, *private, syntax=syntax)
        assert "QQ" not in str(after)
        for place in (after, after.ReferencedSeriesSequence[0], after[0x7E011010].value[0]):
            kept = {int(element.tag): element.value for element in place if element.tag.group == 0x0019}
            assert [tag & 0xFFFF for tag in kept] == ([block, block << 8 | 0x0C] if inside is safe else [])


def test_every_attribute_of_the_list_stays() -> None:
    """With a value that is good for its VR; texts keep the words that the vocabulary knows."""
    texts = {"CS": b"QUIET ", "DS": b"1.5 ", "IS": b"12", "LO": b"chest ", "LT": b"liver ", "SH": b"axial "}
    good = texts | {"ST": b"brain ", "AT": b"\x08\0\x10\0", "UI": b"1.2.840.10008.1.2\0", "OB": b"\1\2", "OW": b"\1\2"}
    for (group, name, element), one in standard_attributes().items():
        vr = one.vr.split("/")[0] or "FD"
        value: Any = good.get(vr, bytes(8))
        if vr == "SQ":
            value = (Item((Element(0x00280010, "US", b"\1\0"),)),)
        creator = Element(group << 16 | 0x10, "LO", name.encode() + b" " * (len(name) % 2))
        tag = group << 16 | 0x1000 | element
        after = treated(creator, Element(tag, vr, value))
        assert tag in after, (group, name, element)
        before = read(instance(creator, Element(tag, vr, value), **OWN))
        assert after[tag].value == before[tag].value, (group, name, element)


def test_values_are_cleaned() -> None:
    """UIDs are mapped, those of the standard stay; texts lose the patient's words; what fits no VR goes."""
    creator = Element(0x00990010, "LO", b"NQHeader")
    after = treated(
        *(SIEMENS, Element(0x0019100C, "IS", b"QQ"), Element(0x0019100D, "CS", b"QQ HEAD ")),
        *(Element(0x0019100E, "LO", b"QQ"), creator, Element(0x00991001, "UI", b"1.2.840.10008.1.2\0")),
        *(Element(0x00991002, "UI", b"1.2.99\\1.2.98 "), Element(0x00991005, "LT", b"liver of QQ ")),
    )

    assert "QQ" not in str(after)
    assert 0x0019100E not in after
    assert after[0x00991001].value == "1.2.840.10008.1.2"
    assert all(uid.startswith("2.25.") for uid in after[0x00991002].value)
    assert after[0x00991005].value == "liver of"
    assert "1.2.99" in str(treated(creator, Element(0x00991002, "UI", b"1.2.99"), choice=_with(Option.RETAIN_UIDS)))


@pytest.mark.parametrize(
    ("term", "left"), [("STEP 20240301", "STEP"), ("20240301", ""), ("PX471100", ""), ("VERSION 1234", "VERSION 1234")]
)
def test_what_is_a_number_of_somebody_is_no_term(term: str, left: str) -> None:
    """A date or an identifier in a CS that the list vouches for; the own date would tell the days of all others."""
    after = treated(SIEMENS, Element(0x0019100D, "CS", term.encode() + b" " * (len(term) % 2)))
    assert left == after[0x0019100D].value


@pytest.mark.parametrize(
    ("vr", "value", "stays"),
    [
        ("FD", bytes(24), True),
        ("UN", bytes(24), True),
        ("UN", bytes(8), True),
        ("UN", b"", True),
        ("UN", b"Mr A. Smith ", False),
        ("UN", b"Mr Smith of Elm Street 4, Ashbourne     ", False),
        ("FD", b"Mr Smith", True),
        ("FD", b"Mr A. Smith ", False),
    ],
)
@pytest.mark.parametrize("syntax", [EXPLICIT, IMPLICIT], ids=lambda syntax: syntax.uid)
def test_what_can_be_no_number_goes(vr: str, value: bytes, syntax: Syntax, *, stays: bool) -> None:
    """Three numbers of eight bytes are listed: anything may be sent as UN, but not anything has their length."""
    sent = Element(0x0019100E, vr, value)
    data = instance(SIEMENS, sent, syntax=syntax, **OWN)
    result = deidentify(SAFE)(data)
    judge(data, result, SAFE)

    assert (value in result) is (stays or not value)
    if not stays:
        with pytest.raises(InstanceFailed):
            judge(data, deidentify(SAFE, {"Keep": ["0019,100e"]})(data), SAFE)


def test_a_private_element_that_the_request_keeps_is_not_claimed() -> None:
    """Keep is the request's own word, beside the lists of safe attributes, too."""
    result = read(
        deidentify(SAFE, {"Keep": ["0019,1099"]})(instance(SIEMENS, Element(0x00191099, "LO", b"own "), **OWN))
    )

    assert "own" == result[0x00191099].value
    assert ["113111"] == [item.CodeValue for item in result.DeidentificationMethodCodeSequence]


def test_numbers_of_the_site_are_of_their_size() -> None:
    """The site's list says nothing of how many there are."""
    site = (SiteAttribute(0x0029, 0x01, "MY LAB", "FL", SiteAction.CLEAN),)
    creator = Element(0x00290010, "LO", b"MY LAB")
    long, odd = (Element(0x00291001, "UN", bytes(size)) for size in (400, 402))

    assert bytes(400) == treated(creator, long, choice=_with(private=site))[0x00291001].value
    assert not treated(creator, odd, choice=_with(private=site))[0x00291001].value


def _with(*options: str, private: tuple[SiteAttribute, ...] = ()) -> ProfileChoice:
    return ProfileChoice(frozenset({Option.RETAIN_SAFE_PRIVATE, *options}), (3, 3), private=private)


@pytest.mark.parametrize(
    ("options", "date", "moment", "time"),
    [
        ((), None, None, None),
        ((Option.RETAIN_FULL_DATES,), "20190301", "20190301101112+0100", "101112"),
        ((Option.RETAIN_MODIFIED_DATES,), "20190226", "20190226101112+0100", "101112"),
    ],
)
def test_dates_follow_the_options(options: tuple[str, ...], date: str, moment: str, time: str) -> None:
    """Without one of the date options they go; they move like all others, and times stay."""
    site = tuple(
        SiteAttribute(0x0029, element, "MY LAB", vr, SiteAction.CLEAN)
        for element, vr in ((1, "DA"), (2, "DT"), (3, "TM"))
    )
    creator = Element(0x00290010, "LO", b"MY LAB")
    values = (("DA", b"20190301"), ("DT", b"20190301101112+0100 "), ("TM", b"101112"))
    elements = [Element(0x00291001 + index, vr, value) for index, (vr, value) in enumerate(values)]
    after = treated(creator, *elements, choice=_with(*options, private=site))

    assert [str(after[0x00291001 + index].value) if 0x00291001 + index in after else None for index in range(3)] == [
        *(date, moment, time)
    ]


def test_a_site_has_its_own() -> None:
    """Cleaned, kept as it is, or removed although the standard's list has it; in any block, by creator."""
    site = (
        SiteAttribute(0x0029, 0x10, "MY LAB", "LO", SiteAction.CLEAN),
        SiteAttribute(0x0029, 0x11, "MY LAB", "", SiteAction.KEEP),
        SiteAttribute(0x0019, 0x0C, "SIEMENS MR HEADER", "", SiteAction.REMOVE),
    )
    after = treated(
        *(SIEMENS, Element(0x0019100C, "IS", b"1000"), Element(0x00290042, "LO", b"MY LAB")),
        *(Element(0x00294210, "LO", b"QQ liver"), Element(0x00294211, "LO", b"QQ"), Element(0x00294212, "LO", b"QQ")),
        choice=_with(private=site),
    )

    assert after[0x00294210].value == "liver"
    assert after[0x00294211].value == "QQ"
    assert 0x00294212 not in after
    assert 0x0019100C not in after


def test_what_the_object_says_of_its_blocks() -> None:
    """SAFE, MIXED with what does not identify and what is to be done, UNSAFE; of octets nobody knows what they hold."""
    block = (
        *(Element(0x00290010, "LO", b"QQ LAB"), Element(0x00291001, "LO", b"liver "), Element(0x00291002, "DS", b"5 ")),
        *(Element(0x00291003, "OB", b"QQ"), Element(0x00291004, "UI", b"1.2.99"), Element(0x00291005, "LO", b"QQ")),
    )
    mixed = (
        Element(0x00080304, "US", b"\1\0"),
        Element(
            0x00080305,
            "SQ",
            (
                Item((Element(0x00080306, "US", b"\4\0"), Element(0x00080307, "CS", b"U "))),
                Item((Element(0x00080306, "US", b"\5\0"), Element(0x00080307, "CS", b"Z "))),
            ),
        ),
    )
    safe = treated(statement(b"SAFE"), *block)
    some = treated(statement(b"MIXED ", *mixed), *block)
    none = treated(statement(b"UNSAFE"), *block)
    other = treated(statement(b"SAFE", creator=b"QR LAB"), *block)

    assert [element.tag.element & 0xFF for element in safe if element.tag.is_private] == [0x10, 1, 2, 4, 5]
    assert safe[0x00291005].value == ""
    assert safe[0x00291004].value.startswith("2.25.")
    assert [element.tag.element & 0xFF for element in some if element.tag.is_private] == [0x10, 1, 4, 5]
    assert some[0x00291005].value in ("", None)
    assert some[0x00291004].value.startswith("2.25.")
    assert not [element for element in (*none, *other) if element.tag.is_private]


def test_a_block_reserved_twice_is_nobodys() -> None:
    """Which of the two its elements belong to cannot be told."""
    after = treated(SIEMENS, Element(0x00190010, "LO", b"QQ"), Element(0x0019100C, "IS", b"1000"))
    assert not [element for element in after if element.tag.is_private]


PLACES: Final = st.sampled_from([0x10, 0x11, 0x42])
CREATORS: Final = st.sampled_from([b"SIEMENS MR HEADER ", b"NQHeader", b"QQ LAB", b"HOLOGIC, Inc. ", b"GEMS_ACQU_01"])
VALUES: Final = st.sampled_from(
    [("LO", b"QQ"), ("IS", b"77"), ("CS", b"QQ"), ("UI", b"1.2.99"), ("UN", b"QQ"), ("OB", b"QQ"), ("DA", b"20240301")]
)
BLOCKS: Final = st.dictionaries(
    st.tuples(st.sampled_from([0x0019, 0x0099, 0x7E01, 0x0029]), PLACES),
    st.tuples(CREATORS, st.dictionaries(st.integers(0, 0x30), VALUES, max_size=4)),
    max_size=4,
)


def _elements(blocks: dict[tuple[int, int], tuple[bytes, dict[int, tuple[str, bytes]]]]) -> list[Element]:
    made = []
    for (group, block), (creator, values) in blocks.items():
        made.append(Element(group << 16 | block, "LO", creator))
        made += [Element(group << 16 | block << 8 | number, vr, value) for number, (vr, value) in values.items()]
    return sorted(made)


@PROPERTY
@given(BLOCKS, BLOCKS, st.sampled_from([b"SAFE", b"UNSAFE", None]), st.sampled_from([EXPLICIT, IMPLICIT]))
def test_no_word_of_the_patient_is_left(
    top: dict[Any, Any], nested: dict[Any, Any], status: bytes | None, syntax: Syntax
) -> None:
    """Whatever the blocks are, editor and verifier agree, and the creators' own names apart nothing of him stays."""
    item = Element(0x00081115, "SQ", (Item(tuple(_elements(nested))),))
    said = [statement(status)] if status else []
    after = treated(*said, item, *_elements(top), syntax=syntax)

    for element in after.iterall():
        names_block = element.tag.is_private_creator or int(element.tag) == 0x00080302
        octets = element.VR in ("OB", "UN")  # that the list vouches for
        if not names_block and not octets and element.VR != "SQ":
            assert "QQ" not in str(element.value), element
            assert element.value != "1.2.99"


def test_a_header_that_is_remembered_changes_no_byte() -> None:
    """Creators in the remembered part, in what differs and behind it, in both orders."""
    files = []
    for number in range(12):
        creator = [b"SIEMENS MR HEADER ", b"QQ OTHER"][number % 5 == 4]
        long = Element(0x00290010, "LO", b"NQHeader" if number % 3 else b"QQ OTHER")
        files.append(
            instance(
                *(Element(0x00190010, "LO", creator), Element(0x0019100C, "IS", b"%04d" % number)),
                *(Element(0x00282000, "OB", b""), long, Element(0x00291005, "LT", b"liver " * 3000)),
                *(Element(0x7E010010, "LO", b"HOLOGIC, Inc. "), Element(0x7E011002, "SH", b"%04d" % number)),
                **{**OWN, "SOPInstanceUID": f"1.2.3.1.1.{number}", "InstanceNumber": str(number)},
            )
        )
    edit = deidentify(SAFE)
    alone = [edit(data) for data in files]
    for order in (range(12), range(11, -1, -1)):
        compiled = None
        for number in order:
            with SourceFile.of_bytes(files[number]) as source:
                own = edit.compiled(source)
                compiled = compiled or own
                result = edit_source(source, edit.plan(source), compiled._replace(references=own.references))
                assert result.to_bytes() == alone[number], number


@pytest.mark.parametrize(
    "tag_vr_value",
    [(0x00191099, "LO", "QQ"), (0x0019100D, "CS", "JANE"), (0x00290010, "LO", "QQ LAB"), (0x0019100E, "LO", "QQ")],
)
def test_the_verifier_finds_what_is_left(tag_vr_value: tuple[int, str, str]) -> None:
    """An element that is not on the list, the patient's word in one that is, a creator nobody knows, a wrong VR."""
    tag, vr, value = tag_vr_value
    data = instance(SIEMENS, Element(tag, vr, value.encode()), **OWN)
    dataset = read(deidentify(SAFE)(data))
    dataset.add_new(tag, vr, value)
    target = io.BytesIO()
    dataset.save_as(target)
    with pytest.raises(InstanceFailed) as caught:
        judge(data, target.getvalue(), SAFE)
    assert caught.value.code is ReasonCode.IDENTIFIER_LEFT
