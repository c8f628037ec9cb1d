# SPDX-License-Identifier: GPL-2.0-only
# Sourced by tools/series: from the commits of a tree to patches/ and the overlay.
# shellcheck shell=sh
# shellcheck disable=SC2154 # base, tmp, top, pristine, patched: set by tools/series

# find_base TREE: the commit that the series starts from: the newest with the tree of the
# base, else tag `base`
find_base() {
	want=$(git -C "$pristine" rev-parse 'base^{tree}')
	found=$(git -C "$1" log -n 500 --format='%T %H' | awk -v t="$want" '$1 == t {print $2; exit}')
	if [ -z "$found" ]; then
		found=$(git -C "$1" rev-parse -q --verify 'base^{commit}') ||
			die "$1: no commit has the tree of $base, and there is no tag 'base'"
		say "warning: $1 is based on another tree than $base"
	fi
	echo "$found"
}

# fit_to_refresh TREE START: nothing half done, no fixups
fit_to_refresh() {
	git -C "$1" update-index -q --refresh || :
	git -C "$1" diff --quiet HEAD || die "$1 has changes that are not committed"
	for state in rebase-merge rebase-apply; do
		[ ! -e "$(git -C "$1" rev-parse --path-format=absolute --git-path $state)" ] ||
			die "$1: a rebase is in progress"
	done
	merges=$(git -C "$1" rev-list --merges "$2..HEAD")
	[ -z "$merges" ] || die "$1: the series has merges"
	fixups=$(git -C "$1" log --format=%s "$2..HEAD" | grep -E '^(fixup|squash|amend)! ') || :
	[ -z "$fixups" ] || die "$1: squash this first: $fixups"
}

# sort_paths COMMIT START: its paths into $tmp/new and $tmp/old (files the base has)
sort_paths() {
	: >"$tmp/new"
	: >"$tmp/old"
	git diff-tree -r --no-renames --no-commit-id --name-status "$1" >"$tmp/paths"
	while read -r status path; do
		if git cat-file -e "$2:$path" 2>/dev/null; then
			echo "$path" >>"$tmp/old"
		elif [ "$status" = A ] && ! grep -qxF "$path" "$tmp/all-new"; then
			echo "$path" >>"$tmp/new"
			echo "$path" >>"$tmp/all-new"
		else
			die "$(git log -1 --format='%h (%s)' "$1") changes $path, which an earlier" \
				"commit of the series introduces: a new file lands whole in one commit"
		fi
	done <"$tmp/paths"
}

# write_patch COMMIT: its mail, on stdout
write_patch() {
	git log -1 --format=email --no-patch "$1" | sed 1d | git stripspace
	echo ---
	sed 's/^/New-file: /' "$tmp/new"
	[ -s "$tmp/old" ] || return 0
	echo
	tr '\n' '\0' <"$tmp/old" >"$tmp/pathspec"
	# blob names would change with the base, and say nothing here
	GIT_LITERAL_PATHSPECS=1 xargs -0 -a "$tmp/pathspec" \
		git diff-tree -p --no-renames --no-ext-diff --no-textconv -U3 --no-commit-id \
		--full-index "$1" -- >"$tmp/hunks"
	sed '/^index [0-9a-f]\{40\}\.\./d' "$tmp/hunks"
}

# common_patch PATCH: prints the name of the common patch that PATCH is, if it is one
common_patch() {
	same=${1##*/}
	for c in "$top"/patches/common/[0-9][0-9][0-9][0-9]-"${same#????-}"; do
		grep -qxF "../common/${c##*/}" "$top/patches/$base/series" 2>/dev/null || continue
		if ! cmp -s "$1" "$c"; then
			if [ "$(cat "$top"/patches/*/series | grep -cxF "../common/${c##*/}")" -gt 1 ]; then
				say "warning: ${c##*/} is no longer common: patches/$base gets its own"
				continue
			fi
			cp "$1" "$c"
		fi
		echo "../common/${c##*/}"
		return
	done
}

# read_tree TREE START: all patches into $tmp/patches, the overlay into $tmp/overlay
read_tree() (
	cd "$1" || exit
	mkdir "$tmp/patches" "$tmp/overlay"
	: >"$tmp/all-new"
	n=0
	for c in $(git rev-list --reverse "$2..HEAD"); do
		n=$((n + 1))
		sort_paths "$c" "$2"
		name=$(git log -1 --format=%f "$c" | cut -c1-52 | sed 's/[-.]*$//')
		write_patch "$c" >"$tmp/patches/$(printf %04d $n)-$name.patch"
		while read -r f; do
			mkdir -p "$(dirname "$tmp/overlay/$f")"
			git cat-file blob "$c:$f" >"$tmp/overlay/$f"
			case $(git ls-tree "$c" -- "$f") in
			100755*) chmod 755 "$tmp/overlay/$f" ;;
			100644*) chmod 644 "$tmp/overlay/$f" ;;
			*) die "$f: neither a file nor a program" ;;
			esac
		done <"$tmp/new"
	done
)

