/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <config.h>

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "log.h"
#include "writers.h"

struct writer {
  struct writer *next;
  rawview_image *image; /* with a reference of ours */
  unsigned clients;
  bool keep;
};

/* Why an image is read-only, as it was logged.  The reason names the file. */
struct refusal {
  struct refusal *next;
  char *msg;
};

/* Held while an image is opened or ended: nobody may be given a handle whose
 * writing is just being ended.
 */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct writer *writers;
static struct refusal *refusals;

static struct writer **
find_writer (const rawview_image *image)
{
  struct writer **p = &writers;

  while (*p != NULL && (*p)->image != image)
    p = &(*p)->next;
  return p;
}

static int
out_of_memory (rawview_error *err)
{
  *err = (rawview_error){ .kind = RAWVIEW_ERROR_NOMEM, .errnum = ENOMEM };
  snprintf (err->msg, sizeof err->msg, "out of memory");
  return -1;
}

/*--- Refusals -----------------------------------------------------------*/

/* Was this not said before?  Out of memory, it is said again. */
static bool
note_refusal (const char *msg)
{
  struct refusal *r = refusals;

  while (r != NULL && strcmp (r->msg, msg) != 0)
    r = r->next;
  if (r != NULL)
    return false;
  r = malloc (sizeof *r);
  if (r != NULL && (r->msg = strdup (msg)) != NULL) {
    r->next = refusals;
    refusals = r;
  }
  else
    free (r);
  return true;
}

static void
log_refusal (const char *name, const char *msg)
{
  char *line;

  if (!note_refusal (msg) ||
      asprintf (&line, "export \"%s\" is read-only: %s", name, msg) == -1)
    return;
  log_line (line);
  free (line);
}

/*--- Writers ------------------------------------------------------------*/

/* One more client writes to the image. */
static int
count_client (rawview_image *image, bool keep, rawview_error *err)
{
  struct writer **p = find_writer (image);

  if (*p == NULL) {
    *p = calloc (1, sizeof **p);
    if (*p == NULL)
      return out_of_memory (err);
    (*p)->image = rawview_ref (image);
    (*p)->keep = keep;
  }
  (*p)->clients++;
  return 0;
}

/* For one client, whose wish is fulfilled as far as it can be. */
static int
make_writable (rawview_image *image, const struct writers_wish *wish,
               bool *writes, rawview_error *err)
{
  if (rawview_make_writable (image, err) == 0) {
    *writes = true;
    return count_client (image, wish->keep, err);
  }
  if (wish->required)
    return -1;
  log_refusal (wish->name, err->msg);
  return 0;
}

int
writers_open (rawview_exports *exports, const struct writers_wish *wish,
              rawview_image **image, bool *writes, rawview_error *err)
{
  int r;

  *writes = false;
  pthread_mutex_lock (&lock);
  r = rawview_exports_open (exports, wish->name, image, err);
  if (r == 0 && wish->writes) {
    r = make_writable (*image, wish, writes, err);
    if (r == -1)
      rawview_close (*image);
  }
  pthread_mutex_unlock (&lock);
  return r;
}

/* Takes the writer out of the list. */
static void
end_writer (struct writer **p)
{
  struct writer *w = *p;
  rawview_error err;

  *p = w->next;
  if (rawview_finish (w->image, &err) == -1)
    log_line (err.msg);
  rawview_close (w->image);
  free (w);
}

static int
end_list (void *opaque, const rawview_export *e)
{
  return 1;
}

/* Has a folder let go of handles that nobody else has, and so of their locks,
 * by reading it.  What is wrong with it is for the next client to hear.
 */
static void
let_go (rawview_exports *exports)
{
  rawview_exports_list (exports, end_list, NULL, NULL);
}

void
writers_close (rawview_exports *exports, rawview_image *image, bool writes)
{
  bool ended = false;

  pthread_mutex_lock (&lock);
  if (writes) {
    struct writer **p = find_writer (image);

    ended = --(*p)->clients == 0 && !(*p)->keep;
    if (ended)
      end_writer (p);
  }
  rawview_close (image);
  if (ended)
    let_go (exports);
  pthread_mutex_unlock (&lock);
}

void
writers_finish (void)
{
  struct refusal *r;

  while (writers != NULL)
    end_writer (&writers);
  while ((r = refusals) != NULL) {
    refusals = r->next;
    free (r->msg);
    free (r);
  }
}
