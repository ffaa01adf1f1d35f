"""Exceptions that may be shown, logged and stored anywhere: no text, cause or context that could hold patient data.

Public names: ``safely``, ``frames``, ``UnexpectedError``.
"""

from __future__ import annotations

import functools
import traceback
from typing import TYPE_CHECKING, ParamSpec, TypeVar

from deidflow.tasks.core.errors import DeidflowError

if TYPE_CHECKING:
    from collections.abc import Callable

_P = ParamSpec("_P")
_R = TypeVar("_R")


class UnexpectedError(DeidflowError):
    """A bug in deidflow: the type of the exception and where it was raised, without its text."""


def frames(error: BaseException) -> str:
    """Return where an exception came from, line by line, and what it was raised from, without texts and values."""
    told = ""
    one: BaseException | None = error
    while one is not None:
        told += "".join(traceback.format_tb(one.__traceback__)) + f"{type(one).__qualname__}\n"
        one = one.__cause__
        told += "which was raised from:\n" if one is not None else ""
    return told.rstrip()


def safely(function: Callable[_P, _R]) -> Callable[_P, _R]:
    """Wrap a function so that only exceptions with safe texts leave it.

    Ours pass without the exceptions they were raised in; others become ``UnexpectedError``.
    """

    @functools.wraps(function)
    def wrapped(*args: _P.args, **kwargs: _P.kwargs) -> _R:
        failure: DeidflowError
        try:
            return function(*args, **kwargs)
        except DeidflowError as error:
            failure = error
        except Exception as error:  # noqa: BLE001 (whatever it is, its text is not known to be safe)
            origin = traceback.extract_tb(error.__traceback__)[-1]
            place = f"{origin.filename.rpartition('/')[2]}, line {origin.lineno}"
            failure = UnexpectedError(f"{type(error).__name__} in {place}; please report it")
        # Whoever keeps the error keeps its frames, and what these hold: a read of the ledger that was broken off would
        # keep all other threads from it for ever.
        traceback.clear_frames(failure.__traceback__)
        # Raised outside the handlers, so that no other exception hangs on as its context.
        failure.__cause__ = failure.__context__ = None
        raise failure

    return wrapped
