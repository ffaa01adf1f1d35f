"""Values of every class of Table E.1-1 beside names of persons, and how people write them elsewhere.

Public names: ``Value``, ``made``, ``class_of``, ``BEYOND``.
"""

from __future__ import annotations

import re
from datetime import date
from typing import TYPE_CHECKING, Any, Final, NamedTuple

if TYPE_CHECKING:
    import random
    from collections.abc import Callable


class Value(NamedTuple):
    """A value of the source's attribute, and what of it is left elsewhere.

    Attributes:
        text: What the attribute holds.
        left: What stands elsewhere.
        label: How it is written there.

    """

    text: str
    left: str
    label: str


def class_of(keyword: str, vr: str) -> str:
    """Return the class of an attribute by what it is called; "" where it holds no text that could identify."""
    by_vr = {
        "PN": "person",
        "DA": "date",
        "TM": "time",
        "DT": "moment",
        "UI": "uid",
        "AS": "age",
        "UR": "url",
        "AE": "station",
    }
    if vr in by_vr:
        return by_vr[vr]
    if vr not in {"LO", "SH", "ST", "LT", "UT", "UC"}:
        return ""
    classes = {
        "Phone|Telephone|Telecom": "phone",
        "Address": "address",
        "StationName": "station",
        "Institution|Department|Organization|Facility|Residence|Location": "institution",
        "Comment|History|Instructions|Allergies|SpecialNeeds|Alerts": "comment",
        "ID$|IDs$|UID$|Number|Serial|Barcode|Identifier|Value": "identifier",
    }
    return next((name for pattern, name in classes.items() if re.search(pattern, keyword)), "description")


MONTHS: Final = {
    "en": "January February March April May June July August September October November December".split(),  # noqa: SIM905 (names of months)
    "de": "Januar Februar März April Mai Juni Juli August September Oktober November Dezember".split(),  # noqa: SIM905 (names of months)
    "fr": "janvier février mars avril mai juin juillet août septembre octobre novembre décembre".split(),  # noqa: SIM905 (names of months)
    "es": "enero febrero marzo abril mayo junio julio agosto septiembre octubre noviembre diciembre".split(),  # noqa: SIM905 (names of months)
    "nl": "januari februari maart april mei juni juli augustus september oktober november december".split(),  # noqa: SIM905 (names of months)
    "it": "gennaio febbraio marzo aprile maggio giugno luglio agosto settembre ottobre novembre dicembre".split(),  # noqa: SIM905 (names of months)
}

