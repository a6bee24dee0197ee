/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The libvirt domain of what was imported. */

#include <config.h>

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "import.h"

static struct domain_disk
disk_of (const struct dest *d)
{
  static const enum domain_disk_kind kinds[] = {
    [DEST_FILE] = DOMAIN_DISK_FILE,
    [DEST_BLOCK] = DOMAIN_DISK_BLOCK,
    [DEST_NBD] = DOMAIN_DISK_NBD,
    [DEST_VOLUME] = DOMAIN_DISK_VOLUME,
  };

  return (struct domain_disk){ kinds[d->kind], d->where, d->format };
}

static char *
make_xml (const struct import *im)
{
  const struct import_wishes *w = im->wishes;
  CLEANUP_FREE struct domain_disk *disks = calloc (im->dests.n, sizeof *disks);
  const struct domain_wishes wishes = { .disks = disks,
                                        .networks = w->networks,
                                        .n_networks = w->n_networks,
                                        .virtio = w->virtio,
                                        .firmware = im->firmware,
                                        .type = "kvm" };

  if (disks == NULL)
    exit (cli_failf (RAWVIEW_ERROR_NOMEM, "out of memory"));
  for (size_t i = 0; i < im->dests.n; i++) {
    disks[i] = disk_of (&im->dests.items[i]);
    /* Copied as it is, a disk has the format that it had. */
    if (!w->format && !w->virtio && im->disks[i].format)
      disks[i].format = im->disks[i].format;
  }
  return domain_xml (&im->machine, &wishes);
}

/* Empty, or with the beginning of XML. */
static bool
is_description (const char *name)
{
  const int fd = open (name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
  struct stat st;
  char first = '<';
  bool is = fd != -1 && fstat (fd, &st) == 0 && S_ISREG (st.st_mode) &&
            read (fd, &first, 1) >= 0 && first == '<';

  if (fd != -1)
    close (fd);
  return is;
}

/* One that was there is replaced, and nothing else: not a disk, nor
 * /dev/stdout.
 */
int
import_check_xml (const struct import *im, rawview_error *err)
{
  const char *name = im->wishes->output_xml;

  if (name == NULL || access (name, F_OK) == -1 || is_description (name))
    return 0;
  return cli_error_set (err, RAWVIEW_ERROR_REFUSED, EEXIST,
                        "%s: is there and no XML, so it is not replaced", name);
}

/* What is there may lead elsewhere, if others can write in this folder. */
static FILE *
create (const char *path)
{
  int fd;

  unlink (path);
  fd = open (path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0666);
  return fd != -1 ? fdopen (fd, "w") : NULL;
}

/* Whoever finds the file finds all of it. */
int
import_write_xml (const struct import *im, rawview_error *err)
{
  const char *name = im->wishes->output_xml;
  CLEANUP_FREE char *xml = make_xml (im);
  CLEANUP_FREE char *part = cli_format ("%s.part", name);
  FILE *out;
  bool failed;

  /* It may be a destination. */
  if (import_check_xml (im, err) == -1)
    return -1;
  out = create (part);
  if (out == NULL)
    return cli_error_errno (err, errno, "%s", part);
  failed = fputs (xml, out) == EOF;
  failed = fclose (out) == EOF || failed;
  if (!failed && rename (part, name) == 0)
    return 0;
  cli_error_errno (err, errno ? errno : EIO, "%s", name);
  unlink (part);
  return -1;
}
