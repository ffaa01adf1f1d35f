"""C of a text through the engine: what identifies goes, by what the instance itself names; the rest stays as it is."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deidflow.tasks.core.request.profile_choice import Option, ProfileChoice
from deidflow.tasks.local.dicom_file.source_file import SourceFile
from deidflow.tasks.local.worker import edit_source
from deidflow.tasks.verification.cleaned.texts import OwnWords, own_words
from deidflow.tasks.verification.reader import read_dicom
from tests.dicom_files import BIG, DEFLATED, EXPLICIT, IMPLICIT, Element, Item, Syntax, instance
from tests.local.edits import deidentify, read
from tests.local.strategies import PROPERTY

if TYPE_CHECKING:
    from pydicom import Dataset

    from tests.local.edits import Edit

CODED: Final = Item((Element(0x00080104, "LO", b"Dr Thyroid"),))
MADE_AT: Final = [Item((Element(0x00080080, "LO", name),)) for name in (b"Nowhere ", b"Thyroid ")]
CT: Final = "1.2.840.10008.5.1.4.1.1.2"
RT_PLAN: Final = "1.2.840.10008.5.1.4.1.1.481.5"
CLEAN: Final = ProfileChoice(frozenset({Option.CLEAN_DESCRIPTORS}))
MOVED: Final = ProfileChoice(frozenset({Option.CLEAN_DESCRIPTORS, Option.RETAIN_MODIFIED_DATES}))
OWN: Final[dict[str, Any]] = {"PatientName": "Head^Jane", "InstitutionName": "University Hospital", "SOPClassUID": CT}


def cleaned(*extra: Element, choice: ProfileChoice = CLEAN, syntax: Syntax = EXPLICIT, **values: Any) -> Dataset:
    """Return what becomes of an instance whose patient is called Head."""
    return read(deidentify(choice)(instance(*extra, syntax=syntax, **OWN | values)))


@pytest.mark.parametrize("syntax", [EXPLICIT, IMPLICIT, BIG, DEFLATED])
def test_golden_values(syntax: Syntax) -> None:
    """In every encoding: own names, places and numbers, strangers, telephone numbers go; the rest is byte for byte."""
    after = cleaned(
        syntax=syntax,
        StudyDescription="MR Thorax Head, University Hospital",
        SeriesDescription="t1_mprage_sag  iso",
        PatientComments="Dr. Mueller saw Jane; liver normal; tel 555-010-4477",
        ImageComments="P-471 routine",
        PatientID="P-471",
        StudyDate="20240301",
    )

    assert after.StudyDescription == "MR Thorax"
    assert after.SeriesDescription == "t1_mprage_sag  iso"
    assert after.PatientComments == "saw liver normal"
    assert after.ImageComments == "routine"
    assert [code.CodeValue for code in after.DeidentificationMethodCodeSequence] == ["113100", "113105"]


def test_dates_in_texts_move_with_the_others() -> None:
    """By the days of the patient, in their own notation; without modified dates they go."""
    text: dict[str, Any] = {"StudyComments": "after 2024-03-01 and 01.03.2024"}
    moved, gone = cleaned(choice=MOVED, StudyDate="20240301", **text), cleaned(StudyDate="20240301", **text)
    date = moved.StudyDate

    assert moved.StudyComments == f"after {date[:4]}-{date[4:6]}-{date[6:]} and {date[6:]}.{date[4:6]}.{date[:4]}"
    assert gone.StudyComments == "after and"


def test_dates_of_birth_in_texts_go_with_the_other_dates_moved() -> None:
    """Moved by the days of the studies they would tell the age to the day, which no option keeps."""
    text = "geb. 12.04.1933, 19330412, April 12, 1933; mother born on 3 May 1950; CT 01.03.2024"
    after = cleaned(choice=MOVED, StudyDate="20240301", PatientBirthDate="19330412", StudyComments=text)
    date = after.StudyDate

    assert after.StudyComments == f"mother born on CT {date[6:]}.{date[4:6]}.{date[:4]}"


def test_a_moved_date_never_makes_a_value_too_long() -> None:
    """Two digits of a month are one more than one."""
    after = cleaned(
        choice=MOVED, SOPClassUID=RT_PLAN, RTPlanLabel="liver 4.3.2019 A", StudyDate="20240301", PatientID="1"
    )

    assert len(after.RTPlanLabel) <= 16
    assert "2019" not in after.RTPlanLabel


@pytest.mark.parametrize(("sop_class", "left"), [(CT, ""), (RT_PLAN, "REMOVED")])
def test_where_nothing_is_left_the_iod_decides(sop_class: str, left: str) -> None:
    """A type 1 attribute gets a dummy, others are empty."""
    keyword = "RTPlanLabel" if left else "StudyDescription"
    value: dict[str, Any] = {keyword: "Smith"}
    after = cleaned(SOPClassUID=sop_class, **value)

    assert after[keyword].value == left


@pytest.mark.parametrize(
    "named",
    [
        Element(0x00081115, "SQ", (Item((Element(0x00081048, "PN", b"Thyroid^A "),)),)),
        Element(0x00400275, "SQ", (Item((Element(0x00321032, "PN", b"Thyroid "),)),)),
        Element(0x00081072, "SQ", (Item((Element(0x00401101, "SQ", (CODED,)),)),)),
        Element(0x0018A001, "SQ", (*[MADE_AT[0]] * 99, MADE_AT[1])),
        Element(0x00091001, "PN", b"Thyroid "),
        Element(0x00081070, "UN", b"Thyroid "),
    ],
    ids=["nested", "in a sequence that stays", "a code of persons", "many items of one shape", "private", "as UN"],
)  # fmt: skip
def test_who_is_named_anywhere_is_named_nowhere(named: Element) -> None:
    """Names at any depth, kept or not, in whatever form."""
    after = cleaned(named, SeriesDescription="Thyroid scan", PatientName="Doe")

    assert after.SeriesDescription == "scan"


def test_what_says_who_nobody_is_does_not_count() -> None:
    """An ethnic group, a description, and numbers that every site counts from 1."""
    after = cleaned(EthnicGroup="White", StudyID="5", SeriesDescription="White matter 5 mm")

    assert after.SeriesDescription == "White matter 5 mm"


@pytest.mark.parametrize("nobody", ["Unknown^", "Removed^", "^Other", "ANONYMOUS^^^^", "None"])
def test_nobodys_name_takes_no_word_along(nobody: str) -> None:
    """The dummy of an earlier step, in the form of names; the verifier sees it so, too."""
    text = "unknown lesion, catheter removed, other side, none seen"
    source = instance(ImageComments=text, OperatorsName=nobody, PatientName=nobody)
    after = read(deidentify(CLEAN)(source))

    assert text == after.ImageComments
    assert OwnWords(frozenset(), frozenset()) == own_words(read_dicom(io.BytesIO(source)), frozenset())


def test_own_values_of_a_kept_device_stay() -> None:
    """What an option keeps may stand in a text, too; AE titles are cleaned."""
    choice = ProfileChoice(frozenset({Option.CLEAN_DESCRIPTORS, "retain-device-identity"}))
    values: dict[str, Any] = {"StationName": "BRAIN", "SeriesDescription": "brain scan", "RetrieveAETitle": "SMITH"}
    kept, gone = cleaned(choice=choice, **values), cleaned(**values)

    assert (kept.StationName, kept.SeriesDescription, gone.SeriesDescription) == ("BRAIN", "brain scan", "scan")
    assert kept.RetrieveAETitle == ""


def test_bytes_that_the_character_set_does_not_know_go() -> None:
    """Nobody can say what they mean; they are dropped by whoever decodes them, and must not stay."""
    unknown = Element(0x00081030, "LO", "頭部".encode() + b"Smith ")
    known = Element(0x0008103E, "LO", "Übersicht ".encode("latin-1"))
    after = cleaned(Element(0x00080005, "CS", b"ISO_IR 6"), unknown)
    latin = cleaned(Element(0x00080005, "CS", b"ISO_IR 100"), known)

    assert after.StudyDescription == ""
    assert latin.SeriesDescription == "Übersicht"


def test_codes_are_cleaned_by_their_scheme() -> None:
    """Values of the standard's schemes stay, those of a site are texts; meanings are texts always."""

    def code(value: bytes, scheme: bytes, meaning: bytes) -> Item:
        texts = ((0x00080100, "SH", value), (0x00080102, "SH", scheme), (0x00080104, "LO", meaning))
        return Item(tuple(Element(*one) for one in texts))

    codes = (
        code(b"39607008", b"SCT ", b"Lung of Jane"),
        code(b"SMITH1", b"99SITE", b"Smith"),
        code(b"HEAD", b"99X ", b"Lung"),
    )
    after = cleaned(Element(0x00081084, "SQ", codes), PatientName="Doe^Jane").AdmittingDiagnosesCodeSequence

    assert [(one.CodeValue, one.CodingSchemeDesignator, one.CodeMeaning) for one in after] == [
        ("39607008", "SCT", "Lung of"),
        ("REMOVED", "99SITE", "REMOVED"),
        ("HEAD", "99X", "Lung"),
    ]


