# An application that writes through redis-rb. Arguments: HOST PORT PREFIX INTERVAL START.
require "redis"

host, port, prefix, interval, start = ARGV
$stdout.sync = true

def tell(kind, number, text = "")
  puts "#{kind} #{Process.clock_gettime(Process::CLOCK_REALTIME, :millisecond)} #{number}#{text}"
end

settings = ENV["SETTINGS"] == "tuned" ? { timeout: 0.5 } : {}
if ENV["REDIS_CA"] # it connects to an address
  settings.merge!(ssl: true, ssl_params: { ca_file: ENV["REDIS_CA"], verify_hostname: false })
end
redis = Redis.new(host: host, port: port.to_i, password: ENV.fetch("REDIS_PASSWORD"), **settings)
n = start.to_i
loop do
  begin
    redis.set("#{prefix}:#{n}", n)
    tell("A", n)
    sleep(interval.to_i / 1000.0)
  rescue Redis::BaseError, SystemCallError => e
    tell("E", n, " " + e.message.split.join(" "))
    sleep(0.02)
  end
  n += 1
end
