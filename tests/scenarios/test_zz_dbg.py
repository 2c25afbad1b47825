from tests.scenarios.test_arrivals import *
async def test_dbg(world):
    await world.start()
    customer = world.customer()
    await world.telegram.say(customer, text="Merhaba")
    await shows(world, "Merhaba")
    for name in ("ilk.mp4", "ikinci.mp4"):
        given = [{"name": name, "media_type": "video/mp4", "data": b"x", "size": 30 << 20}]
        await world.telegram.say(customer, kind="video", files=given)
    await asyncio.sleep(3)
    print(json.dumps((await only(world)), ensure_ascii=False, indent=1))
    for r in await rows(world, "select kind,key,attempts,last_error,run_at,lease from work"): print(r)
    for r in await rows(world, "select id,state,why,message_id from attachments"): print(r)
    assert 0
