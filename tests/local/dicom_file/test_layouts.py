"""What is known of the file before never changes what the next one's parts are taken for."""

from __future__ import annotations

import pytest

from deidflow.tasks.core.errors import InstanceFailed
from deidflow.tasks.local.dicom_file.layout import HeadTooShortError, Layout, find_layout
from tests.dicom_files import BIG, DEFLATED, EXPLICIT, IMPLICIT, JPEG, Element, encode, instance
from tests.local.edits import anonymize, modify, read

_MAGIC_AT = 128
_OTHER = instance(SOPInstanceUID="1.2.777", SOPClassUID="1.2.840.10008.5.1.4.1.1.4")


def _layout_behind(before: bytes, data: bytes, size: int) -> Layout | str:
    """Return what the parts of a file are when another was read first, or what is wrong with them."""
    found: Layout | str = ""
    for head, whole in ((before, len(before)), (data, size)):
        try:
            found = find_layout(head, whole)
        except (InstanceFailed, HeadTooShortError) as problem:
            found = repr(problem)
    return found


_SYNTAXES = [IMPLICIT, EXPLICIT, BIG, DEFLATED, JPEG]
_KNOWN = {
    **{syntax.uid: instance(Element(0x7FE00010, "OB", (b"", b"\xff\xd8")), syntax=syntax) for syntax in _SYNTAXES},
    "declared explicit": instance(syntax=IMPLICIT, meta={"TransferSyntaxUID": EXPLICIT.uid}),
    "declared implicit": instance(syntax=EXPLICIT, meta={"TransferSyntaxUID": IMPLICIT.uid}),
    "not declared": instance(syntax=IMPLICIT, meta={"TransferSyntaxUID": None}),
    "not declared, explicit": instance(syntax=EXPLICIT, meta={"TransferSyntaxUID": None}),
    "without preamble": instance(preamble=None),
}


@pytest.mark.parametrize("name", _KNOWN)
def test_one_byte_makes_another_file(name: str) -> None:
    """A file that differs in any byte up to its dataset's first element, or in size, is read as if it were alone."""
    known = _KNOWN[name]
    end = find_layout(known, len(known)).dataset_start + 12
    others = [known, *(known[:position] for position in range(end))]
    for position in range(end):
        if name == "without preamble" or position > _MAGIC_AT:
            old = known[position]
            others += [
                known[:position] + bytes((new,)) + known[position + 1 :]
                for new in {0, old ^ 1, old ^ 0x20, old ^ 0xFF, 0x31}
            ]
    for other in others:
        for size in {len(other), len(known), end}:
            assert _layout_behind(_OTHER, other, size) == _layout_behind(known, other, size)


def test_instances_of_one_series_have_one_layout() -> None:
    """Files that differ in a UID of the same length share what was found for the first of them."""
    first, second, longer = (instance(SOPInstanceUID=uid) for uid in ("1.2.3.4", "1.2.3.5", "1.2.3.456"))

    assert find_layout(first, len(first)) is find_layout(second, len(second))
    assert find_layout(longer, len(longer)).dataset_start > find_layout(second, len(second)).dataset_start


@pytest.mark.parametrize("declared", [b"\xbc\0\0\0", b"1.2.840.10008.1.2.1 or so", b"?\0"])
def test_a_transfer_syntax_that_is_no_uid_declares_nothing(declared: bytes) -> None:
    """The dataset tells how it is written, and the result declares that."""
    data = instance(syntax=EXPLICIT, meta={"TransferSyntaxUID": None})
    broken = Element(0x00020010, "UL", declared)
    data = data[:132] + encode([broken], EXPLICIT) + data[132:]

    assert "" == find_layout(data, len(data)).transfer_syntax
    for edit in (anonymize({}), modify({})):
        meta = read(edit(data)).file_meta
        assert ("UI", EXPLICIT.uid) == (meta["TransferSyntaxUID"].VR, meta.TransferSyntaxUID)
