"""What the report advises is done, and it helps."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from pydicom import dcmread

from deidflow.flows.answers.run import run_answer
from deidflow.tasks.core.dicom.identifiers import DicomIdentifiers, Level
from deidflow.tasks.core.engine.result_paths import relative_path
from deidflow.tasks.core.outcomes import ANOTHER_RUN, REMEDIES, Outcome, ReasonCode
from deidflow.tasks.core.report.totals import Totals
from deidflow.tasks.local import engine as engine_module
from tests.dicom_files import DEFLATED, EXPLICIT, JPEG, RLE, Element, Item, Syntax, encapsulated, grey, instance
from tests.jobs import read_csv
from tests.local.deaths import POISON, STUMBLING_BLOCK, edit_with_troubles
from tests.steps.steps import Steps

if TYPE_CHECKING:
    import pytest

PIXEL_DATA: Final = 0x7FE00010
KEPT: Final = 0x00540016
"""A sequence that the profile keeps."""

FOLLOWED_ON_SERVERS: Final = {
    ReasonCode.UNSTABLE: "tests/contract/test_orthanc_remedies.py",
    ReasonCode.SERVER_ERROR: "tests/contract/test_orthanc_remedies.py",
    ReasonCode.DESTINATION_UNUSABLE: "tests/contract/test_orthanc_full.py",
    ReasonCode.KNOWN_PATIENT: "tests/contract/test_orthanc_nights.py",
}
"""Reasons that only an Orthanc gives, and where their advice is followed."""

FOLLOWED_IN_NIGHTS: Final = frozenset({ReasonCode.SPLIT_STUDY, ReasonCode.WITHDRAWN})
"""In tests/steps/test_increments.py, which has several runs."""

FOLLOWED_WITH_RULES: Final = frozenset({ReasonCode.BURNED_IN_TEXT})
"""In tests/steps/test_pixels_at_risk.py, which has rules of a site."""


def test_resume_is_offered_where_the_remedy_names_it(tmp_path: Path) -> None:
    """What needs another run has no command that goes on; one instance that resume helps is enough."""
    assert {code for code, text in REMEDIES.items() if "deidflow resume" not in text} == ANOTHER_RUN
    counts = dict.fromkeys(Outcome, 0) | {Outcome.FAILED: 1}
    for codes, goes_on in (((ReasonCode.BAD_VALUE,), False), ((ReasonCode.BAD_VALUE, ReasonCode.DAMAGED), True)):
        totals = Totals(counts, counts, {}, {}, dict.fromkeys(codes, 1), {})
        assert goes_on is (run_answer(totals, tmp_path).next is not None)
    unverified = Totals(
        counts | {Outcome.DONE: 1}, counts | {Outcome.DONE: 1}, {}, {}, {ReasonCode.BAD_VALUE: 1}, {}, "full"
    )
    assert f"deidflow resume {tmp_path}" == run_answer(unverified, tmp_path).next


def _row(number: int) -> str:
    return DicomIdentifiers(f"P-{number}", f"1.2.{number}", "", "").orthanc_id(Level.STUDY)


def _file(number: int, *extra: Element, syntax: Syntax = EXPLICIT, **keywords: Any) -> bytes:
    uids = {"StudyInstanceUID": f"1.2.{number}", "SeriesInstanceUID": f"1.2.{number}.1"}
    return instance(
        *extra,
        *(() if any(element.tag == PIXEL_DATA for element in extra) else (Element(PIXEL_DATA, "OW", bytes(200)),)),
        syntax=syntax,
        **{"PatientID": f"P-{number}", "SOPInstanceUID": f"1.2.{number}.1.1", **uids, **keywords},
    )


def _deep(data: bytes, levels: int) -> bytes:
    """Return a file with sequences behind its end, one in the other, all of undefined length."""
    begin = b"\xe1\x7f\x10\0SQ\0\0\xff\xff\xff\xff\xfe\xff\x00\xe0\xff\xff\xff\xff"
    end = b"\xfe\xff\x0d\xe0\0\0\0\0\xfe\xff\xdd\xe0\0\0\0\0"
    return data + begin * levels + end * levels


def _reasons(steps: Steps) -> dict[str, str]:
    """Return the code of each study that is not done."""
    found = steps.run.ledger.select(
        "SELECT s.patient_id, i.code FROM instance i JOIN series s ON s.id = i.series WHERE i.outcome <> ?",
        (Outcome.DONE,),
    )
    return dict(found)


def _result(steps: Steps, number: int) -> Path:
    (names,) = steps.run.ledger.select(
        "SELECT t.patient_id, t.study_instance_uid, t.series_instance_uid, i.new_sop_instance_uid FROM instance i"
        " JOIN target t ON t.id = i.target JOIN series s ON s.id = i.series WHERE s.patient_id = ?",
        (f"P-{number}",),
    )
    return steps.root / "results" / relative_path(DicomIdentifiers(*names))


def test_the_advice_for_each_reason_is_followed() -> None:
    """No reason is without a test below, or with a real Orthanc."""
    assert (
        set(ReasonCode)
        == RESUMED_AT_ONCE
        | RESUMED_LATER
        | RUN_AGAIN
        | FOLLOWED_ON_SERVERS.keys()
        | FOLLOWED_IN_NIGHTS
        | FOLLOWED_WITH_RULES
    )
    assert all((Path(__file__).parents[2] / path).exists() for path in FOLLOWED_ON_SERVERS.values())


RESUMED_AT_ONCE: Final = frozenset(
    {
        *(ReasonCode.NOT_FOUND, ReasonCode.DAMAGED, ReasonCode.NESTING_TOO_DEEP, ReasonCode.AMBIGUOUS_SOURCE),
        *(ReasonCode.SOURCE_CHANGED, ReasonCode.DESTINATION_CONFLICT, ReasonCode.RESULT_MISSING),
        *(ReasonCode.RESULT_DIFFERS, ReasonCode.PIXEL_DATA_DIFFERS),
    }
)


def test_the_advice_helps(tmp_path: Path) -> None:
    """Studies fail for all these reasons; each advice is followed, and one attempt later all is done and verified."""
    source = tmp_path / "source"
    source.mkdir()
    sound = {number: _file(number) for number in range(1, 11)}
    for number in (4, 5, 7, 8, 9, 10):
        (source / f"{number}").write_bytes(sound[number])
    (source / "1").write_bytes(sound[1][:-100])
    (source / "2").write_bytes(_deep(sound[2], 2000))
    (source / "3").write_bytes(sound[3])
    (source / "3-other").write_bytes(_file(3, StudyDescription="another"))
    steps = Steps(tmp_path)
    steps.plan([_row(number) for number in sound])
    (source / "4").write_bytes(_file(4, StudyDescription="corrected"))
    in_the_way = _result(steps, 5)
    in_the_way.parent.mkdir(parents=True)
    in_the_way.write_bytes(b"in the way")
    steps.edit()
    for number in (7, 8, 9):
        path = _result(steps, number)
        data = path.read_bytes()
        path.unlink()
        if number == 8:
            path.write_bytes(data[:-300])
        if number == 9:
            path.write_bytes(data[:-20] + b"\xff" * 20)
    (source / "10").write_bytes(sound[10][:-1] + b"\1")
    steps.verify()

    assert {
        "P-1": ReasonCode.DAMAGED,
        "P-2": ReasonCode.NESTING_TOO_DEEP,
        "P-3": ReasonCode.AMBIGUOUS_SOURCE,
        "P-4": ReasonCode.SOURCE_CHANGED,
        "P-5": ReasonCode.DESTINATION_CONFLICT,
        "P-7": ReasonCode.RESULT_MISSING,
        "P-8": ReasonCode.RESULT_DIFFERS,
        "P-9": ReasonCode.PIXEL_DATA_DIFFERS,
    } == _reasons(steps)
    assert 1 == steps.report().rows[Outcome.NOT_FOUND]
    assert 1 == steps.report().unverified

    for number in (1, 2, 6):
        (source / f"{number}").write_bytes(sound[number])
    (source / "3-other").unlink()
    in_the_way.unlink()
    steps.resume()

    assert {} == _reasons(steps)
    assert steps.report().reconciled


RESUMED_LATER: Final = frozenset(
    {
        *(ReasonCode.AMBIGUOUS_ENCODING, ReasonCode.UNSUPPORTED, ReasonCode.UNSAFE_CONTENT, ReasonCode.WORKER_DIED),
        *(ReasonCode.INTERNAL_ERROR, ReasonCode.SOURCE_UNREADABLE, ReasonCode.REFERENCE_BROKEN, ReasonCode.INTERRUPTED),
    }
)


def _reference(number: int) -> Element:
    """Return a sequence that names the instance of a study."""
    uid = Element(0x00081155, "UI", f"1.2.{number}.1.1".encode())
    return Element(KEPT, "SQ", (Item((uid,)),))


def _with_overlay_beside_the_image(number: int) -> bytes:
    """Return a compressed image of 12 bits with an overlay in the 13th."""
    rle = b"\2\0\0\0\x40\0\0\0\x42\0\0\0" + bytes(52) + b"\xfd\0\xfd\0"
    return _file(
        number,
        Element(0x60000100, "US", b"\x10\0"),
        Element(0x60000102, "US", b"\x0c\0"),
        encapsulated(rle),
        syntax=RLE,
        **grey(2, 2, 16, 12),
    )


def _put_uncompressed_copy(path: Path) -> None:
    """Do as advised with DCMTK, or with pydicom where it is not installed."""
    if shutil.which("dcmdrle"):
        subprocess.run(["dcmdrle", path, path], check=True)  # noqa: S607
        return
    dataset = dcmread(path)
    dataset.decompress(generate_instance_uid=False)
    dataset.save_as(path)


def test_the_advice_to_resume_helps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files and workers in trouble: what is advised is done, and one attempt later all is done and verified."""
    source = tmp_path / "source"
    source.mkdir()
    bytes_of_a_kind = Element(0x00411001, "OB", (b"", b"xx"))
    files = {
        1: ("1", _file(1, bytes_of_a_kind)),
        2: ("2", _file(2, Element(PIXEL_DATA, "OB", bytes(33 << 20)), syntax=DEFLATED)),
        3: ("3", _with_overlay_beside_the_image(3)),
        4: ("4", _file(4)),
        5: ("5", _file(5, _reference(4))),
        7: (POISON.decode(), _file(7)),
        8: (STUMBLING_BLOCK.decode(), _file(8)),
    }
    for name, data in files.values():
        (source / name).write_bytes(data)
    (source / "6").write_bytes(_file(6))
    steps = Steps(tmp_path)
    steps.plan([_row(number) for number in range(1, 9)])
    steps.report()
    stopped = {row["reason"].partition(":")[0] for row in read_csv(steps.run.folder / "reconciliation.csv")}
    assert {ReasonCode.INTERRUPTED} == stopped
    (source / "6").chmod(0)
    with monkeypatch.context() as patch:
        patch.setattr(engine_module, "edit_in_worker", edit_with_troubles)
        steps.edit()
    new_uid = steps.run.ledger.scalar("SELECT new_sop_instance_uid FROM instance WHERE sop_instance_uid = '1.2.4.1.1'")
    wrong = new_uid[:-1] + ("2" if new_uid[-1] == "1" else "1")
    result = _result(steps, 5)
    result.write_bytes(result.read_bytes().replace(new_uid.encode(), wrong.encode()))
    steps.verify()

    assert {
        "P-1": ReasonCode.AMBIGUOUS_ENCODING,
        "P-2": ReasonCode.UNSUPPORTED,
        "P-3": ReasonCode.UNSAFE_CONTENT,
        "P-5": ReasonCode.REFERENCE_BROKEN,
        "P-6": ReasonCode.SOURCE_UNREADABLE,
        "P-7": ReasonCode.WORKER_DIED,
        "P-8": ReasonCode.INTERNAL_ERROR,
    } == _reasons(steps)

    (source / "1").write_bytes(_file(1, Element(0x00411001, "OB", b"xx")))
    (source / "2").write_bytes(_file(2, Element(PIXEL_DATA, "OB", bytes(33 << 20))))
    _put_uncompressed_copy(source / "3")
    (source / "6").chmod(0o600)
    steps.resume()

    assert {} == _reasons(steps)
    assert steps.report().reconciled


