"""Names and IDs that hardening does not reach: deeper than the first level of the sequences that a profile keeps.

Two levels of paths would be some ten thousand entries of Remove, each of which costs every instance its time. So where
results are not read back in full, the server is asked for the elements of each study of results (``GET
/studies/{id}/instances-tags``, all versions): one request, in which pixel data is left out.

Public names: ``results_with_names``.
"""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Final

from deidflow.tasks.core.dicom.tags import PATIENT_ID, PATIENT_NAME, Path, format_tag
from deidflow.tasks.orthanc.connection.answers import mapping
from deidflow.tasks.orthanc.connection.client import MAX_CONNECTIONS
from deidflow.tasks.orthanc.connection.errors import NotFound

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from deidflow.tasks.core.request.request import Request
    from deidflow.tasks.orthanc.connection.client import OrthancClient
    from deidflow.tasks.orthanc.resources.results import Result

_WHAT: Final = "elements"
_KEYWORDS: Final = {PATIENT_NAME: "PatientName", PATIENT_ID: "PatientID"}
_AT_A_TIME: Final = MAX_CONNECTIONS // 4
_MAX_AT_ONCE: Final = 500
"""Instances whose elements come in one answer: some 10 MB."""


def results_with_names(client: OrthancClient, results: Mapping[str, Result], request: Request) -> dict[str, str]:
    """Find results of an anonymization in which the patient's original name or ID stands inside a sequence.

    Args:
        client: The server.
        results: By the original's Orthanc identifier.
        request: What they were made by; what it keeps or gives by itself is not looked for.

    Returns:
        The keyword of what is left, by the original's identifier.

    Raises:
        DeidflowError: See ``deidflow.tasks.orthanc.connection.errors``.

    """
    kept = {path.tag for path in request.edits.keep}
    wanted = {format_tag(tag): tag for tag in _KEYWORDS if tag not in kept}
    if not wanted:
        return {}
    original_of = {result.orthanc_ids[-1]: original for original, result in results.items()}
    counts = Counter(result.orthanc_ids[1] for result in results.values())
    paths = [f"studies/{study}/instances-tags" for study, count in counts.items() if count <= _MAX_AT_ONCE]
    paths += [
        f"instances/{result.orthanc_ids[-1]}/tags"
        for result in results.values()
        if counts[result.orthanc_ids[1]] > _MAX_AT_ONCE
    ]
    left: dict[str, str] = {}
    with ThreadPoolExecutor(_AT_A_TIME) as pool:
        for path, answer in zip(paths, pool.map(lambda path: _elements(client, path), paths), strict=True):
            for name, elements in (answer if path.startswith("studies") else {path.split("/")[1]: answer}).items():
                nested = set(_nested(elements, wanted.keys()))
                if nested and name in original_of:
                    source = _elements(client, f"instances/{original_of[name]}/tags")
                    for tag, value in sorted(nested):
                        if value == _text(source.get(tag)) != _given(request, wanted[tag]):
                            left[original_of[name]] = _KEYWORDS[wanted[tag]]
    return left


def _given(request: Request, tag: int) -> str:
    return _text(request.edits.replace.get(Path((), tag)))


def _elements(client: OrthancClient, path: str) -> dict[str, Any]:
    try:
        return mapping(client.get(path, short=""), _WHAT)
    except NotFound:
        return {}


def _nested(elements: object, wanted: Collection[str]) -> Iterator[tuple[str, str]]:
    """Yield tag and value of each wanted element inside a sequence."""
    waiting: list[tuple[object, bool]] = [(elements, True)]
    while waiting:
        current, top = waiting.pop()
        if not isinstance(current, dict):
            continue
        for tag, value in current.items():
            if isinstance(value, list):
                waiting += [(item, False) for item in value]
            elif not top and tag in wanted and _text(value):
                yield tag, _text(value)


def _text(value: object) -> str:
    return value.replace("\0", "").strip() if isinstance(value, str) else ""
