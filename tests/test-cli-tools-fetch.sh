#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# What a Windows guest needs is fetched once, by https, and only with its
# checksum; what went wrong leaves nothing.

. "$RAWVIEW_SRCDIR/tests/functions.sh"
. "$RAWVIEW_SRCDIR/tests/functions-tools.sh"
requires_guestcheck
requires python3 -c 'import ssl'
requires openssl version
cd "$tmp"

make_tools web
openssl req -x509 -newkey rsa:2048 -nodes -days 30 -subj /CN=127.0.0.1 \
  -addext subjectAltName=IP:127.0.0.1 -keyout key.pem -out ca.pem 2>/dev/null
start_tools_server "$tmp/web" "$tmp/tls" ca.pem key.pem
https=https://127.0.0.1:$port
start_tools_server "$tmp/web" "$tmp/plain"
http=http://127.0.0.1:$port
cache=--tools-cache=$tmp/cache
ca=--tools-ca=$tmp/ca.pem
cp web/SHA256SUMS pinned

# fails STATUS PATTERN ARG…: and the cache has nothing.
fails ()
{
  local status=$1 pattern=$2

  shift 2
  tools "$status" "$cache" "$@"
  tail -n 1 err >last
  matches last "^rawview: .*$pattern"
  [ -z "$(find cache -type f ! -name .lock 2>/dev/null)" ] ||
    { ls -A cache; fail 'something is left in the cache'; }
}

# A server that nobody vouches for.
fails 1 'ertificate' --tools-url="$https"

# http, whose checksums anybody could change too.
fails 6 'by http' --tools-url="$http"
[ ! -s plain.requests ] || fail 'it was asked nevertheless'
fails 2 'must be https' --tools-url=ftp://127.0.0.1/
fails 2 'must be https' --tools-url="file://$tmp/web"
fails 2 'no password' --tools-url=https://me:secret@127.0.0.1/
! grep -q secret err || fail 'the password is shown'

# Redirects to http, or without end, even with checksums of our own.
fails 1 'rotocol' --tools-url="$https/to-http" "$ca" --tools-sha256=pinned
fails 1 'redirects' --tools-url="$https/loop" "$ca"

# A download that is cut, one that does not end, one that is not there.
fails 1 '/cut/SHA256SUMS: ' --tools-url="$https/cut" "$ca"
fails 1 '/cut/virtio-win.iso: ' --tools-url="$https/cut" "$ca" \
  --tools-sha256=pinned
fails 1 '/cut/virtio-win.iso: .*bytes' --tools-url="$http/cut" \
  --tools-sha256=pinned
: >plain.requests
fails 7 'longer than 67108864 bytes' --tools-url="$https/endless" "$ca" \
  --virtio-win=web/virtio-win.iso

# One that is not there.
mv web/virtio-win.iso away.iso
fails 1 '/virtio-win.iso: .*404' --tools-url="$https" "$ca" --virt-tools=web
mv away.iso web/virtio-win.iso

# What is not what the checksums say, or is not named by them.
for name in rhsrvany.exe pvvxsvc.exe; do
  cp "web/$name" .
  echo changed >>"web/$name"
done
fails 5 'checksum .* as in https://.*/SHA256SUMS' --tools-url="$https" "$ca" \
  --virtio-win=web/virtio-win.iso
fails 5 'checksum .* as in pinned' --tools-url="$http" --tools-sha256=pinned \
  --virtio-win=web/virtio-win.iso
mv rhsrvany.exe pvvxsvc.exe web
grep virtio web/SHA256SUMS >fewer
fails 6 'fewer: there is no checksum of rhsrvany.exe' --tools-url="$https" \
  "$ca" --tools-sha256=fewer --virtio-win=web/virtio-win.iso
cat web/SHA256SUMS web/SHA256SUMS >twice
fails 6 'more than one' --tools-url="$https" "$ca" --tools-sha256=twice

# All is well; a second time nobody is asked.
: >tls.requests
tools 0 "$cache" --tools-url="$https/" "$ca"
printf 'VIRTIO_WIN=%s\nVIRT_TOOLS_DATA_DIR=%s\n' "$tmp/cache/virtio-win.iso" \
  "$tmp/cache" | diff - out || fail 'the cache is not what virt-v2v is given'
is_filled cache web
[ "$(stat -c %a cache/virtio-win.iso)" = 644 ] || fail 'the mode is not 644'
sort tls.requests >asked
printf '%s\n' /SHA256SUMS /SHA256SUMS /pvvxsvc.exe /rhsrvany.exe \
  /virtio-win.iso | uniq >expected
uniq asked | diff expected - || fail 'other files were asked for'
: >tls.requests
tools 0 "$cache" --tools-url="$https" "$ca"
[ ! -s tls.requests ] || fail 'the cache was not used'
[ ! -s err ] || fail 'something was said'

# http will do when the checksums are known; from the environment, too.
rm -r cache
RAWVIEW_TOOLS_URL=$http tools 0 "$cache" --tools-sha256=pinned
is_filled cache web
! grep -q SHA256SUMS plain.requests || fail 'checksums came by http'

# Checksums of our own are verified at every use.
printf x | dd of=cache/rhsrvany.exe bs=1 seek=5 conv=notrunc status=none
tools 5 "$cache" --tools-sha256=pinned
matches err 'rhsrvany.exe: its checksum'
tools 0 "$cache" --tools-sha256=pinned --tools-url="$http"
is_filled cache web

# Only what is missing is fetched.
rm -r cache
: >plain.requests
tools 0 "$cache" --tools-sha256=pinned --tools-url="$http" --virt-tools=web
[ "$(cat plain.requests)" = /virtio-win.iso ] || fail 'too much was fetched'
