#!/bin/busybox sh
# The guest's first process. An error here ends it, which the kernel answers with a panic:
# the host sees that, and the console says which line it was.
set -eu
export PATH=/bin HOME=/root LANG=C.UTF-8

# The host's programs are there already and stay; busybox is the rest.
/bin/busybox --install -s /bin 2>/dev/null || true

mount -t devtmpfs dev /dev
mkdir /dev/pts /dev/shm
mount -t devpts devpts /dev/pts
mount -t tmpfs tmpfs /dev/shm
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t cgroup2 cgroup2 /sys/fs/cgroup
for controller in $(cat /sys/fs/cgroup/cgroup.controllers); do
    echo "+$controller" >/sys/fs/cgroup/cgroup.subtree_control
done

hostname firedrill-vm
ip link set lo up

# The kernel asks for every other module itself when somebody first uses it.
modprobe -a virtio_pci virtio_console virtio_blk loop fuse tun
if [ -b /dev/vda ]; then
    mount /dev/vda /disk
fi

# The units of a host are on its disk.
if [ -n "${FIREDRILL_INIT-}" ] && mkdir -p /disk/units; then
    mkdir -p /etc/systemd/system
    mount --bind /disk/units /etc/systemd/system
fi

# An init of the host's, if the command line names one; it runs the same as a service.
exec ${FIREDRILL_INIT:-/bin/sh /work.sh}
