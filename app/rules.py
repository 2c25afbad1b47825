"""`santral rules`: the shop's rules file, read aloud, and tried on what customers have written lately.

Rule: trying changes nothing, neither in the database nor anywhere else, and no customer's words reach the terminal raw.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from app.options import DEFAULT_FILE, AsJson, ConfigFile, part
from app.terminal import FAILED, print_table, say

if TYPE_CHECKING:
    from app.config import IntakeConfig
    from inbox.store.database import Database
    from routing.policy import Policy
    from routing.rereading import Difference
    from routing.rules import Problem, Rules

ROWS = 50  # differences that are shown one by one
CONVERSATIONS, MESSAGES = 100, 500  # read at once
WORDS, REASON = 70, 120  # characters of a customer's words and of a reason in the table
LONGEST = 3650  # days

rules = typer.Typer(help="Check the rules, and try them on what customers wrote.", no_args_is_help=True)

File = Annotated[
    Path | None,
    typer.Argument(metavar="[FILE]", help="A rules file; without it the one that the configuration names."),
]

# --- Check


@rules.command("check")
def check(file: File = None, config: ConfigFile = DEFAULT_FILE, as_json: AsJson = False) -> None:
    """Read the rules to you, or everything that is wrong with them."""
    settings = _settings(config, file)
    found = _read(settings, as_json=as_json)
    phrases = sum(len(words) for _, _, words in found.phrases) + sum(len(rule.when.says) for rule in found.rules)
    if as_json:
        listed = [{"name": rule.name, "line": rule.line, "enabled": rule.enabled} for rule in found.rules]
        _json({"file": _name(settings), "ok": True, "rules": listed, "phrases": phrases, "problems": []})
        return
    _table(
        ("line", "rule", "when", "then"),
        (
            (
                str(rule.line),
                _plain(rule.name) + ("" if rule.enabled else " (off)"),
                _asked(rule.when) + (f", unless {_asked(rule.unless)}" if rule.unless is not None else ""),
                _done(rule.then, stop=rule.stop),
            )
            for rule in found.rules
        ),
    )
    say(f"{_name(settings)}: {_many(len(found.rules), 'rule')}, {_many(phrases, 'phrase')}, all fine.")


def _read(settings: IntakeConfig, *, as_json: bool) -> Rules:
    """The rules; what is wrong with them is shown, and the command ends."""
    from app.policy import known_of, rules_of
    from routing.rules import RulesProblems

    try:
        return rules_of(settings, known_of(settings))
    except RulesProblems as wrong:
        problems = [_in_words(problem) for problem in wrong.problems]
    if as_json:
        shown = [asdict(problem) for problem in problems]
        _json({"file": _name(settings), "ok": False, "rules": [], "phrases": 0, "problems": shown})
    else:
        for problem in problems:
            inner = " . ".join(part for part in (f'"{problem.rule}"' if problem.rule else "", problem.key) if part)
            say(_plain(f"{problem.file}:{problem.line}  {inner}"))
            say(f"    {_plain(problem.what)}")
            if problem.fix:
                say(f"    → {_plain(problem.fix)}")
        say(f"{_name(settings)}: {_many(len(problems), 'problem')}. The rules in force stay as they are.")
    raise typer.Exit(FAILED)


def _in_words(problem: Problem) -> Problem:
    """A slip of TOML itself, put into words."""
    from app.problems import misread

    if problem.rule or problem.key or " (at " not in problem.what:
        return problem
    said = misread(problem.what)
    return replace(problem, key=said.key, what=said.what, fix=said.fix)


def _asked(conditions: Any) -> str:
    parts = [f"{name} {_value(value)}" for name, value in conditions.given().items()]
    return ", ".join(parts) or "every message"


def _done(then: Any, *, stop: bool) -> str:
    parts = [
        f"team {then.team}" if then.team else "",
        f"priority {_value(then.priority)}" if then.priority is not None else "",
        f"at least {_value(then.raise_to)}" if then.raise_to is not None else "",
        f"tag {_value(then.add_tags)}" if then.add_tags else "",
        f"no tag {_value(then.remove_tags)}" if then.remove_tags else "",
        f"to {then.agent}" if then.agent else "",
        "" if then.acknowledge else "no acknowledgement",
        "stop" if stop else "",
    ]
    return ", ".join(filter(None, parts))


def _value(value: object) -> str:
    """A condition's value as a person would say it; of long lists the beginning."""
    from enum import IntEnum

    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, IntEnum):
        return value.name.lower()
    if isinstance(value, timedelta):
        return f"{value.total_seconds() / 3600:g} h"
    if isinstance(value, (frozenset, tuple)):
        said = [_value(one) for one in (value if isinstance(value, tuple) else sorted(value))]
        return "/".join(said[:3]) + ("/…" if len(said) > 3 else "")
    return _plain(str(value))


