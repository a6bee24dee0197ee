#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# inspect takes what the other commands take, says which image is wrong, with
# their exit statuses, and leaves nothing behind.

. "$RAWVIEW_SRCDIR/tests/functions.sh"
. "$RAWVIEW_SRCDIR/tests/functions-inspect.sh"
requires_inspect
requires qemu-img --version

cd "$tmp"
make_ext4 ext4 8 root
make_ntfs ntfs 8 Windows
make_image qcow2 ext4 a.qcow2
make_image vmdk ntfs b.vmdk -o subformat=streamOptimized
# Some file systems count a file's space when they write it.
sync a.qcow2 b.vmdk

# wrong STATUS REGEX ARG…
wrong ()
{
  local expected=$1 regex=$2 status=0

  shift 2
  timeout 60 rawview inspect "$@" >out 2>said || status=$?
  [ "$status" -eq "$expected" ] || fail "status $status: $*: $(cat said)"
  [ ! -s out ] || fail "output: $*"
  line_count said 1
  matches said "^rawview: $regex"
}

# The facts are those of info.
inspect "$tmp/a.qcow2"
for key in filename format virtual-size actual-size; do
  rawview info --json "$tmp/a.qcow2" | jq ".[\"$key\"]" >facts
  jq ".disks[0][\"$key\"]" found.json >inspected
  same facts inspected
done

# --output is qemu-img's --json.
rawview inspect --output=json a.qcow2 | diff found.json - ||
  fail '--output=json is not --json'
rawview inspect a.qcow2 >human
rawview inspect --output=human a.qcow2 | diff human - ||
  fail '--output=human is something else'
wrong 2 'inspect: --output=xml: use json or human$' --output=xml a.qcow2

# Several, in their order.
inspect b.vmdk a.qcow2
finds '[.disks[] | [.name, .format, .partitions[0].fstype]] ==
  [["b.vmdk", "vmdk", "ntfs"], ["a.qcow2", "qcow2", "ext4"]]' several
finds '.system == "windows"' several

# All disks of an archive.
make_image vmdk ext4 c.vmdk -o subformat=streamOptimized
tar -cf two.ova b.vmdk c.vmdk
inspect two.ova
finds '[.disks[] | [.name, .partitions[0].fstype]] ==
  [["b.vmdk", "ntfs"], ["c.vmdk", "ext4"]]' OVA
inspect --disk=2 two.ova
finds '[.disks[].partitions[0].fstype] == ["ext4"]' '--disk'

# The failures of other commands.
wrong 2 'inspect: something is missing'
wrong 1 '.*nosuch.*No such file' nosuch
wrong 1 '.*nosuch.*No such file' a.qcow2 nosuch
wrong 3 '.*ext4' ext4
wrong 2 '.*max-size' --max-size=x a.qcow2
wrong 7 '.*' --max-size=1M a.qcow2

# An NBD server that has the image.
if nbdkit --version >/dev/null 2>&1; then
  serve_with -r file a.qcow2
  inspect "$uri"
  finds '.system == "linux" and .disks[0].format == "qcow2"' NBD
  finds '.disks[0] | has ("actual-size") | not' NBD
fi

# In every sandbox.
for mode in auto on off; do
  rawview inspect --sandbox=$mode --json a.qcow2 >out 2>said || {
    grep -q 'sandbox=on' said && [ $mode = on ] && continue
    fail "--sandbox=$mode: $(cat said)"
  }
  [ "$(jq -r .system out)" = linux ] || fail "--sandbox=$mode: $(cat out)"
done

# Nothing was changed, nothing is left.
! grep -q "$tmp" /proc/self/mounts || fail 'a mount is left'
! pgrep -f "rawviewfs.*$tmp" >/dev/null || fail 'a rawviewfs is left'
