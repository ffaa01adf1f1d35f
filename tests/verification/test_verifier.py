"""Sound results are found sound, and every kind of damage to one is found, by its name."""

from __future__ import annotations

import io
import os
import shutil
import struct
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final

import pytest
from pydicom import dcmread, dcmwrite
from pydicom.uid import UID

from deidflow.tasks.core.dicom.identifiers import Level
from deidflow.tasks.core.engine.protocol import Expected, InstanceResult, VerifyWork
from deidflow.tasks.core.engine.result_paths import relative_path
from deidflow.tasks.core.files.evidence import is_evidence_of
from deidflow.tasks.core.ledger.uid_map import UidKind, write_uid_map
from deidflow.tasks.core.outcomes import Outcome, ReasonCode
from deidflow.tasks.core.request.request import DICOM_VERSIONS, Operation, Request, parse_request
from deidflow.tasks.local.folder.index import find_files, read_index_entries
from deidflow.tasks.local.folder.shared_identifiers import SharedIdentifiers
from deidflow.tasks.local.folder.source import FolderSource
from deidflow.tasks.local.folder.store import FolderStore
from deidflow.tasks.local.presence import find_results
from deidflow.tasks.local.worker import Worker
from deidflow.tasks.verification.verifier import ThirdJudge, Verifier, VerifierSettings
from tests.dicom_files import (
    BIG,
    DEFLATED,
    EXPLICIT,
    IMPLICIT,
    JPEG,
    Element,
    Item,
    Syntax,
    encapsulated,
    encode,
    instance,
)
from tests.local.edits import PACKAGE
from tests.local.folders import planned, settings_for

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from pydicom import Dataset

    from deidflow.tasks.core.engine.protocol import PlannedInstance

REFERENCE: dict[str, Any] = {"ReferencedSOPInstanceUID": "1.2.3.1.1.1", "PatientName": "Doe^Jane", "PatientID": "P-1"}


JUDGE = [ThirdJudge.ALL]
"""Which instances pydicom reads, too."""


@pytest.fixture(autouse=True, params=[ThirdJudge.ALL, ThirdJudge.NEEDED], ids=lambda judge: judge.name)
def judge(request: pytest.FixtureRequest) -> None:
    """Whatever is wrong is found by the own reader alone as it is with pydicom beside it."""
    JUDGE[0] = request.param


@dataclass
class Finished:
    """A run that ended well, and its verification."""

    source: Path
    destination: Path
    uid_map: Path
    request: Request
    plan: list[PlannedInstance]

    def verify(self, *, full: bool = True, evidence: str = "", **settings: Any) -> dict[str, InstanceResult]:
        """Verify all results; by name of the source file. Otherwise than in full look only whether they are there."""
        work = [(self.request, [Expected(one, evidence) for one in self.plan])]
        if full:
            verifier = Verifier(
                VerifierSettings(
                    source=FolderSource(os.fsencode(self.source)),
                    results=FolderStore(str(self.destination)),
                    hardening=True,
                    pydicom=JUDGE[0],
                    uid_map=str(self.uid_map) if self.request.operation is Operation.ANONYMIZE else None,
                    **settings,
                )
            )
            results = verifier.verify(VerifyWork(work))
        else:
            results = find_results(str(self.destination), work, SharedIdentifiers())
        noted = {result.id: result for result in results}
        assert all(result.evidence for result in noted.values() if result.outcome is Outcome.DONE)
        return {os.fsdecode(one.path): noted.get(one.id, InstanceResult(one.id, Outcome.DONE)) for one in self.plan}

    def result(self, name: str) -> Path:
        """Return where the result of a source file lies."""
        (new,) = [one.new for one in self.plan if one.path == os.fsencode(name)]
        return self.destination / relative_path(new)

    def damage(self, name: str, change: Callable[[Dataset], None]) -> None:
        """Change a result's dataset as a faulty editor would."""
        path = self.result(name)
        dataset = dcmread(path)
        change(dataset)
        output = io.BytesIO()
        dcmwrite(output, dataset)
        path.write_bytes(output.getvalue())


