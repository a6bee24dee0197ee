/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Landlock, met by its system calls: libc has no names for them, and the
 * headers of a distribution are older than the kernels that it meets.
 *
 * Landlock judges when a file is opened.  What is open already, such as the
 * images, stays as it is.
 */

#include <config.h>

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "sandbox.h"
#include "util/cleanup.h"
#include "util/error.h"

/* The same on all architectures but alpha, which counts from 110 more. */
#ifndef SYS_landlock_create_ruleset
#define SYS_landlock_create_ruleset 444
#define SYS_landlock_add_rule       445
#define SYS_landlock_restrict_self  446
#endif

#define CREATE_RULESET_VERSION (1u << 0)
#define RULE_PATH_BENEATH      1

/* Bits of struct ruleset_attr.handled_fs, by the version they came with. */
#define FS_EXECUTE     (1ull << 0)
#define FS_WRITE_FILE  (1ull << 1)
#define FS_READ_FILE   (1ull << 2)
#define FS_READ_DIR    (1ull << 3)
#define FS_REMOVE_DIR  (1ull << 4)
#define FS_REMOVE_FILE (1ull << 5)
#define FS_MAKE_REG    (1ull << 8)
#define FS_MAKE_ALL    (0x7full << 6) /* devices, folders, links, sockets... */
#define FS_REFER       (1ull << 13)   /* 2 */
#define FS_TRUNCATE    (1ull << 14)   /* 3 */

#define NET_BIND_TCP    (1ull << 0) /* 4 */
#define NET_CONNECT_TCP (1ull << 1)

#define SCOPE_ABSTRACT_UNIX (1ull << 0) /* 6 */
#define SCOPE_SIGNAL        (1ull << 1)

struct ruleset_attr {
  uint64_t handled_fs;
  uint64_t handled_net; /* 4 */
  uint64_t scoped;      /* 6 */
};

struct path_beneath_attr {
  uint64_t allowed;
  int32_t parent_fd;
} __attribute__ ((packed));

int
rv_landlock_version (void)
{
  long r =
      syscall (SYS_landlock_create_ruleset, NULL, 0, CREATE_RULESET_VERSION);

  return r < 0 ? 0 : (int) r;
}

/* All that is forbidden unless a rule allows it.  sandbox=auto leaves reading
 * to others in the process, such as filters of nbdkit.
 */
static uint64_t
handled_fs (const struct rv_sandbox_rules *rules, int version)
{
  uint64_t fs =
      FS_EXECUTE | FS_WRITE_FILE | FS_REMOVE_DIR | FS_REMOVE_FILE | FS_MAKE_ALL;

  if (rules->strict)
    fs |= FS_READ_FILE | FS_READ_DIR;
  if (version >= 2)
    fs |= FS_REFER;
  if (version >= 3)
    fs |= FS_TRUNCATE;
  return fs;
}

static struct ruleset_attr
make_attr (const struct rv_sandbox_rules *rules, int version)
{
  struct ruleset_attr attr = { .handled_fs = handled_fs (rules, version) };

  if (version >= 4)
    attr.handled_net = NET_BIND_TCP | (rules->network ? 0 : NET_CONNECT_TCP);
  if (version >= 6)
    attr.scoped = SCOPE_SIGNAL | (rules->network ? 0 : SCOPE_ABSTRACT_UNIX);
  return attr;
}

/* Kernels refuse a struct that is longer than theirs unless the rest is 0. */
static size_t
attr_size (int version)
{
  return version >= 6   ? sizeof (struct ruleset_attr)
         : version >= 4 ? offsetof (struct ruleset_attr, scoped)
                        : offsetof (struct ruleset_attr, handled_net);
}

static uint64_t
allowed_fs (unsigned may)
{
  return (may & RV_MAY_READ ? FS_READ_FILE | FS_READ_DIR : 0) |
         (may & RV_MAY_WRITE ? FS_WRITE_FILE | FS_TRUNCATE : 0) |
         (may & RV_MAY_CREATE ? FS_MAKE_REG : 0) |
         (may & RV_MAY_REMOVE_FILE ? FS_REMOVE_FILE : 0) |
         (may & RV_MAY_REMOVE_DIR ? FS_REMOVE_DIR : 0);
}

/* A file can be given only what files can have. */
static uint64_t
possible_fs (int fd)
{
  struct stat st;

  return fstat (fd, &st) == 0 && !S_ISDIR (st.st_mode)
             ? FS_READ_FILE | FS_WRITE_FILE | FS_TRUNCATE
             : UINT64_MAX;
}

static int
add_rule (int ruleset, const struct rv_place *place, uint64_t handled,
          rawview_error *err)
{
  struct path_beneath_attr rule = {
    .allowed = allowed_fs (place->may) & possible_fs (place->fd) & handled,
    .parent_fd = place->fd,
  };

  if (rule.allowed == 0)
    return 0;
  if (syscall (SYS_landlock_add_rule, ruleset, RULE_PATH_BENEATH, &rule, 0) ==
      -1)
    return rv_error_errno (err, errno, "sandbox: Landlock takes no rule");
  return 0;
}

int
rv_landlock_enter (const struct rv_sandbox_rules *rules, rawview_error *err)
{
  int version = rv_landlock_version ();
  struct ruleset_attr attr = make_attr (rules, version);
  CLEANUP_CLOSE int ruleset = -1;

  if (version == 0)
    return rv_error_unsupported (err, "sandbox: this kernel has no Landlock");
  ruleset =
      syscall (SYS_landlock_create_ruleset, &attr, attr_size (version), 0);
  if (ruleset == -1)
    return rv_error_errno (err, errno, "sandbox: Landlock");
  for (size_t i = 0; i < rules->places.len; i++)
    if (add_rule (ruleset, &rules->places.ptr[i], attr.handled_fs, err) == -1)
      return -1;
  if (syscall (SYS_landlock_restrict_self, ruleset, 0) == -1)
    return rv_error_errno (err, errno, "sandbox: Landlock");
  return 0;
}
