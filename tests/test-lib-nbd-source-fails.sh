#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# When an NBD server fails, the message says which and why, in one line, and
# nothing of what is secret in the URI.

. "$RAWVIEW_SRCDIR/tests/functions.sh"

requires nbdkit --version
requires nbdkit --filter=error null --version
cd "$tmp"
make_raw disk.raw
make_image qcow2 disk.raw disk.qcow2

# Nobody there.
refused nobody.log rawview info "nbd+unix:///x?socket=$tmp/nobody"
line_count nobody.log 1
matches nobody.log "connect to nbd\+unix:///x\?socket=$tmp/nobody: .*No such file"

# Secrets stay where they are.
refused secret.log rawview info \
  "nbds+unix://alice@/x?socket=$tmp/nobody&tls-psk-file=/root/keys.psk"
line_count secret.log 1
matches secret.log "connect to nbds\+unix:///x\?socket=$tmp/nobody: "
if grep -E 'alice|keys' secret.log; then
  fail 'a secret was printed'
fi

# A URI that is none.
refused broken.log rawview info 'nbd://['
line_count broken.log 1

# A server whose reads fail after a while.
start_nbdkit -P "$tmp/error.pid" -U "$tmp/error.sock" --filter=error file \
  disk.qcow2 error-pread=EIO error-pread-rate=100% \
  error-pread-file="$tmp/broken" 2>nbdkit.log
rawview info "nbd+unix:///?socket=$tmp/error.sock" >info.txt
matches info.txt '^file format: qcow2'
touch broken
refused read.log rawview info "nbd+unix:///?socket=$tmp/error.sock"
line_count read.log 1
matches read.log "cannot read nbd\+unix:///\?socket=$tmp/error.sock at 0: "
