"""Records that travel between processes by the thousand, pickled in half the time that named tuples take.

Python asks each named tuple by itself what it is made from. Those that are registered with ``copyreg`` it takes for a
call of their class with their fields.

Public names: ``quickly_pickled``.
"""

from __future__ import annotations

import copyreg
from typing import Any, TypeVar

_Record = TypeVar("_Record", bound=type[tuple[Any, ...]])


def quickly_pickled(record: _Record) -> _Record:
    """Have all objects of a class of named tuples pickled as calls of it; for use as a decorator.

    >>> import pickle
    >>> from deidflow.tasks.core.dicom.identifiers import DicomIdentifiers
    >>> pickle.loads(pickle.dumps(DicomIdentifiers("P", "1", "2", "3"))).series_instance_uid
    '2'
    """
    copyreg.pickle(record, _as_call)
    return record


def _as_call(record: tuple[Any, ...]) -> tuple[type[tuple[Any, ...]], tuple[Any, ...]]:
    return record.__class__, tuple(record)
