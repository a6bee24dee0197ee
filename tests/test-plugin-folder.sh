#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# dir= serves what is a disk in a folder, and skips what is not with one line.

. "$RAWVIEW_SRCDIR/tests/functions.sh"
requires_nbdkit
requires nbdinfo --version
requires nbdcopy --version

make_raw "$tmp/disk.raw"
mkdir "$tmp/dir" "$tmp/dir/sub"
make_image qcow2 "$tmp/disk.raw" "$tmp/dir/a.qcow2"
make_image vmdk "$tmp/disk.raw" "$tmp/dir/b.vmdk" -o subformat=monolithicFlat
cp "$tmp/disk.raw" "$tmp/dir/plain.raw"
cp "$tmp/dir/a.qcow2" "$tmp/dir/sub/c.qcow2"
head -c 100 "$tmp/dir/a.qcow2" >"$tmp/dir/short.qcow2"

names ()
{
  nbdinfo --list "$uri" >"$tmp/list"
  sed -n 's/^export="\(.*\)":$/\1/p' "$tmp/list"
}

names_are ()
{
  local said

  said=$(names | tr '\n' ' ')
  [ "$said" = "$* " ] || fail "the exports are $said, not $*"
}

# What is skipped is known before anybody asks.
serve "dir=$tmp/dir"
line_count "$nbdkit_log" 1
matches "$nbdkit_log" '^nbdkit: rawview: skipped: .*short\.qcow2'
names_are a.qcow2 b.vmdk
names_are a.qcow2 b.vmdk
reads_as "$(uri_of a.qcow2)" "$tmp/disk.raw"
reads_as "$(uri_of b.vmdk)" "$tmp/disk.raw"
line_count "$nbdkit_log" 1

# Each client has to say which.
refused "$tmp/said" nbdinfo "$uri"
for name in short.qcow2 plain.raw sub/c.qcow2 ../dir/a.qcow2 sub .. \
            b-flat.vmdk; do
  refused "$tmp/said" nbdinfo "$(uri_of "$name")"
done

# Files come and go; who has one open keeps it.
cp "$tmp/dir/a.qcow2" "$tmp/dir/new.qcow2"
names_are a.qcow2 b.vmdk new.qcow2
reads_as "$(uri_of new.qcow2)" "$tmp/disk.raw"
rm "$tmp/dir/a.qcow2" "$tmp/dir/short.qcow2"
names_are b.vmdk new.qcow2
refused "$tmp/said" nbdinfo "$(uri_of a.qcow2)"
