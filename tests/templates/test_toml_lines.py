"""TOML with lines: what it says is what the standard library says, and every key is where it stands."""

from __future__ import annotations

import itertools
import json
import tomllib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from templates.toml_lines import BadToml, read

HARD = st.text(st.sampled_from("abö \"'\\#[]{}=,.\t\n\U0001f600"), max_size=8)
SPACE = st.sampled_from(["", " ", "\n", "  # note ]}\"'\n", "\n\n\t"])
VALUES = st.recursive(
    HARD | st.integers(-9, 99) | st.booleans(), lambda inner: st.lists(inner, max_size=3), max_leaves=6
)


class Writer:
    """Writes random content as TOML in random ways, and notes on which line each key was written."""

    def __init__(self, draw: Any) -> None:
        self.draw = draw
        self.text = ""
        self.content: dict[str, Any] = {}
        self.lines: dict[tuple[str | int, ...], int] = {}
        self.texts: dict[tuple[str | int, ...], int] = {}
        self.names = itertools.count()

    def line(self) -> int:
        return self.text.count("\n") + 1

    def key(self) -> tuple[str, str]:
        """A new key, as it is and as it is written."""
        name = f"key{next(self.names)}"
        how = self.draw(st.integers(0, 3))
        if how == 0:
            name += self.draw(HARD)
            return name, json.dumps(name, ensure_ascii=False)
        return name, f"'{name}'" if how == 1 else name

    def value(self, value: Any, place: tuple[str | int, ...]) -> None:
        if isinstance(value, list):
            self.text += "["
            for number, entry in enumerate(value):
                self.text += self.draw(SPACE)
                self.lines[*place, number] = self.line()
                self.value(entry, (*place, number))
                self.text += self.draw(SPACE) + ","
            self.text += self.draw(SPACE) + "]"
        elif isinstance(value, str):
            plain = not any(char in value for char in "'\n\\")
            way = self.draw(st.integers(0, 2))
            if way == 0 and plain:
                self.text += f"'{value}'"
            elif way == 1:
                self.texts[place] = self.line() + 1
                self.text += '"""\n' + value.replace("\\", "\\\\").replace('"', '\\"') + '"""'
            else:
                self.text += json.dumps(value, ensure_ascii=False)
        else:
            self.text += json.dumps(value)

    def pair(self, into: dict[str, Any], place: tuple[str | int, ...]) -> None:
        name, shown = self.key()
        self.lines[*place, name] = self.line()
        if self.draw(st.integers(0, 4)) == 0:
            inner, written = self.key()
            self.lines[*place, name, inner] = self.line()
            self.text += f"{shown} . {written} = "
            into[name] = {inner: self.draw(VALUES)}
            self.value(into[name][inner], (*place, name, inner))
        elif self.draw(st.integers(0, 4)) == 0:
            self.text += f"{shown} = "
            into[name] = self.braces((*place, name))
        else:
            self.text += f"{shown} = "
            into[name] = self.draw(VALUES)
            self.value(into[name], (*place, name))

    def braces(self, place: tuple[str | int, ...]) -> dict[str, Any]:
        """A table in braces over several lines, as TOML 1.1 allows."""
        content: dict[str, Any] = {}
        self.text += "{" + self.draw(SPACE)
        for number in range(self.draw(st.integers(0, 3))):
            self.text += ("," if number else "") + self.draw(SPACE)
            self.pair(content, place)
            self.text += self.draw(SPACE)
        if content and self.draw(st.booleans()):
            self.text += "," + self.draw(SPACE)
        self.text += "}"
        return content

    def section(self, header: str, into: dict[str, Any], place: tuple[str | int, ...]) -> None:
        self.text += header + self.draw(st.sampled_from(["\n", " # [not.this]\n"]))
        for _ in range(self.draw(st.integers(0, 3))):
            self.pair(into, place)
            self.text += self.draw(st.sampled_from(["\n", " # = \n\n"]))

    def file(self) -> None:
        self.section("", self.content, ())
        for _ in range(self.draw(st.integers(0, 3))):
            name, shown = self.key()
            self.lines[(name,)] = self.line()
            if self.draw(st.booleans()):
                self.content[name] = {}
                self.section(f"[ {shown} ]", self.content[name], (name,))
                continue
            self.content[name] = []
            for number in range(self.draw(st.integers(1, 3))):
                self.lines[name, number] = self.line()
                table: dict[str, Any] = {}
                self.content[name].append(table)
                self.section(f"[[{shown}]]", table, (name, number))
                if self.draw(st.booleans()):
                    inner, written = self.key()
                    table[inner] = {}
                    self.lines[name, number, inner] = self.line()
                    self.section(f"[{shown}.{written}]", table[inner], (name, number, inner))


@st.composite
def files(draw: Any) -> Writer:
    writer = Writer(draw)
    writer.file()
    return writer


@given(files())
def test_every_key_and_entry_is_found_on_its_line(file: Writer) -> None:
    found = read(file.text)
    assert found.content == file.content
    assert dict(found.lines) == file.lines
    assert dict(found.texts) == file.texts


@given(st.text(st.sampled_from("ab1 =.,[]{}\"'\\#\n\r\t"), max_size=30))
def test_what_is_no_toml_is_no_toml_here_either(text: str) -> None:
    try:
        content = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        try:
            read(text)  # braces over several lines are accepted
        except BadToml as bad:
            assert 1 <= bad.line <= text.count("\n") + 1
            assert bad.column >= 1
    else:
        assert read(text).content == content


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ("a = 1\nb = \n", 2, "Invalid value"),
        ("a = [1,\n2\n\n\n", 1, "Unclosed array"),
        ("a = 1\nb = { c = [\n1, \n\n", 2, "Unclosed array"),
        ('a = 1\nb = """x\n\n\n', 2, "Unterminated string"),
        ('a = 1\nb = """x\ny\n', 2, "Unterminated string"),
        ("a = 1\nb = '''x\ny", 2, "Expected"),
        ('a = 1\n\nb = "x\n', 3, "Illegal character"),
        ("when = {\n  a = 1,\n  b = yes,\n}\n", 3, "Invalid value"),
        ("when = {\n  a = 1,\n  a = 2,\n}\n", 3, "Duplicate inline table key"),
        ("a = 1\r\n\r\n[b\r\n", 3, "Expected ']'"),
        ("a = 1\n" + "b = " + "[" * 300, 2, ""),
        ("a = 1\n" + "b = " + "[" * 30_000, 2, ""),
    ],
)
def test_a_slip_is_told_with_its_line(text: str, line: int, said: str) -> None:
    with pytest.raises(BadToml) as told:
        read(text)
    assert told.value.line == line
    assert said in told.value.said


def test_a_mark_at_the_beginning_and_line_ends_of_windows_do_not_matter() -> None:
    found = read("\ufeffa = 1\r\nb = [\r\n  2,\r\n]\r\n")
    assert found.content == {"a": 1, "b": [2]}
    assert found.lines["b", 0] == 3


def test_the_words_of_a_long_text_may_begin_below_its_key() -> None:
    found = read('a = """x"""\nb = """\nx"""\nc = \'x\'\n')
    assert found.texts == {("a",): 1, ("b",): 3}


def test_what_is_not_there_is_where_it_would_be() -> None:
    found = read("[[rules]]\n\n[rules.when]\n")
    assert found.line(("rules", 0, "when", "tags", 3)) == 3
    assert found.line(("tags",)) == 1