def run(source: Path, body: dict[str, Any] | None = None, operation: Operation = Operation.ANONYMIZE) -> Finished:
    """Edit every instance of a folder."""
    if operation is Operation.ANONYMIZE:
        body = {"DicomVersion": "2023b", **(body or {})}
    request = parse_request(operation, body or {})
    plan, given = planned(source, request)
    destination, uid_map = source.parent / "results", source.parent / "uids"
    results = Worker(settings_for(source, destination, given)).edit([(request, plan)])
    assert [] == [(result.code, result.text) for result in results if result.outcome is not Outcome.DONE]
    # As tasks/steps/verify.py writes it for this engine, whose references follow whatever attribute names them.
    uids = ((UidKind.ANY, *pair) for one in plan for pair in zip(one.original[1:], one.new[1:], strict=True))
    write_uid_map(uid_map, uids)
    return Finished(source, destination, uid_map, request, plan)


def write_pair(folder: Path, syntax: Syntax = EXPLICIT) -> None:
    """Write an image, and a report that refers to it."""
    folder.mkdir()
    pixels = (
        encapsulated(b"\xff\xd8" + b"ab" * 50, b"cd" * 50 + b"\xff\xd9")
        if syntax is JPEG
        else Element(0x7FE00010, "OW", bytes(range(200)))
    )
    trailing = Element(0xFFFCFFFC, "OB", bytes(6))
    image = instance(
        pixels,
        trailing,
        Element(0x60003000, "OW", b"\1\2"),
        Element(0x50003000, "OW", b"\1\2"),
        syntax=syntax,
        ReferencedImageSequence=[REFERENCE],
    )
    failed = Element(0x00080058, "UI", b"1.2.3.1.1.1\\1.2.3.1.2.2")
    (folder / "image").write_bytes(image)
    report: dict[str, Any] = {
        "SOPInstanceUID": "1.2.3.1.2.2",
        "SeriesInstanceUID": "1.2.3.1.2",
        "ReferencedImageSequence": [REFERENCE],
    }
    (folder / "report").write_bytes(instance(failed, syntax=syntax, **report))


@pytest.fixture
def finished(tmp_path: Path) -> Finished:
    """An image and its report, anonymized."""
    write_pair(tmp_path / "source")
    return run(tmp_path / "source")


@pytest.mark.parametrize("full", [True, False], ids=["full", "identifiers"])
@pytest.mark.parametrize("syntax", [EXPLICIT, IMPLICIT, BIG, DEFLATED, JPEG], ids=lambda syntax: syntax.uid)
@pytest.mark.parametrize("operation", list(Operation))
def test_sound_results(tmp_path: Path, syntax: Syntax, operation: Operation, full: bool) -> None:
    """Nothing is found where nothing is wrong."""
    write_pair(tmp_path / "source", syntax)
    results = run(tmp_path / "source", operation=operation).verify(full=full)

    assert {"image": (Outcome.DONE, None), "report": (Outcome.DONE, None)} == {
        name: (result.outcome, result.code) for name, result in results.items()
    }


@pytest.mark.parametrize("vr", ["UN", "SQ"])
def test_delimiters_behind_what_has_a_length(tmp_path: Path, vr: str) -> None:
    """As archives leave them that write lengths over undefined ones: they go from the result, and nothing else does."""
    inner = IMPLICIT if vr == "UN" else EXPLICIT
    ends = [encode([Element(tag, "UN", b"")], IMPLICIT) for tag in (0xFFFEE00D, 0xFFFEE0DD)]
    inside = encode([Element(0x20010010, "LO", b"TEST BLOCK"), Element(0x20011008, "IS", b"1 ")], inner) + ends[0]
    sequence = struct.pack("<HHL", 0xFFFE, 0xE000, len(inside)) + inside + ends[1]
    block = [Element(0x20010010, "LO", b"TEST BLOCK"), Element(0x2001105F, vr, sequence)]
    empty = Element(0x00081140, "SQ", ends[1])
    (tmp_path / "source").mkdir()
    (tmp_path / "source" / "a.dcm").write_bytes(instance(empty, *block))
    (tmp_path / "source" / "b.dcm").write_bytes(instance(empty, SOPInstanceUID="1.2.3.9", syntax=IMPLICIT))

    finished = run(tmp_path / "source", {"KeepPrivateTags": True})

    assert {Outcome.DONE} == {one.outcome for one in finished.verify().values()}
    left = finished.result("a.dcm").read_bytes() + finished.result("b.dcm").read_bytes()
    assert b"TEST BLOCK" in left
    assert all(end not in left for end in ends)


def test_references_to_objects_that_keep_their_uids(tmp_path: Path) -> None:
    """Both keep their SOPInstanceUIDs, so that the report goes on to name the image as it did: no UID is left."""
    write_pair(tmp_path / "source")
    results = run(tmp_path / "source", {"Keep": ["SOPInstanceUID"], "Force": True}).verify()

    assert {"image": None, "report": None} == {name: result.code for name, result in results.items()}


