"""What addresses, days and clock times look like, in whatever language.

Rule: every pattern is bounded, so that a line made to cost time costs none.
"""

from __future__ import annotations

import re

LONGEST = 400  # characters of an attribution or a header's value, wrapped over at most

ADDRESS = re.compile(r"[^\s<>()\[\]:;,\"'|]{1,64}@[^\s<>()\[\]:;,\"'|]{1,255}")
NAMED_ADDRESS = re.compile(r"[<(\[]\s?(?:mailto:\s?)?[^\s<>()\[\]:;,\"'|]{1,64}\s?@\s?[^\s<>()\[\]:;,\"'|]{1,255}")
CLOCK = re.compile(
    r"(?<![\d.,])\d{1,2}\s?[:hH∶]\s?\d{2}(?!\d)|\bklo?\.? ?\d{1,2}\.\d{2}\b|\d{1,2}\s?[時时시点點]|"
    r"\b\d{1,2} ?[ap]\.?m\b",
    re.IGNORECASE,
)
DOTTED = re.compile(r"(?<![\d.,])\d{1,2}[.h:]\d{2}(?![\d.,]*\d)")
YEAR = re.compile(r"(?<!\d)(?:19|20|25|13|14)\d\d(?!\d)")
DAY = re.compile(r"(?<!\d)\d{1,4}[./\-年년] ?\d{1,2}[./\-月월] ?\d{1,4}(?!\d)")
