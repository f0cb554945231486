"""Python's redis: client.py HOST PORT"""

import asyncio
import sys
import threading

import redis
import redis.asyncio
from redis.exceptions import LockError, LockNotOwnedError, NoScriptError, ResponseError, WatchError

from check import fails, finish, same, until

at = {"host": sys.argv[1], "port": int(sys.argv[2]), "decode_responses": True}


def commands(r):
    same("SET NX", r.set("s", "v", ex=100, nx=True), True)
    same("SET NX again", r.set("s", "w", nx=True), None)
    same("SET GET", r.set("s", "w", keepttl=True, get=True), "v")
    same("HSET", r.hset("h", mapping={"a": 1, "b": "x y"}), 2)
    same("HGETALL", r.hgetall("h"), {"a": "1", "b": "x y"})
    same("ZADD", r.zadd("z", {"a": 1.5, "b": float("-inf")}), 2)
    same("ZRANGE", r.zrange("z", 0, -1, withscores=True), [("b", float("-inf")), ("a", 1.5)])
    same("GEOADD", r.geoadd("g", (13.361389, 38.115556, "Palermo")), 1)
    same("GEOSEARCH", r.geosearch("g", longitude=13, latitude=38, radius=100, unit="km"), ["Palermo"])
    same("BITFIELD", r.bitfield("bits").set("u8", 0, 200).get("u4", 0).execute(), [0, 12])
    same("LPOS", (r.rpush("l", *"abcabc"), r.lpos("l", "b", rank=2))[1], 4)
    same("LCS", (r.mset({"{x}1": "ohmytext", "{x}2": "mynewtext"}), r.lcs("{x}1", "{x}2"))[1], "mytext")
    raw = redis.Redis(host=at["host"], port=at["port"])
    every = bytes(range(256))
    same("bytes", (raw.set("bytes", every), raw.get("bytes"))[1], every)
    same("DUMP and RESTORE", (raw.restore("again", 0, raw.dump("bytes")), raw.get("again"))[1], every)
    raw.close()
    r.sadd("set", *range(1000))
    same("SSCAN", len(set(r.sscan_iter("set", count=10))), 1000)
    same("SCAN", sorted(r.scan_iter("?", count=2, _type="hash")), ["h"])
    same("INFO", r.info("server")["redis_mode"], "standalone")
    same("COMMAND", r.command()["get"]["flags"], ["readonly", "fast"])
    same("OBJECT", r.object("encoding", "h"), "listpack")
    same("WRONGTYPE", fails("WRONGTYPE", ResponseError, r.lpush, "s", 1), "WRONGTYPE Operation against a key holding the wrong kind of value")
    same("a function", r.function_load("#!lua name=python\nredis.register_function('f', function(k, a) return a[1] end)", replace=True), "python")
    same("FCALL", r.fcall("f", 0, "x"), "x")


def pipelines(r):
    p = r.pipeline(transaction=False)
    for i in range(10_000):
        p.incr("n")
    same("a pipeline of 10,000", p.execute()[-1], 10_000)
    p = r.pipeline(transaction=False)
    p.set("e", 1).lpush("e", 1).get("e")
    got = p.execute(raise_on_error=False)
    same("an error in a pipeline", (got[0], type(got[1]), got[2]), (True, ResponseError, "1"))
    r.set("balance", 0)

    def increment():
        c = redis.Redis(**at)
        for _ in range(50):
            c.transaction(lambda p: (lambda n: (p.multi(), p.set("balance", n + 1)))(int(p.get("balance"))), "balance")
        c.close()

    together(4, increment)
    same("transactions under WATCH", r.get("balance"), "200")
    with r.pipeline() as p:
        p.watch("balance")
        r.incr("balance")
        p.multi()
        p.get("balance")
        fails("EXEC of a changed key", WatchError, p.execute)


def scripts(r):
    add = r.register_script("return {KEYS[1], redis.call('INCRBY', KEYS[1], ARGV[1])}")
    same("a script", add(keys=["sum"], args=[4]), ["sum", 4])
    r.script_flush()  # EVALSHA fails, and the client loads it
    same("again", add(keys=["sum"], args=[3]), ["sum", 7])
    r.script_flush()
    p = r.pipeline()
    add(keys=["sum"], args=[1], client=p)
    same("in a pipeline", p.execute(), [["sum", 8]])
    r.script_flush()
    fails("EVALSHA", NoScriptError, r.evalsha, add.sha, 1, "sum", 1)
    same("an error of a script", "boom" in fails("error", ResponseError, r.eval, "return redis.error_reply('boom')", 0), True)


def locks(r):
    lock = r.lock("lock", timeout=60)
    same("a lock", lock.acquire(blocking=False), True)
    same("a lock that is held", r.lock("lock", timeout=60).acquire(blocking=False), False)
    same("extend", (lock.extend(60), r.pttl("lock") > 60_000)[1], True)
    same("reacquire", (lock.reacquire(), 0 < r.pttl("lock") <= 60_000)[1], True)
    lock.release()
    fails("a lock that is not held", LockError, lock.release)
    lock.acquire()
    r.set("lock", "another's")
    fails("a lock of another", LockNotOwnedError, lock.release)
    r.delete("lock")
    inside, seen = [0], []

    def work():
        c = redis.Redis(**at)
        for _ in range(10):
            with c.lock("lock", timeout=60, sleep=0.001):
                inside[0] += 1
                seen.append(inside[0])
                c.ping()
                inside[0] -= 1
        c.close()

    together(4, work)
    same("who was inside at a time", set(seen), {1})


