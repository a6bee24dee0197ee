# shellcheck shell=bash disable=SC2154  # variables of read
# SPDX-License-Identifier: LGPL-2.1-or-later
# The ways to read a disk that are measured, and the programs that serve it.
# Sourced by read.
#
#   $bench   this folder
#   $client  nbd-read
#   $sink    what a mirror writes to, a plugin of nbdkit

uri="nbd+unix:///?socket=$tmp/sock"

#--- Servers: of an image of some kind, each with "exec", to run in background

# KiB that the server had at most until now.
peak () { awk '$1 == "VmHWM:" { print $2 }' "/proc/$server/status"; }

serve_rawview ()
{
  exec nbdkit -f -r -U "$tmp/sock" rawview "$(path_of "$1")" \
    format="$(format_of "$1")"
}

serve_qemu ()
{
  exec qemu-nbd -r -t -e 16 -f "$(format_of "$1")" -k "$tmp/sock" \
    "$(path_of "$1")"
}

# The raw disk, which needs no format.
serve_file ()
{
  exec nbdkit -f -r -U "$tmp/sock" file "$(path_of "$(raw_of "$1")")"
}

mount_rawview ()
{
  exec rawviewfs -f --format="$(format_of "$1")" "$(path_of "$1")" "$tmp/disk"
}

mount_qemu ()
{
  local file disk

  file="driver=file,node-name=file,read-only=on,filename=$(path_of "$1")"
  disk="driver=$(format_of "$1"),node-name=disk,read-only=on,file=file"
  exec qemu-storage-daemon --blockdev "$file" --blockdev "$disk" \
    --export "fuse,id=fuse,node-name=disk,mountpoint=$tmp/disk,writable=off"
}


#--- Ways to measure: WHO KIND ARG…, printing "SECONDS KIB-OF-WHO BUSY-CORES"

# What a disk has, and the same from the server.  Of the largest disk only the
# first MiB.
raw_bytes () # KIND
{
  if [ "$1" = big ]; then
    head -c 1M "$(path_of raw)"
  else
    cat "$(path_of "$(raw_of "$1")")"
  fi
}

served_bytes () # KIND
{
  if [ "$1" = big ]; then
    qemu-img dd -f raw -O raw bs=1M count=1 if="$uri" of="$tmp/out"
    cat "$tmp/out"
  else
    nbdcopy "$uri" -
  fi
}

# Compares what it gives with the raw disk; once for each WHO, KIND and way, in
# the first of the runs.
verified=' '
same () # NAME KIND COMMAND…: its output is compared
{
  local name=$1 kind=$2

  shift 2
  case "$verified" in *" $name "*) return 0 ;; esac
  "$@" | cmp - <(raw_bytes "$kind") >&2 || {
    cat "$tmp/log" >&2
    die "$name: the bytes are wrong"
  }
  verified+="$name "
}

# Seconds that all cores have worked so far.
busy ()
{
  awk -v hz="$(getconf CLK_TCK)" '$1 == "cpu" {
    print ($2 + $3 + $4 + $7 + $8) / hz }' /proc/stat
}

# result COMMAND…: runs it while the server runs.
result ()
{
  local seconds before

  before=$(busy)
  read -r seconds _ < <("$@" 2>>"$tmp/log") || {
    cat "$tmp/log" >&2
    die "this failed: $*"
  }
  echo "$seconds $(peak)" "$(awk -v s="$seconds" -v a="$before" \
    -v b="$(busy)" 'BEGIN { print (s > 0 ? (b - a) / s : 0) }')"
}

over_nbd () # WHO KIND COMMAND…
{
  rm -f "$tmp/sock"
  "serve_$1" "$2" 2>"$tmp/log" &
  server=$!
  wait_for test -S "$tmp/sock"
  result "${@:3}"
  same "nbd-$1-$2" "$2" served_bytes "$2"
  stop "$server"
  server=
}

# Whole disk, as fast as possible.
nbdcopy_null () { over_nbd "$1" "$2" "$bench/measure" nbdcopy "$uri" null:; }

# One connection.
reads () # WHO KIND PATTERN LEN DEPTH COUNT SPAN
{
  over_nbd "$1" "$2" "$client" "$uri" "${@:3}"
}

over_fuse () # WHO KIND COMMAND…
{
  : >"$tmp/disk"
  "mount_$1" "$2" >"$tmp/log" 2>&1 &
  server=$!
  wait_for test -s "$tmp/disk"
  result "${@:3}"
  same "fuse-$1-$2" "$2" cat "$tmp/disk"
  stop "$server"
  server=
}

