"""A verifier in each thread that works: what a pool or a cluster calls.

Public names: ``start_verifier``, ``verify_in_worker``.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from deidflow.tasks.core.errors import TransientError, Unusable, bare
from deidflow.tasks.core.quick_pickles import Records
from deidflow.tasks.verification.verifier import Verifier

if TYPE_CHECKING:
    from deidflow.tasks.core.engine.protocol import InstanceResult, VerifyWork
    from deidflow.tasks.verification.verifier import VerifierSettings

_of_this_thread = threading.local()


def start_verifier(settings: VerifierSettings) -> None:
    """Prepare this thread; what all instances share is opened with the first of them."""
    _of_this_thread.settings, _of_this_thread.verifier = settings, None


def verify_in_worker(work: VerifyWork) -> list[InstanceResult] | TransientError | Unusable:
    """Run ``Verifier.verify`` in a thread that was prepared; errors are returned, as by ``worker.edit_in_worker``."""
    try:
        if _of_this_thread.verifier is None:
            _of_this_thread.verifier = Verifier(_of_this_thread.settings)
        return Records(_of_this_thread.verifier.verify(work))
    except (TransientError, Unusable) as error:
        return bare(error)