def test_texts_in_a_cleaned_sequence_are_cleaned_whether_listed_or_not() -> None:
    """At every depth of it, and nowhere else."""
    unlisted = Element(0x00181020, "LO", b"Smith ")
    deep = Element(0x00400008, "SQ", (Item((unlisted,)),))
    inside = cleaned(Element(0x00400275, "SQ", (Item((deep, unlisted)),))).RequestAttributesSequence[0]
    outside = cleaned(Element(0x00081115, "SQ", (Item((unlisted,)),))).ReferencedSeriesSequence[0]

    assert (inside[0x00181020].value, inside[0x00400008][0][0x00181020].value) == ("", "")
    assert outside[0x00181020].value == "Smith"


NAMES: Final = st.sampled_from(["Head^A", "Thyroid", "Neck^B^C", ""])
TEXTS: Final = st.sampled_from(["Head scan", "Thyroid", "neck AP 2024-03-01", "Smith head", "axial", ""])
INSTANCES: Final = st.tuples(NAMES, NAMES, TEXTS, TEXTS, NAMES, st.sampled_from(["7", "P-471", "P-471 A"]))


def one_of_a_series(number: int, drawn: tuple[str, ...]) -> bytes:
    """Return an instance whose names stand before, between and behind its texts."""
    performer, operator, study, image, nested, accession = drawn
    behind = Element(0x00400275, "SQ", (Item((Element(0x00321032, "PN", nested.encode().ljust(8)),)),))
    return instance(
        behind,
        **OWN | {"PatientName": "Doe"},
        PerformingPhysicianName=performer,
        OperatorsName=operator,
        StudyDescription=study,
        ImageComments=image,
        AccessionNumber=accession,
        SOPInstanceUID=f"1.2.3.{number}",
        InstanceNumber=str(number),
    )


