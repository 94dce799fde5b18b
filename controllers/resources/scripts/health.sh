#!/bin/sh
# Usage: health.sh live|ready
# live:  the process answers, or is given the processor; what it answers does not
#        matter. Killing a Redis because it is loading, busy, without its master or
#        on a machine that has too much to do would lose data.
# ready: it is master, or a replica whose link to its master is up, now or within
#        6 s: to look again here costs a quarter of what another probe costs.
# POSIX sh; works with busybox and coreutils, redis-cli and valkey-cli.
# It asks by a socket in the pod's file system, which is there whether ports take
# connections in clear, encrypted ones, or both. A Redis that was started before there
# was one is asked by its port.
socket=${REDISHA_SOCKET:-/tmp/redisha.sock}
port=${REDISHA_PORT:-6379}
# It asks as a user of its own, and as the default user where Redis does not know that
# one yet.
auth=${REDISHA_AUTH_DIR:-/etc/redisha-auth}
user=redisha-pod
as() {
	IFS= read -r REDISCLI_AUTH <"$1" # not by cat: a process less
	VALKEYCLI_AUTH=$REDISCLI_AUTH
	export REDISCLI_AUTH VALKEYCLI_AUTH
}
as_default() {
	user=default
	as "$auth/password"
}
if [ -f "$auth/pod-password" ]; then as "$auth/pod-password"; else as_default; fi
cli=redis-cli
command -v redis-cli >/dev/null 2>&1 || cli=valkey-cli

ask() {
	if [ -S "$socket" ]; then set -- -s "$socket" "$@"; else set -- -h 127.0.0.1 -p "$port" "$@"; fi
	answer=$(timeout "${REDISHA_ANSWER_SECONDS:-8}" "$cli" --user "$user" "$@" 2>&1)
}

# turns sets seen to how often each Redis process here has had the processor, by the
# kernel's count. A process that is stopped or deadlocked has it no more.
turns() {
	seen=
	for process in "${REDISHA_PROC:-/proc}"/[0-9]*; do
		{ read -r comm <"$process/comm"; } 2>/dev/null || continue
		case $comm in redis-server | valkey-server) ;; *) continue ;; esac
		while IFS=: read -r name count; do
			case $name in *voluntary_ctxt_switches) seen="$seen$count" ;; esac
		done <"$process/status"
	done 2>/dev/null
}

case $1 in
live)
	turns
	before=$seen
	ask ping
	case $answer in
	*PONG* | *LOADING* | *MASTERDOWN* | *BUSY* | *NOAUTH* | *WRONGPASS* | *NOPERM* | *MISCONF* | *"max number of clients"*) exit 0 ;;
	"") # it took too long, and the client may be what did
		turns
		[ "$seen" = "$before" ] || exit 0
		;;
	esac
	;;
ready)
	left=${REDISHA_READY_LOOKS:-4}
	while :; do
		ask info replication
		case $answer in
		*role:master* | *master_link_status:up*) exit 0 ;;
		*role:slave*) answer="replica without a link to its master" ;;
		*WRONGPASS*)
			if [ "$user" != default ]; then
				as_default
				continue
			fi
			;;
		esac
		left=$((left - 1))
		[ "$left" -gt 0 ] || break
		sleep 2
	done
	;;
*)
	answer="usage: health.sh live|ready"
	;;
esac
echo "${answer:-no answer}"
exit 1
