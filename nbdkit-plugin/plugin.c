/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The nbdkit plugin: parameters become a set of exports of librawview, and
 * requests become calls on its images.  Callbacks stand in the order in which
 * nbdkit calls them; the table at the bottom names them all.
 *
 * Images are opened in .get_ready, where it can still be told to the caller
 * that one is refused.  nbdkit forks after that, so their threads are started
 * in .open, by the first client.  That is also where nbdkit tells for the first
 * time whether images may be written, see writers.h.  All clients of an image
 * share its handle, and librawview may be called from any thread: no locks are
 * needed here.
 */

#include <config.h>

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NBDKIT_API_VERSION 2
#include <nbdkit-plugin.h>

#include <rawview.h>

#include "log.h"
#include "params.h"
#include "sandbox.h"
#include "writers.h"

#define THREAD_MODEL NBDKIT_THREAD_MODEL_PARALLEL

/* No request for less than this is worth avoiding. */
#define MIN_PREFERRED_SIZE 4096

/* nbdkit serves no longer read than this. */
#define MAX_BLOCK_SIZE (64 << 20)

static struct params params;
static rawview_exports *exports;

static int
fail (const rawview_error *err)
{
  nbdkit_error ("%s", err->msg);
  nbdkit_set_error (err->errnum);
  return -1;
}

/*--- The process --------------------------------------------------------*/

/* A file that grows beyond a limit of the process is an error of the request
 * that met it, and not the end of nbdkit.
 */
static void
plugin_load (void)
{
  signal (SIGXFSZ, SIG_IGN);
  rawview_allow_many_files ();
  if (params_init (&params) == -1)
    exit (EXIT_FAILURE);
}

/* Reached if nbdkit has forked.  Ends writing, and joins the threads while this
 * code is sure to be there.
 */
static void
plugin_cleanup (void)
{
  writers_finish ();
  rawview_exports_free (exports);
  exports = NULL;
}

static void
plugin_unload (void)
{
  plugin_cleanup ();
  params_release (&params);
}

static void
plugin_dump_plugin (void)
{
  const rawview_option_info *o;
  rawview_sandbox sandbox;

  printf ("rawview_version=%s\n", rawview_version ());
  for (size_t i = 0; (o = rawview_option_get (i)) != NULL; i++)
    printf ("rawview_option_%s=%s\n", o->name, o->arg);
  rawview_sandbox_probe (&sandbox);
  printf ("rawview_sandbox=%s\n", sandbox.text);
}

/*--- Before serving -----------------------------------------------------*/

static int
plugin_config (const char *key, const char *value)
{
  return params_set (&params, key, value);
}

static int
plugin_config_complete (void)
{
  return params_complete (&params);
}

static void
log_from_library (void *opaque, const char *msg)
{
  log_line (msg);
}

static int
plugin_get_ready (void)
{
  exports = rawview_exports_new ();
  if (exports == NULL) {
    nbdkit_error ("out of memory");
    return -1;
  }
  rawview_exports_set_log (exports, log_from_library, NULL);
  return params_open (&params, exports);
}

static int
plugin_after_fork (void)
{
  log_serving ();
  return sandbox_enter (params.common, exports);
}

/*--- Exports ------------------------------------------------------------*/

struct list {
  struct nbdkit_exports *exports;
  bool failed;
};

static int
list_export (void *opaque, const rawview_export *e)
{
  struct list *list = opaque;

  list->failed =
      nbdkit_add_export (list->exports, e->name, e->description) == -1;
  return list->failed;
}

static int
plugin_list_exports (int readonly, int is_tls, struct nbdkit_exports *to)
{
  struct list list = { .exports = to };
  rawview_error err;

  if (rawview_exports_list (exports, list_export, &list, &err) == -1)
    return fail (&err);
  return list.failed ? -1 : 0;
}

/* NULL, as for a folder, makes nbdkit refuse the empty name. */
static const char *
plugin_default_export (int readonly, int is_tls)
{
  return rawview_exports_default (exports);
}

/*--- One connection -----------------------------------------------------*/

struct connection {
  rawview_image *image;
  bool writes;
};

static rawview_image *
image_of (void *handle)
{
  return ((struct connection *) handle)->image;
}

