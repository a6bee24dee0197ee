# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash
#
# Sourced by the end-to-end tests that start a guest, after functions.sh.

# boot QEMU-ARG…: starts the guest; its console is the file $console, what is
# written to descriptor 7 is typed there.
boot ()
{
  console=$tmp/console.log
  : >"$console"
  rm -f "$tmp/keys"
  mkfifo "$tmp/keys"
  qemu-system-x86_64 -machine pc,accel=tcg -cpu max -m 512 -smp 1 \
    -nodefaults -display none -no-reboot -device virtio-rng-pci \
    -chardev stdio,id=console -serial chardev:console "$@" \
    <"$tmp/keys" >"$console" 2>"$tmp/qemu.log" &
  qemu_pid=$!
  cleanup_fn stop_process "$qemu_pid"
  exec 7>"$tmp/keys"
}

# says SECONDS TEXT: waits for it on the console.
says ()
{
  wait_until "$1" grep -aqF "$2" "$console" ||
    { tail -n 40 "$console" >&2; fail "the guest does not say \"$2\""; }
}

# types LINE
types () { printf '%s\n' "$1" >&7; }

# Waits until the guest has powered off, or reset itself.
guest_ends () # SECONDS
{
  wait_until "$1" process_is_gone "$qemu_pid" ||
    { tail -n 40 "$console" >&2; fail 'the guest does not end'; }
  exec 7>&-
}

# boots_from_virtio QEMU-ARG…: the guest comes up on these virtio disks.
boots_from_virtio ()
{
  local start=$SECONDS

  boot "$@"
  says 900 RAWVIEW-GUEST-UP
  exec 7>&-
  stop_process "$qemu_pid"
  echo "ok: it boots from virtio ($((SECONDS - start)) s)"
}

# The -drive option for a virtio disk on which the guest's writes get lost.
virtio_disk () # FORMAT FILE
{
  echo "if=virtio,snapshot=on,format=$1,file=$2"
}
