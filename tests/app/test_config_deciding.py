"""A support lead writes hours, targets and people into `santral.toml`: what is wrong is said with key, what and fix."""

from __future__ import annotations

import string
from datetime import date
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.config import load, right_part
from app.config.deciding import day
from app.problems import ConfigProblems, Wrong
from tests.app.test_config import BOT, ENVIRON, GOOD, SECRET, SHOP, SLACK, TEAM, said

HALF_DAY = '{ "2026-12-31" = "09:00-13:00", "2027-01-02" = "off" }'


@pytest.fixture
def written(tmp_path: Path):
    def write(text: str) -> Path:
        path = tmp_path / "santral.toml"
        path.write_text(text, encoding="utf-8")
        return path

    return write


def team(keys: str) -> str:
    return SHOP + SLACK + TEAM + keys + "\n" + BOT


def shop(keys: str) -> str:
    return GOOD.replace("[shop]", "[shop]\n" + keys)


def test_everything_that_may_be_said(written, tmp_path):
    (tmp_path / "rules.toml").touch()
    (tmp_path / "texts").mkdir()
    path = written(
        'rules = "rules.toml"\ntemplates = "texts"\nmodel = false\n'
        + shop(f'region = "34"\nexceptions = {HALF_DAY}\n').replace(
            TEAM,
            TEAM
            + 'hours = "Mo-Fr 09:00-18:00; PH off"\ntimezone = "Europe/Berlin"\nexceptions = { 2027-05-01 = "off" }\n'
            'languages = ["ru"]\ntags = ["refund"]\nassign = "round_robin"\ncapacity = 4\npatience = "30m"\n'
            'targets = { urgent = { first_answer = "15m", resolution = "1d" } }\n'
            'escalate = { mention = ["S0123456789"], raise_priority = false, move_to = "founders" }\n'
            + TEAM.replace("support", "founders"),
        )
        + '[targets]\nhigh = { first_answer = "1h" }\nlow = { next_answer = "2d" }\n'
        + '[acknowledge]\nenabled = false\nlong_wait = "2h"\nper_minute = 5\n'
        + '[[agents]]\nid = "U0123456789"\nlanguages = ["tr"]\nskills = ["refund"]\ncapacity = 3\n'
        + 'hours = "Mo-Fr 22:00-06:00"\ntimezone = "Asia/Almaty"\n'
    )
    config = load(path, ENVIRON)
    assert (config.rules, config.templates, config.model) == (tmp_path / "rules.toml", tmp_path / "texts", False)
    assert config.shop.region == "34"
    assert config.shop.exceptions == {"2026-12-31": "09:00-13:00", "2027-01-02": "off"}
    support, _ = config.teams
    assert support.exceptions == {"2027-05-01": "off"}
    assert support.targets.written() == {"urgent": {"first_answer": "15m", "resolution": "1d"}}
    assert config.targets.written() == {"high": {"first_answer": "1h"}, "low": {"next_answer": "2d"}}
    assert (support.escalate.mention, support.escalate.raise_priority) == (("S0123456789",), False)
    assert (support.assign, support.capacity, support.patience) == ("round_robin", 4, "30m")
    assert config.acknowledge.long_wait == "2h"
    assert config.agents[0].hours == "Mo-Fr 22:00-06:00"


def test_what_holds_when_nothing_is_said(written):
    config = load(written(GOOD), ENVIRON)
    (support,) = config.teams
    assert (config.rules, config.templates, config.model, config.agents) == (None, None, True, ())
    assert config.targets.written() == support.targets.written() == {}
    assert (config.acknowledge.enabled, config.acknowledge.long_wait, config.acknowledge.per_minute) == (True, None, 60)
    assert (support.assign, support.capacity, support.patience, support.hours) == ("by_hand", 10, "1h", None)
    assert (support.escalate.mention, support.escalate.raise_priority, support.escalate.move_to) == ((), True, None)


def test_the_same_may_be_written_in_sections_of_its_own(written):
    sections = '[teams.targets.urgent]\nfirst_answer = "15m"\n[teams.exceptions]\n2026-12-31 = "off"\n'
    (support,) = load(written(team(sections)), ENVIRON).teams
    assert support.targets.written() == {"urgent": {"first_answer": "15m"}}
    assert support.exceptions == {"2026-12-31": "off"}


T, A = 'teams[1] "support" . ', 'agents[1] "U0123456789" . '
AGENT = '[[agents]]\nid = "U0123456789"\n'
OPEN, LONG = 'write "09:00-13:00", or "off"', "write it like 45m, 2h or 1h30m"

