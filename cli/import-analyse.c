/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Before anything is changed: what there is, where it goes, what stands in the
 * way.
 */

#include <config.h>

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "commit.h"
#include "import.h"
#include "inspect.h"

/*--- Standard input -----------------------------------------------------*/

static bool
is_piped (const struct import_wishes *w)
{
  return w->n_operands == 1 && strcmp (w->operands[0], "-") == 0;
}

static int
check_pipe (const struct import_wishes *w, rawview_error *err)
{
  if (w->virtio)
    return cli_error_set (err, RAWVIEW_ERROR_USAGE, ESPIPE,
                          "import: drivers are put into a disk that can be "
                          "read here and there, which a pipe cannot; save it "
                          "as a file, or use --conversion=format");
  if (!w->format)
    return cli_error_set (err, RAWVIEW_ERROR_USAGE, ESPIPE,
                          "import: what comes from a pipe is converted while "
                          "it comes; cat(1) copies it as it is");
  return 0;
}

static int
open_pipe (struct import *im, rawview_error *err)
{
  const struct import_wishes *w = im->wishes;
  struct copy_job job = { 0 };
  struct machine_disk *d;

  if (check_pipe (w, err) == -1 ||
      copy_stream_open (w->options, "", &job, err) == -1)
    return -1;
  im->stream = job.stream;
  im->piped.name = cli_format ("guest");
  d = machine_add_disk (&im->piped);
  d->source = cli_format ("-");
  d->name = cli_format ("disk");
  d->size = job.size;
  im->machine = im->piped;
  return 0;
}

/*--- Images -------------------------------------------------------------*/

static int
open_source (struct import *im, rawview_error *err)
{
  const struct import_wishes *w = im->wishes;

  if (source_open (w->operands, w->n_operands, w->options, w->password_file,
                   &im->source, err) == -1)
    return -1;
  im->machine = *source_machine (im->source);
  return 0;
}

static bool
names_other_file (const rawview_fact *f, const char *name)
{
  static const char extents[] = "format-specific.data.extents.";
  const char *dot = strrchr (f->key, '.');

  if (strcmp (f->key, "format-specific.data.data-file") == 0)
    return true;
  return strncmp (f->key, extents, strlen (extents)) == 0 &&
         strcmp (dot, ".filename") == 0 && strcmp (f->text, name) != 0;
}

/* What a description calls itself is not what it has to be. */
static bool
is_one_file (const rawview_image *image)
{
  const char *name = cli_fact_text (image, 0, "filename");
  const rawview_fact *f;

  for (size_t i = 0; (f = rawview_get_fact (image, 0, i)) != NULL; i++)
    if (names_other_file (f, name))
      return false;
  return rawview_get_depth (image) == 1;
}

/* Can it be copied byte by byte, and be complete? */
static int
check_as_is (const struct machine_disk *d, rawview_image *image,
             rawview_error *err)
{
  static const char *const whole[] = { "monolithicSparse", "streamOptimized" };
  const char *type =
      cli_fact_text (image, 0, "format-specific.data.create-type");
  bool ok = *type == '\0';

  for (size_t i = 0; i < CLI_COUNT (whole); i++)
    ok = ok || strcmp (type, whole[i]) == 0;
  if (ok && is_one_file (image))
    return 0;
  return cli_error_set (err, RAWVIEW_ERROR_UNSUPPORTED, 0,
                        "%s: needs other files too, so that copied as it is "
                        "it would not be complete; --conversion=format makes "
                        "one of them",
                        d->source);
}

static int
check_member (const struct machine_disk *d, rawview_error *err)
{
  for (size_t i = 0; i < d->options.len; i++)
    if (strncmp (d->options.items[i], "disk=", strlen ("disk=")) == 0)
      return cli_error_set (err, RAWVIEW_ERROR_UNSUPPORTED, 0,
                            "%s: %s is a part of this file, and "
                            "--conversion=none copies whole files; use "
                            "--conversion=format",
                            d->source, d->name);
  return 0;
}

/* The size of the container, which is what will be copied. */
static int
measure_as_is (const struct import *im, size_t i, uint64_t *size,
               rawview_error *err)
{
  CLEANUP_IMAGE rawview_image *image = NULL;
  rawview_options *o = rawview_options_dup (im->wishes->options);
  int r = -1;

  if (o == NULL)
    return cli_error_errno (err, ENOMEM, "import");
  if (rawview_options_set (o, "format", "raw", err) == 0)
    r = rawview_open (im->machine.disks[i].source, o, &image, err);
  rawview_options_free (o);
  if (r == 0)
    *size = rawview_get_size (image);
  return r;
}

