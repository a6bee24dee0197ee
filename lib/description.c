/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What describes a machine beside or around its disks.  The library does not
 * read descriptions; it gets their text out of archives, and judges the names
 * in them as it judges those in images.
 */

#include <config.h>

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "format/ova.h"
#include "image.h"
#include "policy.h"
#include "probe.h"
#include "util/error.h"
#include "util/text.h"

/* Those of machines with many disks and licence texts have some 100 KiB. */
#define MAX_OVF ((size_t) 4 << 20)

/*--- In an archive ------------------------------------------------------*/

static int
read_member (struct rv_io *io, const struct rv_ova_member *m, char **text,
             size_t *len, rawview_error *err)
{
  CLEANUP_FREE char *buf = NULL;

  if (m->len > MAX_OVF)
    return rv_error_limit (err,
                           "%s: its description \"%s\" has %ju bytes, more "
                           "than %zu",
                           io->name, m->name, (uintmax_t) m->len, MAX_OVF);
  buf = malloc (m->len + 1);
  if (buf == NULL)
    return rv_error_nomem (err);
  if (rv_io_pread (io, buf, m->len, m->off, err) == -1)
    return -1;
  buf[m->len] = '\0';
  *len = m->len;
  *text = buf;
  buf = NULL;
  return 0;
}

static int
read_from_ova (struct rv_io *io, char **text, size_t *len, rawview_error *err)
{
  struct rv_ova_member ovf = { 0 };
  int r = rv_ova_description (io, &ovf, err);

  if (r == 1)
    r = read_member (io, &ovf, text, len, err);
  free (ovf.name);
  return r;
}

static int
read_ovf (const char *source, const rawview_options *opts, char **text,
          size_t *len, rawview_error *err)
{
  struct rv_source s = { .name = source, .dirfd = AT_FDCWD, .look = true };
  struct rv_warnings ignored = { 0 };
  struct rv_probe_result probe;
  CLEANUP_IO struct rv_io *io = NULL;
  int r = rv_source_open (&s, opts, &ignored, &io, err);

  rv_warnings_free (&ignored);
  if (r == -1 || rv_probe (io, &probe, err) == -1)
    return -1;
  if (!probe.ova || probe.second != NULL || opts->format != NULL)
    return 0;
  return read_from_ova (io, text, len, err);
}

int
rawview_read_ovf (const char *source, const rawview_options *opts, char **text,
                  size_t *len, rawview_error *err)
{
  rawview_options *defaults = opts ? NULL : rawview_options_new ();
  int r;

  *text = NULL;
  *len = 0;
  if (opts == NULL && defaults == NULL)
    return rv_error_nomem (err);
  r = read_ovf (source, opts ? opts : defaults, text, len, err);
  rawview_options_free (defaults);
  return r;
}

/*--- Beside it ----------------------------------------------------------*/

/* Is it a file that an image may be read from?  Opened as it would be, and
 * closed again.
 */
static int
try_permitted (const char *from, const struct rv_permit *permit,
               const rawview_options *opts, rawview_error *err)
{
  const struct rv_io_file_options fo = { .allow_devices = opts->allow_devices };
  struct rv_io *io;
  rawview_error why;

  if (rv_io_file_openat (permit->dirfd, permit->name, true, permit->path, &fo,
                         &io, &why) == -1)
    return rv_error_set (err, why.kind, why.errnum, "%s: its disk: %s", from,
                         why.msg);
  rv_io_unref (io);
  return 0;
}

static int
judge (const char *from, const char *name, const rawview_options *opts,
       struct rv_permit *permit, rawview_error *err)
{
  const struct rv_policy policy = { .opts = opts };
  struct rv_ref ref = { .role = RV_REF_DISK,
                        .foreign_path = rv_text_is_foreign_path (name) };
  struct rv_base base;
  int r = -1;

  if (rv_base_of (AT_FDCWD, from, &base, err) == -1)
    return -1;
  ref.name = strdup (name);
  if (ref.name == NULL)
    rv_error_nomem (err);
  else
    r = rv_policy_judge (&policy, from, 0, &base, &ref, permit, err);
  free (ref.name);
  rv_base_release (&base);
  return r;
}

int
rawview_find_named_disk (const char *from, const char *name,
                         const rawview_options *opts, char **path,
                         rawview_error *err)
{
  rawview_options *defaults = opts ? NULL : rawview_options_new ();
  struct rv_permit permit;
  int r;

  if (opts == NULL)
    opts = defaults;
  if (opts == NULL)
    return rv_error_nomem (err);
  r = judge (from, name, opts, &permit, err);
  if (r == 0) {
    r = try_permitted (from, &permit, opts, err);
    if (r == 0) {
      *path = permit.path;
      permit.path = NULL;
    }
    rv_permit_release (&permit);
  }
  rawview_options_free (defaults);
  return r;
}
