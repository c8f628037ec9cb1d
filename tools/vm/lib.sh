# SPDX-License-Identifier: GPL-2.0-only
# Sourced by the scripts of tools/vm: where the cache is, how to talk, how to fail.
# The caller sets `top` (root of the repository) before.
# shellcheck shell=sh

CACHE=${CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/gem-shrinker}
me=${0##*/}

say() { printf '%s: %s\n' "$me" "$*" >&2; }
die() { say "$*"; exit "${die_status:-1}"; }

# need COMMAND PACKAGE: fails with the name of the Debian package that has COMMAND
need() {
	command -v "$1" >/dev/null || die "$1 is missing: apt-get install $2"
}

# lock NAME: one caller at a time from here to the end of the script
lock() {
	mkdir -p "$CACHE/vm"
	exec 9>"$CACHE/vm/$1.lock"
	flock -n 9 && return
	say "waiting for another run that builds $1"
	flock 9
}

# runs PID: whether it does, other than a child that ended and was not waited for, on which
# kill -0 succeeds, too
runs() { grep -qs '^State:[[:space:]]*[^XZ[:space:]]' "/proc/$1/status"; }

# digest: a short key of what is on stdin
digest() { sha256sum | cut -c1-20; }

# kcov TREE FRAGMENT: make's variables that instrument the files which the lines "# kcov:
# PATTERN..." of FRAGMENT name. scripts/Makefile.lib looks at one for each object.
kcov() {
	sed -n 's/^# kcov: //p' "$2" | while read -r patterns; do
		# shellcheck disable=SC2086 # are to be expanded
		(cd "$1" && printf 'KCOV_INSTRUMENT_%s\n' $patterns)
	done | sed 's|T_.*/|T_|; s/\.c$/.o=y/'
}

# lock_logs DIR: makes it, and waits for another run that writes the same logs
lock_logs() {
	mkdir -p "$1"
	exec 8>"$1/lock"
	flock -n 8 || { say 'waiting for another run, which writes the same logs'; flock 8; }
}

# tally TEST CONFIG STATUS LOG FIGURES [CHECK-LOG-OPTION...]: a line for the table of tools/test-all.
# FIGURES is what the guest said, if it did. A guest that failed (STATUS) has a failure.
tally() {
	tally=${5:-ops=- faults=- failures=- lost=- leaked=- wait=-}
	# shellcheck disable=SC2154 # the caller sets it
	tally="$1 $2 $tally splats=$("$top/tools/vm/check-log" "$4" ${7:+"$6" "$7"} | wc -l)"
	[ "$3" -eq 0 ] || tally=$(echo "$tally" | sed 's/failures=\(0\|-\)\( \|$\)/failures=1\2/')
	echo "TALLY $tally"
}
