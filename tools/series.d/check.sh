# SPDX-License-Identifier: GPL-2.0-only
# Sourced by tools/series: all checks of the series, one line each.
#
# A step is a function that prints what is wrong and returns false. What a good step says
# is kept in the cache under a key of all that it looks at.
# shellcheck shell=sh
# shellcheck disable=SC2154 # CACHE, base, patched, tmp, top: set by tools/series
# shellcheck disable=SC2046 # lists of paths, none has a blank

# step NAME KEY FUNCTION: one line `ok` or `FAIL`, then what it says
step() {
	good=
	[ "$2" = - ] || good=$CACHE/check/$(printf '%s\n' "$base" "$3" "$2" | sha256sum | cut -c1-32)
	if [ -n "$good" ] && [ -f "$good" ]; then
		passed=$((passed + 1))
		echo "ok $1"
		sed 's/^/  /' "$good"
		return
	fi
	say "$1 ..."
	if "$3" >"$tmp/said"; then
		passed=$((passed + 1))
		echo "ok $1"
		[ -z "$good" ] || cp "$tmp/said" "$good"
	else
		failed=$((failed + 1))
		echo "FAIL $1"
	fi
	sed 's/^/  /' "$tmp/said"
}

# changed [FILTER] [PATHSPEC...]: files of the series, such as `changed A '*.c'`
changed() {
	filter=$1
	shift
	git -C "$patched" diff --no-renames --name-only --diff-filter="$filter" base series -- "$@"
}

# only_new OLD NEW: lines that NEW has and OLD has not, by number of times; false if any
only_new() {
	sort "$1" >"$tmp/old-sorted"
	sort "$2" >"$tmp/new-sorted"
	comm -13 "$tmp/old-sorted" "$tmp/new-sorted" >"$tmp/only-new"
	cat "$tmp/only-new"
	[ ! -s "$tmp/only-new" ]
}

# --- steps on the patches

# Each line of checkpatch.allow is an extended regular expression for lines such as
# `drm-virtio-Add-madvise: WARNING:TYPE: text`; a line that fits nothing is an error.
check_checkpatch() {
	allow=$top/patches/$base/checkpatch.allow
	# Debian's python first: it has the modules that the SPDX check wants
	(cd "$patched" && PATH=/usr/bin:$PATH && for p in "$tmp/mails"/[0-9]*.patch; do
		case $p in */0000-*) continue ;; esac
		perl scripts/checkpatch.pl --strict --terse --show-types --no-summary \
			--color=never "$p" || :
	done) >"$tmp/checkpatch" 2>&1
	sed "s,^$tmp/mails/,," "$tmp/checkpatch" >"$tmp/raw"
	# names without number and line: both change with every edit
	sed -E 's,^[0-9]{4}-([^/:]*)\.patch:([0-9]+:)?,\1:,' "$tmp/raw" >"$tmp/found"
	grep -v '^#' "$allow" 2>/dev/null | sed '/^$/d' >"$tmp/allow" || :
	bad=0
	paste -d '\n' "$tmp/found" "$tmp/raw" | while read -r line && read -r raw; do
		if printf '%s\n' "$line" | grep -v ': ERROR:' | grep -qEf "$tmp/allow"; then
			echo "allowed: $raw"
		else
			echo "$raw"
			: >"$tmp/not-allowed"
		fi
	done
	[ ! -f "$tmp/not-allowed" ] || bad=1
	while read -r line; do
		grep -qE -e "$line" "$tmp/found" || { bad=1; echo "checkpatch.allow: fits nothing: $line"; }
	done <"$tmp/allow"
	for type in ERROR WARNING CHECK; do
		printf '%s %s, ' "$(grep -c ": $type:" "$tmp/found")" "$type"
	done
	echo "in $(series_files "$base" | wc -l) patches"
	return $bad
}

# In an .rst a line of seven = under a title is no conflict marker.
check_whitespace() { git -C "$patched" diff --check base series -- ':!*.rst'; }

check_roundtrip() {
	made=$(am_tree "$tmp/mails") || return 1
	built=$(git -C "$patched" rev-parse 'series^{tree}')
	echo "built $built"
	echo "git am $made"
	[ "$made" = "$built" ]
}

