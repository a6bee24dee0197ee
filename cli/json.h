/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* JSON on stdout, with the key names of qemu-img where it has them. */

#ifndef CLI_JSON_H
#define CLI_JSON_H

#include "cli.h"

/* A JSON value under construction.  The functions that build one exit when
 * memory is short, as nothing has been printed yet.
 */
struct cli_json;

/* All facts about one image of the chain, dots in keys nested; with its
 * snapshots and warnings at depth 0.
 */
struct cli_json *cli_json_image (rawview_image *image, unsigned depth,
                                 rawview_error *err);

struct cli_json *cli_json_array (void);
struct cli_json *cli_json_object (void);

/* These take over the value, and allow none. */
void cli_json_append (struct cli_json *array, struct cli_json *value);
void cli_json_set (struct cli_json *object, const char *key,
                   struct cli_json *value);

void cli_json_set_text (struct cli_json *object, const char *key,
                        const char *text);
void cli_json_set_number (struct cli_json *object, const char *key,
                          uint64_t number);
void cli_json_set_real (struct cli_json *object, const char *key, double real);
void cli_json_set_bool (struct cli_json *object, const char *key, bool value);

void cli_json_free (struct cli_json *value);

/* Prints the value over several lines and frees it. */
void cli_json_print (struct cli_json *value);

/* Prints an object on one line without a newline and frees it: for output that
 * is too long to be kept in memory.
 */
void cli_json_print_line (FILE *out, struct cli_json *value);

/*--- Reading ------------------------------------------------------------*/

/* Parses text, which may be secret: what is wrong with it is told by its line
 * alone, and what is freed is wiped first.  name: of the file, for messages.
 * NULL: *err.
 */
struct cli_json *cli_json_parse (const char *text, size_t len, const char *name,
                                 rawview_error *err);

bool cli_json_is_object (const struct cli_json *value);
bool cli_json_is_array (const struct cli_json *value);

/* What they return lives as long as the value that was parsed.  NULL, 0: there
 * is no such thing, or it is of another type.
 */
const struct cli_json *cli_json_get (const struct cli_json *object,
                                     const char *key);
size_t cli_json_length (const struct cli_json *array);
const struct cli_json *cli_json_at (const struct cli_json *array, size_t i);
const char *cli_json_get_text (const struct cli_json *object, const char *key);
/* False: *number is left as it was. */
bool cli_json_get_number (const struct cli_json *object, const char *key,
                          double *number);

#endif /* CLI_JSON_H */
