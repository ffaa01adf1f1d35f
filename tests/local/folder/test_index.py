"""Every file of a folder is an instance with Orthanc's identifiers, or a problem with its reason; nothing is lost."""

from __future__ import annotations

import io
import os
import shutil
import socket
import struct
import warnings
from typing import TYPE_CHECKING, Any

import pytest
from pydicom import dcmread
from pydicom.charset import decode_bytes

from deidflow.tasks.core.dicom.identifiers import dropped_byte, orthanc_id
from deidflow.tasks.core.engine.sources import ProblemCode, SourceInstance, SourceProblem
from deidflow.tasks.local.folder.index import find_files, read_index_entries
from tests.dicom_files import (
    BIG,
    DEFLATED,
    EXPLICIT,
    IDENTIFIERS,
    IMPLICIT,
    Element,
    Syntax,
    elements,
    encode,
    file_bytes,
    instance,
)
from tests.local.edits import PACKAGE, all_files, anonymize, modify

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

Entry = SourceInstance | ProblemCode


def index(folder: Path, *, attributes: bool = False) -> dict[bytes, Entry]:
    """Return what each file of a folder is, by path."""
    found = list(find_files(os.fsencode(folder)))
    problems = [one for one in found if isinstance(one, SourceProblem)]
    paths = [one for one in found if isinstance(one, bytes)]
    entries = read_index_entries(os.fsencode(folder), paths, with_attributes=attributes)
    assert paths == [entry.path for entry in entries]
    return {entry.path: entry.code if isinstance(entry, SourceProblem) else entry for entry in (*problems, *entries)}


def entry_of(data: bytes, folder: Path, *, attributes: bool = False) -> Entry:
    """Return what one file is."""
    (folder / "file").write_bytes(data)
    return index(folder, attributes=attributes)[b"file"]


def identifiers_of(data: bytes, folder: Path) -> tuple[str, ...]:
    """Return the identifiers of a file that is an instance."""
    entry = entry_of(data, folder)
    assert isinstance(entry, SourceInstance)
    return entry.identifiers


@pytest.mark.parametrize("syntax", [IMPLICIT, EXPLICIT, BIG, DEFLATED], ids=lambda syntax: syntax.uid)
def test_identifiers_in_every_syntax(tmp_path: Path, syntax: Syntax) -> None:
    """With meta information, and without preamble, the four identifiers are found."""
    expected = ("P-1", "1.2.3.1", "1.2.3.1.1", "1.2.3.1.1.1")

    assert expected == identifiers_of(instance(syntax=syntax), tmp_path)
    assert expected == identifiers_of(instance(syntax=syntax, preamble=None), tmp_path)
    if syntax is not DEFLATED:
        assert expected == identifiers_of(encode(elements(IDENTIFIERS, syntax), syntax), tmp_path)


@pytest.mark.parametrize(
    "name",
    [
        b"IM0001",
        b"no extension.",
        b"a\nb.dcm",
        b"\xff\xfe\x80.dcm",
        b" ",
        b"-rf",
        b"x" * 255,
        "bücher.dcm".encode(),
        b"\x01",
    ],
)
def test_any_file_name(tmp_path: Path, name: bytes) -> None:
    """The name of a file says nothing about it, and every name that the system stores is one."""
    with open(os.path.join(os.fsencode(tmp_path), name), "wb") as file:  # noqa: PTH118, PTH123 (bytes)
        file.write(instance())
    (entry,) = index(tmp_path).values()

    assert isinstance(entry, SourceInstance)
    assert name == entry.path


