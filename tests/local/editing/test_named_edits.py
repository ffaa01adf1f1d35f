"""Keep, Remove and Replace: what the user names happens, at top level and by path, and nothing beside it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from deidflow.tasks.core.errors import InvalidInput
from tests.dicom_files import UNCOMPRESSED, Element, Item, Syntax, instance, private_block
from tests.local.edits import PSEUDONYMS, anonymized, modified, modify, read

if TYPE_CHECKING:
    from pydicom import Dataset

REQUESTS = "RequestAttributesSequence"


def steps(dataset: Dataset, keyword: str = "ScheduledProcedureStepID") -> list[str | None]:
    """Return the value of an element in each item of the request attributes."""
    return [item.get(keyword) for item in dataset.RequestAttributesSequence]


def with_requests(**keywords: Any) -> bytes:
    """Return a file with three request attributes."""
    items = [{"ScheduledProcedureStepID": f"STEP{number}"} for number in range(3)]
    return instance(RequestAttributesSequence=items, **keywords)


@pytest.mark.parametrize("syntax", UNCOMPRESSED, ids=lambda syntax: syntax.uid)
def test_top_level(syntax: Syntax) -> None:
    """Replace writes over or adds, an empty value empties, Remove drops; the rest of the file stays."""
    data = instance(StudyDescription="old", SeriesDescription="old", Modality="CT", PatientSex="F", syntax=syntax)
    body = {
        "Replace": {"StudyDescription": "new", "SeriesDescription": "", "PatientComments": "added"},
        "Remove": ["PatientSex", "PatientAge"],
    }
    after = modified(data, body)

    assert ("new", "", "added", "CT") == tuple(
        after[keyword].value for keyword in ("StudyDescription", "SeriesDescription", "PatientComments", "Modality")
    )
    assert "PatientSex" not in after
    assert "PatientAge" not in after
    assert sorted(after.keys()) == list(after.keys())


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        (f"{REQUESTS}[0].ScheduledProcedureStepID", ["NEW", "STEP1", "STEP2"]),
        (f"{REQUESTS}[2].ScheduledProcedureStepID", ["STEP0", "STEP1", "NEW"]),
        (f"{REQUESTS}[*].ScheduledProcedureStepID", ["NEW", "NEW", "NEW"]),
        ("0040,0275[1].0040,0009", ["STEP0", "NEW", "STEP2"]),
        (f"{REQUESTS}[3].ScheduledProcedureStepID", ["STEP0", "STEP1", "STEP2"]),
        ("ReferencedImageSequence[0].ScheduledProcedureStepID", ["STEP0", "STEP1", "STEP2"]),
        ("PatientName[0].ScheduledProcedureStepID", ["STEP0", "STEP1", "STEP2"]),
    ],
)
@pytest.mark.parametrize("undefined", [False, True], ids=["defined", "undefined"])
def test_replace_by_path(path: str, expected: list[str], undefined: bool) -> None:
    """A path changes the items that it names; missing items and sequences are not made."""
    items = tuple(Item((Element(0x00400009, "SH", f"STEP{number} ".encode()),), undefined) for number in range(3))
    data = instance(Element(0x00400275, "SQ", items, undefined))
    after = modified(data, {"Replace": {path: "NEW"}})

    assert expected == steps(after)
    assert "ReferencedImageSequence" not in after
    assert "Doe^Jane" == after.PatientName


def test_replace_by_path_adds_what_an_item_lacks() -> None:
    """An existing item without the element gets it, at its place in the order of tags."""
    data = instance(RequestAttributesSequence=[{"ScheduledProcedureStepID": "S", "RequestedProcedureID": "R"}, {}])
    after = modified(data, {"Replace": {f"{REQUESTS}[*].ScheduledProcedureStepDescription": "added"}})

    assert ["added", "added"] == steps(after, "ScheduledProcedureStepDescription")
    first, second = after.RequestAttributesSequence
    assert [0x00400007, 0x00400009, 0x00401001] == list(first.keys())
    assert [0x00400007] == list(second.keys())


def test_several_paths_into_one_item() -> None:
    """General and particular paths meet in one item; the particular one is not lost."""
    body = {
        "Replace": {
            f"{REQUESTS}[*].RequestedProcedureID": "ALL",
            f"{REQUESTS}[1].ScheduledProcedureStepDescription": "SECOND",
        },
        "Remove": [f"{REQUESTS}[0].ScheduledProcedureStepID"],
    }
    after = modified(with_requests(), body)

    assert ["ALL", "ALL", "ALL"] == steps(after, "RequestedProcedureID")
    assert [None, "SECOND", None] == steps(after, "ScheduledProcedureStepDescription")
    assert [None, "STEP1", "STEP2"] == steps(after)


def test_paths_of_three_steps() -> None:
    """A path may lead through several sequences, each with its own index."""
    code = [{"CodeValue": "A"}, {"CodeValue": "B"}]
    data = instance(RequestAttributesSequence=[{"ScheduledProtocolCodeSequence": code}] * 2)
    path = f"{REQUESTS}[*].ScheduledProtocolCodeSequence[1].CodeValue"
    after = modified(data, {"Replace": {path: "X"}})

    assert [["A", "X"], ["A", "X"]] == [
        [inner.CodeValue for inner in item.ScheduledProtocolCodeSequence] for item in after.RequestAttributesSequence
    ]


def test_replace_a_sequence() -> None:
    """Items given as JSON replace the whole sequence; an empty list leaves it without items."""
    new = [{"0040,0009": "NEW", "ScheduledProtocolCodeSequence": [{"CodeValue": "C", "CodeMeaning": "Código"}]}]
    for syntax in UNCOMPRESSED:
        after = modified(with_requests(syntax=syntax), {"Replace": {REQUESTS: new}})
        assert ["NEW"] == steps(after)
        assert "Código" == after.RequestAttributesSequence[0].ScheduledProtocolCodeSequence[0].CodeMeaning
        assert [] == steps(modified(with_requests(syntax=syntax), {"Replace": {REQUESTS: []}}))


def test_remove_of_a_sequence_beats_paths_into_it() -> None:
    """Nothing of a sequence that is removed comes back through a path."""
    body = {"Remove": [REQUESTS], "Replace": {f"{REQUESTS}[0].ScheduledProcedureStepID": "NEW"}}

    assert REQUESTS not in modified(with_requests(), body)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"Remove": ["StudyDescription"], "Replace": {"StudyDescription": "new"}}, "new"),
        ({"Keep": ["StudyDescription"], "Replace": {"StudyDescription": "new"}}, "old"),
        ({"Keep": ["StudyDescription"], "Remove": ["StudyDescription"]}, "old"),
        ({"Keep": ["StudyDescription"]}, "old"),
        ({"Replace": {"StudyDescription": ""}}, ""),
        ({}, None),
    ],
    ids=str,
)
def test_of_lists_that_name_one_tag_the_last_wins(body: dict[str, Any], expected: str | None) -> None:
    """Orthanc reads Remove, Replace, Keep, and the last one counts, also against the profile."""
    assert expected == anonymized(instance(StudyDescription="old"), body).get("StudyDescription")


def test_nested_replace_is_final_in_anonymize() -> None:
    """Paths are applied after the profile: a value that the profile would remove is written."""
    data = instance(ReferencedImageSequence=[{"ReferencedSOPInstanceUID": "1.2.3.9", "StudyDescription": "old"}])
    body = {
        "Replace": {
            "ReferencedImageSequence[0].StudyDescription": "new",
            "ReferencedImageSequence[0].ReferencedSOPInstanceUID": "1.2.3.4",
        }
    }
    (item,) = anonymized(data, body).ReferencedImageSequence

    assert ("new", "1.2.3.4") == (item.StudyDescription, item.ReferencedSOPInstanceUID)


def test_keep_by_path_shields_one_element() -> None:
    """Keep of a path protects that element and what is below it; its neighbours follow the profile."""
    inner = {"StudyDescription": "text", "ReferencedSOPInstanceUID": "1.2.3.9"}
    data = instance(ReferencedImageSequence=[inner, inner])
    first, second = anonymized(data, {"Keep": ["ReferencedImageSequence[0].StudyDescription"]}).ReferencedImageSequence

    assert "text" == first.StudyDescription
    assert "StudyDescription" not in second
    assert PSEUDONYMS.uid("1.2.3.9") == first.ReferencedSOPInstanceUID == second.ReferencedSOPInstanceUID


def test_kept_sequence_keeps_all_of_its_content() -> None:
    """Keep of a sequence that the profile removes keeps it with its UIDs and private elements."""
    block = private_block(0x0009, Element(0x00091001, "LO", b"KEEP"))
    inner = (*block, Element(0x00081155, "UI", b"1.2.3.9\0"), Element(0x00081030, "LO", b"TEXT"))
    data = instance(Element(0x00400275, "SQ", (Item(inner),)))

    assert read(data).RequestAttributesSequence == anonymized(data, {"Keep": [REQUESTS]}).RequestAttributesSequence
    assert REQUESTS not in anonymized(data)


def test_removed_at_top_level_is_removed_below_by_anonymize_only() -> None:
    """Remove of a tag reaches into items in anonymize, and stays at the top level in modify."""
    data = instance(Modality="CT", ReferencedImageSequence=[{"Modality": "CT"}])
    anonymous, edited = (act(data, {"Remove": ["Modality"]}) for act in (anonymized, modified))

    assert "Modality" not in anonymous
    assert "Modality" not in anonymous.ReferencedImageSequence[0]
    assert "Modality" not in edited
    assert "CT" == edited.ReferencedImageSequence[0].Modality


def test_modify_leaves_private_elements_inside_items() -> None:
    """RemovePrivateTags of modify removes at top level only, and spares what Keep names."""
    block = private_block(0x0009, Element(0x00091001, "LO", b"TEXT"))
    data = instance(*block, Element(0x00081140, "SQ", (Item(tuple(block)),)))
    plain = modified(data, {"RemovePrivateTags": True})
    spared = modified(data, {"RemovePrivateTags": True, "Keep": ["0009,0010"]})

    assert [] == [e.tag for e in plain if e.tag.is_private]
    assert [0x00090010, 0x00091001] == list(plain.ReferencedImageSequence[0].keys())
    assert [0x00090010] == [e.tag for e in spared if e.tag.is_private]


def test_replace_of_private_and_unknown_elements() -> None:
    """A new value of a private element is written as UN, as Orthanc does; its creator is not added."""
    block = private_block(0x0009, Element(0x00091001, "LO", b"OLD "))
    after = modified(instance(*block), {"Replace": {"0009,1001": "NEW", "0011,1001": "ADDED"}})

    assert (b"NEW\0", b"ADDED\0") in {
        (after[0x00091001].value, after[0x00111001].value),
        (
            after[0x00091001].value.encode() + b"\0" if isinstance(after[0x00091001].value, str) else b"",
            after[0x00111001].value,
        ),
    }
    assert 0x00110010 not in after


def test_meta_information_and_group_lengths_cannot_be_replaced() -> None:
    """Orthanc ignores edits of groups 0002 and of group lengths: so it is here."""
    body = {"Replace": {"0002,0016": "SCANNER2", "0008,0000": "12", "0002,0010": "1.2.3"}}
    data = instance(meta={"SourceApplicationEntityTitle": "SCANNER1"})
    after = modified(data, body)

    assert "SCANNER1" == after.file_meta.SourceApplicationEntityTitle
    assert 0x00080000 not in after
    assert [] == [tag for tag in after.keys() if tag.group == 2]  # noqa: SIM118 (a Dataset iterates over elements)


def test_new_class_and_instance_reach_the_meta_information() -> None:
    """SOPClassUID and SOPInstanceUID of dataset and meta information stay equal, blanks dropped."""
    body = {"Replace": {"SOPClassUID": "1.2. 840.9", "SOPInstanceUID": " 1.2.3.77"}, "Force": True}
    for act in (modified, anonymized):
        after = act(instance(), body)
        assert "1.2.840.9" == after.SOPClassUID == after.file_meta.MediaStorageSOPClassUID
        assert "1.2.3.77" == after.SOPInstanceUID == after.file_meta.MediaStorageSOPInstanceUID


@pytest.mark.parametrize(
    "body",
    [
        {"Replace": {"PatientID": "X"}},
        {"Keep": ["StudyInstanceUID"]},
        {"Remove": ["SOPInstanceUID"], "Force": True},
        {"Replace": {"SOPInstanceUID": ""}, "Force": True},
        {"Replace": {"Rows": 12}},
        {"Replace": {"NoSuchKeyword": "X"}},
        {"Remove": [f"{REQUESTS}[0]"]},
        {"Replace": {REQUESTS: "text"}},
    ],
    ids=str,
)
def test_what_is_refused_before_any_work(body: dict[str, Any]) -> None:
    """Identifiers without Force, empty UIDs, values of another JSON type and bad tags are the request's fault."""
    with pytest.raises(InvalidInput):
        modify(body)
