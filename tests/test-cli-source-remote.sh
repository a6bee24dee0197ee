#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# A guest behind a server that nbdkit's plugins reach: the web, and, as far as
# command lines tell, ssh and VMware's.  The server that is started for it ends
# with us, passwords are never on a command line, and what cannot work says why.

. "$RAWVIEW_SRCDIR/tests/functions.sh"

machinecheck=$RAWVIEW_BUILDDIR/tests/machinecheck
requires test -x "$machinecheck"
requires qemu-img --version
requires nbdkit curl --version
requires nbdkit file --version
requires nbdkit --filter=retry null --version
requires python3 --version
cd "$tmp"

make_raw disk.raw
mkdir www run out
make_image vmdk disk.raw www/disk.vmdk -o subformat=streamOptimized
make_image vmdk disk.raw www/flat.vmdk -o subformat=monolithicFlat
cat >www/vm.ovf <<'OVF'
<Envelope xmlns="http://schemas.dmtf.org/ovf/envelope/1"
    xmlns:ovf="http://schemas.dmtf.org/ovf/envelope/1">
  <References><File ovf:id="f" ovf:href="disk.vmdk"/></References>
  <DiskSection><Info/><Disk ovf:diskId="d" ovf:fileRef="f"/></DiskSection>
  <VirtualSystem ovf:id="v"><Name>far away</Name></VirtualSystem>
</Envelope>
OVF
tar -C www --format=ustar -cf www/vm.ova vm.ovf disk.vmdk
python3 "$RAWVIEW_SRCDIR/tests/web-server.py" 2>server.log &
cleanup_fn stop_process $!
wait_until 30 test -s port || fail 'the web server does not start'
web=http://127.0.0.1:$(cat port)
export no_proxy=127.0.0.1 XDG_RUNTIME_DIR=$tmp/run

nothing_is_left ()
{
  [ -z "$(ls run)" ] || fail "left over: $(ls -R run)"
}

# An image, and an archive with its description.
"$machinecheck" copy=out "$web/disk.vmdk" >image
matches image '^name: disk$'
matches image '^disk: disk\.vmdk unknown 12582912 nbd\+unix://'
same disk.raw out/disk.vmdk
nothing_is_left
rm out/disk.vmdk
"$machinecheck" copy=out "$web/vm.ova" >archive
matches archive '^name: far away$'
same disk.raw out/disk.vmdk
nothing_is_left

# What is not there, or is not all there.
refused err "$machinecheck" "$web/none.vmdk"
matches err "$web/none\\.vmdk: .*404"
refused err "$machinecheck" "$web/flat.vmdk"
matches err "$web/flat\\.vmdk: .*an image behind a server has no folder"
refused err "$machinecheck" "$web/vm.ovf"
matches err 'name the disks'
refused err "$machinecheck" "ssh://me:secret@host/disk.vmdk"
matches err 'password-file'
nothing_is_left

# Passwords are for their owner alone.
echo secret >password
chmod 644 password
refused err "$machinecheck" password-file=password "$web/disk.vmdk"
matches err "refused: $tmp/password: others may read"
refused err "$machinecheck" password-file=gone "$web/disk.vmdk"
matches err "gone: No such file"
chmod 600 password

# A server that ends is told of; one whose user is killed ends.
mkfifo stdin
hold ()
{
  rm -f held
  "$machinecheck" wait "$web/disk.vmdk" <stdin >held 2>held.err &
  holder=$!
  cleanup_fn stop_process "$holder"
  exec 9>stdin
  wait_until 60 grep -qs "^disk:" held || fail 'it does not start'
  server=$(cat run/*/pid)
}
hold
kill -KILL "$server"
wait_until 30 process_is_gone "$server" || fail 'the server lives'
exec 9>&-
! wait "$holder" || fail 'nobody has noticed'
matches held.err "$web/disk\\.vmdk: "
nothing_is_left
hold
kill -KILL "$holder"
wait_until 30 process_is_gone "$server" || fail 'the server has outlived its user'
exec 9>&-
# The next one cleans up.
"$machinecheck" "$web/disk.vmdk" >again
nothing_is_left

# The same with plugins that there may not be: a program that notes its command
# line, and serves a file of this machine.
mkdir bin
cat >bin/nbdkit <<SH
#!/bin/bash
PATH="$PATH"
echo "\$@" >>"$tmp/argv"
options=()
for arg; do
  case \$arg in
    --dump-plugin) exit 0 ;;
    --filter=*) ;;
    -*) options+=("\$arg") ;;
  esac
done
exec nbdkit "\${options[@]}" file "\$(cat "$tmp/served")"
SH
chmod +x bin/nbdkit

echo "$tmp/www/disk.vmdk" >served
rm -f out/*
PATH=$tmp/bin:$PATH "$machinecheck" password-file=password copy=out \
  ssh://me@host/images/disk.vmdk >ssh
matches argv "ssh host=host path=/images/disk\\.vmdk user=me password=\\+$tmp/password\$"
same disk.raw out/disk.vmdk

# VMware's library shows the disk, whatever is in it.
echo "$tmp/disk.raw" >served
rm -f out/* argv
PATH=$tmp/bin:$PATH "$machinecheck" password-file=password copy=out \
  'vddk://me@esx/moref=vm-1?file=%5Bs%5D%20vm/vm.vmdk' >vddk
matches argv 'vddk server=esx vm=moref=vm-1 file=\[s\] vm/vm\.vmdk user=me'
matches vddk '^disk: vm\.vmdk unknown 12582912 .* format=raw$'
same disk.raw out/vm.vmdk
! grep -r secret argv ssh vddk || fail 'a password was said'

if ! nbdkit vddk --version >/dev/null 2>&1; then
  refused err "$machinecheck" 'vddk://esx/moref=vm-1?file=x'
  matches err 'unsupported: .*nbdkit-vddk-plugin.*proprietary'
fi
nothing_is_left
