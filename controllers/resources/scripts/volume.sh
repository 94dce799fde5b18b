#!/bin/sh
# shellcheck disable=SC2006,SC2034,SC2154 # no $( in a pod's command, see start_test.go; start.sh reads override and sets starts
# shellcheck disable=SC3013 # each of those shells has it
# What start.sh does about the data on the volume before each start of redis-server.
# Redis loads the append-only file (AOF) when appendonly is yes, and the snapshot
# (RDB) when it is no, each by the name that redis.conf has. It takes no notice of
# anything else: it starts empty, and writes over what lies there in time. So what
# lies there is brought to where Redis looks for it, or the start is refused.
# A volume where nothing is to be done costs a few looks by builtins.
#
# Facts, of Redis 7.0 to 8 and of Valkey:
# - An AOF may begin with an RDB, and an RDB by itself is an AOF without a tail.
# - An AOF is a folder of files and a manifest, which names them. A single file, as of
#   before 7.0, is taken into the folder by Redis and not appended to.
# - While AOF is on Redis writes snapshots as well; they hold nothing that it lacks.
# - AOF that is turned off leaves its files behind, and each snapshot is newer.
# Each step is one rename, so a crash between two leaves what the next start can read.

note() { echo "redisha: $1" >&2; }

# refuse ends the container. The kubelet shows what is in the termination log.
refuse() {
	note "$1"
	log=${REDISHA_TERMINATION_LOG:-/dev/termination-log}
	[ ! -w "$log" ] || echo "redisha: $1" >"$log"
	exit 78
}

# supported refuses a Redis that nothing here is tested with.
supported() {
	version=`redis-server --version 2>/dev/null`
	version=${version#*v=}
	case $version in
	[1-6].*) refuse "Redis ${version%% *} is older than 7.0, the oldest that RedisHA is tested with: set spec.image to a newer one" ;;
	esac
}

settings() {
	dir=. port=6379 socket='' auth=. appendonly=no rdb=dump.rdb folder=appendonlydir file=appendonly.aof
	while read -r name value; do
		value=${value#[\"\']}
		value=${value%[\"\']}
		case $name in
		dir) dir=$value ;;
		port) port=$value ;;
		unixsocket) socket=$value ;;
		include) auth=${value%/*} ;;
		appendonly) appendonly=$value ;;
		dbfilename) rdb=$value ;;
		appenddirname) folder=$value ;;
		appendfilename) file=$value ;;
		esac
	done <"$1"
	rdb=$dir/$rdb folder=$dir/$folder single=$dir/$file
	manifest=$folder/$file.manifest
}

has() { [ -f "$1" ] && [ -s "$1" ]; }

has_aof() { has "$manifest" || has "$single"; }

# current reports an AOF of which something is as new as the snapshot, if there is one.
current() {
	has "$rdb" || return 0
	case $1 in *.manifest) set -- "${1%/*}"/* ;; esac
	for part in "$@"; do
		[ "$rdb" -nt "$part" ] || return 0
	done
	return 1
}

# only sets found to the one of the files that holds data.
only() {
	found=
	for one in "$@"; do
		has "$one" || continue
		case $one in
		*/temp-*) continue ;;
		*.manifest)
			read -r word value <"$one"
			[ "$word" = file ] || continue
			;;
		esac
		[ -z "$found" ] || refuse "$found and $one both hold data, and redis.conf names neither: set dbfilename, appendfilename or appenddirname in spec.config to what is to be loaded, or remove the other"
		found=$one
	done
	[ -n "$found" ]
}

other_aof() { only "$dir"/*/*.manifest "$dir"/*.aof; }

other_rdb() { only "$dir"/*.rdb; }

move() {
	note "$1 becomes $2, because redis.conf names that${3:-}"
	mv "$1" "$2" || refuse "$1 holds data and cannot be renamed to $2, which redis.conf names"
}

# move_aof gives the AOF that was found the names that redis.conf has.
move_aof() {
	case $found in
	*.manifest)
		if [ "${found%/*}" != "$folder" ]; then
			whole
			rm -rf "${folder:?}"
			move "${found%/*}" "$folder"
		fi
		found=$folder/${found##*/}
		[ "$found" = "$manifest" ] || move "$found" "$manifest"
		;;
	*) move "$found" "$single" ;;
	esac
}

# whole refuses a folder with data and without its manifest, which Redis takes for
# empty. A first start that was interrupted leaves an AOF of nothing.
whole() {
	for part in "$folder"/*; do
		has "$part" || continue
		case ${part##*/} in
		temp-*) continue ;;
		*.incr.aof) ;;
		*) [ "`wc -c <"$part"`" -gt 1024 ] || continue ;;
		esac
		refuse "$folder holds data and no manifest, so Redis would start empty: restore $manifest from where the volume came from, or remove the folder to give its data up"
	done
}

