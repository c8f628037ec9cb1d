#!/bin/busybox sh
# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=dash
#
# First process of a guest: mounts what tests need, runs one command, powers off.
#
# usage: the kernel command line says what to run:  GUEST_RUN="command arguments"
#        (the kernel hands NAME=value to its first process as environment).
#
# Conventions for every guest image:
# - an initramfs has this file as /init, a root file system wherever init= points;
#   both need the static busybox as /bin/busybox and empty directories
#   /proc /sys /dev /tmp (the root itself may be read-only);
# - the command's output goes to the serial console, which tools/vm/run logs;
# - the last lines of the log are "GUEST-EXIT: <status>" and the kernel's "Power down".
#   tools/vm/run fails when the status is not 0;
# - /tmp is a tmpfs, /sys/kernel/debug and /sys/kernel/tracing are mounted;
# - a kernel that can tell looks for memory that was leaked, in the end.
busybox=/bin/busybox
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/tmp TERM=dumb

$busybox mount -t proc proc /proc
$busybox mount -t sysfs sys /sys
$busybox grep -q ' /dev ' /proc/mounts || $busybox mount -t devtmpfs dev /dev
$busybox mount -t tmpfs tmp /tmp
$busybox mount -t debugfs debug /sys/kernel/debug
$busybox mount -t tracefs trace /sys/kernel/tracing
$busybox mkdir -p /dev/shm
$busybox mount -t tmpfs shm /dev/shm
[ -e /dev/fd ] || $busybox ln -s /proc/self/fd /dev/fd

# the out of memory killer must not take the shell that reports
echo -1000 >/proc/self/oom_score_adj
status=0
/bin/busybox sh -c "${GUEST_RUN:-echo no GUEST_RUN; false}" </dev/null || status=$?

leaks=/sys/kernel/debug/kmemleak
if [ -e $leaks ]; then
	# It tells of nothing younger than 5 s, and when memory was so scarce that it got none, of
	# nothing at all.
	sleep 5
	if echo scan >$leaks && echo scan >$leaks; then
		cat $leaks
	else
		echo 'kmemleak has given up'
	fi
fi

echo "GUEST-EXIT: $status"
$busybox sync
$busybox poweroff -f
