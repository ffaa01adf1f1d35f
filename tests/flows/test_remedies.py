"""What the report advises is done, and it helps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import pytest

from deidflow.tasks.core.dicom.identifiers import DicomIdentifiers, Level
from deidflow.tasks.core.engine.result_paths import relative_path
from deidflow.tasks.core.outcomes import REMEDIES, Outcome, ReasonCode
from tests.dicom_files import Element, instance
from tests.steps import Steps

if TYPE_CHECKING:
    from pathlib import Path

FOLLOWED: Final = frozenset(
    {
        *(ReasonCode.NOT_FOUND, ReasonCode.DAMAGED, ReasonCode.NESTING_TOO_DEEP, ReasonCode.AMBIGUOUS_SOURCE),
        *(ReasonCode.SOURCE_CHANGED, ReasonCode.DESTINATION_CONFLICT, ReasonCode.RESULT_MISSING),
        *(ReasonCode.RESULT_DIFFERS, ReasonCode.PIXEL_DATA_DIFFERS, ReasonCode.INTERRUPTED),
    }
)
"""Reasons whose advice is followed below."""

ELSEWHERE: Final = frozenset(
    {
        *(ReasonCode.SOURCE_UNREADABLE, ReasonCode.TRANSCODING_FAILED, ReasonCode.UNSTABLE, ReasonCode.SERVER_ERROR),
        *(ReasonCode.WORKER_DIED, ReasonCode.DESTINATION_UNUSABLE, ReasonCode.UNSUPPORTED, ReasonCode.REFERENCE_BROKEN),
    }
)
"""Reasons that `resume` tries again, when something outside of deidflow has changed."""


def _row(number: int) -> str:
    return DicomIdentifiers(f"P-{number}", f"1.2.{number}", "", "").orthanc_id(Level.STUDY)


def _file(number: int, **keywords: Any) -> bytes:
    uids = {"StudyInstanceUID": f"1.2.{number}", "SeriesInstanceUID": f"1.2.{number}.1"}
    return instance(
        Element(0x7FE00010, "OW", bytes(200)),
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


@pytest.mark.parametrize("code", list(ReasonCode))
def test_each_reason_has_advice_that_ends_somewhere(code: ReasonCode) -> None:
    """Either `resume` mends it, or a new run, or a person has to look; never an attempt that changes nothing."""
    text = REMEDIES[code]
    if code in FOLLOWED or code in ELSEWHERE:
        assert "`deidflow resume" in text
    else:
        assert any(words in text for words in ("new run", "report it", "leave its row out", "resume", "again"))


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
