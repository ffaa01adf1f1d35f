"""A hundred instances at risk and a hundred that are not, made from real files: each is treated as the list says."""

from __future__ import annotations

import csv
from collections import Counter
from itertools import cycle, islice
from typing import TYPE_CHECKING, Any, Final

import pytest
from pydicom import dcmread
from pydicom.data import get_testdata_file

from deidflow.tasks.core.dicom.identifiers import DicomIdentifiers, Level
from tests.core.pixels.test_decisions import AT_RISK, NOT_AT_RISK
from tests.steps.steps import Steps

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

BASES: Final = (
    *("CT_small.dcm", "MR_small.dcm", "ExplVR_BigEnd.dcm", "SC_rgb_small_odd.dcm", "MR_small_RLE.dcm"),
    *("MR_small_bigendian.dcm", "SC_rgb_small_odd_big_endian.dcm", "MR_small_implicit.dcm", "image_dfl.dcm"),
)
ASKED: Final = (
    *(
        "Modality",
        "ImageType",
        "BurnedInAnnotation",
        "ConversionType",
        "SeriesDescription",
        "SequenceOfUltrasoundRegions",
    ),
    *("Manufacturer", "SecondaryCaptureDeviceManufacturer"),
)
CT: Final = "1.2.840.10008.5.1.4.1.1.2"
COUNT: Final = 100
RULE: Final = "rules:\n- name: ours\n  when: {Manufacturer: Known}\n  clean: true\n"


def _write(folder: Path, number: int, name: str, values: Mapping[str, Any]) -> str:
    """Write a real file with other attributes that the list asks about; return its Orthanc identifier."""
    dataset = dcmread(str(get_testdata_file(name)))
    for keyword in ASKED:
        if keyword in dataset:
            del dataset[keyword]
    has_samples = "SamplesPerPixel" in values
    given = {"SOPClassUID": CT} | {key: value for key, value in values.items() if key != "SamplesPerPixel"}
    if has_samples and dataset.SamplesPerPixel == 1:
        dataset = dcmread(str(get_testdata_file("SC_rgb_small_odd.dcm")))
        for keyword in ASKED:
            if keyword in dataset:
                del dataset[keyword]
    elif not has_samples and dataset.SamplesPerPixel > 1 and given.get("Modality") in ("CT", "MR", "CR", "DX", "MG"):
        given.setdefault("BurnedInAnnotation", "NO")  # colour is a kind of its own
    for keyword, value in given.items():
        setattr(dataset, keyword, value.split("\\") if keyword == "ImageType" else value)
    dataset.PatientID, dataset.StudyInstanceUID = f"P{number}", f"1.2.4.{number}"
    dataset.SeriesInstanceUID, dataset.SOPInstanceUID = f"1.2.3.{number}", f"1.2.3.{number}.1"
    dataset.file_meta.MediaStorageSOPInstanceUID, dataset.file_meta.MediaStorageSOPClassUID = (
        dataset.SOPInstanceUID,
        dataset.SOPClassUID,
    )
    dataset.save_as(folder / f"{number}.dcm", enforce_file_format=True)
    return DicomIdentifiers(f"P{number}", f"1.2.4.{number}", f"1.2.3.{number}", f"1.2.3.{number}.1").orthanc_id(
        Level.INSTANCE
    )


@pytest.mark.parametrize("unmatched", ["refuse", "accept"])
def test_a_hundred_at_risk_and_a_hundred_not(tmp_path: Path, unmatched: str) -> None:
    """Nothing at risk without a rule gets into the destination unless that is accepted; all of it is listed."""
    (tmp_path / "source").mkdir()
    (tmp_path / "site.yaml").write_text(RULE)
    kinds: dict[str, str] = {}
    drawn = islice(zip(cycle(AT_RISK), cycle(BASES), strict=False), COUNT)
    values: Mapping[str, Any]
    for number, (values, name) in enumerate(drawn):
        has_rule = number % 10 == 0 and values.get("BurnedInAnnotation") != "YES"
        given = values | ({"Manufacturer": "Known"} if has_rule else {})
        kinds[_write(tmp_path / "source", number, name, given)] = "known" if has_rule else "at risk"
    for number, (values, name) in enumerate(islice(zip(cycle(NOT_AT_RISK), cycle(BASES), strict=False), COUNT), COUNT):
        kinds[_write(tmp_path / "source", number, name, values)] = "not"
    steps = Steps(tmp_path)
    steps.plan(
        list(kinds),
        options={},
        profile_options=["clean-pixel-data"],
        pixels={"rules": ["site.yaml", "builtin"], "unmatched": unmatched},
        verify="none",
    )

    steps.edit()
    steps.report()

    with (tmp_path / "runs" / "r" / "reconciliation.csv").open(encoding="utf-8-sig", newline="") as stream:
        outcomes = Counter(
            (kinds[row["orthanc_id"]], row["outcome"], row["reason"].partition(":")[0])
            for row in csv.DictReader(stream)
        )
    with (tmp_path / "runs" / "r" / "review.csv").open(encoding="utf-8-sig", newline="") as stream:
        review = Counter(row["reason"].partition(":")[0] for row in csv.DictReader(stream))
    known = sum(kind == "known" for kind in kinds.values())
    at_risk = ("failed", "burned-in-text") if unmatched == "refuse" else ("done", "")
    assert {
        ("at risk", *at_risk): COUNT - known,
        ("known", "done", ""): known,
        ("not", "done", ""): COUNT,
    } == dict(outcomes)
    assert {"burned-in-text": COUNT - known, "known-clean": known} == dict(review)
    results = len(list((tmp_path / "results").rglob("*.dcm")))
    assert results == (2 * COUNT if unmatched == "accept" else COUNT + known)
