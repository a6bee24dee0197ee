#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# An injection that fails changes nothing and leaves nothing but its log, and says
# why.

. "$RAWVIEW_SRCDIR/tests/functions.sh"
. "$RAWVIEW_SRCDIR/tests/functions-fuse.sh"
. "$RAWVIEW_SRCDIR/tests/functions-guest.sh"
requires_fuse
requires_nbdkit
cd "$tmp"
use_run_dir
use_stand_in
make_raw one.raw
mkdir in over
make_image vmdk one.raw in/one.vmdk -o subformat=streamOptimized
make_image qcow2 one.raw in/two.qcow2 -c
(cd in && sha256sum one.vmdk two.qcow2) >sums

inject ()
{
  rm -f "$notes"/*
  rawview inject --overlay-dir=over in/one.vmdk in/two.qcow2
}

# nothing_is_left: and the log is named in the one sentence in the file "err".
nothing_is_left ()
{
  has_no_leftovers over one.virt-v2v.log
  no_folders run || fail "this is left: $(ls run/*)"
  has_no_leftovers in one.vmdk two.qcow2
  (cd in && sha256sum --quiet -c ../sums) || fail 'an image has changed'
  line_count err 1
  matches err 'nothing has changed; see .*/over/one.virt-v2v.log$'
  matches over/one.virt-v2v.log 'Converting Stand-in'
}

# It fails, after it has written, perhaps everywhere.
for do in fail garbage; do
  status=0
  STANDIN_DO=$do inject 2>err || status=$?
  [ "$status" -eq 1 ] || fail "status $status: $(cat err)"
  matches err 'virt-v2v-in-place.*this guest cannot be converted'
  nothing_is_left
done

# What the guest calls itself does nothing to a terminal.
STANDIN_GUEST=$'\e[2Jevil\u202e\u009b' STANDIN_DO=fail \
  rawview inject --progress=bar --overlay-dir=over in/one.vmdk 2>err &&
  fail 'it succeeds'
matches err 'Converting .*evil'
matches err 'cannot be converted: .*evil'
! LC_ALL=C grep -q $'\e\\[2J\|\xe2\x80\xae\|\xc2\x9b' err ||
  fail "a terminal would obey: $(cat -v err)"

# Sockets are no different.
STANDIN_VERSION=2.12.1 STANDIN_DO=fail inject 2>err && fail 'it succeeds'
nothing_is_left

# A disk that is gone before it starts.
status=0
rawview inject --overlay-dir=over in/one.vmdk in/none.vmdk 2>err || status=$?
[ "$status" -eq 1 ] || fail "status $status: $(cat err)"
line_count err 1
matches err 'in/none.vmdk'

# What was there without us stays.
[ "$(ls over)" = one.virt-v2v.log ] || fail 'the log is gone'