# --- Try


@dataclass(slots=True, kw_only=True)
class Tried:
    """What trying came to. `shown` are the first differences, `counts` how many conversations each kind is about."""

    since: datetime
    messages: int = 0
    conversations: int = 0
    changed: int = 0
    fired: Counter[str] = field(default_factory=Counter)  # messages, by rule
    fired_in: Counter[str] = field(default_factory=Counter)  # conversations, by rule
    shown: list[Difference] = field(default_factory=list)
    counts: Counter[tuple[str, str]] = field(default_factory=Counter)


@rules.command("try")
def try_on_the_past(
    file: File = None,
    days: Annotated[int, typer.Option(min=1, max=LONGEST, help="How far back.")] = 30,
    rows: Annotated[int, typer.Option(min=0, max=10_000, help="Differences shown one by one.")] = ROWS,
    config: ConfigFile = DEFAULT_FILE,
    as_json: AsJson = False,
) -> None:
    """Read what customers wrote lately once more, and show what the rules would have done. Changes nothing."""
    settings = _settings(config, file)
    found = _read(settings, as_json=as_json)
    from app.policy import policy_of

    policy = policy_of(settings)
    since = datetime.now(UTC) - timedelta(days=days)
    tried = asyncio.run(_with_database(settings, policy, since, rows))
    if as_json:
        _json(_as_json(tried, found, days))
    else:
        show(tried, found, days)


async def _with_database(settings: IntakeConfig, policy: Policy, since: datetime, rows: int) -> Tried:
    from rich.console import Console
    from rich.progress import Progress

    from app.store import opened

    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("Reading again", total=None)
        async with opened(settings) as database:
            return await tried_on(
                database, policy, since, rows, lambda done, total: bar.update(task, completed=done, total=total)
            )


async def tried_on(
    database: Database,
    policy: Policy,
    since: datetime,
    rows: int,
    progress: Callable[[int, int], object],
    *,
    conversations: int = CONVERSATIONS,
    messages: int = MESSAGES,
) -> Tried:
    """Decide every conversation with a customer's message since then once more; so many are in memory at once."""
    from inbox.store import past
    from routing.rereading import Past, Rereading
    from routing.triage import triage

    tried = Tried(since=since)
    watched = _watched(policy.rules)
    policy = replace(policy, rules=watched)
    decide = triage(lambda: policy)
    async with past.reading(database) as c:
        total = await past.count(c, since)
    behind = done = 0
    while True:
        async with past.reading(database) as c:
            page = await past.conversations(c, since, behind=behind, limit=conversations)
            made = await past.made(c, [conversation.id for conversation in page])
        if not page:
            return tried
        behind = page[-1].id
        at = (0, 0)
        again = {
            one.id: Rereading(
                one, [Past(at=m.at, by=m.by, change=m.change, because=m.because) for m in made[one.id]], decide
            )
            for one in page
        }
        current = 0
        while True:
            async with past.reading(database) as c:
                said = await past.said(c, list(again), since, behind=at, limit=messages)
            if not said:
                break
            at = (said[-1].conversation_id, said[-1].position)
            for one in said:
                if one.conversation_id != current:
                    current = one.conversation_id
                    watched.here.clear()
                if one.message is None:
                    again[current].answered(one.at)
                else:
                    tried.messages += 1
                    again[current].received(one.message, position=one.position, at=one.at, proof=one.proof)
        for rereading in again.values():
            tried.conversations += rereading.fed
            _compare(tried, rereading.difference(), rows)
        tried.fired, tried.fired_in = watched.messages, watched.conversations
        done += len(page)
        progress(done, total)


