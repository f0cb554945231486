// A BullMQ queue, its producer and its workers on a daemon that is killed and started
// again meanwhile: bullmq.js SOCKET JOBS
//
// It writes "completed N" whenever fifty more jobs have been acknowledged as completed, and at
// the end one line of JSON: what Redis says of the queue, and what is wrong with it.
'use strict';

const { Queue, QueueEvents, Worker } = require('bullmq');

const [path, jobs] = [process.argv[2], Number(process.argv[3])];
const connection = { path, maxRetriesPerRequest: null, retryStrategy: () => 50 };
const name = 'work';

// A job of each kind: some fail at first, some wait, some go first.
const delayOf = (i) => (i % 5 === 0 ? 1 + (i % 400) : 0);
const failuresOf = (i) => (i % 7 === 0 ? 1 + (i % 3) : 0);
const priorityOf = (i) => (i % 11 === 0 ? 1 + (i % 4) : undefined);

const ran = new Map(); // id → how often it was carried out to its end
const acknowledged = new Set(); // ids of which a worker was told that they are completed
const announced = new Set(); // ids of which the queue's stream of events told
const wrong = [];

async function main() {
  const queue = new Queue(name, { connection, streams: { events: { maxLen: 100 * jobs } } });
  const events = new QueueEvents(name, { connection, lastEventId: '0-0' });
  events.on('completed', ({ jobId }) => announced.add(jobId));
  const workers = [1, 2].map(() => new Worker(name, carryOut, {
    connection, concurrency: 20, lockDuration: 3000, stalledInterval: 1000, maxStalledCount: 100,
  }));
  for (const w of workers) {
    w.on('completed', (job) => {
      acknowledged.add(job.id);
      if (acknowledged.size % 50 === 0) console.log(`completed ${acknowledged.size}`);
    });
  }
  // Lost connections are what this is about.
  for (const part of [queue, events, ...workers]) part.on('error', () => {});

  await produce(queue);
  for (;;) {
    const counts = await patiently(() => queue.getJobCounts());
    if (counts.completed + counts.failed >= jobs && announced.size >= jobs) break;
    await new Promise((next) => setTimeout(next, 50));
  }
  await look(queue);
  let executions = 0;
  for (const n of ran.values()) executions += n;
  const counts = { ...await queue.getJobCounts(), executions, ran: ran.size, announced: announced.size, acknowledged: acknowledged.size };
  console.log(JSON.stringify({ counts, wrong }));
  process.exit(0);
}

async function carryOut(job) {
  const i = job.data.i;
  if (job.attemptsMade < failuresOf(i)) throw new Error('not yet');
  if (Date.now() < job.timestamp + delayOf(i)) wrong.push(`${job.id} ran before its delay was over`);
  ran.set(job.id, (ran.get(job.id) || 0) + 1);
  return { twice: 2 * i };
}

// produce adds every job. An addition whose reply was lost is made again: an id that is
// there already adds nothing.
async function produce(queue) {
  for (let at = 0; at < jobs; at += 100) {
    const some = [];
    for (let i = at; i < Math.min(jobs, at + 100); i++) {
      some.push({
        name: 'double', data: { i },
        opts: { jobId: `job-${i}`, attempts: 10, backoff: { type: 'fixed', delay: 20 }, delay: delayOf(i), priority: priorityOf(i) },
      });
    }
    await patiently(() => queue.addBulk(some));
  }
}

// patiently repeats what fails for a lost connection.
async function patiently(ask) {
  for (;;) {
    try {
      return await ask();
    } catch (err) {
      if (!/clos|connect|EPIPE|ECONN|ENOENT|LOADING/i.test(String(err))) throw err;
      await new Promise((next) => setTimeout(next, 50));
    }
  }
}

// look compares each job with what became of it.
async function look(queue) {
  const there = new Set();
  for (let at = 0; at < jobs; at += 500) {
    for (const job of await queue.getJobs(['completed'], at, at + 499, true)) {
      const i = job.data.i;
      there.add(job.id);
      if (job.id !== `job-${i}` || job.returnvalue.twice !== 2 * i) wrong.push(`${job.id} returned ${JSON.stringify(job.returnvalue)}`);
      if (job.attemptsMade < failuresOf(i) + 1) wrong.push(`${job.id}: ${job.attemptsMade} attempts`);
    }
  }
  for (let i = 0; i < jobs; i++) {
    const id = `job-${i}`;
    if (!there.has(id)) wrong.push(`${id} is not among the completed`);
    if (!ran.has(id)) wrong.push(`${id} was never carried out`);
  }
  for (const id of acknowledged) if (!there.has(id)) wrong.push(`${id} was acknowledged as completed, and is not`);
}

main().catch((err) => {
  console.error(err);
  process.exit(1);
});
