'use strict';

const { createClient } = require('redis');
const p = require('./program.js');

const socket = { host: p.host, port: p.port };
if (p.tls) Object.assign(socket, { tls: true, ...p.tls });
// The library's own strategy closes the client for good after a socketTimeout.
if (p.tuned) Object.assign(socket, { connectTimeout: 500, socketTimeout: 500, reconnectStrategy: (retries) => Math.min(2 ** retries * 50, 500) });
const redis = createClient({ socket, password: p.password });
redis.on('error', () => {}); // without a listener an error ends the process
redis.connect().then(() => p.write((n) => redis.set(p.key(n), String(n))));
