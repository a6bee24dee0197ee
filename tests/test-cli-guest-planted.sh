#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# What others have put where rawview import and inject work: links are not
# followed, pipes are not waited for, and notes that are not ours not obeyed.

. "$RAWVIEW_SRCDIR/tests/functions.sh"
. "$RAWVIEW_SRCDIR/tests/functions-fuse.sh"
. "$RAWVIEW_SRCDIR/tests/functions-guest.sh"
requires qemu-img --version
requires rawview import --help
cd "$tmp"
make_raw disk.raw
make_image qcow2 disk.raw a.qcow2
echo precious >victim
mkdir to

untouched () { [ "$(cat victim)" = precious ] || fail "$1"; }

# The description of the result, before it has its name.
ln -s ../victim to/vm.xml.part
rawview import a.qcow2 --to to/a.raw --output-xml=to/vm.xml >plan
untouched 'a link was followed'
[ -f to/vm.xml ] && [ ! -L to/vm.xml ] || fail 'there is no description'

# Notes of an import that was killed say what is removed.
mkdir -m 700 to/.rawview-import-forged
printf '%s:%x %s\n' "$(stat -c %D victim)" "$(stat -c %i victim)" \
  "$tmp/victim" >to/.rawview-import-forged/state
chmod 666 to/.rawview-import-forged/state
rawview import a.qcow2 --to to/b.raw >plan
[ -e victim ] || fail 'forged notes were obeyed'
# The same, if they are ours; and a link in the folder is not followed.
chmod 600 to/.rawview-import-forged/state
mkdir to/.rawview-import-forged/overlays other
echo kept >other/file
ln -s "$tmp/other" to/.rawview-import-forged/overlays/link
ln -s "$tmp/other" to/.rawview-import-link
cp to/.rawview-import-forged/state other/state
rawview import a.qcow2 --to to/c.raw >plan
[ ! -e victim ] || fail 'this tests nothing'
[ ! -e to/.rawview-import-forged ] || fail 'it is still there'
[ "$(ls other)" = "$(printf 'file\nstate')" ] || fail 'a link was followed'

# The log.
requires_fuse
requires_nbdkit
use_run_dir
use_stand_in
mkdir over
mkfifo over/a.virt-v2v.log
status=0
timeout 60 rawview inject --overlay-dir=over a.qcow2 2>err || status=$?
[ "$status" -gt 0 ] && [ "$status" -lt 100 ] || fail "status $status"
line_count err 1
matches err 'over/a.virt-v2v.log'
# What is like a marker of unfinished overlays but that others can read, such as
# a disk that was copied as it is, removes nothing.
echo precious >victim
printf 'rawview inject: unfinished\0\0\060\0%s\0' "$tmp/victim" \
  >over/x.rawview-unfinished
chmod 644 over/x.rawview-unfinished
timeout 60 rawview inject --overlay-dir=over a.qcow2 2>err || :
untouched 'a marker was obeyed'
chmod 600 over/x.rawview-unfinished
timeout 60 rawview inject --overlay-dir=over a.qcow2 2>err || :
[ ! -e victim ] || fail 'this tests nothing'
# The pipe is not written to if somebody reads it.
sleep 60 <>over/a.virt-v2v.log &
cleanup_fn stop_process $!
status=0
timeout 60 rawview inject --overlay-dir=over a.qcow2 2>err || status=$?
[ "$status" -gt 0 ] && [ "$status" -lt 100 ] || fail "status $status"
matches err 'over/a.virt-v2v.log: the log must be a file'
has_no_leftovers over a.virt-v2v.log
