"""Run the emulator alone: `python -m sandbox.x --port 8084`."""

from __future__ import annotations

from sandbox.alone import options, run_alone
from sandbox.x import application


def main() -> None:
    run_alone(application, options("x", "An emulated X API for direct messages.").parse_args())


if __name__ == "__main__":
    main()
