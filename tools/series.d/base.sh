# SPDX-License-Identifier: GPL-2.0-only
# Sourced by tools/series: a base kernel, from the archive or from KERNEL_SRC, into the
# cache as a git repository with one commit (tag `base`).
# shellcheck shell=sh
# shellcheck disable=SC2154 # CACHE, base: set by tools/series

# read_base: the line of patches/bases for $base
read_base() {
	line=$(awk -v id="$base" '!/^#/ && $1 == id' "$top/patches/bases")
	[ -n "$line" ] || die "no base '$base' in patches/bases"
	# shellcheck disable=SC2086 # columns
	set -- $line
	[ $# -eq 5 ] || die "patches/bases: $base: 5 columns wanted, $# found"
	package=$2 pinned=$3 deb_sha=$4 tar_sha=$5
}

# archive_versions: what the archive has of $package, newest first
archive_versions() {
	apt-cache madison "$package" 2>/dev/null | awk -F ' *[|] *' '{print $2}' | sort -u -V -r
}

# apt_update: fresh package lists; only root can
apt_update() {
	[ "$(id -u)" = 0 ] || return 0
	say 'refreshing the package lists'
	apt-get -qq update >&2 || say 'warning: apt-get update failed'
}

# download VERSION: $package into $deb
download() {
	deb=$CACHE/src/${package}_$1_all.deb
	[ ! -f "$deb" ] || return 0
	say "downloading $package $1"
	rm -rf "$CACHE/src/new"
	mkdir -p "$CACHE/src/new"
	(cd "$CACHE/src/new" && apt-get -q -o APT::Sandbox::User=root download \
		"$package=$1" >&2) || return 1
	mv "$CACHE/src/new/"*.deb "$deb"
}

# fetch: the package of $base into $deb; $exact tells whether it is the pinned version
fetch() {
	exact=yes
	deb=$CACHE/src/${package}_${pinned}_all.deb
	[ ! -f "$deb" ] || return 0
	command -v apt-get >/dev/null ||
		die "no apt-get here: give a source tree with KERNEL_SRC=, or put $deb there"
	if ! archive_versions | grep -qxF "$pinned" &&
		! [ -f "$CACHE/src/${package}_$(archive_versions | head -n 1)_all.deb" ]; then
		apt_update # the lists may be old, or missing
	fi
	if archive_versions | grep -qxF "$pinned"; then
		download "$pinned" && return
		apt_update
		download "$pinned" && return
		say "warning: $package $pinned is listed but cannot be downloaded"
	fi
	exact=no
	newest=$(archive_versions | head -n 1)
	[ -n "$newest" ] || die "the archive has no $package: run 'apt-get update' as root," \
		"or give a source tree with KERNEL_SRC="
	say "WARNING: $package $pinned is not in this machine's archive: using $newest"
	say "WARNING: instead, not pinned by sha256, nor what the series was made with"
	download "$newest" || die "cannot download $package $newest"
}

# verify SHA FILE WHAT: a wrong sum is fatal for the pinned version only
verify() {
	got=$(sha256sum "$2" | cut -d' ' -f1)
	[ "$got" != "$1" ] || return 0
	if [ "$exact" = yes ]; then
		rm -f "$2"
		die "$3 has sha256 $got, patches/bases says $1"
	fi
	say "warning: $3 has sha256 $got, not the pinned one"
}

# commit_base DIR: what is in DIR becomes the one commit of a repository
commit_base() (
	cd "$1" || exit
	version=$(tree_version .)
	say "committing Linux $version"
	git init -q -b series .
	git add -f -A .
	tree=$(git write-tree)
	export GIT_AUTHOR_NAME=base GIT_AUTHOR_EMAIL=base@localhost
	export GIT_AUTHOR_DATE='@1767225600 +0000'
	export GIT_COMMITTER_NAME=base GIT_COMMITTER_EMAIL=base@localhost
	export GIT_COMMITTER_DATE='@1767225600 +0000'
	commit=$(git commit-tree -m "Linux $version, as released" "$tree")
	git update-ref refs/heads/series "$commit"
	git tag base "$commit"
	git pack-refs --all
)

# tree_version DIR: such as 6.12.117
tree_version() {
	awk '$2 == "=" && /^(VERSION|PATCHLEVEL|SUBLEVEL) /{v[$1] = $3}
	     END {print v["VERSION"] "." v["PATCHLEVEL"] "." v["SUBLEVEL"]}' "$1/Makefile"
}

# from_archive: sets $pristine, unpacked from the package
from_archive() {
	pristine=$CACHE/base/$base-$(echo "$tar_sha" | cut -c1-16)
	[ ! -d "$pristine" ] || return 0
	fetch
	if [ "$exact" = no ]; then
		pristine=$CACHE/base/$base-$(sha256sum "$deb" | cut -c1-16)
		[ ! -d "$pristine" ] || return 0
	fi
	verify "$deb_sha" "$deb" "${deb##*/}"
	new=$pristine.new
	rm -rf "$new"
	mkdir -p "$new"
	say "unpacking ${deb##*/}"
	dpkg-deb --fsys-tarfile "$deb" |
		tar -xOf - "./usr/src/$package.tar.xz" >"$CACHE/src/$package.tar.xz"
	verify "$tar_sha" "$CACHE/src/$package.tar.xz" "$package.tar.xz"
	tar -xJf "$CACHE/src/$package.tar.xz" -C "$new" --strip-components=1
	rm "$CACHE/src/$package.tar.xz"
	commit_base "$new"
	mv "$new" "$pristine"
}

# from_user: sets $pristine, a copy of KERNEL_SRC
from_user() {
	src=$(cd "$KERNEL_SRC" 2>/dev/null && pwd) || die "KERNEL_SRC=$KERNEL_SRC: no such directory"
	[ -f "$src/Kbuild" ] || die "KERNEL_SRC=$KERNEL_SRC is not a kernel tree"
	case $(tree_version "$src") in
	"$base".*) ;;
	*) say "warning: KERNEL_SRC is Linux $(tree_version "$src"), the base is $base" ;;
	esac
	if [ -e "$src/.git" ]; then
		id=$(git -C "$src" rev-parse 'HEAD^{tree}')
		git -C "$src" diff --quiet HEAD ||
			say "warning: KERNEL_SRC has changes that are not committed; they are not used"
	else
		for f in .config include/config; do
			[ ! -e "$src/$f" ] || die "KERNEL_SRC was built in: run 'make mrproper' there"
		done
		id=$(cd "$src" && find . -type f -printf '%P %s %T@\n' | LC_ALL=C sort |
			sha256sum)
	fi
	pristine=$CACHE/base/$base-user-$(echo "$id" | cut -c1-16)
	[ ! -d "$pristine" ] || return 0
	new=$pristine.new
	rm -rf "$new"
	mkdir -p "$new"
	say "copying $src"
	if [ -e "$src/.git" ]; then
		git -C "$src" archive HEAD | tar -xf - -C "$new"
	else
		cp -a "$src/." "$new"
	fi
	commit_base "$new"
	mv "$new" "$pristine"
}

# get_pristine: sets $pristine
get_pristine() {
	read_base
	mkdir -p "$CACHE/base" "$CACHE/src"
	lock
	if [ -n "${KERNEL_SRC:-}" ]; then
		from_user
	else
		from_archive
	fi
	unlock
}
