"""An application that writes through redis-py. Arguments: HOST PORT PREFIX INTERVAL START."""

import os
import sys
import time

import redis

host, port, prefix, interval, start = sys.argv[1:6]
settings = {}
if os.environ.get("SETTINGS") == "tuned":
    settings = {"socket_timeout": 0.5, "socket_connect_timeout": 0.5}
if os.environ.get("REDIS_CA"):
    settings |= {"ssl": True, "ssl_ca_certs": os.environ["REDIS_CA"], "ssl_check_hostname": False}  # it connects to an address
client = redis.Redis(host=host, port=int(port), password=os.environ["REDIS_PASSWORD"], **settings)
n = int(start)
while True:
    try:
        client.set(f"{prefix}:{n}", n)
        print("A", time.time_ns() // 10**6, n, flush=True)
        time.sleep(int(interval) / 1000)
    except redis.RedisError as error:
        print("E", time.time_ns() // 10**6, n, " ".join(str(error).split()), flush=True)
        time.sleep(0.02)
    n += 1