check_refresh() {
	copy=$tmp/copy
	mkdir -p "$copy/tools"
	cp -r "$top/tools/series" "$top/tools/series.d" "$copy/tools/"
	cp -r "$top/patches" "$copy/"
	all_new_files | while read -r f; do
		mkdir -p "$copy/$(dirname "$f")"
		cp -p "$top/$f" "$copy/$f"
	done
	(cd "$copy" && tools/series refresh "$base" "$patched" 2>"$tmp/err") >"$tmp/diff" ||
		{ cat "$tmp/err"; return 1; }
	cat "$tmp/diff"
	[ ! -s "$tmp/diff" ]
}

# Files of the overlay that no commit introduces never reach a kernel.
check_overlay() {
	all_new_files >"$tmp/named"
	(cd "$top" && find drivers include mm lib arch -type f 2>/dev/null) | sort |
		comm -23 - "$tmp/named" | sed 's/$/: no patch names it/' >"$tmp/stray"
	# the model of a GPU is one thing, and so are its tests
	changed A '*.[ch]' ':!*/panfrost/tests/*' | while read -r f; do
		lines=$(wc -l <"$patched/$f")
		[ "$lines" -le 500 ] || echo "$f: $lines lines, 500 allowed"
	done >>"$tmp/stray"
	cat "$tmp/stray"
	[ ! -s "$tmp/stray" ]
}

# --- steps on the code

# warnings COMMIT FILE...: of W=1 and sparse or, for another $arch, W=1 alone; without line
# numbers
warnings() {
	each_checkout "$1"
	shift
	: >"$tmp/make.log"
	objects=$(printf '%s\n' "$@" | sed 's/c$/o/')
	case ${arch:-} in
	'') place=obj; set -- C=2 ;;
	*) place=obj-$arch; set -- "ARCH=$arch" CC=aarch64-linux-gnu-gcc \
		CROSS_COMPILE=aarch64-linux-gnu- ;;
	esac
	# shellcheck disable=SC2086 # a list
	if ! each_config "$place" "$top/tools/series.d/compile.config" "$@" ||
		! each_make "$place" CONFIG_WERROR= W=1 "$@" $objects; then
		each_errors >&2
		return 1
	fi
	grep -E '(warning|error):' "$tmp/make.log" | sed "s,$src/,,; s,^\(\.\./\)*src/,," |
		sort -u | sed -E 's/:[0-9]+(:[0-9]+)?:/:/'
}

check_warnings() {
	command -v sparse >/dev/null || { echo 'sparse is not installed'; return 1; }
	each_lock
	# what is for User-Mode Linux alone is compiled by tools/uml
	set -- '*.c' ':!arch/um/*' ':!arch/*/um/*' ':!*/panfrost/tests/*'
	warnings base $(changed M "$@") >"$tmp/w-old" || return 1
	warnings series $(changed AM "$@") >"$tmp/w-new" || return 1
	each_unlock
	only_new "$tmp/w-old" "$tmp/w-new"
}

# The drivers for GPUs that only Arm machines have, and what they stand on.
check_arm64() {
	command -v aarch64-linux-gnu-gcc >/dev/null ||
		{ echo 'aarch64-linux-gnu-gcc is not installed'; return 1; }
	each_lock
	set -- 'drivers/gpu/drm/panfrost/*.c' 'drivers/gpu/drm/lima/*.c' 'drivers/gpu/drm/drm_*.c' \
		':!drivers/gpu/drm/*/tests/*'
	bad=0
	arch=arm64
	warnings base $(changed M "$@") >"$tmp/w-old" && warnings series $(changed AM "$@") >"$tmp/w-new" ||
		bad=1
	arch=''
	each_unlock
	[ $bad -eq 0 ] && only_new "$tmp/w-old" "$tmp/w-new"
}

