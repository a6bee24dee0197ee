/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The only user of jansson.  struct cli_json is a json_t. */

#include <config.h>

#include <ctype.h>
#include <malloc.h>
#include <string.h>

#include <jansson.h>

#include "json.h"

static json_t *
inner (struct cli_json *value)
{
  return (json_t *) value;
}

static json_t *
checked (json_t *value)
{
  if (value == NULL)
    exit (cli_failf (RAWVIEW_ERROR_NOMEM, "out of memory"));
  return value;
}

static void
check (int r)
{
  if (r != 0)
    exit (cli_failf (RAWVIEW_ERROR_NOMEM, "out of memory"));
}

struct cli_json *
cli_json_array (void)
{
  return (struct cli_json *) checked (json_array ());
}

struct cli_json *
cli_json_object (void)
{
  return (struct cli_json *) checked (json_object ());
}

void
cli_json_append (struct cli_json *array, struct cli_json *value)
{
  if (value != NULL)
    check (json_array_append_new (inner (array), inner (value)));
}

void
cli_json_set (struct cli_json *object, const char *key, struct cli_json *value)
{
  if (value != NULL)
    check (json_object_set_new (inner (object), key, inner (value)));
}

/* File names may be any bytes; JSON is UTF-8, so the others become '?'. */
static json_t *
text_value (const char *text)
{
  CLEANUP_FREE char *ascii = NULL;
  json_t *value = json_string (text);

  if (value != NULL)
    return value;
  ascii = cli_format ("%s", text);
  for (char *p = ascii; *p != '\0'; p++)
    if (!isascii ((unsigned char) *p))
      *p = '?';
  return checked (json_string (ascii));
}

/* JSON numbers are signed here; what does not fit is only ever wrong. */
static json_t *
number_value (uint64_t number)
{
  return checked (
      json_integer (number > INT64_MAX ? INT64_MAX : (json_int_t) number));
}

void
cli_json_set_text (struct cli_json *object, const char *key, const char *text)
{
  check (json_object_set_new (inner (object), key, text_value (text)));
}

void
cli_json_set_number (struct cli_json *object, const char *key, uint64_t number)
{
  check (json_object_set_new (inner (object), key, number_value (number)));
}

void
cli_json_set_real (struct cli_json *object, const char *key, double real)
{
  check (json_object_set_new (inner (object), key, json_real (real)));
}

void
cli_json_set_bool (struct cli_json *object, const char *key, bool value)
{
  check (json_object_set_new (inner (object), key, json_boolean (value)));
}

void
cli_json_free (struct cli_json *value)
{
  json_decref (inner (value));
}

void
cli_json_print (struct cli_json *value)
{
  json_dumpf (inner (value), stdout, JSON_INDENT (4));
  putchar ('\n');
  json_decref (inner (value));
}

void
cli_json_print_line (FILE *out, struct cli_json *value)
{
  /* Six digits suffice for a percentage. */
  json_dumpf (inner (value), out, JSON_REAL_PRECISION (6));
  json_decref (inner (value));
}

/*--- Facts --------------------------------------------------------------*/

static json_t *
fact_value (const rawview_fact *fact)
{
  switch (fact->type) {
  case RAWVIEW_FACT_TEXT:
    return text_value (fact->text);
  case RAWVIEW_FACT_NUMBER:
    return number_value (fact->number);
  case RAWVIEW_FACT_BOOL:
    return json_boolean (fact->number != 0);
  }
  return json_null ();
}

static json_t *
get_child (json_t *parent, const char *name)
{
  return json_is_array (parent)
             ? json_array_get (parent, strtoul (name, NULL, 10))
             : json_object_get (parent, name);
}

/* Array elements come in order, so that a new one is always the next. */
static void
set_child (json_t *parent, const char *name, json_t *value)
{
  check (json_is_array (parent) ? json_array_append_new (parent, value)
                                : json_object_set_new (parent, name, value));
}

/* "a.b.0.c" names c in the first element of the array b in a. */
static void
set_nested (json_t *object, const rawview_fact *fact)
{
  CLEANUP_FREE char *key = cli_format ("%s", fact->key);
  char *name = key, *dot;
  json_t *child;

  while ((dot = strchr (name, '.')) != NULL) {
    *dot = '\0';
    child = get_child (object, name);
    if (child == NULL) {
      child = checked (isdigit ((unsigned char) dot[1]) ? json_array ()
                                                        : json_object ());
      set_child (object, name, child);
    }
    object = child;
    name = dot + 1;
  }
  set_child (object, name, fact_value (fact));
}

