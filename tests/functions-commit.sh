# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash
#
# Sourced by the tests of commits, after functions.sh and functions-write.sh.

commitcheck=$RAWVIEW_BUILDDIR/tests/commitcheck

requires_commit ()
{
  requires test -x "$commitcheck"
  requires qemu-img --version
  requires qemu-io --version
  requires_nbdkit
}

# make_base FORMAT[:SUBFORMAT]|qcow2:compressed FILE: 12 MiB with data and
# holes.
make_base ()
{
  local format=${1%%:*}

  [ -e model.raw ] || make_raw model.raw
  case $1 in
    qcow2:*) qemu-img convert -c -f raw -O qcow2 model.raw "$2" ;;
    *:*) qemu-img convert -f raw -O "$format" -o "subformat=${1#*:}" \
           model.raw "$2" ;;
    *) qemu-img convert -f raw -O "$format" model.raw "$2" ;;
  esac
}

# change_in_overlay FORMAT IMAGE OVERLAY BYTE: requests of a guest.
change_in_overlay ()
{
  serve_rw "$2" format="$1" overlay="$3"
  qemu-io -f raw -c "write -P $4 0 64k" -c "write -P $4 200k 512" \
    -c "write -P $4 3M 1M" -c 'write -z 5M 300k' -c 'write -z -u 9M 1M' \
    -c 'discard 1M 512k' -c "write -P $4 10476k 1k" \
    -c "write -P $4 12582400 512" -c 'flush' "$uri" >qemu-io.log
  stop_server
}

# same_disk FORMAT IMAGE RAWFILE: QEMU reads that from it.
same_disk ()
{
  qemu-img compare -f "$1" -F raw "$2" "$3" >compare.log ||
    fail "$2 does not have the bytes of $3"
}

# no_traces DIR: of a commit that was finished.
no_traces ()
{
  ls -A "$1" >files
  ! grep -e rawview-commit -e over files || fail 'something is left behind'
}
