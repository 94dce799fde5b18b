// Accepts jobs and runs them, both through BullMQ.
'use strict';

const { Queue, Worker } = require('bullmq');
const p = require('./program.js');

const connection = { host: p.host, port: p.port, password: p.password, tls: p.tls };
const queue = new Queue(p.prefix, { connection });
queue.on('error', () => {}); // without a listener the library prints them
const worker = new Worker(p.prefix, async (job) => p.done(job.data.n), { connection });
worker.on('error', (error) => p.failed(0, error));
p.write((n) => queue.add('number', { n }));
