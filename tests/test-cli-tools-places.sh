#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Drivers and programs for a Windows guest are taken from where the options
# say, then the environment, then the distribution; what somebody named has to
# be right, and what is missing is named.

. "$RAWVIEW_SRCDIR/tests/functions.sh"
. "$RAWVIEW_SRCDIR/tests/functions-tools.sh"
requires_guestcheck
cd "$tmp"
cache=--tools-cache=$tmp/cache

is_env ()
{
  printf 'VIRTIO_WIN=%s\nVIRT_TOOLS_DATA_DIR=%s\n' "$1" "$2" | diff - out ||
    fail 'other places were taken'
}

# Nothing is there: every file is named, and how to get it.
tools 4 "$cache"
for word in virtio-win.iso rhsrvany.exe pvvxsvc.exe --virtio-win --virt-tools \
  --tools-url "$tmp/cache" "$tmp/no-share/virt-tools"; do
  grep -qF -e "$word" err || { cat err; fail "the message lacks $word"; }
done
[ ! -s out ] || fail 'something was printed nevertheless'
[ ! -e cache ] || fail 'a cache was made for nothing'

make_tools option
make_tools variable
make_tools share/virt-tools
mkdir share/virtio-win
mv share/virt-tools/virtio-win.iso share/virtio-win/
mkdir -p folder/viostor/w10/amd64
touch folder/viostor/w10/amd64/viostor.inf

# The distribution's.
export RAWVIEW_TOOLS_DATADIR=$tmp/share
tools 0 "$cache"
is_env "$tmp/share/virtio-win/virtio-win.iso" "$tmp/share/virt-tools"

# The environment's.
export VIRTIO_WIN=$tmp/variable/virtio-win.iso VIRT_TOOLS_DATA_DIR=$tmp/variable
tools 0 "$cache"
is_env "$tmp/variable/virtio-win.iso" "$tmp/variable"

# The options'; paths become absolute.
tools 0 "$cache" --virtio-win=folder --virt-tools=option
is_env "$tmp/folder" "$tmp/option"

# Programs see the option's too, whichever of two with one name they take.
cat >sees.sh <<'END'
#!/bin/bash
echo "VIRTIO_WIN=$VIRTIO_WIN"
echo "VIRT_TOOLS_DATA_DIR=$VIRT_TOOLS_DATA_DIR"
END
chmod +x sees.sh
tools 0 "$cache" --virtio-win=folder --virt-tools=option ./sees.sh
is_env "$tmp/folder" "$tmp/option"
tools 0 "$cache" --virtio-win=folder --virt-tools=option printenv \
  VIRTIO_WIN VIRT_TOOLS_DATA_DIR
printf '%s\n' "$tmp/folder" "$tmp/option" | diff - out ||
  fail 'the environment was taken'

# One that is wrong is not replaced by one that is right.
tools 1 "$cache" --virtio-win=nosuch
matches err '^rawview: --virtio-win: nosuch: No such file'
rm option/pvvxsvc.exe
tools 1 "$cache" --virt-tools=option
matches err '^rawview: --virt-tools: option/pvvxsvc.exe: No such file'
export VIRTIO_WIN=$tmp/variable/rhsrvany.exe
tools 3 "$cache"
matches err '^rawview: VIRTIO_WIN: .* no ISO image'
unset VIRTIO_WIN VIRT_TOOLS_DATA_DIR

# A folder without drivers, and a program that is none.
rm folder/viostor/w10/amd64/viostor.inf
tools 3 "$cache" --virtio-win=folder
matches err 'no viostor.inf or vioscsi.inf'
echo '<html>404' >option/pvvxsvc.exe
tools 3 "$cache" --virt-tools=option
matches err 'option/pvvxsvc.exe: this is no program'
mkfifo fifo
timeout 60 "$guestcheck" tools "$cache" --virtio-win=fifo 2>err &&
  fail 'a fifo has drivers'
matches err 'no ISO image'

# What a distribution has broken is said, and the next place is taken.
truncate -s 1000 share/virtio-win/virtio-win.iso
mkdir -p share/virtio-win/drivers/amd64/Win10
touch share/virtio-win/drivers/amd64/Win10/vioscsi.inf
tools 0 "$cache"
is_env "$tmp/share/virtio-win" "$tmp/share/virt-tools"
matches err 'warning: not taken: .*/virtio-win.iso: this is no ISO image'

# A part of it is missing: that alone is named.
rm share/virt-tools/pvvxsvc.exe
tools 4 "$cache"
matches err 'pvvxsvc.exe \('
! grep -q 'rhsrvany.exe (\|virtio-win.iso (' err ||
  fail 'what is there is called missing'

# Somebody filled the cache by hand.
make_tools cache
tools 0 "$cache"
is_env "$tmp/share/virtio-win" "$tmp/cache"

# Nobody else may have.
chmod 777 cache
tools 6 "$cache"
matches err 'group or others can write into this cache'
