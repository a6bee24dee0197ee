#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Drivers are found in an initramfs however it is put together and compressed;
# what cannot be read to its end says nothing about what it lacks.

. "$RAWVIEW_SRCDIR/tests/functions.sh"
requires python3 --version

check=$RAWVIEW_BUILDDIR/tests/initramfscheck
if [ ! -x "$check" ]; then
  rawview --features | grep -qx 'guest=yes' || skip 'built without inspect'
  make -s -C "$RAWVIEW_BUILDDIR/tests" initramfscheck
fi
cd "$tmp"

# archive NAME…: an archive of such members, with some bytes each.
archive ()
{
  python3 - "$@" <<'PY'
import sys


def member(name, data):
    name = name.encode() + b"\0"
    fields = [1, 0o100644, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(name), 0]
    head = b"070701" + b"".join(b"%08X" % f for f in fields) + name
    head += bytes(-len(head) % 4)
    return head + data + bytes(-len(data) % 4)


out = b"".join(member(n, b"x" * (1000 + i))
               for i, n in enumerate(sys.argv[1:]))
out += member("TRAILER!!!", b"")
sys.stdout.buffer.write(out + bytes(-len(out) % 512))
PY
}

# has FILE EXPECTED: "complete blk scsi", each 0 or 1.
has ()
{
  local found

  found=$(timeout 60 "$check" <"$1")
  [ "$found" = "$2" ] || fail "$1: found \"$found\", not \"$2\""
}

modules=usr/lib/modules/6.1/kernel/drivers
archive etc/fstab $modules/block/virtio_blk.ko >blk
archive $modules/scsi/virtio_scsi.ko.xz init >scsi
archive kernel/x86/microcode/GenuineIntel.bin >microcode
archive init etc/virtio_blk.conf $modules/block/virtio_blk_more.ko \
  bin/virtio_blk >none

has blk '1 1 0'
has scsi '1 0 1'
has none '1 0 0'

# One after the other, with zeros between, as the kernel allows.
cat blk scsi >both
has both '1 1 1'
{ cat microcode; head -c 8192 /dev/zero; cat blk; } >zeros
has zeros '1 1 0'

# Compressed, alone and after an archive that is not.
compressed=0
for program in gzip bzip2 xz 'xz --format=lzma' zstd lz4; do
  $program --version >/dev/null 2>&1 || continue
  compressed=$((compressed + 1))
  $program -c <both >"both.z"
  has both.z '1 1 1'
  $program -c <none >"none.z"
  has none.z '1 0 0'
  cat microcode both.z >early
  has early '1 1 1'
  # A part of it.
  head -c $(( $(stat -c %s both.z) / 2 )) both.z >half
  found=$(timeout 60 "$check" <half)
  [ "${found%% *}" = 0 ] || fail "$program: half of it is complete: $found"
done
[ "$compressed" -ge 2 ] || skip 'there are no compressors'

# Not to be understood.
head -c 2000 blk >short
has short '0 1 0'
: >empty
has empty '0 0 0'
echo 'this is no initramfs' >text
has text '0 0 0'
{ cat none; echo garbage; } >garbage
has garbage '0 0 0'
sed 's/0000000B/FFFFFFFF/' none >size
has size '0 0 0'

# Much of nothing, quickly and in little memory.
requires gzip --version
head -c 300M /dev/zero | gzip -1 >bomb
(ulimit -v 200000; has bomb '1 0 0')

# A file that seems to have no end is not read to it.
truncate -s 1P endless 2>/dev/null || truncate -s 8T endless
has endless '0 0 0'
