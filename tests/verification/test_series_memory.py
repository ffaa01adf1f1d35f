"""What is remembered of a series makes no difference to any verdict: errors and leaks amid sound instances are found.

A wrong template would hide them: they are planted into instances in the middle of a series, into what all have in
common and into what each has of its own, with lengths that shift what follows, into the source, the result, or both.
"""

from __future__ import annotations

import os
import re
import struct
import tempfile
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deidflow.tasks.core.engine.protocol import Expected, InstanceResult, VerifyWork
from deidflow.tasks.core.engine.result_paths import relative_path
from deidflow.tasks.core.files.evidence import is_evidence_of
from deidflow.tasks.core.ledger.uid_map import UidKind, write_uid_map
from deidflow.tasks.core.outcomes import Outcome, ReasonCode
from deidflow.tasks.core.pixels.choice import PixelChoice
from deidflow.tasks.core.pixels.conditions import Test as Asks
from deidflow.tasks.core.pixels.decision import PixelRules, Risk
from deidflow.tasks.core.pseudonyms.original_uids import OriginalUids
from deidflow.tasks.core.request.profile_choice import Option, ProfileChoice
from deidflow.tasks.core.request.request import Operation, Request, parse_request
from deidflow.tasks.local.folder.source import FolderSource
from deidflow.tasks.local.folder.store import FolderStore
from deidflow.tasks.local.worker import Worker
from deidflow.tasks.verification import verifier
from deidflow.tasks.verification.reader import read_dicom
from deidflow.tasks.verification.verifier import ThirdJudge, Verifier, VerifierSettings
from tests.dicom_files import (
    BIG,
    DEFLATED,
    EXPLICIT,
    IMPLICIT,
    JPEG,
    Element,
    Syntax,
    encapsulated,
    grey,
    instance,
)
from tests.local.folders import planned, settings_for
from tests.verification.leaks import draw_leaks, planted, source_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from deidflow.tasks.core.engine.protocol import PlannedInstance

COUNT: Final = 8
FEW, ALL = 30, 300
SYNTAXES: Final = (EXPLICIT, IMPLICIT, JPEG, BIG, DEFLATED)
STANDARD: Final = "standard"
PIXELS, BY_NUMBER = "pixels", "pixels by number"
"""With clean-pixel-data, where text may be burned in by the type of image, which is one for all, or by its number."""
CLEANED: Final = "cleaned"
"""With cleaned texts and moved dates."""
MODES: Final = ("2023b", STANDARD, CLEANED, PIXELS, "modify", "kept", "server")
FIXED: Final[dict[str, Any]] = {
    "PatientName": "Kowalczyk^Bronislaw",
    "PatientID": "HX-0042-73311",
    "PatientBirthDate": "19470213",
    "ReferringPhysicianName": "Foot^Ann",
    "AccessionNumber": "20490104729",
    "StudyDate": "20240319",
    "InstitutionName": "Sankt Gallus Spital",
    "Manufacturer": "Maker",
    "SpecificCharacterSet": "ISO_IR 100",
    "ImageType": "ORIGINAL\\PRIMARY",
    **grey(),
    "FrameOfReferenceUID": "1.2.3.77",
    # its PatientID must have a value, where the sequence stays
    "OtherPatientIDsSequence": [{"PatientID": "K-55812", "TypeOfPatientID": "TEXT"}],
}


JPEG_HEAD: Final = b"\xff\xd8\xff\xe0\0\x10JFIF\0\1\1\0\0\1\0\1\0\0\xff\xfe\0\x08abcdef\xff\xda\0\x0a" + bytes(8)


