"""Run the emulator alone: `python -m sandbox.twilio --port 8083`."""

from __future__ import annotations

from sandbox.alone import options, run_alone
from sandbox.twilio import application


def main() -> None:
    run_alone(application, options("twilio", "An emulated Twilio.").parse_args())


if __name__ == "__main__":
    main()
