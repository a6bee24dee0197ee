#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# What cannot be committed is said before anything changes; a journal that is not
# ours, or about other files, does nothing.

. "$RAWVIEW_SRCDIR/tests/functions.sh"
. "$RAWVIEW_SRCDIR/tests/functions-write.sh"
. "$RAWVIEW_SRCDIR/tests/functions-commit.sh"

requires_commit
cd "$tmp"

# There are many cases: here the files' times tell whether they were written.
# Their bytes are compared at the end of each part.
remember () { stat -c '%n %i %s %y' "$@" >remembered; }
unchanged ()
{
  local names

  names=$(cut -d ' ' -f 1 remembered)
  # shellcheck disable=SC2086
  stat -c '%n %i %s %y' $names | cmp - remembered || fail 'a file has changed'
}
mkdir vm
make_base qcow2 vm/a
make_base vmdk:monolithicSparse vm/b
make_base vmdk:streamOptimized vm/stream
change_in_overlay qcow2 vm/a vm/a.over 1
change_in_overlay vmdk vm/b vm/b.over 2
change_in_overlay vmdk vm/stream vm/stream.over 3
cp vm/b.over vm/b.copy
journal=$tmp/vm/a.rawview-commit
remember vm/*
sha256sum vm/* >sums

# says STATUS PATTERN ARG…: commitcheck fails so, and nothing changes.
says ()
{
  local want=$1 pattern=$2 status=0

  shift 2
  "$commitcheck" "$@" >said.log 2>&1 || status=$?
  [ "$status" -eq "$want" ] || {
    cat said.log >&2
    fail "$*: status $status"
  }
  matches said.log "$pattern"
  line_count said.log 1
  unchanged
}

#--- Sets that cannot be

for what in check run; do
  says 1 'stream.*cannot be written' "$what" vm/a vm/a.over \
    vm/stream vm/stream.over
  says 1 'vm/a and .*vm/a are the same file' "$what" vm/a vm/a.over vm/a vm/a.over
  ln vm/a link
  says 1 'are the same file' "$what" vm/a vm/a.over link vm/b.over
  rm link
  says 1 'rescue=yes' "$what" -o rescue=yes vm/a vm/a.over
  says 1 'overlay=x' "$what" -o overlay=x vm/a vm/a.over
  says 1 'none: No such file' "$what" vm/none vm/a.over
  says 1 'on a server' "$what" nbd://localhost:1/ vm/a.over
  says 1 'vm/none/j: No such file' "$what" -j vm/none/j vm/a vm/a.over
done
says 1 'is an overlay of .* and not of' run vm/a vm/b.over
says 1 'none.over: No such file' run vm/a vm/none.over
says 1 'are the same file' run vm/a vm/a.over vm/b vm/a.over
ln -s a.over vm/link.over
says 1 'not a regular file' run vm/a vm/link.over
rm vm/link.over

printf '<Envelope/>' >vm.ovf
cp vm/stream disk.vmdk
tar --format=ustar -cf vm.ova vm.ovf disk.vmdk
says 1 'a disk inside an OVA cannot be written' check vm/a vm/a.over \
  vm.ova vm/ova.over

# Another overlay beside the image, which the commit would ruin.
cp vm/a.over vm/a.other.qcow2
says 1 'backing file of a.other.qcow2' run vm/a vm/a.over
rm vm/a.other.qcow2

# In use.
serve_rw vm/b format=vmdk overlay=vm/b.copy
for what in check run; do
  says 1 'in use' "$what" vm/a vm/a.over vm/b vm/b.over
done
stop_server

# A damaged overlay: an L2 entry far beyond its end.
cp vm/a.over damaged.over
l1=$(( $(od -An -t u8 --endian=big -j 40 -N 8 damaged.over) ))
l2=$(( $(od -An -t u8 --endian=big -j $l1 -N 8 damaged.over) & 0xfffffffffffe00 ))
printf '\x80\x00\xff\xff\x00\x00\x00\x00' |
  dd of=damaged.over bs=1 seek=$l2 conv=notrunc status=none
says 1 'cannot be read' run vm/a damaged.over

sha256sum --quiet -c sums || fail 'a file has changed'

#--- Journals

# A good one, of a commit that was killed as soon as it was decided.
for (( n = 1; ; n++ )); do
  KILL_AT=$n LD_PRELOAD=$RAWVIEW_BUILDDIR/tests/.libs/libkiller.so \
    "$commitcheck" run vm/a vm/a.over vm/b vm/b.over >killed.log 2>&1 &&
    fail 'it was never decided'
  [ ! -e "$journal" ] || break
done
unchanged
cp "$journal" good
remember vm/* "$journal"

says 1 'was not finished' check vm/a vm/a.over
says 1 'was not finished' run vm/a vm/a.over

# wrong PATTERN SED…: the journal changed so is refused.
wrong ()
{
  local pattern=$1

  shift
  sed "$@" good >"$journal"
  remember vm/*
  says 2 "$pattern" recover "$journal"
}

wrong 'no journal of a commit' -e 's/^rawview-commit 1/rawview-commit 2/'
wrong 'no journal of a commit' -e '$d'
wrong 'no journal of a commit' -e 's/^disks 2/disks 1/'
wrong 'no journal of a commit' -e 's/^disks 2/disks 18446744073709551616/'
wrong 'no journal of a commit' -e 's/^state .*/state maybe/'
wrong 'no journal of a commit' -e 's/^format qcow2/format %00/'
wrong 'no journal of a commit' -e 's/^size .*/&\noption a%2/'
wrong 'no journal of a commit' -e "s#^image .*/a#image vm/a#"
wrong 'no journal of a commit' -e "s#^image .*/a#image $tmp/vm/../vm/a#"
wrong 'no journal of a commit' -e "s#^image .*/a#image $tmp//vm/a#"
wrong 'no journal of a commit' -e "s#^overlay .*/a.over#overlay $tmp/vm/./a.over#"
wrong 'a is not the file that the journal' -e 's/^image-ino .*/image-ino 1/'
wrong 'a is not the file that the journal' -e 's/^image-dev .*/image-dev 1/'
wrong 'a.over is not the file' -e 's/^overlay-ino .*/overlay-ino 1/'
wrong 'a.over is not the file' -e 's/^overlay-bytes .*/overlay-bytes 1/'
wrong 'a.over is not the file' -e 's/^overlay-mtime .*/overlay-mtime 1/'
wrong 'a.over is not the file' \
  -e 's/^overlay-ino .*/overlay-ino 1/' -e 's/^state .*/state applied/'
