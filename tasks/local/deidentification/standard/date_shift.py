"""By how many days the dates of a patient move: keyed, so that nothing needs to be stored.

The formula is that of the generated identifiers (``deidflow.tasks.core.pseudonyms``): HMAC-SHA-256(key, the fields
``deidflow/1``, scope, ``date-shift``, original PatientID, each preceded by its length), of which the first 16 bytes
choose among the allowed numbers of days. It is fixed for all releases of one major version (golden values in the
tests).

Public names: ``ShiftRange``, ``DateShift``, ``ShiftError``.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from deidflow.tasks.core.pseudonyms.pseudonyms import FORMAT, length_prefixed

if TYPE_CHECKING:
    from deidflow.tasks.core.pseudonyms.pseudonyms import Key

_KIND: Final = "date-shift"
_DIGEST_BYTES: Final = 16
_DAYS_OF_A_WEEK: Final = 7
_MAX_DAYS: Final = 36525
"""A hundred years: farther back than any date that has to be told apart."""


class ShiftError(ValueError):
    """The range cannot be used; the message says what must be."""


@dataclass(frozen=True, slots=True)
class ShiftRange:
    """How far dates may move into the past: ``dates.shift_days`` and ``dates.whole_weeks`` of a config.

    Attributes:
        first: Fewest days, at least 1.
        last: Most days, at most 36525.
        whole_weeks: Whether only multiples of seven are taken, so that days of the week stay.

    """

    first: int = 1
    last: int = 3650
    whole_weeks: bool = False

    def __post_init__(self) -> None:
        """Check the numbers.

        Raises:
            ShiftError: They are out of order or range, or there is no whole week among them.

        """
        if not 1 <= self.first <= self.last <= _MAX_DAYS:
            raise ShiftError(f"shift_days must be two whole numbers from 1 to {_MAX_DAYS}, the smaller one first")
        if not len(self.choices):
            raise ShiftError("with whole_weeks, shift_days must have a multiple of 7 between its two numbers")

    @property
    def choices(self) -> range:
        """The numbers of days that a patient may get."""
        if not self.whole_weeks:
            return range(self.first, self.last + 1)
        return range(-(-self.first // _DAYS_OF_A_WEEK) * _DAYS_OF_A_WEEK, self.last + 1, _DAYS_OF_A_WEEK)


class DateShift:
    """The shifts of all patients under one key, scope and range."""

    def __init__(self, key: Key, scope: str, allowed: ShiftRange) -> None:
        """Prepare the part of the message that all patients share.

        Args:
            key: The secret.
            scope: Name of the project: one patient moves differently in two projects.
            allowed: How far.

        """
        self._prefix = key.hmac(length_prefixed(FORMAT, scope, _KIND))
        self._choices = allowed.choices
        self.days = lru_cache(maxsize=4096)(self._days)

    def _days(self, patient: str) -> int:
        """Return the days to add to each date of a patient: always negative, the same in all of their studies.

        Args:
            patient: What the patient's new PatientID is derived from: the original PatientID, decoded and without
                padding, or the StudyInstanceUID where it is absent or empty.

        """
        mac = self._prefix.copy()
        mac.update(length_prefixed(patient))
        number = int.from_bytes(mac.digest()[:_DIGEST_BYTES], "big")
        return -self._choices[number % len(self._choices)]
