#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# What is older than the age limit is fetched again if it has changed; where
# that fails, what is there goes on being used.

. "$RAWVIEW_SRCDIR/tests/functions.sh"
. "$RAWVIEW_SRCDIR/tests/functions-tools.sh"
requires_guestcheck
requires python3 -c 'import ssl'
requires openssl version
cd "$tmp"

make_tools web
cp -r web first
openssl req -x509 -newkey rsa:2048 -nodes -days 30 -subj /CN=127.0.0.1 \
  -addext subjectAltName=IP:127.0.0.1 -keyout key.pem -out ca.pem 2>/dev/null
start_tools_server "$tmp/web" "$tmp/tls" ca.pem key.pem

# All of it from a configuration file.
export RAWVIEW_TOOLS_CONF=$tmp/tools.conf
cat >tools.conf <<END
# drivers for Windows
url = https://127.0.0.1:$port
ca=$tmp/ca.pem

cache=$tmp/cache
max-age=10
END
tools 0
is_filled cache web

# age NAME DAYS
age () { touch -d "$2 days ago" "cache/$1"; }

# asked_for NAME…: since the last time, these and no other.
asked_for ()
{
  printf '/%s\n' "$@" | sort -u >expected
  sort -u tls.requests | diff expected - || fail 'other files were asked for'
  : >tls.requests
}
asked_for SHA256SUMS virtio-win.iso rhsrvany.exe pvvxsvc.exe

# Not yet old.
age virtio-win.iso 9
tools 0
[ ! -s tls.requests ] || fail 'it is not old yet'

# Old and unchanged: its checksum suffices, and for as long again.
age virtio-win.iso 11
tools 0
asked_for SHA256SUMS
tools 0
[ ! -s tls.requests ] || fail 'it was not known to be new again'

# The option comes before the configuration.
age virtio-win.iso 11
tools 0 --tools-max-age=12
[ ! -s tls.requests ] || fail 'the option was not heeded'

# A time in the future says nothing.
touch -d 'next year' cache/virtio-win.iso
tools 0
asked_for SHA256SUMS

# Old and changed.
make_tools web second
age virtio-win.iso 11
tools 0
asked_for SHA256SUMS virtio-win.iso
cmp cache/virtio-win.iso web/virtio-win.iso
cmp cache/rhsrvany.exe first/rhsrvany.exe

# Changed, but broken on its way: the old one stays, and is used.
make_tools web third
echo broken >>web/rhsrvany.exe
age rhsrvany.exe 11
tools 0
matches err '^rawview: warning: rhsrvany.exe: its checksum .*used nevertheless'
cmp cache/rhsrvany.exe first/rhsrvany.exe
no_leftovers cache

# Nobody answers.
stop_process "$server_pid"
tools 0
matches err '^rawview: warning: https://127.0.0.1:.*used nevertheless'
matches out "^VIRT_TOOLS_DATA_DIR=$tmp/cache\$"
cmp cache/rhsrvany.exe first/rhsrvany.exe

# Nobody answers, and something is not there.
rm cache/pvvxsvc.exe
tools 1
matches err '^rawview: https://127.0.0.1:.*SHA256SUMS: '
[ ! -s out ] || fail 'something was printed nevertheless'

# A configuration that is wrong.
for line in 'uri=https://127.0.0.1' 'max-age=ten' 'max-age=0' 'url' 'ca='; do
  echo "$line" >tools.conf
  tools 2
  matches err "^rawview: $tmp/tools.conf: line 1 is not"
done

# The example names all there is to configure.
sed 's/^#\([a-z]\)/\1/' "$RAWVIEW_SRCDIR/docs/tools.conf" >tools.conf
[ "$(grep -cv '^#\|^$' tools.conf)" -eq 5 ] || fail 'the example is too short'
tools 0 --virtio-win=web/virtio-win.iso --virt-tools=web
