'use strict';

const Redis = require('ioredis');
const p = require('./program.js');

const client = () => {
  const redis = new Redis({ host: p.host, port: p.port, password: p.password, tls: p.tls });
  redis.on('error', () => {});
  return redis;
};
const channel = `${p.prefix}:channel`;

const receiving = client();
receiving.on('message', (_, message) => p.done(message));
receiving.subscribe(channel).catch((error) => p.failed(0, error));
const publishing = client();
p.write((n) => publishing.publish(channel, n));
