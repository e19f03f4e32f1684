"""Checks of the options of `run`, `start` and `parallel`, with errors that name what is allowed."""

from __future__ import annotations

import codecs
import difflib
import inspect
import numbers
import subprocess
from collections.abc import Callable, Mapping
from typing import Any

_ALWAYS_ON = ("capture_output", "close_fds", "restore_signals", "start_new_session")  # True is what we do anyway


def refuse(keywords: Mapping[str, Any], known: Callable[..., Any], instead: Mapping[str, str]) -> None:
    """Raise a clear error for keywords that the function `known` does not take; `instead`: for some, what to do."""
    if not keywords:
        return  # looking at signatures takes longer than all else here
    function, of_popen = known.__name__, inspect.signature(subprocess.Popen).parameters
    for name, value in keywords.items():
        if name in _ALWAYS_ON:
            if value:
                continue
        elif name in of_popen and value == of_popen[name].default:
            continue  # the default, so it asks for nothing
        if name in instead:
            raise TypeError(f"{function}() takes no keyword {name!r}: {instead[name]}")
        if name in of_popen or name in _ALWAYS_ON:
            raise ValueError(f"{function}() cannot honour {name}={value!r}; create_subprocess_exec() may take it")
        of_known = inspect.signature(known).parameters.values()
        allowed = [each.name for each in of_known if each.kind not in (each.VAR_POSITIONAL, each.VAR_KEYWORD)]
        near = difflib.get_close_matches(name, allowed, 1)
        hint = f"; did you mean {near[0]}?" if near else f"; allowed are {', '.join(allowed)}"
        raise TypeError(f"{function}() takes no keyword {name!r}{hint}")


def seconds(name: str, value: Any) -> float | None:
    """Check an argument that is a duration in seconds; None means no limit.

    Raises:
        TypeError, ValueError: it is something else.
    """
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, numbers.Real):  # numpy's numbers are Real too
        raise TypeError(f"{name}={value!r}: allowed is a number of seconds, or None")
    span = float(value)
    if not span >= 0:
        raise ValueError(f"{name}={value!r}: allowed is a number of seconds, 0 or more, or None")
    return span


def count(name: str, value: Any, least: int) -> int:
    """Check an argument that is a whole number, `least` or more.

    Raises:
        TypeError, ValueError: it is something else.
    """
    if isinstance(value, bool) or not isinstance(value, numbers.Integral):
        raise TypeError(f"{name}={value!r}: allowed is a whole number, {least} or more")
    if value < least:
        raise ValueError(f"{name}={value!r}: allowed is a whole number, {least} or more")
    return int(value)


def check_encoding(encoding: Any, errors: Any) -> None:
    """Raise a clear error if there is no such text encoding, or no such way to handle errors.

    Raises:
        TypeError, LookupError: as the functions of `codecs` do.
    """
    for name, value in (("encoding", encoding), ("errors", errors)):
        if not isinstance(value, str):
            raise TypeError(f"{name}={value!r}: allowed is a name, as for bytes.decode()")
    try:
        "".encode(encoding)
        codecs.lookup_error(errors)
    except LookupError as error:
        raise LookupError(f"encoding={encoding!r}, errors={errors!r}: {error}") from None
