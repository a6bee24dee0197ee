#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# A guest's disk, converted by qemu-img into one format after the other,
# reads the same as before, byte for byte: over NBD by many requests in
# parallel on several connections (nbdcopy) and by QEMU's client, and as a
# file under FUSE.
#
#   tests/e2e/test-guest-equal.sh [FORMAT…]     default: every one of them
#
# Prints one line for each format and check, goes on after a failure.

. "$(dirname "$0")/functions.sh"

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
    printf '%-7s %-21s %-18s %3d s\n' $result "$1" "$2" $((SECONDS - start))
    [ $result = ok ] || sed 's/^/        /' "$tmp/check.log"
}

nbdcopy_is_equal ()
{
    rm -f "$tmp/copy.raw"
    bounded 180 nbdcopy "$uri" "$tmp/copy.raw" && cmp "$tmp/copy.raw" "$guest"
}

qemu_img_compares ()
{
    bounded 180 qemu-img compare -f raw -F raw "$guest" "$uri"
}

fuse_file_is_equal ()
{
    bounded 180 cmp "$tmp/fuse.raw" "$guest"
}

check_format ()
{
    local format=$1

    use_format "$format"

    check "$format" "nbdkit starts" start_nbdkit "$socket" -r rawview "$image"
    check "$format" "nbdcopy" nbdcopy_is_equal
    rm -f "$tmp/copy.raw"
    check "$format" "qemu-img compare" qemu_img_compares
    check "$format" "nbdkit ends" stop_nbdkit "$socket"

    check "$format" "rawviewfs mounts" start_rawviewfs "$image" "$tmp/fuse.raw"
    check "$format" "cmp" fuse_file_is_equal
    check "$format" "rawviewfs ends" stop_rawviewfs "$tmp/fuse.raw"

    rm -f "$tmp"/*.qcow2 "$tmp"/*.vmdk "$tmp"/*.ova
}

use_guest
socket=$tmp/sock
uri="nbd+unix:///?socket=$socket"

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