RUN_AGAIN: Final = frozenset(
    {
        *(ReasonCode.INVALID_ROW, ReasonCode.CHARACTER_SET, ReasonCode.BAD_VALUE, ReasonCode.IDENTIFIER_COLLISION),
        *(ReasonCode.TRANSCODING_FAILED, ReasonCode.IDENTIFIER_LEFT),
    }
)


def test_the_advice_to_run_failures_csv_helps(tmp_path: Path) -> None:
    """What the manifest or the config asks for cannot be: corrected in failures.csv, a run of that does the rest."""
    source = tmp_path / "source"
    source.mkdir()
    files = {
        1: _file(1),
        2: _file(2, SpecificCharacterSet="ISO_IR 100"),
        3: _file(3, encapsulated(b"no image"), syntax=RLE),
        5: _file(5, encapsulated(b"no image"), syntax=JPEG, Rows=2, Columns=2, BitsAllocated=8),
        6: _file(6, _reference(7)),
        7: _file(7),
    }
    for number, data in files.items():
        (source / f"{number}").write_bytes(data)
    for name in ("1.2.4.1.1", "1.2.4.1.2"):
        (source / name).write_bytes(_file(4, SOPInstanceUID=name))
    pair = [DicomIdentifiers("P-4", "1.2.4", "1.2.4.1", f"1.2.4.1.{n}").orthanc_id(Level.INSTANCE) for n in (1, 2)]
    rows = [
        {"orthanc_id": _row(1), "Replace.PatientBirthDate": "in May"},
        {"orthanc_id": _row(2), "Replace.StudyDescription": "\u6771\u4eac"},
        {"orthanc_id": _row(3), "Replace.PixelData": "data:application/octet-stream;base64,AAAA"},
        *({"orthanc_id": name, "Replace.SOPInstanceUID": "2.25.4"} for name in pair),
        *({"orthanc_id": _row(number)} for number in (5, 6, 7)),
    ]
    options = {"DicomVersion": "2023b", "Force": True}
    steps = Steps(tmp_path)
    steps.plan(rows, skip_invalid=True, options=options | {"Transcode": EXPLICIT.uid})
    steps.edit()
    result = _result(steps, 6)
    new_uid = steps.run.ledger.scalar("SELECT new_sop_instance_uid FROM instance WHERE sop_instance_uid = '1.2.7.1.1'")
    original = b"1.2.7.1.1".ljust(len(new_uid), b"\0")
    result.write_bytes(result.read_bytes().replace(new_uid.encode(), original))
    steps.verify()

    assert {
        "P-2": ReasonCode.CHARACTER_SET,
        "P-3": ReasonCode.BAD_VALUE,
        "P-4": ReasonCode.IDENTIFIER_COLLISION,
        "P-5": ReasonCode.TRANSCODING_FAILED,
        "P-6": ReasonCode.IDENTIFIER_LEFT,
    } == _reasons(steps)
    assert 1 == steps.report().rows[Outcome.INVALID]

    failures = read_csv(steps.run.folder / "failures.csv")
    assert [row["orthanc_id"] for row in rows[:-1]] == [row["orthanc_id"] for row in failures]
    corrected = {
        _row(1): {"Replace.PatientBirthDate": "20260501"},
        _row(2): {"Replace.StudyDescription": "Tokyo"},
        _row(3): {"Replace.PixelData": ""},
        pair[0]: {"Replace.SOPInstanceUID": "2.25.41"},
        pair[1]: {"Replace.SOPInstanceUID": "2.25.42"},
        _row(6): {"Remove": "0054,0016"},
    }
    again = Steps(tmp_path)
    again.plan([row | corrected.get(row["orthanc_id"], {}) for row in failures], run_id="again", options=options)
    again.edit()
    again.verify()

    assert {} == _reasons(again)
    assert again.report().reconciled