/* Opens the image of this connection, with its threads running. */
static int
open_image (bool readonly, struct connection *c, rawview_error *err)
{
  const char *name = nbdkit_export_name ();
  const char *first = rawview_exports_default (exports);
  struct writers_wish wish = { .writes = !readonly };

  wish.name = name[0] == '\0' && first != NULL ? first : name;
  wish.required = params_has_overlay (&params, wish.name);
  wish.keep = !params_is_folder (&params);
  if (writers_open (exports, &wish, &c->image, &c->writes, err) == -1)
    return -1;
  if (rawview_start (c->image, err) == 0)
    return 0;
  writers_close (exports, c->image, c->writes);
  return -1;
}

static void *
plugin_open (int readonly)
{
  struct connection *c = malloc (sizeof *c);
  rawview_error err;

  if (c == NULL) {
    nbdkit_error ("malloc: %m");
    return NULL;
  }
  if (open_image (readonly, c, &err) == -1) {
    free (c);
    fail (&err);
    return NULL;
  }
  return c;
}

static void
plugin_close (void *handle)
{
  const struct connection *c = handle;

  writers_close (exports, c->image, c->writes);
  free (handle);
}

static int64_t
plugin_get_size (void *handle)
{
  return rawview_get_size (image_of (handle));
}

static int
find_description (void *opaque, const rawview_export *e)
{
  const char **description = opaque;

  if (strcmp (e->name, nbdkit_export_name ()) != 0)
    return 0;
  *description = nbdkit_strdup_intern (e->description);
  return 1;
}

static const char *
plugin_export_description (void *handle)
{
  const char *description = NULL;
  rawview_error err;

  if (rawview_exports_list (exports, find_description, &description, &err) ==
      -1)
    fail (&err);
  return description;
}

static int
plugin_block_size (void *handle, uint32_t *minimum, uint32_t *preferred,
                   uint32_t *maximum)
{
  *minimum = 1;
  *preferred = rawview_get_preferred_block_size (image_of (handle));
  if (*preferred < MIN_PREFERRED_SIZE)
    *preferred = MIN_PREFERRED_SIZE;
  *maximum = MAX_BLOCK_SIZE;
  return 0;
}

/* All connections share one handle.  So each reads what another has written,
 * and a flush by one makes durable what any of them was answered.
 */
static int
plugin_can_multi_conn (void *handle)
{
  return 1;
}

static int
plugin_can_write (void *handle)
{
  return ((struct connection *) handle)->writes;
}

static int
plugin_can_fua (void *handle)
{
  return plugin_can_write (handle) ? NBDKIT_FUA_NATIVE : NBDKIT_FUA_NONE;
}

/* Whether a zero is fast is for librawview to say, request by request. */
static int
plugin_can_fast_zero (void *handle)
{
  return 1;
}

/*--- Requests -----------------------------------------------------------*/

static int
fail_request (const char *doing, uint32_t count, uint64_t offset,
              const rawview_error *err)
{
  char what[80];

  snprintf (what, sizeof what, "%s %" PRIu32 " bytes at offset %" PRIu64, doing,
            count, offset);
  log_request_error (what, err->msg);
  nbdkit_set_error (err->errnum);
  return -1;
}

static int
plugin_pread (void *handle, void *buf, uint32_t count, uint64_t offset,
              uint32_t flags)
{
  rawview_error err;

  if (rawview_pread (image_of (handle), buf, count, offset, &err) == -1)
    return fail_request ("reading", count, offset, &err);
  return 0;
}

/* What is left to do after a write. */
static int
flush_if_fua (void *handle, uint32_t flags, rawview_error *err)
{
  return flags & NBDKIT_FLAG_FUA ? rawview_flush (image_of (handle), err) : 0;
}

static int
plugin_pwrite (void *handle, const void *buf, uint32_t count, uint64_t offset,
               uint32_t flags)
{
  rawview_error err;

  if (rawview_pwrite (image_of (handle), buf, count, offset, &err) == -1 ||
      flush_if_fua (handle, flags, &err) == -1)
    return fail_request ("writing", count, offset, &err);
  return 0;
}