static int
add_snapshot (void *opaque, const rawview_snapshot *s)
{
  json_t *o = checked (json_object ());
  struct cli_json *value = (struct cli_json *) o;

  cli_json_set_text (value, "id", s->id);
  cli_json_set_text (value, "name", s->name);
  cli_json_set_number (value, "vm-state-size", s->vm_state_size);
  cli_json_set_number (value, "virtual-size", s->virtual_size);
  cli_json_set_number (value, "date-sec", s->date_sec);
  cli_json_set_number (value, "date-nsec", s->date_nsec);
  cli_json_set_number (value, "vm-clock-sec", s->vm_clock_nsec / 1000000000);
  cli_json_set_number (value, "vm-clock-nsec", s->vm_clock_nsec % 1000000000);
  check (json_array_append_new (opaque, o));
  return 0;
}

static int
set_snapshots (json_t *object, rawview_image *image, rawview_error *err)
{
  json_t *snapshots = checked (json_array ());

  if (rawview_snapshots (image, add_snapshot, snapshots, err) == -1) {
    json_decref (snapshots);
    return -1;
  }
  if (json_array_size (snapshots) == 0)
    json_decref (snapshots);
  else
    check (json_object_set_new (object, "snapshots", snapshots));
  return 0;
}

static void
set_warnings (json_t *object, const rawview_image *image)
{
  json_t *warnings = checked (json_array ());
  const char *text;

  for (size_t i = 0; (text = rawview_get_warning (image, i)) != NULL; i++)
    check (json_array_append_new (warnings, text_value (text)));
  if (json_array_size (warnings) == 0)
    json_decref (warnings);
  else
    check (json_object_set_new (object, "warnings", warnings));
}

struct cli_json *
cli_json_image (rawview_image *image, unsigned depth, rawview_error *err)
{
  json_t *object = checked (json_object ());
  const rawview_fact *fact;

  for (size_t i = 0; (fact = rawview_get_fact (image, depth, i)) != NULL; i++)
    set_nested (object, fact);
  if (depth > 0)
    return (struct cli_json *) object;
  if (set_snapshots (object, image, err) == -1) {
    json_decref (object);
    return NULL;
  }
  set_warnings (object, image);
  return (struct cli_json *) object;
}

/*--- Reading ------------------------------------------------------------*/

static void
wipe_and_free (void *p)
{
  if (p != NULL)
    explicit_bzero (p, malloc_usable_size (p));
  free (p);
}

static const json_t *
inner_const (const struct cli_json *value)
{
  return (const json_t *) value;
}

struct cli_json *
cli_json_parse (const char *text, size_t len, const char *name,
                rawview_error *err)
{
  json_error_t wrong;
  json_t *value;

  /* What was allocated before is from malloc too. */
  json_set_alloc_funcs (malloc, wipe_and_free);
  value = json_loadb (text, len, JSON_REJECT_DUPLICATES, &wrong);
  /* Its own sentence quotes the text. */
  if (value == NULL && json_error_code (&wrong) == json_error_out_of_memory)
    cli_error_set (err, RAWVIEW_ERROR_NOMEM, 0, "out of memory");
  else if (value == NULL)
    cli_error_set (err, RAWVIEW_ERROR_FORMAT, 0,
                   "%s: line %d: this is not JSON, or it has a key twice", name,
                   wrong.line);
  explicit_bzero (&wrong, sizeof wrong);
  return (struct cli_json *) value;
}

bool
cli_json_is_object (const struct cli_json *value)
{
  return json_is_object (inner_const (value));
}

bool
cli_json_is_array (const struct cli_json *value)
{
  return json_is_array (inner_const (value));
}

const struct cli_json *
cli_json_get (const struct cli_json *object, const char *key)
{
  return (struct cli_json *) json_object_get (inner_const (object), key);
}

size_t
cli_json_length (const struct cli_json *array)
{
  return json_array_size (inner_const (array));
}

const struct cli_json *
cli_json_at (const struct cli_json *array, size_t i)
{
  return (struct cli_json *) json_array_get (inner_const (array), i);
}

const char *
cli_json_get_text (const struct cli_json *object, const char *key)
{
  return json_string_value (json_object_get (inner_const (object), key));
}

bool
cli_json_get_number (const struct cli_json *object, const char *key,
                     double *number)
{
  const json_t *value = json_object_get (inner_const (object), key);

  if (!json_is_number (value))
    return false;
  *number = json_number_value (value);
  return true;
}
