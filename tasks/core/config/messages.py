"""What pydantic finds wrong with a config, in plain words.

Public names: ``describe``.
"""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Any, Final, get_args

from pydantic import BaseModel

from deidflow.tasks.core.config.config import Config
from deidflow.tasks.core.errors import Problem

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pydantic import ValidationError
    from pydantic_core import ErrorDetails

_TEXTS: Final = {
    "missing": "must be given",
    "bool_type": "must be true or false",
    "int_type": "must be a whole number",
    "int_from_float": "must be a whole number",
    "float_type": "must be a number",
    "finite_number": "must be a number",
    "string_type": "must be text; put it in quotes",
    "path_type": "must be a path; put it in quotes",
    "dict_type": "must be a group of keys",
    "list_type": "must be a list",
    "model_type": "must be a group of keys",
    "invalid_key": "must be text, as every key",
    "greater_than_equal": "must be at least {ge}",
    "greater_than": "must be more than {gt}",
    "less_than_equal": "must be at most {le}",
    "enum": "must be one of {expected}",
    "literal_error": "must be one of {expected}",
}


def describe(error: ValidationError) -> list[Problem]:
    """Return the problems of a config by key; no value is repeated."""
    return [
        Problem(_text(details), key=".".join(str(step) for step in details["loc"]))
        for details in error.errors(include_url=False, include_input=False)
    ]


def _text(details: ErrorDetails) -> str:
    context = details.get("ctx", {})
    if details["type"] == "extra_forbidden":
        return _unknown(details["loc"])
    if details["type"] == "value_error":
        return str(context["error"])
    text = _TEXTS.get(details["type"])
    if text is None:
        return "must be what configs/README.md says of this key"
    return text.format_map({key: str(value).replace("'", "") for key, value in context.items()})


def _unknown(location: Sequence[int | str]) -> str:
    group: Any = Config
    for step in location[:-1]:
        annotation = group.model_fields[str(step)].annotation
        group = next(kind for kind in (annotation, *get_args(annotation)) if _is_group(kind))
    known = list(group.model_fields)
    close = difflib.get_close_matches(str(location[-1]), known, 1)
    return f"unknown key; {f'did you mean {close[0]}? The' if close else 'the'} keys here are {', '.join(known)}"


def _is_group(kind: object) -> bool:
    return isinstance(kind, type) and issubclass(kind, BaseModel)
