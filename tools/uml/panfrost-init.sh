#!/bin/busybox sh
# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=dash
#
# Process 1 of tools/uml/panfrost's guest. Runs the subtests that the file /wanted names,
# each in a process of its own, and says on the console:
#
#   GUEST-HAS name...           what there is
#   GUEST-BEGIN name
#   GUEST-END name status s     0 passed, 77 skipped, others failed; seconds
#   GUEST-DONE
bb() { /bin/busybox "$@"; }

bb mount -t proc proc /proc
bb mount -t sysfs sysfs /sys
bb mount -t devtmpfs devtmpfs /dev 2>/dev/null
bb mount -t tmpfs tmpfs /tmp
bb mount -t debugfs debugfs /sys/kernel/debug

# Contents that compress well may be many times the memory.
echo 1G >/sys/block/zram0/disksize
bb mkswap /dev/zram0 >/dev/null

# What is printed before the first autosuspend of the GPU is of no interest.
for node in /dev/dri/renderD*; do
	[ -e "$node" ] || { echo 'GUEST-NO-DEVICE'; bb poweroff -f; }
done

echo "GUEST-HAS $(/bin/panfrost_madvise --list-subtests | bb tr '\n' ' ')"
while read -r name; do
	echo "GUEST-BEGIN $name"
	begin=$(bb date +%s)
	/bin/panfrost_madvise --run-subtest "$name" 2>&1
	echo "GUEST-END $name $? $(($(bb date +%s) - begin))"
done </wanted
echo 'GUEST-DONE'
bb poweroff -f