dd_null () # WHO KIND [FLAG]
{
  over_fuse "$1" "$2" "$bench/measure" dd if="$tmp/disk" of=/dev/null bs=1M \
    status=none "${@:3}"
}

# fio's own time, without that of its start.
fio_seconds () # COUNT SPAN
{
  fio --name=read --filename="$tmp/disk" --readonly --rw=randread --bs=4k \
    --size="$2" --norandommap --randrepeat=1 --numjobs=4 --thread \
    --number_ios=$(( $1 / 4 )) --ioengine=psync --group_reporting \
    --output-format=terse --terse-version=3 |
    awk -F ';' '{ print $9 / 1000 }'
}

fio_random () { over_fuse "$1" "$2" fio_seconds "$3" "$4"; }

copy_rawview () # IMAGE FORMAT
{
  "$bench/measure" rawview copy --progress=none --format="$2" "$1" "$tmp/out"
}

copy_qemu ()
{
  "$bench/measure" qemu-img convert -m 16 -W -f "$2" -O raw "$1" "$tmp/out"
}

to_file () # WHO KIND
{
  rm -f "$tmp/out"
  sync
  "copy_$1" "$(path_of "$2")" "$(format_of "$2")"
  same "file-$1-$2" "$2" cat "$tmp/out"
  rm -f "$tmp/out"
}

# A target that keeps the bytes, but costs little.
mirror () # WHO KIND
{
  local sink_uri="nbd+unix:///?socket=$tmp/sink"

  rm -f "$tmp/sink"
  nbdkit -f -U "$tmp/sink" "$sink" "$(stat -c %s "$(path_of raw)")" &
  helpers=($!)
  wait_for test -S "$tmp/sink"
  over_nbd "$1" "$2" "$bench/mirror" "$tmp/sock" "$tmp/sink"
  [ "$sink" = null ] || same "mirror-$1-$2" "$2" nbdcopy "$sink_uri" -
  stop "${helpers[0]}"
  helpers=()
}

# From the start of the server to the first bytes: many times, to see more than
# the noise.  As installed: without the build folder's wrapper and paths.
first_byte () # WHO KIND
{
  local path i

  over_nbd "$1" "$2" echo 0 >/dev/null
  path=$(path_of "$2")
  case "$1" in
    rawview)
      set -- "$(PATH=${PATH#*/nbdkit-plugin/bin:} command -v nbdkit)" -r \
        "$RAWVIEW_BUILDDIR/nbdkit-plugin/.libs/nbdkit-rawview-plugin.so" \
        "$path" format="$(format_of "$2")" ;;
    qemu) set -- "$(command -v qemu-nbd)" -r -f "$(format_of "$2")" "$path" ;;
  esac
  (
    unset LD_LIBRARY_PATH
    for (( i = 0; i < 40; i++ )); do
      "$client" - seq 4096 1 1 1048576 "$@"
    done
  ) | awk '{ s += $1; if ($3 > kib) kib = $3 } END { print s / 40, kib, "-" }'
}

# The container is behind a slow network: rawview reads it there; the peer
# fetches all of it first.
start_network () # KIND
{
  local image

  image=$(basename "$(path_of "$1")")
  rm -f "$tmp/port" "$tmp/sock"
  "$bench/range-server" "$images" "$tmp/port" 2>"$tmp/log" &
  helpers=($!)
  wait_for test -e "$tmp/port"
  no_proxy=127.0.0.1 nbdkit -f -r -U "$tmp/sock" --filter=delay curl \
    "http://127.0.0.1:$(cat "$tmp/port")/$image" delay-read=20ms \
    2>"$tmp/log" &
  helpers+=($!)
  wait_for test -S "$tmp/sock"
}

remote_rawview () { copy_rawview "$uri" "$1"; }

remote_fetch () # FORMAT
{
  "$bench/measure" nbdcopy "$uri" "$tmp/fetched"
  copy_rawview "$tmp/fetched" "$1"
}

remote () # WHO KIND
{
  start_network "$2"
  rm -f "$tmp/out" "$tmp/fetched"
  sync
  "remote_$1" "$(format_of "$2")" |
    awk '{ s += $1; busy += $1 * $3; if ($2 > kib) kib = $2 }
      END { print s, kib, busy / s }'
  same "remote-$1-$2" "$2" cat "$tmp/out"
  rm -f "$tmp/out" "$tmp/fetched"
  stop "${helpers[1]}"
  stop "${helpers[0]}"
  helpers=()
}
