"""The words by which people leave and come back, and what Twilio answers them.

Rule: pure. The whole trimmed text must be the word, in whatever case. On WhatsApp only Advanced Opt-Out has such words.
Page: www.twilio.com/docs/messaging/tutorials/advanced-opt-out.
"""

from __future__ import annotations

DEFAULT = {
    "STOP": frozenset({"stop", "unsubscribe", "end", "quit", "stopall", "revoke", "optout", "cancel"}),
    "START": frozenset({"start", "yes", "unstop"}),
    "HELP": frozenset({"help", "info"}),
}
# What a shop would set up for its customers under Advanced Opt-Out.
LOCAL = {
    "STOP": frozenset({"dur", "iptal", "ret", "стоп", "отписка", "отписаться", "stopp", "abmelden", "توقف", "إلغاء"}),
    "START": frozenset({"başla", "basla", "başlat", "старт", "начать", "anmelden", "ابدأ"}),
    "HELP": frozenset({"yardım", "yardim", "помощь", "hilfe", "مساعدة"}),
}
ANSWERS = {
    "STOP": "You are unsubscribed and will get no more messages from this number. Reply START to get them again.",
    "START": "You are subscribed again. Reply HELP for help or STOP to unsubscribe.",
    "HELP": "Reply STOP to unsubscribe. Message and data rates may apply.",
}


def meaning(text: str, *, advanced: bool) -> str:
    """STOP, START or HELP, or an empty string for any other text."""
    # Lower-casing İ leaves a dot above behind, which no list has.
    said = text.strip().lower().replace("i̇", "i")
    for kind, words in DEFAULT.items():
        if said in words or (advanced and said in LOCAL[kind]):
            return kind
    return ""
