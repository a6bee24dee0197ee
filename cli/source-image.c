/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Images, and archives of them. */

#include <config.h>

#include <errno.h>
#include <string.h>

#include "ovf.h"
#include "source-parts.h"

/*--- Looking ------------------------------------------------------------*/

void
source_entries_free (struct source_entries *entries)
{
  for (size_t i = 0; i < entries->len; i++) {
    free (entries->items[i].name);
    free (entries->items[i].member);
  }
  free (entries->items);
  *entries = (struct source_entries){ 0 };
}

static int
add_entry (void *opaque, const rawview_export *e)
{
  struct source_entries *entries = opaque;
  struct source_entry *grown =
      reallocarray (entries->items, entries->len + 1, sizeof *entries->items);

  if (grown == NULL)
    exit (cli_failf (RAWVIEW_ERROR_NOMEM, "out of memory"));
  entries->items = grown;
  grown[entries->len++] = (struct source_entry){
    .name = cli_format ("%s", e->name),
    .size = e->size,
  };
  return 0;
}

/* With an overlay the import is what lies below it, at the end. */
static const char *
import_name (const rawview_image *image)
{
  return cli_fact_text (image, (unsigned) rawview_get_depth (image) - 1,
                        "filename");
}

/* A member's image is called after archive and member. */
static int
find_member (rawview_exports *exports, const char *source,
             struct source_entry *entry, rawview_error *err)
{
  CLEANUP_IMAGE rawview_image *image = NULL;
  const char *filename;
  const size_t len = strlen (source);

  if (rawview_exports_open (exports, entry->name, &image, err) == -1)
    return -1;
  filename = import_name (image);
  if (strncmp (filename, source, len) == 0 && filename[len] == ':')
    entry->member = cli_format ("%s", filename + len + 1);
  return 0;
}

int
source_look (const char *source, const rawview_options *options,
             struct source_entries *entries, rawview_error *err)
{
  CLEANUP_EXPORTS rawview_exports *exports = rawview_exports_new ();

  if (exports == NULL)
    return cli_error_set (err, RAWVIEW_ERROR_NOMEM, ENOMEM, "out of memory");
  if (rawview_exports_add_source (exports, NULL, source, options, err) == -1 ||
      rawview_exports_list (exports, add_entry, entries, err) == -1)
    return -1;
  for (size_t i = 0; i < entries->len; i++)
    if (find_member (exports, source, &entries->items[i], err) == -1)
      return -1;
  return 0;
}

struct machine_disk *
source_add_entry (struct machine *m, const char *source,
                  const struct source_entry *entry)
{
  struct machine_disk *disk = machine_add_disk (m);

  disk->source = cli_format ("%s", source);
  disk->size = entry->size;
  disk->name =
      cli_format ("%s", entry->member != NULL ? entry->member : entry->name);
  if (entry->member != NULL)
    cli_list_add (&disk->options, cli_format ("disk=%s", entry->member));
  return disk;
}

/*--- Archives with a description ----------------------------------------*/

static const struct source_entry *
find_entry (const struct source_entries *entries, const char *href)
{
  while (strncmp (href, "./", 2) == 0)
    href += 2;
  for (size_t i = 0; i < entries->len; i++) {
    const struct source_entry *e = &entries->items[i];

    if (e->member != NULL && strcmp (cli_base_name (e->member), href) == 0)
      return e;
  }
  return NULL;
}

static const struct source_entry *
find_referenced (const struct source_entries *entries, const char *href)
{
  CLEANUP_FREE char *decoded = ovf_decode_reference (href);
  const struct source_entry *e = find_entry (entries, href);

  return e != NULL ? e : find_entry (entries, decoded);
}

/* The disks of m have been described; now it is said what they are. */
static int
add_described (struct machine *m, const char *source,
               const struct machine *described,
               const struct source_entries *entries, rawview_error *err)
{
  for (size_t i = 0; i < described->n_disks; i++) {
    const struct machine_disk *d = &described->disks[i];
    const struct source_entry *e = find_referenced (entries, d->name);
    CLEANUP_FREE char *shown = machine_clean_text (d->name);

    if (e == NULL)
      return cli_error_set (err, RAWVIEW_ERROR_CORRUPT, 0,
                            "%s: its description names the disk \"%.100s\", "
                            "which is not one of the VMDK disks in the archive",
                            source, shown);
    source_add_entry (m, source, e)->bus = d->bus;
  }
  return 0;
}

/* With the option disk= there is one entry, which is called otherwise than the
 * member that was chosen.
 */
static bool
was_chosen (const struct source_entries *entries)
{
  const struct source_entry *e = &entries->items[0];

  return entries->len == 1 && e->member != NULL &&
         strcmp (e->name, cli_base_name (e->member)) != 0;
}

static void
add_all (struct machine *m, const char *source,
         const struct source_entries *entries)
{
  for (size_t i = 0; i < entries->len; i++)
    source_add_entry (m, source, &entries->items[i]);
}

/* Puts the chosen disk on the bus where the description has it. */
static void
add_chosen (struct machine *m, const char *source,
            const struct machine *described,
            const struct source_entries *entries)
{
  struct machine_disk *disk = source_add_entry (m, source, &entries->items[0]);

  for (size_t i = 0; i < described->n_disks; i++)
    if (find_referenced (entries, described->disks[i].name) != NULL)
      disk->bus = described->disks[i].bus;
}

static int
add_archive (struct machine *m, const char *source, const char *text,
             size_t len, const struct source_entries *entries,
             rawview_error *err)
{
  struct machine described = { 0 };
  int r;

  if (ovf_parse (source, text, len, m, err) == -1)
    return -1;
  /* Its disks are only names so far. */
  described.disks = m->disks;
  described.n_disks = m->n_disks;
  m->disks = NULL;
  m->n_disks = 0;
  r = 0;
  if (was_chosen (entries))
    add_chosen (m, source, &described, entries);
  else if (described.n_disks == 0)
    add_all (m, source, entries);
  else
    r = add_described (m, source, &described, entries, err);
  machine_clear (&described);
  return r;
}

int
source_add_image (struct machine *m, const char *source,
                  const rawview_options *options, rawview_error *err)
{
  struct source_entries entries = { 0 };
  CLEANUP_FREE char *text = NULL;
  size_t len;
  int r = source_look (source, options, &entries, err);

  if (r == 0)
    r = rawview_read_ovf (source, options, &text, &len, err);
  if (r == 0 && text != NULL)
    r = add_archive (m, source, text, len, &entries, err);
  else if (r == 0)
    add_all (m, source, &entries);
  source_entries_free (&entries);
  return r;
}

/*--- Sizes --------------------------------------------------------------*/

int
source_find_sizes (struct machine *m, const rawview_options *options,
                   rawview_error *err)
{
  for (size_t i = 0; i < m->n_disks; i++) {
    struct machine_disk *disk = &m->disks[i];
    CLEANUP_IMAGE rawview_image *image = NULL;
    rawview_options *o;
    int r;

    if (disk->size > 0)
      continue;
    o = machine_disk_options (disk, options, err);
    if (o == NULL)
      return -1;
    r = rawview_open (disk->source, o, &image, err);
    rawview_options_free (o);
    if (r == -1)
      return -1;
    disk->size = rawview_get_size (image);
  }
  return 0;
}