static int
plugin_zero (void *handle, uint32_t count, uint64_t offset, uint32_t flags)
{
  unsigned how = (flags & NBDKIT_FLAG_MAY_TRIM ? RAWVIEW_ZERO_MAY_TRIM : 0) |
                 (flags & NBDKIT_FLAG_FAST_ZERO ? RAWVIEW_ZERO_FAST : 0);
  rawview_error err;

  if (rawview_zero (image_of (handle), count, offset, how, &err) == 0 &&
      flush_if_fua (handle, flags, &err) == 0)
    return 0;
  /* No failure of ours: the client, or nbdkit, writes zeros then. */
  if (err.errnum == ENOTSUP) {
    nbdkit_set_error (ENOTSUP);
    return -1;
  }
  return fail_request ("zeroing", count, offset, &err);
}

static int
plugin_trim (void *handle, uint32_t count, uint64_t offset, uint32_t flags)
{
  rawview_error err;

  if (rawview_trim (image_of (handle), count, offset, &err) == -1 ||
      flush_if_fua (handle, flags, &err) == -1)
    return fail_request ("trimming", count, offset, &err);
  return 0;
}

static int
plugin_flush (void *handle, uint32_t flags)
{
  rawview_error err;

  if (rawview_flush (image_of (handle), &err) == 0)
    return 0;
  log_request_error ("flushing", err.msg);
  nbdkit_set_error (err.errnum);
  return -1;
}

/* nbdkit_add_extent has told and set its error; only the walk has to end. */
struct extents {
  struct nbdkit_extents *extents;
  bool failed;
};

static int
add_extent (void *opaque, const rawview_extent *e)
{
  struct extents *to = opaque;
  uint32_t type =
      (e->zero ? NBDKIT_EXTENT_ZERO : 0) | (e->hole ? NBDKIT_EXTENT_HOLE : 0);

  to->failed = nbdkit_add_extent (to->extents, e->off, e->len, type) == -1;
  return to->failed;
}

static int
plugin_extents (void *handle, uint32_t count, uint64_t offset, uint32_t flags,
                struct nbdkit_extents *extents)
{
  struct extents to = { .extents = extents };
  unsigned how = flags & NBDKIT_FLAG_REQ_ONE ? RAWVIEW_EXTENTS_ONE : 0;
  rawview_error err;

  if (rawview_extents (image_of (handle), count, offset, how, add_extent, &to,
                       &err) == -1)
    return fail (&err);
  return to.failed ? -1 : 0;
}

static int
plugin_cache (void *handle, uint32_t count, uint64_t offset, uint32_t flags)
{
  rawview_error err;

  if (rawview_prefetch (image_of (handle), count, offset, &err) == -1)
    return fail (&err);
  return 0;
}

/*--- The table ----------------------------------------------------------*/

static struct nbdkit_plugin plugin = {
  .name = "rawview",
  .version = PACKAGE_VERSION,
  .longname = "rawview VMDK and QCOW2 plugin",
  .description = "Show VMDK and QCOW2 disk images as raw disks.",
  .load = plugin_load,
  .unload = plugin_unload,
  .dump_plugin = plugin_dump_plugin,
  .config = plugin_config,
  .config_complete = plugin_config_complete,
  .config_help = PARAMS_HELP,
  .magic_config_key = "file",
  .get_ready = plugin_get_ready,
  .after_fork = plugin_after_fork,
  .cleanup = plugin_cleanup,
  .list_exports = plugin_list_exports,
  .default_export = plugin_default_export,
  .open = plugin_open,
  .close = plugin_close,
  .get_size = plugin_get_size,
  .export_description = plugin_export_description,
  .block_size = plugin_block_size,
  .can_multi_conn = plugin_can_multi_conn,
  .can_write = plugin_can_write,
  .can_flush = plugin_can_write,
  .can_trim = plugin_can_write,
  .can_zero = plugin_can_write,
  .can_fast_zero = plugin_can_fast_zero,
  .can_fua = plugin_can_fua,
  .pread = plugin_pread,
  .pwrite = plugin_pwrite,
  .flush = plugin_flush,
  .trim = plugin_trim,
  .zero = plugin_zero,
  .extents = plugin_extents,
  .cache = plugin_cache,
};

/* The macro defines it without declaring it. */
struct nbdkit_plugin *plugin_init (void);

NBDKIT_REGISTER_PLUGIN (plugin)