CSA_HEADER: Final = "OperatorsName of the source is left in 0029,1110"
"""A private element that the request keeps with all others names the operator: no false alarm."""


@pytest.mark.parametrize(
    ("operation", "body"),
    [
        *((Operation.ANONYMIZE, {"DicomVersion": version}) for version in DICOM_VERSIONS),
        (Operation.ANONYMIZE, {"KeepPrivateTags": True, "Keep": ["StudyInstanceUID"], "Force": True}),
        (Operation.ANONYMIZE, {"Keep": ["PatientName", "ContentSequence"], "Replace": {"StudyDescription": "X"}}),
        (Operation.MODIFY, {"Level": "Study"}),
        (Operation.ANONYMIZE, {"Transcode": "1.2.840.10008.1.2.1.99"}),
    ],
    ids=str,
)
def test_no_false_alarm_on_real_files(tmp_path: Path, operation: Operation, body: dict[str, Any]) -> None:
    """Real files of many kinds are edited and verified without an alarm."""
    source = tmp_path / "source"
    source.mkdir()
    found = [path for path in find_files(os.fsencode(PACKAGE)) if isinstance(path, bytes)]
    taken: set[str] = set()
    for number, entry in enumerate(read_index_entries(os.fsencode(PACKAGE), found)):
        identifiers = getattr(entry, "identifiers", None)
        name = os.fsdecode(entry.path)
        if (
            identifiers is None
            or "truncated" in name
            or name.endswith("SC_rgb_jpeg.dcm")
            or identifiers.orthanc_id(Level.INSTANCE) in taken
        ):
            continue
        if "Transcode" in body and number % 7:
            continue
        taken.add(identifiers.orthanc_id(Level.INSTANCE))
        shutil.copyfile(PACKAGE / name, source / f"{number:03}-{os.path.basename(name)}")  # noqa: PTH119
    if "Transcode" in body:
        for path in source.iterdir():
            if b"1.2.840.10008.1.2.4" in path.read_bytes():
                path.unlink()

    left = "examples_overlay.dcm" if body.get("KeepPrivateTags") else None
    assert [] == [
        (name, result.code, result.text)
        for name, result in run(source, body, operation).verify().items()
        if result.code and not (left and name.endswith(left) and result.text == CSA_HEADER)
    ]


def flip(path: Path, at: int) -> None:
    """Flip a bit of a file."""
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)


def swap(path: Path, old: str, new: str) -> None:
    """Replace text of the same length, the last time that it occurs."""
    data = path.read_bytes()
    assert len(old) == len(new)
    at = data.rindex(old.encode())
    path.write_bytes(data[:at] + new.encode() + data[at + len(old) :])


def damages(result: InstanceResult) -> tuple[Outcome, ReasonCode | None]:
    """Return what was found."""
    return result.outcome, result.code


@pytest.mark.parametrize("full", [True, False], ids=["full", "identifiers"])
def test_result_that_is_gone(finished: Finished, full: bool) -> None:
    """A missing result, and something else in its place, is missing; its neighbour is not."""
    path = finished.result("image")
    path.unlink()
    for with_folder in (False, True):
        if with_folder:
            path.mkdir()
        results = finished.verify(full=full)
        assert (Outcome.MISSING, ReasonCode.RESULT_MISSING) == damages(results["image"])
        assert (Outcome.DONE, None) == damages(results["report"])


@pytest.mark.parametrize("full", [True, False], ids=["full", "identifiers"])
@pytest.mark.parametrize("number", range(4))
def test_other_identifiers(finished: Finished, full: bool, number: int) -> None:
    """Each of the four identifiers is compared with the plan."""
    one = next(one for one in finished.plan if one.path == b"image")
    right = one.new[number]
    keyword = ("PatientID", "StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID")[number]

    def change(dataset: Dataset) -> None:
        setattr(dataset, keyword, right[:-1] + ("1" if right[-1] != "1" else "2"))

    finished.damage("image", change)
    assert (Outcome.FAILED, ReasonCode.RESULT_DIFFERS) == damages(finished.verify(full=full)["image"])


