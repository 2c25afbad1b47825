"""From `santral.toml`, its rules and its texts to one policy: whole, or refused with every mistake at once."""

from __future__ import annotations

import gc
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from app.config import Config, load
from app.policy import policy_of, read
from app.problems import ConfigProblems
from inbox.changes import Priority
from routing.assignment import Method
from routing.promises import Allowance, Promise
from tests.app.test_config import BOT, ENVIRON, GOOD, SHOP, SLACK, TEAM

RULES = """
tags = ["vip"]

[[phrases]]
tag = "vip"
words = ["gold card"]

[[rules]]
name = "vips first"
when = { tags = ["vip"] }
then = { priority = "high" }
"""
REPLY = """
[where-is-it]
title = "{title}"
text = "{text}"
"""
NEVER = 'hours = "Mo-Fr 09:00-18:00; Mo-Su off"\n'


class Files:
    """A folder with a configuration, and what it names."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.path = folder / "santral.toml"

    def write(self, text: str, name: str = "santral.toml") -> None:
        path = self.folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")

    def load(self) -> Config:
        return load(self.path, ENVIRON)

    def said(self, *, reading: bool = False) -> list[str]:
        """What is wrong with the policy, or already with reading the configuration."""
        with pytest.raises(ConfigProblems) as caught:
            if reading:
                read(self.path, ENVIRON)
            else:
                policy_of(self.load())
        return [str(problem) for problem in caught.value.problems]


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(tmp_path)


def team(keys: str = "", name: str = "support") -> str:
    return TEAM.replace("support", name) + keys


def test_a_shop_that_says_nothing_has_our_rules_words_and_texts(files):
    files.write(GOOD)
    policy = policy_of(files.load())
    assert policy.first.name == "support"
    assert policy.first.hours is None
    assert policy.first.method is None
    assert len(policy.phrases) > 1_000
    assert policy.replies.names()
    assert policy.kinds == {"bot": "telegram"}
    assert policy.targets.of("support", Priority.URGENT, Promise.FIRST) is None
    assert policy.acknowledges
    assert policy.model


def test_everything_that_is_said_is_in_it(files):
    files.write(RULES, "rules.toml")
    files.write(REPLY.format(title="Nerede", text="{{ shop }} arıyor"), "texts/tr.toml")
    files.write(
        'rules = "rules.toml"\ntemplates = "texts"\nmodel = false\n'
        + SHOP
        + 'exceptions = { "2026-11-27" = "off", "2026-11-30" = "10:00-11:00" }\n'
        + SLACK
        + team(
            'hours = "Mo-Fr 09:00-18:00; PH off"\nexceptions = { 2026-11-30 = "off" }\nlanguages = ["ru"]\n'
            'tags = ["vip", "refund"]\nassign = "least_busy"\ncapacity = 4\npatience = "45m"\n'
            'targets = { urgent = { first_answer = "15m" } }\n'
            'escalate = { mention = ["S0123456789"], raise_priority = false, move_to = "founders" }\n'
        )
        + team('hours = "Mo-Fr 09:00-18:00"\ntimezone = "Europe/Berlin"\n', "founders")
        + BOT
        + '[targets]\nurgent = { first_answer = "1h", resolution = "2d" }\n'
        + '[acknowledge]\nlong_wait = "2h"\nper_minute = 7\nenabled = false\n'
        + '[[agents]]\nid = "U0123456789"\nskills = ["vip"]\nlanguages = ["ru"]\ncapacity = 2\n'
        + 'hours = "Mo-Su 12:00-20:00"\n'
    )
    policy = policy_of(files.load())
    support, founders = policy.teams.values()
    assert [rule.name for rule in policy.rules.rules] == ["vips first"]
    assert policy.phrases.read("I have a Gold Card").tags[0].name == "vip"
    assert policy.replies.render("where-is-it", "tr", {}).text.endswith("arıyor")
    assert (support.languages, support.tags) == (frozenset({"ru"}), frozenset({"vip", "refund"}))
    assert (support.method, support.capacity, support.patience) == (Method.LEAST_BUSY, 4, timedelta(minutes=45))
    assert (support.escalation.mention, support.escalation.raise_priority, support.escalation.move_to) == (
        ("S0123456789",), False, "founders",
    )  # fmt: skip
    assert policy.targets.of("support", Priority.URGENT, Promise.FIRST) == Allowance.parse("15m")
    assert policy.targets.of("support", Priority.URGENT, Promise.RESOLUTION) == Allowance.parse("2d")
    assert policy.targets.of("founders", Priority.URGENT, Promise.FIRST) == Allowance.parse("1h")
    assert (policy.limits.long_wait, policy.limits.per_minute) == (timedelta(hours=2), 7)
    assert (policy.acknowledges, policy.model) == (False, False)
    agent = policy.agents["U0123456789"]
    assert (agent.skills, agent.languages, agent.capacity) == (frozenset({"vip"}), frozenset({"ru"}), 2)

    def open_at(hours, day: int, hour: int) -> bool:
        assert hours is not None
        return hours.open_at(datetime(2026, 11, day, hour, tzinfo=UTC))

    assert open_at(support.hours, 26, 6)  # 09:00 in Istanbul
    assert not open_at(founders.hours, 26, 6)  # 07:00 in Berlin
    assert not any(open_at(hours, 27, 10) for hours in (support.hours, founders.hours, agent.hours))
    assert not open_at(support.hours, 30, 7)  # its own exception, over the shop's
    assert open_at(agent.hours, 30, 7)  # the shop's exception, over their own hours


# --- What is wrong --------------------------------------------------------------------------------------------------


def test_hours_that_never_open_names_that_nobody_has_and_regions_are_told_at_once(files):
    files.write(
        SHOP.replace('"TR"', '"DE"\nregion = "BX"')
        + SLACK
        + team(NEVER + 'tags = ["refund", "retrun", "gold"]\nlanguages = ["ru", "de"]\n')
        + BOT
        + '[[agents]]\nid = "U0123456789"\nskills = ["refnd"]\nlanguages = ["de"]\n'
        + 'hours = "Mo 09:00-10:00; Mo 11:00-12:00"\n'
    )
    others = "add it to languages of [shop], which are tr, ru, en"
    assert files.said() == [
        'shop.region: "BX" is no region of DE with holidays of its own; '
        "write the code that stands behind the country, like BY for DE-BY, or leave it out",
        f'teams[1] "support" . languages[2]: "de" is no language of the shop; {others}',
        'teams[1] "support" . tags[2]: "retrun" is neither a tag of Santral nor of the rules file; '
        "did you mean return?",
        'teams[1] "support" . tags[3]: "gold" is neither a tag of Santral nor of the rules file; '
        'add it to the rules file: tags = ["…"]',
        'teams[1] "support" . hours: "Mo-Fr 09:00-18:00; Mo-Su off" is never open; '
        "write hours such as Mo-Fr 09:00-18:00",
        f'agents[1] "U0123456789" . languages[1]: "de" is no language of the shop; {others}',
        'agents[1] "U0123456789" . skills[1]: "refnd" is neither a tag of Santral nor of the rules file; '
        "did you mean refund?",
        'agents[1] "U0123456789" . hours: "Mo 09:00-10:00" has no effect; a later part replaces it on all its days; '
        "several spans of a day are joined by a comma, as in Mo-Fr 09:00-12:00,13:00-18:00",
    ]


def test_public_holidays_of_a_country_that_nobody_knows(files):
    files.write(SHOP.replace('"TR"', '"TA"') + SLACK + team('hours = "Mo-Fr 09:00-18:00; PH off"\n') + BOT)
    assert files.said() == [
        'teams[1] "support" . hours: the public holidays of "TA" are not known, so PH means nothing; '
        "leave PH out and list the days under exceptions"
    ]
    files.write(SHOP.replace('"TR"', '"TA"') + SLACK + team('hours = "Mo-Fr 09:00-18:00"\n') + BOT)
    assert policy_of(files.load()).first.hours is not None


def test_holidays_of_a_region(files):
    texts = SHOP.replace('"TR"', '"DE"\nregion = "by"').replace("Europe/Istanbul", "Europe/Berlin")
    files.write(texts + SLACK + team('hours = "Mo-Fr 09:00-18:00; PH off"\n') + BOT)
    hours = policy_of(files.load()).first.hours
    assert hours is not None
    assert not hours.open_at(datetime(2026, 1, 6, 12, tzinfo=UTC))  # Epiphany: free in Bavaria, not in Berlin


def test_rules_and_texts_are_named_with_file_and_line(files):
    files.write('[[rules]]\nname = "x"\nwhen = { tgas = ["refund"] }\nthen = { team = "suport" }\n', "rules.toml")
    files.write(REPLY.format(title="Nerede", text="{{ ordr }}"), "texts/tr.toml")
    files.write(
        '[[approved]]\nname = "late"\nchannel = "bot"\nlanguage = "tr"\ncategory = "utility"\n', "texts/approved.toml"
    )
    files.write('rules = "rules.toml"\ntemplates = "texts"\n' + GOOD)
    rule, then, text, approved = files.said()
    assert rule == 'rules.toml:3 "x" . when.tgas: is not a key that Santral knows; did you mean tags?'
    assert then == 'rules.toml:4 "x" . then.team: "suport" is no team; did you mean support?'
    assert text == 'texts/tr.toml:4 "where-is-it" . text: ordr is not a variable; did you mean order?'
    assert approved.startswith("texts/approved.toml:1 ")


def test_tags_are_not_called_unknown_while_the_file_that_may_name_them_is_wrong(files):
    files.write(RULES + "thn = 1\n", "rules.toml")
    files.write('rules = "rules.toml"\n' + SHOP + SLACK + team('tags = ["vip"]\n') + BOT)
    (problem,) = files.said()
    assert problem.startswith('rules.toml:12 "vips first" . thn: ')


def test_a_text_too_long_for_a_channel(files):
    files.write(REPLY.format(title="Nerede", text="a" * 5000), "texts/tr.toml")
    files.write('templates = "texts"\n' + GOOD)
    (problem,) = files.said()
    assert problem.startswith(
        'texts/tr.toml:4 "where-is-it" . text: is too long for the channel bot, which takes 4096;'
    )


def test_a_wrong_file_and_everything_it_names_are_told_in_one_reading(files):
    files.write('[[rules]]\nname = "x"\nwhen = { tgas = ["refund"] }\nthen = { team = "night" }\n', "rules.toml")
    files.write(REPLY.format(title="Nerede", text="{{ ordr }}"), "texts/tr.toml")
    files.write(
        'rules = "rules.toml"\ntemplates = "texts"\nlisen = ":80"\n'
        + GOOD.replace("C0123456789", "#support")
        + team(NEVER + 'patience = "soon"\ntags = ["retrun"]\n', "night")
    )
    assert [problem.partition(": ")[0] for problem in files.said(reading=True)] == [
        "lisen",
        'teams[1] "support" . slack_channel',
        'teams[2] "night" . patience',
        'rules.toml:3 "x" . when.tgas',
        'teams[2] "night" . hours',
        'texts/tr.toml:4 "where-is-it" . text',
    ]


def test_reading_a_right_file_gives_its_configuration(files):
    files.write(GOOD)
    assert read(files.path, ENVIRON) == files.load()


# --- What it costs --------------------------------------------------------------------------------------------------


def test_what_has_not_changed_is_not_compiled_again(files):
    files.write(GOOD)
    first = policy_of(files.load())
    files.write(SHOP + SLACK + team('hours = "Mo-Fr 09:00-18:00"\n') + BOT)
    assert policy_of(files.load()).phrases is first.phrases
    files.write(RULES, "rules.toml")
    files.write('rules = "rules.toml"\n' + GOOD)
    assert policy_of(files.load()).phrases is not first.phrases


def test_garbage_is_looked_for_again_afterwards(files):
    files.write(GOOD)
    assert gc.isenabled()
    policy_of(files.load())
    assert gc.isenabled()
    files.write(SHOP + SLACK + team(NEVER) + BOT)
    files.said()
    assert gc.isenabled()
