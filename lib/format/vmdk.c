/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* VMDK: a disk that is made of extents.
 *
 * The container is either a descriptor, a text file that names the files of the
 * extents, or a hosted sparse extent that has its own descriptor inside.  In
 * the latter the only extent is the container itself, under whatever name it is
 * found now.
 */

#include <config.h>

#include "format/vmdk-cowd.h"
#include "format/vmdk-sesparse.h"
#include "format/vmdk-sparse.h"
#include "format/vmdk-write.h"
#include "util/error.h"

static bool
vmdk_probe (struct rv_view head)
{
  return rv_vmdk_header_probe (head) || rv_vmdk_cowd_probe (head) ||
         rv_vmdk_sesparse_probe (head) || rv_vmdk_descriptor_probe (head);
}

static void
vmdk_close (struct rv_format *format)
{
  struct rv_vmdk *v = rv_vmdk_of (format);

  for (size_t i = 0; i < v->nr_extents; i++)
    rv_vmdk_extent_release (&v->extents[i]);
  free (v->extents);
  free (v->ref_extents);
  free (v->writing);
  rv_vmdk_descriptor_release (&v->descriptor);
  rv_format_release (format);
  for (size_t i = 0; i < v->nr_fact_keys; i++)
    free (v->fact_keys[i]);
  free (v->fact_keys);
  free (v);
}

/*--- Open --------------------------------------------------------------*/

static int
vmdk_open (struct rv_io *io, const struct rv_format_params *params,
           struct rv_format **format, rawview_error *err)
{
  struct rv_vmdk *v = calloc (1, sizeof *v);

  if (v == NULL)
    return rv_error_nomem (err);
  rv_format_init (&v->base, &rv_format_vmdk, io, params);
  v->gd_budget = RV_MAX_L1_BYTES;
  if (rv_vmdk_open_container (v, params, err) == -1) {
    vmdk_close (&v->base);
    return -1;
  }
  *format = &v->base;
  return 0;
}

/*--- Attach and adopt ---------------------------------------------------*/

bool
rv_vmdk_extents_overlap (const struct rv_vmdk_extent *a,
                         const struct rv_vmdk_extent *b)
{
  return a != b && b->io && rv_vmdk_extent_is_flat (b) &&
         rv_ranges_overlap (a->host_off, a->len, b->host_off, b->len) &&
         rv_io_same (a->io, b->io);
}

/* Harmless for readers, but surely not what was meant. */
static void
warn_about_overlap (const struct rv_vmdk *v, const struct rv_vmdk_extent *e,
                    struct rv_warnings *w)
{
  if (!rv_vmdk_extent_is_flat (e))
    return;
  for (size_t i = 0; i < v->nr_extents; i++)
    if (rv_vmdk_extents_overlap (e, &v->extents[i])) {
      rv_warn (w,
               "%s: the extents from byte %ju and from byte %ju of the disk "
               "on are the same bytes of the file",
               e->io->name, (uintmax_t) v->extents[i].start,
               (uintmax_t) e->start);
      return;
    }
}

static int
vmdk_attach (struct rv_format *format, size_t ref, struct rv_io *io,
             const struct rv_format_params *params, rawview_error *err)
{
  struct rv_vmdk *v = rv_vmdk_of (format);
  struct rv_vmdk_extent *e = &v->extents[v->ref_extents[ref]];
  struct rv_vmdk_layout l = { 0 };

  if (io == NULL)
    return --v->nr_missing ? 0 : rv_vmdk_add_facts (v, err);
  if (rv_io_same (io, format->io))
    return rv_error_refused (
        err, "%s: the descriptor names itself as an extent", io->name);
  if (rv_vmdk_extent_read_layout (e->type, io, params->rescue, &l, err) == -1 ||
      rv_vmdk_extent_set_io (v, e, io, &l, params, err) == -1)
    return -1;
  warn_about_overlap (v, e, params->warnings);
  if (format->cluster_size == 0)
    format->cluster_size = l.grain;
  return --v->nr_missing ? 0 : rv_vmdk_add_facts (v, err);
}

static int
vmdk_adopt (struct rv_format *format, const struct rv_format *parent,
            const struct rv_format_params *params, rawview_error *err)
{
  uint32_t want = rv_vmdk_of (format)->descriptor.parent_cid;

  if (parent->ops != &rv_format_vmdk || !parent->has_content_id)
    return rv_error_corrupt (
        err, "%s: the parent %s is no VMDK with a CID, needed is %08x",
        format->io->name, parent->io->name, want);
  if (parent->content_id != want)
    return rv_error_corrupt (
        err,
        "%s: the parent %s has CID %08x, but parentCID is %08x: it is another "
        "disk or was changed after the snapshot",
        format->io->name, parent->io->name, parent->content_id, want);
  if (parent->size != format->size)
    return rv_error_corrupt (
        err, "%s: the disk has %ju bytes, its parent %s has %ju",
        format->io->name, (uintmax_t) format->size, parent->io->name,
        (uintmax_t) parent->size);
  return 0;
}

/*--- Map ----------------------------------------------------------------*/

struct rv_vmdk_extent *
rv_vmdk_find_extent (const struct rv_vmdk *v, uint64_t off)
{
  size_t lo = 0, hi = v->nr_extents;

  while (hi - lo > 1) {
    size_t mid = lo + (hi - lo) / 2;

    if (v->extents[mid].start <= off)
      lo = mid;
    else
      hi = mid;
  }
  return &v->extents[lo];
}

static int
vmdk_map (struct rv_format *format, uint64_t off, uint64_t len,
          struct rv_map *map, uint64_t *damaged, rawview_error *err)
{
  const struct rv_vmdk *v = rv_vmdk_of (format);
  const struct rv_vmdk_extent *e = rv_vmdk_find_extent (v, off);
  uint64_t within = off - e->start;

  len = rv_min_u64 (len, e->len - within);
  if (rv_vmdk_extent_map (v, e, within, len, map, damaged, err) == -1)
    return -1;
  if (map->kind == RV_MAP_COMPRESSED)
    map->unit_off += e->start;
  return 0;
}

static void
vmdk_tables_of (struct rv_format *format, uint64_t off, uint64_t len,
                int (*cb) (void *opaque, struct rv_io *io, uint64_t host_off,
                           size_t len),
                void *opaque)
{
  const struct rv_vmdk *v = rv_vmdk_of (format);
  const struct rv_vmdk_extent *e = rv_vmdk_find_extent (v, off);
  uint64_t end = off + len;

  for (; e < v->extents + v->nr_extents && e->start < end; e++) {
    uint64_t from = rv_max_u64 (off, e->start) - e->start;
    uint64_t to = rv_min_u64 (end - e->start, e->len);

    if (rv_vmdk_extent_tables_of (e, from, to - from, cb, opaque))
      return;
  }
}

const struct rv_format_ops rv_format_vmdk = {
  .name = "vmdk",
  .probe = vmdk_probe,
  .open = vmdk_open,
  .attach = vmdk_attach,
  .adopt = vmdk_adopt,
  .map = vmdk_map,
  .tables_of = vmdk_tables_of,
  .check = rv_vmdk_check,
  .write = &rv_vmdk_write_ops,
  .close = vmdk_close,
};
