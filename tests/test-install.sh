#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# What is installed works where it lies, "make uninstall" leaves nothing, and
# the release tarball has all that it needs.

. "$RAWVIEW_SRCDIR/tests/functions.sh"
requires make --version

# Not those of the make that runs this.
unset MAKEFLAGS MFLAGS MAKELEVEL MAKEOVERRIDES TESTS

build () { make -s -C "$RAWVIEW_BUILDDIR" "$@" >"$tmp/make.log" 2>&1; }

build install DESTDIR="$tmp/inst"
cd "$tmp/inst"
library=$(dirname "$(find "$PWD" -name librawview.so.0)")
export LD_LIBRARY_PATH=$library

# found NAME: the path of an installed file, or nothing.
found () { find "$PWD" -path "*/$1" -print -quit; }

make_raw "$tmp/disk.raw"
make_image vmdk "$tmp/disk.raw" "$tmp/disk.vmdk" -o subformat=streamOptimized

if [ -e "$RAWVIEW_BUILDDIR/cli/rawview" ]; then
  "$(found bin/rawview)" copy "$tmp/disk.vmdk" "$tmp/copy.raw"
  same "$tmp/disk.raw" "$tmp/copy.raw"
fi
plugin=$(found nbdkit-rawview-plugin.so)
if [ -n "$plugin" ]; then
  # Not the wrapper of the build.
  nbdkit=$(type -ap nbdkit | grep -v "^$RAWVIEW_BUILDDIR/" | head -n 1)
  [ -z "${RAWVIEW_ASAN_LIBRARY-}" ] || nbdkit=nbdkit
  "$nbdkit" "$plugin" --dump-plugin >"$tmp/dump"
  matches "$tmp/dump" '^rawview_version='
fi
if command -v pod2man >/dev/null; then
  for page in "$RAWVIEW_SRCDIR"/cli/*.pod; do
    [ -s "$(found "$(basename "$page" .pod).1")" ] ||
      [ -s "$(found "$(basename "$page" .pod).7")" ] || fail "no page of $page"
  done
fi

build uninstall DESTDIR="$tmp/inst"
left=$(find . ! -type d)
[ -z "$left" ] || fail "left behind: $left"

cd "$RAWVIEW_SRCDIR"
requires git rev-parse
# shellcheck disable=SC2016
cleanup_fn sh -c 'rm -rf "$1"/rawview-[0-9]*' sh "$RAWVIEW_BUILDDIR"
build distdir
cd "$RAWVIEW_BUILDDIR"/rawview-[0-9]*
git -C "$RAWVIEW_SRCDIR" ls-files | grep -v '^\.[cg]i' | while read -r file; do
  [ -e "$file" ] || ! [ -e "$RAWVIEW_SRCDIR/$file" ] ||
    fail "the tarball lacks $file"
done
