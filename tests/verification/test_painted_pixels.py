"""Verifying tells whether regions are black in every frame, and everything else the source's, in every syntax."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any, Final

import imagecodecs
import numpy as np
from pydicom import Dataset, dcmread
from pydicom.encaps import encapsulate

from deidflow.tasks.core.dicom.identifiers import DicomIdentifiers, Level
from tests.dicom_files import BIG, DEFLATED, EXPLICIT, IMPLICIT, Element, Item, instance
from tests.jobs import read_csv
from tests.local.editing.painting import test_compressed as coded
from tests.local.editing.painting.images import Image
from tests.local.editing.painting.test_jpeg import file as jpeg_file
from tests.local.editing.painting.test_jpeg import jpeg, textured
from tests.steps.steps import Steps

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    Change = Callable[[Dataset], None]

RULES: Final = """rules:
- name: left out
  when: {Modality: CT, Manufacturer: Clean}
  clean: true
- name: painted
  when: {Modality: US, Manufacturer: Acmé, Rows: {min: 30}, Columns: {min: 30}}
  regions: [{x: 3, y: 2, width: 25, height: 14}, {x: 0, y: 29, width: 22, height: 50}]
- name: around
  when: {Modality: US, Manufacturer: Around}
  outside: SequenceOfUltrasoundRegions
