/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The configuration file has lines KEY=VALUE, with the names of the options
 * less their "tools-"; empty lines, and lines that begin with '#'.
 */

#include <config.h>

#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "tools-config.h"

#define CONFIG_FILE "/etc/rawview/tools.conf"
#define ROOT_CACHE  "/var/cache/rawview"

enum { DEFAULT_MAX_AGE = 30, MAX_LINE = 4096 };

void
tools_config_clear (struct tools_config *config)
{
  free (config->cache);
  free (config->url);
  free (config->sha256);
  free (config->ca);
  memset (config, 0, sizeof *config);
}

static char *
copy_of (const char *text)
{
  return cli_format ("%s", text);
}

/*--- The file -----------------------------------------------------------*/

static bool
parse_days (const char *text, unsigned *days)
{
  unsigned long value;
  char *end;

  errno = 0;
  value = strtoul (text, &end, 10);
  if (!isdigit ((unsigned char) *text) || *end != '\0' || errno != 0 ||
      value == 0 || value > INT_MAX)
    return false;
  *days = (unsigned) value;
  return true;
}

/* An option has filled it already, or an earlier line. */
static void
set_text (char **field, const char *value)
{
  if (*field == NULL)
    *field = copy_of (value);
}

static bool
set_key (struct tools_config *config, const char *key, const char *value)
{
  unsigned days;

  if (*value == '\0')
    return false;
  if (strcmp (key, "cache") == 0)
    set_text (&config->cache, value);
  else if (strcmp (key, "url") == 0)
    set_text (&config->url, value);
  else if (strcmp (key, "sha256") == 0)
    set_text (&config->sha256, value);
  else if (strcmp (key, "ca") == 0)
    set_text (&config->ca, value);
  else if (strcmp (key, "max-age") == 0 && parse_days (value, &days))
    config->max_age = config->max_age != 0 ? config->max_age : days;
  else
    return false;
  return true;
}

/* Cuts off the white space at both ends. */
static char *
trim (char *text)
{
  char *end;

  while (isspace ((unsigned char) *text))
    text++;
  end = text + strlen (text);
  while (end > text && isspace ((unsigned char) end[-1]))
    end--;
  *end = '\0';
  return text;
}

static bool
take_line (struct tools_config *config, char *line)
{
  char *equals;

  line = trim (line);
  if (*line == '\0' || *line == '#')
    return true;
  equals = strchr (line, '=');
  if (equals == NULL)
    return false;
  *equals = '\0';
  return set_key (config, trim (line), trim (equals + 1));
}

static int
read_lines (FILE *f, const char *path, struct tools_config *config,
            rawview_error *err)
{
  char line[MAX_LINE];

  for (unsigned n = 1; fgets (line, sizeof line, f) != NULL; n++)
    if (strlen (line) == sizeof line - 1 || !take_line (config, line))
      return cli_error_set (
          err, RAWVIEW_ERROR_USAGE, 0,
          "%s: line %u is not url=, sha256=, ca=, cache= or max-age= with a "
          "value",
          path, n);
  if (ferror (f))
    return cli_error_errno (err, errno, "%s", path);
  return 0;
}

static int
read_file (struct tools_config *config, rawview_error *err)
{
  const char *path = getenv ("RAWVIEW_TOOLS_CONF");
  FILE *f;
  int r;

  path = path != NULL && *path != '\0' ? path : CONFIG_FILE;
  f = fopen (path, "re");
  if (f == NULL)
    return errno == ENOENT ? 0 : cli_error_errno (err, errno, "%s", path);
  r = read_lines (f, path, config, err);
  fclose (f);
  return r;
}

/*--- Together -----------------------------------------------------------*/

/* NULL and "" alike mean that nobody said anything. */
static void
set_given (char **field, const char *value)
{
  if (value != NULL && *value != '\0')
    set_text (field, value);
}

static char *
default_cache (void)
{
  const char *xdg = getenv ("XDG_CACHE_HOME"), *home = getenv ("HOME");

  if (geteuid () == 0)
    return copy_of (ROOT_CACHE);
  if (xdg != NULL && xdg[0] == '/')
    return cli_format ("%s/rawview", xdg);
  return cli_format ("%s/.cache/rawview", home != NULL ? home : "");
}

static int
make_absolute (char **path, rawview_error *err)
{
  char *absolute = cli_absolute_path (*path, err);

  if (absolute == NULL)
    return -1;
  free (*path);
  *path = absolute;
  return 0;
}

/* Its files are beside each other, so it is the address of a folder. */
static int
check_url (struct tools_config *config, rawview_error *err)
{
  const char *url = config->url;
  size_t len = strlen (url);

  if (strchr (url, '@') != NULL)
    return cli_error_set (err, RAWVIEW_ERROR_USAGE, 0,
                          "the Windows drivers' URL must have no password: it "
                          "would show in messages");
  if (strncasecmp (url, "http://", 7) == 0 && config->sha256 == NULL)
    return cli_error_set (err, RAWVIEW_ERROR_REFUSED, EPERM,
                          "%s: anybody can change what comes by http: use "
                          "https, or name its checksums (--tools-sha256)",
                          url);
  if (strncasecmp (url, "http://", 7) != 0 &&
      strncasecmp (url, "https://", 8) != 0)
    return cli_error_set (err, RAWVIEW_ERROR_USAGE, 0,
                          "%s: the Windows drivers' URL must be https://...",
                          url);
  if (strpbrk (url, "?#") != NULL)
    return cli_error_set (err, RAWVIEW_ERROR_USAGE, 0,
                          "%s: the Windows drivers' URL must be that of a "
                          "folder, without ? and #",
                          url);
  while (len > 0 && url[len - 1] == '/')
    config->url[--len] = '\0';
  return 0;
}

int
tools_config_read (const struct windows_tools_options *options,
                   struct tools_config *config, rawview_error *err)
{
  memset (config, 0, sizeof *config);
  set_given (&config->cache, options->cache);
  set_given (&config->url, options->url);
  set_given (&config->url, getenv ("RAWVIEW_TOOLS_URL"));
  set_given (&config->sha256, options->sha256);
  set_given (&config->ca, options->ca);
  config->max_age = options->max_age;
  if (read_file (config, err) == -1)
    return -1;
  if (config->cache == NULL)
    config->cache = default_cache ();
  if (config->max_age == 0)
    config->max_age = DEFAULT_MAX_AGE;
  if (make_absolute (&config->cache, err) == -1)
    return -1;
  return config->url != NULL ? check_url (config, err) : 0;
}
