/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <config.h>

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "commit-apply.h"

#define DATA_STEP (2u << 20)
#define ZERO_STEP (256u << 20)

/*--- Opening ------------------------------------------------------------*/

/* What holds for the image's files holds for its overlay. */
static int
set_common (rawview_options *opts, const struct cli_list *options,
            rawview_error *err)
{
  static const char *const names[] = { "locking", "max-size" };

  for (size_t i = 0; i < options->len; i++)
    for (size_t k = 0; k < CLI_COUNT (names); k++) {
      const size_t len = strlen (names[k]);
      const char *option = options->items[i];

      if (strncmp (option, names[k], len) == 0 && option[len] == '=' &&
          rawview_options_set (opts, names[k], option + len + 1, err) == -1)
        return -1;
    }
  return 0;
}

/* A backing file that is not there is lost to who asks for rescue: whatever
 * would come from it fails to be read.
 */
int
commit_open_overlay (const char *overlay, const struct cli_list *options,
                     rawview_image **image, rawview_error *err)
{
  CLEANUP_FREE char *nowhere = cli_format ("%s/none", overlay);
  rawview_options *opts = rawview_options_new ();
  int r;

  if (opts == NULL)
    return cli_error_errno (err, ENOMEM, "%s", overlay);
  r = rawview_options_set (opts, "format", "qcow2", err);
  if (r == 0)
    r = rawview_options_set (opts, "rescue", "yes", err);
  if (r == 0)
    r = rawview_options_set (opts, "parent", nowhere, err);
  if (r == 0)
    r = set_common (opts, options, err);
  if (r == 0)
    r = rawview_open (overlay, opts, image, err);
  rawview_options_free (opts);
  return r;
}

/*--- Its own extents ----------------------------------------------------*/

struct walk {
  rawview_image *overlay;
  int (*each) (struct walk *w, const rawview_extent *e, rawview_error *err);
  uint64_t off; /* all before has been seen */
  bool failed;
  rawview_error *err;

  uint64_t bytes; /* of commit_measure */

  rawview_image *image; /* of commit_apply */
  uint8_t *buf;
  void (*done) (void *opaque, uint64_t bytes);
  void *opaque;
};

static const char *
name_of (const rawview_image *image)
{
  return cli_fact_text (image, 0, "filename");
}

static int
tell_damage (const struct walk *w, const rawview_extent *e)
{
  return cli_error_set (w->err, RAWVIEW_ERROR_CORRUPT, EIO,
                        "%s: what it has at offset %" PRIu64
                        " of the disk cannot be read; \"rawview check\" says "
                        "more",
                        name_of (w->overlay), e->off);
}

static int
see (void *opaque, const rawview_extent *e)
{
  struct walk *w = opaque;

  w->off = e->off + e->len;
  if (e->depth > 0)
    return 0;
  w->failed = (e->damaged ? tell_damage (w, e) : w->each (w, e, w->err)) == -1;
  return w->failed;
}

static int
walk (struct walk *w)
{
  const uint64_t size = rawview_get_size (w->overlay);

  while (w->off < size)
    if (rawview_extents (w->overlay, size - w->off, w->off,
                         RAWVIEW_EXTENTS_RUNS, see, w, w->err) == -1 ||
        w->failed)
      return -1;
  return 0;
}

static int
add (struct walk *w, const rawview_extent *e, rawview_error *err)
{
  (void) err;
  w->bytes += e->len;
  return 0;
}

int
commit_measure (rawview_image *overlay, uint64_t *bytes, rawview_error *err)
{
  struct walk w = { .overlay = overlay, .each = add, .err = err };

  if (walk (&w) == -1)
    return -1;
  *bytes = w.bytes;
  return 0;
}

/*--- Applying -----------------------------------------------------------*/

/* Space that the overlay does not need is given back. */
static int
put_zeros (struct walk *w, const rawview_extent *e, rawview_error *err)
{
  const unsigned flags = e->hole ? RAWVIEW_ZERO_MAY_TRIM : 0;
  uint64_t n;

  for (uint64_t at = 0; at < e->len; at += n) {
    n = e->len - at < ZERO_STEP ? e->len - at : ZERO_STEP;
    if (rawview_zero (w->image, n, e->off + at, flags, err) == -1)
      return -1;
    w->done (w->opaque, n);
  }
  return 0;
}

static int
put_data (struct walk *w, const rawview_extent *e, rawview_error *err)
{
  size_t n;

  for (uint64_t at = 0; at < e->len; at += n) {
    n = e->len - at < DATA_STEP ? e->len - at : DATA_STEP;
    if (rawview_pread (w->overlay, w->buf, n, e->off + at, err) == -1 ||
        rawview_pwrite (w->image, w->buf, n, e->off + at, err) == -1)
      return -1;
    w->done (w->opaque, n);
  }
  return 0;
}

static int
put (struct walk *w, const rawview_extent *e, rawview_error *err)
{
  return e->zero ? put_zeros (w, e, err) : put_data (w, e, err);
}

int
commit_apply (rawview_image *overlay, rawview_image *image,
              void (*done) (void *opaque, uint64_t bytes), void *opaque,
              rawview_error *err)
{
  CLEANUP_FREE uint8_t *buf = malloc (DATA_STEP);
  struct walk w = { .overlay = overlay,
                    .each = put,
                    .err = err,
                    .image = image,
                    .buf = buf,
                    .done = done,
                    .opaque = opaque };

  if (buf == NULL)
    return cli_error_errno (err, ENOMEM, "%s", name_of (overlay));
  return walk (&w);
}