def one_of_series(number: int, syntax: Syntax) -> bytes:
    """Return an instance: some values are all instances', some differ, at different lengths and depths."""
    uid = f"1.2.9.{100 + number}"
    position = "\\".join(str(number * step) for step in (1, 10, 100))
    references = [{"ReferencedSOPClassUID": "1.2.840.10008.5.1.4.1.1.2", "ReferencedSOPInstanceUID": uid}]
    private = [
        # UIDs by the dictionary, and sent as text
        Element(0x00200242, "LO", f"1.2.10.{100 + number}".encode()),
        Element(0x00190010, "LO", b"MAKER "),
        Element(0x00191001, "DS", f"{number}.5".encode().ljust(6)),
        Element(0x00191002, "OB", bytes([number]) * 6),
    ]
    pixels = (
        encapsulated(JPEG_HEAD + bytes([number]) * (50 + 2 * (number % 3)) + b"\xff\xd9")
        if syntax is JPEG
        else Element(0x7FE00010, "OW" if syntax is IMPLICIT else "OB", bytes((number + k) % 251 for k in range(64)))
    )
    return instance(
        *private,
        pixels,
        Element(0xFFFCFFFC, "OB", bytes(8)),
        syntax=syntax,
        SOPInstanceUID=uid,
        InstanceNumber=str(number),
        ContentTime=f"1015{number + 11:02}.5",
        AcquisitionTime=f"10{number + 31:02}07",
        AcquisitionDateTime=f"202404{number % 30 + 1:02}10{number + 31:02}07.25",
        ImagePositionPatient=position,
        SliceLocation=str(1000 * number),
        ImageComments=f"chest {number} seen Foot" if number % 2 else "",
        SourceImageSequence=references,
        ReferencedImageSequence=[{**references[0], "ReferencedSOPInstanceUID": "1.2.9.101"}],
        IconImageSequence=None,
        **FIXED,
    )


class Series(NamedTuple):
    """A series, its results, and how it is verified."""

    folder: Path
    request: Request
    plan: tuple[PlannedInstance, ...]
    settings: VerifierSettings

    def source(self, number: int) -> Path:
        """Return where a source lies."""
        return self.folder / "source" / os.fsdecode(self.plan[number].path)

    def result(self, number: int) -> Path:
        """Return where a result lies."""
        return self.folder / "results" / relative_path(self.plan[number].new)

    def expected(self) -> list[Expected]:
        """Return what is to be verified, by the files as they are now."""
        found = []
        for number, one in enumerate(self.plan):
            status = self.source(number).stat()
            found.append(Expected(one._replace(size=status.st_size, mtime_ns=status.st_mtime_ns)))
        return found

    def together(self) -> list[InstanceResult]:
        """Verify all by one verifier."""
        return Verifier(self.settings).verify(VerifyWork([(self.request, self.expected())]))

    def one_by_one(self) -> list[InstanceResult]:
        """Verify each by a verifier of its own, which remembers nothing."""
        return [
            result
            for one in self.expected()
            for result in Verifier(self.settings).verify(VerifyWork([(self.request, [one])]))
        ]


def series_of(
    folder: Path,
    files: list[bytes],
    mode: str,
    options: frozenset[str] = frozenset(),
    **gives: str,
) -> Series:
    """Edit files and prepare their verification; ``gives`` goes into Replace."""
    (folder / "source").mkdir(parents=True)
    for number, data in enumerate(files):
        (folder / "source" / f"{number:04}").write_bytes(data)
    operation = Operation.MODIFY if mode == "modify" else Operation.ANONYMIZE
    body: dict[str, Any] = {"Replace": {"StudyDescription": "Trial 7", **gives}}
    profile = ProfileChoice(options) if mode == STANDARD else None
    if mode == CLEANED:
        profile = ProfileChoice(frozenset({Option.CLEAN_DESCRIPTORS, Option.RETAIN_MODIFIED_DATES}))
    if mode in {PIXELS, BY_NUMBER}:
        asked = (0x00200013, "77") if mode == BY_NUMBER else (0x00080008, "DERIVED.*")
        risk = Risk("some", Asks(asked[0], (re.compile(asked[1]),)))
        pixels = PixelChoice(PixelRules((), (risk,)))
        profile = ProfileChoice(frozenset({"clean-pixel-data"}), pixels=pixels)
    if mode == "kept":
        body |= {
            "Keep": ["SOPInstanceUID", "ContentTime", "ReferencedImageSequence"],
            "KeepPrivateTags": True,
            "Force": True,
        }
    if operation is Operation.ANONYMIZE and profile is None:
        body["DicomVersion"] = "2023b"
    request = parse_request(operation, body)
    plan, kept = planned(folder / "source", request)
    plan.sort(key=lambda one: one.path)
    originals = OriginalUids(uid for one in plan for uid in one.original[1:])
    edit = settings_for(folder / "source", folder / "results", kept)
    results = Worker(replace(edit, profile=profile, originals=originals)).edit([(request, plan)])
    assert [] == [(result.code, result.text) for result in results if result.outcome is not Outcome.DONE]
    uids = ((UidKind.ANY, *pair) for one in plan for pair in zip(one.original[1:], one.new[1:], strict=True))
    write_uid_map(folder / "uids", uids)
    return Series(
        folder,
        request,
        tuple(plan),
        VerifierSettings(
            source=FolderSource(os.fsencode(folder / "source")),
            results=FolderStore(str(folder / "results")),
            hardening=True,
            profile=profile,
            written_by_server=mode == "server",
            pydicom=ThirdJudge.NEEDED,
            uid_map=str(folder / "uids") if operation is Operation.ANONYMIZE else None,
        ),
    )


