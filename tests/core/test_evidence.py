"""What is noted of a result tells its bytes from any others, in memory and in a file, and so does a SHA-256."""

from __future__ import annotations

from hashlib import sha256
from io import BytesIO

from hypothesis import given
from hypothesis import strategies as st

from deidflow.tasks.core.files.evidence import evidence_of, is_evidence_of


@given(st.binary(min_size=1, max_size=200), st.data())
def test_any_other_bytes_are_told_apart(content: bytes, data: st.DataObject) -> None:
    """One changed bit, a byte less and a byte more, whoever reads them."""
    at, bit = data.draw(st.integers(0, len(content) - 1)), data.draw(st.integers(0, 7))
    flipped = content[:at] + bytes([content[at] ^ 1 << bit]) + content[at + 1 :]

    for evidence in (evidence_of(content), sha256(content).hexdigest()):
        assert is_evidence_of(evidence, content)
        for other in (flipped, content[:-1], content + b"\0"):
            assert not is_evidence_of(evidence, other)
            assert not is_evidence_of(evidence, BytesIO(other))


def test_a_file_that_is_read_in_pieces() -> None:
    """What was noted in memory holds for the file, wherever it stands, and the other way round."""
    content = bytes(range(256)) * 10_000
    file = BytesIO(content)
    file.seek(77)

    assert is_evidence_of(evidence_of(content), file)
    assert is_evidence_of(evidence_of(file), content)


def test_each_result_has_a_key_of_its_own() -> None:
    """What is noted of two equal results says nothing of a third."""
    assert evidence_of(b"same") != evidence_of(b"same")