# known refuses data by a name that nothing tells anything about.
known() {
	for one in "$dir"/*; do
		has "$one" || continue
		case ${one##*/} in temp-*) continue ;; esac
		case `head -c 5 "$one" | tr -d '\0'` in
		REDIS* | VALKE* | \*[1-9]*)
			refuse "$one looks like data of Redis, and redis.conf names another file: set spec.config.dbfilename (a snapshot) or appendfilename (an append-only file) to its name, or remove it" ;;
		esac
	done
}

# volume_for_aof brings what lies there to where Redis looks when appendonly is yes.
volume_for_aof() {
	if has_aof; then
		:
	elif other_aof; then
		move_aof
	else
		whole
		if has "$rdb"; then
			move "$rdb" "$single" " and appendonly is yes"
		elif other_rdb; then
			move "$found" "$single" " and appendonly is yes"
		else
			known
		fi
	fi
}

# volume_for_rdb does it when appendonly is no. What an AOF holds is loaded from it;
# to_rdb sees to the rest.
volume_for_rdb() {
	if has_aof; then
		found=$manifest
		has "$found" || found=$single
		if current "$found"; then from_aof; else aside; fi
	elif other_aof; then
		if current "$found"; then
			move_aof
			from_aof
		else
			aside
		fi
	elif ! has "$rdb"; then
		whole
		if other_rdb; then
			move "$found" "$rdb"
		else
			known
		fi
	fi
}

from_aof() {
	readable
	note "the newest data is in the append-only file; it is loaded, and appendonly becomes no when a snapshot holds it"
	override="--appendonly yes"
}

# aside puts an AOF away that was turned off before the snapshot was written: should
# appendonly be yes again, Redis would load it. The last one is kept.
aside() {
	case $found in *.manifest) found=${found%/*} ;; esac
	older=$dir/.redisha-older-aof
	note "$found is older than $rdb; it is put into $older"
	rm -rf "$older"
	mkdir "$older" && mv "$found" "$older"
	[ ! -e "$single" ] || mv "$single" "$older"
}

volume() {
	override=
	settings "$1"
	[ ! -e "$dir/.redisha-gone" ] || rm -rf "$dir/.redisha-gone"
	case $appendonly in
	[Yy][Ee][Ss]) volume_for_aof ;;
	*) volume_for_rdb ;;
	esac
}

# retire removes the files of an AOF that is off. Half of a folder would be taken for an
# AOF that is broken, so it goes in one step, to where nothing looks.
retire() {
	gone=$dir/.redisha-gone
	rm -rf "$gone" "${single:?}"
	[ ! -e "$folder" ] || mv "$folder" "$gone"
	rm -rf "$gone"
}

ask() {
	if [ -S "$socket" ]; then set -- -s "$socket" "$@"; else set -- -h 127.0.0.1 -p "$port" "$@"; fi
	reply=`"$cli" --user "$user" "$@" 2>&1`
}

# to_rdb waits until a snapshot holds what the AOF held, turns AOF off, and removes its
# files. Until then AOF is on, so a crash at any moment loses nothing. It ends with the
# redis-server whose id it is given.
to_rdb() {
	user=redisha-pod secret=$auth/pod-password
	[ -f "$secret" ] || user=default secret=$auth/password
	IFS= read -r REDISCLI_AUTH <"$secret"
	VALKEYCLI_AUTH=$REDISCLI_AUTH
	export REDISCLI_AUTH VALKEYCLI_AUTH
	cli=redis-cli
	command -v redis-cli >/dev/null 2>&1 || cli=valkey-cli
	before='' told=''
	while sleep 1 && kill -0 "$1" 2>/dev/null; do
		ask info persistence
		case $reply in
		*loading:1* | *rdb_bgsave_in_progress:1*) continue ;;
		*loading:0*) ;;
		*) continue ;;
		esac
		case $reply in *rdb_last_bgsave_status:err*)
			[ -n "$told" ] || note "no snapshot can be written, so appendonly stays yes: is the volume full?"
			told=yes
			sleep 9
			;;
		esac
		ask lastsave # in seconds, of the last snapshot that was written whole
		case $reply in "" | *[!0-9]*) continue ;; esac
		if [ -z "$before" ]; then
			before=$reply
			continue
		fi
		if [ "$reply" = "$before" ]; then
			ask bgsave schedule
			continue
		fi
		ask config set appendonly no
		[ "$reply" = OK ] || continue
		retire
		note "a snapshot holds all data; appendonly is no from now on"
		return
	done
}
