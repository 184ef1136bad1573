#!/bin/sh
# Makes the Debian in $1 this process's whole world, with everything that is changed kept in memory, and becomes its systemd.
# Run in namespaces of its own: whatever is mounted here is gone with them.
set -eu

debian=$1
work=$2
mount --make-rprivate /
mount -t tmpfs -o mode=755 tmpfs "$work"
mkdir "$work/upper" "$work/work" "$work/root"
mount -t overlay -o "lowerdir=$debian,upperdir=$work/upper,workdir=$work/work" overlay "$work/root"
root=$work/root

mount -t proc proc "$root/proc"
mount -t sysfs -o ro,nosuid,nodev,noexec sysfs "$root/sys"
mount -t cgroup2 cgroup2 "$root/sys/fs/cgroup"
mount -t tmpfs -o mode=755,nosuid,nodev tmpfs "$root/run"
mount -t tmpfs -o mode=755,nosuid tmpfs "$root/dev"
for device in null zero full random urandom tty; do
    touch "$root/dev/$device"
    mount --bind "/dev/$device" "$root/dev/$device"
done
mkdir "$root/dev/shm" "$root/dev/pts"
mount -t tmpfs -o mode=1777,nosuid,nodev tmpfs "$root/dev/shm"
mount -t devpts -o newinstance,ptmxmode=0666,nosuid,noexec devpts "$root/dev/pts"
ln -s pts/ptmx "$root/dev/ptmx"
# As an installer writes it.
printf '127.0.0.1 localhost\n::1 localhost\n' >"$root/etc/hosts"
# Nobody looks at a console here, and without one systemd says nothing.
rm -f "$root/etc/systemd/system/getty.target.wants/"*
ln -sf /dev/null "$root/etc/systemd/system/console-getty.service"

cd "$root"
mkdir -p mnt
pivot_root . mnt
umount -l /mnt
# As systemd has it where it is not in a container: credentials are mounted beside the service that gets them.
mount --make-rshared /
exec /usr/bin/env -i container=locum-tests PATH=/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8 /lib/systemd/systemd \
    --log-target=journal --show-status=no
