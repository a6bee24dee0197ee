/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The first and the last thing that writing changes: another CID, and the flag
 * that says that nobody has closed the extent yet.
 */

#include <config.h>

#include <string.h>

#include "format/vmdk-write.h"
#include "util/error.h"

#define AT_UNCLEAN 72u

static int
sync_all (struct rv_vmdk *v, rawview_error *err)
{
  if (rv_io_sync (v->base.io, err) == -1)
    return -1;
  for (size_t i = 0; i < v->nr_extents; i++)
    if (rv_vmdk_is_written (&v->extents[i]) &&
        rv_io_sync (v->extents[i].io, err) == -1)
      return -1;
  return 0;
}

static int
set_unclean (struct rv_vmdk *v, uint8_t value, rawview_error *err)
{
  for (size_t i = 0; i < v->nr_extents; i++) {
    struct rv_vmdk_extent *e = &v->extents[i];
    struct rv_vmdk_growth *w = e->grains.growth;

    if (w && !(value == 0 && atomic_load (&w->uneven)) &&
        rv_io_pwrite (e->io, &value, sizeof value, AT_UNCLEAN, err) == -1)
      return -1;
  }
  return 0;
}

/*--- Begin --------------------------------------------------------------*/

static int
write_digits (struct rv_vmdk *v, const struct rv_vmdk_digits *place,
              rawview_error *err)
{
  if (place->len == 0)
    return 0;
  return rv_io_pwrite (v->base.io, v->writing->new_digits, place->len,
                       place->off, err);
}

/* If begin is repeated after a failure it is still the same new CID. */
static int
change_cid (struct rv_vmdk *v, rawview_error *err)
{
  struct rv_vmdk_writing *w = v->writing;
  struct rv_vmdk_span text = { w->new_digits, w->cid.len };

  if (w->new_digits[0] == '\0' &&
      rv_vmdk_cid_next (w->old_digits, w->cid.len, w->new_digits, err) == -1)
    return -1;
  if (write_digits (v, &w->long_cid, err) == -1 ||
      write_digits (v, &w->cid, err) == -1)
    return -1;
  rv_vmdk_parse_hex (text, &v->base.content_id);
  return 0;
}

static int
repair (struct rv_vmdk *v, rawview_error *err)
{
  for (size_t i = 0; i < v->nr_extents; i++) {
    struct rv_vmdk_grains *g = &v->extents[i].grains;
    struct rv_vmdk_growth *w = g->growth;

    if (w && w->unclean && rv_vmdk_repair_all (g, w, err) == -1)
      return -1;
  }
  return 0;
}

int
rv_vmdk_begin_write (struct rv_format *format, rawview_error *err)
{
  struct rv_vmdk *v = rv_vmdk_of (format);

  if (v->writing->begun)
    return 0;
  if (change_cid (v, err) == -1 || set_unclean (v, 1, err) == -1 ||
      sync_all (v, err) == -1 || repair (v, err) == -1)
    return -1;
  v->writing->begun = true;
  return 0;
}

/*--- End ----------------------------------------------------------------*/

int
rv_vmdk_end_write (struct rv_format *format, rawview_error *err)
{
  struct rv_vmdk *v = rv_vmdk_of (format);
  struct rv_vmdk_writing *w = v->writing;

  if (!w->begun || w->ended)
    return 0;
  if (!atomic_load (&w->stopped) && set_unclean (v, 0, err) == -1)
    return -1;
  if (sync_all (v, err) == -1)
    return -1;
  w->ended = true;
  return 0;
}
