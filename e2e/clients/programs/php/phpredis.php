<?php
// An application that writes through phpredis and lives long, as queue workers do. Arguments: HOST PORT PREFIX INTERVAL START.

[, $host, $port, $prefix, $interval, $start] = $argv;
$timeout = getenv('SETTINGS') === 'tuned' ? 0.5 : 0.0;

function tell(string $kind, int $n, string $text = ''): void
{
    fwrite(STDOUT, sprintf("%s %d %d%s\n", $kind, (int) (microtime(true) * 1000), $n, $text));
}

function connected(Redis $redis, string $host, int $port, float $timeout): void
{
    $ca = getenv('REDIS_CA');
    $name = getenv('REDIS_SERVER_NAME');
    $stream = $ca ? ['stream' => ['cafile' => $ca, 'peer_name' => $name, 'verify_peer' => true]] : [];
    $redis->connect(($ca ? 'tls://' : '') . $host, $port, $timeout, null, 0, $timeout, $stream);
    $redis->auth(getenv('REDIS_PASSWORD'));
}

$redis = new Redis();
$ready = false;
for ($n = (int) $start;; $n++) {
    try {
        if (!$ready) {
            connected($redis, $host, (int) $port, $timeout);
            $ready = true;
        }
        // An error reply is no exception: the call returns false and keeps the message.
        if ($redis->set("$prefix:$n", $n) === true) {
            tell('A', $n);
            usleep((int) $interval * 1000);
            continue;
        }
        tell('E', $n, ' ' . preg_replace('/\s+/', ' ', (string) $redis->getLastError()));
        $redis->clearLastError();
    } catch (RedisException $error) {
        tell('E', $n, ' ' . preg_replace('/\s+/', ' ', $error->getMessage()));
        // The library connects again by itself until that fails once; from then on its user has to.
        $ready = $ready && !str_contains($error->getMessage(), 'went away');
    }
    usleep(20000);
}
