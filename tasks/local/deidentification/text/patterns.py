"""What identifies by its form: dates in many notations, times, telephone numbers, addresses, URLs, labelled numbers.

Public names: ``Edit``, ``pattern_edits``.
"""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING, Final, NamedTuple

from deidflow.tasks.local.deidentification.standard.date_values import shift_da

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable


class Edit(NamedTuple):
    """A stretch of a text, and what comes in its place."""

    start: int
    end: int
    replacement: str


_MONTHS: Final = (
    "january jan januar jänner janvier janv enero ene gennaio januari janeiro",
    "february feb februar février fevrier févr fevr febrero febbraio fév fev februari fevereiro",
    "march mar märz maerz mrz mars marzo mär maart maa março",
    "april apr avril avr abril abr aprile",
    "may mai mayo maggio mei maio",
    "june jun juni juin junio giugno junho giu",
    "july jul juli juillet juil julio luglio julho lug",
    "august aug août aout agosto ago aoû augustus",
    "september sep sept septembre septiembre setiembre settembre setembro",
    "october oct oktober okt octobre octubre ottobre outubro ott",
    "november nov novembre noviembre novembro",
    "december dec dezember dez décembre decembre déc diciembre dic dicembre dezembro",
)
_MONTH_NUMBERS: Final = {name: number for number, names in enumerate(_MONTHS, 1) for name in names.split()}
_WORDS_TOO: Final = ("gen", "mrt", "mag", "set", "out")
"""Italian, Dutch and Portuguese months that are words elsewhere."""
_MONTH_STARTS: Final = tuple(sorted({name[:3] for name in _MONTH_NUMBERS}))
_MONTH: Final = "(?:" + "|".join(sorted(_MONTH_NUMBERS, key=len, reverse=True)) + ")"
_YEAR: Final = r"(?:18|19|20)\d\d"
_DAY: Final = r"(?:0?[1-9]|[12]\d|3[01])"
_TWO: Final = r"(?:0?[1-9]|1[0-2])"
_ROMAN: Final = r"(?:i{1,3}|iv|vi{0,3}|ix|xi{0,2})"
_OLD: Final = r"0?(?:9\d|1[0-2]\d)"
_YEARS_OLD: Final = (
    r"years?(?:[\s-]olds?)?|yrs?(?:[\s-]old)?|y/?o|jahr(?:en?)?(?:\s+alt)?|jährig(?:e[rs]?)?|"
    r"ans|años|anos|anni|歳|才|세"
)
_AGE_LABEL: Final = r"(?:aged?|alter|âge|agée?|âgée?|edad|età|年齢|나이)"
_NOT_IN_NUMBER: Final = r"(?<!\d)(?<!\d[.,])"
_END: Final = r"(?![\d]|[.,]\d)"
_BEFORE: Final = r"(?<![^\W_])"
_BEHIND: Final = r"(?![^\W_])"
_ZONE: Final = r"(?:Z|\s?[+-](?:0\d|1[0-4]):?[0-5]\d(?!\d))"
"""An offset from UTC behind a time."""
_OF: Final = r"(?:\s+(?:of|de|del|von))?"


@cache
def _compiled(pattern: str) -> re.Pattern[str]:
    """Compile a pattern with the first text: most commands clean none, and all of them take 15 ms."""
    return re.compile(pattern, re.IGNORECASE)


# Notations that say which is the day: these can be moved. Each names year, month and day.
_CLEAR_DATES: Final = (
    rf"(?<!\d)(?<!\d\.)(?P<y>{_YEAR})(?P<s>[-/._])(?P<m>{_TWO})(?P=s)(?P<d>{_DAY})(?:(?=T\d)|(?!\d))",
    rf"(?<!\d)(?P<y>{_YEAR})(?P<m>0[1-9]|1[0-2])(?P<d>0[1-9]|[12]\d|3[01])(?=\d{{4}}(?:\d\d)?(?!\d)|(?!\d))",
    rf"{_NOT_IN_NUMBER}(?P<d>{_DAY})\.\s?(?P<m>{_TWO})\.\s?(?P<y>{_YEAR})(?!\d)",
    rf"(?P<y>{_YEAR})\s?[年년]\s?(?P<m>{_TWO})\s?[月월]\s?(?P<d>{_DAY})\s?[日일]",
    rf"(?<!\d)(?P<d>{_DAY})(?:st|nd|rd|th|er|\.)?{_OF}[\s\-/._]*(?P<n>{_MONTH})\.?{_OF}[\s\-/.,_]*(?P<y>{_YEAR})(?!\d)",
    rf"(?<![^\W_])(?P<n>{_MONTH})\.?[\s\-/_]*(?P<d>{_DAY})(?:st|nd|rd|th)?[\s\-/,._]+(?P<y>{_YEAR})(?!\d)",
)