@pytest.mark.parametrize("source_is_there", [True, False], ids=["with the source", "by evidence"])
@pytest.mark.parametrize(
    ("terms", "patient_id"),
    [
        (b"ISO_IR 100", b"P-1\0more"),
        (b"ISO_IR 192", b"M\xfcller"),
        (b"ISO_IR 6", b"M\xfcller"),
        (b"ISO 2022 IR 87", b"\x1b$B\xff\xff\x1b(B"),
        (b"ISO_IR 100", b"A\\B "),
    ],
)
def test_kept_identifiers_that_readers_decode_otherwise(
    tmp_path: Path, terms: bytes, patient_id: bytes, source_is_there: bool
) -> None:
    """An identifier that keeps the bytes of its source is what it was; other bytes are found although both are odd."""
    (tmp_path / "source").mkdir()
    own = Element(0x00100020, "LO", patient_id), Element(0x00080005, "CS", terms)
    image = tmp_path / "source" / "image"
    image.write_bytes(instance(*own, PatientID=None, SpecificCharacterSet=None))
    finished = run(tmp_path / "source", {"Keep": ["SOPInstanceUID"], "Force": True}, Operation.MODIFY)
    assert Outcome.DONE is finished.verify()["image"].outcome
    result = finished.result("image")
    evidence = sha256(result.read_bytes()).hexdigest()
    if not source_is_there:
        image.unlink()

    assert Outcome.DONE is finished.verify(evidence=evidence)["image"].outcome
    other = bytes([patient_id[0] ^ 1]) + patient_id[1:]
    result.write_bytes(result.read_bytes().replace(patient_id, other))
    assert ReasonCode.RESULT_DIFFERS is finished.verify(evidence=evidence)["image"].code


@pytest.mark.parametrize("full", [True, False], ids=["full", "identifiers"])
@pytest.mark.parametrize("data", [b"", b"no DICOM at all", bytes(400)], ids=["empty", "text", "zeros"])
def test_unreadable_result(finished: Finished, full: bool, data: bytes) -> None:
    """What cannot be read back is not what was written."""
    finished.result("image").write_bytes(data)

    assert (Outcome.FAILED, ReasonCode.RESULT_DIFFERS) == damages(finished.verify(full=full)["image"])


def test_meta_information_of_another_instance(finished: Finished) -> None:
    """MediaStorageSOPInstanceUID must be the SOPInstanceUID."""

    def change(dataset: Dataset) -> None:
        dataset.file_meta.MediaStorageSOPInstanceUID = UID("2.25.1")

    finished.damage("image", change)
    assert (Outcome.FAILED, ReasonCode.RESULT_DIFFERS) == damages(finished.verify()["image"])


@pytest.mark.parametrize("operation", list(Operation))
@pytest.mark.parametrize("syntax", [EXPLICIT, IMPLICIT, BIG, JPEG], ids=lambda syntax: syntax.uid)
@pytest.mark.parametrize("from_end", [1, 100, 199])
def test_flipped_pixel(tmp_path: Path, operation: Operation, syntax: Syntax, from_end: int) -> None:
    """One flipped bit at the start, in the middle or at the end of the pixels is found, in all encodings."""
    write_pair(tmp_path / "source", syntax)
    source = tmp_path / "source" / "image"
    # Without the trailing padding, which the profile removes.
    source.write_bytes(source.read_bytes()[: -(14 if syntax is IMPLICIT else 18)])
    done = run(tmp_path / "source", operation=operation)
    path = done.result("image")
    flip(path, path.stat().st_size - from_end - (8 if syntax is JPEG else 0))

    assert (Outcome.FAILED, ReasonCode.PIXEL_DATA_DIFFERS) == damages(done.verify()["image"])
    assert (Outcome.DONE, None) == damages(done.verify(full=False)["image"])


@pytest.mark.parametrize("syntax", [EXPLICIT, DEFLATED, JPEG], ids=lambda syntax: syntax.uid)
def test_other_pixels(tmp_path: Path, syntax: Syntax) -> None:
    """Other, shorter and no pixels at all are found where more than the pixels differs in the file's tail, too."""
    write_pair(tmp_path / "source", syntax)
    done = run(tmp_path / "source")
    whole = done.result("image").read_bytes()

    def replace(dataset: Dataset) -> None:
        dataset.PixelData = dataset.PixelData[:-10] + dataset.PixelData[-8:] + b"xx"

    def shorten(dataset: Dataset) -> None:
        dataset.PixelData = dataset.PixelData[:-2] if syntax is not JPEG else dataset.PixelData[:-8]

    def remove(dataset: Dataset) -> None:
        del dataset.PixelData

    for change in (replace, shorten, remove):
        if syntax is JPEG and change is not remove:
            continue
        done.damage("image", change)
        assert (Outcome.FAILED, ReasonCode.PIXEL_DATA_DIFFERS) == damages(done.verify()["image"]), change.__name__
        done.result("image").write_bytes(whole)
    assert (Outcome.DONE, None) == damages(done.verify()["image"])


