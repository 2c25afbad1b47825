"""Phone numbers as providers spell them, brought to the one spelling by which a customer is known. Pure.

Rule: for looking up only. What is sent goes to the exact spelling that came, which the adapter keeps beside it.
"""

from __future__ import annotations

import re

# WhatsApp goes on spelling mobile numbers as they were dialled when an account was made: Mexico with the 1 that was
# given up in 2019, Brazil without the 9 that has stood before mobile numbers since 2016. Argentina's mobile numbers
# have a 9 for calls from abroad and on WhatsApp, and none for SMS.
MEXICO = re.compile(r"521([0-9]{10})", re.ASCII)
BRAZIL = re.compile(r"(55[1-9][0-9])([6-9][0-9]{7})", re.ASCII)
ARGENTINA = re.compile(r"54([1-3][0-9]{9})", re.ASCII)


def dialled(digits: str) -> str:
    """The number as it is dialled today, with country and without plus; `digits` is one of those as well."""
    if old := MEXICO.fullmatch(digits):
        return f"52{old[1]}"
    if old := BRAZIL.fullmatch(digits):
        return f"{old[1]}9{old[2]}"
    if short := ARGENTINA.fullmatch(digits):
        return f"549{short[1]}"
    return digits
