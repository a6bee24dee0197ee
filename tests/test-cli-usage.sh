#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Wrong command lines: one line on stderr, nothing on stdout, status 2.

. "$RAWVIEW_SRCDIR/tests/functions.sh"

make_raw "$tmp/disk.raw"

# wrong STATUS REGEX ARG…
wrong ()
{
  local expected=$1 regex=$2 status=0

  shift 2
  rawview "$@" </dev/null >"$tmp/out" 2>"$tmp/err" || status=$?
  [ "$status" -eq "$expected" ] || fail "status $status: rawview $*"
  [ ! -s "$tmp/out" ] || fail "output: rawview $*"
  line_count "$tmp/err" 1
  matches "$tmp/err" "^rawview: $regex"
}

wrong 2 'no command'
wrong 2 'frobnicate: no such command' frobnicate
wrong 2 'frobnicate: no such command' help frobnicate
wrong 2 'info: something is missing' info
wrong 2 'info: one too many: b' info a b
wrong 2 'info: no such option: --frobnicate' info --frobnicate disk
wrong 2 'info: no such option: -x' info -x disk
wrong 2 'copy: needs a value: --threads' copy a b --threads
wrong 2 'copy: not a fitting value: --threads=0' copy a b --threads=0
wrong 2 'copy: not a fitting value: --threads=-1' copy a b --threads=-1
wrong 2 'copy: not a fitting value: --threads=3k' copy a b --threads 3k
wrong 2 'copy: --sparse=1000:' copy --sparse=1000 a b
wrong 2 'copy: --progress=loud:' copy --progress=loud a b
wrong 2 '.*nosuch' info --format=nosuch a
wrong 2 '.*max-size' info --max-size=x a
wrong 2 'serve: --daemon needs' serve --daemon a
wrong 2 'serve: --socket and --port' serve --socket=s --port=1 a
wrong 2 'serve: --port must' serve --port=65536 a

# check has the statuses of qemu-img check, where 2 means something else.
wrong 1 'check: no such option: --frobnicate' check --frobnicate disk
wrong 1 'check: something is missing' check

# The kind of a failure is the status.
wrong 1 '.*nosuch: No such file' info "$tmp/nosuch"
wrong 3 '.*disk\.raw' info "$tmp/disk.raw"
wrong 1 '.*disk\.raw' check "$tmp/disk.raw"

# -h and -V are what they are elsewhere.
for command in '' info map check copy serve; do
  rawview $command -h >"$tmp/short"
  rawview $command --help >"$tmp/long"
  same "$tmp/short" "$tmp/long"
done
rawview -V >"$tmp/short"
matches "$tmp/short" '^rawview [0-9]'