static void
note_image (struct import_disk *d, const rawview_image *image)
{
  const rawview_fact *actual = cli_fact (image, 0, "actual-size");

  d->format = cli_format ("%s", cli_fact_text (image, 0, "format"));
  d->size = rawview_get_size (image);
  d->actual_size = actual ? actual->number : 0;
}

/* Drivers go into an overlay, which cannot be made for every disk. */
static int
check_sectors (const char *source, uint64_t size, rawview_error *err)
{
  if (size > 0 && size % 512 == 0)
    return 0;
  return cli_error_set (err, RAWVIEW_ERROR_UNSUPPORTED, EINVAL,
                        "%s: a disk of %llu bytes, which are no whole sectors "
                        "of 512, cannot be given drivers; "
                        "--conversion=format copies it",
                        source, (unsigned long long) size);
}

static int
look_at_image (struct import *im, size_t i, rawview_error *err)
{
  const struct import_wishes *w = im->wishes;
  const struct machine_disk *d = &im->machine.disks[i];
  CLEANUP_IMAGE rawview_image *image = NULL;
  rawview_options *o = machine_disk_options (d, w->options, err);
  int r;

  if (o == NULL)
    return -1;
  r = commit_check_finished (d->source, err);
  if (r == 0)
    r = rawview_open (d->source, o, &image, err);
  rawview_options_free (o);
  if (r == -1)
    return -1;
  note_image (&im->disks[i], image);
  if (w->virtio)
    return check_sectors (d->source, im->disks[i].size, err);
  if (w->format)
    return 0;
  if (check_member (d, err) == -1 || check_as_is (d, image, err) == -1)
    return -1;
  return measure_as_is (im, i, &im->disks[i].size, err);
}

static int
look_at_images (struct import *im, rawview_error *err)
{
  for (size_t i = 0; i < im->machine.n_disks; i++) {
    if (im->stream)
      im->disks[i].size = im->machine.disks[i].size;
    else if (look_at_image (im, i, err) == -1)
      return -1;
    im->total += im->disks[i].size;
  }
  return 0;
}

/*--- Where overlays go --------------------------------------------------*/

static char *
find_work_parent (const struct import *im)
{
  const char *tmp = getenv ("TMPDIR");

  if (im->wishes->work_dir)
    return realpath (im->wishes->work_dir, NULL);
  for (size_t i = 0; i < im->dests.n; i++)
    if (im->dests.items[i].kind == DEST_FILE)
      return cli_folder_of (im->dests.items[i].path);
  return cli_format ("%s", tmp && *tmp == '/' ? tmp : "/var/tmp");
}

/* What a killed import has left there would be in our way. */
static int
prepare_work_parent (struct import *im, rawview_error *err)
{
  im->work_parent = find_work_parent (im);
  if (im->work_parent == NULL)
    return cli_error_errno (err, errno, "%s", im->wishes->work_dir);
  if (!im->wishes->dry_run)
    work_dir_remove_leftovers (im->work_parent);
  return 0;
}

/*--- Destinations -------------------------------------------------------*/

int
import_connect (struct import *im, rawview_error *err)
{
  for (size_t i = 0; i < im->dests.n; i++)
    if (im->dests.items[i].kind == DEST_VOLUME)
      return domain_connect (im->wishes->connect, &im->libvirt, err);
  return 0;
}

/* A user cannot open what libvirt would make for root. */
static int
find_volume (const struct import *im, struct dest *d, rawview_error *err)
{
  if (d->kind != DEST_VOLUME || d->path)
    return 0;
  return domain_find_volume (im->libvirt, d->where, &d->path, err);
}

/* Without the conversion of the format, it stays what it was. */
static int
check_same_format (const struct import *im, size_t i, rawview_error *err)
{
  const char *format = im->disks[i].format;
  const struct dest *d = &im->dests.items[i];

  if (im->wishes->format || !im->wishes->virtio ||
      strcmp (format, d->format) == 0)
    return 0;
  return cli_error_set (err, RAWVIEW_ERROR_UNSUPPORTED, 0,
                        "%s: is %s, and %s would be %s; "
                        "--conversion=format,virtio converts it",
                        im->machine.disks[i].source, format, d->where,
                        d->format);
}