def test_what_cannot_be_used(tmp_path: Path) -> None:
    """Each file that is no instance has its own reason, and the sound one beside them is found."""
    whole = instance(Element(0x7FE00010, "OW", bytes(100)))
    uids = len(file_bytes(elements({k: IDENTIFIERS[k] for k in ("SOPClassUID", "SOPInstanceUID")}), EXPLICIT))
    directory = {"MediaStorageSOPClassUID": "1.2.840.10008.1.3.10"}
    folder = tmp_path / "sub" / "sub"
    folder.mkdir(parents=True)
    (folder / "sound").write_bytes(whole)
    files = {
        "empty": b"",
        "text": b"hello\n",
        "zeros": bytes(5000),
        "DICOMDIR": file_bytes(elements({"FileSetID": "SET1"}), EXPLICIT, meta=directory),
        "no-identifiers": instance(StudyInstanceUID=None),
        "empty-uid": instance(SeriesInstanceUID=""),
        "cut-before": whole[: uids + 4],
        "cut-after": whole[:-50],
        "cut-in-meta": whole[:200],
        "cut-in-magic": whole[:130],
        "deep-before": deep(before=True),
        "deep-after": deep(before=False),
    }
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
    found = index(tmp_path)

    assert {
        b"empty": ProblemCode.EMPTY,
        b"text": ProblemCode.NOT_DICOM,
        b"zeros": ProblemCode.NOT_DICOM,
        b"DICOMDIR": ProblemCode.DICOMDIR,
        b"no-identifiers": ProblemCode.MISSING_IDENTIFIERS,
        b"empty-uid": ProblemCode.MISSING_IDENTIFIERS,
        b"cut-before": ProblemCode.DAMAGED,
        b"cut-in-meta": ProblemCode.DAMAGED,
        b"cut-in-magic": ProblemCode.NOT_DICOM,
        b"deep-before": ProblemCode.DAMAGED,
    } == {path: entry for path, entry in found.items() if isinstance(entry, ProblemCode)}
    # Damaged ones whose identifiers can be read are instances, which will fail by name.
    assert {b"sub/sub/sound", b"cut-after", b"deep-after"} == {
        path for path, entry in found.items() if isinstance(entry, SourceInstance)
    }


def deep(*, before: bool, levels: int = 2000) -> bytes:
    """Return a file with sequences within sequences, before or after the identifiers of study and series."""
    tag = 0x00081140 if before else 0x0040A730
    header = encode([Element(tag, "SQ", ())], EXPLICIT)[:-4] + b"\xff\xff\xff\xff"
    tower = levels * (header + struct.pack("<HHL", 0xFFFE, 0xE000, 0xFFFFFFFF))
    tower += levels * (struct.pack("<HHL", 0xFFFE, 0xE00D, 0) + struct.pack("<HHL", 0xFFFE, 0xE0DD, 0))
    made = elements(IDENTIFIERS)
    split = 2 if before else len(made)
    return file_bytes(made[:split], EXPLICIT) + tower + encode(made[split:], EXPLICIT)


def test_what_is_no_regular_file_is_not_opened(tmp_path: Path) -> None:
    """FIFOs and sockets, which would block, are named and left alone."""
    os.mkfifo(tmp_path / "fifo")
    with socket.socket(socket.AF_UNIX) as listener, pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path)  # the path of a socket is short
        listener.bind("socket")

    assert {b"fifo": ProblemCode.NOT_A_REGULAR_FILE, b"socket": ProblemCode.NOT_A_REGULAR_FILE} == index(tmp_path)


def test_symbolic_links(tmp_path: Path) -> None:
    """Links inside the folder are passed over, since their targets are found; others are named; none is followed."""
    source, outside = tmp_path / "source", tmp_path / "source-outside"
    (source / "folder").mkdir(parents=True)
    outside.mkdir()
    (outside / "file").write_bytes(instance())
    (source / "folder" / "file").write_bytes(instance())
    links = {
        "inside": "folder/file",
        "inside-folder": "folder",
        "to-itself": ".",
        "outside-file": "../source-outside/file",
        "outside-folder": "../source-outside",
        "broken": "nothing",
        "loop": "loop",
    }
    for name, target in links.items():
        (source / name).symlink_to(target)
    found = index(source)

    assert {
        b"broken": ProblemCode.BROKEN_LINK,
        b"loop": ProblemCode.BROKEN_LINK,
        b"outside-file": ProblemCode.LINK_OUT_OF_FOLDER,
        b"outside-folder": ProblemCode.LINK_OUT_OF_FOLDER,
    } == {path: entry for path, entry in found.items() if isinstance(entry, ProblemCode)}
    assert [b"folder/file"] == [path for path, entry in found.items() if isinstance(entry, SourceInstance)]


def test_a_folder_behind_a_link_is_a_folder(tmp_path: Path) -> None:
    """The source folder itself may be reached through a link; links inside it still count as inside."""
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "file").write_bytes(instance())
    (tmp_path / "real" / "link").symlink_to("file")
    (tmp_path / "source").symlink_to("real")

    assert [b"file"] == list(index(tmp_path / "source"))


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_what_may_not_be_read(tmp_path: Path) -> None:
    """A folder and a file without the right to read are problems that stop nothing."""
    (tmp_path / "folder").mkdir(mode=0)
    (tmp_path / "file").write_bytes(instance())
    (tmp_path / "file").chmod(0)
    (tmp_path / "sound").write_bytes(instance())
    found = index(tmp_path)
    (tmp_path / "folder").chmod(0o700)

    assert ProblemCode.UNREADABLE is found[b"folder"]
    assert ProblemCode.UNREADABLE is found[b"file"]
    assert isinstance(found[b"sound"], SourceInstance)


