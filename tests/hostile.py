"""What an attacker writes: values for a line, output of a program, names of things. Nothing in it may ever act."""

from __future__ import annotations

PWNED = "PWNED"  # the file, the variable of the page or the title that would be there if something had acted

VALUES = {
    "command separator": f"a; touch {PWNED}",
    "command substitution": f"$(touch {PWNED})",
    "old command substitution": f"`touch {PWNED}`",
    "out of single quotes": f"' ; touch {PWNED} ; '",
    "out of double quotes": f'" ; touch {PWNED} ; "',
    "newline": f"a\ntouch {PWNED}",
    "NUL": "a\0b",
    "option": "-rf",
    "end of options": "--",
    "glob": "*",
    "tilde": "~",
    "brace expression with a call": f"{{__import__('os').system('touch {PWNED}')}}",
    "environment": "$HOME",
    "environment in braces": "${HOME}",
    "lone quote": "'",
    "line separator": f"a\u2028touch {PWNED}",
    "too long": "x" * 140_000,
}
