"""A private element named by its creator is found in whichever block that creator has, in each dataset anew."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deidflow.tasks.core.dicom.tags import Path, parse_path
from deidflow.tasks.core.request.request import Operation, parse_request
from deidflow.tasks.local.dicom_file.source_file import SourceFile
from deidflow.tasks.local.editing.differences import differences
from deidflow.tasks.local.worker import edit_source
from tests.dicom_files import EXPLICIT, UNCOMPRESSED, Element, Item, Syntax, instance
from tests.local.edits import Edit, anonymize, anonymized, modified, read
from tests.local.strategies import PROPERTY

if TYPE_CHECKING:
    from pydicom import Dataset

CSA = "SIEMENS CSA HEADER"
OTHERS = ("ACME PATIENT DATA", "SIEMENS CSA", "SIEMENS CSA HEADER 2", "siemens csa header")
CSA_10 = f'0029,"{CSA}",10'
SYNTAXES = st.sampled_from(UNCOMPRESSED)


def padded(text: str) -> bytes:
    """Return a value of VR LO."""
    return text.encode() + b" " * (len(text) % 2)


def group_0029(creators: dict[int, str]) -> list[Element]:
    """Return blocks of group 0029, each with elements 10 and 11 that say whose they are."""
    reserved = [Element(0x00290000 | block, "LO", padded(creator)) for block, creator in creators.items()]
    data = [
        Element(0x00290000 | block << 8 | number, "LO", padded(f"{creator}/{number:02x}"))
        for block, creator in creators.items()
        for number in (0x10, 0x11)
    ]
    return sorted(reserved) + sorted(data)


def private(dataset: Dataset) -> dict[int, str]:
    """Return what a dataset holds in group 0029, without padding."""
    values = {int(element.tag): element.value for element in dataset if element.tag.group == 0x0029}
    texts = {tag: value.decode() if isinstance(value, bytes) else str(value or "") for tag, value in values.items()}
    return {tag: text.rstrip(" \0") for tag, text in texts.items()}


@st.composite
def layouts(draw: st.DrawFn) -> dict[int, str]:
    """Draw who reserves which block: several creators, ours among them once, twice or not at all."""
    blocks = sorted(draw(st.sets(st.integers(0x10, 0xFF), min_size=1, max_size=5)))
    return {block: draw(st.sampled_from((CSA, *OTHERS))) for block in blocks}


def places(creators: dict[int, str]) -> list[int]:
    """Return the tags of our creator's element 10."""
    return [0x00290010 | block << 8 for block, creator in creators.items() if creator == CSA]


@PROPERTY
@given(layouts(), SYNTAXES)
def test_kept_with_its_creator_and_nothing_beside(creators: dict[int, str], syntax: Syntax) -> None:
    """Keep leaves the element and what reserves its block; every other private element goes."""
    after = private(anonymized(instance(*group_0029(creators), syntax=syntax), {"Keep": [CSA_10]}))
    expected = dict.fromkeys(places(creators), f"{CSA}/10")

    assert expected | {tag >> 8 & 0xFF | 0x00290000: CSA for tag in expected} == after


@PROPERTY
@given(layouts(), SYNTAXES)
def test_removed_and_nothing_beside(creators: dict[int, str], syntax: Syntax) -> None:
    """Remove drops the element in modify, the rest of the file stays."""
    data = instance(*group_0029(creators), syntax=syntax)
    before, after = private(read(data)), private(modified(data, {"Remove": [CSA_10]}))

    assert {tag: value for tag, value in before.items() if tag not in places(creators)} == after


@PROPERTY
@given(layouts(), SYNTAXES, st.sampled_from(["NEW", ""]))
def test_replaced_in_its_own_block_only(creators: dict[int, str], syntax: Syntax, value: str) -> None:
    """Replace changes the element wherever the creator has a block, and adds nothing where it has none."""
    data = instance(*group_0029(creators), syntax=syntax)
    before, after = private(read(data)), private(modified(data, {"Replace": {CSA_10: value}}))

    assert before.keys() == after.keys()
    assert places(creators) == [tag for tag in before if after[tag] == value]
    assert all(before[tag] == after[tag] for tag in before if tag not in places(creators))


@PROPERTY
@given(layouts(), layouts(), SYNTAXES)
def test_each_item_has_blocks_of_its_own(top: dict[int, str], inside: dict[int, str], syntax: Syntax) -> None:
    """A path keeps the element by the item's own blocks; Remove of anonymize reaches every depth."""
    nested = Element(0x00081140, "SQ", (Item(tuple(group_0029(inside))),))
    data = instance(nested, *group_0029(top), syntax=syntax)
    kept = anonymized(data, {"Keep": [f"ReferencedImageSequence[*].{CSA_10}"]})
    removed = anonymized(data, {"Remove": [CSA_10], "KeepPrivateTags": True})

    assert {} == private(kept)
    assert set(places(inside)) == {tag for tag in private(kept.ReferencedImageSequence[0]) if tag & 0xFFFF > 0xFF}
    for dataset, creators in ((removed, top), (removed.ReferencedImageSequence[0], inside)):
        assert not set(places(creators)) & private(dataset).keys()
        assert 3 * len(creators) - len(places(creators)) == len(private(dataset))


