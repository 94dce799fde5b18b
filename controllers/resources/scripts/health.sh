#!/bin/sh
# Usage: health.sh live|ready
# live:  the process answers; what it answers does not matter. Killing a Redis
#        because it is loading, busy or without its master would lose data.
# ready: it is master, or a replica whose link to its master is up.
# POSIX sh; works with busybox and coreutils, redis-cli and valkey-cli.
port=${REDISHA_PORT:-6379}
IFS= read -r REDISCLI_AUTH <"${REDISHA_AUTH_DIR:-/etc/redisha-auth}/password" # not by cat: a process less
VALKEYCLI_AUTH=$REDISCLI_AUTH
export REDISCLI_AUTH VALKEYCLI_AUTH
cli=redis-cli
command -v redis-cli >/dev/null 2>&1 || cli=valkey-cli

case $1 in
live)
	answer=$(timeout 8 "$cli" -h 127.0.0.1 -p "$port" ping 2>&1)
	case $answer in
	*PONG* | *LOADING* | *MASTERDOWN* | *BUSY* | *NOAUTH* | *WRONGPASS* | *NOPERM* | *MISCONF* | *"max number of clients"*) exit 0 ;;
	esac
	;;
ready)
	answer=$(timeout 8 "$cli" -h 127.0.0.1 -p "$port" info replication 2>&1)
	case $answer in
	*role:master* | *master_link_status:up*) exit 0 ;;
	*role:slave*) answer="replica without a link to its master" ;;
	esac
	;;
*)
	answer="usage: health.sh live|ready"
	;;
esac
echo "${answer:-no answer}"
exit 1
