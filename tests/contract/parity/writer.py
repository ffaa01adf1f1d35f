"""Write DICOM files element by element, right or wrong: byte order, lengths and padding as the test wants them.

Public names: ``Value``, ``Tree``, ``write_file``, ``write_dataset``.
"""

from __future__ import annotations

import struct
import zlib

IMPLICIT = "1.2.840.10008.1.2"
EXPLICIT = "1.2.840.10008.1.2.1"
BIG_ENDIAN = "1.2.840.10008.1.2.2"
DEFLATED = "1.2.840.10008.1.2.1.99"
JPEG = "1.2.840.10008.1.2.4.50"
RLE = "1.2.840.10008.1.2.5"

_DEFLATED = frozenset({DEFLATED, "1.2.840.10008.1.2.4.95", "1.2.840.10008.1.2.4.205"})
_LONG = frozenset("OB OD OF OL OV OW SQ SV UC UN UR UT UV".split())  # noqa: SIM905
_NUMBERS = {"US": "H", "SS": "h", "UL": "L", "SL": "l", "FL": "f", "FD": "d", "UV": "Q", "SV": "q", "AT": "H"}
_WORDS = {"OW": "H", "OL": "L", "OF": "f", "OD": "d", "OV": "Q"}

Value = object
"""Text (padded), bytes (as they are), numbers in a tuple, items in a list; fragments are ``Fragments``."""

Tree = dict[tuple[int, str], Value]
"""Tag and VR -> value, written in the order of insertion."""


class Fragments(list[bytes]):
    """An encapsulated value: the offset table and the fragments."""


def _value(vr: str, value: Value, prefix: str) -> bytes:
    if isinstance(value, bytes):
        return value
    if isinstance(value, tuple):
        code = _NUMBERS.get(vr) or _WORDS[vr]
        return struct.pack(f"{prefix}{len(value)}{code}", *value)
    data = str(value).encode("latin-1")
    return data + (b"\0" if vr in ("UI", "OB", "UN") else b" ") if len(data) % 2 else data


def write_dataset(
    tree: Tree, *, implicit: bool = False, little: bool = True, undefined: bool = False, group_lengths: bool = False
) -> bytes:
    """Write a dataset.

    Args:
        tree: Its elements.
        implicit: Without VRs.
        little: Byte order.
        undefined: Sequences and items end with delimiters.
        group_lengths: Each group begins with its length.

    """
    prefix = "<" if little else ">"
    groups: dict[int, list[bytes]] = {}
    for (tag, vr), value in tree.items():
        if isinstance(value, list) and not isinstance(value, Fragments):
            inner_implicit = implicit or vr == "UN"
            pieces = []
            for item in value:
                content = write_dataset(item, implicit=inner_implicit, little=little, undefined=undefined)
                length = 0xFFFFFFFF if undefined else len(content)
                end = struct.pack(f"{prefix}HHL", 0xFFFE, 0xE00D, 0) if undefined else b""
                pieces.append(struct.pack(f"{prefix}HHL", 0xFFFE, 0xE000, length) + content + end)
            data = b"".join(pieces)
            length = 0xFFFFFFFF if undefined else len(data)
            data += struct.pack(f"{prefix}HHL", 0xFFFE, 0xE0DD, 0) if undefined else b""
        elif isinstance(value, Fragments):
            data = b"".join(struct.pack("<HHL", 0xFFFE, 0xE000, len(part)) + part for part in value)
            data += struct.pack("<HHL", 0xFFFE, 0xE0DD, 0)
            length = 0xFFFFFFFF
        else:
            data = _value(vr, value, prefix)
            length = len(data)
        header = struct.pack(f"{prefix}HH", tag >> 16, tag & 0xFFFF)
        if implicit:
            header += struct.pack(f"{prefix}L", length)
        elif vr in _LONG:
            header += vr.encode() + b"\0\0" + struct.pack(f"{prefix}L", length)
        else:
            header += vr.encode() + struct.pack(f"{prefix}H", length)
        groups.setdefault(tag >> 16, []).append(header + data)
    output = []
    for group, elements in groups.items():
        body = b"".join(elements)
        if group_lengths:
            name = b"" if implicit else b"UL"
            size = struct.pack(f"{prefix}L" if implicit else f"{prefix}H", 4)
            output.append(struct.pack(f"{prefix}HH", group, 0) + name + size + struct.pack(f"{prefix}L", len(body)))
        output.append(body)
    return b"".join(output)


def write_file(
    tree: Tree, syntax: str = EXPLICIT, *, undefined: bool = False, group_lengths: bool = False, header: bool = True
) -> bytes:
    """Write a file; its meta information repeats the SOP class and instance of the dataset.

    Args:
        tree: The dataset.
        syntax: UID of the transfer syntax.
        undefined: See ``write_dataset``.
        group_lengths: See ``write_dataset``.
        header: Whether there is a preamble and meta information.

    """
    body = write_dataset(
        tree,
        implicit=syntax == IMPLICIT,
        little=syntax != BIG_ENDIAN,
        undefined=undefined,
        group_lengths=group_lengths,
    )
    if syntax in _DEFLATED:
        deflater = zlib.compressobj(wbits=-zlib.MAX_WBITS)
        body = deflater.compress(body) + deflater.flush()
        body += b"\0" * (len(body) % 2)
    if not header:
        return body
    meta = write_dataset(
        {
            (0x00020001, "OB"): b"\0\1",
            (0x00020002, "UI"): tree.get((0x00080016, "UI"), ""),
            (0x00020003, "UI"): tree.get((0x00080018, "UI"), ""),
            (0x00020010, "UI"): syntax,
            (0x00020012, "UI"): "1.2.3.4",
            (0x00020016, "AE"): "SENDER",
        }
    )
    length = struct.pack("<HH2sHL", 2, 0, b"UL", 4, len(meta))
    return bytes(128) + b"DICM" + length + meta + body