def test_result_that_was_cut(finished: Finished) -> None:
    """A result that lost its end is found."""
    path = finished.result("image")
    os.truncate(path, path.stat().st_size - 20)

    assert Outcome.FAILED is finished.verify()["image"].outcome


@pytest.mark.parametrize("nested", [True, False], ids=["nested", "list"])
def test_broken_reference(finished: Finished, nested: bool) -> None:
    """A reference that names another object than the one that the source's reference became is found."""

    def change(dataset: Dataset) -> None:
        if nested:
            dataset.ReferencedImageSequence[0].ReferencedSOPInstanceUID = "2.25.1"
        else:
            dataset.FailedSOPInstanceUIDList = ["2.25.1", dataset.SOPInstanceUID]

    finished.damage("report", change)
    assert (Outcome.FAILED, ReasonCode.REFERENCE_BROKEN) == damages(finished.verify()["report"])


def test_a_number_that_became_a_uid(tmp_path: Path) -> None:
    """It follows no object of the run, although one is called 1.1 and the file gives no VR of the number."""
    (tmp_path / "source").mkdir()
    slope = Element(0x00281053, "UN", b"1.1 ")
    (tmp_path / "source" / "a.dcm").write_bytes(instance(slope, SOPInstanceUID="1.1"))
    finished = run(tmp_path / "source")
    assert Outcome.DONE is finished.verify()["a.dcm"].outcome

    result = finished.result("a.dcm")
    new = dcmread(result).SOPInstanceUID.encode()
    wrong = Element(0x00281053, "UN", new + b" " * (len(new) % 2))
    result.write_bytes(result.read_bytes().replace(encode([slope], EXPLICIT), encode([wrong], EXPLICIT)))

    assert ReasonCode.RESULT_DIFFERS is finished.verify()["a.dcm"].code


def test_list_of_references_that_lost_one(finished: Finished) -> None:
    """A list of UIDs that collapsed, as Orthanc's does, is found."""

    def change(dataset: Dataset) -> None:
        dataset.FailedSOPInstanceUIDList = dataset.FailedSOPInstanceUIDList[0]

    finished.damage("report", change)
    assert (Outcome.FAILED, ReasonCode.REFERENCE_BROKEN) == damages(finished.verify()["report"])


@pytest.mark.parametrize(
    "change",
    [
        lambda dataset: setattr(dataset.ReferencedImageSequence[0], "PatientName", "Doe^Jane"),
        lambda dataset: setattr(dataset.ReferencedImageSequence[0], "PatientID", "P-1"),
        lambda dataset: setattr(dataset, "PatientName", "Doe^Jane"),
        lambda dataset: dataset.add_new(0x60003000, "OW", b"\1\2"),
        lambda dataset: dataset.add_new(0x60020010, "US", 1),
        lambda dataset: dataset.add_new(0x501E3000, "OW", b"\1\2"),
    ],
    ids=["nested-name", "nested-id", "name", "overlay", "overlay-rows", "curve"],
)
def test_something_of_the_patient_is_left(finished: Finished, change: Callable[[Dataset], None]) -> None:
    """Name and ID of the source at any depth, overlays and curves are found."""
    finished.damage("image", change)

    assert (Outcome.FAILED, ReasonCode.IDENTIFIER_LEFT) == damages(finished.verify()["image"])


def test_what_the_user_keeps_is_not_left(tmp_path: Path) -> None:
    """A kept name, a kept overlay and a PatientID replaced by itself are the user's word."""
    write_pair(tmp_path / "source")
    body = {"Keep": ["PatientName", "6000,3000"], "Replace": {"PatientID": "P-1"}, "Force": True}

    assert (Outcome.DONE, None) == damages(run(tmp_path / "source", body).verify()["image"])


@pytest.mark.parametrize("body", [{"Keep": ["PatientID"]}, {"Replace": {"PatientID": "P-1", "PatientName": "Roe^Ann"}}])
def test_a_patient_id_that_stays_is_owned_up_to(tmp_path: Path, body: dict[str, Any]) -> None:
    """Whose number stays is still known, under whatever name: a result that claims otherwise is wrong."""
    write_pair(tmp_path / "source")
    done = run(tmp_path / "source", {**body, "Force": True})
    assert (Outcome.DONE, None) == damages(done.verify()["image"])

    done.damage("image", lambda dataset: setattr(dataset, "PatientIdentityRemoved", "YES"))
    assert (Outcome.FAILED, ReasonCode.RESULT_DIFFERS) == damages(done.verify()["image"])


