/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One extent of a disk and the file behind it. */

#include <config.h>

#include <errno.h>

#include "format/vmdk-cowd.h"
#include "format/vmdk-sesparse.h"
#include "format/vmdk-stream.h"
#include "format/vmdk.h"
#include "util/error.h"

/*--- Headers ------------------------------------------------------------*/

/* Up to len first bytes; shorter if the file is. */
static int
read_head (struct rv_io *io, void *buf, size_t len, struct rv_view *head,
           rawview_error *err)
{
  *head = (struct rv_view){ buf, rv_min_u64 (len, io->size) };
  return head->len ? rv_io_pread (io, buf, head->len, 0, err) : 0;
}

/* Replaces the header by the one in the footer. */
static int
read_footer (struct rv_io *io, struct rv_vmdk_header *h, rawview_error *err)
{
  uint64_t want = rv_min_u64 (io->size, RV_VMDK_TAIL_MAX);
  uint64_t off = rv_align_down (io->size - want, RV_VMDK_SECTOR);
  size_t len = io->size - off;
  CLEANUP_FREE uint8_t *tail = malloc (len);

  if (tail == NULL)
    return rv_error_nomem (err);
  if (rv_io_pread (io, tail, len, off, err) == -1)
    return -1;
  return rv_vmdk_footer_parse ((struct rv_view){ tail, len }, h, io->name, h,
                               err);
}

/* Without its footer, a stream's directory is outside the file. */
static int
rescue_hosted (struct rv_io *io, struct rv_vmdk_header *h,
               struct rv_vmdk_layout *layout, rawview_error *err)
{
  if (h->gd_sector == RV_VMDK_GD_AT_END)
    read_footer (io, h, NULL);
  return rv_vmdk_header_rescue (h, io->size, io->name, layout, err);
}

static int
read_hosted (struct rv_io *io, bool rescue, struct rv_vmdk_layout *layout,
             rawview_error *err)
{
  uint8_t buf[RV_VMDK_HEADER_LEN];
  struct rv_vmdk_header h;
  struct rv_view head;

  if (read_head (io, buf, sizeof buf, &head, err) == -1 ||
      rv_vmdk_header_parse (head, io->name, &h, err) == -1)
    return -1;
  if (rescue)
    return rescue_hosted (io, &h, layout, err);
  if (h.gd_sector == RV_VMDK_GD_AT_END && read_footer (io, &h, err) == -1)
    return -1;
  return rv_vmdk_header_layout (&h, io->size, io->name, layout, err);
}

static int
read_cowd (struct rv_io *io, struct rv_vmdk_layout *layout, rawview_error *err)
{
  uint8_t buf[RV_VMDK_COWD_LEN];
  struct rv_view head;

  if (read_head (io, buf, sizeof buf, &head, err) == -1)
    return -1;
  return rv_vmdk_cowd_parse (head, io->size, io->name, layout, err);
}

static int
read_sesparse (struct rv_io *io, struct rv_vmdk_layout *layout,
               rawview_error *err)
{
  uint8_t buf[RV_VMDK_SESPARSE_LEN];
  struct rv_view head;
  uint64_t off;

  if (read_head (io, buf, sizeof buf, &head, err) == -1 ||
      rv_vmdk_sesparse_parse (head, io->size, io->name, layout, &off, err) ==
          -1 ||
      rv_io_pread (io, buf, sizeof buf, off, err) == -1)
    return -1;
  return rv_vmdk_sesparse_parse_volatile (head, io->name, err);
}

int
rv_vmdk_extent_read_layout (enum rv_vmdk_type type, struct rv_io *io,
                            bool rescue, struct rv_vmdk_layout *layout,
                            rawview_error *err)
{
  switch (type) {
  case RV_VMDK_SPARSE:
    return read_hosted (io, rescue, layout, err);
  case RV_VMDK_VMFSSPARSE:
    return read_cowd (io, layout, err);
  case RV_VMDK_SESPARSE:
    return read_sesparse (io, layout, err);
  default:
    return 0;
  }
}

/*--- Taking the file ----------------------------------------------------*/

bool
rv_vmdk_extent_is_flat (const struct rv_vmdk_extent *e)
{
  return e->type == RV_VMDK_FLAT || e->type == RV_VMDK_VMFS;
}

static int
take_flat (struct rv_vmdk_extent *e, struct rv_io *io,
           const struct rv_format_params *params, rawview_error *err)
{
  e->avail =
      io->size <= e->host_off ? 0 : rv_min_u64 (e->len, io->size - e->host_off);
  /* A sector of which only a part is there is missing. */
  e->avail = rv_align_down (e->avail, RV_VMDK_SECTOR);
  if (e->avail == e->len)
    return 0;
  if (!params->allow_truncated)
    return rv_error_corrupt (
        err,
        "%s: the file has %ju bytes, but the extent is %ju bytes from byte "
        "%ju on; complete the copy, or read what is there with "
        "allow-truncated=true",
        io->name, (uintmax_t) io->size, (uintmax_t) e->len,
        (uintmax_t) e->host_off);
  rv_warn (params->warnings,
           "%s: the last %ju bytes of the extent are missing and cannot be "
           "read",
           io->name, (uintmax_t) (e->len - e->avail));
  return 0;
}

