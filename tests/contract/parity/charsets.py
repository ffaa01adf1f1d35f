"""Text in every character set, as real files have it.

Public names: ``CHARSETS``.
"""

from __future__ import annotations

from typing import Final

CHARSETS: Final = {
    "": (b"Buc^J\xe9r\xf4me", b"caf\xe9"),
    "ISO_IR 6": (b"Buc^Jerome", b"cafe"),
    "ISO_IR 100": (b"Buc^J\xe9r\xf4me", b"caf\xe9"),
    "ISO_IR 101": (b"W\xb1\xb3\xe6^A", b"\xb1\xb3"),
    "ISO_IR 109": (b"A\xa6", b"\xa6"),
    "ISO_IR 110": (b"A\xa2", b"\xa2"),
    "ISO_IR 144": (b"\xbb\xee\xda^A", b"\xbb\xee\xda"),
    "ISO_IR 127": (b"\xe2\xc8\xc7^\xe6", b"\xe2\xc8\xc7"),
    "ISO_IR 126": (b"\xc4\xe9\xef^A", b"\xc4\xe9\xef"),
    "ISO_IR 138": (b"\xf9\xf8\xe5^A", b"\xf9\xf8\xe5"),
    "ISO_IR 148": (b"\xdd\xf0^A", b"\xdd\xf0"),
    "ISO_IR 166": (b"\xa1\xa2^A", b"\xa1\xa2"),
    "ISO_IR 13": (b"\xd4\xcf\xc0\xde^A", b"\xd4\xcf"),
    "ISO_IR 192": ("Ä^東京".encode(), "東京é".encode()),
    "GB18030": ("王^小东".encode("gb18030"), "东".encode("gb18030")),
    "GBK": ("王^小东".encode("gbk"), "东".encode("gbk")),
    "\\ISO 2022 IR 87": (b"Yamada^Tarou=\x1b$B;3ED\x1b(B^\x1b$BB@O:\x1b(B", b"\x1b$B;3ED\x1b(B"),
    "\\ISO 2022 IR 149": (b"Hong^Gildong=\x1b$)C\xfb\xf3^\x1b$)C\xd1\xce\xd4\xd7", b"\x1b$)C\xfb\xf3"),
    "ISO 2022 IR 100\\ISO 2022 IR 144": (b"J\xe9r^\x1b-L\xbb\xee", b"\xe9\x1b-L\xbb"),
    "ISO 2022 IR 13\\ISO 2022 IR 87": (b"\xd4\xcf^A=\x1b$B;3ED\x1b(J^B", b"\xd4\xcf"),
    "\\ISO 2022 IR 58": (b"Zhang^A=\x1b$)A\xd5\xc5^\x1b$)A\xd0\xa1", b"\x1b$)A\xd5\xc5"),
    "\\ISO 2022 IR 159": (b"A^B=\x1b$(D3$^\x1b(B", b"\x1b$(D3$\x1b(B"),
    "ISO_IR 203": (b"Buc^J\xe9r\xa4", b"\xa4"),
    **{
        f"\\ISO 2022 IR {number}": (b"A\x1b-" + final + b"\xe1^B", b"a\x1b-" + final + b"\xe1")
        for number, final in ((100, b"A"), (101, b"B"), (109, b"C"), (110, b"D"), (126, b"F"), (127, b"G"), (138, b"H"))
    },
    **{
        f"\\ISO 2022 IR {number}": (b"A\x1b-" + final + b"\xe1^B", b"a\x1b-" + final + b"\xe1")
        for number, final in ((144, b"L"), (148, b"M"), (166, b"T"), (203, b"b"))
    },
    "\\ISO 2022 IR 13": (b"A^\x1b)I\xd4\xcf", b"\x1b)I\xd4"),
    "ISO_IR 999": (b"A^B", b"x"),
}
"""SpecificCharacterSet, "" for an absent one -> a name and a text that fit."""