"""
ACME: Final = {"Modality": "US", "Manufacturer": "Acmé", "BurnedInAnnotation": "YES"}
AROUND: Final = Element(
    0x00186011,
    "SQ",
    (
        Item(
            tuple(
                Element(tag, vr, value.to_bytes(2 if vr == "US" else 4, "little"))
                for tag, vr, value in (
                    (0x00186012, "US", 1),
                    (0x00186018, "UL", 4),
                    (0x0018601A, "UL", 5),
                    (0x0018601C, "UL", 20),
                    (0x0018601E, "UL", 30),
                )
            )
        ),
    ),
)


def sources() -> dict[str, bytes]:
    """Return one file of each kind, by the end of its SOPInstanceUID."""
    made: dict[str, bytes] = {}

    def name(**more: Any) -> dict[str, Any]:
        return {**ACME, "SOPInstanceUID": f"1.2.3.1.1.{len(made) + 1}", **more}

    for syntax in (IMPLICIT, EXPLICIT, BIG, DEFLATED):
        image = Image.random(1, 3, 41, 37, "MONOCHROME2", stored=12, high_bit=11, signed=True)
        made[f"native {syntax.uid}"] = image.file(syntax, **name(SpecificCharacterSet="ISO_IR 100"))
    for photometric, form, _ in coded.FORMS:
        image = Image.random(1, 2, 41, 38, photometric, **form)
        made[f"{photometric} {form}"] = image.file(**name(SpecificCharacterSet="ISO_IR 100"))
    image = Image.random(1, 2, 41, 38, "YBR_FULL_422", **coded.BYTES)
    made["halved"] = image.file(**name(SpecificCharacterSet="ISO_IR 100"))
    for uid, codec in coded.CODECS.items():
        image = Image.random(1, 2, 41, 37, "MONOCHROME1", stored=12, high_bit=11)
        frames = [codec(frame, image) for frame in image.values]
        made[uid] = image.compressed(uid, frames, **name(SpecificCharacterSet="ISO_IR 100"))
    for uid in (coded.RLE, *(coded.DICOM + end for end in ("70", "80", "90"))):  # planes, it says, which means nothing
        image = Image.random(1, 2, 41, 37, "YBR_FULL", planar=1, **coded.BYTES)
        frames = [coded.CODECS[uid](frame, image) for frame in image.values]
        made[f"colours {uid}"] = image.compressed(uid, frames, **name(SpecificCharacterSet="ISO_IR 100"))
    for syntax in (IMPLICIT, BIG):  # frames that begin within a byte
        image = Image.random(1, 3, 41, 37, "MONOCHROME1", allocated=1, stored=1, high_bit=0)
        made[f"bits {syntax.uid}"] = image.file(syntax, **name(SpecificCharacterSet="ISO_IR 100"))
    for sampling in ("444", "420"):
        frame = jpeg(textured(131, 150, 3).astype("u1"), subsampling=sampling)
        data = jpeg_file([frame, frame], "YBR_FULL_422", (131, 150), **coded.BYTES)
        made[f"jpeg {sampling}"] = _with(data, name(SpecificCharacterSet="ISO_IR 100"))
    values = np.random.default_rng(2).normal(0, 9, (2, 41, 37)).astype("<f4")
    attributes = Image(np.zeros((2, 41, 37, 1)), allocated=32).attributes(
        BitsStored=None, HighBit=None, PixelRepresentation=None
    )
    made["float"] = instance(
        Element(0x7FE00008, "OF", values.tobytes()), **attributes, **name(SpecificCharacterSet="ISO_IR 100")
    )
    image = Image.random(1, 2, 41, 38, "RGB", **coded.BYTES)
    made["around"] = image.file(EXPLICIT, "OW", AROUND, **name(Manufacturer="Around"))
    made["clean"] = image.file(**name(Manufacturer="Clean", Modality="CT", BurnedInAnnotation="NO"))
    made["not at risk"] = Image.random(1, 1, 9, 9, "MONOCHROME2").file(
        **name(Manufacturer="Other", Modality="MR", BurnedInAnnotation=None)
    )
    return made


def _with(data: bytes, values: Mapping[str, Any]) -> bytes:
    dataset = dcmread(io.BytesIO(data))
    for keyword, value in values.items():
        setattr(dataset, keyword, value)
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    output = io.BytesIO()
    dataset.save_as(output, enforce_file_format=True)
    return output.getvalue()


def planned(
    root: Path, files: Mapping[str, bytes], options: Mapping[str, str] | None = None, **execution: int
) -> Steps:
    """Return a run of files, planned."""
    (root / "source").mkdir(parents=True)
    (root / "site.yaml").write_text(RULES, encoding="utf-8")
    for number, data in enumerate(files.values()):
        (root / "source" / f"{number}.dcm").write_bytes(data)
    steps = Steps(root)
    steps.plan(
        [DicomIdentifiers("P-1", "1.2.3.1", "1.2.3.1.1", "1.2.3.1.1.1").orthanc_id(Level.STUDY)],
        options=options,
        profile="ps3.15-2026d",
        profile_options=["clean-pixel-data", "retain-device-identity"],
        pixels={"rules": ["site.yaml"]},
        execution={"workers": 1, **execution},
    )
    return steps


def crosswalk(steps: Steps, files: Mapping[str, bytes]) -> dict[str, dict[str, str]]:
    """Report, and return the line of each file."""
    steps.report()
    names = {str(dcmread(io.BytesIO(data)).SOPInstanceUID): name for name, data in files.items()}
    return {names[row["original_dicom_id"]]: row for row in steps.crosswalk()}


def test_every_result_says_what_was_done(tmp_path: Path) -> None:
    """All of them are right; BurnedInAnnotation, codes, and what a person should look at."""
    files = sources()
    files["refused"] = Image.random(1, 1, 9, 9, "MONOCHROME2").file(SOPInstanceUID="1.2.3.1.1.99", Modality="US")
    steps = planned(tmp_path, files)
    steps.edit()
    steps.verify()
    rows = crosswalk(steps, files)
    wrong = {name: row["reason"] for name, row in rows.items() if row["outcome"] != "done"}
    said = {}
    results = {path.stem: path for path in (tmp_path / "results").rglob("*.dcm")}
    for name, row in rows.items():
        if row["outcome"] == "done":
            dataset = dcmread(results[row["new_dicom_id"]])
            codes = {item.CodeValue for item in dataset.DeidentificationMethodCodeSequence}
            said[name] = (dataset.get("BurnedInAnnotation"), "113101" in codes)
    review = read_csv(steps.run.folder / "review.csv")
    reasons = [row["reason"] for row in review]

    assert ["refused"] == list(wrong), wrong
    assert wrong["refused"].startswith("burned-in-text: ")
    assert (None, False) == said.pop("not at risk")
    assert {("NO", True)} == set(said.values())
    assert 1 == reasons.count("burned-in-text")
    assert len(said) - 1 == reasons.count("painted-pixels")


def test_the_same_bytes_however_the_work_is_cut(tmp_path: Path) -> None:
    """In another order, in small chunks, by two workers."""
    files = sources()
    found = []
    for name, order, execution in (("one", 1, {}), ("two", -1, {"workers": 2, "chunk_size": 4})):
        steps = planned(tmp_path / name, dict(list(files.items())[::order]), None, **execution)
        steps.edit()
        results = (tmp_path / name / "results").rglob("*.dcm")
        found.append({path.stem: path.read_bytes() for path in results})

    assert len(files) == len(found[0])
    assert found[0] == found[1]


def spoil(x: int, y: int, bit: int = 4) -> Change:
    """Return a change of one bit of a pixel in the last frame of an uncompressed image."""

    def change(dataset: Dataset) -> None:
        width = dataset.BitsAllocated // 8 * dataset.SamplesPerPixel
        data = bytearray(dataset.PixelData)
        frames = int(dataset.get("NumberOfFrames") or 1)
        at = ((frames - 1) * dataset.Rows * dataset.Columns + y * dataset.Columns + x) * width
        data[at + bit // 8] ^= 1 << bit % 8
        dataset.PixelData = bytes(data)

    return change


def spoil_frame(dataset: Dataset) -> None:
    """Change the first pixel of the only coded frames: outside the regions."""
    codec = imagecodecs.jpeg2k_decode
    frames = []
    for part in coded._items(dataset.PixelData)[1:]:
        values = codec(dataset.PixelData[part[0] + 8 : part[0] + 8 + part[1]]).copy()
        values[0, 0] ^= 1
        frames.append(
            bytes(
                imagecodecs.jpeg2k_encode(
                    values, level=0, codecformat="J2K", bitspersample=12, reversible=True, mct=False
                )
            )
        )
    dataset.PixelData = encapsulate(frames, has_bot=False)


def put(keyword: str, value: object) -> Change:
    """Return a change of an element."""
    return lambda dataset: setattr(dataset, keyword, value)


def drop_code(dataset: Dataset) -> None:
    """Take out the code of Clean Pixel Data."""
    codes = dataset.DeidentificationMethodCodeSequence
    dataset.DeidentificationMethodCodeSequence = [item for item in codes if item.CodeValue != "113101"]


def add_code(dataset: Dataset) -> None:
    """Claim Clean Pixel Data."""
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = "113101", "DCM", "Clean Pixel Data Option"
    dataset.DeidentificationMethodCodeSequence.append(item)


NATIVE: Final = f"native {EXPLICIT.uid}"


WRONG: Final[list[tuple[str, Change | None, str]]] = [
    (NATIVE, spoil(3, 2), "identifier-left"),
    (NATIVE, spoil(27, 15), "identifier-left"),
    (NATIVE, spoil(0, 40), "identifier-left"),
    (NATIVE, spoil(3, 2, 14), "identifier-left"),  # of the bits that the image does not use
    (NATIVE, spoil(28, 15), "pixel-data-differs"),
    (NATIVE, spoil(28, 15, 14), "pixel-data-differs"),
    (NATIVE, spoil(36, 0), "pixel-data-differs"),
    ("around", spoil(3, 5), "identifier-left"),
    ("around", spoil(4, 5), "pixel-data-differs"),
    ("not at risk", spoil(4, 5), "pixel-data-differs"),
    ("clean", spoil(4, 5), "pixel-data-differs"),
    ("1.2.840.10008.1.2.4.90", spoil_frame, "pixel-data-differs"),
    (NATIVE, put("BurnedInAnnotation", "YES"), "result-differs"),
    ("not at risk", put("BurnedInAnnotation", "NO"), "result-differs"),
    (NATIVE, drop_code, "result-differs"),
    ("not at risk", add_code, "result-differs"),
    (NATIVE, None, ""),
]


def test_what_is_wrong_is_found(tmp_path: Path) -> None:
    """Results that are changed before they are verified for the first time: each is named, and no other."""
    made = sources()
    files = {
        f"{number} {name}": _with(made[name], {"SOPInstanceUID": f"1.2.3.1.1.{number + 1}"})
        for number, (name, _, _) in enumerate(WRONG)
    }
    steps = planned(tmp_path, files)
    steps.edit()
    results = {path.stem: path for path in (tmp_path / "results").rglob("*.dcm")}
    rows = crosswalk(steps, files)
    for name, row in rows.items():
        change = WRONG[int(name.split()[0])][1]
        path = results[row["new_dicom_id"]]
        dataset = dcmread(path)
        if change is not None:
            change(dataset)
            dataset.save_as(path)  # no more than the change: pydicom would add its own name, which fails as well
    steps.verify()
    found = {name: row["reason"].partition(":")[0] for name, row in crosswalk(steps, files).items()}

    assert {f"{number} {name}": code for number, (name, _, code) in enumerate(WRONG)} == found