static int
take_sparse (struct rv_vmdk *vmdk, struct rv_vmdk_extent *e, struct rv_io *io,
             const struct rv_vmdk_layout *l,
             const struct rv_format_params *params, rawview_error *err)
{
  if (l->capacity < e->len)
    return rv_error_corrupt (
        err,
        "%s: the descriptor says that the extent has %ju bytes, its header "
        "says %ju",
        io->name, (uintmax_t) e->len, (uintmax_t) l->capacity);
  if (l->capacity > e->len)
    rv_warn (params->warnings,
             "%s: only the first %ju of %ju bytes belong to the disk by its "
             "descriptor",
             io->name, (uintmax_t) e->len, (uintmax_t) l->capacity);
  if (l->unclean)
    rv_warn (params->warnings,
             "%s: was not closed cleanly: what was written last may be missing",
             io->name);
  if (l->gd_missing)
    rv_warn (params->warnings, "%s: its grain directory is missing; %s",
             io->name,
             l->gd_off ? "the redundant one is used"
                       : "the grains were looked for by their markers");
  if (rv_vmdk_grains_open (&e->grains, io, l, e->len, params, &vmdk->gd_budget,
                           err) == -1)
    return -1;
  vmdk->base.table_bytes +=
      rv_vmdk_gd_len (l) +
      e->grains.metadata.nr_tables * sizeof *e->grains.metadata.tables;
  return 0;
}

int
rv_vmdk_extent_set_io (struct rv_vmdk *vmdk, struct rv_vmdk_extent *e,
                       struct rv_io *io, const struct rv_vmdk_layout *layout,
                       const struct rv_format_params *params,
                       rawview_error *err)
{
  int r = rv_vmdk_extent_is_flat (e)
              ? take_flat (e, io, params, err)
              : take_sparse (vmdk, e, io, layout, params, err);

  if (r == 0)
    e->io = rv_io_ref (io);
  return r;
}

void
rv_vmdk_extent_release (struct rv_vmdk_extent *e)
{
  rv_vmdk_grains_release (&e->grains);
  rv_io_unref (e->io);
}

/*--- Map ----------------------------------------------------------------*/

static int
map_flat (const struct rv_vmdk_extent *e, uint64_t off, uint64_t len,
          struct rv_map *map, uint64_t *damaged, rawview_error *err)
{
  if (off >= e->avail) {
    *damaged = len;
    return rv_error_corrupt (err, "%s: the file ends at byte %ju, before this",
                             e->io->name, (uintmax_t) e->io->size);
  }
  *map = (struct rv_map){ .kind = RV_MAP_DATA,
                          .len = rv_min_u64 (len, e->avail - off),
                          .io = e->io,
                          .host_off = e->host_off + off,
                          .sparse_host = true };
  return 0;
}

int
rv_vmdk_extent_map (const struct rv_vmdk *vmdk, const struct rv_vmdk_extent *e,
                    uint64_t off, uint64_t len, struct rv_map *map,
                    uint64_t *damaged, rawview_error *err)
{
  if (e->access == RV_VMDK_NOACCESS) {
    *damaged = len;
    return rv_error_set (err, RAWVIEW_ERROR_REFUSED, EIO,
                         "%s: the descriptor allows no access to the extent "
                         "from byte %ju on",
                         vmdk->base.io->name, (uintmax_t) e->start);
  }
  if (e->type == RV_VMDK_ZERO) {
    *map = (struct rv_map){ .kind = RV_MAP_ZERO, .len = len, .hole = true };
    return 0;
  }
  if (e->io == NULL) {
    *damaged = len;
    return rv_error_corrupt (err, "%s: the extent file \"%s\" is missing",
                             vmdk->base.io->name, e->name);
  }
  if (rv_vmdk_extent_is_flat (e))
    return map_flat (e, off, len, map, damaged, err);
  return rv_vmdk_grains_map (&e->grains, off, len, map, damaged, err);
}

int
rv_vmdk_extent_tables_of (const struct rv_vmdk_extent *e, uint64_t off,
                          uint64_t len,
                          int (*cb) (void *opaque, struct rv_io *io,
                                     uint64_t host_off, size_t len),
                          void *opaque)
{
  if (e->access == RV_VMDK_NOACCESS || e->grains.gd == NULL)
    return 0;
  return rv_vmdk_grains_tables_of (&e->grains, off, len, cb, opaque);
}
