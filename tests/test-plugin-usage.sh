#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Wrong parameters end with one line that says what is right.

. "$RAWVIEW_SRCDIR/tests/functions.sh"
requires_nbdkit

make_raw "$tmp/disk.raw"
make_image qcow2 "$tmp/disk.raw" "$tmp/disk.qcow2"
cd "$tmp"

# check REGEX ARG…
check ()
{
  local regex=$1

  shift
  refused said.log nbdkit -U - rawview "$@" --run 'touch served'
  line_count said.log 1
  matches said.log "^nbdkit: error: $regex"
  [ ! -e served ] || fail "$* was served"
}

check 'an image is needed: .*dir=DIR'
check 'an image is needed' cache=1M
check 'file= cannot be given after file=: .*export=' disk.qcow2 disk.qcow2
check 'dir= cannot be given after file=' disk.qcow2 dir=.
check 'file= cannot be given after dir=' dir=. disk.qcow2
check 'dir= cannot be given after dir=' dir=. dir=.
check 'export= cannot be given after file=' disk.qcow2 export=a:disk.qcow2
check 'file= cannot be given after export=' export=a:disk.qcow2 disk.qcow2
check 'export=disk\.qcow2: use export=NAME:FILE' export=disk.qcow2
check 'export=:disk\.qcow2: use export=NAME:FILE' export=:disk.qcow2
check 'two exports .*"a"' export=a:disk.qcow2 export=a:disk.qcow2
check '.*no image is named' export=a:
check '.*path' file=
check '.*path' dir=
check 'export=: this name has 5000 bytes' \
  "export=$(printf '%05000d' 0):disk.qcow2"

# Options.
check 'frobnicate: there is no such option' disk.qcow2 frobnicate=yes
check 'cache=lots' disk.qcow2 cache=lots
check 'cache is given twice' disk.qcow2 cache=1M cache=2M
check 'cache is given twice' cache=1M disk.qcow2 cache=2M
check 'cache is given twice' export=a:disk.qcow2 cache=1M cache=2M
check 'format=vhd' disk.qcow2 format=vhd
check '.*snapshot' disk.qcow2 snapshot=none
check '.*snapshot' dir=. snapshot=1
check '.*fd' dir=. fd=0
check 'fd 1000' fd=1000