# Not of the tests, which are for every machine, nor of drivers that want 64 bit.
check_32bit() {
	each_lock
	each_checkout series
	: >"$tmp/make.log"
	sed -e '/64BIT\|DEBUG_FS\|PROVE_LOCKING\|FTRACE\|TRACERS\|SWAP\|KUNIT/d' \
		"$top/tools/series.d/compile.config" >"$tmp/32bit.config"
	if ! each_config obj32 "$tmp/32bit.config" ARCH=i386 ||
		! each_make obj32 ARCH=i386 $(changed AM '*.c' ':!arch/um/*' ':!arch/*/um/*' | grep -vE '/(tests|imagination|ivpu)/|_test\.c$' | sed 's/c$/o/'); then
		each_errors
		return 1
	fi
	each_unlock
}

# kernel_doc TREE FILE...: complaints of kernel-doc, without line numbers
kernel_doc() (
	cd "$1" || exit
	shift
	for f; do
		scripts/kernel-doc -none "$f" 2>&1 || :
	done | sed -E 's/:[0-9]+:? /: /'
)

check_kernel_doc() {
	bad=0
	for f in $(changed A '*.[ch]'); do
		(cd "$patched" && scripts/kernel-doc -none -Wall -Werror "$f" 2>&1) || bad=1
	done
	kernel_doc "$pristine" $(changed M '*.[ch]') >"$tmp/d-old"
	kernel_doc "$patched" $(changed M '*.[ch]') >"$tmp/d-new"
	only_new "$tmp/d-old" "$tmp/d-new" || bad=1
	return $bad
}

# --- steps on our own tools and texts

our_scripts() {
	(cd "$top" && find tools .ci -type f -exec grep -lE '^#!/bin/(ba)?sh|^# shellcheck shell=' {} + | sort)
}

check_shell() {
	command -v shellcheck >/dev/null || { echo 'shellcheck is not installed'; return 1; }
	(cd "$top" && shellcheck -x $(our_scripts))
}

our_texts() {
	(cd "$top" && find README.md MAINTAINERS Makefile .ci patches tools drivers include mm \
		Documentation -type f 2>/dev/null | sort)
}

check_spelling() {
	command -v codespell >/dev/null || { echo 'codespell is not installed'; return 1; }
	# similiar: in a line of the kernel that a patch takes out
	(cd "$top" && codespell -L filp,buildd,renderd,similiar $(our_texts) 2>&1)
}

check_selftest() {
	"$top/tools/series.d/selftest" >"$tmp/selftest" 2>&1 && tail -n 1 "$tmp/selftest" && return
	grep -v '^ok ' "$tmp/selftest"
	return 1
}

# hash_of FILE...: relative to the root of the repository
hash_of() { (cd "$top" && cat "$@" 2>/dev/null | sha256sum); }

do_check() {
	get_patched
	mkdir -p "$CACHE/check" "$tmp/mails"
	passed=0 failed=0
	tools=$(hash_of tools/series tools/series.d/* tools/test-all)
	code="$(git -C "$patched" rev-parse 'series^{commit}') $(hash_of tools/series.d/*.config)"
	[ -z "$(series_files "$base")" ] || write_mails "$tmp/mails"

	step 'tools/series and tools/test-all: self test' "$tools" check_selftest
	step 'our shell scripts: shellcheck' "$(hash_of $(our_scripts))" check_shell
	step 'our texts: codespell' "$(hash_of $(our_texts))" check_spelling
	step 'every overlay file is in a patch, none over 500 lines' - check_overlay
	step 'refresh of the built tree changes nothing' "$code $tools" check_refresh
	step 'git am of the export makes the built tree' "$code $tools" check_roundtrip
	step 'no whitespace errors' "$code" check_whitespace
	step 'checkpatch --strict' "$code $(hash_of "patches/$base/checkpatch.allow")" check_checkpatch
	step 'kernel-doc: nothing new, added files complete' "$code" check_kernel_doc
	step 'every commit compiles, modules use exported symbols' "$code $(gcc --version)" each_commit
	step 'W=1 and sparse: nothing new' "$code $(gcc --version; sparse --version)" check_warnings
	step 'arm64: W=1 of panfrost and lima, nothing new' "$code $(aarch64-linux-gnu-gcc --version)" check_arm64
	step '32 bit, without debugfs, lockdep and tracing' "$code $(gcc --version)" check_32bit
	echo "$passed passed, $failed failed"
	[ "$failed" -eq 0 ]
}
