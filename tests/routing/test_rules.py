"""The rules of a shop: what they take, what they do, and how every mistake in them is told."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from channels.message import Address, Proof
from inbox.changes import AddTag, Assign, Priority, RemoveTag, SetPriority, SetTeam, State
from routing.rules import Known, Outcome, Rules, RulesProblems, Subject, starter_text
from routing.weighing import TAGS

AYSE = "U0AYSE0001"
KNOWN = Known(
    teams=("support", "founders", "warehouse"),
    channels={"bot": "telegram", "mail": "email"},
    languages=("tr", "ru", "en", "de-AT"),
    agents=frozenset({AYSE}),
)
MAIL = Address(kind="email", value="Pat@BigCustomer.example")


def rules(text: str, known: Known = KNOWN) -> Rules:
    return Rules.parse(text, file="rules.toml", known=known)


def rule(when: str, then: str = 'add_tags = ["praise"]', *, name: str = "A rule", more: str = "") -> str:
    return f'[[rules]]\nname = "{name}"\nwhen = {{ {when} }}\nthen = {{ {then} }}\n{more}\n'


def subject(text: str = "hello", **more: Any) -> Subject:
    usual: dict[str, Any] = {
        "channel": "bot",
        "kind": "telegram",
        "language": "en",
        "team": "support",
        "address": Address(kind="telegram", value="4711"),
    }
    return Subject(text=text, **(usual | more))


def decide(text: str, about: Subject) -> Outcome:
    return rules(text).decide(about)


def fires(when: str, about: Subject, *, more: str = "") -> bool:
    return bool(decide(rule(when, more=more), about).fired)


# --- conditions


@pytest.mark.parametrize(
    ("when", "yes", "no"),
    [
        ('says = ["chargeback"]', {"text": "I'll file a CHARGEBACK!"}, {"text": "charge it back"}),
        ('says = ["ters ibraz"]', {"text": "ters ibrazı başlattım"}, {"text": "ibraz ettim"}),
        ('tags = ["legal", "refund"]', {"tags": {"refund"}}, {"tags": {"return"}}),
        ('all_tags = ["legal", "refund"]', {"tags": {"refund", "legal", "other"}}, {"tags": {"refund"}}),
        ('languages = ["tr", "ru"]', {"language": "ru"}, {"language": "en"}),
        ('languages = ["de"]', {"language": "de-AT"}, {"language": ""}),
        ('channels = ["mail"]', {"channel": "mail"}, {"channel": "bot"}),
        ('kinds = ["email"]', {"kind": "email"}, {"kind": "telegram"}),
        ('teams = ["founders"]', {"team": "founders"}, {"team": ""}),
        ("assigned = true", {"agent": AYSE}, {"agent": ""}),
        ("assigned = false", {"agent": ""}, {"agent": AYSE}),
        ('priorities = ["high", "urgent"]', {"priority": Priority.URGENT}, {"priority": Priority.NORMAL}),
        ('states = ["resolved"]', {"state": State.RESOLVED}, {"state": State.OPEN}),
        ("known = true", {"known": True}, {"known": False}),
        ("known = false", {"known": False}, {"known": True}),
        ('proof = "platform"', {"proof": Proof.AUTHENTICATED}, {"proof": Proof.CARRIER}),
        ('addresses = ["*@bigcustomer.example"]', {"address": MAIL}, {"address": Address(kind="email", value="a@b.c")}),
        ('addresses = ["email:pat*"]', {"address": MAIL}, {"address": Address(kind="x", value="pat")}),
        (
            'addresses = ["+90532*"]',
            {"address": Address(kind="phone", value="+905321234567")},
            {"address": Address(kind="phone", value="+4905321234567")},
        ),
        ('subject = ["*fatura*"]', {"subject": "Re: FATURA  eksik"}, {"subject": "faktura"}),
        ('subject = ["invoice*"]', {"subject": "İnvoice 7"}, {"subject": "Re: invoice 7"}),
        ('subject = ["invoice 7"]', {"subject": "invoice   7"}, {"subject": "invoice 77"}),
        ('subject = ["a*b*b"]', {"subject": "a b b"}, {"subject": "a b"}),
        ("files = true", {"files": ("image/png",)}, {"files": ()}),
        ("files = false", {"files": ()}, {"files": ("image/png",)}),
        ('files = ["image/*"]', {"files": ("text/plain", "IMAGE/png; q=1")}, {"files": ("text/plain",)}),
        ('support = "closed"', {"open": False}, {"open": True}),
        ('support = "open"', {"open": True}, {"open": False}),
        ('waiting_over = "2h"', {"waited": timedelta(hours=2, seconds=1)}, {"waited": timedelta(hours=2)}),
        ('waiting_over = "2d"', {"waited": timedelta(hours=49)}, {"waited": timedelta(hours=47)}),
        ("automatic = true", {"automatic": True}, {"automatic": False}),
        ("automatic = false", {"automatic": False}, {"automatic": True}),
    ],
)
def test_every_condition_holds_and_does_not(when: str, yes: dict[str, Any], no: dict[str, Any]) -> None:
    for facts, expected in ((yes, True), (no, False)):
        shown = {key: frozenset(value) if key == "tags" else value for key, value in facts.items()}
        assert fires(when, subject(**shown)) is expected, facts
        kept = rule("", more=f"unless = {{ {when} }}")
        assert bool(decide(kept, subject(**shown)).fired) is not expected, facts


def test_all_conditions_must_hold_and_all_of_unless() -> None:
    when = 'tags = ["legal"], languages = ["tr"]'
    assert fires(when, subject(tags=frozenset({"legal"}), language="tr"))
    assert not fires(when, subject(tags=frozenset({"legal"})))
    more = 'unless = { known = true, support = "closed" }'
    assert fires("", subject(known=True), more=more)
    assert not fires("", subject(known=True, open=False), more=more)


@pytest.mark.parametrize(
    ("says", "text", "heard"),
    [
        ("refund", "I do NOT want a refund", False),
        ("refund", "I don't want to wait. Refund!", True),
        ("iade", "iade istemiyorum", False),
        ("teslimatı istemiyorum", "teslimatı istemiyorum artık", True),
        ("keine antwort", "Ich bekomme keine Antwort", True),
        ("возврат", "мне не нужен возврат", False),
        ("возврат", "оформите vozvrat", False),  # letters of another script are read only where the language is known
        ("استرجاع", "لا أريد استرجاع", False),
        ("(call|phone) me", "please phone me", True),
        ("call .. back", "call me right back", True),
        ("chargeback", "no chargeback", False),
        ("chargeback", "without chargeback", False),
        ("chargeback", "nobody wants a chargeback", False),
        ("chargeback", "I will not do a chargeback", False),
        ("chargeback", "no chargeback? then I'll do a chargeback myself", True),
        ("lawyer", "no lawyer", False),
        ("broken", "not broken", False),
        ("broken", "it isn't broken", False),
        ("broken", "nothing is broken", False),
        ("broken", "why was I not told that it is broken", True),
        ("refund", "still no refund", True),
        ("refund", "no refund yet", True),
        ("iptal", "iptal etmeyelim", False),
        ("kırık", "kırık değil", False),
        ("Rechnung", "ohne Rechnung", False),
        ("сломано", "не сломано", False),
        ("مكسور", "غير مكسور", False),
        ("no tracking", "no tracking at all", True),
    ],
)
def test_words_are_heard_in_their_forms_and_not_where_they_are_denied(says: str, text: str, heard: bool) -> None:
    assert fires(f'says = ["{says}"]', subject(text)) is heard


def test_a_rule_for_one_language_takes_its_word_forms() -> None:
    both = 'says = ["sipariş"], languages = ["tr", "ru"]'
    assert not fires(both, subject("siparişlerimizden biri", language="tr"))
    assert fires('says = ["sipariş"], languages = ["tr"]', subject("siparişlerimizden biri", language="tr"))
    assert fires('says = ["возврат"], languages = ["ru"]', subject("oformite vozvrat", language="ru"))


def test_a_subject_line_is_read_with_the_words() -> None:
    assert fires('says = ["chargeback"]', subject("see above", subject="Chargeback"))
    assert not fires('says = ["charge .. back"]', subject("back", subject="Charge"))


class Unread(str):
    """A text that nobody may read."""

    def __getitem__(self, key: object) -> str:
        raise AssertionError("the message was read")

    __str__ = __format__ = __getitem__  # type: ignore[assignment]


def test_without_words_to_hear_a_message_is_not_read() -> None:
    plain = rule('tags = ["legal"]') + rule('says = ["chargeback"], known = true', name="B")
    assert decide(plain, subject(Unread("x"), tags=frozenset({"legal"}))).fired == ("A rule",)
    with pytest.raises(AssertionError, match="was read"):
        decide(plain, subject(Unread("x"), known=True))


# --- what follows


def test_a_rule_says_what_it_did_and_why() -> None:
    text = rule(
        'says = ["chargeback"], tags = ["legal", "payment"], channels = ["bot"]',
        'team = "founders", priority = "urgent", add_tags = ["complaint"], remove_tags = ["payment"], '
        'agent = "U0AYSE0001"',
        name="To the founders",
    )
    about = subject("chargeback now!", tags=frozenset({"legal", "payment"}))
    assert decide(text, about) == Outcome(
        changes=(
            SetTeam(team="founders"),
            SetPriority(priority=Priority.URGENT),
            RemoveTag(tag="payment"),
            AddTag(tag="complaint"),
            Assign(agent=AYSE),
        ),
        because="rule ‘To the founders’: says ‘chargeback’, tag legal and payment, through bot",
        fired=("To the founders",),
    )


def test_a_later_rule_sees_what_an_earlier_one_changed_until_one_stops() -> None:
    text = (
        rule("", 'add_tags = ["complaint"], team = "founders"', name="1")
        + rule('tags = ["complaint"], teams = ["founders"]', 'raise_to = "high"', name="2")
        + rule('priorities = ["high"]', 'remove_tags = ["complaint"]', name="3", more="stop = true")
        + rule("", 'priority = "low"', name="4")
    )
    outcome = decide(text, subject())
    assert outcome.fired == ("1", "2", "3")
    assert outcome.changes == (SetTeam(team="founders"), SetPriority(priority=Priority.HIGH))


def test_a_rule_that_changes_nothing_is_counted_and_not_told() -> None:
    about = subject(tags=frozenset({"praise"}))
    assert decide(rule(""), about) == Outcome(fired=("A rule",))
    assert decide(rule("", 'team = "support"'), about).changes == (SetTeam(team="support"),)  # it stays there


def test_raising_never_lowers_and_a_priority_does() -> None:
    urgent = subject(priority=Priority.URGENT)
    assert decide(rule("", 'raise_to = "high"'), urgent).changes == ()
    assert decide(rule("", 'priority = "high"'), urgent).changes == (SetPriority(priority=Priority.HIGH),)


@pytest.mark.parametrize("then", ['raise_to = "urgent"', 'priority = "urgent"'])
def test_machines_and_spam_are_not_made_urgent_unless_a_rule_names_machines(then: str) -> None:
    machine = subject(automatic=True)
    spam = subject(tags=frozenset({"spam"}))
    for about in (machine, spam):
        assert decide(rule("", then), about).changes == ()
    assert decide(rule("automatic = false", then), machine).changes == ()
    assert decide(rule("automatic = true", then), machine).changes == (SetPriority(priority=Priority.URGENT),)
    cleared = decide(rule("", f'{then}, remove_tags = ["spam"]'), spam)
    assert cleared.changes == (SetPriority(priority=Priority.URGENT), RemoveTag(tag="spam"))
    assert decide(rule("", 'priority = "low"'), machine).changes == (SetPriority(priority=Priority.LOW),)


def test_no_acknowledgement_stays_so() -> None:
    text = rule("", "acknowledge = false", name="1") + rule("", 'priority = "high"', name="2")
    outcome = decide(text, subject())
    assert not outcome.acknowledge
    assert "rule ‘1’: every message" in outcome.because
    assert Outcome().acknowledge


def test_a_rule_that_is_off_does_nothing_but_is_checked() -> None:
    off = rules(rule("", more="enabled = false"))
    assert (len(off), len(off.rules), off.decide(subject()).fired) == (0, 1, ())
    with pytest.raises(RulesProblems):
        rules(rule('tags = ["lega"]', more="enabled = false"))


SUBJECTS = st.builds(
    subject,
    text=st.sampled_from(["hello", "chargeback!", "no refund, please. refund"]),
    tags=st.frozensets(st.sampled_from(["legal", "spam", "praise", "refund"])),
    priority=st.sampled_from(Priority),
    team=st.sampled_from(["", *KNOWN.teams]),
    automatic=st.booleans(),
    known=st.booleans(),
)
WHENS = st.sampled_from(
    [
        "",
        'tags = ["spam", "legal"]',
        "known = true",
        'says = ["refund"]',
        'priorities = ["normal"]',
        'teams = ["support"]',
    ]
)
THENS = st.sampled_from(
    [
        'raise_to = "urgent"',
        'priority = "low"',
        'priority = "high"',
        'team = "founders"',
        'add_tags = ["spam"]',
        'remove_tags = ["legal"], add_tags = ["refund"]',
        "acknowledge = false",
    ]
)


@given(st.lists(st.tuples(WHENS, THENS), max_size=5, unique=True), SUBJECTS)
def test_changes_lead_from_the_subject_to_where_the_rules_leave_it(
    written: list[tuple[str, str]], about: Subject
) -> None:
    text = "".join(rule(when, then, name=str(number)) for number, (when, then) in enumerate(written))
    outcome = decide(text, about)
    tags = set(about.tags)
    for change in outcome.changes:
        match change:
            case AddTag(tag=tag):
                assert tag not in tags
                tags.add(tag)
            case RemoveTag(tag=tag):
                tags.remove(tag)
            case SetPriority(priority=priority):
                assert priority is not about.priority
                if about.automatic:
                    assert priority > about.priority
    moved = [change for change in outcome.changes if change != SetTeam(team=about.team)]
    assert outcome.because or not moved
    assert list(outcome.fired) == sorted(outcome.fired)


# --- mistakes


@pytest.mark.parametrize(
    ("when", "then", "key", "what"),
    [
        ("tag = 1", "", "when.tag", "is not a key that Santral knows; did you mean tags?"),
        ('tags = "legal"', "", "when.tags", 'must be a list in square brackets; write tags = ["account"]'),
        ("tags = []", "", "when.tags", "is an empty list, of which nothing can hold"),
        ('tags = ["legla"]', "", "when.tags", '"legla" is no tag; did you mean legal?'),
        ("tags = [3]", "", "when.tags", "must be text in quotes"),
        ('tags = [" "]', "", "when.tags", "has an empty entry"),
        ('all_tags = ["wholesale"]', "", "when.all_tags", "or add it to tags at the top of the file"),
        ('teams = ["founder"]', "", "when.teams", '"founder" is no team; did you mean founders?'),
        ('channels = ["shop"]', "", "when.channels", '"shop" is no channel; known are bot, mail'),
        ('kinds = ["sms"]', "", "when.kinds", "is no kind of a channel that is configured; known are telegram, email"),
        ('channels = ["bot"], kinds = ["email"]', "", "when.kinds", "none of the channels named is of this kind"),
        ('languages = ["fr"]', "", "when.languages", '"fr" is no language of the shop; known are tr, ru, en, de-AT'),
        ('priorities = ["hihg"]', "", "when.priorities", '"hihg" is no priority; did you mean high?'),
        ('states = ["closed"]', "", "when.states", '"closed" is no state; known are'),
        ('known = "yes"', "", "when.known", "must be true or false, without quotes"),
        ('proof = "sure"', "", "when.proof", '"sure" is no proof of an address'),
        ('proof = "claimed"', "", "when.proof", '"claimed" holds for every address'),
        ('support = "shut"', "", "when.support", "known are open, closed"),
        ("waiting_over = 2", "", "when.waiting_over", "must be text in quotes; write it like 30m"),
        ('waiting_over = "2 weeks"', "", "when.waiting_over", '"2 weeks" is no length of time'),
        ('waiting_over = "400d"', "", "when.waiting_over", "is no length of time up to a year"),
        ('addresses = ["*"]', "", "when.addresses", '"*" is every address; leave it out'),
        ('addresses = ["a**b"]', "", "when.addresses", "has two stars in a row; write one"),
        ('addresses = ["a?b"]', "", "when.addresses", "* stands for any characters"),
        ('addresses = ["@shop.example"]', "", "when.addresses", "is no whole address; write *@shop.example"),
        ('addresses = ["shop.example"]', "", "when.addresses", "is no whole address; write *@shop.example"),
        ('addresses = ["0532*"]', "", "when.addresses", "numbers begin with + and the country"),
        (
            'addresses = ["telegrm:4711"]',
            "",
            "when.addresses",
            '"telegrm" is no kind of address; did you mean telegram?',
        ),
        ('tags = ["legal", "legal"]', "", "when.tags", '"legal" stands there twice; take one of them out'),
        ('says = ["a?"]', "", "when.says", "between spaces; docs/rules.md"),
        ("languages = [1]", "", "when.languages", 'must be text in quotes; write "'),
        ('subject = ["**"]', "", "when.subject", "is every subject"),
        ('files = ["*.pdf"]', "", "when.files", 'is no media type; write it like "image/*"'),
        ('files = ["*/*"]', "", "when.files", "is every file; write files = true"),
        ("files = 3", "", "when.files", "must be a list in square brackets"),
        ('says = ["(refund"]', "", "when.says", "has a '(' that nothing closes; docs/rules.md"),
        ('says = ["..."]', "", "when.says", "has no words"),
        ('says = ["{money}"]', "", "when.says", "which is not in [words]"),
        ("", 'team = "foundrs"', "then.team", '"foundrs" is no team; did you mean founders?'),
        ("", "team = 3", "then.team", 'must be text in quotes; write team = "'),
        ("", 'priority = "highest"', "then.priority", '"highest" is no priority; did you mean high?'),
        ("", 'priority = "high", raise_to = "high"', "then.raise_to", "priority is set as well; keep one of the two"),
        ("", 'raise_to = "low"', "then.raise_to", "nothing is below low"),
        ("", 'add_tags = ["vip"]', "then.add_tags", '"vip" is no tag'),
        ("", 'add_tags = ["legal"], remove_tags = ["legal"]', "then.remove_tags", '"legal" is added by the same rule'),
        ("", 'agent = "ayse"', "then.agent", "copy the member id"),
        ("", 'agent = "U0BURAK001"', "then.agent", "is nobody who answers here; did you mean U0AYSE0001?"),
        ("", "acknowledge = true", "then.acknowledge", "true changes nothing"),
        ("", 'acknowledge = "no"', "then.acknowledge", "must be true or false"),
        ("", 'assign = "x"', "then.assign", "is not a key that Santral knows"),
        ('teams = ["support"]', 'team = "support"', "then", "changes nothing that `when` does not ask for already"),
        ('tags = ["legal"]', 'add_tags = ["legal"]', "then", "changes nothing"),
        ('priorities = ["high", "urgent"]', 'raise_to = "high"', "then", "changes nothing"),
    ],
)
def test_every_mistake_names_its_place_and_its_fix(when: str, then: str, key: str, what: str) -> None:
    text = f'\n[[rules]]\nname = "Odd"\nwhen = {{\n  {when}\n}}\nthen = {{ {then or "acknowledge = false"} }}\n'
    with pytest.raises(RulesProblems) as told:
        rules(text)
    (problem,) = told.value.problems
    assert (problem.file, problem.rule, problem.key) == ("rules.toml", "Odd", key)
    assert problem.line == (5 if key.startswith("when") else 7)
    assert what in f"{problem.what}; {problem.fix}"
    assert str(problem).startswith(f'rules.toml:{problem.line} "Odd" . {key}: ')


@pytest.mark.parametrize(
    ("more", "line", "what"),
    [
        ("unless = {}", 4, "holds always, so the rule never does"),
        ('unless = { tags = ["legal", "refund"] }', 4, "holds whenever the rule does, so it never fires"),
        ('unless = { proof = "carrier" }', 4, "holds whenever the rule does"),
        ('unless = { waiting_over = "1h" }', 4, "holds whenever the rule does"),
        ("unless = 3", 4, "is not a table"),
        ("stop = 1", 4, "must be true or false"),
        ("when_not = {}", 4, "is not a key that Santral knows"),
        ('team = "founders"', 4, "it belongs into then"),
        ("known = true", 4, "it belongs into when or unless"),
        ("name = 1", 4, "a key is given twice"),
    ],
)
def test_a_rule_that_can_never_hold_is_a_mistake(more: str, line: int, what: str) -> None:
    when = 'tags = ["legal"], proof = "platform", waiting_over = "2h"'
    text = f'[[rules]]\nname = "A"\nwhen = {{ {when} }}\n{more}\nthen = {{ acknowledge = false }}\n'
    with pytest.raises(RulesProblems) as told:
        rules(text)
    (problem,) = told.value.problems
    assert problem.line == line
    assert what in f"{problem.what}; {problem.fix}" or (not problem.rule and "Cannot overwrite" in problem.what)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("rule = 3", ['1 "" rule: is not a key that Santral knows; did you mean rules?']),
        ("[rules]", ['1 "" rules: is not a list of sections; write [[rules]] in double brackets, once for each']),
        ("[[rules]]", ['1 "rules[1]" : name is missing', '1 "rules[1]" : when is missing', '1 "rules[1]" : then does']),
        ('tags = ["refund"]', ['1 "" tags: "refund" is a tag that Santral brings']),
        ('tags = ["danger"]', ['1 "" tags: "danger" is a word that Santral keeps for itself; choose another']),
        ('tags = ["ok",\n"ok"]', ['2 "" tags: "ok" stands there twice; take one of them out']),
        ('tags = [\n"ok",\n"Big"]', ['3 "" tags: "Big" is no name for a tag']),
        ('[[phrases]]\ntag = "vip"', ['1 "" phrases[1]: words are missing', '2 "" phrases[1].tag: "vip" is no tag']),
        ('[[phrases]]\nwords = ["a("]', ['1 "" phrases[1]: tag is missing', "2 \"\" phrases[1].words: 'a(' has"]),
        (
            '[[phrases]]\ntag = "legal"\nlanguage = "trr"\nwords = ["x"]',
            ['3 "" phrases[1].language: "trr" is no language here; did you mean tr?'],
        ),
        ("\n\na = b", ['3 "" : Invalid value (at line 3, column 5)']),
    ],
)
def test_mistakes_outside_of_a_rule(text: str, told: list[str]) -> None:
    with pytest.raises(RulesProblems) as wrong:
        rules(text)
    said = [f'{one.line} "{one.rule}" {one.key}: {one.what}; {one.fix}' for one in wrong.value.problems]
    assert len(said) == len(told), said
    for line, beginning in zip(said, told, strict=True):
        assert line.startswith(beginning)


def test_known_words_are_listed_in_an_order_that_stays() -> None:
    known = Known(
        **{**{name: getattr(KNOWN, name) for name in ("teams", "channels", "languages")}, "tags": frozenset("edcba")}
    )
    with pytest.raises(RulesProblems) as told:
        rules(rule('tags = ["zzzzzz"]', 'add_tags = ["a"]'), known)
    assert "known are a, b, c, d, e," in str(told.value)


@pytest.mark.parametrize("address", ["telegram:4711", "Phone:+90532*", "email:*@shop.example", "*:4711", "+90532*"])
def test_an_address_may_be_written_with_its_kind(address: str) -> None:
    rules(rule(f'addresses = ["{address}"]'))


def test_all_mistakes_are_told_at_once_from_top_to_bottom() -> None:
    text = (
        rule('tags = ["x1"]', 'team = "x2"', name="One")
        + rule('teams = ["x3"], says = ["(" ]', name="one", more="stop = 3")
        + rule("", name="Everything", more="stop = true")
        + rule("", name="Late")
        + 'tag = "x4"\n'
    )
    with pytest.raises(RulesProblems) as told:
        rules(text)
    lines = [problem.line for problem in told.value.problems]
    assert lines == sorted(lines)
    words = str(told.value)
    for said in (
        "x1",
        "x2",
        "x3",
        "nothing closes",
        "same name",
        "true or false",
        "never reached",
        "tag: is not a key",
    ):
        assert said in words
    assert len(lines) == 8


def test_a_file_that_cannot_be_read_is_told_as_one_problem(tmp_path: Path) -> None:
    (tmp_path / "latin.toml").write_bytes("# schön".encode("latin-1"))
    for name, said in (("absent.toml", "cannot be read"), ("latin.toml", "is not UTF-8")):
        with pytest.raises(RulesProblems, match=said):
            Rules.read(tmp_path / name, known=KNOWN)
    (tmp_path / "fine.toml").write_bytes(b"\xef\xbb\xbf" + rule("").encode())
    assert len(Rules.read(tmp_path / "fine.toml", known=KNOWN)) == 1


KEYS = st.sampled_from(
    ["tags", "rules", "phrases", "when", "unless", "then", "name", "says", "files", "words", "tag", "team", "x"]
)


@given(
    st.recursive(
        st.text("a*(|) ", max_size=4) | st.integers() | st.booleans() | st.floats(),
        lambda inner: st.lists(inner, max_size=2) | st.dictionaries(KEYS, inner, max_size=3),
        max_leaves=12,
    )
)
def test_whatever_stands_in_a_file_it_is_read_or_told(content: object) -> None:
    for key in ("tags", "phrases", "rules"):
        try:
            rules(f"{key} = {_toml(content)}")
        except RulesProblems as told:
            assert all(problem.line == 1 and problem.what for problem in told.problems)


def _toml(value: object) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key} = {_toml(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_toml, value)) + "]"
    if isinstance(value, str):
        return f'"{value}"'
    return str(value).lower()


# --- the starter file


@pytest.mark.parametrize("team", ["support", "Destek_1", "x"])
@pytest.mark.parametrize("languages", [("tr",), ("fr", "en"), ("ar", "de-AT")])
def test_the_starter_file_fits_every_shop(team: str, languages: tuple[str, ...]) -> None:
    found = Rules.starter(Known(teams=(team,), languages=languages))
    assert len(found) == len(found.rules) >= 3
    assert {language for _, language, _ in found.phrases} == {"tr", "ru", "en", "de", "ar"}
    assert found.tags == {"wholesale", "partnership"}
    assert not any(rule.when.says or rule.then.team for rule in found.rules)


def test_the_starter_rules_keep_spam_down_and_threats_up() -> None:
    starter = Rules.starter(KNOWN)
    spam = starter.decide(subject(tags=frozenset({"spam", "legal"})))
    assert (spam.changes, spam.acknowledge) == ((SetPriority(priority=Priority.LOW),), False)
    assert starter.decide(subject(tags=frozenset({"legal"}))).changes == (SetPriority(priority=Priority.HIGH),)
    assert starter.decide(subject(tags=frozenset({"order-status"}))) == Outcome()


def test_every_example_of_the_starter_file_works_once_its_marks_are_taken_away() -> None:
    text = re.sub(r"^#(?=[^ \n])", "", starter_text(), flags=re.M)
    text = text.replace('"partnership"]', '"partnership", "vip"]', 1)
    known = Known(
        teams=("support", "founders", "almaty", "warehouse", "sales"),
        channels={"bot": "telegram", "mail": "email"},
        languages=("tr", "ru"),
    )
    found = rules(text, known)
    assert len(found.rules) >= 12
    assert {rule.name for rule in found.rules if not rule.enabled} == {"Sale days: coupon questions first"}
    assert all(tag in {*TAGS, *found.tags} for tag, _, _ in found.phrases)
