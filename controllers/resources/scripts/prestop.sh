#!/bin/sh
# Holds the process while it is master, so that the operator can switch over before
# Redis is told to stop, and a replica for a second, which a former master is by
# then: until every kube-proxy has heard, new connections come here, and taking a
# container down costs a node the processor time that its kube-proxy needs.
# Returns after 3 s without an answer, or without any replica (none could take
# over), and after 20 s anyway. One late answer, as on a busy node, is no end.
# POSIX sh; works with busybox and coreutils, redis-cli and valkey-cli.
socket=${REDISHA_SOCKET:-/tmp/redisha.sock} # see health.sh
port=${REDISHA_PORT:-6379}
hold=${REDISHA_HOLD_SECONDS:-20}
alone=${REDISHA_ALONE_SECONDS:-3}
linger=${REDISHA_LINGER_SECONDS:-1}
auth=${REDISHA_AUTH_DIR:-/etc/redisha-auth}
user=redisha-pod
secret=$auth/pod-password
if [ ! -f "$secret" ]; then
	user=default
	secret=$auth/password
fi
REDISCLI_AUTH=$(cat "$secret")
VALKEYCLI_AUTH=$REDISCLI_AUTH
export REDISCLI_AUTH VALKEYCLI_AUTH
cli=redis-cli
command -v redis-cli >/dev/null 2>&1 || cli=valkey-cli

now=$(date +%s)
end=$((now + hold))
followed=$now
answered=$now
while [ "$now" -lt "$end" ]; do
	# Lines of ROLE: master, its offset, then three for each replica.
	if [ -S "$socket" ]; then set -- -s "$socket"; else set -- -h 127.0.0.1 -p "$port"; fi
	role=$(timeout 1 "$cli" --user "$user" "$@" role 2>/dev/null)
	case $role in
	*BUSY* | *LOADING*)
		followed=$now
		answered=$now
		;;
	master*)
		answered=$now
		# shellcheck disable=SC2086 # splitting counts the words
		set -- $role
		if [ $# -gt 2 ]; then
			followed=$now
		elif [ $((now - followed)) -ge "$alone" ]; then
			exit 0
		fi
		;;
	slave*)
		sleep "$linger"
		exit 0
		;;
	*)
		if [ $((now - answered)) -ge "$alone" ]; then
			exit 0
		fi
		;;
	esac
	sleep 0.1 2>/dev/null || sleep 1
	now=$(date +%s)
done
exit 0