BROKEN = [
    # hours
    (team('hours = "Mo-Fr 9-18"'), T + 'hours: "9" is no time; write 09:00'),
    (team('hours = "Pazartesi 09:00-18:00"'), T + 'hours: "Pazartesi" is not understood; write Mo'),
    (team('hours = "Mo-Fr 09:00-18:00 sometimes"'),
     T + 'hours: "sometimes" is no day; the days are Mo Tu We Th Fr Sa Su, and PH for public holidays'),
    (team('hours = "Mo-Fr 09:00-18:00; PH"'),
     T + 'hours: "PH" does not say what is on public holidays; write "PH off", or "PH 10:00-14:00"'),
    (team("hours = 9"), T + "hours: must be text in quotes"),
    (team('hours = "${TELEGRAM_TOKEN}"'),
     T + "hours: the value of TELEGRAM_TOKEN is not a text of support hours; "
     "write it like Mo-Fr 09:00-18:00; Sa 10:00-14:00; PH off"),
    (team('timezone = "Istanbul"'), T + 'timezone: "Istanbul" is not a time zone; did you mean Europe/Istanbul?'),
    # days
    (team('exceptions = { "31.12.2026" = "off" }'),
     T + 'exceptions: "31.12.2026" is not a date; did you mean 2026-12-31?'),
    (team('exceptions = { "New Year" = "off" }'),
     T + 'exceptions: "New Year" is not a date; '
     'write the day like 2026-12-31, with year, month and day: "2026-12-31" = "off"'),
    (team('exceptions = { "2027-02-29" = "off" }'),
     T + 'exceptions: "2027-02-29" is a day that no calendar has; a month has 28 to 31 days, a year 12 months'),
    (team('exceptions = { "2026-12-31" = "9-13" }'), T + 'exceptions.2026-12-31: "9" is no time; write 09:00'),
    (team('exceptions = { "2026-12-31" = "Th 09:00-13:00" }'),
     T + f'exceptions.2026-12-31: "Th 09:00-13:00" is not the hours of one day; {OPEN}'),
    (team('exceptions = { "2026-12-31" = false }'), T + f"exceptions.2026-12-31: must be text in quotes; {OPEN}"),
    (team('exceptions = ["2026-12-31"]'), T + f"exceptions: is not a table; write it like {HALF_DAY}"),
    (shop('exceptions = { "1/1/2027" = "off" }'),
     'shop.exceptions: "1/1/2027" is not a date; did you mean 2027-01-01?'),
    (shop('region = "DE-BY"'), 'shop.region: "DE-BY" is not the code of a region; did you mean BY?'),
    (shop('region = "Bavaria"'),
     'shop.region: "Bavaria" is not the code of a region; write what stands behind the country, like BY for DE-BY'),
    # lengths of time
    (team('patience = "soon"'), T + f'patience: "soon" is no length of time; {LONG}'),
    (team('patience = "1d"'), T + f'patience: "1d" is in working days; {LONG}'),
    (team("patience = 60"), T + f"patience: must be text in quotes; {LONG}"),
    (GOOD + '[acknowledge]\nlong_wait = "2d"', f'acknowledge.long_wait: "2d" is in working days; {LONG}'),
    # targets
    (team('targets = { urgnt = { first_answer = "1h" } }'),
     T + "targets.urgnt: is not a key that Santral knows; did you mean urgent?"),
    (team('targets = { low = { first_anwser = "1h" } }'),
     T + "targets.low.first_anwser: is not a key that Santral knows; did you mean first_answer?"),
    (team('targets = { low = { first_answer = "soon" } }'),
     T + 'targets.low.first_answer: "soon" is no length of time; write 30m, 2h or 1h30m, or 2d for working days'),
    (team('targets = { low = { first_answer = "1d2h" } }'),
     T + 'targets.low.first_answer: "1d2h" mixes working days with hours; write either, as 1d or 2h00m'),
    (team('targets = { low = { first_answer = "0m" } }'),
     T + 'targets.low.first_answer: "0m" cannot be kept; write at least 1m'),
    (team('targets = { low = { resolution = "400d" } }'),
     T + 'targets.low.resolution: "400d" is longer than a year; leave the target out if there is none'),
    (team('targets = { low = "1h" }'),
     T + 'targets.low: "1h" is not a table; write it like { first_answer = "1h", resolution = "2d" }'),
    (GOOD + '[targets]\nfirst_answer = "1h"',
     "targets.first_answer: is not a key that Santral knows; write it in urgent = { first_answer = … }"),
    (GOOD + "[[targets]]", "targets: is not a section; write [targets] on a line of its own, in single brackets, "
     "and its keys below"),
    # a broken promise
    (team('escalate = { menton = ["U0123456789"] }'),
     T + "escalate.menton: is not a key that Santral knows; did you mean mention?"),
    (team('escalate = { mention = ["@anna"] }'),
     T + 'escalate.mention[1]: "@anna" is not the id of a person or user group in Slack; copy the member id from the '
     "⋮ menu of a Slack profile (U0123456789), or the id of a user group (S…)"),
    (team('escalate = { move_to = "fonders" }') + TEAM.replace("support", "founders"),
     T + "escalate.move_to: is no team; did you mean founders?"),
    (team('escalate = { move_to = "boss" }') + TEAM.replace("support", "founders"),
     T + "escalate.move_to: is no team; name one of founders"),
    (team('escalate = { move_to = "founders" }'),
     T + "escalate.move_to: is no team; leave it out: there is no other team"),
    (team('escalate = { move_to = "support" }'),
     T + "escalate.move_to: is this team itself; name another one, or leave it out"),
    (team("escalate = true"), T + 'escalate: is not a table; write it like { mention = ["S0123456789"] }'),
    (team('move_to = "founders"'),
     T + "move_to: is not a key that Santral knows; write it in escalate = { move_to = … }"),
    # people
    (GOOD + AGENT.replace("U0", "S0"),
     'agents[1].id: "S0123456789" is a user group; give each person a section, with an id that begins with U or W'),
    (GOOD + AGENT + AGENT, 'agents[2] "U0123456789" . id: agents[1] is the same person; make one section of the two'),
    (GOOD + AGENT + 'skils = ["refund"]', A + "skils: is not a key that Santral knows; did you mean skills?"),
    (GOOD + AGENT + 'name = "Ada"',
     A + "name: is not a key that Santral knows; known here are id, languages, skills, capacity, hours, timezone"),
    (GOOD + AGENT + 'capacity = "ten"', A + 'capacity: "ten" must be a whole number, without quotes'),
    (GOOD + AGENT + "capacity = 2.5", A + "capacity: must be a whole number, without quotes"),
    (GOOD + AGENT + "capacity = 0", A + "capacity: must be 1 or more"),
    (GOOD + AGENT + 'hours = "nachts"',
     A + 'hours: "nachts" is no day; the days are Mo Tu We Th Fr Sa Su, and PH for public holidays'),
    (GOOD + "[[agents]]", 'agents[1].id: is missing; add id = "U0123456789"'),
    (GOOD + '[agents]\nid = "U0123456789"',
     "agents: is not a list of sections; write [[agents]] in double brackets, once for each"),
    # the rest
    (team('assign = "round-robin"'),
     T + 'assign: must be "by_hand" or "round_robin" or "least_busy"; did you mean round_robin?'),
    (team('languages = ["turkish"]'), T + 'languages[1]: "turkish" is not a language code; did you mean tr?'),
    (GOOD + "[acknowledge]\nlong_wat = 1",
     "acknowledge.long_wat: is not a key that Santral knows; did you mean long_wait?"),
    (GOOD + "[acknowledge]\nper_minute = 0", "acknowledge.per_minute: must be 1 or more"),
    ('long_wait = "2h"\n' + GOOD, "long_wait: is not a key that Santral knows; it belongs in [acknowledge]"),
    ('skills = []\n' + GOOD, "skills: is not a key that Santral knows; it belongs in [[agents]]"),
    (shop('rules = "rules.toml"'),
     "shop.rules: is not a key that Santral knows; it belongs at the top of the file, before the first section"),
    # files
    ('rules = "none.toml"\n' + GOOD,
     'rules: "none.toml" is not there; mend the name, or leave the key out for the rules that Santral brings'),
    ('rules = "."\n' + GOOD, 'rules: "." is a folder; name a file'),
    ('rules = ""\n' + GOOD, "rules: is empty; write its value, or leave the key out if it is not needed"),
    ('templates = "none"\n' + GOOD,
     'templates: "none" is not there; mend the name, or leave the key out for the texts that Santral brings'),
    ('templates = "santral.toml"\n' + GOOD, 'templates: "santral.toml" is a file; name a folder'),
    ("templates = 7\n" + GOOD, "templates: must be text in quotes"),
    ('model = "sometimes"\n' + GOOD, "model: must be true or false, without quotes"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "line"), BROKEN, ids=[line[:70] for _, line in BROKEN])
