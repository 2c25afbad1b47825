"""The names of emoji as Slack writes them between colons, for the page to draw."""

from __future__ import annotations

import emoji

# Slack's names that are no alias elsewhere.
SLACK = {
    "large_green_circle": "🟢",
    "large_yellow_circle": "🟡",
    "large_orange_circle": "🟠",
    "large_purple_circle": "🟣",
    "large_brown_circle": "🟤",
    "large_red_square": "🟥",
    "large_green_square": "🟩",
    "thumbsup": "👍",
    "thumbsdown": "👎",
    "simple_smile": "🙂",
    "hourglass_flowing_sand": "⏳",
}


def known_emoji() -> dict[str, str]:
    """Every name with its sign; the common ones and those only Slack has."""
    known: dict[str, str] = {}
    for sign, names in emoji.EMOJI_DATA.items():
        # Names with an apostrophe or a comma are not Slack's.
        for name in (*names.get("alias", ()), names["en"]):
            known.setdefault(name.strip(":").lower(), sign)
    return known | SLACK
