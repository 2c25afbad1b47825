"""`santral check` over all channels whose provider can be asked: what is said of each part that is broken."""

from __future__ import annotations

from app.check import check
from tests.providers import BUSINESS_ID, INSTAGRAM, KINDS, NUMBER_ID, PAGE, SMS, WHATSAPP_TWILIO, X_USER
from tests.world import World

APPROVED = """
[[approved]]
channel = "{channel}"
name = "{name}"
language = "tr"
category = "utility"
body = "Merhaba {{{{1}}}}, siparişinizle ilgili haberimiz var. Konuşalım mı?"
variables = ["customer"]
"""
BODY = "Merhaba {{1}}, siparişinizle ilgili haberimiz var. Konuşalım mı?"


async def wrong(world: World) -> dict[str, list[str]]:
    """What is not well, by channel. Each finding names what to do, and none a secret."""
    config = world.config()
    found = await check(config)
    secrets = {secret for secret in config.secrets() if len(secret) > 3}
    told: dict[str, list[str]] = {name: [] for name in KINDS}
    heard = set()
    for one in found:
        name, _, what = one.what.partition(": ")
        assert not [secret for secret in secrets if secret in f"{one.what} {one.fix}"]
        if name not in told:
            continue
        heard.add(name)
        if not one.ok:
            assert one.fix, what
            told[name].append(what)
    assert heard == set(KINDS)
    return told


async def opened(world: World) -> None:
    """Every channel is set up, and its provider is told where we are."""
    await world.add_channels()
    await world.start()


def says(told: dict[str, list[str]], words: dict[str, str]) -> None:
    """Exactly these channels have something wrong, and among it this."""
    assert {name for name, found in told.items() if found} == set(words)
    for name, part in words.items():
        assert any(part in what for what in told[name]), (name, told[name])


async def test_when_all_is_well_nothing_is_wrong_and_keys_that_are_none_any_more_are_named(world: World) -> None:
    await opened(world)
    says(await wrong(world), {})
    twilio, meta, x = world.providers.twilio, world.providers.meta, world.providers.x
    twilio.account().auth_token = "another one"
    await meta.expire_token(NUMBER_ID)
    await meta.expire_token(PAGE)
    await x.revoke(line=X_USER)
    dead = "Meta does not accept the access token"
    twilio_says = "does not accept the account SID and auth token"
    says(
        await wrong(world),
        {
            "sms": twilio_says,
            "whatsapp-twilio": twilio_says,
            **dict.fromkeys(("whatsapp", "messenger", "instagram"), dead),
            "x": "does not accept the keys",
        },
    )


async def test_webhooks_that_lead_elsewhere_are_named(world: World) -> None:
    await opened(world)
    world.settings["public_url"] = "https://support.kumbara.example"  # where we moved to, and nobody was told
    says(
        await wrong(world),
        {
            **dict.fromkeys(("sms", "whatsapp-twilio"), "does not call here"),
            **{kind: f"/webhooks/{kind} instead of here." for kind in ("whatsapp", "messenger", "instagram")},
            "x": "has a webhook, but not here",
        },
    )


async def test_senders_that_may_not_send_are_named(world: World) -> None:
    await opened(world)
    twilio, meta, x = world.providers.twilio, world.providers.meta, world.providers.x
    del twilio.ledger.lines[SMS]
    twilio.line(WHATSAPP_TWILIO).status = "OFFLINE"
    meta.accounts.line(NUMBER_ID).quality = "RED"
    await meta.unsubscribe(PAGE)
    await meta.unsubscribe(INSTAGRAM)
    (hook,) = x.webhooks.values()
    hook.valid = False
    says(
        await wrong(world),
        {
            "sms": "has no number",
            "whatsapp-twilio": "OFFLINE",
            "whatsapp": "rated low",
            "messenger": "The app is not told of",
            "instagram": "The app is not told of",
            "x": "given up calling us",
        },
    )


async def test_a_listed_template_is_looked_for_at_its_provider(world: World) -> None:
    await world.add_channels("whatsapp", "whatsapp-twilio")
    twilio, meta = world.providers.twilio, world.providers.meta
    types = {"twilio/text": {"body": BODY}}
    template = twilio.add_template(name="haber", types=types, language="tr", status="approved")
    listed = [("whatsapp", "order_update"), ("whatsapp-twilio", template.sid)]
    folder = world.folder / "templates"
    folder.mkdir()
    words = "".join(APPROVED.format(channel=channel, name=name) for channel, name in listed)
    (folder / "approved.toml").write_text(words, encoding="utf-8")
    world.settings["templates"] = str(folder)
    await world.start()

    async def told() -> set[str]:
        found = await check(world.config())
        assert all(one.ok or one.fix for one in found)
        return {one.what for one in found}

    assert {
        "whatsapp-twilio: the template listed for it is approved.",
        "whatsapp: the provider has no template order_update in tr.",
    } <= await told()
    meta.add_template(BUSINESS_ID, name="order_update", language="tr", body=BODY, status="REJECTED")
    twilio.judge(template.sid, status="paused")
    assert {
        "whatsapp: the template order_update in tr is rejected at the provider.",
        f"whatsapp-twilio: the template {template.sid} in tr is paused at the provider.",
    } <= await told()
