/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Images that come from a pipe.
 *
 * One thread at a time takes the next grain, still compressed, from the pipe,
 * and decodes it when the lock is free for the next thread: so the pipe is read
 * while grains are decoded, and memory is bounded by the threads.
 */

#include <config.h>

#include <errno.h>
#include <string.h>

#include "engine/codec.h"
#include "format/ova-pass.h"
#include "format/vmdk-pass.h"
#include "format/vmdk-stream.h"
#include "options.h"
#include "probe.h"
#include "util/error.h"
#include "util/text.h"

struct rawview_stream {
  struct rv_pipe pipe;
  struct rv_codecs *codecs;
  rawview_options *opts;

  pthread_mutex_t lock; /* guards what follows, once open */
  bool is_ova;
  struct rv_ova_pass ova;
  struct rv_vmdk_pass pass;
  bool ended;
  bool failed;
  rawview_error error; /* the first, which all later calls get */
};

/*--- Opening ------------------------------------------------------------*/

/* Options that would be without effect, but not without meaning. */
static int
check_options (const rawview_options *o, const char *name, rawview_error *err)
{
  const char *wrong = o->snapshot                   ? "snapshot"
                      : o->parent                   ? "parent"
                      : o->data_file                ? "data-file"
                      : rv_options_have_overlay (o) ? "overlay"
                      : o->fd != -1                 ? "fd"
                                                    : NULL;

  if (wrong)
    return rv_error_usage (err, "%s: %s= is not possible with a pipe", name,
                           wrong);
  if (o->format && o->format != &rv_format_vmdk)
    return rv_error_usage (err,
                           "%s: only streamOptimized VMDK and OVA can be read "
                           "from a pipe, not format=%s",
                           name, o->format->name);
  return 0;
}

static int
refuse (const char *name, const struct rv_probe_result *probe,
        rawview_error *err)
{
  if (probe->second)
    return rv_error_refused (err,
                             "%s: looks like two formats at once, one of "
                             "them is %s",
                             name, probe->second);
  if (probe->format == &rv_format_vmdk)
    return rv_error_unsupported (
        err,
        "%s: a VMDK descriptor, whose disk is in other files that a pipe "
        "does not bring; give the name of the descriptor's file",
        name);
  if (probe->format)
    return rv_error_unsupported (
        err,
        "%s: %s cannot be read from a pipe, as its tables may be anywhere in "
        "the file; save it as a file, or give an NBD URI to read it where it "
        "is",
        name, probe->format->name);
  if (probe->foreign && !probe->raw_disk)
    return rv_error_unsupported (err,
                                 "%s: this is a %s file; a pipe must bring a "
                                 "streamOptimized VMDK or an OVA",
                                 name, probe->foreign);
  return rv_error_format (err,
                          "%s: neither VMDK nor OVA; a raw disk needs no "
                          "conversion, and no other format can be read from a "
                          "pipe",
                          name);
}

static int
recognise (rawview_stream *s, rawview_error *err)
{
  struct rv_probe_result probe;
  struct rv_view head;

  if (rv_pipe_peek (&s->pipe, RV_PROBE_HEAD, &head, err) == -1)
    return -1;
  if (head.len == 0)
    return rv_error_format (err, "%s: is empty: has its sender failed?",
                            s->pipe.name);
  rv_probe_head (head, &probe);
  s->is_ova = probe.ova && s->opts->format == NULL && !probe.second;
  if (s->is_ova || (s->opts->format && rv_vmdk_header_probe (head)) ||
      (!probe.second && rv_vmdk_header_probe (head)))
    return 0;
  return refuse (s->pipe.name, &probe, err);
}

static int
open_member (rawview_stream *s, rawview_error *err)
{
  CLEANUP_FREE char *name = NULL;
  struct rv_view head;
  uint64_t len;

  if (rv_ova_pass_init (&s->ova, &s->pipe, s->opts->disk, err) == -1 ||
      rv_ova_pass_find (&s->ova, &len, err) == -1)
    return -1;
  name = rv_text_format ("%s:%s", s->pipe.name, s->ova.chosen);
  if (name == NULL)
    return rv_error_nomem (err);
  if (rv_pipe_peek (&s->pipe, RV_VMDK_HEADER_LEN, &head, err) == -1)
    return -1;
  if (!rv_vmdk_header_probe (head))
    return rv_error_unsupported (
        err,
        "%s: only streamOptimized VMDKs can be read from a pipe, and this "
        "is something else; save the archive as a file and copy that",
        name);
  return rv_vmdk_pass_open (&s->pass, &s->pipe, name, len, s->opts->max_size,
                            err);
}

