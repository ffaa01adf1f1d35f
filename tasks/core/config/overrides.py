"""``--set KEY=VALUE``: one key of the config by its dotted path.

Public names: ``apply_override``.
"""

from __future__ import annotations

from typing import Any, Final

from deidflow.tasks.core.config.yaml import read_yaml_value
from deidflow.tasks.core.dicom.private_tags import split_outside_quotes
from deidflow.tasks.core.dicom.tags import TagSyntaxError, parse_path
from deidflow.tasks.core.errors import BadText

_REPLACE: Final = "options.Replace."


def apply_override(data: dict[str, Any], text: str) -> str:
    """Change the config as ``--set`` says; whether the key exists is checked with the whole.

    Args:
        data: The config, changed in place.
        text: ``execution.chunk_size=50``; what follows ``options.Replace.`` is one tag or path, with all its dots.

    Returns:
        The dotted key.

    Raises:
        BadText: There is no ``=``, or the value is no YAML; the message does not repeat the value.

    """
    key, *values = split_outside_quotes(text, "=") if text.startswith(_REPLACE) else text.split("=", 1)
    separator, value = bool(values), text[len(key) + 1 :]
    key = key.strip()
    if not separator or not key:
        raise BadText("must be written --set KEY=VALUE, as in --set execution.chunk_size=50")
    if key.startswith(_REPLACE):
        tag = key.removeprefix(_REPLACE)
        groups, name = ["options", "Replace"], tag
    else:
        *groups, name = key.split(".")
    group = data
    for step in groups:
        if not isinstance(group.get(step), dict):
            group[step] = {}
        group = group[step]
    if key.startswith(_REPLACE):
        _drop_other_spellings(group, name)
    group[name] = read_yaml_value(value)
    return key


def _drop_other_spellings(replace: dict[Any, Any], name: str) -> None:
    """Take out what names the same element, so that ``PatientID`` overrides ``0010,0020``."""
    try:
        path = parse_path(name)
    except TagSyntaxError:
        return
    for other in [other for other in replace if isinstance(other, str)]:
        try:
            if parse_path(other) == path:
                del replace[other]
        except TagSyntaxError:
            continue
