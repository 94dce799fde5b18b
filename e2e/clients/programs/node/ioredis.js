'use strict';

const Redis = require('ioredis');
const p = require('./program.js');

const settings = { host: p.host, port: p.port, password: p.password, tls: p.tls };
if (p.tuned) {
  // A commandTimeout gives the command up and keeps the connection, so that the next command waits as well.
  Object.assign(settings, { socketTimeout: 500, connectTimeout: 500, reconnectOnError: (error) => error.message.startsWith('READONLY') && 2 });
}
const redis = new Redis(settings);
redis.on('error', () => {}); // without a listener the library prints them
p.write((n) => redis.set(p.key(n), n));