static int
open_stream (rawview_stream *s, rawview_error *err)
{
  if (check_options (s->opts, s->pipe.name, err) == -1 ||
      recognise (s, err) == -1 || rv_codecs_new (&s->codecs, err) == -1)
    return -1;
  if (s->is_ova)
    return open_member (s, err);
  if (s->opts->disk)
    return rv_error_usage (
        err, "%s: disk= is for OVA archives, which this is not", s->pipe.name);
  return rv_vmdk_pass_open (&s->pass, &s->pipe, s->pipe.name, UINT64_MAX,
                            s->opts->max_size, err);
}

int
rawview_stream_open (int fd, const char *name, const rawview_options *opts,
                     rawview_stream **stream, rawview_error *err)
{
  rawview_stream *s = calloc (1, sizeof *s);

  if (s == NULL)
    return rv_error_nomem (err);
  if (rv_pipe_init (&s->pipe, fd, name, err) == -1) {
    free (s);
    return -1;
  }
  pthread_mutex_init (&s->lock, NULL);
  s->opts = opts ? rawview_options_dup (opts) : rawview_options_new ();
  if ((s->opts ? open_stream (s, err) : rv_error_nomem (err)) == -1) {
    rawview_stream_close (s);
    return -1;
  }
  *stream = s;
  return 0;
}

void
rawview_stream_close (rawview_stream *s)
{
  if (s == NULL)
    return;
  rv_vmdk_pass_release (&s->pass);
  rv_ova_pass_release (&s->ova);
  rv_codecs_free (s->codecs);
  rawview_options_free (s->opts);
  pthread_mutex_destroy (&s->lock);
  rv_pipe_release (&s->pipe);
  free (s);
}

uint64_t
rawview_stream_get_size (const rawview_stream *s)
{
  return s->pass.size;
}

uint32_t
rawview_stream_get_grain_size (const rawview_stream *s)
{
  return s->pass.layout.grain;
}

uint64_t
rawview_stream_get_position (const rawview_stream *s)
{
  return s->pipe.pos;
}

void
rawview_stream_stop (rawview_stream *s)
{
  rv_pipe_stop (&s->pipe);
}

/*--- Reading ------------------------------------------------------------*/

/* Called with the lock held. */
static int
take_locked (rawview_stream *s, struct rv_vmdk_grain *g, uint8_t *payload,
             rawview_error *err)
{
  int r = rv_vmdk_pass_next (&s->pass, g, payload, err);

  if (r != 0)
    return r;
  if (s->is_ova && rv_ova_pass_finish (&s->ova, err) == -1)
    return -1;
  s->ended = true;
  return 0;
}

static int
remember (rawview_stream *s, rawview_error *err)
{
  s->failed = true;
  s->error = *err;
  return -1;
}

static int
take (rawview_stream *s, struct rv_vmdk_grain *g, uint8_t *payload,
      rawview_error *err)
{
  int r;
  LOCKED (&s->lock);

  if (s->failed) {
    *err = s->error;
    return -1;
  }
  if (s->ended)
    return 0;
  r = take_locked (s, g, payload, err);
  return r == -1 ? remember (s, err) : r;
}

static int
decode (rawview_stream *s, struct rv_codec_slot *slot,
        const struct rv_vmdk_grain *g, uint8_t *payload, void *buf,
        rawview_error *err)
{
  const char *wrong = rv_codec_decode (
      slot, RV_CODEC_ZLIB, (struct rv_view){ payload, g->payload_len }, buf,
      s->pass.layout.grain, g->min);
  LOCKED (&s->lock);

  if (wrong == NULL)
    return 0;
  rv_error_corrupt (err, "%s: guest offset %#jx, host offset %#jx: %s",
                    s->pass.file, (uintmax_t) g->off, (uintmax_t) g->at, wrong);
  return remember (s, err);
}

static int
read_with (rawview_stream *s, struct rv_codec_slot *slot, void *buf,
           struct rv_vmdk_grain *g, rawview_error *err)
{
  uint8_t *payload =
      rv_codec_scratch (slot, rv_vmdk_unit_max (s->pass.layout.grain));
  int r = payload ? take (s, g, payload, err) : rv_error_nomem (err);

  if (r == 1 && decode (s, slot, g, payload, buf, err) == -1)
    return -1;
  return r;
}

int
rawview_stream_read (rawview_stream *s, void *buf, size_t *len, uint64_t *off,
                     rawview_error *err)
{
  struct rv_vmdk_grain g;
  rawview_error mine;
  int r;

  do {
    struct rv_codec_slot *slot = rv_codecs_take (s->codecs);

    r = read_with (s, slot, buf, &g, err ? err : &mine);
    rv_codecs_give (s->codecs, slot);
  } while (r == 1 && g.len == 0); /* beyond the disk's end */
  if (r == 1) {
    *len = g.len;
    *off = g.off;
  }
  return r;
}
