#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# import to volumes of libvirt: they are created in their pool, overwritten only
# if that is wanted, and removed if the import fails.

. "$RAWVIEW_SRCDIR/tests/functions.sh"

requires qemu-img --version
requires rawview import --help
requires libvirtd --version
requires virsh --version
cd "$tmp"
make_raw disk.raw
make_image qcow2 disk.raw a.qcow2
make_image vmdk disk.raw cut.vmdk -o subformat=streamOptimized
truncate -s 300000 cut.vmdk

# A daemon of a user, who is not root: that one would be the machine's.
as_user=()
if [ "$(id -u)" -eq 0 ]; then
  requires setpriv --version
  as_user=(setpriv --reuid=65534 --regid=65534 --clear-groups)
fi
# Its sockets' paths must be short.
home=$(mktemp -d /tmp/rv.XXXXXX)
cleanup_fn rm -rf "$home"
mkdir "$home/run" "$home/pool"
chmod 755 . "$home"
chmod 644 a.qcow2 cut.vmdk
[ "${#as_user[@]}" -eq 0 ] || chown -R 65534 "$home"
# Nor may a client start another daemon, which would outlive the test.
user=(env HOME="$home" XDG_RUNTIME_DIR="$home/run" TMPDIR="$home"
  LIBVIRT_AUTOSTART=0 "${as_user[@]}")
import=("${user[@]}" rawview import --connect qemu:///session)
virsh () { "${user[@]}" virsh -q -c qemu:///session "$@"; }

"${user[@]}" timeout 300 libvirtd -p "$home/pid" 2>"$tmp/libvirtd.log" &
stop_daemon () { stop_process "$(cat "$home/pid")"; }
cleanup_fn stop_daemon
wait_until 30 virsh pool-list >/dev/null 2>&1 || skip 'libvirtd does not start'
virsh pool-define-as pool dir --target "$home/pool" >log
virsh pool-start pool >log

"${import[@]}" a.qcow2 --to libvirt:pool/one.qcow2 >plan
matches plan 'pool/one\.qcow2 \(qcow2 volume, new\)'
qemu-img compare -q -f raw -F qcow2 disk.raw "$home/pool/one.qcow2" ||
  fail 'one.qcow2 differs'
"${import[@]}" a.qcow2 --to libvirt:pool/two --allocation=preallocated >plan
same disk.raw "$home/pool/two"
[ "$(stat -c %b "$home/pool/two")" -ge $(( 12 * 2048 )) ] ||
  fail 'the volume is sparse'

# One that is there.
refused err "${import[@]}" a.qcow2 --to libvirt:pool/two
matches err 'pool/two: exists and is not empty \(--force overwrites it\)'
printf x | dd of="$home/pool/two" bs=1M seek=5 conv=notrunc status=none
"${import[@]}" --force a.qcow2 --to libvirt:pool/two >plan
same disk.raw "$home/pool/two"

# Killed, it leaves something, which the next one removes.
requires nbdkit --filter=delay file --version
nbdkit -f -P "$tmp/slow.pid" -U "$home/slow.sock" --filter=delay file a.qcow2 \
  delay-read=300ms 2>/dev/null &
cleanup_fn stop_process $!
wait_until 60 test -s slow.pid || fail 'nbdkit did not start'
chmod 777 "$home/slow.sock"
noted () { grep -qs 'pool/three$' "$home"/.rawview-import-*/state; }
"${import[@]}" --connections=1 "nbd+unix:///?socket=$home/slow.sock" \
  --to libvirt:pool/three >plan &
program=$!
wait_until 60 noted || fail 'nothing was made'
kill -KILL "$program"
wait "$program" || :
[ -e "$home/pool/three" ] || fail 'this tests nothing'
"${import[@]}" a.qcow2 --to libvirt:pool/three >plan
same disk.raw "$home/pool/three"
virsh vol-delete three --pool pool

# What cannot be, and what goes wrong.
refused err "${import[@]}" a.qcow2 --to libvirt:nosuch/two
matches err "libvirt: nosuch: "
# It is made, and then the stream ends too early.
! "${import[@]}" - --to libvirt:pool/cut.qcow2 <cut.vmdk >plan 2>err ||
  fail 'a stream that is cut was imported'
matches err 'bytes of the stream had come'
for names in "$(ls "$home/pool")" "$(virsh vol-list pool | awk '{ print $1 }')"; do
  [ "$(echo "$names" | xargs)" = 'one.qcow2 two' ] || fail "there are: $names"
done