def messages(r):
    with r.pubsub() as sub:
        got = []
        sub.subscribe("news")
        sub.psubscribe(**{"n*": got.append})
        until(lambda: r.pubsub_numsub("news")[0][1] == 1 and r.pubsub_numpat() == 1)
        same("PUBLISH", r.publish("news", "one"), 2)
        message = until(lambda: sub.get_message(ignore_subscribe_messages=True, timeout=10))
        same("a message", message, {"type": "message", "pattern": None, "channel": "news", "data": "one"})
        until(lambda: sub.get_message(ignore_subscribe_messages=True) or got)
        same("a message to a pattern", got, [{"type": "pmessage", "pattern": "n*", "channel": "news", "data": "one"}])
        sub.ping()
        same("PING of a subscriber", until(lambda: sub.get_message())["type"], "pong")
        sub.unsubscribe()
        sub.punsubscribe()
        until(lambda: r.pubsub_channels() == [])
    # A listener in a thread of its own, whose connection is lost: it subscribes again.
    heard = []
    sub = r.pubsub(ignore_subscribe_messages=True)
    sub.subscribe(thread=lambda m: heard.append(m["data"]))
    thread = sub.run_in_thread(sleep_time=0.01, exception_handler=lambda err, sub, thread: None)
    until(lambda: r.publish("thread", "before") == 1)
    until(lambda: "before" in heard)
    r.client_kill_filter(_type="pubsub")
    until(lambda: r.publish("thread", "after") == 1)
    until(lambda: "after" in heard)
    thread.stop()
    thread.join()
    with r.monitor() as m:
        r.set("watched", "by the monitor")
        same("MONITOR", m.next_command()["command"], "SET watched by the monitor")


def streams(r):
    same("XGROUP CREATE", r.xgroup_create("st", "g", id="0", mkstream=True), True)
    same("BUSYGROUP", fails("BUSYGROUP", ResponseError, r.xgroup_create, "st", "g"), "BUSYGROUP Consumer Group name already exists")
    done, lock, total = [], threading.Lock(), 300

    def consume(name):
        c = redis.Redis(**at)
        while len(done) < total:
            for _, entries in c.xreadgroup("g", name, {"st": ">"}, count=7, block=20):
                for id, fields in entries:
                    same("XACK", c.xack("st", "g", id), 1)
                    with lock:
                        done.append(fields["n"])
        c.close()

    workers = [threading.Thread(target=consume, args=(f"c{i}",)) for i in range(3)]
    for w in workers:
        w.start()
    for i in range(total):
        r.xadd("st", {"n": i}, maxlen=100_000, approximate=True)
    for w in workers:
        w.join()
    same("what the consumers got", sorted(map(int, done)), list(range(total)))
    same("XPENDING", r.xpending("st", "g")["pending"], 0)
    same("XINFO", (lambda g: (g["entries-read"], g["lag"]))(r.xinfo_groups("st")[0]), (total, 0))
    id = r.xadd("st", {"n": "late"})
    r.xreadgroup("g", "gone", {"st": ">"})
    same("XPENDING of one", [(p["message_id"], p["consumer"], p["times_delivered"]) for p in r.xpending_range("st", "g", "-", "+", 10)], [(id, "gone", 1)])
    same("XCLAIM", r.xclaim("st", "g", "heir", 0, [id]), [(id, {"n": "late"})])
    same("XAUTOCLAIM", r.xautoclaim("st", "g", "other", 0)[1], [(id, {"n": "late"})])
    same("XREAD", r.xread({"st": id}), [])
    same("XTRIM", (r.xtrim("st", maxlen=10, approximate=False), r.xlen("st"))[1], 10)


def tracking(r):
    """Caching in a client, by invalidations that another connection gets."""
    sub = r.pubsub()
    sub.subscribe("__redis__:invalidate")
    same("SUBSCRIBE", until(lambda: sub.get_message())["data"], 1)
    target = [c["id"] for c in r.client_list() if c["sub"] == "1"][0]
    c = redis.Redis(**at, single_connection_client=True)
    same("CLIENT TRACKING", c.client_tracking_on(clientid=int(target)), "OK")
    r.set("cached", "old")
    same("GET", c.get("cached"), "old")
    r.set("cached", "new")
    same("the invalidation", until(lambda: sub.get_message())["data"], ["cached"])
    same("GET", c.get("cached"), "new")
    c.close()
    sub.close()


async def asynchronous():
    r = redis.asyncio.Redis(**at)
    same("many at once", await asyncio.gather(*(r.incr("async") for _ in range(1))), [1])
    pool = [r.incr("async") for _ in range(100)]
    same("a hundred connections", sorted(await asyncio.gather(*pool)), list(range(2, 102)))
    async with r.pubsub(ignore_subscribe_messages=True) as sub:
        await sub.subscribe("news")
        while (await r.pubsub_numsub("news"))[0][1] == 0:
            await asyncio.sleep(0.002)
        await r.publish("news", "one")
        while (message := await sub.get_message(timeout=10)) is None:
            pass
        same("a message", message["data"], "one")
    popped = asyncio.create_task(r.blpop("queue", 0))
    await r.rpush("queue", "x")
    same("BLPOP", tuple(await popped), ("queue", "x"))
    async with r.pipeline(transaction=True) as p:
        same("a transaction", await p.set("t", 1).incr("t").execute(), [True, 2])
    async with r.lock("lock", timeout=60):
        same("a lock", await r.exists("lock"), 1)
    await r.close()


def together(n, work):
    threads = [threading.Thread(target=work) for _ in range(n)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()


def main():
    r = redis.Redis(**at)
    for part in commands, pipelines, scripts, locks, messages, streams, tracking:
        r.flushall()
        part(r)
    r.flushall()
    asyncio.run(asynchronous())
    finish()


main()
