/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The header and descriptor of a VMDK that comes from a pipe. */

#include <config.h>

#include "format/format.h"
#include "format/vmdk-descriptor.h"
#include "format/vmdk-pass.h"
#include "format/vmdk-stream.h"
#include "util/checked.h"
#include "util/error.h"

#define SAVE_IT "save it as a file and copy that"

static int
check_kind (const struct rv_vmdk_pass *p, rawview_error *err)
{
  if (!(p->header.flags & RV_VMDK_FLAG_DEFLATE))
    return rv_error_unsupported (
        err,
        "%s: only streamOptimized VMDKs can be read from a pipe, and this "
        "is another kind; " SAVE_IT,
        p->file);
  if (!(p->header.flags & RV_VMDK_FLAG_MARKERS))
    return rv_error_unsupported (
        err,
        "%s: its grains do not say where they belong, so that it cannot "
        "be read from a pipe; " SAVE_IT,
        p->file);
  return 0;
}

static int
make_layout (struct rv_vmdk_pass *p, rawview_error *err)
{
  const struct rv_vmdk_header *h = &p->header;
  struct rv_vmdk_layout *l = &p->layout;

  *l = rv_vmdk_header_fields (h);
  l->gd_entries = rv_div_up (l->capacity, rv_vmdk_table_span (l));
  if (rv_vmdk_header_descriptor (h, INT64_MAX, p->file, &l->descriptor_off,
                                 &l->descriptor_len, err) == -1)
    return -1;
  if (l->descriptor_len == 0)
    return rv_error_unsupported (
        err,
        "%s: is one extent of a disk, without descriptor: it cannot be "
        "read from a pipe alone",
        p->file);
  p->front = l->descriptor_off + l->descriptor_len;
  if (h->overhead <= INT64_MAX / RV_VMDK_SECTOR)
    p->front = rv_max_u64 (p->front, h->overhead * RV_VMDK_SECTOR);
  return rv_vmdk_sums_init (&p->sums, l, p->file, err);
}

static int
check_descriptor (struct rv_vmdk_pass *p, const struct rv_vmdk_descriptor *d,
                  uint64_t max_size, rawview_error *err)
{
  if (d->extents.len != 1 || d->extents.ptr[0].type != RV_VMDK_SPARSE)
    return rv_error_unsupported (
        err,
        "%s: the descriptor inside describes %zu extents of other files, "
        "which a pipe does not bring",
        p->file, d->extents.len);
  if (d->parent_cid != RV_VMDK_NO_PARENT)
    return rv_error_unsupported (
        err,
        "%s: is only what differs from a parent disk, which a pipe does "
        "not bring; " SAVE_IT,
        p->file);
  if (d->extents.ptr[0].access == RV_VMDK_NOACCESS)
    return rv_error_refused (
        err, "%s: the descriptor allows no access to the extent", p->file);
  if (d->size > max_size)
    return rv_error_limit (err, "%s: the disk has %ju bytes, max-size is %ju",
                           p->file, (uintmax_t) d->size, (uintmax_t) max_size);
  if (d->size > p->layout.capacity)
    return rv_error_corrupt (
        err,
        "%s: the descriptor says that the extent has %ju bytes, its "
        "header says %ju",
        p->file, (uintmax_t) d->size, (uintmax_t) p->layout.capacity);
  p->size = d->size;
  return 0;
}

static int
read_descriptor (struct rv_vmdk_pass *p, uint64_t max_size, rawview_error *err)
{
  const struct rv_vmdk_layout *l = &p->layout;
  CLEANUP_FREE uint8_t *text = malloc (l->descriptor_len);
  struct rv_vmdk_descriptor d;
  int r;

  if (text == NULL)
    return rv_error_nomem (err);
  if (rv_vmdk_pass_take (p, NULL, l->descriptor_off - rv_vmdk_pass_here (p),
                         "what precedes the descriptor", err) == -1 ||
      rv_vmdk_pass_take (p, text, l->descriptor_len, "the descriptor", err) ==
          -1 ||
      rv_vmdk_descriptor_parse ((struct rv_view){ text, l->descriptor_len },
                                p->file, &d, err) == -1)
    return -1;
  r = check_descriptor (p, &d, max_size, err);
  rv_vmdk_descriptor_release (&d);
  return r;
}

int
rv_vmdk_pass_open (struct rv_vmdk_pass *p, struct rv_pipe *pipe,
                   const char *file, uint64_t len, uint64_t max_size,
                   rawview_error *err)
{
  uint8_t head[RV_VMDK_HEADER_LEN];

  *p = (struct rv_vmdk_pass){
    .pipe = pipe, .file = strdup (file), .start = pipe->pos, .len = len
  };
  if (p->file == NULL)
    return rv_error_nomem (err);
  if (rv_vmdk_pass_take (p, head, sizeof head, "the VMDK header", err) == -1 ||
      rv_vmdk_header_parse ((struct rv_view){ head, sizeof head }, p->file,
                            &p->header, err) == -1 ||
      check_kind (p, err) == -1 || make_layout (p, err) == -1)
    return -1;
  return read_descriptor (p, max_size, err);
}

void
rv_vmdk_pass_release (struct rv_vmdk_pass *p)
{
  rv_vmdk_sums_release (&p->sums);
  free (p->places);
  free (p->file);
}
