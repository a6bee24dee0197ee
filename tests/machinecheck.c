/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* machinecheck [set=NAME=VALUE] [password-file=FILE] [copy=DIR] [wait]
 *              SOURCE...
 *
 * What guest a source is, as the commands about guests see it; copy: each disk,
 * raw, in a file of the disk's name in DIR; wait: until stdin ends.
 */

#include <config.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "checktool.h"
#include "source.h"

const char checktool_name[] = "machinecheck";

static void
fail (const rawview_error *err)
{
  fprintf (stderr, "machinecheck: %s: %s\n",
           rawview_error_kind_name (err->kind), err->msg);
  exit (1);
}

static const char *
shown (const char *text)
{
  return text != NULL ? text : "-";
}

static void
show_disk (const struct machine_disk *d)
{
  static const char *const buses[] = { "unknown", "ide",  "sata",
                                       "scsi",    "nvme", "virtio" };

  printf ("disk: %s %s %ju %s", d->name, buses[d->bus], (uintmax_t) d->size,
          d->source);
  for (size_t i = 0; i < d->options.len; i++)
    printf (" %s", d->options.items[i]);
  putchar ('\n');
}

static void
show (const struct machine *m)
{
  static const char *const firmware[] = { "unknown", "bios", "uefi" };

  printf ("name: %s\nmemory: %ju\ncpus: %u\nfirmware: %s%s\nos: %s\n", m->name,
          (uintmax_t) m->memory, m->cpus, firmware[m->firmware],
          m->secure_boot ? " secure" : "", shown (m->os));
  for (size_t i = 0; i < m->n_disks; i++)
    show_disk (&m->disks[i]);
  for (size_t i = 0; i < m->n_nics; i++)
    printf ("nic: %s %s %s\n", shown (m->nics[i].network),
            shown (m->nics[i].mac), shown (m->nics[i].model));
}

static void
copy_image (rawview_image *image, const char *path)
{
  static char buf[1 << 20];
  FILE *out = fopen (path, "wx");
  rawview_error err;

  if (out == NULL)
    die ("%s cannot be made", path);
  for (uint64_t off = 0, n; off < rawview_get_size (image); off += n) {
    n = rawview_get_size (image) - off;
    n = n < sizeof buf ? n : sizeof buf;
    if (rawview_pread (image, buf, n, off, &err) == -1)
      fail (&err);
    if (fwrite (buf, 1, n, out) != n)
      die ("%s cannot be written", path);
  }
  if (fclose (out) != 0)
    die ("%s cannot be written", path);
}

static void
copy (const struct machine *m, const rawview_options *user, const char *dir)
{
  for (size_t i = 0; i < m->n_disks; i++) {
    CLEANUP_FREE char *path = cli_format ("%s/%s", dir, m->disks[i].name);
    CLEANUP_IMAGE rawview_image *image = NULL;
    rawview_error err;
    rawview_options *options = machine_disk_options (&m->disks[i], user, &err);

    if (options == NULL ||
        rawview_open (m->disks[i].source, options, &image, &err) == -1)
      fail (&err);
    copy_image (image, path);
    rawview_options_free (options);
  }
}

int
main (int argc, char *argv[])
{
  rawview_options *options = rawview_options_new ();
  const char *password_file = NULL, *dir = NULL;
  bool wait = false, ended;
  struct source *source;
  rawview_error err;
  int i;

  for (i = 1; i < argc; i++)
    if (strncmp (argv[i], "set=", 4) == 0)
      set_option (options, argv[i] + 4);
    else if (strncmp (argv[i], "password-file=", 14) == 0)
      password_file = argv[i] + 14;
    else if (strncmp (argv[i], "copy=", 5) == 0)
      dir = argv[i] + 5;
    else if (strcmp (argv[i], "wait") == 0)
      wait = true;
    else
      break;
  if (source_open (argv + i, (size_t) (argc - i), options, password_file,
                   &source, &err) == -1)
    fail (&err);
  show (source_machine (source));
  if (dir != NULL)
    copy (source_machine (source), options, dir);
  fflush (stdout);
  while (wait && getchar () != EOF)
    ;
  ended = source_check (source, &err) == -1;
  source_close (source);
  rawview_options_free (options);
  if (ended)
    fail (&err);
  return 0;
}
