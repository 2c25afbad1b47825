"""From the phrases that were heard to tags and a priority. Pure.

Rule: every step that raises a priority leaves a reason an agent can check against the message.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

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
DENIABLE = frozenset({"return", "refund", "cancel", "change-order", "complaint", "legal"})  # may be not wanted
SAID_NOT = frozenset({"damaged", "legal"})  # unsaid by a plain "not"; "no refund yet" is about a refund all the same

STRENGTHS = {"clear": 3.0, "likely": 2.0, "hint": 1.0}  # a clear phrase is enough alone; two hints are a likely one

# What a message may say beside its tags, in words for the agent. Those of _URGENT ask for an answer at once.
SIGNALS = {
    "danger": "somebody may be hurt",
    "fraud": "a charge or access that is not theirs",
    "unanswered": "wrote several times without an answer",
    "soon": "time runs out",
    "leaving": "about to be shipped",
    "event": "needed for a date",
    "overdue": "later than promised",
    "loss": "money is missing",
    "anger": "angry",
    "calm": "says it can wait",
    "idle": "needs no answer",
}
_URGENT = ("danger", "fraud", "unanswered")

_USUAL = {
    "delivery-problem": Priority.HIGH,
    "damaged": Priority.HIGH,
    "wrong-item": Priority.HIGH,
    "complaint": Priority.HIGH,
    "legal": Priority.URGENT,
    "praise": Priority.LOW,
    "spam": Priority.LOW,
}
_LATE_MATTERS = frozenset({"refund", "return", "order-status", "account"})
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
    at: int = 0  # where in the text it is said


@dataclass(frozen=True, slots=True, kw_only=True)
class Weighed:
    """What the words of a message come to."""

    tags: tuple[Told, ...] = ()
    signals: tuple[Told, ...] = field(default=())
    priority: Priority = Priority.NORMAL
    because: str = ""


def weigh(told: Iterable[Told], text: str) -> Weighed:
    """Rank the tags, decide a priority, and say why."""
    best: dict[str, Told] = {}
    signals: dict[str, Told] = {}
    for one in told:
        if one.name in SIGNALS:
            signals.setdefault(one.name, one)
        elif one.name in best:
            first = best[one.name]
            score = first.score + one.score * _MORE
            best[one.name] = Told(name=one.name, score=score, because=first.because, at=min(first.at, one.at))
        else:
            best[one.name] = one
    if "anger" not in signals and (shouted := _shouting(text)):
        signals["anger"] = Told(name="anger", score=1.0, because=shouted)
    ranked = _ranked(best)
    priority, reason = _priority(ranked, signals)
    parts = [f"{one.name}: {one.because}" for one in ranked[:1]]
    parts += [f"{priority.name.lower()}: {reason}"] if reason else []
    return Weighed(tags=ranked, signals=tuple(signals.values()), priority=priority, because="; ".join(parts))


def _ranked(best: dict[str, Told]) -> tuple[Told, ...]:
    """The clearest first, of equals the graver; a greeting or a question about ourselves never beats a matter."""
    other = best.get("other")
    if other is not None and any(one is not other and one.score >= _ALSO for one in best.values()):
        best = {**best, "other": replace(other, score=min(other.score, 1.0))}
    return tuple(sorted(best.values(), key=lambda one: (-one.score, _ORDER.get(one.name, 99))))


def _priority(ranked: tuple[Told, ...], signals: dict[str, Told]) -> tuple[Priority, str]:
    main = ranked[0].name if ranked else ""
    tags = {one.name for one in ranked if one.score >= _ALSO}

    def why(*names: str) -> str:
        return ", ".join(f"{SIGNALS[name]} ({signals[name].because})" for name in names)

    if main == "spam":
        return Priority.LOW, ""
    for name in _URGENT:
        if name in signals and (name == "danger" or main not in _BEFORE_BUYING | {"praise", "delivery-problem"}):
            return Priority.URGENT, why(name)
    if "legal" in tags and main not in _BEFORE_BUYING:
        return Priority.URGENT, next(one.because for one in ranked if one.name == "legal")
    if "calm" not in signals:
        if main in _MUST_BE_CAUGHT & tags and "soon" in signals:
            return Priority.URGENT, why("soon")
        if tags & _MUST_BE_CAUGHT and "leaving" in signals:
            return Priority.URGENT, why("leaving")
    if "event" in signals and "soon" in signals and main not in _BEFORE_BUYING | {"praise"}:
        return Priority.URGENT, why("event", "soon")
    usual = _USUAL.get(main, Priority.NORMAL)
    if usual is Priority.LOW:
        return usual, ""
    for name, where in (("calm", _CAN_WAIT), ("idle", _CAN_WAIT)):
        if name in signals and main in where:
            return Priority.LOW, why(name)
    if usual is Priority.NORMAL and main not in _BEFORE_BUYING:
        if "loss" in signals:
            return Priority.HIGH, why("loss")
        if "overdue" in signals and main in _LATE_MATTERS:
            return Priority.HIGH, why("overdue")
        serious = tags & {"complaint", "delivery-problem", "damaged", "wrong-item"}
        if serious:
            told = next(one for one in ranked if one.name in serious)
            return Priority.HIGH, f"{told.name}, {told.because}"
        if "anger" in signals and main not in ("", "other"):
            return Priority.HIGH, why("anger")
    return usual, ""


def _shouting(text: str) -> str:
    """Mild anger: a message that ends its sentences with three marks or more. Capitals alone are only a keyboard."""
    if "!!!" in text or "???" in text or "?!?" in text:
        return "ends with " + ("!!!" if "!!!" in text else "???")
    return ""
