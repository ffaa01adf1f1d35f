"""How often a command calls some functions of its own: counted in the forked command, see ``tests.zygote``.

Public names: ``COUNTED``, ``OUTPUT_VARIABLE``, ``count_calls``.
"""

from __future__ import annotations

import atexit
import collections
import functools
import inspect
import json
import sys
from typing import TYPE_CHECKING, Any, Final

from deidflow.tasks.core.config.config import Config
from deidflow.tasks.core.ledger.ledger import Ledger
from deidflow.tasks.core.pseudonyms.pseudonyms import Key
from deidflow.tasks.core.request import request

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

OUTPUT_VARIABLE: Final = "TEST_DEIDFLOW_CALLS"
"""Environment variable: the file that the counts are written to when the command ends."""

_FUNCTIONS: Final = (request.parse_edits, request.parse_request)
_METHODS: Final[tuple[tuple[type, str], ...]] = ((Key, "parse"), (Ledger, "open"), (Config, "from_json"))
COUNTED: Final = (*(one.__name__ for one in _FUNCTIONS), *(f"{owner.__name__}.{name}" for owner, name in _METHODS))
"""What is counted."""


def count_calls(path: Path) -> None:
    """Count from now on, under whatever name a module has imported a function; write the counts when Python ends."""
    counts = collections.Counter(dict.fromkeys(COUNTED, 0))

    def counting(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def counted(*arguments: Any, **named: Any) -> Any:
            counts[name] += 1
            return function(*arguments, **named)

        return counted

    for function in _FUNCTIONS:
        instead = counting(function.__name__, function)
        for module in [module for name, module in sys.modules.items() if name.startswith("deidflow.")]:
            for name in [name for name, value in vars(module).items() if value is function]:
                setattr(module, name, instead)
    for owner, name in _METHODS:
        method = inspect.getattr_static(owner, name)
        setattr(owner, name, classmethod(counting(f"{owner.__name__}.{name}", method.__func__)))
    atexit.register(lambda: path.write_text(json.dumps(counts)))