def test_file_that_vanishes_between_listing_and_reading(tmp_path: Path) -> None:
    """A file that is gone again is a problem, no crash."""
    (entry,) = read_index_entries(os.fsencode(tmp_path), [b"gone"])

    assert SourceProblem(b"gone", ProblemCode.UNREADABLE) == entry


def test_order_is_fixed(tmp_path: Path) -> None:
    """Files are found in one order, whatever order the system lists them in."""
    for name in ("b/2", "a/1", "c", "a/0/9", "b/10"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")

    assert [b"c", b"a/1", b"a/0/9", b"b/10", b"b/2"] == list(find_files(os.fsencode(tmp_path)))


@pytest.mark.parametrize(
    ("raw", "charset", "expected"),
    [
        (b"ABC ", None, "ABC"),
        (b"ABC \0", None, "ABC "),
        (b"ABC  \0", None, "ABC  "),
        (b"AB ", None, "AB "),
        (b"  ABC ", None, "  ABC"),
        (b"A B   ", None, "A B"),
        (b"AB\0CD ", None, "AB"),
        (b"    ", None, ""),
        (b"\0\0", None, ""),
        (b"", None, ""),
        (b"A\\B ", None, "A\\B"),
        (b"a\tB\r\n", None, "a\tB\r\n"),
        ("Jörg".encode("latin-1"), None, "Jörg"),
        ("Jörg  ".encode("latin-1"), "", "Jörg"),
        ("Jörg".encode(), "ISO_IR 192", "Jörg"),
        ("Люк ".encode("iso8859-5"), "ISO_IR 144", "Люк"),
        ("山田".encode("gb18030"), "GB18030", "山田"),
        (b"\x1b$B;3ED\x1b(B-1", "\\ISO 2022 IR 87", "山田-1"),
        ("Jörg".encode("latin-1"), "NO SUCH SET", f"J{dropped_byte(0xF6)}rg"),
        ("Jörg".encode("latin-1"), "ISO IR 100", f"J{dropped_byte(0xF6)}rg"),
        ("Jörg".encode(), "iso_ir 192", "Jörg"),
        ("Jörg".encode("latin-1"), "iso_ir 192", f"J{dropped_byte(0xF6)}rg"),
        (b"J\x1b-A\xf6rg", "ISO 2022 IR 100\\ISO 2022 IR 144", "Jörg"),
    ],
)
def test_patient_id_as_orthanc_decodes_it(tmp_path: Path, raw: bytes, charset: str | None, expected: str) -> None:
    """Character set applied, leading blanks and backslashes kept, an end at NUL; blanks are padding at an even end."""
    data = instance(Element(0x00100020, "LO", raw), PatientID=None, SpecificCharacterSet=charset)

    assert expected == identifiers_of(data, tmp_path)[0]


def test_absent_patient_id(tmp_path: Path) -> None:
    """No PatientID is the empty one."""
    assert "" == identifiers_of(instance(PatientID=None), tmp_path)[0]


@pytest.mark.parametrize("raw", [b"1.2.3.1\0", b"1.2.3.1 ", b" 1.2. 3.1", b"1.2.3.1\0\0\0"])
def test_uids_without_blanks_and_padding(tmp_path: Path, raw: bytes) -> None:
    """Blanks anywhere and NUL at the end are no part of a UID."""
    data = instance(Element(0x0020000D, "UI", raw), StudyInstanceUID=None)

    assert "1.2.3.1" == identifiers_of(data, tmp_path)[1]


def test_identifiers_of_the_top_level_count(tmp_path: Path) -> None:
    """What stands inside items identifies other objects; frame of reference is read at top level, too."""
    inner = {"PatientID": "OTHER", "StudyInstanceUID": "9.9", "FrameOfReferenceUID": "9.8"}
    data = instance(ReferencedSeriesSequence=[inner], FrameOfReferenceUID="1.2.3.5")
    entry = entry_of(data, tmp_path)

    assert isinstance(entry, SourceInstance)
    assert ("P-1", "1.2.3.1", "1.2.3.5") == (*entry.identifiers[:2], entry.frame_of_reference_uid)


def test_identifiers_far_behind_the_first_read(tmp_path: Path) -> None:
    """Long text and long sequences before the identifiers hide nothing."""
    items = [{"ReferencedSOPInstanceUID": f"1.2.3.4.{number}"} for number in range(2000)]
    long_text: dict[str, Any] = {"AdmittingDiagnosesDescription": "x" * 60_000, "ReferencedImageSequence": items}
    expected = ("P-1", "1.2.3.1", "1.2.3.1.1", "1.2.3.1.1.1")

    assert expected == identifiers_of(instance(**long_text), tmp_path)
    assert expected == identifiers_of(instance(Element(0x00091001, "UN", bytes(50_000))), tmp_path)


def test_identifiers_behind_long_meta_information(tmp_path: Path) -> None:
    """Private information in the meta information may be longer than the first read."""
    meta = {"PrivateInformationCreatorUID": "1.2.3", "PrivateInformation": bytes(20_000)}

    assert ("P-1", "1.2.3.1", "1.2.3.1.1", "1.2.3.1.1.1") == identifiers_of(instance(meta=meta), tmp_path)


def test_attributes_for_people(tmp_path: Path) -> None:
    """An inventory gets text decoded, and only when it asks."""
    data = instance(SpecificCharacterSet="ISO_IR 192", StudyDescription="東京 ", charset="utf-8", InstanceNumber="7")
    entry, without = entry_of(data, tmp_path, attributes=True), entry_of(data, tmp_path)
    assert isinstance(entry, SourceInstance)
    assert isinstance(without, SourceInstance)

    assert ("東京", "7", "Doe^Jane") == tuple(
        entry.attributes[keyword] for keyword in ("StudyDescription", "InstanceNumber", "PatientName")
    )
    assert {} == dict(without.attributes)


def test_results_of_anonymize_are_recognised(tmp_path: Path) -> None:
    """What deidflow anonymized says so; what it modified is an object like any other."""
    kinds = [entry_of(data, tmp_path) for data in (instance(), modify({})(instance()), anonymize({})(instance()))]

    assert [False, False, True] == [isinstance(entry, SourceInstance) and entry.is_result for entry in kinds]


def test_change_times_tell_a_changed_file(tmp_path: Path) -> None:
    """Size and time of change are those of the file."""
    entry = entry_of(instance(), tmp_path)
    status = (tmp_path / "file").stat()
    assert isinstance(entry, SourceInstance)

    assert (status.st_size, status.st_mtime_ns) == (entry.size, entry.mtime_ns)


def by_pydicom(paths: Iterable[Path]) -> dict[bytes, tuple[str, ...]]:
    """Compute Orthanc's identifiers of the files that carry the three UIDs, with pydicom alone."""
    found = {}
    for path in paths:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                dataset = dcmread(io.BytesIO(path.read_bytes()), force=True, stop_before_pixels=True)
                keywords = ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID")
                uids = [str(dataset.get(keyword) or "") for keyword in keywords]
            except Exception:  # noqa: BLE001, S112 (no DICOM)
                continue
            if not all(uids) or dataset.get("file_meta", {}).get("MediaStorageSOPClassUID") == "1.2.840.10008.1.3.10":
                continue
            raw: Any = dataset.get_item("PatientID")
            value: Any = raw.value if raw else None
            text = value if isinstance(value, str) else decode_bytes(value or b"", dataset._character_set, {0x5C})
            text = text.split("\0")[0]
            # Orthanc keeps the padding of a PatientID that is sent as UN (rtdose_rle.dcm).
            if raw and raw.VR != "UN":
                text = text.rstrip(" ")
        values = (text, *uids)
        found[os.fsencode(path.relative_to(PACKAGE))] = tuple(orthanc_id(*values[: level + 1]) for level in range(4))
    return found


def test_orthanc_identifiers_of_all_package_files() -> None:
    """All four Orthanc identifiers are those computed with pydicom, for each file of its package."""
    expected = by_pydicom(all_files())
    found = {
        path: entry.identifiers.orthanc_ids()
        for path, entry in index(PACKAGE).items()
        if isinstance(entry, SourceInstance)
    }

    assert len(expected) >= 160
    assert expected == found


def test_source_is_left_as_it_is(tmp_path: Path) -> None:
    """Indexing changes neither content nor times."""
    shutil.copytree(PACKAGE / "test_files" / "dicomdirtests", tmp_path / "source")
    before = [(path, path.stat().st_mtime_ns) for path in sorted((tmp_path / "source").rglob("*"))]
    index(tmp_path / "source")

    assert before == [(path, path.stat().st_mtime_ns) for path in sorted((tmp_path / "source").rglob("*"))]
