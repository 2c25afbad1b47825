"""Run the emulator alone: `python -m sandbox.telegram --port 8081`."""

from __future__ import annotations

from sandbox.alone import options, run_alone
from sandbox.telegram import application


def main() -> None:
    run_alone(application, options("telegram", "An emulated Telegram Bot API.").parse_args())


if __name__ == "__main__":
    main()
