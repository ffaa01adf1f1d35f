"""Remembering what the files of a series have in common changes nothing about the index."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from hypothesis import given

from benchmarks.generate import Shape, generate
from deidflow.tasks.core.engine.sources import SourceInstance
from deidflow.tasks.local.dicom_file.source_file import SourceFile
from deidflow.tasks.local.folder.index import find_files, read_identifiers, read_index_entries
from deidflow.tasks.local.folder.shared_identifiers import SharedIdentifiers
from tests.dicom_files import EXPLICIT, Element, encode, instance
from tests.local.strategies import PROPERTY, series_of_files


def _compare(series: list[bytes]) -> None:
    """Every file of a folder has the same entry as if it were alone."""
    with tempfile.TemporaryDirectory() as name:
        folder = name.encode()
        paths = [f"{number:03}".encode() for number in range(len(series))]
        for path, data in zip(paths, series, strict=True):
            (Path(name) / path.decode()).write_bytes(data)

        alone = [read_index_entries(folder, [path])[0] for path in paths]

        assert alone == read_index_entries(folder, paths)
        shared = SharedIdentifiers()
        identifiers = [read_identifiers(os.open(folder + b"/" + path, os.O_RDONLY), shared) for path in paths]
        assert [getattr(entry, "identifiers", None) for entry in alone] == identifiers


@PROPERTY
@given(series=series_of_files())
def test_generated_series(series: list[bytes]) -> None:
    """Whatever is in a series and whatever differs in it, and in another one like it."""
    _compare([*series, *(data.replace(b"1.2.3.1.1\0", b"1.2.3.1.7\0") for data in series)])


def test_one_element_more_or_less() -> None:
    """FrameOfReferenceUID and PatientID that come, go or change, in the middle of a series and at its end."""
    for change in (
        {"FrameOfReferenceUID": "1.2.3.9"},
        {"PatientID": "P-2"},
        {"PatientID": None},
        {"SpecificCharacterSet": "ISO_IR 192", "PatientID": "\u00e9"},
        {"SeriesInstanceUID": "1.2.3.1.2"},
        {"StudyInstanceUID": "1.2.3.2"},
    ):
        usual = [instance(SOPInstanceUID=f"1.2.3.1.1.{10**n}", InstanceNumber=str(n), Rows=1) for n in range(6)]
        other = [
            instance(SOPInstanceUID=f"1.2.3.1.1.{10**n}", InstanceNumber=str(n), Rows=1, **dict[str, object](change))  # type: ignore[arg-type]
            for n in range(6)
        ]
        for turn in range(6):
            _compare([*usual[:turn], other[turn], *usual[turn + 1 :]])
            _compare([*usual[:turn], *other[turn:]])


def test_a_frame_of_reference_of_each_own() -> None:
    """FrameOfReferenceUIDs that differ from slice to slice are told apart."""
    _compare([instance(SOPInstanceUID=f"1.2.3.1.1.{n}", FrameOfReferenceUID=f"1.2.{n}", Rows=1) for n in range(6)])


def test_files_that_end_early() -> None:
    """A file cut anywhere is damaged in the same way, whatever was read before."""
    usual = [instance(SOPInstanceUID=f"1.2.3.1.1.{n}", InstanceNumber=str(n), Rows=1) for n in range(4)]
    for cut in range(300, len(usual[3])):
        _compare([*usual[:3], usual[3][:cut]])


def test_a_sop_instance_uid_out_of_order() -> None:
    """Elements in the wrong order are read as ever."""
    series = []
    for number in range(5):
        data = instance(SOPInstanceUID=None, InstanceNumber=str(number), Rows=1)
        series.append(data + encode([Element(0x00080018, "UI", f"1.2.3.1.1.{number}\0".encode())], EXPLICIT))
    _compare(series)


def test_most_of_a_real_series_is_remembered(tmp_path: Path) -> None:
    """Of 100 slices with thirteen elements of their own five are scanned: two, and one of each series more."""
    generate(tmp_path / "made", 100, 32 << 10, shape=Shape(patients=1, studies_per_patient=1, series_per_study=4))
    folder = str(tmp_path / "made").encode()
    shared, remembered = SharedIdentifiers(), 0
    for path in find_files(folder):
        assert isinstance(path, bytes)
        with SourceFile.open(folder + b"/" + path) as source:
            remembered += shared.recall(source) is not None
        assert isinstance(read_index_entries(folder, [path], shared=shared)[0], SourceInstance)

    assert 95 == remembered
