// ioredis, in RESP2 and RESP3: ioredis.js HOST PORT
'use strict';

const Redis = require('ioredis');
const { same, fails, until, run } = require('./check');

const at = { host: process.argv[2], port: Number(process.argv[3]) };

run(async () => {
  for (at.protocol of [2, 3]) {
    const redis = new Redis({ ...at, keyPrefix: 'io:', connectionName: 'tester' });
    await redis.flushall();
    same('CLIENT GETNAME', await redis.client('GETNAME'), 'tester');
    await commands(redis);
    await scripts(redis);
    await messages(redis);
    await streams(redis);
    await reconnection(redis);
    redis.disconnect();
  }
});

async function commands(redis) {
  same('SET', await redis.set('s', 'v', 'EX', 100, 'NX'), 'OK');
  same('SET NX', await redis.set('s', 'w', 'NX'), null);
  await redis.hset('h', { a: 1, b: 'x y' });
  same('HGETALL', await redis.hgetall('h'), { a: '1', b: 'x y' });
  await redis.set('bytes', Buffer.from([0, 255, 13, 10]));
  same('a buffer', [...await redis.getBuffer('bytes')], [0, 255, 13, 10]);
  await redis.zadd('z', 1.5, 'a', 2, 'b');
  same('ZRANGE', await redis.zrange('z', 0, -1, 'WITHSCORES'), ['a', '1.5', 'b', '2']);
  same('a pipeline', await redis.pipeline().incr('n').incr('n').get('none').exec(), [[null, 1], [null, 2], [null, null]]);
  const multi = await redis.multi().set('t', 1).lpush('t', 1).get('t').exec();
  same('an error in MULTI', [multi[0], String(multi[1][0].message), multi[2]], [[null, 'OK'], 'WRONGTYPE Operation against a key holding the wrong kind of value', [null, '1']]);
  await fails('WRONGTYPE', redis.lpush('s', 1), 'WRONGTYPE');
  await redis.watch('s');
  const other = new Redis(at);
  await other.set('io:s', 'changed');
  same('EXEC of a changed key', await redis.multi().get('s').exec(), null);
  other.disconnect();
  for (let i = 0; i < 300; i++) redis.sadd('set', `member:${i}`);
  const seen = new Set();
  for await (const some of redis.sscanStream('set', { count: 10 })) some.forEach((m) => seen.add(m));
  same('sscanStream', seen.size, 300);
  // Commands of one turn of the event loop become a pipeline by themselves.
  const auto = new Redis({ ...at, enableAutoPipelining: true });
  same('automatic pipelines', await Promise.all([...Array(500).keys()].map((i) => auto.set(`auto:${i}`, i).then(() => auto.get(`auto:${i}`)))), [...Array(500).keys()].map(String));
  auto.disconnect();
}

async function scripts(redis) {
  redis.defineCommand('addall', { numberOfKeys: 1, lua: "local n = 0 for _, v in ipairs(ARGV) do n = redis.call('INCRBY', KEYS[1], v) end return {n, redis.call('GET', KEYS[1])}" });
  same('a command of its own', await redis.addall('sum', 1, 2, 3), [6, '6']);
  await redis.script('FLUSH'); // EVALSHA fails, and ioredis sends the source
  same('again', await redis.addall('sum', 4), [10, '10']);
  same('in a pipeline', await redis.pipeline().addall('sum', 5).exec(), [[null, [15, '15']]]);
}

async function messages(redis) {
  const sub = new Redis(at);
  const got = [];
  sub.on('message', (channel, text) => got.push([channel, text]));
  sub.on('pmessage', (pattern, channel, text) => got.push([pattern, channel, text]));
  same('SUBSCRIBE', await sub.subscribe('news', 'more'), 2);
  same('PSUBSCRIBE', await sub.psubscribe('n*', '__keyevent@0__:expired'), 4);
  same('PUBLISH', await redis.publish('news', 'one'), 2);
  await until(() => got.length === 2);
  await redis.set('short', 'v', 'PX', 1);
  await until(() => got.length === 3);
  same('messages', got, [['news', 'one'], ['n*', 'news', 'one'], ['__keyevent@0__:expired', '__keyevent@0__:expired', 'io:short']]);
  if (at.protocol === 2) await fails('a command of a subscriber', sub.get('x'), 'subscriber mode');
  sub.disconnect();
}

async function streams(redis) {
  await redis.xgroup('CREATE', 'st', 'g', '$', 'MKSTREAM');
  const blocked = new Redis({ ...at, keyPrefix: 'io:' });
  const reply = blocked.xreadgroup('GROUP', 'g', 'c', 'COUNT', 10, 'BLOCK', 0, 'STREAMS', 'st', '>');
  const id = await redis.xadd('st', '*', 'f', 'v');
  same('XREADGROUP', await reply, [['io:st', [[id, ['f', 'v']]]]]);
  same('XPENDING', await redis.xpending('st', 'g'), [1, id, id, [['c', '1']]]);
  same('XAUTOCLAIM', await redis.xautoclaim('st', 'g', 'd', 0, '0'), ['0-0', [[id, ['f', 'v']]], []]);
  same('XACK', await redis.xack('st', 'g', id), 1);
  const pop = blocked.blpop('queue', 0);
  await redis.rpush('queue', 'x');
  same('BLPOP', await pop, ['io:queue', 'x']);
  blocked.disconnect();
}

// reconnection: a subscriber whose connection is lost has its subscriptions again, and a
// command on its way is sent again.
async function reconnection(redis) {
  const sub = new Redis({ ...at, retryStrategy: () => 5 });
  const got = [];
  sub.on('message', (channel, text) => got.push(text));
  await sub.subscribe('again');
  await redis.client('KILL', 'TYPE', 'pubsub');
  await until(async () => await redis.publish('again', 'x') === 1);
  await until(() => got.length > 0);
  sub.disconnect();
  const waiting = new Redis({ ...at, keyPrefix: 'io:', retryStrategy: () => 5, maxRetriesPerRequest: null });
  const id = await waiting.client('ID');
  const pop = waiting.blpop('later', 0);
  await until(async () => (await redis.client('LIST', 'ID', id)).includes('cmd=blpop'));
  await redis.client('KILL', 'ID', id);
  await redis.rpush('later', 'y');
  same('BLPOP after a lost connection', await pop, ['io:later', 'y']);
  waiting.disconnect();
}
