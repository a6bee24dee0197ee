#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# --no-guest-agent has guestfish take away what virt-v2v has queued, on the same
# disks and before the overlays are complete; if that fails all does.

. "$RAWVIEW_SRCDIR/tests/functions.sh"
. "$RAWVIEW_SRCDIR/tests/functions-fuse.sh"
. "$RAWVIEW_SRCDIR/tests/functions-guest.sh"
requires_fuse
cd "$tmp"
use_run_dir
use_stand_in
make_raw disk.raw
mkdir in over
make_image qcow2 disk.raw in/disk.qcow2
sha256sum in/disk.qcow2 >sums

# It writes what it is told into the disk behind virt-v2v's bytes.
cat >guestfish <<'END'
#!/bin/sh
[ "$1" != --version ] || exit 0
printf '%s\n' "$@" >"$STANDIN_DIR/guestfish-args"
while [ $# -gt 1 ]; do
  case $1 in
    -a) disk=$2 ;;
    -f) cp "$2" "$STANDIN_DIR/script" ;;
  esac
  shift
done
[ -z "$GUESTFISH_FAILS" ] || { echo 'no operating system' >&2; exit 1; }
printf 'cleaned' | dd of="$disk" bs=1 seek=1049600 conv=notrunc status=none
END
chmod +x guestfish
export RAWVIEW_GUESTFISH=$tmp/guestfish GUESTFISH_FAILS=

rawview inject --no-guest-agent --overlay=over/o.qcow2 --log=log in/disk.qcow2 \
  >out 2>err || fail "status $?: $(cat err)"
cp disk.raw expected.raw
injected 1 expected.raw
printf 'cleaned' | dd of=expected.raw bs=1 seek=1049600 conv=notrunc status=none
rawview copy --overlay=over/o.qcow2 in/disk.qcow2 read.raw 2>/dev/null
same expected.raw read.raw
matches "$notes/script" '^glob rm-f /usr/lib/virt-sysprep/scripts/\*-install-qga$'
matches "$notes/guestfish-args" '^--rw$'
rm over/*

status=0
GUESTFISH_FAILS=yes rawview inject --no-guest-agent --overlay=over/o.qcow2 \
  --log=log in/disk.qcow2 2>err || status=$?
[ "$status" -eq 1 ] || fail "status $status: $(cat err)"
line_count err 1
matches err 'no operating system; nothing has changed'
has_no_leftovers over
sha256sum --quiet -c sums || fail 'an image has changed'

# Not asked for, it is not run.
rm "$notes"/*
rawview inject --overlay=over/o.qcow2 --log=log in/disk.qcow2 >out
[ ! -e "$notes/script" ] || fail 'guestfish was run'
