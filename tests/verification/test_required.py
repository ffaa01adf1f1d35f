"""What an IOD asks for stays: attributes of type 1 with a value, those of type 2; nothing beyond that is asked for."""

from __future__ import annotations

import csv
import gzip
import io
from pathlib import Path
from typing import Any, Final

import pytest
from pydicom.datadict import keyword_for_tag, tag_for_keyword

from deidflow.tasks.core.errors import InstanceFailed
from deidflow.tasks.core.request.request import Operation, parse_request
from deidflow.tasks.verification.reader import Read, read_dicom
from deidflow.tasks.verification.standard.required import check_required
from tests.dicom_files import Element, Item, instance

ROOT: Final = Path(__file__).parents[2]
TYPES: Final = ROOT / "tasks" / "local" / "deidentification" / "tables" / "types.csv.gz"
REQUEST: Final = parse_request(Operation.ANONYMIZE, {"Force": True})
CLASSES: Final = {
    "CT": "1.2.840.10008.5.1.4.1.1.2",
    "secondary capture": "1.2.840.10008.5.1.4.1.1.7",
    "report": "1.2.840.10008.5.1.4.1.1.88.11",
    "RT plan": "1.2.840.10008.5.1.4.1.1.481.5",
}
BY_INSTANCE: Final = frozenset({"PatientID", "PatientName", "SOPClassUID"})


def read(sop_class: str, *extra: Element) -> Read:
    """Return what the verifier's reader makes of an instance."""
    values: dict[str, Any] = {"SOPClassUID": sop_class, "PatientID": None, "PatientName": None}
    return read_dicom(io.BytesIO(instance(*extra, **values)))


def asked(sop_class: str, kinds: str) -> list[int]:
    """Return attributes of the top level that an IOD asks for by one of some types."""
    lines = gzip.decompress(TYPES.read_bytes()).decode().splitlines()
    found = [row for row in csv.DictReader(lines) if row["sop_class"] == sop_class and row["type"] in kinds.split()]
    tags = [tag_for_keyword(row["path"]) for row in found if "." not in row["path"] and row["path"] not in BY_INSTANCE]
    return [tag for tag in tags if tag is not None]


@pytest.mark.parametrize("name", CLASSES)
def test_types_decide(name: str) -> None:
    """Type 1 must have a value, type 2 must be there, type 3 may go; what the source has not is asked for by nobody."""
    sop_class = CLASSES[name]
    without = read(sop_class)
    for kinds, may_be_absent, may_be_empty in (("1 1C", False, False), ("2 2C", False, True), ("3", True, True)):
        for tag in asked(sop_class, kinds):
            full, empty = (read(sop_class, Element(tag, "LO", value)) for value in (b"A ", b""))
            for result, is_right in ((full, True), (without, may_be_absent), (empty, may_be_empty)):
                if is_right:
                    check_required(REQUEST, full, result)
                    continue
                with pytest.raises(InstanceFailed, match=keyword_for_tag(tag)):
                    check_required(REQUEST, full, result)
            check_required(REQUEST, without, without)


def test_items_are_asked_for_what_stands_in_them() -> None:
    """A nested attribute of type 1 keeps a value, beside dummies, too; items that are others are not compared."""
    udi = Element(0x00181009, "UT", b"UDI ")

    def equipment(*inside: Element, items: int = 1) -> Read:
        devices = Element(0x0018100A, "SQ", (Item(inside),) * items)
        return read(CLASSES["CT"], devices)

    check_required(REQUEST, equipment(udi), equipment(udi))
    check_required(REQUEST, equipment(udi), equipment(items=2))
    for lost in (equipment(), equipment(udi._replace(value=b"")), equipment(Element(0x00181020, "LO", b"REMOVED "))):
        with pytest.raises(InstanceFailed, match="UniqueDeviceIdentifier"):
            check_required(REQUEST, equipment(udi), lost)


def test_the_request_and_unknown_classes_have_their_own_word() -> None:
    """What a user removes is gone, and of a class that nobody knows nothing is asked for."""
    study_id = Element(0x00200010, "SH", b"1 ")
    removes = parse_request(Operation.ANONYMIZE, {"Force": True, "Remove": ["StudyID"]})

    check_required(removes, read(CLASSES["CT"], study_id), read(CLASSES["CT"]))
    check_required(REQUEST, read("1.2.3.4", study_id), read("1.2.3.4"))
