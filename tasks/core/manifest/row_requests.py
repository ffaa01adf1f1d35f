"""From the edit cells of a manifest row to its effective request: merged with the config's, filled, checked.

Most rows of a manifest fill the same cells. What follows from that alone (merging, order, lists, checks of the whole)
is worked out once per pattern of filled cells; per row only values are read, filled in and checked.

Public names: ``Defaults``, ``RequestBuilder``.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Final, NamedTuple

from deidflow.tasks.core.dicom.private_tags import split_outside_quotes
from deidflow.tasks.core.dicom.tags import PATIENT_ID, PATIENT_NAME, Path, TagSyntaxError, describe_tag, dictionary_vr
from deidflow.tasks.core.errors import BadText, Problem
from deidflow.tasks.core.manifest.columns import KEEP, OPERATION, REMOVE, Columns, EditColumn
from deidflow.tasks.core.manifest.spreadsheet_marks import damage
from deidflow.tasks.core.request.edits import Edits, merge, parse_path_list, parse_value
from deidflow.tasks.core.request.profile_choice import parse_offset
from deidflow.tasks.core.request.request import Operation, Request, Settings, request_faults
from deidflow.tasks.core.request.templates import Template, parse_template
from deidflow.tasks.core.request.value_checks import check_path, check_value

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from deidflow.tasks.core.request.edits import Value

_PATTERNS: Final = 4096
_CLEAR: Final = "yes"
_NUMBER_VRS: Final = frozenset({"DS", "FD", "FL", "OD", "OF"})
"""Whose values may be written with an exponent."""
_NAMES: Final = frozenset({0x00080050, PATIENT_NAME, PATIENT_ID, 0x00120040, 0x00120042, 0x00200010})
"""AccessionNumber, name and ID of the patient, a trial's IDs of subject and reading, StudyID: keys of tables."""


@dataclass(frozen=True, slots=True)
class Defaults:
    """What the config says for every row.

    Attributes:
        operation: For rows without their own.
        edits: The three lists; the values of Replace are templates.
        settings: The other options.
        has_profile: Whether a PS3.15 profile stands in the place of ``DicomVersion``.
        keeps: Identifiers that the profile's options leave as they are, unless options or rows name them.
        shift_column: The free column with the days to add to the dates of a row's patient, "" for none.

    """

    operation: Operation
    edits: Edits = field(default_factory=Edits)
    settings: Settings = field(default_factory=Settings)
    has_profile: bool = False
    keeps: tuple[Path, ...] = ()
    shift_column: str = ""

    def of(self, operation: Operation) -> Defaults:
        """Return what holds for rows of an operation: only anonymize has a profile.

        Keeping an identifier needs Force; that of the profile is given here, and what a user names is checked without.
        """
        named = set(self.edits.paths())
        keeps = tuple(path for path in self.keeps if path not in named)
        if operation is not Operation.ANONYMIZE or not keeps:
            return self
        edits = Edits(self.edits.replace, self.edits.remove, (*self.edits.keep, *keeps))
        return replace(self, edits=edits, settings=replace(self.settings, force=True))


class _Pattern(NamedTuple):
    """What rows with the same filled cells have in common.

    Attributes:
        values: The new values in order of their paths; a column's cell and a template with holes differ by row.
        remove: Normalised.
        keep: Normalised.
        problems: What is wrong with every row of this pattern.
        settings: Of its requests.
        request: The finished request when nothing differs from row to row and nothing is wrong.

    """

    values: tuple[tuple[Path, Value | EditColumn | Template], ...]
    remove: tuple[Path, ...]
    keep: tuple[Path, ...]
    problems: tuple[Problem, ...]
    settings: Settings
    request: Request | None


