"""Types of attributes in the IODs, as PS3.3 prints them."""

from __future__ import annotations

from typing import Final

import pytest

from deidflow.tasks.local.deidentification.standard.attribute_types import type_of, typed_paths

CT: Final = "1.2.840.10008.5.1.4.1.1.2"
MR: Final = "1.2.840.10008.5.1.4.1.1.4"
ENHANCED_CT: Final = "1.2.840.10008.5.1.4.1.1.2.1"
PET: Final = "1.2.840.10008.5.1.4.1.1.128"
DOSE: Final = "1.2.840.10008.5.1.4.1.1.88.67"
GSPS: Final = "1.2.840.10008.5.1.4.1.1.11.1"
RT_PLAN: Final = "1.2.840.10008.5.1.4.1.1.481.5"


@pytest.mark.parametrize(
    ("sop_class", "path", "expected"),
    [
        # General Series: SeriesDate 3; PET Series: 1. General Image: ContentDate 2C; CT: AcquisitionDate 3.
        (CT, "SeriesDate", "3"),
        (PET, "SeriesDate", "1"),
        (PET, "AcquisitionDate", "2"),
        (CT, "ContentDate", "2C"),
        (CT, "AcquisitionDate", "3"),
        # Enhanced CT Image: ContentDate 1, AcquisitionDateTime 1C; Enhanced General Equipment: DeviceSerialNumber 1.
        (ENHANCED_CT, "ContentDate", "1"),
        (ENHANCED_CT, "DeviceSerialNumber", "1"),
        (CT, "DeviceSerialNumber", "3"),
        (CT, "ContrastBolusAgent", "2"),
        (RT_PLAN, "RTPlanDate", "2"),
        # Names and dates of X that their module requires.
        (GSPS, "PresentationCreationDate", "1"),
        (CT, "StudyDescription", None),
        # SR Document Content: any depth is one.
        (DOSE, "ContentSequence.ObservationDateTime", "1C"),
        (DOSE, "ContentSequence.ContentSequence.ContentSequence.ObservationDateTime", "1C"),
        # Elsewhere in the same object: General Reference.
        (MR, "ReferencedImageSequence", "3"),
        (MR, "RequestAttributesSequence.ReferencedImageSequence", None),
        ("1.2.3", "SeriesDate", None),
    ],
)
def test_types_as_printed_in_the_standard(sop_class: str, path: str, expected: str | None) -> None:
    """The strictest of the IOD's modules, at exactly this path."""
    assert expected == type_of(sop_class, path.split("."))


def test_known_sop_classes() -> None:
    """Of storage SOP classes the table says something, of others and of private ones nothing."""
    assert typed_paths(CT)
    assert not typed_paths("1.2.840.10008.1.3.10")
    assert not typed_paths("1.3.12.2.1107.5.9.1")
