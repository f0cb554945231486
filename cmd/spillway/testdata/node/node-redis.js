// node-redis, in RESP2 and RESP3: node-redis.js HOST PORT
'use strict';

const { createClient, createClientPool, defineScript, BasicClientSideCache } = require('redis');
const { same, fails, until, run } = require('./check');

const socket = { host: process.argv[2], port: Number(process.argv[3]) };
const sum = defineScript({
  NUMBER_OF_KEYS: 1,
  SCRIPT: "return redis.call('INCRBY', KEYS[1], ARGV[1])",
  parseCommand(parser, key, n) {
    parser.pushKey(key);
    parser.push(String(n));
  },
  transformReply: (reply) => reply,
});

async function connect(options) {
  const c = createClient({ socket, scripts: { sum }, ...options });
  c.on('error', (err) => console.error(err.message));
  return c.connect();
}

run(async () => {
  for (const RESP of [2, 3]) {
    const c = await connect({ RESP, name: `n${RESP}` });
    await c.flushAll();
    same('CLIENT GETNAME', await c.clientGetName(), `n${RESP}`);
    await commands(c, RESP);
    await messages(c, RESP);
    await streams(c, RESP);
    await c.close();
  }
  await cache();
});

async function commands(c, RESP) {
  same('SET', await c.set('s', 'v', { expiration: { type: 'EX', value: 100 }, condition: 'NX' }), 'OK');
  same('HSET', await c.hSet('h', { a: '1', b: 'x y' }), 2);
  same('HGETALL', { ...await c.hGetAll('h') }, { a: '1', b: 'x y' });
  same('ZADD', await c.zAdd('z', [{ score: 1.5, value: 'a' }, { score: -Infinity, value: 'b' }]), 2);
  same('ZRANGE', (await c.zRangeWithScores('z', 0, -1)).map((m) => ({ ...m })), [{ value: 'b', score: -Infinity }, { value: 'a', score: 1.5 }]);
  same('ZSCORE', await c.zScore('z', 'a'), 1.5);
  same('GEOADD', await c.geoAdd('g', { longitude: 13.361389, latitude: 38.115556, member: 'Palermo' }), 1);
  same('a transaction', await c.multi().incr('n').incr('n').get('none').exec(), [1, 2, null]);
  same('a script', await c.sum('total', 4), 4);
  await c.scriptFlush();
  same('a script again', await c.sum('total', 3), 7);
  await fails('WRONGTYPE', c.lPush('s', 'x'), 'WRONGTYPE');
  const seen = new Set();
  for (let i = 0; i < 300; i++) c.hSet('big', `f${i}`, `v${i}`);
  for await (const entries of c.hScanIterator('big', { COUNT: 10 })) entries.forEach((e) => seen.add(e.field));
  same('HSCAN', seen.size, 300);
  const keys = [];
  for await (const some of c.scanIterator({ COUNT: 2 })) keys.push(...some);
  same('SCAN', [...new Set(keys)].sort(), ['big', 'g', 'h', 'n', 's', 'total', 'z']);
  const pool = await createClientPool({ socket, RESP }, { minimum: 2, maximum: 8, acquireTimeout: 60000 }).connect();
  await Promise.all([...Array(200).keys()].map(() => pool.incr('pooled')));
  same('a pool', await pool.get('pooled'), '200');
  await pool.execute(async (own) => {
    await own.watch('pooled');
    await c.incr('pooled');
    await fails('EXEC of a changed key', own.multi().get('pooled').exec(), 'watched keys');
  });
  await pool.close();
}

async function messages(c, RESP) {
  const sub = await c.duplicate().connect();
  const got = [];
  await sub.subscribe('news', (text, channel) => got.push([channel, text]));
  await sub.pSubscribe('n*', (text, channel) => got.push(['n*', channel, text]));
  await sub.sSubscribe('shard', (text, channel) => got.push([channel, text]));
  same('PUBLISH', await c.publish('news', 'one'), 2);
  same('SPUBLISH', await c.sPublish('shard', 'two'), 1);
  await until(() => got.length === 3);
  same('messages', got, [['news', 'one'], ['n*', 'news', 'one'], ['shard', 'two']]);
  if (RESP === 3) same('a command of a subscriber', await sub.get('none'), null);
  await sub.unsubscribe();
  await sub.close();
}

async function streams(c) {
  const plain = (list) => list.map(({ id, message }) => ({ id, message: { ...message } }));
  await c.xGroupCreate('st', 'g', '$', { MKSTREAM: true });
  const blocked = await c.duplicate().connect();
  const reply = blocked.xReadGroup('g', 'c', { key: 'st', id: '>' }, { BLOCK: 0 });
  await until(async () => (await c.sendCommand(['CLIENT', 'LIST'])).includes('cmd=xreadgroup'));
  const id = await c.xAdd('st', '*', { f: 'v' });
  const read = await reply;
  same('XREADGROUP', plain(read[0].messages), [{ id, message: { f: 'v' } }]);
  same('XPENDING', (await c.xPending('st', 'g')).pending, 1);
  same('XAUTOCLAIM', plain((await c.xAutoClaim('st', 'g', 'd', 0, '0')).messages), [{ id, message: { f: 'v' } }]);
  same('XINFO', (await c.xInfoGroups('st')).map((g) => [g.name, g.consumers, g.pending]), [['g', 2, 1]]);
  same('XACK', await c.xAck('st', 'g', id), 1);
  await blocked.close();
}

// cache: what another changes is asked for again, and what nobody does is not.
async function cache() {
  const kept = new BasicClientSideCache({ ttl: 0, maxEntries: 100 });
  const c = await connect({ RESP: 3, clientSideCache: kept });
  const other = await connect({ RESP: 3 });
  await other.set('cached', 'old');
  same('GET', await c.get('cached'), 'old');
  const calls = async () => Number(/cmdstat_get:calls=(\d+)/.exec(await other.info('commandstats'))[1]);
  const before = await calls();
  for (let i = 0; i < 10; i++) same('GET from the cache', await c.get('cached'), 'old');
  same('GETs that the server saw', await calls(), before);
  await other.set('cached', 'new');
  await until(async () => await c.get('cached') === 'new');
  same('hits', kept.stats().hitCount >= 10, true);
  await other.flushAll();
  await until(async () => await c.get('cached') === null);
}