def noted(results: list[InstanceResult]) -> list[tuple[object, ...]]:
    """Return what verifying says."""
    return [(one.id, one.outcome, one.code, one.text, bool(one.evidence)) for one in results]


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many files are read element by element, in one number."""
    count = [0]
    read = read_dicom

    def counted(file: Any) -> Any:
        count[0] += 1
        return read(file)

    monkeypatch.setattr(verifier, "read_dicom", counted)
    return count


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("syntax", SYNTAXES, ids=lambda syntax: syntax.uid)
def test_most_of_a_series_is_compared(tmp_path: Path, reads: list[int], syntax: Syntax, mode: str) -> None:
    """Few instances are read element by element, where bytes stand in a file as they are and are little endian."""
    count = 24
    series = series_of(tmp_path, [one_of_series(number, syntax) for number in range(1, count + 1)], mode)

    results = series.together()
    assert [None] * count == [result.code for result in results]
    for number, result in enumerate(results):
        assert is_evidence_of(result.evidence, series.result(number).read_bytes())
    if syntax in {BIG, DEFLATED}:
        assert 2 * count == reads[0]
    else:
        assert reads[0] <= count


@pytest.mark.parametrize(
    ("mode", "before", "after"),
    [(PIXELS, b"ORIGINAL\\PRIMARY", b"DERIVED\\\\PRIMARY"), (BY_NUMBER, b"IS\x02\x005 ", b"IS\x02\x0077")],
    ids=["what all have", "what each has of its own"],
)
def test_whether_text_may_be_burned_in_is_decided_for_each(
    tmp_path: Path, mode: str, before: bytes, after: bytes
) -> None:
    """What the rules ask of an instance is never passed over, whether it is the same in the whole series or not."""
    series = series_of(tmp_path, [one_of_series(number, EXPLICIT) for number in range(1, COUNT + 1)], mode)
    assert [None] * COUNT == [result.code for result in series.together()]

    for path in (series.source(4), series.result(4)):
        assert 1 == path.read_bytes().count(before)
        path.write_bytes(path.read_bytes().replace(before, after))
    refused = [result for result in series.together() if result.outcome is not Outcome.DONE]
    assert [(series.plan[4].id, ReasonCode.IDENTIFIER_LEFT)] == [(one.id, one.code) for one in refused]


class Edit(NamedTuple):
    """A change of a file.

    Attributes:
        where: 0 to 1, from the beginning of the file to its end.
        length: How many bytes go.
        new: What stands in their place.
        mends: Whether the two bytes before, which may be a length, are raised by what the file grows.

    """

    where: float
    length: int
    new: bytes
    mends: bool

    def of(self, data: bytes) -> bytes:
        """Return the changed data."""
        at = min(len(data), int(self.where * (len(data) + 1)))
        head, tail = data[:at], data[at + self.length :]
        if self.mends and at >= 2:
            grown = int.from_bytes(head[-2:], "little") + len(self.new) - min(self.length, len(data) - at)
            head = head[:-2] + struct.pack("<H", grown & 0xFFFF)
        return head + self.new + tail


WORDS: Final = (b"Kowalczyk", b"Bronislaw^Kowalczyk", b"HX-0042-73311", b"1947-02-13", b"1.2.9.103", b"1.2.9.105")
WIDE: Final = tuple(word.decode().encode(codec) for word in WORDS[:4] for codec in ("utf-16-le", "utf-16-be"))
TIMES: Final = tuple(f"1015{number + 11:02}".encode() for number in range(1, 4))
CHANGES: Final = st.builds(
    Edit,
    st.floats(0, 1),
    st.sampled_from((0, 0, 1, 1, 2, 4, 6, 9, 12)),
    st.one_of(st.binary(max_size=4), st.sampled_from((*WORDS, *WIDE, *TIMES)), st.sampled_from((b" ", b"\0\0", b"9"))),
    st.booleans(),
)


@cache
def shared_series(syntax: Syntax, mode: str) -> Series:
    """Return a series that several tests change and restore."""
    folder = Path(tempfile.mkdtemp(dir=os.environ["SERIES_FOLDER"]))
    return series_of(folder, [one_of_series(number, syntax) for number in range(1, COUNT + 1)], mode)


@pytest.fixture(autouse=True, scope="module")
def folder_of_series(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Give the shared series a folder."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SERIES_FOLDER", str(tmp_path_factory.mktemp("series")))
        yield
    shared_series.cache_clear()


def check_changed(series: Series, number: int, changes: dict[bool, Callable[[bytes], bytes]]) -> list[InstanceResult]:
    """Change a source or a result (True) or both, and compare both ways of verifying."""
    paths = {False: series.source(number), True: series.result(number)}
    before = {which: path.read_bytes() for which, path in paths.items()}
    try:
        for which, change in changes.items():
            paths[which].write_bytes(change(before[which]))
        together = series.together()

        assert noted(series.one_by_one()) == noted(together)
    finally:
        for which, path in paths.items():
            path.write_bytes(before[which])
    return together


def element_of(data: bytes, tag: int, vr: bytes) -> tuple[int, int]:
    """Return where the value of an element in explicit VR begins and ends, whose length takes two bytes."""
    start = data.index(struct.pack("<HH", tag >> 16, tag & 0xFFFF) + vr) + 8
    return start, start + struct.unpack_from("<H", data, start - 2)[0]


def with_value(tag: int, vr: bytes, value: bytes) -> Callable[[bytes], bytes]:
    """Return a change of a value and its length."""

    def change(data: bytes) -> bytes:
        start, end = element_of(data, tag, vr)
        return data[: start - 2] + struct.pack("<H", len(value)) + value + data[end:]

    return change


def in_place(old: bytes, new: bytes) -> Callable[[bytes], bytes]:
    """Return a change of bytes that stand there once or more."""
    assert len(old) == len(new)

    def change(data: bytes) -> bytes:
        assert old in data
        return data.replace(old, new)

    return change


EXAMPLES, MANY = 25, 400


def check_any_change(data: st.DataObject) -> None:
    """Whatever bytes change of an instance in the middle, the verdict is that of a verifier that remembers nothing."""
    series = shared_series(data.draw(st.sampled_from((EXPLICIT, IMPLICIT, JPEG))), data.draw(st.sampled_from(MODES)))
    in_result, in_source = data.draw(st.lists(CHANGES, max_size=2)), data.draw(st.lists(CHANGES, max_size=1))

    def changed(edits: list[Edit]) -> Callable[[bytes], bytes]:
        def change(content: bytes) -> bytes:
            for edit in edits:
                content = edit.of(content)
            return content

        return change

    check_changed(series, data.draw(st.integers(3, COUNT - 2)), {True: changed(in_result), False: changed(in_source)})


PARTS: Final = st.sampled_from(
    (*WORDS, *WIDE, *TIMES, b"19470213", b"1.2.3.1", b"1.2.3.77", b"2.25.7", b"7", b"\\", b" ", b"\0")
)
VALUES: Final = st.lists(st.one_of(PARTS, st.binary(max_size=3)), max_size=3).map(b"".join)
SHORT: Final = (
    *((0x00080008, b"CS"), (0x00080018, b"UI"), (0x00080032, b"TM"), (0x00080033, b"TM"), (0x00080070, b"LO")),
    *((0x00081155, b"UI"), (0x00081030, b"LO"), (0x00100010, b"PN"), (0x00100020, b"LO"), (0x00120063, b"LO")),
    *((0x00191001, b"DS"), (0x00200013, b"IS"), (0x00200032, b"DS"), (0x00200052, b"UI"), (0x00201041, b"DS")),
    *(
        (0x00200242, b"LO"),
        (0x00204000, b"LT"),
        (0x00280004, b"CS"),
        (0x00020003, b"UI"),
        (0x00280010, b"US"),
        (0x00080005, b"CS"),
    ),
)


def check_any_value(data: st.DataObject) -> None:
    """Likewise for values of any length, in the source, in the result, or the same in both."""
    series = shared_series(data.draw(st.sampled_from((EXPLICIT, JPEG))), data.draw(st.sampled_from(MODES)))
    edits = data.draw(st.lists(st.tuples(st.sampled_from(SHORT), VALUES, st.sampled_from((0, 1, 2))), max_size=3))

    def changed(which: int) -> Callable[[bytes], bytes]:
        def change(content: bytes) -> bytes:
            for (tag, vr), value, where in edits:
                if where in {which, 2} and struct.pack("<HH", tag >> 16, tag & 0xFFFF) + vr in content:
                    content = with_value(tag, vr, value + b" " * (len(value) % 2))(content)
            return content

        return change

    check_changed(series, data.draw(st.integers(3, COUNT - 2)), {True: changed(1), False: changed(0)})


@settings(max_examples=EXAMPLES)
@given(st.data())
def test_any_change_amid_a_series(data: st.DataObject) -> None:
    """See ``check_any_change``."""
    check_any_change(data)


@settings(max_examples=EXAMPLES)
@given(st.data())
def test_any_value_amid_a_series(data: st.DataObject) -> None:
    """See ``check_any_value``."""
    check_any_value(data)


@pytest.mark.long
@pytest.mark.timeout(1800)
@settings(max_examples=MANY)
@given(st.data())
def test_many_changes_amid_a_series(data: st.DataObject) -> None:
    """The same more often."""
    check_any_change(data)
    check_any_value(data)


OWN_TIME: Final = b"101515"
"""ContentTime of the instance that is changed, which is that of no other."""
ERRORS: Final[dict[str, tuple[Callable[[bytes], bytes], ReasonCode]]] = {
    "another number": (with_value(0x00200013, b"IS", b"77"), ReasonCode.RESULT_DIFFERS),
    "a longer number": (with_value(0x00200013, b"IS", b"000077"), ReasonCode.RESULT_DIFFERS),
    "no number": (with_value(0x00200013, b"IS", b""), ReasonCode.RESULT_DIFFERS),
    "another position": (with_value(0x00200032, b"DS", b"1\\2\\3 "), ReasonCode.RESULT_DIFFERS),
    "the name in a slot": (with_value(0x00200013, b"IS", b"KOWALCZYK "), ReasonCode.IDENTIFIER_LEFT),
    "the number of another instance's time": (with_value(0x00201041, b"DS", b"101514"), ReasonCode.RESULT_DIFFERS),
    "its own time in a text that all have": (
        in_place(b"ORIGINAL\\PRIMARY", b"ORIGINAL\\" + OWN_TIME + b" "),
        ReasonCode.IDENTIFIER_LEFT,
    ),
    "the day of birth in a text that all have": (
        in_place(b"ORIGINAL\\PRIMARY", b"ORIG\\13.02.1947 "),
        ReasonCode.IDENTIFIER_LEFT,
    ),
    "another reference": (
        in_place(b"1.2.840.10008.5.1.4.1.1.2\0", b"1.2.840.10008.5.1.4.1.1.4\0"),
        ReasonCode.RESULT_DIFFERS,
    ),
    "one pixel": (lambda data: data[:-40] + bytes([data[-40] ^ 1]) + data[-39:], ReasonCode.PIXEL_DATA_DIFFERS),
    "bytes behind the end": (lambda data: data + b"HX004273311 ", ReasonCode.IDENTIFIER_LEFT),
}


@pytest.mark.parametrize(
    ("text", "code"),
    [
        (b"chest 5 Kowalczyk ", ReasonCode.IDENTIFIER_LEFT),
        (b"chest 5 HX-0042-73311 ", ReasonCode.IDENTIFIER_LEFT),
        (b"chest 5 seen 123456 ", ReasonCode.IDENTIFIER_LEFT),
        (b"heart 5 ", ReasonCode.IDENTIFIER_LEFT),
        (b"chest 5 seen Foot ", ReasonCode.IDENTIFIER_LEFT),
        (b"chest ", None),
    ],
    ids=["name", "number of the patient", "number", "other words", "a name that is a word", "fewer words"],
)
def test_a_cleaned_text_of_its_own(text: bytes, code: ReasonCode | None) -> None:
    """What became of the text of one instance is judged by what its series names."""
    results = check_changed(shared_series(EXPLICIT, CLEANED), 4, {True: with_value(0x00204000, b"LT", text)})

    assert [code] * (code is not None) == [one.code for one in results if one.code]


@pytest.mark.parametrize("name", ERRORS)
@pytest.mark.parametrize("mode", ["2023b", STANDARD])
def test_each_error_amid_a_series(name: str, mode: str) -> None:
    """Each is found, by its name, in an instance that all others would excuse."""
    change, code = ERRORS[name]
    (wrong,) = [one for one in check_changed(shared_series(EXPLICIT, mode), 3, {True: change}) if one.code]

    assert (Outcome.FAILED, code) == (wrong.outcome, wrong.code)


@pytest.mark.parametrize(
    "change",
    [
        with_value(0x00200242, b"LO", b"1.2.9.103 "),
        with_value(0x00201041, b"DS", "2024年4月7日".encode("utf-16-le")),
    ],
    ids=["text in all others", "its own day in 16 bits"],
)
def test_an_identifier_that_source_and_result_have(change: Callable[[bytes], bytes]) -> None:
    """In a slot that is the same in both stands another object of the run, or its own moment."""
    (wrong,) = [
        one for one in check_changed(shared_series(EXPLICIT, "2023b"), 5, {True: change, False: change}) if one.code
    ]

    assert ReasonCode.IDENTIFIER_LEFT == wrong.code


@pytest.mark.parametrize("mode", ["2023b", STANDARD])
def test_results_in_each_others_place(mode: str) -> None:
    """Results of two instances are exchanged: both are found."""
    series = shared_series(EXPLICIT, mode)
    other = series.result(5).read_bytes()
    wrong = check_changed(series, 3, {True: lambda _: other})

    assert [series.plan[3].id] == [one.id for one in wrong if one.code]


@pytest.mark.parametrize("mode", ["2023b", STANDARD])
@pytest.mark.parametrize("count", [FEW, pytest.param(ALL, marks=pytest.mark.long)])
def test_each_leak_amid_its_series(tmp_path: Path, reads: list[int], mode: str, count: int) -> None:
    """Amid sound instances of its series, from which a template is made, one with a leak is found."""
    missed = []
    for number, leak in enumerate(draw_leaks(count, seed=27, compressed=mode != STANDARD)):
        if leak.syntax is DEFLATED:
            leak = leak._replace(syntax=EXPLICIT)  # noqa: PLW2901 (no series shares bytes there)
        plain = leak._replace(by_source=False)
        uid = f"1.2.826.0.1.3680043.99.{leak.patient.number}.3".encode()
        files = [source_of(plain).replace(uid, uid[:-1] + digit) for digit in (b"5", b"6", b"7", b"8", b"9")]
        series = series_of(tmp_path / str(number), [*files[:3], source_of(leak), *files[3:]], mode)
        path = series.result(3)
        path.write_bytes(planted(leak, path.read_bytes()))
        before = reads[0]
        results = series.together()
        read_in_full = reads[0] - before
        if [(3, ReasonCode.IDENTIFIER_LEFT)] != [(one.id - 1, one.code) for one in results if one.code]:
            missed.append((leak, [one.text for one in results if one.code]))
        if leak.syntax not in {BIG, DEFLATED} and read_in_full > 6:
            missed.append((leak, ["there was no template"]))
    assert [] == missed
