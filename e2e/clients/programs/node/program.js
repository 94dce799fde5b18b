// What every application in this folder shares: its arguments, and the lines that it prints.
'use strict';

const fs = require('fs');

const AFTER_ERROR = 20; // ms until an application goes on with the same client

const [host, port, prefix, interval, start] = process.argv.slice(2);

const line = (kind, n, text) => process.stdout.write(`${kind} ${Date.now()} ${n}${text}\n`);
const failed = (n, error) => line('E', n, ' ' + String(error.message || error.code || error).replace(/\s+/g, ' '));
const done = (n) => line('D', n, '');

const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

let producing = true;
process.on('SIGUSR2', () => { producing = false; });

// write calls act with growing numbers, one at a time, until SIGUSR2 comes.
async function write(act) {
  for (let n = Number(start); producing; n++) {
    try {
      await act(n);
    } catch (error) {
      failed(n, error);
      await sleep(AFTER_ERROR);
      continue;
    }
    line('A', n, '');
    await sleep(Number(interval));
  }
}

// Encrypted where an authority's file is named; undefined in clear.
const ca = process.env.REDIS_CA && fs.readFileSync(process.env.REDIS_CA);
const tls = ca && { ca, servername: process.env.REDIS_SERVER_NAME };

module.exports = {
  tls, host, port: Number(port), password: process.env.REDIS_PASSWORD, prefix, tuned: process.env.SETTINGS === 'tuned',
  key: (n) => `${prefix}:${n}`, write, failed, done, sleep, AFTER_ERROR,
};
