/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* May a VMDK be written in place?  Everything is prepared aside and takes
 * effect at the end, since others are reading meanwhile.
 */

#include <config.h>

#include <errno.h>

#include "format/vmdk-write.h"
#include "util/error.h"

#define MAX_DESCRIPTOR_VERSION 3u

/*--- The descriptor -----------------------------------------------------*/

static int
check_io (const struct rv_io *io, rawview_error *err)
{
  if (!io->writable)
    return rv_io_refuse_writing (io, err);
  return 0;
}

static int
find_cid (struct rv_vmdk *v, struct rv_vmdk_writing *w, rawview_error *err)
{
  const struct rv_vmdk_layout *l = &v->extents[0].grains.layout;
  bool embedded = v->extents[0].io == v->base.io;
  uint64_t off = embedded ? l->descriptor_off : 0;
  uint64_t len = embedded ? l->descriptor_len : v->base.io->size;
  CLEANUP_FREE uint8_t *text = malloc (len + 1);

  if (text == NULL)
    return rv_error_nomem (err);
  if (rv_io_pread (v->base.io, text, len, off, err) == -1)
    return -1;
  rv_vmdk_cid_find ((struct rv_view){ text, len }, &w->cid, &w->long_cid,
                    w->old_digits);
  if (w->cid.len == 0)
    return rv_error_unsupported (
        err,
        "%s: the descriptor has no CID, which must change when the disk is "
        "written so that its snapshots notice",
        v->base.io->name);
  w->cid.off += off;
  w->long_cid.off += off;
  return 0;
}

static int
check_descriptor (const struct rv_vmdk *v, rawview_error *err)
{
  const struct rv_vmdk_descriptor *d = &v->descriptor;

  if (d->version > MAX_DESCRIPTOR_VERSION)
    return rv_error_unsupported (
        err, "%s: descriptor version %u cannot be written, only up to %u",
        v->base.io->name, d->version, MAX_DESCRIPTOR_VERSION);
  if (d->change_track)
    return rv_error_unsupported (
        err,
        "%s: has changed block tracking in \"%s\", which would miss what is "
        "written here, and backups with it",
        v->base.io->name, d->change_track);
  return check_io (v->base.io, err);
}

/*--- Extents ------------------------------------------------------------*/

static int
check_flat (const struct rv_vmdk_extent *e, rawview_error *err)
{
  if (e->avail < e->len)
    return rv_error_corrupt (err,
                             "%s: the last %ju bytes of the extent are missing",
                             e->io->name, (uintmax_t) (e->len - e->avail));
  return 0;
}

static int
check_kind (const struct rv_vmdk_extent *e, rawview_error *err)
{
  const struct rv_vmdk_layout *l = &e->grains.layout;

  if (l->kind != RV_VMDK_HOSTED)
    return rv_error_unsupported (
        err, "%s: %s extents cannot be written in place", e->io->name,
        l->kind == RV_VMDK_COWD ? "ESX snapshot (COWD)" : "seSparse");
  if (l->compressed)
    return rv_error_unsupported (
        err,
        "%s: compressed (streamOptimized) extents cannot be written in place",
        e->io->name);
  if (l->unknown_flags)
    return rv_error_unsupported (
        err,
        "%s: the VMDK header has flags whose meaning for writers is "
        "unknown",
        e->io->name);
  if (!e->io->can_grow)
    return rv_error_unsupported (
        err, "%s: cannot grow, as sparse extents do when they are written",
        e->io->name);
  if (l->rgd_missing)
    return rv_error_corrupt (
        err, "%s: the redundant grain directory is outside the file",
        e->io->name);
  return 0;
}

static bool
share_bytes (const struct rv_vmdk_extent *e, const struct rv_vmdk_extent *f)
{
  return f->io && rv_io_same (e->io, f->io) &&
         (!rv_vmdk_extent_is_flat (e) || !rv_vmdk_extent_is_flat (f) ||
          rv_ranges_overlap (e->host_off, e->len, f->host_off, f->len));
}

