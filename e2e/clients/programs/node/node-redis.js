'use strict';

const { createClient } = require('redis');
const p = require('./program.js');

const socket = { host: p.host, port: p.port };
if (p.tuned) Object.assign(socket, { connectTimeout: 500, socketTimeout: 500 });
const redis = createClient({ socket, password: p.password });
redis.on('error', () => {}); // without a listener an error ends the process
redis.connect().then(() => p.write((n) => redis.set(p.key(n), String(n))));
