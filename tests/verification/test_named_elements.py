"""What a request names in an item or a private block is its own word; what stands beside that is not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import pytest

from deidflow.tasks.core.outcomes import Outcome, ReasonCode
from deidflow.tasks.core.request.request import Operation
from tests.dicom_files import EXPLICIT, Element, encode, instance, private_block
from tests.verification.test_verifier import damages, run

if TYPE_CHECKING:
    from pathlib import Path

DONE: Final = (Outcome.DONE, None)
LEFT: Final = (Outcome.FAILED, ReasonCode.IDENTIFIER_LEFT)
DIFFERS: Final = (Outcome.FAILED, ReasonCode.RESULT_DIFFERS)
COMMENTS: Final = "ReferencedImageSequence[1].PatientComments"


def write(folder: Path, *extra: Element, **keywords: Any) -> Path:
    """Write one instance; return its folder."""
    folder.mkdir()
    (folder / "image").write_bytes(instance(*extra, **keywords))
    return folder


@pytest.mark.parametrize(
    ("operation", "body", "first", "second"),
    [
        (Operation.MODIFY, {"Replace": {COMMENTS: "new"}}, DIFFERS, DONE),
        (Operation.MODIFY, {"Remove": [COMMENTS]}, DIFFERS, DIFFERS),
        (Operation.ANONYMIZE, {"Keep": [COMMENTS]}, LEFT, DIFFERS),
        (Operation.ANONYMIZE, {"Replace": {COMMENTS: "new"}}, LEFT, DONE),
    ],
)
def test_a_path_names_one_item(
    tmp_path: Path, operation: Operation, body: dict[str, Any], first: object, second: object
) -> None:
    """Of two items with the same element each is judged by what the request says of it."""
    items = [{"PatientComments": "one"}, {"PatientComments": "two"}]
    done = run(write(tmp_path / "source", ReferencedImageSequence=items), body, operation)
    assert DONE == damages(done.verify()["image"])

    sound, found = done.result("image").read_bytes(), []
    for number in (0, 1):
        done.damage("image", lambda made: setattr(made.ReferencedImageSequence[number], "PatientComments", "odd"))  # noqa: B023
        found.append(damages(done.verify()["image"]))
        done.result("image").write_bytes(sound)
    assert [first, second] == found


def test_a_private_element_that_is_kept_vouches_for_no_other(tmp_path: Path) -> None:
    """Whoever keeps one element of a block has its creator kept, and every other element of that group is to go."""
    block = private_block(0x0019, Element(0x00191001, "LO", b"mode 7"), Element(0x00191002, "LO", b"ward 9"))
    done = run(write(tmp_path / "source", *block), {"Keep": ["0019,1001"], "Force": True})
    assert DONE == damages(done.verify()["image"])

    path = done.result("image")
    kept = encode(block[1:2], EXPLICIT)
    path.write_bytes(path.read_bytes().replace(kept, kept + encode(block[2:], EXPLICIT)))
    assert LEFT == damages(done.verify()["image"])


@pytest.mark.parametrize(("text", "outcome"), [("as Doe was", DONE), ("for Jane", LEFT), ("for Müller", LEFT)])
def test_replace_vouches_for_what_it_gives(tmp_path: Path, text: str, outcome: object) -> None:
    """Where Replace gives a text, and nothing compares it, the original is its own word only as far as it says so."""
    items = [{"PatientComments": "one"}, {"PatientComments": "two"}]
    values = {"PatientName": "Doe^Jane^Muller", "SpecificCharacterSet": "ISO_IR 100"}
    folder = write(tmp_path / "source", ReferencedImageSequence=items, **values)
    done = run(folder, {"Replace": {COMMENTS: "new, as Doe"}})
    assert DONE == damages(done.verify()["image"])

    done.damage("image", lambda made: setattr(made.ReferencedImageSequence[1], "PatientComments", text))
    assert outcome == damages(done.verify()["image"])
