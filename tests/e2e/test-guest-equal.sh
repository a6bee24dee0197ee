#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# A guest's disk, converted by qemu-img into one format after the other, reads
# the same as before, byte for byte: over NBD by many requests in parallel on
# several connections (nbdcopy) and by QEMU's client, and as a file under FUSE.
#
#   ../run e2e/test-guest-equal.sh [FORMAT…]      default: every one of them
#
# Prints one line for each format and check, goes on after a failure.

# shellcheck source=tests/e2e/functions.sh
. "$RAWVIEW_SRCDIR/tests/e2e/functions.sh"

requires_guest
requires nbdcopy --version

passed=0
failed=0

# check FORMAT WHAT COMMAND [ARG…]
check ()
{
  local start=$SECONDS result

  if "${@:3}" >"$tmp/check.log" 2>&1; then
    result=ok
    passed=$((passed + 1))
  else
    result=FAILED
    failed=$((failed + 1))
  fi
  printf '%-7s %-21s %-17s %3d s\n' \
    $result "$1" "$2" $((SECONDS - start))
  [ $result = ok ] || sed 's/^/        /' "$tmp/check.log"
}

# with_export COMMAND: nbdkit serves the image to a shell command with $uri.
with_export ()
{
  bounded 180 nbdkit --readonly --unix - rawview "$image" --run "$1"
}

# shellcheck disable=SC2016 # the variables are for nbdkit's shell
nbdcopy_is_equal ()
{
  rm -f "$copy"
  with_export 'nbdcopy "$uri" "$copy"' && cmp "$copy" "$guest"
}

# shellcheck disable=SC2016
qemu_img_compares ()
{
  with_export 'qemu-img compare -f raw -F raw "$guest" "$uri"'
}

fuse_file_is_equal ()
{
  bounded 180 cmp "$view" "$guest"
}

check_format ()
{
  local format=$1

  use_format "$format"

  check "$format" 'nbdcopy' nbdcopy_is_equal
  rm -f "$copy"
  check "$format" 'qemu-img compare' qemu_img_compares

  check "$format" 'rawviewfs' view_image
  if is_mounted "$view"; then
    check "$format" 'cmp' fuse_file_is_equal
    unmount_view "$view"
  fi

  rm -f "$tmp"/*.qcow2 "$tmp"/*.vmdk "$tmp"/*.ova
}

use_guest
copy=$tmp/copy.raw
export guest copy

if [ $# -gt 0 ]; then
  formats=("$@")
else
  mapfile -t formats < <("$here/make-formats" --list)
fi
for format in "${formats[@]}"; do
  check_format "$format"
done

echo "$passed passed, $failed failed"
[ $failed -eq 0 ]
