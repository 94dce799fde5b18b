#!/bin/sh
# Usage: start.sh redis.conf
# Runs redis-server and starts it anew, at once, when it dies. A port that refuses
# is what clients punish most: some do not dial again for a second. A kubelet needs
# about a second for a container, and a shell some milliseconds for a process, most of
# them for linking it: a spare one waits that has this behind it.
# Each process starts from the same redis.conf, which fences it.
# Before each start volume.sh, which comes before this in a pod's command, sees to it
# that no data on the volume is ignored.
# It is the container's first process. POSIX sh: dash, busybox, bash. Between two lives
# it uses builtins only, unless files on the volume have to be moved: a process that
# cannot be forked must not be in the way. A pod has it without its lines of comments. It does not ask the shell for its own id: a kubelet takes two
# dollars in a command for one.
stopping=
child=
helper=
spare=
code=0

# A TERM that finds the child before its exec meets the shell's own trap there, and
# is lost. The wait for it lasts as long as an exec takes.
terminate() {
	[ -n "$child" ] || return 0
	while state_of "$child" && [ "$parent $comm" = "$self $shell" ] && [ "$state" != Z ]; do :; done
	kill -TERM "$child" 2>/dev/null
}

# state_of PID|self sets pid, comm, state and parent; it fails when there is no such
# process. The name of a program may contain blanks and brackets.
state_of() {
	{ read -r stat <"/proc/$1/stat"; } 2>/dev/null || return 1
	pid=${stat%% *}
	comm=${stat#* (}
	comm=${comm%)*}
	stat=${stat##*) }
	state=${stat%% *}
	stat=${stat#* }
	parent=${stat%% *}
}

# INT is passed on as TERM: a shell has INT ignored by what it starts in the background.
trap 'stopping=$((stopping + 1)); terminate' TERM INT
state_of self
self=$pid
shell=$comm

# A Redis that cannot persist what it replicates panics, and where the kernel's
# core_pattern is a plain name, its memory would go into its working directory: the
# volume that was full, and then stays so.
# shellcheck disable=SC3045 # each of those shells has it
ulimit -c 0

# A process that dies younger than this ends the container, with its exit code: a
# redis.conf that Redis refuses or a volume that it cannot read is a crash loop, which
# the kubelet slows down and shows. A process that was killed is older as a rule.
young=${REDISHA_YOUNG_SECONDS:-5}
# More than so many lives in a row, each shorter than so many seconds, end the
# container too: a process that dies each time that it loads its data is older than
# young when it does, and would never be seen. Ten kills in ten minutes are not that:
# a life that lasted counts anew, and a kubelet does not back off from one end.
short=${REDISHA_SHORT_SECONDS:-60}
most=5

# uptime sets now to whole seconds. Without /proc each life lasts for 0 s, and the
# kubelet starts what died.
uptime() {
	now=0
	{ read -r now </proc/uptime; } 2>/dev/null
	now=${now%%.*}
}

# The mounted file is written for the pods that are made next, and a pod that was not
# replaced yet sees it as well: a process that is started anew in it must not be the
# first to find out that the file is no good. So it starts from what this pod started
# from, for as long as the pod is there. Should a process die young with that, the next
# container reads the mounted file again. Redis reads it from its input: a file that it
# could write it would write on CONFIG REWRITE, and then come back without its fence.
kept=${REDISHA_KEPT:-/tmp/redisha.conf}
keep() {
	[ ! -s "$kept" ] || return 0
	while IFS= read -r line || [ -n "$line" ]; do
		printf '%s\n' "$line" || return 1
	done <"$1" >"$kept"
}
forget() { : >"$kept"; }
keep "$1" || forget
[ -s "$kept" ] || kept=$1

say() { echo "redisha: redis-server ended with exit code $code after $lived s; $1" >&2; }

# A child that writes a snapshot outlives its redis-server. It holds memory, and puts
# an older dump.rdb in the place of a newer one when it is done. The first process of
# a container inherits it. What else has that parent is an orphan too.
end_orphans() {
	[ "$self" = 1 ] || return 0
	for process in /proc/[0-9]*; do
		state_of "${process#/proc/}" && [ "$parent" = 1 ] && [ "$pid" != "$spare" ] && kill -KILL "$pid" 2>/dev/null
	done
}

# A spare redis-server is linked and has set up its memory, which is most of what a
# start costs: 23 of 30 ms, and more where everybody wants the processor at once. It
# waits for the end of its input, with 2 MB of its own, and only then reads redis.conf
# and listens. Whatever ends this shell, it starts fenced, or ends because its port is
# taken. It is made young seconds after a start, which needs the processor itself.
# No signal tells when: bash loses a child whose end meets a trapped signal.
# There are two named pipes, for a writer that comes in the instant in which the last
# one goes keeps the reader waiting.
pipe=${REDISHA_KEPT:-/tmp/redisha.conf}.spare
rm -f "$pipe" "$pipe-" 2>/dev/null
mkfifo "$pipe" "$pipe-" 2>/dev/null || pipe=
prepare() {
	case $pipe in
	"") return 0 ;;
	*-) pipe=${pipe%-} ;;
	*) pipe=$pipe- ;;
	esac
	[ -p "$pipe" ] && command exec 3<>"$pipe" || return 0
	{
		exec 3>&-
		[ "$young" -eq 0 ] || sleep "$young" >/dev/null 2>&1
		exec redis-server - --include "$kept" <"$pipe"
	} &
	spare=$!
}

# drop ends the spare process before its input ends.
drop() {
	[ -n "$spare" ] || return 0
	kill -KILL "$spare" 2>/dev/null
	wait "$spare" 2>/dev/null
	exec 3>&-
	spare=
}

# waits reports that the spare process is there, and is no shell any more.
waits() {
	[ -n "$spare" ] && state_of "$spare" && [ "$parent" = "$self" ] && [ "$state" != Z ] && [ "$comm" != "$shell" ]
}

# begin sets child to a redis-server that starts.
begin() {
	if [ -z "$override" ] && waits; then
		child=$spare
		spare=
		exec 3>&-
	else
		drop
		# shellcheck disable=SC2086 # no word, or two
		redis-server - $override <"$kept" &
		child=$!
	fi
	prepare
}

# await waits for the end of the child and sets code. A trap ends the builtin wait
# early; a child that was waited for already is unknown the next time (127).
await() {
	seen=$stopping
	wait "$child"
	code=$?
	while [ "$seen" != "$stopping" ]; do
		seen=$stopping
		wait "$child" 2>/dev/null
		again=$?
		[ $again -eq 127 ] || code=$again
	done
}

supported
starts=0
row=0
while [ -z "$stopping" ]; do
	volume "$kept"
	uptime
	born=$now
	begin
	if [ -n "$override" ]; then
		to_rdb "$child" 3>&- &
		helper=$!
	fi
	starts=$((starts + 1))
	[ -z "$stopping" ] || terminate # it came before child was known
	await
	child=
	[ -z "$helper" ] || kill "$helper" 2>/dev/null
	helper=
	uptime
	lived=$((now - born))
	[ -z "$stopping" ] || break
	row=$((row + 1))
	[ "$lived" -lt "$short" ] || row=0
	if [ "$lived" -lt "$young" ]; then
		[ "$kept" = "$1" ] || forget
		say "it died young, so the container ends"
		break
	elif [ "$row" -gt "$most" ]; then
		say "that was short-lived $row times in a row, so the container ends"
		break
	fi
	end_orphans
	say "starting it anew, start $((starts + 1)) in this container"
done
drop
exit "$code"