_PHONE_LABEL: Final = (
    r"(?:tel|telefon|telephone|teléfono|telefono|téléphone|phone|ph|fax|mobile|mobil|handy|cell|call|電話)"
)
_ID_LABEL: Final = (
    r"(?:mrn|ssn|pid|pat(?:ient)?[\s_-]?id|id|accession|acc|fallnummer|encounter|medical\s+record|iban|nhs|nir|dni|nie|"
    r"insurance|versicherung|auftrag|akte|dossier|expediente|historia|nhc|カルテ|患者)"
)
_FAINT_ID_LABEL: Final = r"(?:case|fall|chart|record|rec|visit|policy|patient|pat|pt|order|number|no|nr)"
_NUMBER_WORD: Final = r"(?:\s*(?:no|nr|num|number|nummer|numero|número|n°|nº|番号))?"

_BIRTH_LABEL: Final = (
    r"(?:dob|d\.o\.b|born|birth(?:\s?date|day)?|date\s+of\s+birth|geb(?:oren|urtsdatum|urtstag)?|née?|nat[oa]|"
    r"nacid[oa]|nacimiento|naissance|nascita|nascimento|生年月日)"
)
_BORN: Final = rf"(?:{_BEFORE}{_BIRTH_LABEL}|生年月日|{_BEFORE}\*)[.:=]?\s*(?:(?:on|am|le|el|il)\s)?\s*[:.=]?\s*$"
_BEFORE_BIRTH: Final = 40
"""Characters in which that stands."""

_STREETS: Final = (
    *("street", "road", "avenue", "lane", "drive", "boulevard", "terrace", "highway", "crescent", "parkway", "square"),
    *("close", "ave", "blvd"),
)
_STREET: Final = f"(?:{'|'.join(_STREETS)})"
_NAME_WORD: Final = r"[^\W\d_][^\W_]*[.'\u2019-]?"


class _Form(NamedTuple):
    """One pattern, and what a text must have for it to be worth a search.

    Attributes:
        pattern: What goes.
        digits: How many digits there must be at least.
        needles: One of these must be in the text in lower case; none means anything.

    """

    pattern: str
    digits: int
    needles: tuple[str, ...]


def _form(pattern: str, digits: int, *needles: str) -> _Form:
    return _Form(pattern, digits, needles)


# A text of somebody else's must not keep a pattern busy: one that begins with a run of characters begins only where the
# run does (the look behind it), or the time would grow with the square of its length.

# Before the dates, since these may be parts of them.
_ADDRESSES: Final = (
    _form(r"(?<![^\s@<>\[\](),;:])[^\s@<>\[\](),;:]+@[^\s@<>\[\](),;:]+", 0, "@"),
    _form(r"(?<![a-z0-9+.-])[a-z0-9+.-]+://[^\s<>\"]+", 0, "://"),
    _form(r"\bwww\.[^\s<>\"]+", 0, "www."),
    _form(
        rf"{_BEFORE}(?:[a-z0-9-]{{1,63}}\.){{1,9}}"
        rf"(?:com|org|net|edu|gov|info|local|de|fr|es|it|uk|jp|eu|ch|at|nl)(?:/\S*)?{_BEHIND}",
        0,
        ".",
    ),
    _form(r"\\\\[^\s\\]+\\\S*|\b[a-z]:\\\S*", 0, "\\"),  # network shares and paths
    _form(r"(?<!\w)/(?:home|users|mnt|data|var|tmp)/\S*", 0, "/"),
    _form(r"(?<!\d)(?<!\d\.)\d+(?:\.\d+){3,}", 4, "."),  # UIDs and network addresses
)

