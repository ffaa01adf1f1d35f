"""Paths of exported files: from a template and a result's own values, legal on every file system.

Letters, digits and ``-_. ^`` of ASCII stand for themselves, all else as ``%XX`` of its UTF-8 bytes; so do a dot or a
blank at either end, a hyphen at the beginning (programs would take the name for an option, and spreadsheets for a
formula), and the first letter of a name that Windows keeps for devices (CON, NUL, COM1, with blanks and any ending
behind it). An empty value is ``%``. Of two names that differ in case alone the second one gets a mark before its
ending, since Windows and macOS take them for one.

Public names: ``Layout``, ``Paths``, ``safe_name``.
"""

from __future__ import annotations

import re
from hashlib import sha256
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from pydicom.datadict import dictionary_VM, dictionary_VR, tag_for_keyword

from deidflow.tasks.core.errors import BadText

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

_HOLE: Final = re.compile(r"\{([A-Za-z0-9]*)\}")
_DEVICE: Final = re.compile(r"(?i)(con|prn|aux|nul|com[0-9]|lpt[0-9]|conin%24|conout%24) *(\..*)?")
_MAX_NAME_BYTES: Final = 120
_KEPT_BYTES: Final = 60
_MAX_ENDING: Final = 4
_NO_TEXTS: Final = frozenset({"SQ", "OB", "OW", "OF", "OD", "OL", "OV", "UN", "AT"})
_MARK_DIGITS: Final = 8


def safe_name(text: str) -> str:
    """Return a name for a file or folder that no file system refuses or changes.

    >>> safe_name('a/b:c'), safe_name("nul.txt"), safe_name(".x "), safe_name("-1"), safe_name("")
    ('a%2Fb%3Ac', '%6Eul.txt', '%2Ex%20', '%2D1', '%')
    """
    return _safe(_quoted(text))


class Layout:
    """A template of paths, with ``/`` between their parts.

    Attributes:
        keywords: What it needs of a result.

    """

    def __init__(self, template: str) -> None:
        """Read a template.

        Raises:
            BadText: It is none.

        """
        self._parts = template.split("/")
        if not all(part.strip(" .") for part in self._parts):
            raise BadText(
                "must be a relative path with a name between any two /, as in {PatientID}/{SOPInstanceUID}.dcm"
            )
        if "{" in _HOLE.sub("", template) or "}" in _HOLE.sub("", template):
            raise BadText("unmatched brace; write {PatientID} for an attribute")
        self.keywords = tuple(dict.fromkeys(_HOLE.findall(template)))
        for keyword in self.keywords:
            tag = tag_for_keyword(keyword) if keyword else None
            # An attribute may have one of several, as in "OB or OW".
            if tag is None or not _NO_TEXTS.isdisjoint(dictionary_VR(tag).split()) or dictionary_VM(tag) != "1":
                raise BadText("must name attributes by DICOM keywords that stand for one text, as in {PatientID}")

    def path(self, value: Callable[[str], str]) -> tuple[str, ...]:
        """Return the parts of a result's path.

        Args:
            value: Gives an attribute of the result by keyword, "" when absent.

        """
        # A value can hold no separator: it is quoted before it stands between others, and so is what is between.
        return tuple(_safe("".join(self._pieces(part, value))) for part in self._parts)

    def _pieces(self, part: str, value: Callable[[str], str]) -> Iterator[str]:
        for number, piece in enumerate(_HOLE.split(part)):
            if number % 2 or piece:
                yield _quoted(value(piece) if number % 2 else piece)


def _quoted(text: str) -> str:
    return quote(text, safe=" ^", errors="surrogateescape").replace("~", "%7E") or "%"


def _safe(name: str) -> str:
    """Return a safe name of a text that is quoted."""
    if name[0] in ". -":
        name = f"%{ord(name[0]):02X}{name[1:]}"
    if name[-1] in ". ":
        name = f"{name[:-1]}%{ord(name[-1]):02X}"
    if _DEVICE.fullmatch(name):
        name = f"%{ord(name[0]):02X}{name[1:]}"
    if len(name) <= _MAX_NAME_BYTES:
        return name
    # No other name holds a tilde and 32 digits behind it.
    stem, ending = _parted(name)
    return f"{stem[:_KEPT_BYTES]}~{sha256(name.encode()).hexdigest()[:32]}{ending}"


def _parted(name: str) -> tuple[str, str]:
    """Return what stands before and from the dot of an ending by which programs know a file, "" where there is none."""
    stem, dot, ending = name.rpartition(".")
    return (stem, f".{ending}") if dot and len(ending) <= _MAX_ENDING else (name, "")


class Paths:
    """The paths of one export: no two files, and no two folders, differ in case alone."""

    def __init__(self, taken: Iterable[str] = ()) -> None:
        """Begin without any.

        Args:
            taken: Names of other files beside them; a path that would begin with one of these gets a mark, too.

        """
        # Under "", which is nobody's name: so each counts as another one's.
        self._names: dict[tuple[str, str], dict[str, str]] = {("", name.casefold()): {"": name} for name in taken}
        self._files: set[str] = set()

    def place(self, parts: tuple[str, ...]) -> str | None:
        """Return the path that a file gets, with ``/``; None when another file has it."""
        above = ""
        for part in parts:
            above = f"{above}/{self._distinct(above, part)}" if above else self._distinct("", part)
        if above in self._files:
            return None
        self._files.add(above)
        return above

    def _distinct(self, above: str, name: str) -> str:
        known = self._names.setdefault((above, name.casefold()), {})
        if name not in known:
            stem, ending = _parted(name)
            mark = sha256(name.encode()).hexdigest()[:_MARK_DIGITS]
            known[name] = f"{stem}~{mark}{ending}" if known else name
        return known[name]
