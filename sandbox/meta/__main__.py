"""Run the emulator alone: `python -m sandbox.meta --port 8082`."""

from __future__ import annotations

from sandbox.alone import options, run_alone
from sandbox.meta import World, application


def main() -> None:
    said = options("meta", "An emulated Graph API of Meta.")
    said.add_argument("--app-id", default="4000000000000001")
    said.add_argument("--app-secret", default="app-secret")
    chosen = said.parse_args()
    world = World(app_id=chosen.app_id, app_secret=chosen.app_secret)

    def placed(url: str) -> None:
        world.base = url

    run_alone(lambda: application(world), chosen, placed)


if __name__ == "__main__":
    main()
