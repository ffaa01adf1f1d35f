"""What may be said of one run when it is started: by the form of a deployment, or by a flow that calls this one.

Who reaches Prefect's API can say it, too. So nothing here decides what is read, what is done to it, or where it goes:
only how fast it is done.

Public names: ``Overrides``, ``NO_OVERRIDES``.
"""

from __future__ import annotations

from typing import Final

from pydantic import BaseModel, ConfigDict, Field


class Overrides(BaseModel):
    """Keys of the config that one run has otherwise; what is left out is as the config says."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    chunk_size: int | None = Field(None, ge=1, le=1_000_000, description="execution.chunk_size: instances, at least")
    workers: int | None = Field(None, ge=1, le=256, description="execution.workers: processes that edit and verify")
    retries: int | None = Field(None, ge=0, le=100, description="execution.retries: further attempts at a chunk")
    job_timeout_seconds: float | None = Field(
        None, gt=0, le=604_800, description="execution.job_timeout_seconds: how long a chunk or job may take"
    )

    def as_settings(self) -> tuple[str, ...]:
        """Return what is given in the form of ``--set``, as in ``execution.workers=4``."""
        return tuple(f"execution.{key}={value}" for key, value in self.model_dump(exclude_none=True).items())


NO_OVERRIDES: Final = Overrides()
"""No None beside the model: Prefect checks parameters that may be either against neither."""
