"""The config's ``options``: the bulk routes' arguments, with templates in ``Replace``.

Public names: ``ReadOptions``, ``read_options``, ``OPTION_KEYS``.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple

from deidflow.tasks.core.dicom.tags import Path, TagSyntaxError, parse_path
from deidflow.tasks.core.errors import BadText, Problem
from deidflow.tasks.core.request.request import (
    EDIT_KEYS,
    NOT_OURS,
    SETTING_KEYS,
    Operation,
    Request,
    Settings,
    parse_edits,
    parse_settings,
    request_faults,
)
from deidflow.tasks.core.request.templates import parse_template
from deidflow.tasks.core.request.value_checks import check_path, check_value

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Any

    from deidflow.tasks.core.request.edits import Edits

OPTION_KEYS: Final = (*EDIT_KEYS, *SETTING_KEYS)
_PREFIX: Final = "options."
_UID: Final = re.compile(r"(?=.{1,64}$)[0-2](\.(0|[1-9][0-9]*))+")


class ReadOptions(NamedTuple):
    """What the options say.

    Attributes:
        edits: The lists as they stand there: not normalised, values unfilled.
        settings: The other arguments.
        problems: Each under its key (``options.Replace.PatientID``) as the config spells it.

    """

    edits: Edits
    settings: Settings
    problems: list[Problem]


def read_options(raw: Mapping[str, Any]) -> ReadOptions:
    """Read and check the options.

    Args:
        raw: As in the config; the strings of ``Replace`` are templates.

    """
    body, problems = _without_odd_names(raw)
    edits, edit_problems = parse_edits(body, _PREFIX)
    settings, setting_problems = parse_settings(body, _PREFIX)
    problems += [Problem(problem.text, key=problem.column) for problem in (*edit_problems, *setting_problems)]
    spelled = _spellings(body)
    problems += [Problem(text, key=key) for key, text in _check_edits(edits, spelled)]
    if settings.transcode and not _UID.fullmatch(settings.transcode):
        problems.append(
            Problem("must be the UID of a transfer syntax, as in 1.2.840.10008.1.2.1", key=f"{_PREFIX}Transcode")
        )
    # Which operation does not matter here: what is refused is the same for both.
    for fault in request_faults(Request(Operation.ANONYMIZE, edits.normalized(), settings)):
        name = spelled.get((fault.member, fault.path)) if fault.path else None
        problems.append(
            Problem(fault.text, key=f"{_PREFIX}{fault.member}.{name}" if name else f"{_PREFIX}{fault.where}")
        )
    return ReadOptions(edits, settings, problems)


def _without_odd_names(raw: Mapping[str, Any]) -> tuple[dict[str, Any], list[Problem]]:
    """Return the options without members that are unknown or whose names YAML took for something else than text."""
    problems = []
    body = {}
    for key, value in raw.items():
        if key in OPTION_KEYS:
            body[key] = value
        else:
            text = NOT_OURS.get(key, f"unknown key; the keys here are {', '.join(OPTION_KEYS)}")
            problems.append(Problem(text, key=f"{_PREFIX}{key}"))
    replace = body.get("Replace")
    if isinstance(replace, dict):
        for name in replace:
            if not isinstance(name, str):
                text = 'write the tag in quotes, as in "0010,0020"; without them YAML reads something else'
                problems.append(Problem(text, key=f"{_PREFIX}Replace.{name}"))
        body["Replace"] = {name: value for name, value in replace.items() if isinstance(name, str)}
    return body, problems


def _spellings(body: Mapping[str, Any]) -> dict[tuple[str, Path], str]:
    """Return how the config spells each tag or path of the three lists."""
    spelled: dict[tuple[str, Path], str] = {}
    for member in EDIT_KEYS:
        names = body.get(member)
        for name in names if isinstance(names, list | dict) else ():
            try:
                spelled.setdefault((member, parse_path(str(name))), str(name))
            except TagSyntaxError:
                continue
    return spelled


def _check_edits(edits: Edits, spelled: Mapping[tuple[str, Path], str]) -> Iterator[tuple[str, str]]:
    """Yield key and text of what is wrong with single entries; values with holes are checked row by row."""
    for (member, path), name in spelled.items():
        problem = check_path(path)
        if problem:
            yield f"{_PREFIX}{member}.{name}", problem
    for path, value in edits.replace.items():
        key = f"{_PREFIX}Replace.{spelled['Replace', path]}"
        try:
            template = parse_template(value)
        except BadText as error:
            yield key, str(error)
            continue
        problem = None if template.columns else check_value(path.tag, template.fill({}))
        if problem:
            yield key, problem