def _compare(tried: Tried, difference: Difference | None, rows: int) -> None:
    if difference is None:
        return
    tried.changed += 1
    tried.counts.update(zip(difference.now, difference.then, strict=True))
    if len(tried.shown) < rows:
        tried.shown.append(difference)


def _watched(found: Rules) -> Any:
    """The same rules, counting how often each fires."""
    from routing.rules import Outcome, Rules, Subject

    class Watched(Rules):
        def __init__(self) -> None:
            self.__dict__.update(found.__dict__)
            self.messages: Counter[str] = Counter()
            self.conversations: Counter[str] = Counter()
            self.here: set[str] = set()  # rules that fired in this conversation

        def decide(self, subject: Subject) -> Outcome:
            outcome = super().decide(subject)
            self.messages.update(outcome.fired)
            self.conversations.update(set(outcome.fired) - self.here)
            self.here.update(outcome.fired)
            return outcome

    return Watched()


# --- Showing


def show(tried: Tried, found: Rules, days: int) -> None:
    """Print what trying came to."""
    say(
        f"{_many(tried.messages, 'message')} of customers in {_many(tried.conversations, 'conversation')}, "
        f"the last {_many(days, 'day')}, decided once more."
    )
    _table(
        ("rule", "line", "messages", "conversations"),
        (
            (
                _plain(rule.name) + ("" if rule.enabled else " (off)"),
                str(rule.line),
                f"{tried.fired[rule.name]:,}",
                f"{tried.fired_in[rule.name]:,}",
            )
            for rule in found.rules
        ),
    )
    if not tried.changed:
        say("No conversation would stand otherwise than it does today.")
        return
    say(f"{_many(tried.changed, 'conversation')} would stand otherwise today:")
    _table(
        ("customer's words", "now", "would be", "why"),
        (
            (_plain(one.words, WORDS), ", ".join(one.now), ", ".join(one.then), _plain(one.because, REASON))
            for one in tried.shown
        ),
    )
    if tried.changed > len(tried.shown):
        say(f"… and {tried.changed - len(tried.shown):,} more; --rows shows more of them. All of them, counted:")
        _table(
            ("now", "would be", "conversations"),
            ((now, then, f"{count:,}") for (now, then), count in tried.counts.most_common()),
        )
    say("What people, clocks and the learned model did was left as it happened; only words and rules decided anew.")


def _as_json(tried: Tried, found: Rules, days: int) -> dict[str, Any]:
    return {
        "days": days,
        "since": tried.since.isoformat(),
        "messages": tried.messages,
        "conversations": tried.conversations,
        "changed": tried.changed,
        "rules": [
            {
                "name": rule.name,
                "line": rule.line,
                "enabled": rule.enabled,
                "messages": tried.fired[rule.name],
                "conversations": tried.fired_in[rule.name],
            }
            for rule in found.rules
        ],
        "changes": [{**asdict(one), "at": one.at.isoformat()} for one in tried.shown],
        "counts": [
            {"now": now, "then": then, "conversations": count} for (now, then), count in tried.counts.most_common()
        ],
    }


def _plain(text: str, limit: int = 0) -> str:
    """On one line, without anything a terminal would obey or a reader be fooled by; longer than `limit` is cut."""
    line = " ".join("".join(char if char.isprintable() else " " for char in text).split())
    return line if not limit or len(line) <= limit else line[: limit - 1].rstrip() + "…"


def _many(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def _name(settings: IntakeConfig) -> str:
    from routing.rules import STARTER

    return _plain(settings.rules.name) if settings.rules is not None else f"{STARTER} (Santral's own)"


def _settings(config: Path, file: Path | None) -> IntakeConfig:
    from app.config import IntakeConfig

    settings = part(config, IntakeConfig)
    return settings if file is None else settings.model_copy(update={"rules": file.absolute()})


def _table(columns: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> None:
    print_table(columns, _clean(rows))


def _clean(rows: Iterable[tuple[str, ...]]) -> Iterator[tuple[str, ...]]:
    for row in rows:
        yield tuple(map(_plain, row))


def _json(value: object) -> None:
    """Print JSON in which a customer's controls and direction marks are spelled out."""
    text = json.dumps(value, ensure_ascii=False, indent=2)
    sys.stdout.write("".join(c if c.isprintable() or c == "\n" else json.dumps(c)[1:-1] for c in text) + "\n")