_OTHERS: Final = (
    # Dates that may mean two days, or lack the year or the day.
    _form(
        rf"{_NOT_IN_NUMBER}(?:{_DAY}(?P<s>[-/._]){_TWO}(?P=s)|{_TWO}(?P<t>[-/._]){_DAY}(?P=t))(?:{_YEAR}|\d\d){_END}", 4
    ),
    _form(rf"{_NOT_IN_NUMBER}\d\d(?P<s>[-/.])(?:0[1-9]|1[0-2])(?P=s)(?:0[1-9]|[12]\d|3[01]){_END}", 6),
    _form(rf"{_NOT_IN_NUMBER}{_DAY}\s(?:{_TWO}|{_ROMAN})\s{_YEAR}{_END}", 5),
    _form(rf"{_NOT_IN_NUMBER}{_DAY}(?P<s>[-/.]){_ROMAN}(?P=s)(?:{_YEAR}|\d\d){_END}", 3, "i", "v", "x"),
    _form(rf"{_BEFORE}{_ROMAN}[-/.]{_YEAR}{_END}", 4, "i", "v", "x"),
    _form(rf"{_NOT_IN_NUMBER}{_DAY}\.{_TWO}\.(?=\s|$|[,;)])", 2, "."),
    _form(rf"(?<!\d)(?:{_TWO}[-/.]{_YEAR}|{_YEAR}[-/.]{_TWO})(?!\d)", 5),
    _form(rf"{_BEFORE}(?<!\d\s){_MONTH}\.?[\s\-/'\u2019,._]*(?:{_YEAR}|'\d\d)(?!\d)", 2, *_MONTH_STARTS),
    _form(
        rf"(?<!\d){_DAY}(?:st|nd|rd|th|\.)?{_OF}[\s\-/._]*{_MONTH}(?:[\s\-/.,'\u2019_]*(?:\d{{4}}|\d\d))?{_BEHIND}",
        1,
        *_MONTH_STARTS,
    ),
    _form(rf"(?<!\d){_DAY}-(?:{'|'.join(_WORDS_TOO)})-\d\d{_BEHIND}", 3, *_WORDS_TOO),
    _form(rf"{_BEFORE}{_MONTH}\.?\s+{_DAY}(?:st|nd|rd|th)?(?![\d.]|[^\W_])", 1, *_MONTH_STARTS),
    _form(
        r"(?:令和|平成|昭和|大正|(?<![a-z\u00c0-\u024f])[RHS])\s?(?:\d{1,2}|元)\s?[年.]\s?\d{1,2}\s?[月.]\s?\d{1,2}\s?日?",
        2,
        *"年.",
    ),
    _form(
        r"\d{1,4}\s?[年년](?:\s?\d{1,2}\s?[月월])?(?:\s?\d{1,2}\s?[日일])?|\d{1,2}\s?[月월]\s?\d{1,2}\s?[日일]",
        1,
        *"年년月월",
    ),
    # Ages over 89 years, which tell the very old apart.
    _form(rf"{_NOT_IN_NUMBER}{_OLD}(?:[yj]{_BEHIND}|[\s-]?(?:{_YEARS_OLD}){_BEHIND})", 2),
    _form(rf"{_BEFORE}{_AGE_LABEL}\s?[:=]?\s?{_OLD}{_END}(?!\s?(?:d|m|t|w)[^\W_]*)", 2),
    # Times of the day.
    _form(
        rf"(?<=\d{{8}})T?\d{{4}}(?:\d\d)?(?:[.,]\d+)?{_ZONE}?(?!\d)|(?<=\d)T\d\d:?\d\d(?::?\d\d(?:[.,]\d+)?)?{_ZONE}?",
        5,
    ),
    _form(
        rf"(?<!\d)(?<!\d[:.])(?:[01]?\d|2[0-3]):[0-5]\d(?::[0-5]\d(?:[.,]\d+)?)?(?:\s?[ap]\.?m\.?(?![^\W_])|{_ZONE})?(?![\d:])",
        3,
        ":",
    ),
    _form(rf"(?<!\d)(?<!\d\.)(?:1[0-2]|0?\d)\s?[ap]\.?m\.{_BEHIND}", 1, "m."),
    _form(r"(?<!\d)(?<!\d\.)(?:[01]?\d|2[0-3])(?:[.:]?[0-5]\d)?\s?(?:uhr|時)(?:\s?[0-5]\d\s?分?)?", 1, "uhr", "時"),
    _form(rf"(?<!\w)(?<!\d\.)(?:[01]?\d|2[0-3])\s?h\s?[0-5]\d{_BEHIND}", 3, "h"),
    # Numbers that a word before them calls somebody's.
    _form(rf"{_BEFORE}{_PHONE_LABEL}\.?[\s_]*(?:(?:no\.?|nr\.?|#)[\s_]*)?(?:[:.][\s_]*)?\+?[\d(][\d\s()/.\-]*\d", 2),
    _form(rf"{_BEFORE}{_ID_LABEL}{_NUMBER_WORD}[\s:#.=_-]{{1,4}}(?=[\w/.-]*\d)[^\W_][\w-]*(?:[/.]\w+)*", 1),
    _form(rf"{_BEFORE}{_FAINT_ID_LABEL}{_NUMBER_WORD}[\s:#.=_-]{{1,4}}(?=[\w-]*\d\d\d)[^\W_][\w-]*", 3),
    _form(rf"{_BEFORE}{_BIRTH_LABEL}\.?(?:\s+(?:on|am|le|el))?\s*[:.]?\s*\d[\d./\s-]*", 1),
    _form(r"〒\s?\d{3}-?\d{4}", 7),
    # Telephone numbers; two equal ones are the sides of an image (512 512 256).
    _form(r"(?<!\w)(?<!\d\.)\+\d[\d\s()/.\-]{5,}\d", 7, "+"),
    _form(r"(?<!\w)(?<!\d\.)(?!\d{3} \d{3} \d\d00)\(?\d{3}\)?[\s.\-]\s?\d{3}[\s.\-]\d{4}(?!\d)", 10),
    _form(r"(?<!\w)(?<!\d\.)\d{2,3}-\d{2,4}-\d{2,4}(?:-\d{2,4})?(?!\d)", 6, "-"),
    _form(r"(?<![\w.-])(?:\(0?\d{1,4}\)|0\d{1,4})[\s/.\-]*\d{2,}(?:[\s/.\-]\d{2,})*(?!\d)", 4),
    _form(r"(?<!\w)(?<!\d\.)\d{2}(?:[\s.]\d{2}){4}(?!\d)", 10),
    _form(r"(?<!\w)(?<!\d\.)\d{3}-\d{4}(?!\d)", 7),
    _form(r"(?<!\w)(?<!\d\.)(?!\d\d0 \d\d0 \d\d0)(?!(\d{3})\s\1\s)[5-9]\d\d\s\d{3}\s\d{3}(?!\d)", 9),
    _form(r"(?<!\w)(?<!\d\.)(?!\d{3}0\s\d{3}0)(?!(\d{4})\s\1)[2-9]\d{3}\s\d{4}(?!\d)", 8),
    _form(r"(?<!\w)(?<!\d\.)(?!\d0 \d0 \d0 \d0)[2-9]\d(?:\s\d{2}){3}(?!\d)", 8),
    # Postal addresses.
    _form(rf"(?<!\w)(?<!\d\.)\d{{1,5}}[a-z]?,?\s+(?:{_NAME_WORD}\s+){{1,3}}{_STREET}{_BEHIND}\.?", 1, *_STREETS),
    _form(
        r"(?<![^\W\d_])[^\W\d_]*(?:straße|strasse|str\.|gasse|allee|[^\W\d_]{2}weg|[^\W\d_]{3}(?:platz|damm|ufer))"
        rf"\s*\d{{1,4}}\s?[a-z]?{_BEHIND}",
        1,
        *("str", "gasse", "allee", "weg", "platz", "damm", "ufer"),
    ),
    _form(
        rf"{_BEFORE}(?:\d{{1,4}}\s?(?:bis|ter)?,?\s+)?(?:rue|avenue|boulevard|bd|chemin|impasse|quai)\s+"
        rf"(?:(?:de|des|du|la|le|les|l['\u2019]|d['\u2019])\s*){{0,3}}{_NAME_WORD}",
        0,
        *("rue ", "avenue ", "boulevard ", "bd ", "chemin ", "impasse ", "quai "),
    ),
    _form(
        rf"{_BEFORE}(?:calle|avenida|avda|plaza|paseo|carrer|(?-i:c/\s?(?=[A-ZÁ-Ú][a-zà-ÿ]{{2}})))\.?\s*"
        rf"(?:(?:de|del|la|las|los|el)\s+){{0,3}}{_NAME_WORD}(?:,?\s*(?:n[º°.]\s*)?\d{{1,4}}(?![^\W_]))?",
        0,
        *("calle", "avenida", "avda", "plaza", "paseo", "carrer", "c/"),
    ),
    _form(rf"{_BEFORE}(?:p\.?\s?o\.?\s?box|postfach)\s*\d+", 1, "box", "postfach"),
    _form(r"[^\s\d]{1,6}[都道府県市区町村]\S{0,60}?\d{1,9}(?:-\d+)+|\d+丁目\S*", 1, *"都道府県市区町村丁"),
    _form(rf"{_BEFORE}[a-z]{{1,2}}-\d{{4,5}}(?!\d)", 4, "-"),
)


