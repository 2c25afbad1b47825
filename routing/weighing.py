"""From the phrases that were heard to tags and a priority. Pure.

Rule: every step that raises a priority leaves a reason an agent can check against the message.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from inbox.changes import Priority

TAGS = (
    "order-status",
    "delivery-problem",
    "damaged",
    "wrong-item",
    "return",
    "refund",
    "cancel",
    "change-order",
    "payment",
    "product-question",
    "stock",
    "shipping-question",
    "account",
    "complaint",
    "praise",
    "legal",
    "spam",
    "other",
)
DENIABLE = frozenset({"return", "refund", "cancel", "change-order", "complaint", "legal"})

STRENGTHS = {"clear": 3.0, "likely": 2.0, "hint": 1.0}  # a clear phrase is enough alone; two hints are a likely one

# What a message may say beside its tags, in words for the agent. Those of _URGENT ask for an answer at once.
SIGNALS = {
    "danger": "somebody may be hurt",
    "fraud": "a charge or access that is not theirs",
    "threat": "a legal or public threat",
    "unanswered": "wrote several times without an answer",
    "soon": "time runs out",
    "leaving": "about to be shipped",
    "event": "needed for a date",
    "overdue": "later than promised",
    "loss": "money is missing",
    "anger": "angry",
    "calm": "says it can wait",
    "greeting": "greets",
    "before": "asks before buying",
    "bought": "has an order",
}
_URGENT = ("danger", "fraud", "threat", "unanswered")

_USUAL = {
    "delivery-problem": Priority.HIGH,
    "damaged": Priority.HIGH,
    "wrong-item": Priority.HIGH,
    "complaint": Priority.HIGH,
    "legal": Priority.URGENT,
    "praise": Priority.LOW,
    "spam": Priority.LOW,
    "other": Priority.LOW,
}
_BEFORE_BUYING = frozenset({"product-question", "stock", "shipping-question"})
_CAN_WAIT = _BEFORE_BUYING | {"account", "other", "praise"}
_MUST_BE_CAUGHT = frozenset({"cancel", "change-order"})
# What a message is mainly about when several things are equally clear: the rarer and graver one first.
_ORDER = {
    tag: number
    for number, tag in enumerate(
        (
            "spam",
            "legal",
            "cancel",
            "change-order",
            "wrong-item",
            "damaged",
            "delivery-problem",
            "refund",
            "return",
            "payment",
            "account",
            "stock",
            "shipping-question",
            "order-status",
            "product-question",
            "complaint",
            "praise",
            "other",
        )
    )
}
_MORE = 0.35  # a second phrase for the same tag says less than the first
_ALSO = 2.0  # a score that makes a further tag


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """A tag or a signal, how clearly it is said, and by which words."""

    name: str
    score: float
    because: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Weighed:
    """What the words of a message come to."""

    tags: tuple[Told, ...] = ()
    signals: tuple[Told, ...] = field(default=())
    priority: Priority = Priority.NORMAL
    because: str = ""


def weigh(told: Iterable[Told], text: str, folded: str) -> Weighed:
    """Rank the tags, decide a priority, and say why."""
    best: dict[str, Told] = {}
    signals: dict[str, Told] = {}
    for one in told:
        if one.name in SIGNALS:
            signals.setdefault(one.name, one)
        elif one.name in best:
            first = best[one.name]
            best[one.name] = Told(name=one.name, score=first.score + one.score * _MORE, because=first.because)
        else:
            best[one.name] = one
    if "anger" not in signals and (shouted := _shouting(text)):
        signals["anger"] = Told(name="anger", score=1.0, because=shouted)
    ranked = tuple(sorted(best.values(), key=lambda one: (-one.score, _ORDER.get(one.name, 99))))
    priority, reason = _priority(ranked, signals)
    parts = [f"{one.name}: {one.because}" for one in ranked[:1]]
    parts += [f"{priority.name.lower()}: {reason}"] if reason else []
    return Weighed(tags=ranked, signals=tuple(signals.values()), priority=priority, because="; ".join(parts))


def _priority(ranked: tuple[Told, ...], signals: dict[str, Told]) -> tuple[Priority, str]:
    main = ranked[0].name if ranked else ""
    tags = {one.name for one in ranked if one.score >= _ALSO} | ({main} if main else set())

    def why(*names: str) -> str:
        return ", ".join(f"{SIGNALS[name]} ({signals[name].because})" for name in names)

    if main == "spam":
        return Priority.LOW, ""
    for name in _URGENT:
        if name in signals and (name != "unanswered" or main not in _BEFORE_BUYING):
            return Priority.URGENT, why(name)
    if "legal" in tags:
        return Priority.URGENT, next(one.because for one in ranked if one.name == "legal")
    if tags & _MUST_BE_CAUGHT and "calm" not in signals:
        for name in ("leaving", "soon"):
            if name in signals:
                return Priority.URGENT, why(name)
    if "event" in signals and "soon" in signals and main not in _BEFORE_BUYING | {"praise"}:
        return Priority.URGENT, why("event", "soon")
    usual = _USUAL.get(main, Priority.NORMAL)
    for name in ("loss", "overdue"):
        if name in signals and usual > Priority.HIGH and main not in _CAN_WAIT:
            return Priority.HIGH, why(name)
    if main == "praise":
        return Priority.LOW, ""
    if "calm" in signals and main in _CAN_WAIT:
        return Priority.LOW, why("calm")
    if "complaint" in tags and usual > Priority.HIGH:
        return Priority.HIGH, next(one.because for one in ranked if one.name == "complaint")
    if "anger" in signals and usual is Priority.NORMAL and main not in _BEFORE_BUYING and main:
        return Priority.HIGH, why("anger")
    return usual, ""


def _shouting(text: str) -> str:
    """Mild anger: a message mostly in capitals, or one that ends its sentences with three marks or more."""
    letters = [char for char in text[:400] if char.isalpha()]
    capitals = sum(1 for char in letters if char.isupper())
    if len(letters) >= 12 and capitals * 10 > len(letters) * 7:
        return "written in capitals"
    if "!!!" in text or "???" in text or "?!?" in text:
        return "ends with " + ("!!!" if "!!!" in text else "???")
    return ""