wrong 'b is not the file' -e "s#^image .*/a#image $tmp/vm/b#"
wrong 'b.copy is not the file' -e "s#^overlay .*/b.over#overlay $tmp/vm/b.copy#"
wrong 'vm is not a regular file' -e "s#^overlay .*/b.over#overlay $tmp/vm#"
wrong 'a is not the file that the journal' -e 's/^format qcow2/format raw/'
wrong 'a is not the file that the journal' -e '0,/^size .*/s//size 512/'
wrong 'overlay=/x' -e 's/^size .*/&\noption overlay=%2Fx/'
wrong 'no such option' -e 's/^size .*/&\noption shell=x/'

cp good "$journal"
remember vm/*
chmod 666 "$journal"
says 2 'others may write this journal' recover "$journal"
chmod 600 "$journal"
ln "$journal" other
says 2 'no regular file with one name' recover "$journal"
rm other
if chown 12345 "$journal" 2>/dev/null; then
  says 2 "another user's" recover "$journal"
  chown "$(id -u)" "$journal"
fi
ln -s vm/a.rawview-commit link
says 2 'link' recover link
mkfifo pipe
says 2 'no regular file' recover pipe

# An overlay that is gone is not made anew.
mv vm/b.over away
remember vm/*
says 2 'b.over: No such file' recover "$journal"
mv away vm/b.over

sha256sum --quiet -c sums || fail 'a file has changed'

# The good one does it, once.  Devices may have other numbers after the machine
# was started again.
sed -e 's/^boot .*/boot another/' -e 's/-dev .*/-dev 1/' good >"$journal"
"$commitcheck" recover "$journal" || fail 'the good one was refused'
for file in a b; do
  [ ! -e vm/$file.over ] || fail "vm/$file.over is left"
done
status=0
"$commitcheck" recover "$journal" || status=$?
[ "$status" -eq 3 ] || fail "status $status: nothing is left to recover"
