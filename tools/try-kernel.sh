#!/usr/bin/env bash
# Runs `weir doctor`, and a capture of a few requests, under another kernel in a virtual machine.
#
# usage: tools/try-kernel.sh WEIR KERNEL.deb
#
# WEIR is a built binary; KERNEL.deb a Debian package `linux-image-...-cloud-amd64` (apt-get download). Needs
# qemu-system-x86 and busybox-static; takes /dev/kvm where it works. Everything that the machine writes comes out here.
set -euo pipefail
[ $# = 2 ] || {
    echo "usage: tools/try-kernel.sh WEIR KERNEL.deb" >&2
    exit 2
}
weir=$(realpath "$1")
package=$(realpath "$2")
for program in qemu-system-x86_64 busybox cpio dpkg-deb; do
    command -v "$program" >/dev/null || {
        echo "needs $program: apt-get install qemu-system-x86 busybox-static cpio" >&2
        exit 1
    }
done
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
dpkg-deb -x "$package" "$work/kernel"

root=$work/root
mkdir -p "$root"/{bin,proc,sys,dev,tmp,data,www}
cp "$(command -v busybox)" "$root/bin/busybox"
# Without the debug information, which is nine tenths of a development build.
objcopy --strip-debug "$weir" "$root/bin/weir"
ldd "$weir" | grep -o '/[^ ]*' | while read -r library; do
    mkdir -p "$root$(dirname "$library")"
    cp -L "$library" "$root$library"
done
cat >"$root/init" <<'INIT'
#!/bin/busybox sh
/bin/busybox --install -s /bin
export PATH=/bin
mount -t proc none /proc
mount -t sysfs none /sys
mount -t devtmpfs none /dev
mount -t cgroup2 none /sys/fs/cgroup
ip link set lo up
echo hello >/www/index.html
sysctl -q -w kernel.bpf_stats_enabled=1
uname -r
weir doctor
mkdir /sys/fs/cgroup/try
weir serve --cgroup /sys/fs/cgroup/try --data /data --flow-interval 1s &
for second in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
    wget -q -O /dev/null http://127.0.0.1:7070/readyz && break
    sleep 1
done
sh -c 'echo $$ >/sys/fs/cgroup/try/cgroup.procs; exec httpd -f -p 127.0.0.1:8000 -h /www' &
sleep 1
sh -c 'echo $$ >/sys/fs/cgroup/try/cgroup.procs
    for request in 1 2 3 4 5; do wget -q -O /dev/null http://127.0.0.1:8000/; done; wget -q -O /dev/null http://127.0.0.1:8000/none'
sleep 3
server=http://127.0.0.1:7070
weir sql --server $server 'SELECT role, process, status, outcome, count(*) AS n FROM http_events GROUP BY ALL ORDER BY 1, 2, 3, 4'
weir sql --server $server 'SELECT role, process, state, count(*) AS n, sum(bytes_sent) AS sent, sum(bytes_received) AS received FROM flows GROUP BY ALL ORDER BY 1, 2, 3'
weir sql --server $server 'SELECT stage, hook, reason, message, events FROM capture_loss'
weir doctor --live --json --server $server
echo 'the try is over'
poweroff -f
INIT
chmod +x "$root/init"
(cd "$root" && find . | cpio -o -H newc --quiet | gzip -1) >"$work/initramfs.gz"

# Where the machine is itself a virtual one, KVM may not know cmpxchg16b.
acceleration=${ACCELERATION:-kvm:tcg}
timeout -k 5 "${SECONDS_MOST:-600}" qemu-system-x86_64 -machine "accel=$acceleration" -cpu "${CPU:-max,-cx16}" -m 3G -smp 2 -nographic -no-reboot \
    -kernel "$work"/kernel/boot/vmlinuz-* -initrd "$work/initramfs.gz" \
    -append 'console=ttyS0 no_timer_check quiet panic=-1 mitigations=off' </dev/null
