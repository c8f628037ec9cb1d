# SPDX-License-Identifier: GPL-2.0-only
# Sourced by tools/series: compiles every commit. All commits of a base are compiled in
# one place, so that make does what a commit changes and ccache the rest.
# shellcheck shell=sh
# shellcheck disable=SC2154 # CACHE, base, patched, tmp, top: set by tools/series

each_dirs='drivers/gpu/drm/ drivers/accel/'

# each_lock: one run at a time compiles a base; also sets where
each_lock() {
	each_top=$CACHE/each/$base
	src=$each_top/src
	mkdir -p "$each_top/ok"
	exec 8>"$each_top/lock"
	flock -n 8 && return
	say "waiting for another run that compiles $base"
	flock 8
}
each_unlock() { exec 8>&-; }

# each_checkout COMMIT: its files in $src
each_checkout() {
	if [ ! -f "$src/.git/ready" ]; then
		rm -rf "$src"
		git clone -q -s -n "$pristine" "$src"
		: >"$src/.git/ready"
	fi
	git -C "$src" fetch -q "$patched" +series:refs/heads/series-built
	git -C "$src" checkout -q -f --detach "$(git -C "$patched" rev-parse "$1^{commit}")"
}

# each_make OBJDIR ARG...: make in $src, output to $tmp/make.log
each_make() {
	obj=$each_top/$1
	shift
	ccache=
	if command -v ccache >/dev/null; then ccache='ccache '; fi
	KBUILD_BUILD_TIMESTAMP='Thu Jan  1 00:00:00 UTC 2026' KBUILD_BUILD_USER=builder \
	KBUILD_BUILD_HOST=series KBUILD_BUILD_VERSION=1 \
		make -C "$src" O="$obj" -j"${JOBS:-$(nproc)}" LOCALVERSION= CC="${ccache}gcc" \
		HOSTCC="${ccache}gcc" CONFIG_DRM_POWERVR=m "$@" >>"$tmp/make.log" 2>&1 8>&-
}

# each_config OBJDIR FRAGMENT ARG...: allnoconfig and the fragment
each_config() {
	objdir=$1 fragment=$2
	shift 2
	each_make "$objdir" KCONFIG_ALLCONFIG="$fragment" "$@" allnoconfig
}

# each_errors: what went wrong, from the log
each_errors() {
	grep -E 'error:|warning:|Error [0-9]|\*\*\*|undefined' "$tmp/make.log" | head -n 20 >"$tmp/errors"
	if [ -s "$tmp/errors" ]; then cat "$tmp/errors"; else tail -n 20 "$tmp/make.log"; fi
}

# each_symbols COMMAND: undefined or exported symbols of the modules compiled
each_symbols() {
	find "$obj/drivers/gpu/drm" "$obj/drivers/accel" -name modules.order -exec cat {} + |
		sort -u | (cd "$obj" && xargs nm) | "$@" | sort -u
}
undefined() { awk '$1 == "U" {print $2}'; }
exported() { sed -n 's/.* __export_symbol_//p'; }

# each_outside: symbols that the modules take from elsewhere
each_outside() {
	each_symbols undefined >"$tmp/undefined"
	each_symbols exported | comm -23 "$tmp/undefined" -
}

# each_exports: symbols that the modules take from elsewhere, that those of the base do
# not, and that nobody exports
each_exports() {
	each_outside | comm -23 - "$each_top/base-outside" >"$tmp/taken"
	[ -s "$tmp/taken" ] || return 0
	git -C "$src" grep -hF -f "$tmp/taken" -- '*.c' '*.h' '*.S' >"$tmp/lines" || :
	while read -r sym; do
		# some are exported by the macro that defines them
		grep -qE "(^[A-Za-z_]*|EXPORT_[A-Z_]*)\(${sym}[,)]" "$tmp/lines" || echo "$sym"
	done <"$tmp/taken"
}

# each_compile COMMIT: false when it does not compile
each_compile() {
	each_checkout "$1"
	: >"$tmp/make.log"
	each_config obj "$top/tools/series.d/compile.config" || return 1
	# shellcheck disable=SC2046,SC2086 # lists
	each_make obj $each_dirs $(git -C "$patched" diff --name-only base "$1" -- '*.c' |
		grep -vE '^(drivers/(gpu/drm|accel)|arch/um|arch/[^/]*/um)/' | sed 's/c$/o/') || return 1
}

# each_key COMMIT: what its result depends on
each_key() {
	{
		git -C "$patched" rev-parse "$1^{tree}"
		cat "$top/tools/series.d/compile.config"
		echo "$each_dirs, symbols from outside"
		gcc --version
	} | sha256sum | cut -c1-32
}

# each_commit: compiles what is not known to compile; false at the first that fails
each_commit() {
	each_lock
	n=0
	all=$(git -C "$patched" rev-list --count base..series)
	for c in $(git -C "$patched" rev-list --reverse base..series); do
		n=$((n + 1))
		ok=$each_top/ok/$(each_key "$c")
		[ ! -f "$ok" ] || continue
		if [ "$(cat "$each_top/base-key" 2>/dev/null)" != "$(each_key base)" ]; then
			say "compiling the base, for comparison"
			each_compile base || { each_errors; return 1; }
			each_outside >"$each_top/base-outside"
			each_key base >"$each_top/base-key"
		fi
		begin=$(date +%s)
		if ! each_compile "$c"; then
			git -C "$patched" log -1 --format="commit $n (%s) does not compile:" "$c"
			each_errors
			return 1
		fi
		missing=$(each_exports)
		if [ -n "$missing" ]; then
			git -C "$patched" log -1 --format="commit $n (%s): a module uses what is not exported:" "$c"
			echo "$missing"
			return 1
		fi
		: >"$ok"
		say "commit $n/$all compiles ($(($(date +%s) - begin)) s):" \
			"$(git -C "$patched" log -1 --format=%s "$c")"
	done
	each_unlock
	say "$base: all $all commits compile"
}
