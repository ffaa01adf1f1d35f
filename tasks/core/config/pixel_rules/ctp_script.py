"""Scripts of RSNA CTP's DicomPixelAnonymizer, read as rules.

A script is a row of signatures in braces, each with its regions in parentheses behind it; other text is comment. A
signature is made of terms such as ``Modality.equals("US")`` or ``[0028,0010].isLessThan("600")``, joined by ``+`` (or),
``*`` (and, binds closer) and ``!`` (not); a region is ``(left,top,width,height)``. An attribute that is absent counts
as empty text, several values as one text with backslashes; the first signature that holds decides (CTP's manual, pages
"The CTP DICOM Pixel Anonymizer" and "The CTP DICOM Filter", 2021).

Public names: ``read_ctp_script``.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from typing import TYPE_CHECKING, Final, NamedTuple

from deidflow.tasks.core.dicom.tags import TagSyntaxError, parse_tag
from deidflow.tasks.core.errors import BadText, InvalidInput, Problem
from deidflow.tasks.core.pixels.conditions import All, AnyOf, Not, Test
from deidflow.tasks.core.pixels.decision import PixelRule
from deidflow.tasks.core.pixels.regions import Region

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from deidflow.tasks.core.pixels.conditions import Condition

_MAX_DEPTH: Final = 50
_MAX_PIXELS: Final = 65535
_REGION: Final = re.compile(r"\s*(\d{1,5})\s*,\s*(\d{1,5})\s*,\s*(\d{1,5})\s*,\s*(\d{1,5})\s*")
_TOKEN: Final = re.compile(
    r"(?P<blank>\s+|//[^\n]*)|(?P<word>(?:true|false)\.(?!\w))|(?P<mark>[()+*!])"
    r"|(?P<name>\[[0-9a-fA-F]{4},[0-9a-fA-F]{4}\]|[A-Za-z]\w*)\s*\.\s*(?P<method>\w+)\s*"
    r'\(\s*"(?P<text>(?:[^"\\\n]|\\.)*)"\s*\)'
)
_METHODS: Final = (
    *("equals", "matches", "contains", "startsWith", "endsWith", "isLessThan", "isGreaterThan"),
    *("equalsIgnoreCase", "containsIgnoreCase", "startsWithIgnoreCase", "endsWithIgnoreCase"),
)
_IGNORE_CASE: Final = "IgnoreCase"
_ESCAPED_QUOTE: Final = '\\"'
_NO_NUMBER: Final = re.compile(r"[^0-9.]")
_TERM: Final = 'must be terms such as Modality.equals("US") or [0028,0010].contains("512"), joined by *, + and !'
_NESTED_NAME: Final = re.compile(r"(\[[0-9a-fA-F,]+\]|\w+)\s*::")
_NESTED: Final = "must not ask for an attribute inside a sequence (::); only those of the top level are looked at"


class _Token(NamedTuple):
    kind: str
    text: str
    line: int
    condition: Condition | None = None


def read_ctp_script(text: str, name: str) -> list[PixelRule]:
    """Read a script.

    Args:
        text: Its content.
        name: As the user gave it, for problems and for the names of rules.

    Raises:
        InvalidInput: With every problem, by line.

    """
    rules: list[PixelRule] = []
    problems: list[Problem] = []
    line_at = _lines(text, 1)
    for start, signature, end, following in _sections(text, name):
        line = line_at(start)
        try:
            when = _Signature(signature, line).condition()
            regions = tuple(_regions(following, line_at(end)))
        except BadText as error:
            problems.append(Problem(error.problem.text, name, error.problem.line or line))
            continue
        if not regions:
            good = "must have a region behind it, as in (0,0,512,110); a YAML rule file says what is clean"
            problems.append(Problem(f"the signature {good}", name, line))
        rules.append(PixelRule(f"{name}, line {line}", when, regions))
    if not rules and not problems:
        problems.append(Problem("must hold signatures in braces, each with regions in parentheses behind it", name))
    if problems:
        raise InvalidInput(problems)
    return rules


def _lines(text: str, first: int) -> Callable[[int], int]:
    """Return what tells the line of a position; counted from the beginning for each, a long text would take minutes."""
    ends = [end.start() for end in re.finditer("\n", text)]
    return lambda position: first + bisect_left(ends, position)


def _sections(text: str, name: str) -> Iterator[tuple[int, str, int, str]]:
    """Yield each signature with the text behind it: where they start, and what they are."""
    start = 0
    while (opened := text.find("{", start)) >= 0:
        closed = _closing(text, opened)
        following = text.find("{", closed) if closed >= 0 else -1
        stray = text.find("}", start, opened)
        if closed < 0 or stray >= 0:
            raise InvalidInput([Problem("every { must have its }", name, _lines(text, 1)(max(stray, opened)))])
        behind = text[closed + 1 : following if following >= 0 else len(text)]
        yield opened, text[opened + 1 : closed], closed + 1, behind
        start = closed + 1
    if "}" in text[start:]:
        raise InvalidInput([Problem("every } must have its {", name, _lines(text, 1)(text.index("}", start)))])


def _closing(text: str, opened: int) -> int:
    """Return where the brace of a signature is closed; -1 if nowhere, or if another is opened first.

    Braces in quotes do not count.
    """
    quoted = False
    for position in range(opened + 1, len(text)):
        if text[position] == '"' and text[position - 1] != "\\":
            quoted = not quoted
        elif text[position] == "\n":
            quoted = False
        elif text[position] in "{}" and not quoted:
            return position if text[position] == "}" else -1
    return -1


def _regions(text: str, first_line: int) -> Iterator[Region]:
    """Yield the regions behind a signature.

    Raises:
        BadText: A parenthesis holds none, or is not closed.

    """
    good = "a region must be (left,top,width,height) in whole pixels, as in (0,0,512,110)"
    position, line_at = 0, _lines(text, first_line)
    while (opened := text.find("(", position)) >= 0:
        line = line_at(opened)
        closed = text.find(")", opened)
        found = _REGION.fullmatch(text, opened + 1, closed) if closed >= 0 else None
        if found is None:
            raise BadText(good, line=line)
        x, y, width, height = map(int, found.groups())
        if not width or not height or max(x, y, width, height) > _MAX_PIXELS:
            raise BadText(good, line=line)
        yield Region(x, y, width, height)
        position = closed + 1
    if ")" in text[position:]:
        raise BadText(good, line=line_at(text.index(")", position)))


class _Signature:
    """Parser of one signature, by recursive descent: or, and, not, parentheses, terms."""

    def __init__(self, text: str, line: int) -> None:
        self._tokens = list(_tokens(text, line))
        self._place = 0
        self._last_line = line + text.count("\n")

    def condition(self) -> Condition:
        """Return what it says.

        Raises:
            BadText: It cannot be understood; with the line.

        """
        condition = self._either(0)
        if self._place < len(self._tokens):
            raise BadText(_TERM, line=self._tokens[self._place].line)
        return condition

    def _either(self, depth: int) -> Condition:
        parts = [self._both(depth)]
        while self._take("+"):
            parts.append(self._both(depth))
        return parts[0] if len(parts) == 1 else AnyOf(tuple(parts))

    def _both(self, depth: int) -> Condition:
        parts = [self._factor(depth)]
        while self._take("*"):
            parts.append(self._factor(depth))
        return parts[0] if len(parts) == 1 else All(tuple(parts))

    def _factor(self, depth: int) -> Condition:
        token = self._tokens[self._place] if self._place < len(self._tokens) else _Token("end", "", self._last_line)
        if depth > _MAX_DEPTH:
            raise BadText(f"must not nest parentheses and ! more than {_MAX_DEPTH} deep", line=token.line)
        if self._take("!"):
            return Not(self._factor(depth + 1))
        if self._take("("):
            inner = self._either(depth + 1)
            if not self._take(")"):
                raise BadText("every ( must have its )", line=token.line)
            return inner
        if token.condition is None:
            raise BadText(_TERM, line=token.line)
        self._place += 1
        return token.condition

    def _take(self, mark: str) -> bool:
        is_next = self._place < len(self._tokens) and self._tokens[self._place].text == mark
        self._place += is_next
        return is_next


def _tokens(text: str, first_line: int) -> Iterator[_Token]:
    position, line_at = 0, _lines(text, first_line)
    while position < len(text):
        line = line_at(position)
        found = _TOKEN.match(text, position)
        if found is None:
            raise BadText(_NESTED if _NESTED_NAME.match(text, position) else _TERM, line=line)
        position = found.end()
        if found["word"]:
            yield _Token("word", "", line, All(()) if found["word"] == "true." else AnyOf(()))
        elif found["mark"]:
            yield _Token("mark", found["mark"], line)
        elif found["name"]:
            yield _Token("term", "", line, _term(found["name"], found["method"], found["text"], line))


def _term(name: str, method: str, text: str, line: int) -> Condition:
    try:
        tag = parse_tag(name.strip("[]"))
    except TagSyntaxError:
        raise BadText("an attribute must be a keyword of DICOM, or [gggg,eeee]", line=line) from None
    if method not in _METHODS:
        raise BadText(f"a method must be one of {', '.join(_METHODS)}", line=line)
    value = text.replace(_ESCAPED_QUOTE, '"')
    if method in ("isLessThan", "isGreaterThan"):
        return _comparison(tag, method, value, line)
    pattern = _pattern(method.removesuffix(_IGNORE_CASE), value, line)
    flags = re.DOTALL | (re.IGNORECASE if method.endswith(_IGNORE_CASE) else 0)
    try:
        test = Test(tag, (re.compile(pattern, flags),), whole=True)
    except (re.error, OverflowError, RecursionError):
        raise BadText('the text of matches must be a regular expression, as in "HDI.*"', line=line) from None
    return test


def _pattern(method: str, value: str, line: int) -> str:
    escaped = re.escape(value)
    if method == "matches" and not value:
        raise BadText("the text of matches must not be empty", line=line)
    forms = {"equals": escaped, "contains": f".*{escaped}.*", "startsWith": f"{escaped}.*", "endsWith": f".*{escaped}"}
    return forms.get(method, value)


def _comparison(tag: int, method: str, value: str, line: int) -> Condition:
    try:
        bound = float(_NO_NUMBER.sub("", value))
    except ValueError:
        raise BadText(f'the text of {method} must be a number, as in "512"', line=line) from None
    test = Test(tag, least=bound) if method == "isLessThan" else Test(tag, most=bound)
    return All((Test(tag, least=float("-inf")), Not(test)))
