// What the scripts of clients share: comparing, and the line at the end.
'use strict';

const assert = require('node:assert');

const wrong = [];
let checks = 0;

// same notes where two values differ, and what was looked at.
exports.same = (what, got, want) => {
  checks++;
  try {
    assert.deepStrictEqual(got, want);
  } catch {
    wrong.push(`${what}: ${JSON.stringify(got)}, want ${JSON.stringify(want)}`);
  }
};

// fails notes where a promise is kept, or broken by another error.
exports.fails = async (what, promise, text) => {
  checks++;
  try {
    wrong.push(`${what}: ${JSON.stringify(await promise)}, want an error`);
  } catch (err) {
    if (!String(err.message).includes(text)) wrong.push(`${what}: ${err.message}, want ${text}`);
  }
};

// until waits for what another connection brings about.
exports.until = async (cond) => {
  while (!await cond()) await new Promise((next) => setTimeout(next, 2));
};

// run runs main and ends the process with the outcome as its last line.
exports.run = (main) => main().then(() => {
  console.log(JSON.stringify({ wrong, counts: { checks } }));
  process.exit(0);
}, (err) => {
  console.error(err);
  process.exit(1);
});