@dataclass(slots=True)
class _OwnEdits:
    """What a row names itself, beside the values of its Replace columns."""

    sources: dict[Path, Value | EditColumn | Template] = field(default_factory=dict)
    remove: tuple[Path, ...] = ()
    keep: tuple[Path, ...] = ()
    headers: dict[Path, str] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def name(self, path: Path, header: str) -> None:
        """Note which column names an element, and complain when it is not the first."""
        first = self.headers.setdefault(path, header)
        if first != header:
            self.problems.append(
                Problem(f"{path.describe()} is named by {first}, too; name it once in a row", column=header)
            )

    def read_list(self, cell: str, header: str) -> tuple[Path, ...]:
        """Read a cell of the column Remove or Keep."""
        paths: dict[Path, None] = {}
        for number, (text, parsed) in enumerate(parse_path_list(split_outside_quotes(cell, ";")), 1):
            if not text.strip():
                continue
            problem = str(parsed) if isinstance(parsed, TagSyntaxError) else check_path(parsed)
            if problem:
                self.problems.append(Problem(f"entry {number}: {problem}", column=header))
            elif isinstance(parsed, Path):
                if parsed in paths:
                    twice = f"entry {number}: {parsed.describe()} appears twice; name it once"
                    self.problems.append(Problem(twice, column=header))
                self.name(parsed, header)
                paths[parsed] = None
        return tuple(paths)


class RequestBuilder:
    """Builds the requests of all rows of one manifest; rows with the same constant edits share one object.

    Attributes:
        template_columns: The free columns that templates need, each with the elements that need it.

    """

    def __init__(self, defaults: Defaults, columns: Columns) -> None:
        """Compile the config's templates.

        Args:
            defaults: The config's part; its templates were found sound when it was read.
            columns: The manifest's.

        """
        self._defaults = defaults
        self._columns = columns
        self._templates: dict[Path, Template | Value] = {}
        self.template_columns: dict[str, list[str]] = {}
        for path, value in defaults.edits.replace.items():
            template = parse_template(value)
            self._templates[path] = template if template.columns else template.fill({})
            for column in template.columns:
                self.template_columns.setdefault(column, []).append(path.describe())
        self._free = tuple((name, index) for index, name in columns.free if name in self.template_columns)
        self._shift_index = next((index for index, name in columns.free if name == defaults.shift_column), -1)
        self._replace_indexes = tuple(column.index for column in columns.replace)
        list_columns = (*(column.index for column in columns.clear), columns.remove, columns.keep)
        self._list_indexes = tuple(index for index in list_columns if index >= 0)
        self._pattern: Callable[[Operation, tuple[bool, ...], tuple[str, ...]], _Pattern] = lru_cache(_PATTERNS)(
            self._make_pattern
        )

    def build(self, operation: Operation, cells: Sequence[str]) -> tuple[Request | None, Sequence[Problem]]:
        """Return the request of a row, or everything that is wrong with its edit cells.

        Args:
            operation: The row's own or the default.
            cells: All cells of the row.

        """
        used = tuple([bool(cells[index]) for index in self._replace_indexes])
        lists = tuple([cells[index] for index in self._list_indexes])
        pattern = self._pattern(operation, used, lists)
        shifts = self._shift_index >= 0 and operation is Operation.ANONYMIZE
        if pattern.request is not None and not shifts:
            return pattern.request, ()
        problems = list(pattern.problems)
        shift_days = self._read_shift(cells[self._shift_index], problems) if shifts else None
        replace: dict[Path, Value] = {}
        free = {name: cells[index] for name, index in self._free}
        for path, source in pattern.values:
            if isinstance(source, EditColumn):
                value = _read_cell(source, cells[source.index], problems)
            elif isinstance(source, Template):
                value = _fill(path, source, free, problems)
            else:
                value = source
            replace[path] = value
        if problems:
            return None, tuple(dict.fromkeys(problems))
        edits = Edits(replace, pattern.remove, pattern.keep)
        return Request(operation, edits, pattern.settings, shift_days), ()

    def _read_shift(self, cell: str, problems: list[Problem]) -> int | None:
        if text := damage(cell):
            problems.append(Problem(text, column=self._defaults.shift_column))
            return None
        try:
            return parse_offset(cell)
        except BadText as error:
            problems.append(Problem(str(error), column=self._defaults.shift_column))
            return None

    def _make_pattern(self, operation: Operation, used: tuple[bool, ...], lists: tuple[str, ...]) -> _Pattern:
        own = self._read_own(used, lists)
        # The merge looks at paths only, so stand-ins serve for values that differ from row to row.
        defaults, of_row = self._defaults.of(operation), Edits(dict.fromkeys(own.sources, ""), own.remove, own.keep)
        named = merge(self._defaults.edits, of_row).normalized()
        edits = merge(defaults.edits, of_row).normalized()
        sources = self._templates | own.sources
        values = tuple((path, sources[path]) for path in edits.replace)
        problems = (*own.problems, *self._check_whole(operation, values, named, own.headers))
        constants = {path: source for path, source in values if not isinstance(source, EditColumn | Template)}
        request = None
        if not problems and len(constants) == len(values):
            request = Request(operation, Edits(constants, edits.remove, edits.keep), defaults.settings)
        return _Pattern(values, edits.remove, edits.keep, problems, defaults.settings, request)

    def _read_own(self, used: tuple[bool, ...], lists: tuple[str, ...]) -> _OwnEdits:
        """Read what the row itself names: which of the Replace columns are filled, and the cells of the other ones."""
        columns = self._columns
        own = _OwnEdits()
        for column, is_used in zip(columns.replace, used, strict=True):
            if is_used:
                own.name(column.path, column.header)
                own.sources[column.path] = column
        texts = dict(zip(self._list_indexes, lists, strict=True))
        for column in columns.clear:
            if texts[column.index] == _CLEAR:
                own.name(column.path, column.header)
                own.sources[column.path] = () if dictionary_vr(column.path.tag) == "SQ" else ""
            elif texts[column.index]:
                text = f"write {_CLEAR} to empty the element, or leave the cell empty"
                own.problems.append(Problem(text, column=column.header))
        own.remove = own.read_list(texts.get(columns.remove, ""), REMOVE)
        own.keep = own.read_list(texts.get(columns.keep, ""), KEEP)
        return own

    def _check_whole(
        self,
        operation: Operation,
        values: tuple[tuple[Path, Value | EditColumn | Template], ...],
        edits: Edits,
        headers: dict[Path, str],
    ) -> Iterator[Problem]:
        """Find what is wrong with the request as a whole; cells and templates, never empty, are checked row by row."""
        settings = self._defaults.settings
        stand_ins = {path: "*" if isinstance(value, EditColumn | Template) else value for path, value in values}
        request = Request(operation, Edits(stand_ins, edits.remove, edits.keep), settings)
        for fault in request_faults(request):
            yield Problem(fault.text, column=headers.get(fault.path, "") if fault.path else "")
        if operation is Operation.ANONYMIZE and not (settings.dicom_version or self._defaults.has_profile):
            yield Problem("anonymize needs profile or options.DicomVersion in the config", column=OPERATION)


