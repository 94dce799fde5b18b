'use strict';

const Redis = require('ioredis');
const p = require('./program.js');

const client = () => {
  const redis = new Redis({ host: p.host, port: p.port, password: p.password, tls: p.tls });
  redis.on('error', () => {});
  return redis;
};
const list = `${p.prefix}:list`;

async function pop(redis) {
  for (;;) {
    try {
      p.done((await redis.blpop(list, 0))[1]);
    } catch (error) {
      p.failed(0, error);
      await p.sleep(p.AFTER_ERROR);
    }
  }
}

const pushing = client();
pop(client());
p.write((n) => pushing.rpush(list, n));
