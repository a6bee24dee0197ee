/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <config.h>

#include <errno.h>
#include <fcntl.h>

#include "io/lock.h"
#include "util/error.h"

#define USED_BASE     100
#define UNSHARED_BASE 200
#define NR_PERMS      4

static const char *const doing[NR_PERMS] = {
  "reading",
  "writing",
  "writing",
  "resizing",
};

static struct flock
one_byte (short type, off_t byte)
{
  /* l_pid must be 0 for locks of open file descriptions. */
  return (struct flock){
    .l_type = type, .l_whence = SEEK_SET, .l_start = byte, .l_len = 1
  };
}

/* Does errno say that there are no such locks here? */
static bool
is_unsupported (int errnum)
{
  return errnum == EINVAL || errnum == EOPNOTSUPP || errnum == ENOLCK ||
         errnum == ENOSYS;
}

/* Sets all bytes of mask to type.  Returns errno, 0 if it worked. */
static int
set_bytes (int fd, short type, off_t base, unsigned mask)
{
  for (int p = 0; p < NR_PERMS; p++) {
    struct flock fl = one_byte (type, base + p);

    if ((mask & 1u << p) && fcntl (fd, F_OFD_SETLK, &fl) == -1)
      return errno;
  }
  return 0;
}

/* Is any byte of mask locked by somebody else?  Returns errno, 0 if that could
 * be found out, and the permission in *found, -1 if none.
 */
static int
find_holder (int fd, off_t base, unsigned mask, int *found)
{
  *found = -1;
  for (int p = 0; p < NR_PERMS && *found == -1; p++) {
    struct flock fl = one_byte (F_WRLCK, base + p);

    if (!(mask & 1u << p))
      continue;
    if (fcntl (fd, F_OFD_GETLK, &fl) == -1)
      return errno;
    if (fl.l_type != F_UNLCK)
      *found = p;
  }
  return 0;
}

static int
refuse (const char *show, const char *why, const char *what, rawview_error *err)
{
  return rv_error_set (err, RAWVIEW_ERROR_REFUSED, EBUSY,
                       "%s is in use: another process %s%s; stop it, or use "
                       "locking=off if you know that it does not change the "
                       "image",
                       show, why, what);
}

/* Sets the bytes of fresh and then looks for what contradicts perms. */
static int
take (int fd, const char *show, struct rv_lock_perms fresh,
      struct rv_lock_perms perms, rawview_error *err)
{
  int r, p;

  r = set_bytes (fd, F_RDLCK, USED_BASE, fresh.used);
  if (r == 0)
    r = set_bytes (fd, F_RDLCK, UNSHARED_BASE, fresh.unshared);
  if (r == EAGAIN || r == EACCES)
    return refuse (show, "has locked it", "", err);
  if (r == 0)
    r = find_holder (fd, USED_BASE, perms.unshared, &p);
  if (r == 0 && p >= 0)
    return refuse (show, "has it open for ", doing[p], err);
  if (r == 0)
    r = find_holder (fd, UNSHARED_BASE, perms.used, &p);
  if (r == 0 && p >= 0)
    return refuse (show, "has it open and shares it with nobody for ", doing[p],
                   err);
  return r == 0 ? 0 : rv_error_errno (err, r, "cannot lock %s", show);
}

static void
let_go (int fd, struct rv_lock_perms perms)
{
  set_bytes (fd, F_UNLCK, USED_BASE, perms.used);
  set_bytes (fd, F_UNLCK, UNSHARED_BASE, perms.unshared);
}

int
rv_lock_take (int fd, const char *show, struct rv_lock_perms perms,
              bool *unsupported, rawview_error *err)
{
  rawview_error e;

  *unsupported = false;
  if (take (fd, show, perms, perms, &e) == 0)
    return 0;
  let_go (fd, perms);
  if (e.kind == RAWVIEW_ERROR_IO && is_unsupported (e.errnum)) {
    *unsupported = true;
    return 0;
  }
  if (err != NULL)
    *err = e;
  return -1;
}

/* What a has and b has not. */
static struct rv_lock_perms
minus (struct rv_lock_perms a, struct rv_lock_perms b)
{
  return (struct rv_lock_perms){ .used = a.used & ~b.used,
                                 .unshared = a.unshared & ~b.unshared };
}

int
rv_lock_change (int fd, const char *show, struct rv_lock_perms old,
                struct rv_lock_perms perms, rawview_error *err)
{
  struct rv_lock_perms fresh = minus (perms, old);

  if ((fresh.used | fresh.unshared) != 0 &&
      take (fd, show, fresh, perms, err) == -1) {
    let_go (fd, fresh);
    return -1;
  }
  let_go (fd, minus (old, perms));
  return 0;
}
