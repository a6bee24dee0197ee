# shellcheck shell=bash disable=SC2154  # variables of read
# SPDX-License-Identifier: LGPL-2.1-or-later
# The images that are read: a filesystem with what is in a real one, in several
# formats.  Sourced by read.
#
#   $images  folder for them
#   $size    MiB of the disk; small_size: of that for a slow network
#   $tree    where the filesystem's content is from

# Four fifths of the disk; the rest stays free, as on most disks.  The choice
# looks random, but is always the same for the same tree.
choose_files () # MIB
{
  find "$tree" -xdev -type f ! -name $'*\n*' -printf '%s\t%P\n' |
    LC_ALL=C sort -t $'\t' -k 2 -R --random-source=/dev/zero |
    awk -F '\t' -v room=$(( $1 * (1 << 20) * 4 / 5 )) '{
      folder = $2
      sub("/[^/]*$", "", folder)
      need = int(($1 + 4095) / 4096) * 4096 + 512
      if (!(folder in made))
        need += 4096 + 512
      if (need <= room) {
        made[folder]
        room -= need
        print $2
      }
    }'
}

make_raw () # FILE MIB
{
  local content=$images/content inodes id=7c6bb6d1-6a4e-4d0c-9c5b-0d2f6ee2d0a1

  rm -rf "$content"
  mkdir "$content"
  choose_files "$2" >"$images/files"
  tar -C "$tree" -c --verbatim-files-from -T "$images/files" |
    tar -C "$content" -x
  inodes=$(find "$content" | wc -l)
  E2FSPROGS_FAKE_TIME=1000000000 mke2fs -q -F -t ext4 -m 0 -U $id \
    -E hash_seed=$id -N $(( inodes + 1000 )) -d "$content" "$1" \
    "${2}M" >/dev/null ||
    die "mke2fs fails; is $tree readable?"
  rm -rf "$content" "$images/files"
}

# A disk whose tables are all there, and nearly nothing else.
make_big () # FILE
{
  qemu-img create -q -f qcow2 -o preallocation=metadata "$1" 1T
  qemu-io -f qcow2 -c "write -q -s $(path_of raw) 0 1M" "$1"
}

suffix_of () # KIND
{
  case "$1" in
    raw | *-raw) echo raw ;;
    zlib | zstd | plain | big | *-zlib) echo qcow2 ;;
    stream | sparse | *-stream) echo vmdk ;;
    *) die "no such kind of image: $1" ;;
  esac
}

# What format it is, for all programs: the suffix says it.
format_of () { suffix_of "$1"; }

# The kind with the same bytes, raw.
raw_of () # KIND
{
  case "$1" in
    small-*) echo small-raw ;;
    *) echo raw ;;
  esac
}

convert () # KIND FILE
{
  local raw

  raw=$(path_of "$(raw_of "$1")")
  case "$1" in
    *zlib) set -- "$2" -c -O qcow2 ;;
    zstd) set -- "$2" -c -O qcow2 -o compression_type=zstd ;;
    plain) set -- "$2" -O qcow2 ;;
    *stream) set -- "$2" -O vmdk -o subformat=streamOptimized ;;
    sparse) set -- "$2" -O vmdk -o subformat=monolithicSparse ;;
  esac
  qemu-img convert -m 16 -f raw "${@:2}" "$raw" "$1"
}

path_of () # KIND
{
  case "$1" in
    small-*) echo "$images/$small_size-$1.$(suffix_of "$1")" ;;
    *) echo "$images/$size-$1.$(suffix_of "$1")" ;;
  esac
}

# Makes it if it is not there; half an image never has its name.
need_image () # KIND
{
  local path

  path=$(path_of "$1")
  [ ! -e "$path" ] || return 0
  case "$1" in
    raw) make_raw "$path.part" "$size" ;;
    small-raw) make_raw "$path.part" "$small_size" ;;
    big) need_image raw
         make_big "$path.part" ;;
    *) need_image "$(raw_of "$1")"
       convert "$1" "$path.part" ;;
  esac
  mv "$path.part" "$path"
}
