#!/bin/busybox sh
# SPDX-License-Identifier: MIT
# shellcheck shell=dash
#
# In the guest: runs IGT tests and says what came of them, for tools/igt/run to read. The
# root file system is on /dev/vda, the tests are on /dev/vdb. Each subtest has a process of
# its own.
#
#   IGT-HAS program subtest...          what there is; no subtest: the program is one test
#   IGT-BEGIN program@subtest
#   IGT-OUTPUT ...                      each line that the program printed
#   IGT-END program@subtest status s    0 passed, 77 skipped, others failed; seconds
#   IGT-WAIT us                         the longest that reclaim waited for the device
#
# usage: guest.sh PROGRAM[@SUBTEST,...]...       without subtests: all
root=/tmp/root

begin() {
	echo "IGT-BEGIN $1"
	read -r uptime _ </proc/uptime
}

# end TEST STATUS
end() {
	read -r now _ </proc/uptime
	sed 's/^/IGT-OUTPUT /' /tmp/output
	echo "IGT-END $1 $2 $((${now%.*} - ${uptime%.*}))"
}

# nothing takes minutes; what does is killed, and has failed
in_root() {
	timeout -s KILL 240 chroot $root /usr/bin/env LD_LIBRARY_PATH=/mnt/lib "$@"
}

mkdir $root
mount -t squashfs -o ro /dev/vda $root || exit 1
mount -t squashfs -o ro /dev/vdb $root/mnt || exit 1
for dir in proc sys dev tmp; do
	mount -o rbind /$dir $root/$dir || exit 1
done

for arg; do
	program=${arg%%@*}
	[ -x "$root/mnt/bin/$program" ] || continue
	has=$(in_root "/mnt/bin/$program" --list-subtests | tr '\n' ' ')
	echo "IGT-HAS $program $has"
	case $arg in
	*@*) subtests=$(echo "${arg#*@}" | tr , ' ') ;;
	*) subtests=$has ;;
	esac
	for subtest in $subtests; do
		begin "$program@$subtest"
		status=0
		in_root "/mnt/bin/$program" --run-subtest "$subtest" >/tmp/output 2>&1 || status=$?
		end "$program@$subtest" $status
	done
	if [ -z "$has" ]; then
		begin "$program@-"
		status=0
		in_root "/mnt/bin/$program" >/tmp/output 2>&1 || status=$?
		end "$program@-" $status
	fi
done
sed -n 's/^longest_wait_us */IGT-WAIT /p' /sys/kernel/debug/dri/0/gem_shrinker
# What was closed goes when the host has answered. Without an end to that, an IOMMU may be shut
# down first; and a device whose files are all closed can be taken away at any time.
for device in /sys/bus/virtio/drivers/virtio_gpu/virtio*; do
	echo "${device##*/}" >/sys/bus/virtio/drivers/virtio_gpu/unbind
done