_DIGITS_OF_CLEAR_DATE: Final = 5
_ORDINAL: Final = re.compile(r"(?<=\d)(?:st|nd|rd|th)", re.IGNORECASE)


def _moved(match: re.Match[str], days: int, births: Collection[str]) -> str:
    """Return a clear date moved, in its own notation; nothing of one that is impossible, a dummy or of birth."""
    groups = match.groupdict()
    month = int(groups["m"]) if groups.get("m") else _MONTH_NUMBERS[groups["n"].lower()]
    here = f"{groups['y']}{month:02d}{int(groups['d']):02d}"
    there = shift_da(here, days)
    start = match.start()
    if there in ("", here) or here in births or _is_of_birth(match.string, start):
        return ""
    new = {"y": there[:4], "m": there[4:6], "d": there[6:]}
    text, origin = match[0], match.start()
    names = sorted((name for name in ("y", "m", "n", "d") if groups.get(name)), key=match.start, reverse=True)
    for name in names:
        start, end = match.start(name) - origin, match.end(name) - origin
        digits = _month_name(text[start:end], int(new["m"])) if name == "n" else new[name]
        text = text[:start] + digits + text[end:]
    return _ORDINAL.sub("", text)


def _is_of_birth(text: str, start: int) -> bool:
    return _compiled(_BORN).search(text, max(0, start - _BEFORE_BIRTH), start) is not None


