"""Settings: defaults with the values they accept, and parsing of environment variables."""

import math
from collections.abc import Callable, Collection
from dataclasses import Field, dataclass, field
from pathlib import Path
from typing import TypeVar

from utils.errors import WrongUse

SWITCH = {"1": True, "on": True, "yes": True, "true": True, "0": False, "off": False, "no": False, "false": False}

Value = TypeVar("Value")


@dataclass(frozen=True)
class Limits:
    """What a setting accepts. A plain default in a dataclass, without `setting`, has these defaults."""

    least: float = 1  # of a number
    most: float = math.inf
    choices: tuple[str, ...] = ()  # if given, nothing else is accepted
    check: Callable[[str], object] | None = None  # raises ValueError; the message continues a sentence about the value


def setting(
    default: Value,
    *,
    least: float = 1,
    most: float = math.inf,
    choices: tuple[str, ...] = (),
    check: Callable[[str], object] | None = None,
) -> Value:
    """A field of a dataclass with a default, and with limits as in `Limits`."""
    made: Value = field(default=default, metadata={"limits": Limits(least, most, choices, check)})
    return made


def limits(of: Field) -> Limits:
    """The limits that a field of a dataclass was declared with."""
    found: Limits = of.metadata.get("limits", Limits())
    return found


def parse(of: Field, variable: str, text: str) -> object:
    """The value of a variable, with the type of the field's default: bool, int, float, str or Path.

    Raises WrongUse if the field does not accept it.
    """
    accepted = limits(of)
    if isinstance(of.default, bool):
        return _switch(variable, text)
    if isinstance(of.default, int | float):
        return _number(variable, text, type(of.default), accepted)
    if accepted.choices:
        check_choice(variable, text, accepted.choices)
    if accepted.check:
        try:
            accepted.check(text)
        except ValueError as problem:
            raise WrongUse(f"{variable}={text!r} {problem}") from None
    return Path(text) if isinstance(of.default, Path) else text


def check_choice(variable: str, text: str, known: Collection[str]) -> None:
    """Raises WrongUse unless the text is one of those known."""
    if text not in known:
        raise WrongUse(f"{variable}={text!r} is unknown: choose one of {', '.join(known)}.")


def _switch(variable: str, text: str) -> bool:
    if text.lower() not in SWITCH:
        raise WrongUse(f"{variable}={text!r} is not a switch: choose on or off.")
    return SWITCH[text.lower()]


def _number(variable: str, text: str, kind: type[int] | type[float], accepted: Limits) -> float:
    try:
        number = kind(text)
    except ValueError:
        number = math.nan  # lies in no range
    if not (accepted.least <= number <= accepted.most and math.isfinite(number)):
        what = "a whole number" if kind is int else "a number"
        top = f" to {accepted.most:g}" if math.isfinite(accepted.most) else " or more"
        raise WrongUse(f"{variable}={text!r} is out of range: give {what}, {accepted.least:g}{top}.")
    return number
