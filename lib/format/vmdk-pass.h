/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A streamOptimized VMDK in one pass, as it comes out of a pipe.
 *
 * Where the header does not know the directory, markers say what everything
 * is:
 *   header descriptor {grain | GT marker, table | progress marker}...
 *   GD marker, directory, footer marker, footer, end of stream [zeros]
 * Where it does (QEMU), the tables have no markers and are found by it; they
 * come before the grains, and nothing but the end of the file needs to follow
 * them.  At the end the tables have to agree with the grains.
 */

#ifndef RV_VMDK_PASS_H
#define RV_VMDK_PASS_H

#include "format/vmdk-sparse.h"
#include "format/vmdk-sums.h"
#include "io/pipe.h"

struct rv_vmdk_pass {
  struct rv_pipe *pipe;
  char *file;     /* for messages */
  uint64_t start; /* of the VMDK in the pipe */
  uint64_t len;   /* of the VMDK, UINT64_MAX: as much as there is */
  struct rv_vmdk_header header;
  struct rv_vmdk_layout layout; /* as far as the header tells */
  uint64_t front;               /* bytes before the first grain */
  uint64_t size;                /* of the disk */
  struct rv_vmdk_sums sums;
  uint32_t *places; /* sectors of tables that have no markers, ascending */
  size_t nr_places, place;
};

struct rv_vmdk_grain {
  uint64_t off; /* in the disk */
  size_t len;   /* of the disk: less than the grain at the end, or 0 */
  size_t min;   /* bytes that must come out */
  size_t payload_len;
  uint64_t at; /* in the VMDK, for messages */
};

/* Takes the pipe up to the descriptor's end.  To be released in any case. */
int rv_vmdk_pass_open (struct rv_vmdk_pass *pass, struct rv_pipe *pipe,
                       const char *file, uint64_t len, uint64_t max_size,
                       rawview_error *err);
void rv_vmdk_pass_release (struct rv_vmdk_pass *pass);

/* The next grain; payload has room for rv_vmdk_unit_max (layout.grain) bytes.
 * 1, or 0 when all has come, which has been verified then, or -1.
 */
int rv_vmdk_pass_next (struct rv_vmdk_pass *pass, struct rv_vmdk_grain *grain,
                       uint8_t *payload, rawview_error *err);

/*--- Inside -------------------------------------------------------------*/

static inline bool
rv_vmdk_pass_has_footer (const struct rv_vmdk_pass *p)
{
  return p->header.gd_sector == RV_VMDK_GD_AT_END;
}

/* How far we are in the VMDK. */
static inline uint64_t
rv_vmdk_pass_here (const struct rv_vmdk_pass *p)
{
  return p->pipe->pos - p->start;
}

/* As rv_pipe_take, but not beyond the VMDK's end. */
int rv_vmdk_pass_take (struct rv_vmdk_pass *p, void *buf, uint64_t len,
                       const char *what, rawview_error *err);

/* Is there nothing behind what was taken? */
int rv_vmdk_pass_at_end (struct rv_vmdk_pass *p, bool *end, rawview_error *err);

/* The table or directory that is next. */
int rv_vmdk_pass_take_table (struct rv_vmdk_pass *p, rawview_error *err);
int rv_vmdk_pass_take_directory (struct rv_vmdk_pass *p, rawview_error *err);

/* Takes what is neither a grain nor a marker. */
int rv_vmdk_pass_take_places (struct rv_vmdk_pass *p, rawview_error *err);

/* Takes what follows a marker that is no grain's, whose sector has been taken.
 * 1: it was the end, and all is verified.
 */
int rv_vmdk_pass_take_marker (struct rv_vmdk_pass *p, const uint8_t *sector,
                              rawview_error *err);

#endif /* RV_VMDK_PASS_H */
