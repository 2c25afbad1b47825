"""What the standard library says of a file that is not TOML, in words for whoever wrote the file. Pure.

Rule: none of the messages repeats a value: what is wrong may be a secret.
"""

from __future__ import annotations

# How a message begins, what a person needs to hear, and how to mend it.
_TOML: tuple[tuple[str, str, str], ...] = (
    ("Invalid value", "a value is not written right", "text needs double quotes; numbers, true and false need none"),
    (
        "Illegal character '\\n'",
        "a text is not closed before the line ends",
        'add the closing quote; a text of several lines stands between """ and """',
    ),
    ("Unterminated string", "a text is never closed", "add the closing quote"),
    ("Expected \"'''\"", "a text is never closed", "add the closing quotes"),
    ("Unclosed array", "a list is not closed, or a comma is missing", "add the comma or the closing ]"),
    ("Unescaped '\\'", "a backslash has no meaning here", "write it twice, or put the text in single quotes"),
    ("Expected '='", 'a key has no "=" after it', 'write key = "value"'),
    ("Expected newline", "something follows the value", "one key to a line, and text in double quotes"),
    ("Expected ']", "a section's brackets are not closed", "write [section] or [[sections]]"),
    ("Cannot overwrite", "a key is given twice", "keep one of the two"),
    ("Cannot declare", "a section is given twice", "keep one of the two"),
    ("Cannot mutate", "a key is given twice", "keep one of the two"),
    ("Invalid statement", "this is neither a key nor a [section]", "begin comments with #"),
    ("Invalid initial character", "this is neither a key nor a [section]", "begin comments with #"),
)


def explained(said: str) -> tuple[str, str]:
    """Return what is wrong, and the fix. `said` is the message without its position."""
    for beginning, what, fix in _TOML:
        if said.startswith(beginning):
            return what, fix
    return said, "see toml.io for how TOML is written"