DATES: Final[dict[str, Callable[[date], str]]] = {
    "DA": lambda day: f"{day:%Y%m%d}",
    "ISO": lambda day: f"{day:%Y-%m-%d}",
    "year first, slashes": lambda day: f"{day:%Y/%m/%d}",
    "year first, dots": lambda day: f"{day:%Y.%m.%d}",
    "year first, underlines": lambda day: f"{day:%Y_%m_%d}",
    "day first, dots": lambda day: f"{day:%d.%m.%Y}",
    "day first, no zeros": lambda day: f"{day.day}.{day.month}.{day.year}",
    "day first, slashes": lambda day: f"{day:%d/%m/%Y}",
    "day first, nothing": lambda day: f"{day:%d%m%Y}",
    "day first, dots and blanks": lambda day: f"{day.day}. {day.month}. {day.year}",
    "month first": lambda day: f"{day:%m/%d/%Y}",
    "month first, no zeros": lambda day: f"{day.month}/{day.day}/{day.year}",
    "two digits": lambda day: f"{day:%d.%m.%y}",
    "two digits, no zeros": lambda day: f"{day.day}/{day.month}/{day:%y}",
    "English": lambda day: f"{day.day} {MONTHS['en'][day.month - 1]} {day.year}",
    "American": lambda day: f"{MONTHS['en'][day.month - 1]} {day.day}, {day.year}",
    "ordinal": lambda day: f"{MONTHS['en'][day.month - 1]} {day.day}{_ordinal(day.day)}, {day.year}",
    "of": lambda day: f"{day.day}{_ordinal(day.day)} of {MONTHS['en'][day.month - 1]} {day.year}",
    "three letters": lambda day: f"{day.day:02}-{MONTHS['en'][day.month - 1][:3]}-{day.year}",
    "three letters, nothing": lambda day: f"{day.day:02}{MONTHS['en'][day.month - 1][:3].upper()}{day.year}",
    "three letters, two digits": lambda day: f"{day.day}-{MONTHS['en'][day.month - 1][:3]}-{day:%y}",
    "three letters, year first": lambda day: f"{day.year}-{MONTHS['en'][day.month - 1][:3]}-{day.day:02}",
    "German": lambda day: f"{day.day}. {MONTHS['de'][day.month - 1]} {day.year}",
    "German, ae": lambda day: f"{day.day}. {MONTHS['de'][day.month - 1].replace('ä', 'ae')} {day.year}",
    "French": lambda day: f"{day.day}{'er' if day.day == 1 else ''} {MONTHS['fr'][day.month - 1]} {day.year}",
    "French, no accents": lambda day: (
        f"{day.day} {MONTHS['fr'][day.month - 1].replace('é', 'e').replace('û', 'u')} {day.year}"
    ),
    "Spanish": lambda day: f"{day.day} de {MONTHS['es'][day.month - 1]} de {day.year}",
    "Dutch": lambda day: f"{day.day} {MONTHS['nl'][day.month - 1]} {day.year}",
    "Italian": lambda day: f"{day.day} {MONTHS['it'][day.month - 1]} {day.year}",
    "Japanese": lambda day: f"{day.year}年{day.month}月{day.day}日",
    "Korean": lambda day: f"{day.year}년 {day.month}월 {day.day}일",
    "with a time": lambda day: f"{day:%Y-%m-%d}T10:15:32Z",
    "DT": lambda day: f"{day:%Y%m%d}101532.000000+0100",
    "in brackets": lambda day: f"geb.{day:%d.%m.%Y})",
    "in a name": lambda day: f"CT_{day:%Y%m%d}_1",
}
TIMES: Final[dict[str, Callable[[str], str]]] = {
    "TM": str,
    "colons": lambda time: f"{time[:2]}:{time[2:4]}:{time[4:]}",
    "dots": lambda time: f"{time[:2]}.{time[2:4]}.{time[4:]}",
    "fraction": lambda time: f"{time[:2]}:{time[2:4]}:{time[4:]}.250",
    "h, m and s": lambda time: f"{time[:2]}h{time[2:4]}m{time[4:]}s",
    "dashes": lambda time: f"{time[:2]}-{time[2:4]}-{time[4:]}",
    "twelve hours": lambda time: (
        f"{int(time[:2]) % 12 or 12}:{time[2:4]}:{time[4:]} {'PM' if time[:2] > '11' else 'AM'}"
    ),
}
NUMBERS: Final[dict[str, Callable[[str], str]]] = {
    "as is": str,
    "no punctuation": lambda text: re.sub(r"\W", "", text),
    "blanks": lambda text: re.sub(r"\W", " ", text),
    "dashes": lambda text: re.sub(r"\W", "-", text),
    "underlines": lambda text: re.sub(r"\W", "_", text),
    "dots": lambda text: re.sub(r"\W", ".", text),
    "lower": str.lower,
    "no leading zeros": lambda text: text.lstrip("0"),
    "more zeros": lambda text: f"000{text}",
    "after a word": lambda text: f"ID:{text}",
    "after a word without blank": lambda text: f"MR{text}",
    "with a suffix": lambda text: f"{text}_2",
    "with a letter": lambda text: f"{text}b",
    "in threes": lambda text: " ".join(re.findall(r"\w{1,3}", text)),
    "in a path": lambda text: f"\\\\pacs\\in\\{text}\\1.dcm",
    "in a sentence": lambda text: f"prior study no {text}, compare",
    "full width": lambda text: "".join(chr(ord(one) + 0xFEE0) if "0" <= one <= "9" else one for one in text),
}
PHONES: Final[dict[str, Callable[[str], str]]] = {
    "as is": str,
    "digits": lambda text: re.sub(r"\D", "", text),
    "00 for +": lambda text: re.sub(r"\D", "", text.replace("+", "00")),
    "national": lambda text: "0" + re.sub(r"\D", "", re.sub(r"^\+\d+ ", "", text)),
    "national with dashes": lambda text: "0" + re.sub(r"\W+", "-", re.sub(r"^\+\d+ ", "", text)),
    "dots": lambda text: re.sub(r"\W+", ".", text).strip("."),
    "in brackets": lambda text: re.sub(r"^(\+\d+) (\d+) ", r"\1 (0)\2 ", text),
    "pairs": lambda text: " ".join(re.findall(r"\d{1,2}", re.sub(r"\D", "", text))),
    "tel": lambda text: f"tel:{text.replace(' ', '')}",
}
TEXTS: Final[dict[str, Callable[[str], str]]] = {
    "as is": str,
    "upper": str.upper,
    "lower": str.lower,
    "underlines": lambda text: text.replace(" ", "_"),
    "joined": lambda text: text.replace(" ", "").replace(",", ""),
    "no commas": lambda text: text.replace(",", ""),
    "one line": lambda text: text.replace("\r\n", " "),
    "two blanks": lambda text: text.replace(" ", "  "),
    "in a sentence": lambda text: f"sent from {text} by post",
    "dashes": lambda text: text.replace(" ", "-"),
}
MAILS: Final[dict[str, Callable[[str], str]]] = {"as is": str, "upper": str.upper}
UIDS: Final[dict[str, Callable[[str], str]]] = {
    "as is": str,
    "in a path": lambda uid: f"/archive/{uid}.dcm",
    "in an address": lambda uid: f"https://pacs/wado?objectUID={uid}&x=1",
    "in a sentence": lambda uid: f"derived from {uid}.",
    "underlines": lambda uid: uid.replace(".", "_"),
    "urn": lambda uid: f"urn:oid:{uid}",
}
AGES: Final[dict[str, Callable[[str], str]]] = {
    "as is": str,
    "lower": str.lower,
    "without zero": lambda age: age.lstrip("0"),
}

