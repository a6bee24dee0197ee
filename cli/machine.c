/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <config.h>

#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "machine.h"

/* File names have 255 bytes, and something is added to these. */
#define NAME_MAX_BYTES 200u

/*--- Lists --------------------------------------------------------------*/

static void *
grow (void *items, size_t n, size_t size)
{
  void *grown = reallocarray (items, n + 1, size);

  if (grown == NULL)
    exit (cli_failf (RAWVIEW_ERROR_NOMEM, "out of memory"));
  memset ((char *) grown + n * size, 0, size);
  return grown;
}

struct machine_disk *
machine_add_disk (struct machine *m)
{
  m->disks = grow (m->disks, m->n_disks, sizeof *m->disks);
  return &m->disks[m->n_disks++];
}

struct machine_nic *
machine_add_nic (struct machine *m)
{
  m->nics = grow (m->nics, m->n_nics, sizeof *m->nics);
  return &m->nics[m->n_nics++];
}

void
machine_clear (struct machine *m)
{
  for (size_t i = 0; i < m->n_disks; i++) {
    free (m->disks[i].source);
    cli_list_free (&m->disks[i].options);
    free (m->disks[i].name);
  }
  for (size_t i = 0; i < m->n_nics; i++) {
    free (m->nics[i].network);
    free (m->nics[i].mac);
    free (m->nics[i].model);
  }
  free (m->disks);
  free (m->nics);
  free (m->name);
  free (m->os);
  *m = (struct machine){ 0 };
}

/*--- Options ------------------------------------------------------------*/

static int
set_option (rawview_options *options, const char *text, rawview_error *err)
{
  CLEANUP_FREE char *name = cli_format ("%s", text);
  char *value = strchr (name, '=');

  if (value == NULL)
    return cli_error_set (err, RAWVIEW_ERROR_USAGE, 0, "%s: not NAME=VALUE",
                          text);
  *value++ = '\0';
  return rawview_options_set (options, name, value, err);
}

rawview_options *
machine_disk_options (const struct machine_disk *disk,
                      const rawview_options *user, rawview_error *err)
{
  rawview_options *options =
      user != NULL ? rawview_options_dup (user) : rawview_options_new ();

  if (options == NULL) {
    cli_error_set (err, RAWVIEW_ERROR_NOMEM, 0, "out of memory");
    return NULL;
  }
  for (size_t i = 0; i < disk->options.len; i++)
    if (set_option (options, disk->options.items[i], err) == -1) {
      rawview_options_free (options);
      return NULL;
    }
  return options;
}

/*--- Text of strangers --------------------------------------------------*/

bool
machine_is_utf8 (const char *text)
{
  for (size_t len; *text != '\0'; text += len)
    if ((len = cli_utf8_length (text)) == 0)
      return false;
  return true;
}

/* Whitespace at the ends goes, and between words it is a space. */
char *
machine_clean_text (const char *text)
{
  char *clean, *out;

  while (isspace ((unsigned char) *text))
    text++;
  clean = out = cli_format ("%s", text);
  for (size_t len; *text != '\0'; text += len) {
    len = cli_utf8_length (text);
    if (len > 0 && cli_is_printable (text, len)) {
      memcpy (out, text, len);
      out += len;
      continue;
    }
    *out++ = isspace ((unsigned char) *text) ? ' ' : '?';
    len = len > 0 ? len : 1;
  }
  while (out > clean && out[-1] == ' ')
    out--;
  *out = '\0';
  return clean;
}

static void
cut_utf8 (char *text, size_t max)
{
  size_t len = strlen (text);

  if (len <= max)
    return;
  for (len = max; len > 0 && ((unsigned char) text[len] & 0xc0) == 0x80;)
    len--;
  text[len] = '\0';
}

char *
machine_clean_name (const char *text, const char *instead)
{
  char *name = machine_clean_text (text);

  for (char *p = name; *p != '\0'; p++)
    if (*p == '/' || *p == '\\' || *p == ':' || (p == name && *p == '.') ||
        (p == name && *p == '-'))
      *p = '_';
  cut_utf8 (name, NAME_MAX_BYTES);
  if (*name != '\0')
    return name;
  free (name);
  return cli_format ("%s", instead);
}

char *
machine_name_of_file (const char *path)
{
  CLEANUP_FREE char *base = cli_format ("%s", cli_base_name (path));
  char *dot = strrchr (base, '.');

  if (dot != NULL && dot != base)
    *dot = '\0';
  return machine_clean_name (base, "guest");
}

char *
machine_parse_mac (const char *text)
{
  unsigned b[6];
  int end = 0;

  if (text == NULL ||
      sscanf (text, "%2x%*1[:-]%2x%*1[:-]%2x%*1[:-]%2x%*1[:-]%2x%*1[:-]%2x%n",
              &b[0], &b[1], &b[2], &b[3], &b[4], &b[5], &end) != 6 ||
      end != 17 || text[end] != '\0')
    return NULL;
  return cli_format ("%02x:%02x:%02x:%02x:%02x:%02x", b[0], b[1], b[2], b[3],
                     b[4], b[5]);
}

/*--- Names of disks -----------------------------------------------------*/

static bool
is_taken (const struct machine *m, size_t n, const char *name)
{
  for (size_t i = 0; i < n; i++)
    if (strcasecmp (m->disks[i].name, name) == 0)
      return true;
  return false;
}

void
machine_name_disks (struct machine *m)
{
  for (size_t i = 0; i < m->n_disks; i++) {
    struct machine_disk *d = &m->disks[i];
    const char *slash = strrchr (d->name != NULL ? d->name : "", '/');
    char *name = machine_clean_name (slash != NULL     ? slash + 1
                                     : d->name != NULL ? d->name
                                                       : "",
                                     "disk");
    char *unique = cli_format ("%s", name);

    for (unsigned n = 2; is_taken (m, i, unique); n++) {
      free (unique);
      unique = cli_format ("%u-%s", n, name);
    }
    free (name);
    free (d->name);
    d->name = unique;
  }
}