@pytest.mark.parametrize(
    ("charset", "given", "others"),
    [
        ("ISO_IR 100", "Fußgelenk", "Faßgelenk"),
        ("\\ISO 2022 IR 87", "足 山田", "足 山口"),
        ("GB18030", "踝关节", "踝关切"),
        ("ISO_IR 192", "Fußgelenk", "Faßgelenk"),
    ],
)
def test_given_texts_in_the_character_set_of_a_file(tmp_path: Path, charset: str, given: str, others: str) -> None:
    """What Replace gives is there as readers decode it, and another text of the same length is not."""
    folder = tmp_path / "source"
    folder.mkdir()
    (folder / "image").write_bytes(instance(SpecificCharacterSet=charset, StudyDescription="old"))
    done = run(folder, {"Replace": {"StudyDescription": given}}, Operation.MODIFY)
    assert (Outcome.DONE, None) == damages(done.verify()["image"])

    done.damage("image", lambda dataset: setattr(dataset, "StudyDescription", others))
    assert (Outcome.FAILED, ReasonCode.RESULT_DIFFERS) == damages(done.verify()["image"])


def test_evidence_stands_in_for_a_deleted_source(tmp_path: Path) -> None:
    """What was noted when a result was found right proves it afterwards, be its source deleted, cut off or barred."""
    for number, syntax in enumerate((EXPLICIT, DEFLATED, JPEG)):
        root = tmp_path / str(number)
        root.mkdir()
        write_pair(root / "source", syntax)
        done = run(root / "source")
        evidence = done.verify()["image"].evidence
        assert is_evidence_of(evidence, done.result("image").read_bytes())
        done.plan = [one for one in done.plan if one.path == b"image"]
        assert "" == done.verify(evidence=evidence)["image"].evidence  # nothing new to note
        source = done.source / "image"
        source.write_bytes(source.read_bytes()[:-30])
        assert (Outcome.DONE, None) == damages(done.verify(evidence=evidence)["image"])
        assert (Outcome.DONE, ReasonCode.SOURCE_CHANGED) == damages(done.verify()["image"])
        shutil.rmtree(done.source)

        assert (Outcome.DONE, ReasonCode.SOURCE_CHANGED) == damages(done.verify()["image"])
        assert (Outcome.DONE, None) == damages(done.verify(evidence=evidence)["image"])
        other = "0" * 64
        assert (Outcome.FAILED, ReasonCode.RESULT_DIFFERS) == damages(done.verify(evidence=other)["image"])
        if syntax is EXPLICIT:
            flip(done.result("image"), done.result("image").stat().st_size - 40)
            found = damages(done.verify(evidence=evidence)["image"])
            assert (Outcome.FAILED, ReasonCode.RESULT_DIFFERS) == found


def test_reasons_hold_no_patient_data(finished: Finished) -> None:
    """What is found is said without names, identifiers and file names."""
    finished.damage("image", lambda dataset: setattr(dataset, "PatientName", "Doe^Jane"))
    finished.result("report").write_bytes(b"Doe^Jane")
    for result in finished.verify().values():
        assert Outcome.DONE is not result.outcome
        assert [] == [
            text for text in ("Doe", "P-1", "1.2.3", "2.25", "image", str(finished.source)) if text in result.text
        ]


def test_nested_items_are_walked_to_the_bottom(tmp_path: Path) -> None:
    """A broken reference three sequences down is found."""
    source = tmp_path / "source"
    source.mkdir()
    inner: tuple[Element, ...] = (Element(0x00081155, "UI", b"1.2.3.1.1.1\0"),)
    for tag in (0x00081199, 0x00081115, 0x0040A043):
        inner = (Element(tag, "SQ", (Item(inner),)),)
    (source / "image").write_bytes(instance(*inner))
    done = run(source)

    def change(dataset: Dataset) -> None:
        for element in dataset.iterall():
            if element.keyword == "ReferencedSOPInstanceUID":
                element.value = "2.25.1"

    assert (Outcome.DONE, None) == damages(done.verify()["image"])
    done.damage("image", change)
    assert (Outcome.FAILED, ReasonCode.REFERENCE_BROKEN) == damages(done.verify()["image"])
