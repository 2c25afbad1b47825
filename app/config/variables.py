"""Environment variables in the values of `santral.toml`, so that secrets need not stand in the file. Pure.

Rule: an error names variables, never what they hold.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from app.problems import Wrong
from templates.suggesting import suggest

VARIABLE = re.compile(r"\$\$\{|\$\{(?P<name>[A-Za-z_][A-Za-z0-9_]*)\}|\$\{")


def expand(text: str, environ: Mapping[str, str]) -> str:
    """Put environment variables in the place of `${NAME}`; `$${` stands for the two characters themselves.

    Raises `Wrong` for a variable that is not set, or a `${` without a name and `}`.
    """

    def value(found: re.Match[str]) -> str:
        if found[0] == "$${":
            return "${"
        name = found["name"]
        if not name:
            raise Wrong(
                'has a "${" that no variable name and "}" follow', "write $${ for the two characters themselves"
            )
        if name not in environ:
            near = suggest(name, environ, likeness=0.85)  # SLACK_TOKEN is not TELEGRAM_TOKEN
            raise Wrong(f"{name} is not set in the environment", near or "export it or write the value")
        if found[0] == text and not environ[name].strip():
            raise Wrong(f"{name} is empty in the environment", "export it with a value or remove the key")
        return environ[name]

    unset = [name for found in VARIABLE.finditer(text) if (name := found["name"]) and name not in environ]
    if len(set(unset)) > 1:
        raise Wrong(
            f"{', '.join(dict.fromkeys(unset))} are not set in the environment", "export them or write the value"
        )
    return VARIABLE.sub(value, text)
