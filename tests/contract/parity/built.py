"""Files made for the comparison: what real files seldom have, one peculiarity each.

Public names: ``built_files``, ``reference_files``, ``base``, ``rich``.
"""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING

from tests.contract.parity.charsets import CHARSETS
from tests.contract.parity.writer import (
    BIG_ENDIAN,
    DEFLATED,
    EXPLICIT,
    IMPLICIT,
    JPEG,
    RLE,
    Fragments,
    Tree,
    Value,
    write_file,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

_ROOT = "1.2.826.0.1.3680043.10.543"
SC = "1.2.840.10008.5.1.4.1.1.7"
STUDY, SERIES, FRAME = f"{_ROOT}.1", f"{_ROOT}.2", f"{_ROOT}.3"
_numbers = count(1)


def base(number: int, **changes: Value) -> Tree:
    """Return a small image; ``x00100020LO="A"`` sets and ``x00100020LO=None`` drops an element.

    Args:
        number: Of the instance.
        changes: By tag and VR.

    """
    tree: Tree = {
        (0x00080005, "CS"): "ISO_IR 100",
        (0x00080008, "CS"): "ORIGINAL\\PRIMARY",
        (0x00080016, "UI"): SC,
        (0x00080018, "UI"): f"{_ROOT}.4.{number}",
        (0x00080020, "DA"): "20200102",
        (0x00080030, "TM"): "101112",
        (0x00080050, "SH"): "ACC1",
        (0x00080060, "CS"): "OT",
        (0x00080080, "LO"): "Hospital",
        (0x00080090, "PN"): "Ref^Doc",
        (0x00081030, "LO"): "Head",
        (0x0008103E, "LO"): "Axial",
        (0x00100010, "PN"): "Doe^John",
        (0x00100020, "LO"): "P1",
        (0x00100030, "DA"): "19700101",
        (0x00100040, "CS"): "M",
        (0x0020000D, "UI"): STUDY,
        (0x0020000E, "UI"): SERIES,
        (0x00200010, "SH"): "S1",
        (0x00200052, "UI"): FRAME,
        (0x00280002, "US"): (1,),
        (0x00280010, "US"): (2,),
        (0x00280011, "US"): (2,),
        (0x00280100, "US"): (8,),
        (0x00280101, "US"): (8,),
        (0x00280102, "US"): (7,),
        (0x00280103, "US"): (0,),
        (0x7FE00010, "OB"): b"\1\2\3\4",
    }
    return changed(tree, **changes)


def changed(tree: Tree, **changes: Value) -> Tree:
    """Return a tree with elements set or dropped, in ascending order."""
    for name, value in changes.items():
        tag, vr = int(name[1:9], 16), name[9:]
        for key in [key for key in tree if key[0] == tag]:
            del tree[key]
        if value is not None:
            tree[tag, vr] = value
    return dict(sorted(tree.items()))


def _item(deep: int = 0) -> Tree:
    """Return an item with something of everything."""
    tree: Tree = {
        (0x00080050, "SH"): "ACC2",
        (0x00080080, "LO"): "Hospital",
        (0x00081030, "LO"): "Head",
        (0x00081150, "UI"): SC,
        (0x00081155, "UI"): f"{_ROOT}.4.1",
        (0x00090010, "LO"): "NESTED PRIVATE",
        (0x00091001, "LO"): "secret",
        (0x00100010, "PN"): "Doe^John",
        (0x00100020, "LO"): "P1",
        (0x0020000D, "UI"): STUDY,
        (0x0020000E, "UI"): SERIES,
        (0x00200052, "UI"): FRAME,
        (0x00280106, "US"): (3,),
        (0x50003000, "OW"): (1, 2),
        (0x60003000, "OW"): (1, 2),
        (0x60004000, "LT"): "overlay",
    }
    if deep:
        tree[0x00081115, "SQ"] = [_item(deep - 1), {}]
    return dict(sorted(tree.items()))


def rich(number: int, **changes: Value) -> Tree:
    """Return an image with every VR, sequences three deep, private blocks, overlays and curves."""
    tree = base(number) | {
        (0x00080006, "SQ"): [],
        (0x00081110, "SQ"): [_item()],
        (0x00081115, "SQ"): [_item(2), {}, _item()],
        (0x00081140, "SQ"): [{(0x00081150, "UI"): SC, (0x00081155, "UI"): f"{_ROOT}.4.{number}"}],
        (0x00090010, "LO"): "ACME",
        (0x00091001, "LO"): "private",
        (0x00091002, "OB"): b"\1\2",
        (0x00091003, "SQ"): [_item()],
        (0x00092001, "LO"): "no creator",
        (0x00101010, "AS"): "042Y",
        (0x00101030, "DS"): "70.5",
        (0x00104000, "LT"): "comment\r\nline",
        (0x0018115E, "DS"): "1\\2",
        (0x00181149, "IS"): "1\\2",
        (0x00280009, "AT"): (0x18, 0x1063),
        (0x00280106, "US"): (0,),
        (0x00289520, "OB"): b"",
        (0x0040A730, "SQ"): [{(0x0040A040, "CS"): "TEXT", (0x0040A124, "UI"): f"{_ROOT}.9", (0x0040A160, "UT"): "Doe"}],
        (0x0040A075, "PN"): "Verifier",
        (0x00400275, "SQ"): [{(0x00081140, "SQ"): [_item()], (0x00400009, "SH"): "SPS"}],
        (0x00720026, "AT"): (0x10, 0x10),
        (0x00720060, "IS"): "5",
        (0x00720073, "OF"): (1.0,),
        (0x50003000, "OW"): (1, 2),
        (0x50000005, "US"): (1,),
        (0x60000010, "US"): (2,),
        (0x60003000, "OW"): (1, 2),
        (0x60004000, "LT"): "overlay",
        (0x00189219, "SS"): (-1,),
        (0x00186020, "SL"): (-2,),
        (0x00186016, "UL"): (3,),
        (0x00080120, "UR"): "http://a/b",
        (0x00080119, "UC"): "long code",
        (0x00089459, "FL"): (1.5,),
        (0x00186028, "FD"): (2.5,),
        (0x0040A13A, "DT"): "20200102101112",
        (0x00081040, "LO"): "Ward",
        (0x00189087, "FD"): (1.0, 2.0),
        (0x00080054, "AE"): "STORE",
        (0x00080081, "ST"): "Street 1",
        (0x0072006D, "UN"): b"\1\2\3\4",
        (0x00660022, "OD"): (1.5, -2.0),
        (0x00660040, "OL"): (1, 65536),
    }
    return changed(dict(sorted(tree.items())), **changes)


def _charset_files() -> Iterator[tuple[str, bytes]]:
    for term, values in CHARSETS.items():
        name, text = (raw + b" " if len(raw) % 2 else raw for raw in values)
        tree = base(
            next(_numbers),
            x00080005CS=term or None,
            x00100010PN=name,
            x00104000LT=text,
            x00081030LO=text,
            x00081115SQ=[{(0x00080104, "LO"): text, (0x00100010, "PN"): name}],
        )
        yield f"charset {term or 'absent'}", write_file(tree)
    nested = [{(0x00080005, "CS"): "ISO_IR 192", (0x00080104, "LO"): "東é".encode() + b" "}]
    yield "charset in item", write_file(base(next(_numbers), x00081115SQ=nested))
    yield "charset empty", write_file(base(next(_numbers), x00080005CS=""))


def _padding_files() -> Iterator[tuple[str, bytes]]:
    cases: dict[str, dict[str, Value]] = {
        "NUL in text": {"x00081030LO": b"abc\0", "x00100010PN": b"Doe\0"},
        "blank in UID": {"x00200052UI": b"1.2.3 ", "x00081115SQ": [{(0x00081155, "UI"): b"1.2.3 "}]},
        "unpadded": {"x00081030LO": b"abc"},
        "many blanks": {"x00081030LO": b"abc   ", "x00080060CS": b"OT    "},
        "leading blank in PatientID": {"x00100020LO": b" P2 "},
        "blank PatientID": {"x00100020LO": b"  "},
        "NUL in PatientID": {"x00100020LO": b"P3\0\0"},
        "multi-valued PatientID": {"x00100020LO": b"P4\\P5 "},
        "no PatientID": {"x00100020LO": None},
        "empty PatientID": {"x00100020LO": ""},
        "accented PatientID": {"x00100020LO": b"P\xe9"},
        "no PatientName": {"x00100010PN": None},
        "empty PatientName": {"x00100010PN": ""},
        "long PatientID": {"x00100020LO": "P" * 200},
        "two multi-valued UIDs": {
            "x00083010UI": "1.2.3\\1.2.4",
            "x00081115SQ": [{(0x00081155, "UI"): "1.2.3\\1.2.4"}, {(0x00081155, "UI"): "1.2.3"}],
        },
        "empty UIDs": {"x00200052UI": "", "x00081115SQ": [{(0x00081155, "UI"): ""}, {(0x0020000D, "UI"): ""}]},
        "UID is not one": {"x00200052UI": "abc"},
        "no SOPClassUID": {"x00080016UI": None},
        "PatientID of another VR": {"x00100020SH": "P6", "x00100020LO": None},
        "digital signatures": {
            "x4FFE0001SQ": [{(0x04000015, "CS"): "SHA256"}],
            "xFFFAFFFASQ": [{(0x04000105, "DT"): "20200131"}],
        },
        "file meta information in an item": {
            "x00081115SQ": [{(0x00020016, "AE"): "DOES_PC", (0x0020000E, "UI"): SERIES}],
        },
        "UIDs of another VR": {"x00200242LO": STUDY, "x00081115SQ": [{(0x00200242, "UT"): SERIES}]},
        "own DeidentificationMethod": {"x00120062CS": "YES", "x00120063LO": "by hand"},
    }
    for name, changes in cases.items():
        tree = base(next(_numbers), **changes)
        yield name, write_file(dict(sorted(tree.items())))


def _structure_files() -> Iterator[tuple[str, bytes]]:
    for syntax, name in ((EXPLICIT, "explicit"), (IMPLICIT, "implicit"), (BIG_ENDIAN, "big"), (DEFLATED, "deflated")):
        for undefined in (False, True):
            for lengths in (False, True):
                tree = rich(next(_numbers))
                title = f"rich {name}{' undefined' * undefined}{' group lengths' * lengths}"
                yield title, write_file(tree, syntax, undefined=undefined, group_lengths=lengths)
    for undefined in (False, True):
        tree = base(next(_numbers), x00081115SQ=[{}], x00081140SQ=[], x0040A730SQ=[{}, {}])
        yield f"empty items {undefined}", write_file(tree, undefined=undefined)
        tree = base(next(_numbers), x00081140UN=[_item()], x00091001UN=[_item()], x00090010LO="ACME")
        yield f"sequence as UN {undefined}", write_file(tree, undefined=undefined)
    tree = base(next(_numbers), x00081030UN=b"text as UN", x00280106UN=b"\1\0", x00081155UN=b"1.2.3\0")
    yield "values as UN", write_file(tree)
    private = {(0x00090010, "UN"): b"ACME", (0x00091001, "UN"): b"ab", (0x000910FF, "LO"): "x", (0x00110011, "LO"): "B"}
    yield "private creators", write_file(dict(sorted((base(next(_numbers)) | private).items())))
    private = {
        (0x00091001, "LO"): "orphan",
        (0x00291010, "OB"): b"CSA!",
        (0x7FE10010, "LO"): "P",
        (0x7FE11001, "OB"): b"ab",
    }
    yield "private without creator", write_file(dict(sorted((base(next(_numbers)) | private).items())))
    yield "no header", write_file(base(next(_numbers)), IMPLICIT, header=False)
    overlays: Tree = {(0x60000000 | group << 16 | 0x3000, "OW"): (1, 2) for group in (0, 2, 0x1E, 0x20)}
    overlays |= {(0x50000000 | group << 16 | 0x3000, "OW"): (1, 2) for group in (0, 2, 0x1E)}
    yield "overlays and curves", write_file(dict(sorted((base(next(_numbers)) | overlays).items())))
    numbers: Tree = {
        (0x0008040C, "UV"): (1 << 40,),
        (0x00720081, "OV"): (1, 1 << 40),
        (0x00720082, "SV"): (-5, 6),
        (0x00720083, "UV"): (7,),
    }
    for syntax, name in ((EXPLICIT, "explicit"), (IMPLICIT, "implicit"), (BIG_ENDIAN, "big")):
        tree = dict(sorted((base(next(_numbers)) | numbers).items()))
        yield f"numbers of 64 bits {name}", write_file(tree, syntax)
    deep: Tree = _item(12)
    yield "twelve deep", write_file(base(next(_numbers), x00081115SQ=[deep]), undefined=True)


def _pixel_files() -> Iterator[tuple[str, bytes]]:
    fragments = {
        "one fragment": [b"", b"\xff\xd8abcd\xff\xd9"],
        "three fragments": [b"\0\0\0\0", b"aa", b"", b"bbbb"],
        "no fragments": [b""],
        "odd bytes": [b"", b"\0" * 3 + b"\1"],
    }
    for name, parts in fragments.items():
        for syntax in (JPEG, RLE, "1.2.840.10008.1.2.4.90"):
            yield f"{name} {syntax}", write_file(base(next(_numbers), x7FE00010OB=Fragments(parts)), syntax)
    yield "icon", write_file(base(next(_numbers), x00880200SQ=[{(0x7FE00010, "OW"): (1, 2)}]))
    yield "no pixels", write_file(base(next(_numbers), x7FE00010OB=None))
    yield "float pixels", write_file(base(next(_numbers), x7FE00010OB=None, x7FE00008OF=(1.0, 2.0)))


def _reference_files() -> Iterator[tuple[str, bytes]]:
    """Yield one patient over two studies: images, and objects that refer to them."""
    image = [f"{_ROOT}.5.{number}" for number in range(4)]
    for number in range(4):
        yield f"image {number}", write_file(_member(image[number], number // 2))
    referenced = [{(0x00081150, "UI"): SC, (0x00081155, "UI"): uid} for uid in image]
    series = [{(0x00081199, "SQ"): referenced[:2], (0x0020000E, "UI"): f"{_ROOT}.7.0"}]
    segmentation = _member(f"{_ROOT}.5.10", 0, x00081115SQ=series, x00082112SQ=referenced[:1])
    yield "segmentation", write_file(segmentation)
    study = [{(0x00081150, "UI"): SC, (0x00081155, "UI"): f"{_ROOT}.6.0", (0x30060014, "SQ"): series}]
    frames = [{(0x00200052, "UI"): f"{FRAME}.0", (0x30060012, "SQ"): study}]
    yield "structure set", write_file(_member(f"{_ROOT}.5.11", 0, x30060010SQ=frames))
    evidence = [{(0x00081115, "SQ"): series, (0x0020000D, "UI"): f"{_ROOT}.6.0"}]
    text = [{(0x00081199, "SQ"): referenced, (0x0040A010, "CS"): "CONTAINS", (0x0040A123, "PN"): "Doe^John"}]
    yield "report", write_file(_member(f"{_ROOT}.5.12", 1, x0040A375SQ=evidence, x0040A730SQ=text), IMPLICIT)
    yield "presentation state", write_file(_member(f"{_ROOT}.5.13", 1, x00081115SQ=series, x00081140SQ=referenced))
    outside = [{(0x00081150, "UI"): SC, (0x00081155, "UI"): "1.2.3.4.5.6"}]
    yield "dangling", write_file(_member(f"{_ROOT}.5.14", 1, x00081140SQ=[*outside, *outside]))


def _member(uid: str, study: int, **changes: Value) -> Tree:
    numbers: dict[str, Value] = {
        "x00080018UI": uid,
        "x0020000DUI": f"{_ROOT}.6.{study}",
        "x0020000EUI": f"{_ROOT}.7.{study}",
        "x00200052UI": f"{FRAME}.{study}",
        "x00100020LO": "REF",
    }
    return base(0, **(numbers | changes))


def reference_files() -> list[tuple[str, bytes]]:
    """Return the one patient whose objects refer to one another."""
    return list(_reference_files())


def built_files() -> list[tuple[str, bytes]]:
    """Return all of them by name, the same each time."""
    global _numbers  # noqa: PLW0603 (one counter for all builders)
    _numbers = count(1)
    builders = (_charset_files, _padding_files, _structure_files, _pixel_files, _reference_files)
    return [file for builder in builders for file in builder()]
