"""`santral mail read`: anybody may see how a mail is read, with nothing set up, whatever they hand over."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

MAIL = b"From: Ay\xc5\x9fe <ayse@ornek.com.tr>\nSubject: K-1\nMessage-ID: <1@x>\n\nNerede?\n\n> Merhaba\n"
MBOX = (
    b"From a@x Tue Nov  5 10:12:00 2024\nFrom: a@x.example\nSubject: one\n\nFirst\nFrom now on fine\n>From here\n\n"
    b"From b@x Tue Nov  5 10:12:01 2024\nFrom: b@x.example\nSubject: two\n\nSecond\n"
)
KEYS = {
    "file", "subject", "from", "proof", "automatic", "kind", "text", "hidden", "attachments", "references",
}  # fmt: skip


def read(
    *arguments: str, folder: Path, given: bytes = b"", **environment: str
) -> tuple[subprocess.CompletedProcess[bytes], list[dict[str, Any]]]:
    program = [sys.executable, "-c", "from app.cli import main; main()", "mail", "read", *arguments]
    path = os.pathsep.join([str(Path(__file__).parents[2]), *sys.path])
    run = subprocess.run(
        program, input=given, capture_output=True, cwd=folder, env={**os.environ, "PYTHONPATH": path, **environment}
    )
    return run, [json.loads(line) for line in run.stdout.decode("utf-8").splitlines()]


def test_a_raw_mail_is_a_line_with_what_they_wrote_and_what_was_hidden(tmp_path: Path) -> None:
    (tmp_path / "a.eml").write_bytes(MAIL)
    run, (line,) = read("a.eml", folder=tmp_path, PYTHONIOENCODING="latin-1")
    assert run.returncode == 0, run.stderr
    assert line.keys() >= KEYS
    assert (line["file"], line["from"], line["name"]) == ("a.eml", "ayse@ornek.com.tr", "Ayşe")
    assert (line["text"], line["hidden"], line["kind"]) == ("Nerede?", "> Merhaba", "message")


def test_an_mbox_is_its_mails_by_file_as_by_pipe_and_only_true_beginnings_count(tmp_path: Path) -> None:
    (tmp_path / "box").write_bytes(MBOX)
    _, by_file = read("box", folder=tmp_path)
    _, by_pipe = read("-", folder=tmp_path, given=MBOX)
    for lines in (by_file, by_pipe):
        assert [line["subject"] for line in lines] == ["one", "two"]
        assert lines[0]["text"] == "First\nFrom now on fine\nFrom here"


def test_a_folder_is_read_to_its_end_whatever_lies_in_it(tmp_path: Path) -> None:
    box = tmp_path / "box"
    box.mkdir()
    for number in range(20):
        (box / f"{number:02}.eml").write_bytes(MAIL.replace(b"K-1", b"K-%d" % number))
    (box / "junk").write_bytes(bytes(range(256)) * 50)
    (box / "empty").write_bytes(b"")
    run, lines = read("box", folder=tmp_path)
    assert run.returncode == 0, run.stderr
    assert [line["subject"] for line in lines[:20]] == [f"K-{number}" for number in range(20)]
    assert len(lines) == 21


def test_where_there_is_no_mail_it_says_so_in_a_line(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for place in ("empty", "nowhere"):
        run, lines = read(place, folder=tmp_path)
        assert (run.returncode != 0, lines) == (True, [])
        assert len(run.stderr.decode().strip().splitlines()) == 1, run.stderr
