# SPDX-License-Identifier: LGPL-2.1-or-later
# bash completion for rawview(1) and rawviewfs(1).  A test compares the options
# with those that --help shows.

# Those of the library: every command takes them.
_rawview_image_options='
  --allow-devices --allow-truncated --cache --check --connections --data-file
  --disk --fd --format --locking --max-size --overlay --overlay-dir --parent
  --parent-format --references --rescue --sandbox --snapshot --workers'

# What may follow an option: prints the words, or fails where it is a file.
_rawview_values ()
{
  case $1 in
    --format) echo auto qcow2 vmdk raw ;;
    --parent-format) echo qcow2 vmdk raw ;;
    --allow-devices | --allow-truncated | --rescue) echo yes no ;;
    --allocation) echo sparse preallocated ;;
    --check) echo lazy full ;;
    --conversion) echo format virtio format,virtio none ;;
    --locking | --sandbox) echo auto on off ;;
    --output) echo json human ;;
    --progress) echo bar json none ;;
    --root) echo single first ;;
    --tls) echo off on require ;;
    --references) echo same-directory none; return 1 ;;
    --bridge | --cache | --connect | --connections | --disk | --fd | --filter | --ipaddr | -i | \
      --max-size | --name | --nbdkit | --network | --port | -p | --run | \
      --selinux-label | --snapshot | --sparse | -S | --threads | -t | \
      --tools-max-age | --tools-url | --user | --v2v | --workers) ;;
    *) return 1 ;;
  esac
}

# Does the option take its value from the next word?
_rawview_takes_value ()
{
  case $1 in
    --allocation | --allow-devices | --allow-truncated | --bridge | --cache | \
      --connect | --connections | --conversion | --data-file | \
      --disk | --fd | --filter | --format | --ipaddr | --journal | \
      --locking | --log | --luks-keys-vault | --mapfile | --max-size | \
      --name | --nbdkit | --network | --output | --output-xml | --overlay | \
      --overlay-dir | --parent | --parent-format | --password-file | \
      --pid-file | --port | --references | --root | --run | --sandbox | \
      --selinux-label | --snapshot | --socket | --to | --user | \
      --work-dir | \
      --sparse | --threads | --tls | --tls-certificates | --tls-psk | \
      --tools-ca | --tools-cache | --tools-max-age | --tools-sha256 | \
      --tools-url | --v2v | --virt-tools | --virtio-win | --workers) ;;
    -[StUPio]) ;;
    -p) [ "$2" = serve ] ;;
    --check) [ "$2" != inject ] ;;
    --progress) [ "$2" = inject ] ;;
    --rescue) [ "$2" != copy ] ;;
    *) return 1 ;;
  esac
}

_rawview_options ()
{
  case $1 in
    info) echo --json --backing-chain --output ;;
    inspect) echo --full --json --output ;;
    map | check) echo --json ;;
    copy)
      echo --destination-is-zero --flush --force --mapfile --progress \
        --sparse --threads
      ;;
    import)
      echo --allocation --bridge --connect --conversion --dry-run --force \
        --json --log --luks-keys-vault --name --network --no-guest-agent \
        --no-install-drivers --output-xml --password-file --progress \
        --root --threads --to --tools-ca --tools-cache --tools-max-age \
        --tools-sha256 --tools-url --user --v2v --virt-tools --virtio-win \
        --work-dir
      ;;
    serve)
      echo --daemon --filter --ipaddr --libvirt-xml --name --nbdkit \
        --pid-file --port --read-only --run --rw --selinux-label --socket \
        --threads --tls --tls-certificates --tls-psk --tls-verify-peer \
        --verbose
      ;;
    inject)
      echo --commit --journal --json --log --luks-keys-vault \
        --no-guest-agent --no-install-drivers --password-file --progress \
        --recover --root --tools-ca --tools-cache --tools-max-age \
        --tools-sha256 --tools-url --v2v --virt-tools --virtio-win
      ;;
    mount)
      echo --debug --foreground --pid-file --rw --single-threaded --version
      ;;
    *) return ;;
  esac
  echo --help "$_rawview_image_options"
}

_rawview_files ()
{
  compopt -o filenames 2> /dev/null
  mapfile -t -O "${#COMPREPLY[@]}" COMPREPLY < <(compgen -f -- "$1")
}

_rawview_words ()
{
  mapfile -t COMPREPLY < <(compgen -W "$1" -- "$2")
}

_rawview_arguments ()
{
  local command=$1 cur=$2 prev=$3 words

  # readline splits --name=value into three words.
  if [ "$cur" = = ]; then
    cur=
  elif [ "$prev" = = ]; then
    prev=${COMP_WORDS[COMP_CWORD - 2]}
  elif ! _rawview_takes_value "$prev" "$command"; then
    prev=
  fi
  if [ "$prev" ]; then
    words=$(_rawview_values "$prev")
    local is_file=$?
    _rawview_words "$words" "$cur"
    [ $is_file -eq 0 ] || _rawview_files "$cur"
  elif [[ $cur == -* ]]; then
    _rawview_words "$(_rawview_options "$command")" "$cur"
  else
    _rawview_files "$cur"
  fi
}

_rawview ()
{
  local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]}
  local commands='info map check copy serve mount inspect inject import'

  COMPREPLY=()
  if [ "$COMP_CWORD" -eq 1 ]; then
    _rawview_words "$commands help --features --help --version" "$cur"
  elif [ "${COMP_WORDS[1]}" = help ]; then
    _rawview_words "$commands" "$cur"
  else
    _rawview_arguments "${COMP_WORDS[1]}" "$cur" "$prev"
  fi
}

_rawviewfs ()
{
  COMPREPLY=()
  _rawview_arguments mount "${COMP_WORDS[COMP_CWORD]}" \
    "${COMP_WORDS[COMP_CWORD - 1]}"
}

complete -F _rawview rawview
complete -F _rawviewfs rawviewfs