def test_a_step_of_a_path_is_found_by_its_creator() -> None:
    """A private sequence on the way is looked for in the file's own block, with or without a number of its item."""
    inner = Item((Element(0x00080060, "CS", b"CT"), *group_0029({0x20: CSA})))
    data = instance(
        Element(0x00290010, "LO", padded(OTHERS[0])),
        Element(0x00290033, "LO", padded(CSA)),
        Element(0x00291012, "SQ", (inner,)),
        Element(0x00293312, "SQ", (inner, inner)),
    )
    body = {"Remove": [f'0029,"{CSA}",12[*].{CSA_10}'], "Replace": {f'0029,"{CSA}",12[1].Modality': "MR"}}
    after = modified(data, body)

    assert ["CT"] == [item.Modality for item in after[0x00291012].value]
    assert ["CT", "MR"] == [item.Modality for item in after[0x00293312].value]
    assert [3, 2, 2] == [len(private(item)) for tag in (0x00291012, 0x00293312) for item in after[tag].value]


def test_new_element_goes_into_the_creators_block() -> None:
    """Replace of an element that the block lacks adds it there; anonymize leaves the block's creator with it."""
    data = instance(*group_0029({0x11: OTHERS[0], 0x12: CSA}))
    after = private(anonymized(data, {"Replace": {f'0029,"{CSA}",77': "NEW"}}))

    assert {0x00290012: CSA, 0x00291277: "NEW"} == after


def test_the_creator_outranks_a_plain_number() -> None:
    """Of two names of one element, the one with the creator is the better known."""
    data = instance(*group_0029({0x10: CSA, 0x11: OTHERS[0]}))
    after = private(modified(data, {"Remove": ["0029,1010", "0029,1110"], "Keep": [CSA_10]}))

    assert 0x00291010 in after
    assert 0x00291110 not in after


def test_instances_of_one_series_with_different_blocks() -> None:
    """What is remembered of a series never stands for where its blocks are."""
    files = [instance(*group_0029({0x10: OTHERS[0], block: CSA}), SOPInstanceUID=f"1.2.{block}") for block in (17, 18)]
    edit = anonymize({"Keep": [CSA_10]})
    with SourceFile.of_bytes(files[0]) as source:
        compiled = edit.compiled(source)
    kept = []
    for data in [files[0]] * 5 + [files[1]] * 5:
        with SourceFile.of_bytes(data) as source:
            kept.append(sorted(private(read(edit_source(source, edit.plan(source), compiled).to_bytes()))))

    assert [[0x00290011, 0x00291110]] * 5 + [[0x00290012, 0x00291210]] * 5 == kept


@pytest.mark.parametrize(
    "text",
    [
        '0029,"SIEMENS CSA HEADER",10',
        '(0029,"SIEMENS CSA HEADER",10)',
        '29, " SIEMENS CSA HEADER " ,10',
    ],
)
def test_spellings_of_one_element(text: str) -> None:
    """Blanks and parentheses make no difference."""
    assert parse_path(CSA_10) == parse_path(text)
    assert CSA_10 == str(parse_path(text)) == parse_path(text).describe()


@PROPERTY
@given(st.text(st.characters(exclude_categories=["C", "Z"], exclude_characters="\\"), min_size=1, max_size=64))
def test_any_creator_can_be_named(creator: str) -> None:
    """Dots, semicolons, brackets and doubled quotation marks in a creator belong to it."""
    text = '0029,"{}",0a'.format(creator.replace('"', '""'))
    path = parse_path(f"{text}[*].{text}")

    assert path == parse_path(str(path))
    assert path.names_creator
    assert f"{text}[*].{text}" == str(path)


def test_plan_names_the_rule() -> None:
    """The lines of `plan --diff` say Keep for the element in its block, and that its neighbour goes as private."""
    data = instance(*group_0029({0x10: OTHERS[0], 0x11: CSA}))
    edit = Edit(parse_request(Operation.ANONYMIZE, {"DicomVersion": "2023b", "Keep": [CSA_10]}))
    with SourceFile.of_bytes(data) as source:
        rows = {row.path: row.rule for row in differences(source, edit.apply(source), edit.compiled(source).tables)}

    assert ["kept", "Keep", "private elements", "private elements"] == [
        rows[Path((), tag)] for tag in (0x00290011, 0x00291110, 0x00291111, 0x00291010)
    ]


def test_syntax_is_the_explicit_one() -> None:
    """A kept element is the same bytes, VR and padding included."""
    csa = Element(0x00291010, "OB", b"SV10\4\3\2\1")
    data = instance(Element(0x00290010, "LO", padded(CSA)), csa, syntax=EXPLICIT)

    assert b")\0\x10\x10OB\0\0\x08\0\0\0SV10\4\3\2\1" in anonymize({"Keep": [CSA_10]})(data)


@pytest.mark.parametrize(
    ("creators", "kept"),
    [
        ({0x10: CSA}, {0x00291010: f"{CSA}/10"}),
        ({0x10: "ACME PATIENT DATA"}, {0x00291010: "ACME PATIENT DATA/10"}),
        ({0x10: "ACME PATIENT DATA", 0x11: CSA}, {}),
        ({0x10: CSA, 0x11: "ACME PATIENT DATA"}, {0x00291010: f"{CSA}/10"}),
    ],
)
def test_a_plain_number_is_not_kept_where_it_surely_means_another_creator(
    creators: dict[int, str], kept: dict[int, str]
) -> None:
    """The block is a stranger's, and the creator that is known for the element has another block: nothing is kept."""
    after = private(anonymized(instance(*group_0029(creators)), {"Keep": ["0029,1010"]}))

    assert kept == after