# put FILE TO: copies when different, and says so
put() {
	if cmp -s "$1" "$2" && [ "$(stat -c %a "$1")" = "$(stat -c %a "$2")" ]; then
		return
	fi
	mkdir -p "$(dirname "$2")"
	if [ -f "$2" ]; then
		mkdir -p "$saved/$(dirname "${2#"$top/"}")"
		cp -p "$2" "$saved/${2#"$top/"}"
		echo "changed ${2#"$top/"}"
	else
		echo "new     ${2#"$top/"}"
	fi
	cp "$1" "$2"
	chmod "$(stat -c %a "$1")" "$2"
}

# drop FILE: removes a file of the repository, and the directories this empties
drop() {
	[ -f "$top/$1" ] || return 0
	mkdir -p "$saved/$(dirname "$1")"
	cp -p "$top/$1" "$saved/$1"
	rm "$top/$1"
	echo "removed $1"
	(cd "$top" && rmdir -p --ignore-fail-on-non-empty "$(dirname "$1")")
}

# all_new_files: the overlay files that any base names
all_new_files() {
	for series in "$top"/patches/*/series; do
		[ -f "$series" ] || continue
		series=${series%/series}
		# shellcheck disable=SC2046 # a list of patches
		new_files $(series_files "${series##*/}")
	done | sort -u
}

# install_patches: from $tmp into the repository
install_patches() {
	mkdir -p "$top/patches/$base"
	# shellcheck disable=SC2046 # a list of patches
	new_files $(series_files "$base") >"$tmp/before"
	for p in "$tmp/patches"/*.patch; do
		[ -f "$p" ] || continue
		common=$(common_patch "$p")
		if [ -n "$common" ]; then
			echo "$common"
			rm "$p"
		else
			echo "${p##*/}"
		fi
	done >"$tmp/series"
	for p in "$top/patches/$base"/[0-9][0-9][0-9][0-9]-*.patch; do
		[ -f "$tmp/patches/${p##*/}" ] || drop "patches/$base/${p##*/}"
	done
	for p in "$tmp/patches"/*.patch; do
		[ ! -f "$p" ] || put "$p" "$top/patches/$base/${p##*/}"
	done
	put "$tmp/series" "$top/patches/$base/series"
	while read -r f; do
		put "$tmp/overlay/$f" "$top/$f"
	done <"$tmp/all-new"
	all_new_files >"$tmp/named"
	while read -r f; do
		grep -qxF "$f" "$tmp/named" || drop "$f"
	done <"$tmp/before"
}

do_refresh() {
	get_pristine
	if [ -n "${2:-}" ]; then
		tree=$(cd "$2" && git rev-parse --show-toplevel) || die "$2 is not a git tree"
	else
		tree=$CACHE/series/$base-$(patched_key)
		[ -d "$tree" ] || die "no patched tree in the cache: run 'tools/series build $base'," \
			"edit its branch, then refresh"
	fi
	start=$(find_base "$tree")
	fit_to_refresh "$tree" "$start"
	head=$(git -C "$tree" rev-parse HEAD)
	read_tree "$tree" "$start"
	saved=$CACHE/series/saved/$(date +%Y%m%d-%H%M%S)
	install_patches
	[ ! -d "$saved" ] || say "what was there before is in $saved"

	# An edited tree of the cache is what it was before again.
	case $tree in
	"$CACHE/series/"*)
		say "$tree was at $head, is back at its patches"
		git -C "$tree" reset -q --hard "$(cat "$tree/.git/built")"
		;;
	esac
	get_patched
	want=$(git -C "$tree" rev-parse "$head^{tree}")
	got=$(git -C "$patched" rev-parse 'series^{tree}')
	say "$base: tree of $tree $want, of patches/ and overlay $got"
	[ "$want" = "$got" ] || [ "$(git -C "$tree" rev-parse "$start^{tree}")" != \
		"$(git -C "$pristine" rev-parse 'base^{tree}')" ] ||
		die 'the patches make another tree than the commits did'
}