def test_one_mistake_is_said_in_exactly_one_line(written, text, line):
    assert said(written(text)) == [line]


def test_all_days_and_targets_that_are_wrong_are_named_at_once(written):
    path = written(
        team(
            'exceptions = { "31.12.2026" = "off", "2026-13-01" = "off", 2027-01-01 = "9" }\n'
            'targets = { urgent = { first_answer = "x" }, high = { resolution = "y", next_answer = "z" } }'
        )
    )
    assert [line.partition(": ")[0].removeprefix(T) for line in said(path)] == [
        "exceptions",
        "exceptions",
        "exceptions.2027-01-01",
        "targets.urgent.first_answer",
        "targets.high.next_answer",
        "targets.high.resolution",
    ]


KEYS_OF_A_TEAM = ("hours", "timezone", "languages", "tags", "assign", "capacity", "patience", "targets", "escalate")


@pytest.mark.parametrize("from_environment", [False, True])
@pytest.mark.parametrize(
    "line",
    [f'{key} = "{SECRET}"' for key in KEYS_OF_A_TEAM]
    + [
        f'hours = "Mo-Fr {SECRET}"',
        f'exceptions = {{ "2026-12-31" = "{SECRET}" }}',
        f'escalate = {{ move_to = "{SECRET}" }}',
        f'escalate = {{ mention = ["{SECRET}"] }}',
        f'targets = {{ urgent = {{ first_answer = "{SECRET}" }} }}',
        f'targets = {{ urgent = "{SECRET}" }}',
    ],
)
def test_no_problem_shows_a_secret_at_a_wrong_key(written, line, from_environment):
    environ = {**ENVIRON, "HIDDEN": SECRET}
    if from_environment:
        line = line.replace(SECRET, "${HIDDEN}")
    for problem in said(written(team(line)), environ):
        assert SECRET not in problem
        if from_environment:
            assert not [part for part in SECRET.split("-") if len(part) > 2 and part in problem]