BEYOND: Final[dict[str, dict[str, Callable[[Any], str]]]] = {
    "date": {
        "six digits": lambda day: f"{day:%y%m%d}",
        "month and year": lambda day: f"{day:%m/%Y}",
        "day of the year": lambda day: f"{day:%Y-%j}",
        "year": lambda day: f"born {day:%Y}",
    },
    "time": {"minutes": lambda time: f"{time[:2]}:{time[2:4]}"},
    "age": {"words": lambda age: f"{int(age[:3])} years old", "y/o": lambda age: f"{int(age[:3])}yo"},
    "identifier": {
        "last four": lambda text: re.sub(r"\W", "", text)[-4:],
        "digits reversed": lambda text: text[::-1],
    },
    "phone": {"last five": lambda text: re.sub(r"\D", "", text)[-5:]},
    "address": {"house number": lambda text: text.split()[0]},
    "institution": {"initials": lambda text: "".join(word[0] for word in text.split())},
}


def _ordinal(day: int) -> str:
    return "th" if day in {11, 12, 13} else {1: "st", 2: "nd", 3: "rd"}.get(day % 10, "th")


_INSTITUTIONS: Final = (
    "Larkspur Valley Clinic",
    "Thistlewood Royal Infirmary",
    "Clinique Beauregard-Montfleur",
    "Klinikum Rechts der Ilmenau",
    "Hospital Universitario Valdeobispo",
    "Pennyroyal Imaging Partners",
    "Sint-Godelieve Ziekenhuis",
    "Kitasenju Byoin",
)
_STREETS: Final = (
    "17 Larchmont Crescent",
    "Lindenbaumweg 42b",
    "221 Quailhollow Drive",
    "8 rue des Glycines",
    "Calle Almendralejo 119",
    "Prinsengrachtkade 77",
    "3-14-5 Minamisakae",
)
_TOWNS: Final = (
    "Ashbourne-on-Wey",
    "59063 Hammerstedt",
    "Eau Claire, WI 54703",
    "13090 Aix-les-Pins",
    "Kawagoe 350-0046",
)
_STATIONS: Final = ("LARKMR3T", "CT-PAVILION-2", "RAD_WK_0417", "AWP70318", "thistle.ct2", "MRQX4U", "NEURO3TB")
_SENTENCES: Final = (
    "lives with her sister and two cats",
    "walks with a frame since the accident",
    "prefers to be called by his middle name",
    "mother of the mayor, press has asked twice",
    "works as a signalman at the north yard",
)


def day(draw: random.Random) -> date:
    """Return a day on which somebody was born or seen."""
    return date(draw.randrange(1928, 2025), draw.randrange(1, 13), draw.randrange(1, 29))


def number(draw: random.Random) -> str:
    """Return an identifier as hospitals write them."""
    seven = f"{draw.randrange(10**6, 10**7)}"
    return draw.choice(
        (
            seven,
            f"0{seven}",
            f"MRN-{seven}",
            f"{seven[:2]}-{seven[2:5]}-{seven[5:]}",
            f"H/{draw.randrange(2001, 2025)}/{seven[:5]}",
            f"K{seven[:6]}",
            f"{seven[:4]}.{seven[4:]}",
            f"{draw.choice('QXZ')}{draw.choice('BCD')}{seven[:5]}{draw.choice('AEU')}",
        )
    )


