"""Whatever bytes a PatientID has, and whatever SpecificCharacterSet says of them: Orthanc's identifiers are ours."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING, Final

from deidflow.tasks.local.dicom_file.source_file import SourceFile
from deidflow.tasks.local.folder.index import identify
from deidflow.tasks.orthanc.resources.server import read_server
from tests.contract.parity.charsets import CHARSETS
from tests.dicom_files import Element
from tests.orthanc.shelf import make

if TYPE_CHECKING:
    from deidflow.tasks.orthanc.connection.client import OrthancClient

UPLOADS: Final = 200
SEED: Final = 15

READS_UNDERSCORES: Final = (1, 12, 7)
"""Takes ISO_IR_100 for Latin-1; where deidflow computes identifiers it is an unknown term, as on 1.10.1."""

DROPS_BLANKS: Final = (1, 13, 0)
"""Also drops the blanks at the end of a value of odd length, or in front of a NUL, which 1.10.1 and 1.12.7 leave."""

TERMS: Final = [
    *(terms.encode() for terms in CHARSETS),
    *(
        b"iso_ir 192",
        b"ISO-IR 100",
        b"ISO_IR_100",
        b" ISO_IR 100",
        b"\\\\ISO_IR 100",
        b"ISO 2022 IR 6\\ISO 2022 IR 149",
    ),
    *(b"ISO 2022 IR 149", b"ISO 2022 IR 149", b"ISO 2022 IR 58", b"ISO 2022 IR 87", b"GB18030\\ISO_IR 192", b"UTF-8"),
]
"""Those of the standard, misspelled ones, several at once."""

ESCAPES: Final = [b"\x1b$)C", b"\x1b-A", b"\x1b$B", b"\x1b(B", b"\x1b(J", b"\x1b)I", b"\x1b$)A", b"\x0e", b"\x0f"]


def _patient_id(random: Random) -> bytes:
    """Draw a value: letters, bytes of the upper half, escapes, blanks; what a writer of another set leaves."""
    pieces = []
    for _ in range(random.randint(1, 6)):
        kind = random.randrange(6)
        if kind == 0:
            pieces.append(random.choice(ESCAPES))
        elif kind == 1:
            pieces.append(random.choice([b" ", b"^", b"-", b"~", b"@"]))
        elif kind <= 3:
            pieces.append(bytes(random.randint(0x80, 0xFF) for _ in range(random.randint(1, 3))))
        else:
            pieces.append(random.choice([b"P", b"17", b"abc", "\u00e9\u6771".encode(), "\u6d2a".encode("cp949")]))
    return b"".join(pieces) + random.choice([b"", b"", b" ", b"\0", b" \0", b"\0 "])


def test_drawn_patient_ids(client: OrthancClient) -> None:
    """Orthanc's identifier of the patient is the one that is computed from the file."""
    version = read_server(client).version
    random = Random(SEED)  # noqa: S311 (test data)
    differing = []
    for _ in range(UPLOADS):
        terms, raw = random.choice(TERMS), _patient_id(random)
        if version >= READS_UNDERSCORES and terms == b"ISO_IR_100":
            continue
        if version >= DROPS_BLANKS:
            raw = raw.rstrip(b" \0") + b"."
        elements = Element(0x00080005, "CS", terms + b" " * (len(terms) % 2)), Element(0x00100020, "LO", raw)
        data = make(*elements, PatientID=None)
        with SourceFile.of_bytes(data) as source:
            identifiers, _ = identify(source, source.scan())
        if client.upload(data).orthanc_ids != identifiers.orthanc_ids():
            differing.append((terms, raw))

    assert [] == differing