/* Of two extents that are written the second finds the first; one that is not
 * written may come later.
 */
static int
check_sharing (const struct rv_vmdk *v, const struct rv_vmdk_extent *e,
               rawview_error *err)
{
  for (const struct rv_vmdk_extent *f = v->extents;
       f < v->extents + v->nr_extents; f++)
    if ((f < e || (f > e && !rv_vmdk_is_written (f))) && share_bytes (e, f))
      return rv_error_corrupt (
          err,
          "%s: the extents from byte %ju and from byte %ju of the disk on "
          "share bytes of the file",
          e->io->name, (uintmax_t) f->start, (uintmax_t) e->start);
  return 0;
}

static int
check_extent (const struct rv_vmdk *v, const struct rv_vmdk_extent *e,
              rawview_error *err)
{
  if (e->io == NULL)
    return rv_error_corrupt (err, "extent file \"%s\" is not open", e->name);
  if (check_io (e->io, err) == -1 || check_sharing (v, e, err) == -1)
    return -1;
  return rv_vmdk_extent_is_flat (e) ? check_flat (e, err) : check_kind (e, err);
}

/*--- The whole disk -----------------------------------------------------*/

static int
check_all (struct rv_vmdk *v, rawview_error *err)
{
  size_t written = 0;

  if (check_descriptor (v, err) == -1)
    return -1;
  for (size_t i = 0; i < v->nr_extents; i++)
    if (rv_vmdk_is_written (&v->extents[i])) {
      written++;
      if (check_extent (v, &v->extents[i], err) == -1)
        return -1;
    }
  if (written == 0)
    return rv_error_set (err, RAWVIEW_ERROR_REFUSED, EROFS,
                         "%s: the descriptor allows no extent to be written",
                         v->base.io->name);
  return 0;
}

/* growths: one for each extent, NULL where it is not sparse or not written. */
static int
prepare_all (struct rv_vmdk *v, struct rv_vmdk_growth **growths,
             rawview_error *err)
{
  for (size_t i = 0; i < v->nr_extents; i++)
    if (rv_vmdk_is_written (&v->extents[i]) &&
        !rv_vmdk_extent_is_flat (&v->extents[i]) &&
        rv_vmdk_growth_new (&v->extents[i].grains, &growths[i], err) == -1)
      return -1;
  return 0;
}

static int
prepare_writing (struct rv_vmdk *v, struct rv_vmdk_growth **growths,
                 rawview_error *err)
{
  CLEANUP_FREE struct rv_vmdk_writing *w = calloc (1, sizeof *w);

  if (w == NULL)
    return rv_error_nomem (err);
  w->has_parent = v->descriptor.parent_cid != RV_VMDK_NO_PARENT;
  if (find_cid (v, w, err) == -1 || prepare_all (v, growths, err) == -1)
    return -1;
  v->writing = STEAL (w);
  return 0;
}

int
rv_vmdk_enable_write (struct rv_format *format, rawview_error *err)
{
  struct rv_vmdk *v = rv_vmdk_of (format);
  CLEANUP_FREE struct rv_vmdk_growth **growths = NULL;
  int r;

  if (v->writing)
    return rv_error_set (err, RAWVIEW_ERROR_REFUSED, EROFS,
                         "%s: writing has ended; open the image again",
                         format->io->name);
  if (check_all (v, err) == -1)
    return -1;
  growths = calloc (v->nr_extents, sizeof (struct rv_vmdk_growth *));
  if (growths == NULL)
    return rv_error_nomem (err);
  r = prepare_writing (v, growths, err);
  for (size_t i = 0; i < v->nr_extents; i++)
    if (r == -1)
      rv_vmdk_growth_free (growths[i]);
    else
      atomic_store (&v->extents[i].grains.growth, growths[i]);
  return r;
}