@PROPERTY
@given(series=st.lists(INSTANCES, min_size=4, max_size=9))
def test_same_bytes_whatever_was_edited_before(series: list[tuple[str, ...]]) -> None:
    """Own values that differ within a series, in whatever element: each instance is cleaned by its own."""
    edit = deidentify(MOVED)
    compiled = None
    for number, drawn in enumerate([*series, *series[:3]]):
        data = one_of_a_series(number, drawn)
        alone = edit(data)
        with SourceFile.of_bytes(data) as source:
            compiled = compiled or edit.compiled(source)
            again = compiled._replace(references=edit.compiled(source).references)
            assert edit_source(source, edit.plan(source), again).to_bytes() == alone


def notes_of(edit: Edit, data: list[bytes]) -> list[int]:
    """Return how much was removed of each of some instances that are edited one behind the other."""
    counts, compiled = [], None
    for one in data:
        with SourceFile.of_bytes(one) as source:
            compiled = compiled or edit.compiled(source)
            again = compiled._replace(references=edit.compiled(source).references)
            counts.append(edit_source(source, edit.plan(source), again).notes.removed)
    return counts


def test_what_went_is_counted_alike_for_all_of_a_series() -> None:
    """Also where most of an instance is edited by what is remembered of others."""
    drawn = ("Head^A", "", "Head scan", "Smith head", "", "7")
    counts = notes_of(deidentify(CLEAN), [one_of_a_series(number, drawn) for number in range(8)])

    assert counts == [3] * 8
