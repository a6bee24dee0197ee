#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# In the sandbox all is done that is done without: writing in place and into
# overlays, folders, commands of --run, TLS.

. "$RAWVIEW_SRCDIR/tests/functions.sh"
. "$RAWVIEW_SRCDIR/tests/functions-sandbox.sh"
. "$RAWVIEW_SRCDIR/tests/functions-write.sh"
requires_nbdkit
requires_sandbox
requires qemu-io --version

make_raw "$tmp/raw"
mkdir "$tmp/images"
import=$tmp/images/import.qcow2
make_image qcow2 "$tmp/raw" "$import"

# write_to NAME: writes to an export of the last server, discards, flushes.
write_to ()
{
  qemu-io -f raw -c 'write -P 7 1M 300k' -c 'discard 6M 1M' -c 'write -z 9M 64k' \
    -c flush "$(uri_of "$1")" >"$tmp/qemu-io.log" || fail "cannot write to $1"
  if grep -i 'failed\|error' "$tmp/qemu-io.log"; then
    fail "writing to $1 failed"
  fi
}

# What then is to be read.
cp "$tmp/raw" "$tmp/expected"
head -c 307200 /dev/zero | tr '\0' '\007' |
  dd of="$tmp/expected" bs=1M seek=1 conv=notrunc status=none
fallocate -p -o 6M -l 1M "$tmp/expected"
fallocate -p -o 9M -l 64k "$tmp/expected"

for mode in auto on; do
  dir=$tmp/$mode
  mkdir "$dir" "$dir/folder" "$dir/overlays"

  cp "$import" "$dir/a.qcow2"
  serve_rw sandbox=$mode "$dir/a.qcow2"
  write_to ''
  reads_as "$uri" "$tmp/expected"
  stop_server
  is_now qcow2 "$dir/a.qcow2" "$tmp/expected"

  serve_rw sandbox=$mode "$import" overlay="$dir/a.overlay"
  write_to ''
  stop_server
  is_now qcow2 "$dir/a.overlay" "$tmp/expected"

  # The images of a folder are opened in the sandbox, overlays made in it.
  cp "$import" "$dir/folder/b.qcow2"
  serve_rw sandbox=$mode dir="$dir/folder" overlay-dir="$dir/overlays"
  write_to b.qcow2
  cp "$import" "$dir/folder/later.qcow2"
  write_to later.qcow2
  reads_as "$(uri_of later.qcow2)" "$tmp/expected"
  stop_server
  is_now qcow2 "$dir/overlays/b.qcow2.overlay.qcow2" "$tmp/expected"
  is_now qcow2 "$dir/overlays/later.qcow2.overlay.qcow2" "$tmp/expected"
  same "$import" "$dir/folder/b.qcow2"

  serve_rw sandbox=$mode dir="$dir/folder"
  write_to b.qcow2
  stop_server
  is_now qcow2 "$dir/folder/b.qcow2" "$tmp/expected"

  # Whether it can be written is found out by looking beside it.
  qemu-img create -q -f qcow2 -F qcow2 -b "$dir/a.qcow2" "$dir/child.qcow2"
  serve_rw sandbox=$mode "$dir/a.qcow2"
  refused "$tmp/said" qemu-io -f raw -c 'write 0 4k' "$uri"
  matches "$nbdkit_log" 'is the parent or backing file of child.qcow2'
  stop_server

  # -U - and --run: the command is not in the sandbox, and nothing is left.
  mkdir "$dir/tmp"
  # shellcheck disable=SC2016
  TMPDIR=$dir/tmp nbdkit -U - rawview sandbox=$mode "$import" \
    --run 'touch "'"$dir"'/ran"; nbdcopy "$uri" "'"$dir"'/out"'
  same "$tmp/raw" "$dir/out"
  [ -e "$dir/ran" ] || fail 'the command of --run is in the sandbox'
  [ -z "$(ls "$dir/tmp")" ] || fail 'the socket of -U - was left behind'
done

# A socket that was listened on by somebody else.
python3 - "$tmp/passed.sock" "$import" <<'PY' &
import os, socket, sys
s = socket.socket(socket.AF_UNIX)
s.bind(sys.argv[1])
s.listen(10)
if s.fileno() != 3:
    os.dup2(s.fileno(), 3)
os.set_inheritable(3, True)
os.environ["LISTEN_FDS"] = "1"
os.environ["LISTEN_PID"] = str(os.getpid())
os.execvp("nbdkit", ["nbdkit", "-f", "-r", "rawview", "sandbox=on", sys.argv[2]])
PY
cleanup_fn stop_process "$!"
wait_until 30 test -S "$tmp/passed.sock"
reads_as "nbd+unix:///?socket=$tmp/passed.sock" "$tmp/raw"

# TLS: certificates are read at the start, keys of PSK for each client.
nbdkit --dump-config | grep -qx 'tls=yes' || exit 0
command -v certtool >/dev/null && command -v psktool >/dev/null || exit 0
mkdir "$tmp/pki"
certtool --generate-privkey --bits 2048 --outfile "$tmp/pki/ca-key.pem" \
  2>"$tmp/certtool.log"
printf 'cn = "test"\nca\ncert_signing_key\n' >"$tmp/ca.info"
certtool --generate-self-signed --load-privkey "$tmp/pki/ca-key.pem" \
  --template "$tmp/ca.info" --outfile "$tmp/pki/ca-cert.pem" \
  2>>"$tmp/certtool.log"
for who in server client; do
  certtool --generate-privkey --bits 2048 --outfile "$tmp/pki/$who-key.pem" \
    2>>"$tmp/certtool.log"
  printf 'cn = "localhost"\ndns_name = "localhost"\ntls_www_%s\n' $who \
    >"$tmp/$who.info"
  certtool --generate-certificate --load-privkey "$tmp/pki/$who-key.pem" \
    --load-ca-certificate "$tmp/pki/ca-cert.pem" \
    --load-ca-privkey "$tmp/pki/ca-key.pem" --template "$tmp/$who.info" \
    --outfile "$tmp/pki/$who-cert.pem" 2>>"$tmp/certtool.log"
done
psktool -u me -p "$tmp/keys.psk" >/dev/null

# tls_uri QUERY: with TLS, of the last server
tls_uri () { echo "nbds+unix://$1localhost/?socket=$sock&$2"; }

for mode in auto on; do
  serve_with -r --tls=require --tls-certificates="$tmp/pki" \
    rawview sandbox=$mode "$import"
  reads_as "$(tls_uri '' "tls-certificates=$tmp/pki")" "$tmp/raw"
done
serve_with -r --tls=require --tls-psk="$tmp/keys.psk" \
  rawview "$import"
reads_as "$(tls_uri me@ "tls-psk-file=$tmp/keys.psk")" "$tmp/raw"
serve_with -r --tls=require --tls-psk="$tmp/keys.psk" \
  rawview sandbox=on "$import"
refused "$tmp/said" nbdinfo "$(tls_uri me@ "tls-psk-file=$tmp/keys.psk")"
