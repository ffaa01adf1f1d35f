"""Results stay valid by dciodvfy: a few of pydicom's files; ``make test-validity`` takes all of them."""

from __future__ import annotations

import shutil

import pytest

from deidflow.tasks.core.request.profile_choice import ProfileChoice
from tests.corpus.validity import new_errors
from tests.local.edits import PACKAGE, deidentify, read

SEGMENTATIONS = ("liver_1frame.dcm", "liver_expb_1frame.dcm")
FILES = (*SEGMENTATIONS, "CT_small.dcm", "rtplan.dcm", "test-SR.dcm", "waveform_ecg.dcm")


@pytest.mark.skipif(shutil.which("dciodvfy") is None, reason="needs Debian's dicom3tools")
@pytest.mark.parametrize("name", FILES)
def test_a_result_has_no_new_error(name: str) -> None:
    """What the basic profile makes of an object is one of the same IOD."""
    source = next(PACKAGE.rglob(name)).read_bytes()

    assert [] == new_errors(source, deidentify(ProfileChoice())(source))


@pytest.mark.parametrize("name", SEGMENTATIONS)
def test_what_functional_groups_refer_to_is_what_the_object_lists(name: str) -> None:
    """References that the IOD needs follow their objects; no list names instances that nothing refers to."""
    source = next(PACKAGE.rglob(name)).read_bytes()
    before, after = read(source), read(deidentify(ProfileChoice())(source))
    listed, used = (
        {item.ReferencedSOPInstanceUID for series in data.ReferencedSeriesSequence for item in series[0x0008114A].value}
        for data in (before, after)
    )
    sources = {
        image.ReferencedSOPInstanceUID
        for frame in after.PerFrameFunctionalGroupsSequence
        for derivation in frame.DerivationImageSequence
        for image in derivation.SourceImageSequence
    }

    assert sources
    assert sources <= used
    assert not listed & used