def _month_name(old: str, month: int) -> str:
    """Return the English abbreviation of a month, in the case of the old word."""
    name = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")[month - 1]
    return name.upper() if old.isupper() else name.lower() if old.islower() else name


def pattern_edits(
    text: str, days: int | None, births: Collection[str] = (), gone: Iterable[tuple[int, int]] = ()
) -> list[Edit]:
    """Return what must go because of its form, from left to right, without overlaps.

    Args:
        text: Any text.
        days: What to add to dates whose day, month and year are clear; None removes them, too. A moved date stays in
            its notation (its month, if it is a word, becomes the English one). Dates of birth are not moved, they go.
        births: Those of the patient, YYYYMMDD.
        gone: Where stretches begin and end that go anyway.

    """
    digits, lower = sum(map(str.isdigit, text)), text.lower()
    edits = [Edit(start, end, "") for start, end in gone]
    taken = bytearray(len(text))
    for start, end, _ in edits:
        taken[start:end] = b"\1" * (end - start)

    def take(pattern: str, replacement: Callable[[re.Match[str]], str]) -> None:
        for match in _compiled(pattern).finditer(text):
            if not any(taken[match.start() : match.end()]):
                taken[match.start() : match.end()] = b"\1" * (match.end() - match.start())
                edits.append(Edit(match.start(), match.end(), replacement(match)))

    def take_all(forms: tuple[_Form, ...]) -> None:
        for form in forms:
            if digits >= form.digits and (not form.needles or any(needle in lower for needle in form.needles)):
                take(form.pattern, lambda _: "")

    take_all(_ADDRESSES)
    if digits >= _DIGITS_OF_CLEAR_DATE:
        for pattern in _CLEAR_DATES:
            take(pattern, lambda match: "" if days is None else _moved(match, days, births))
    take_all(_OTHERS)
    return sorted(edits)
