"""What can happen to one element, in the words of the standard.

The codes are those of PS3.15 Table E.1-1a (edition 2026d); ``REPLACE`` and ``SHIFT`` are for what the table leaves to
the request and to its options. Policy decides which element gets which rule (``deidentification``), editing carries
rules out.

Public names: ``Action``, ``Rule``, ``Original``, ``NewValue``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from typing import Final, NamedTuple

from deidflow.tasks.core.request.edits import Value
from deidflow.tasks.local.editing.references import InstanceIdentifiers


class Action(Enum):
    """The closed set of edits; the value is the code that data files use. An element without a rule is kept."""

    REMOVE = "X"
    """Remove the element; from a sequence all its items."""
    EMPTY = "Z"
    """Leave the element with a value of zero length."""
    DUMMY = "D"
    """Give it a value that is valid and tells nothing of the original."""
    REPLACE_UID = "U"
    """Replace each of its UIDs by the generated one of that original."""
    CLEAN = "C"
    """Take out of the value what identifies, and leave the rest."""
    KEEP = "K"
    """Leave it as it is; of a sequence the items are looked into with the rules for kept ones."""
    REPLACE = "replace"
    """Give it another value: the request's, or one that follows from the instance's new identifiers."""
    SHIFT = "shift"
    """Move its dates by the patient's days."""


class Original(NamedTuple):
    """A value that a rule makes a new one of.

    Attributes:
        tag: Of the element.
        vr: That the new value gets.
        text: Decoded; several values are joined by a backslash. "" for a sequence.
        is_given: Whether the request gives it, so that it is no patient's.
        is_whole: Whether the text is all that the bytes say; not where the character set does not know some of them.

    """

    tag: int
    vr: str
    text: str
    is_given: bool
    is_whole: bool = True


NewValue = Callable[[Original, InstanceIdentifiers], Value | None]
"""Makes the new value of an element, or new items, out of its own value and the instance's identifiers.

None leaves the element. What it makes of one original may depend on the identifiers of patient, study and series, and
not on those of the instance, since it is remembered for the whole series (``shared_header``, which names in
``_series_of`` all that a result depends on), and on ``InstanceIdentifiers.own``, which is compared there.
"""

_MADE: Final = frozenset({Action.DUMMY, Action.CLEAN, Action.SHIFT})


@dataclass(frozen=True, slots=True)
class Rule:
    """What happens to an element, and who says so.

    Attributes:
        action: What happens.
        origin: What decided, for people: the table's row with its code, an option, or the request's own list.
        new_value: DUMMY, CLEAN, SHIFT and REPLACE: makes the new value out of the old one. A REPLACE without it means
            that the value stands in the table, or in the instance's new identifiers; where neither has one the element
            stays.
        new_bytes: CLEAN: the same for values that are no text, out of their bytes alone; may raise ``InstanceFailed``.
        of_the_run: REPLACE_UID: only UIDs that name objects of the run are replaced, others stay.
        spares_registered: REPLACE_UID: what the standard itself registers for everybody stays.
        is_named: Whether the request names the element.
        cleans_items: CLEAN: of a sequence the items stay, and each element in them has its own rule; ``new_value`` is
            for what should be a sequence and is none.
        removes: Whether the element goes.
        stays: Whether the element stays byte for byte when the table has no value for it.
        leaves_value: Whether the element stays, but for UIDs in it that follow the run's objects.
        enters_items: Whether a sequence with this rule stays and its items are looked into.
        rank: Of several rules by path for one element the highest wins, else the first: the request's before others,
            removal before the rest.

    """

    action: Action
    origin: str
    new_value: NewValue | None = None
    new_bytes: Callable[[bytes], bytes] | None = None
    of_the_run: bool = False
    spares_registered: bool = False
    is_named: bool = False
    cleans_items: bool = False
    removes: bool = field(init=False)
    stays: bool = field(init=False)
    leaves_value: bool = field(init=False)
    enters_items: bool = field(init=False)
    rank: int = field(init=False)

    def __post_init__(self) -> None:
        """Note what the loop over elements asks for.

        Raises:
            ValueError: The action needs a function, or cannot have one.

        """
        makes = self.new_value is not None or self.new_bytes is not None
        if makes is not (self.action in _MADE) and self.action is not Action.REPLACE:
            message = f"{self.action.name} must {'' if self.action in _MADE else 'not '}have a function for new values"
            raise ValueError(message)
        stays = self.action is Action.KEEP or (self.action is Action.REPLACE and self.new_value is None)
        object.__setattr__(self, "removes", self.action is Action.REMOVE)
        object.__setattr__(self, "stays", stays)
        object.__setattr__(self, "leaves_value", self.action is Action.KEEP or self.of_the_run)
        object.__setattr__(self, "enters_items", stays or self.cleans_items or self.action is Action.REPLACE_UID)
        object.__setattr__(self, "rank", 2 * self.is_named + self.removes)
