"""Which codes a result claims where two options speak of one attribute: device identity beside modified dates."""

from __future__ import annotations

import io
from typing import Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deidflow.tasks.core.errors import InstanceFailed
from deidflow.tasks.core.request.profile_choice import Option, ProfileChoice
from deidflow.tasks.local.dicom_file.source_file import SourceFile
from deidflow.tasks.local.worker import edit_source
from deidflow.tasks.verification.leaks.search import LeakSearch
from deidflow.tasks.verification.reader import read_dicom
from deidflow.tasks.verification.standard.method_codes import check_codes
from tests.dicom_files import Element, Item, instance
from tests.local.edits import deidentify, read

CHOICE: Final = ProfileChoice(frozenset({Option.RETAIN_MODIFIED_DATES, "retain-device-identity", "clean-descriptors"}))
ALL: Final = ["113100", "113105", "113107", "113109"]
"""Basic profile, descriptors, modified dates, device identity."""
OVERRULED: Final = ["113105", "113107"]
CALIBRATED: Final = Element(0x00181200, "DA", b"20240301")
"""DateOfLastCalibration: kept by device identity, and moved by modified dates."""


def nested(*inside: Element, vr: str = "SQ") -> Element:
    """Return a sequence that stays, with elements two levels down."""
    return Element(0x00081115, vr, (Item((Element(0x00081199, vr, (Item(inside),)),)),), undefined=vr == "UN")


def codes(data: bytes) -> list[str]:
    """Return what a result claims."""
    return [str(item.CodeValue) for item in read(data).DeidentificationMethodCodeSequence]


def verified(source: bytes, result: bytes) -> None:
    """Have the verifier look at the codes."""
    request, leaks = deidentify(CHOICE).request, LeakSearch(CHOICE, written_by_server=False)
    check_codes(request, CHOICE, leaks.treated(request), *map(read_dicom, map(io.BytesIO, (source, result))))


@pytest.mark.parametrize(
    ("extra", "claimed"),
    [
        ((), ALL),
        ((Element(0x00181000, "LO", b"SN 4711 "),), ALL),
        ((CALIBRATED,), OVERRULED),
        ((nested(CALIBRATED),), OVERRULED),
        ((nested(CALIBRATED, vr="UN"),), OVERRULED),
        ((nested(Element(0x300C0127, "DA", b"20240301")),), OVERRULED),
    ],
    ids=["no device", "a device", "top level", "in items", "under UN", "another attribute"],
)
def test_what_is_claimed_is_what_was_applied_in_full(extra: tuple[Element, ...], claimed: list[str]) -> None:
    """The basic profile with its options; less only of an instance in which one option overrules another."""
    data = instance(*extra)
    result = deidentify(CHOICE)(data)

    assert claimed == codes(result)
    assert ("Basic Profile" in str(read(result).DeidentificationMethod)) is (claimed is ALL)
    verified(data, result)


@pytest.mark.parametrize(
    ("extra", "change"),
    [
        ((CALIBRATED,), (b"113105", b"113100")),
        ((CALIBRATED,), (b"113105", b"113109")),
        ((), (b"113109", b"113105")),
        ((), (b"113100", b"113105")),
    ],
    ids=["the basic profile", "device identity", "no device identity", "no basic profile"],
)
def test_the_verifier_sees_a_claim_that_is_not_so(extra: tuple[Element, ...], change: tuple[bytes, bytes]) -> None:
    """More than was applied, and less."""
    data = instance(*extra)
    result = deidentify(CHOICE)(data).replace(*change)

    with pytest.raises(InstanceFailed, match="does not say what was applied"):
        verified(data, result)


@settings(max_examples=40)
@given(st.lists(st.sampled_from(["", "top", "nested", "other", "behind"]), min_size=2, max_size=7))
def test_what_is_remembered_of_a_series_claims_nothing_for_others(places: list[str]) -> None:
    """Instances of one series claim each for itself, whichever came before."""
    extras = {
        "": (),
        "top": (CALIBRATED,),
        "nested": (nested(CALIBRATED),),
        "other": (nested(Element(0x00181201, "TM", b"101112")),),
        "behind": (Element(0x300C0127, "DA", b"20240301"),),
    }
    edit = deidentify(CHOICE)
    with SourceFile.of_bytes(instance()) as first:
        compiled = edit.compiled(first)
    for number, place in enumerate(places):
        usual = nested(Element(0x0020000E, "UI", b"1.2.3.1.1 ")) if place in ("", "top", "behind") else None
        data = instance(
            *extras[place],
            *((usual,) if usual else ()),
            Element(0x7FE00010, "OW", bytes(8)),
            SOPInstanceUID=f"1.2.3.1.1.{number}",
            InstanceNumber=str(number),
        )
        with SourceFile.of_bytes(data) as source:
            result = edit_source(source, edit.plan(source), compiled).to_bytes()
        assert (OVERRULED if place else ALL) == codes(result)
        assert edit(data) == result