/* The format stays if nobody wants another, and if it can be written. */
static const char **
wanted_formats (const struct import *im)
{
  const char **formats = calloc (im->machine.n_disks, sizeof *formats);

  if (formats == NULL)
    exit (cli_failf (RAWVIEW_ERROR_NOMEM, "out of memory"));
  for (size_t i = 0; i < im->machine.n_disks && !im->wishes->format; i++)
    if (strcmp (im->disks[i].format, "qcow2") == 0)
      formats[i] = "qcow2";
  return formats;
}

static int
look_at_destinations (struct import *im, rawview_error *err)
{
  const struct import_wishes *w = im->wishes;
  const bool as_is = !w->format && !w->virtio;
  CLEANUP_FREE const char **formats = wanted_formats (im);

  if (dests_assign (&im->dests, &im->machine, formats, as_is, err) == -1 ||
      prepare_work_parent (im, err) == -1)
    return -1;
  for (size_t i = 0; i < im->dests.n; i++) {
    struct dest *d = &im->dests.items[i];

    if (as_is && strcmp (d->format, "raw") != 0)
      return cli_error_set (err, RAWVIEW_ERROR_USAGE, 0,
                            "%s: --conversion=none makes nothing %s", d->where,
                            d->format);
    if (check_same_format (im, i, err) == -1 ||
        find_volume (im, d, err) == -1 ||
        dest_look (d, im->disks[i].size, w->force, err) == -1)
      return -1;
  }
  return 0;
}

/*--- The interface ------------------------------------------------------*/

/*--- What is on the disks -----------------------------------------------*/

static void
note_findings (struct import *im, const struct inspect_disk *disks)
{
  const enum machine_firmware seen =
      inspect_firmware (disks, im->machine.n_disks);

  im->system =
      inspect_system_name (inspect_verdict (disks, im->machine.n_disks));
  if (im->firmware == MACHINE_FIRMWARE_UNKNOWN)
    im->firmware = seen;
}

/* Only for those who want to change or to describe the guest. */
static int
inspect (struct import *im, rawview_error *err)
{
  const struct import_wishes *w = im->wishes;
  struct inspect_disk *disks;
  int r;

  if (im->stream || (!w->virtio && w->output_xml == NULL))
    return 0;
  disks = calloc (im->machine.n_disks, sizeof *disks);
  if (disks == NULL)
    return cli_error_errno (err, ENOMEM, "import");
  r = inspect_machine (&im->machine, w->options, w->passed, disks, err);
  if (r == 0)
    note_findings (im, disks);
  for (size_t i = 0; i < im->machine.n_disks; i++)
    inspect_disk_clear (&disks[i]);
  free (disks);
  /* Who wants no drivers can do without. */
  return w->virtio ? r : 0;
}

static void
use_name (struct import *im)
{
  if (im->wishes->name)
    im->machine.name = (char *) im->wishes->name;
}

/* Drivers go into overlays of our own, on files that others can open too. */
static int
check_options (const struct import_wishes *w, rawview_error *err)
{
  static const char *const names[] = { "check=", "fd=", "overlay=",
                                       "overlay-dir=", "snapshot=" };

  for (size_t i = 0; w->virtio && i < w->passed->len; i++)
    for (size_t j = 0; j < CLI_COUNT (names); j++)
      if (strncmp (w->passed->items[i], names[j], strlen (names[j])) == 0)
        return cli_error_set (err, RAWVIEW_ERROR_USAGE, 0,
                              "import: --%s does not go with "
                              "--conversion=virtio; make a copy first with "
                              "\"rawview copy\"",
                              w->passed->items[i]);
  return 0;
}

int
import_analyse (struct import *im, rawview_error *err)
{
  const struct import_wishes *w = im->wishes;

  if (check_options (w, err) == -1 || import_check_xml (im, err) == -1)
    return -1;
  if ((is_piped (w) ? open_pipe (im, err) : open_source (im, err)) == -1)
    return -1;
  use_name (im);
  im->firmware = im->machine.firmware;
  im->disks = calloc (im->machine.n_disks, sizeof *im->disks);
  if (im->disks == NULL)
    return cli_error_errno (err, ENOMEM, "import");
  if (look_at_images (im, err) == -1)
    return -1;
  return look_at_destinations (im, err) == -1 ? -1 : inspect (im, err);
}

void
import_clear (struct import *im)
{
  for (size_t i = 0; im->disks && i < im->machine.n_disks; i++)
    free (im->disks[i].format);
  free (im->disks);
  rawview_stream_close (im->stream);
  machine_clear (&im->piped);
  source_close (im->source);
  dests_clear (&im->dests);
  domain_disconnect (im->libvirt);
  free (im->work_parent);
}
