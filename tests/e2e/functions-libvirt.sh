# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash
#
# Sourced by the end-to-end tests with a libvirt of their own, which must be in
# a mount namespace of their own.  Before functions.sh:
#
#   [ -n "${RAWVIEW_E2E_ALONE-}" ] ||
#     RAWVIEW_E2E_ALONE=1 exec unshare --mount "$BASH" "$0" "$@"

# What the daemon has started outlives it if it is killed.
end_domains ()
{
  local pid_file

  for pid_file in "$tmp"/libvirt/run/libvirt/qemu/*.pid; do
    [ ! -e "$pid_file" ] || stop_process "$(cat "$pid_file")"
  done
}

# start_libvirt: a system's daemon that knows nothing of the machine's, and that
# the machine knows nothing of.
start_libvirt ()
{
  local dir pid

  [ -n "${RAWVIEW_E2E_ALONE-}" ] || fail 'this is the namespace of all'
  mount --make-rprivate /
  for dir in /run/libvirt /var/lib/libvirt /etc/libvirt /var/cache/libvirt \
               /var/log/libvirt; do
    mkdir -p "$dir" "$tmp/libvirt$dir"
    mount --bind "$tmp/libvirt$dir" "$dir"
  done
  # Who may open the disks is not what is tested here.
  printf '%s\n' 'user = "root"' 'group = "root"' 'security_driver = "none"' \
    'stdio_handler = "file"' 'cgroup_controllers = [ ]' 'namespaces = [ ]' \
    >/etc/libvirt/qemu.conf
  printf '%s\n' 'auth_unix_rw = "none"' 'auth_unix_ro = "none"' \
    >/etc/libvirt/libvirtd.conf

  cleanup_fn end_domains
  libvirtd -f /etc/libvirt/libvirtd.conf -p "$tmp/libvirtd.pid" \
    >"$tmp/libvirtd.log" 2>&1 &
  pid=$!
  cleanup_fn stop_process "$pid"
  wait_until 60 virsh -q -c qemu:///system list >/dev/null 2>&1 ||
    { cat "$tmp/libvirtd.log" >&2; fail 'libvirtd does not start'; }
}

virsh () { command virsh -q -c qemu:///system "$@"; }
