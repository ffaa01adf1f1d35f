"""Rule files about pixels in our own form, YAML, see configs/README.md.

Public names: ``read_rule_file``, ``read_risks``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from deidflow.tasks.core.config.pixel_rules.attributes import ASKED, read_condition
from deidflow.tasks.core.config.yaml import read_yaml
from deidflow.tasks.core.errors import InvalidInput, Problem
from deidflow.tasks.core.pixels.decision import PixelRule, Risk
from deidflow.tasks.core.pixels.regions import Region

if TYPE_CHECKING:
    from collections.abc import Callable

    from deidflow.tasks.core.config.yaml import YamlDocument
    from deidflow.tasks.core.pixels.conditions import Condition

_ACTIONS: Final = ("regions", "keep_regions", "outside", "clean", "refuse")
_KEYS: Final = ("name", "source", "when", *_ACTIONS)
_SIZE: Final = ("x", "y", "width", "height")
_CORNERS: Final = ("x_min", "y_min", "x_max", "y_max")
_OUTSIDE: Final = "SequenceOfUltrasoundRegions"
_MAX_PIXELS: Final = 65535
"""Rows and Columns are two bytes each."""

_MAKERS: Final = frozenset(
    ASKED[keyword]
    for keyword in (
        *("Manufacturer", "ManufacturerModelName", "SoftwareVersions", "SOPClassUID"),
        *("SecondaryCaptureDeviceManufacturer", "SecondaryCaptureDeviceManufacturerModelName"),
    )
)
"""What says who made the pixels. A rule that calls images clean has to ask one of them: BurnedInAnnotation is NO on
many that are not."""


def read_rule_file(text: str, name: str) -> list[PixelRule]:
    """Read a file with the one key ``rules``.

    Args:
        text: Its content.
        name: As the user gave it, for problems and for the names of rules.

    Raises:
        InvalidInput: With every problem, by line and key.

    """
    return _Reader(text, name).read("rules", _Reader.rule)


def read_risks(text: str, name: str) -> list[Risk]:
    """Read a file with the one key ``at_risk``: kinds of instances that often have text burnt in.

    Raises:
        InvalidInput: With every problem, by line and key.

    """
    return _Reader(text, name).read("at_risk", _Reader.risk)


class _Reader:
    """Reader of one file; problems are gathered until its end."""

    def __init__(self, text: str, name: str) -> None:
        self._document: YamlDocument = read_yaml(text, name)
        self._file = name
        self._problems: list[Problem] = []

    def read(self, list_key: str, read_entry: Callable[[_Reader, dict[str, Any], str], Any]) -> list[Any]:
        data = self._document.data
        for key in data:
            if key != list_key:
                self._complain(str(key), f"unknown key; the only key here is {list_key}")
        entries = data.get(list_key)
        if not isinstance(entries, list) or not entries:
            self._complain(list_key, "must be a list with at least one entry that has the keys name and when")
            entries = []
        read = []
        for number, entry in enumerate(entries):
            key = f"{list_key}.{number}"
            if isinstance(entry, dict):
                read.append(read_entry(self, entry, key))
            else:
                self._complain(key, f"must be a group with the keys {', '.join(_KEYS[:3])} and one of {_one_of()}")
        self._check_names(list_key, entries)
        if self._problems:
            raise InvalidInput(sorted(self._problems, key=lambda problem: problem.line))
        return read

    def risk(self, entry: dict[str, Any], key: str) -> Risk:
        """Read one kind at risk."""
        self._check_keys(entry, key, _KEYS[:3])
        return Risk(self._name(entry, key), self._when(entry, key))

    def rule(self, entry: dict[str, Any], key: str) -> PixelRule:
        """Read one rule."""
        self._check_keys(entry, key, _KEYS)
        name = f"{self._file}, line {self._line(f'{key}.name')}: {self._name(entry, key)}"
        when = self._when(entry, key)
        given = [action for action in _ACTIONS if action in entry]
        if len(given) != 1:
            self._complain(key, f"must have exactly one of {_one_of()}")
            return PixelRule(name, when)
        action, inner = given[0], f"{key}.{given[0]}"
        if action in ("regions", "keep_regions"):
            regions = self._regions(entry[action], inner)
            self._check_size(when, key, action)
            return PixelRule(name, when, regions) if action == "regions" else PixelRule(name, when, keeps=regions)
        if action == "outside":
            if entry[action] != _OUTSIDE:
                self._complain(inner, f"must be {_OUTSIDE}; keep_regions is for regions of your own")
            return PixelRule(name, when, keeps_ultrasound_regions=True)
        if entry[action] is not True:
            self._complain(inner, "must be true, or be left out")
        if action == "clean" and not _MAKERS & when.affirmed():
            self._complain(f"{key}.when", "a rule with clean must ask for a device or SOPClassUID; others cannot know")
        return PixelRule(name, when, is_clean=action == "clean", refuses=action == "refuse")

    def _check_keys(self, entry: dict[str, Any], key: str, known: tuple[str, ...]) -> None:
        for name in entry:
            if name not in known:
                self._complain(f"{key}.{name}", f"unknown key; the keys here are {', '.join(known)}")
        if "source" in entry and not (isinstance(entry["source"], str) and entry["source"].strip()):
            self._complain(f"{key}.source", "must be text that says where the rule comes from")

    def _name(self, entry: dict[str, Any], key: str) -> str:
        name = entry.get("name")
        if not isinstance(name, str) or not name.strip() or "\n" in name:
            self._complain(f"{key}.name", "must be given: one line that tells people what the rule is for")
            return ""
        return name.strip()

    def _check_names(self, list_key: str, entries: list[Any]) -> None:
        seen = set()
        for number, entry in enumerate(entries):
            name = entry.get("name") if isinstance(entry, dict) else None
            if isinstance(name, str) and name.strip() in seen:
                self._complain(f"{list_key}.{number}.name", "must be a name that no other entry of the file has")
            seen.add(name.strip() if isinstance(name, str) else None)

    def _when(self, entry: dict[str, Any], key: str) -> Condition:
        return read_condition(entry.get("when"), f"{key}.when", self._complain)

    def _check_size(self, when: Condition, key: str, action: str) -> None:
        """Refuse rectangles of no size in particular: on an image of another size they lie beside the text."""
        if not {ASKED["Rows"], ASKED["Columns"]} <= when.affirmed():
            self._complain(f"{key}.when", f"must have Rows and Columns with {action}, which are pixels of that size")

    def _regions(self, value: object, key: str) -> tuple[Region, ...]:
        if not isinstance(value, list) or not value:
            self._complain(key, "must be a list of rectangles, as in [{x: 0, y: 0, width: 640, height: 40}]")
            return ()
        read = [self._region(one, f"{key}.{number}") for number, one in enumerate(value)]
        return tuple(region for region in read if region is not None)

    def _region(self, value: Any, key: str) -> Region | None:
        good = (
            "must be {x: 0, y: 0, width: 640, height: 40} or, with both corners inside it, "
            "{x_min: 0, y_min: 0, x_max: 639, y_max: 39}: whole pixels from the upper left corner, from 0"
        )
        names = next((names for names in (_SIZE, _CORNERS) if isinstance(value, dict) and set(value) == set(names)), ())
        numbers = [value[name] for name in names]
        if not numbers or any(type(number) is not int or not 0 <= number <= _MAX_PIXELS for number in numbers):
            self._complain(key, good)
            return None
        x, y, third, fourth = numbers
        width, height = (third, fourth) if names == _SIZE else (third - x + 1, fourth - y + 1)
        if width < 1 or height < 1:
            self._complain(key, good)
            return None
        return Region(x, y, width, height)

    def _line(self, key: str) -> int:
        """Return the line of a key; of an entry, which has no key itself, the line of its name."""
        return self._document.lines.get(f"{key}.name") or self._document.line(key)

    def _complain(self, key: str, text: str) -> None:
        self._problems.append(Problem(text, self._file, self._line(key), key=key))


def _one_of() -> str:
    return ", ".join(_ACTIONS)