def phone(draw: random.Random) -> str:
    """Return a telephone number with its country code."""
    digits = f"{draw.randrange(10**7, 10**8)}"
    country, area = draw.choice(
        (("+44", "20"), ("+49", "30"), ("+33", "1"), ("+1", "608"), ("+31", "70"), ("+81", "3"))
    )
    return f"{country} {area} {digits[:4]} {digits[4:]}"


def _mail(draw: random.Random) -> str:
    name = draw.choice(("quillfeather", "ostrander", "zabriskie"))
    return f"{draw.choice(('p', 'dr', 'info'))}.{name}{draw.randrange(99)}@larkspur.example"


def _choice(text: str, ways: dict[str, Callable[[Any], str]], draw: random.Random, of: Any = None) -> Value:
    label = draw.choice(list(ways))
    return Value(text, ways[label](text if of is None else of), label)


def _address(draw: random.Random) -> Value:
    street, town = draw.choice(_STREETS), draw.choice(_TOWNS)
    whole = f"{street}, {town}"
    return draw.choice((_choice(whole, TEXTS, draw), _choice(whole, TEXTS, draw, street)))


def _description(draw: random.Random, words: str) -> Value:
    """Return a text in which something identifies, and that alone elsewhere."""
    inner, ways = draw.choice(((phone(draw), PHONES), (number(draw), NUMBERS), (_mail(draw), MAILS)))
    if len(re.sub(r"\D", "", inner)) < 6 and "@" not in inner:
        inner, ways = phone(draw), PHONES
    return _choice(f"{words} {inner}", ways, draw, inner)


def _age(draw: random.Random) -> tuple[Value, str]:
    age = f"{draw.randrange(18, 89):03}Y"
    return _choice(age, AGES, draw), age


def _url(draw: random.Random) -> tuple[Value, str]:
    url = f"https://larkspur.example/p/{number(draw)}"
    return Value(url, url, "as is"), url


def _station(draw: random.Random) -> tuple[Value, str]:
    station = draw.choice(_STATIONS)
    return _choice(station, {"as is": str, "lower": str.lower}, draw), station


def _telephone(draw: random.Random) -> tuple[Value, str]:
    own = phone(draw)
    return _choice(own, PHONES, draw), own


def _whole_address(draw: random.Random) -> tuple[Value, str]:
    value = _address(draw)
    return value, value.text


def _institution(draw: random.Random) -> tuple[Value, str]:
    place = draw.choice(_INSTITUTIONS)
    return _choice(place, TEXTS, draw), place


def _identifier(draw: random.Random) -> tuple[Value, str]:
    own = number(draw)
    return _choice(own, NUMBERS, draw), own


def _comment(draw: random.Random) -> tuple[Value, str]:
    sentence = draw.choice(_SENTENCES)
    return draw.choice((_choice(sentence, TEXTS, draw), _description(draw, "call"))), sentence


def _descriptor(draw: random.Random) -> tuple[Value, str]:
    return _description(draw, draw.choice(("Thorax pa, ", "knee left ref "))), ""


_MADE: Final[dict[str, Callable[[random.Random], tuple[Value, str]]]] = {
    "age": _age,
    "url": _url,
    "station": _station,
    "phone": _telephone,
    "address": _whole_address,
    "institution": _institution,
    "identifier": _identifier,
    "comment": _comment,
    "description": _descriptor,
}


def made(kind: str, draw: random.Random, uid: str) -> tuple[Value, Any]:
    """Return a value of a class, and what ``BEYOND`` writes of it.

    Args:
        kind: See ``class_of``; not ``person``.
        draw: Where chance comes from.
        uid: One that no other instance has.

    """
    born = day(draw)
    time = f"{draw.randrange(24):02}{draw.randrange(60):02}{draw.randrange(1, 60):02}"
    if kind in {"date", "moment"}:
        return _choice(f"{born:%Y%m%d}{time if kind == 'moment' else ''}", DATES, draw, born), born
    if kind == "time":
        return _choice(time, TIMES, draw), time
    return (_choice(uid, UIDS, draw), uid) if kind == "uid" else _MADE[kind](draw)