def _read_cell(column: EditColumn, cell: str, problems: list[Problem]) -> Value:
    """Return the value of a ``Replace.`` cell that is not empty."""
    tag = column.path.tag
    value: Value = cell
    if text := damage(cell, is_number=dictionary_vr(tag) in _NUMBER_VRS, is_name=tag in _NAMES):
        problems.append(Problem(text, column=column.header))
        return ""
    if dictionary_vr(tag) == "SQ":
        try:
            value = parse_value(tag, _parse_json(cell))
        except BadText as error:
            problems.append(replace(error.problem, column=column.header))
            return ""
    problem = check_value(tag, value)
    if problem:
        problems.append(Problem(problem, column=column.header))
    return value


def _parse_json(cell: str) -> object:
    """Read the JSON of a sequence.

    Raises:
        BadText: It is none, or names a tag twice; the message does not repeat it.

    """

    def unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
        members = dict(pairs)
        if len(members) < len(pairs):
            raise BadText("a tag appears twice in one item")
        return members

    try:
        return json.loads(cell, object_pairs_hook=unique)
    except BadText:
        raise
    except (ValueError, RecursionError):
        text = 'must be JSON; a sequence is a list of items: [{"CodeValue": "T-04000", "CodeMeaning": "Breast"}]'
        raise BadText(text) from None


def _fill(path: Path, template: Template, free: dict[str, str], problems: list[Problem]) -> Value:
    is_number = dictionary_vr(path.tag) in _NUMBER_VRS
    is_name = path.tag in _NAMES
    cells = [(column, free.get(column, "")) for column in template.columns]
    damaged = [(column, damage(cell, is_number=is_number, is_name=is_name)) for column, cell in cells]
    if any(text for _, text in damaged):
        problems += [Problem(text, column=column) for column, text in damaged if text]
        return ""
    try:
        value = template.fill(free)
    except BadText as error:
        problems.append(error.problem)
        return ""
    problem = check_value(path.tag, value)
    if problem:
        problems.append(Problem(f"filled into {describe_tag(path.tag)}: {problem}", column=template.columns[0]))
    return value