# --- What is right in a file that is not ----------------------------------------------------------------------------


def test_what_is_right_in_a_wrong_file_can_still_be_looked_at(written):
    path = written(
        "listne = 1\n"
        + shop('exceptions = { "x" = "off" }').replace('timezone = "Europe/Istanbul"', 'timezone = "Istanbul"')
        + TEAM.replace("support", "our team")
        + 'hours = "Mo 09:00-10:00"\npatience = "soon"\n'
        + AGENT.replace("U0", "S0")
        + 'skills = ["refund"]\n'
        + BOT.replace('"bot"', '"second"').replace("TELEGRAM_TOKEN", "NOT_SET")
    )
    part = right_part(path, ENVIRON)
    assert part is not None
    assert (part.shop.country, part.shop.timezone, part.shop.exceptions) == ("TR", "UTC", {})
    assert [(team.name, team.hours, team.patience) for team in part.teams] == [
        ("support", None, "1h"),
        ("", "Mo 09:00-10:00", "1h"),
    ]
    assert [(agent.id, agent.skills) for agent in part.agents] == [("", ("refund",))]
    assert [(channel.name, channel.kind) for channel in part.channels] == [("bot", "telegram"), ("second", "telegram")]


@pytest.mark.parametrize("text", ["", "[shop", GOOD.replace('"TR"', '"Turkey"'), GOOD.replace('"ru"', '"russian"')])
def test_without_country_and_languages_nothing_can_be_looked_at(written, text):
    assert right_part(written(text), ENVIRON) is None


# --- Whatever is written --------------------------------------------------------------------------------------------


@given(st.dates(date(1900, 1, 1), date(2999, 12, 31)))
def test_every_date_is_a_day(written_day):
    assert day(written_day.isoformat()) == written_day.isoformat()


@given(st.text(alphabet=string.digits + ".-/ W", max_size=12))
def test_whatever_is_written_for_a_day_it_is_one_or_refused(text):
    try:
        found = day(text)
    except Wrong as wrong:
        assert wrong.fix
    else:
        assert date.fromisoformat(found).isoformat() == found == text


VALUES = st.recursive(
    st.none().map(lambda _: "true")
    | st.integers(-5, 70).map(str)
    | st.text(string.ascii_letters, max_size=6).map(repr),
    lambda inner: (
        st.lists(inner, max_size=3).map(lambda items: "[" + ", ".join(items) + "]")
        | st.dictionaries(st.sampled_from(["urgent", "mention", "first_answer", "2026-12-31"]), inner, max_size=2).map(
            lambda items: "{" + ", ".join(f"{key} = {value}" for key, value in items.items()) + "}"
        )
    ),
    max_leaves=4,
)


@given(key=st.sampled_from([*KEYS_OF_A_TEAM, "exceptions"]), value=VALUES)
def test_any_kind_of_value_at_any_key_ends_in_words(tmp_path_factory, key, value):
    path = tmp_path_factory.mktemp("any") / "santral.toml"
    path.write_text(team(f"{key} = {value}"), encoding="utf-8")
    try:
        load(path, ENVIRON)
    except ConfigProblems as problems:
        assert all(problem.key and problem.what for problem in problems.problems)
        assert "expects" not in str(problems)
        right_part(path, ENVIRON)
