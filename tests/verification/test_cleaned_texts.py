"""What cleaning took out of a text, put back: verifying names the text; what cleaning left passes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from pydicom import Dataset, dcmread

from deidflow.tasks.core.dicom.identifiers import DicomIdentifiers, Level
from tests.dicom_files import instance
from tests.steps.steps import Steps

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

CHOICE: Final = ["clean-descriptors", "clean-structured-content", "retain-longitudinal-modified-dates"]
DATES: Final = (
    "surgery 19th of March 1970",
    "IQ 2007_10_25",
    "Verlauf zu 4. Okt. 1998",
    "contrôle du 21 février 2009",
    "prior 12/08/1928",
    "vgl. 6/2/34",
    "seen 22-Mar-49",
    "2011年3月4日 thorax",
)
NUMBERS: Final = ("pager 33.1.9609.3711", "node 10.0.12.7")
CLEAN: Final = (
    "prior CT 1998.10.04, compare 5  Okt  1999",
    "VU 19901128101532.000000+0100",
    "1 may 2010 and may 3, 2010",
    "2005-01-01 MRT 1936-10-14",
    "２０１９年３月４日、2019\u201303\u201304",
    "1970-01-01, prior 12.3.2019",
    "ID:H/2014/99585_T1_POST",
    "b 0 1000 2000",
    "liver 3/4 2.5.1",
    "512 512 256",
)


def verified(root: Path, texts: tuple[str, ...], change: Callable[[Dataset, str], None], **values: Any) -> list[str]:
    """Clean a text of each patient, change the results, verify; return the reasons in the order of the texts."""
    (root / "source").mkdir()
    rows = []
    for number, text in enumerate(texts):
        own = ("P-7", f"1.2.4.{number}.1", f"1.2.4.{number}.2", f"1.2.4.{number}.3")
        uids = dict(zip(("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"), own[1:], strict=True))
        item = {"ValueType": "TEXT", "TextValue": text}
        texts_of = {"ImageComments": text, "ContentSequence": [item], "SpecificCharacterSet": "ISO_IR 192"}
        data = instance(charset="utf-8", **{"PatientID": "P-7", "PatientName": "Head^J"} | uids | texts_of | values)
        (root / "source" / str(number)).write_bytes(data)
        rows.append(DicomIdentifiers(*own).orthanc_id(Level.STUDY))
    steps = Steps(root)
    steps.plan(rows, options={}, profile="ps3.15-2026d", profile_options=CHOICE)
    steps.edit()
    steps.report()
    found = {line["new_dicom_id"]: line["original_dicom_id"] for line in steps.crosswalk()}
    for path in (root / "results").rglob("*.dcm"):
        result = dcmread(path)
        change(result, texts[int(found[path.stem].split(".")[3])])
        result.save_as(path)
    steps.verify()
    steps.report()
    return [line["reason"] for line in sorted(steps.crosswalk(), key=lambda line: line["original_dicom_id"])]


def in_comments(result: Dataset, text: str) -> None:
    """Put a text back at top level."""
    result.ImageComments = text


def in_content(result: Dataset, text: str) -> None:
    """Put a text back into an item."""
    result.ContentSequence[0].TextValue = text


def elsewhere(result: Dataset, text: str) -> None:
    """Put a text into an attribute that the profile keeps."""
    result.ImageID = text


def test_days_that_did_not_move_are_left(tmp_path: Path) -> None:
    """In whatever notation."""
    reasons = verified(tmp_path, DATES, in_content)

    assert all("TextValue still has a date" in reason for reason in reasons), reasons


def test_numbers_in_points_are_left(tmp_path: Path) -> None:
    """A telephone number, a network address."""
    reasons = verified(tmp_path, NUMBERS, in_comments)

    assert all("still has a number or an address" in reason for reason in reasons), reasons


def test_what_a_content_item_held_is_looked_for_elsewhere(tmp_path: Path) -> None:
    """Numbers, telephones and addresses, as of any cleaned text."""
    texts = ("Acc 8576167", "tel +33 1 8889 4275", "send to p.a@web.example")
    reasons = verified(tmp_path, texts, elsewhere, ImageComments="")

    assert all("TextValue of the source is left" in reason for reason in reasons), reasons


def test_what_cleaning_leaves_passes(tmp_path: Path) -> None:
    """Moved days in their notations, and what is left of numbers that went."""
    assert [""] * len(CLEAN) == verified(tmp_path, CLEAN, lambda _result, _text: None, AccessionNumber="H/2014/99585")
