/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What may lie on the disk after a crash?
 *
 * Of each file: all that was written before its last sync that has returned
 * began.
 * Of what was written after that, each 512-byte sector on its own has arrived
 * up to some write and not further, because the page cache holds one version of
 * it and is written at any time.  The file is as long as the last byte that has
 * arrived; what has not arrived before that reads as zeros.
 */

#include "crash.h"

struct piece {
  uint64_t off; /* of the sector in the file */
  size_t entry;
  unsigned file;
};
DEFINE_VECTOR (pieces, struct piece);

struct numbers {
  uint64_t *ptr; /* 0: free */
  size_t len, room;
};

struct replay {
  const struct crash_run *run;
  const struct crash_choice *choice;
  struct crash_state state;    /* what is judged */
  uint8_t *durable[FILES_MAX]; /* of files that are written */
  uint64_t durable_len[FILES_MAX];
  size_t *arrived[FILES_MAX]; /* for each sector: 1 + last entry there */
  uint64_t room[FILES_MAX];
  struct pieces pending;
  struct numbers seen;
  uint64_t hash; /* of all durable sectors */
  unsigned flushes;
};

/*--- Sets of states -----------------------------------------------------*/

static bool
numbers_add (struct numbers *set, uint64_t x)
{
  size_t i;

  x |= 1; /* never 0 */
  if (2 * set->len >= set->room) {
    struct numbers larger = { .room = set->room ? 2 * set->room : 1024 };

    larger.ptr = crash_alloc (larger.room * sizeof larger.ptr[0]);
    for (i = 0; i < set->room; i++)
      if (set->ptr[i])
        numbers_add (&larger, set->ptr[i]);
    free (set->ptr);
    *set = larger;
  }
  for (i = x % set->room; set->ptr[i]; i = (i + 1) % set->room)
    if (set->ptr[i] == x)
      return false;
  set->ptr[i] = x;
  set->len++;
  return true;
}

/* 0 for zeros, so that a longer file of zeros changes nothing. */
static uint64_t
hash_sector (unsigned file, uint64_t off, const uint8_t *bytes)
{
  uint64_t h = 0, any = 0, word;

  for (size_t i = 0; i < SECTOR; i += 8) {
    memcpy (&word, bytes + i, 8);
    any |= word;
    h = (h ^ word) * 0x9fb21c651e98df25u;
    h ^= h >> 29;
  }
  return any ? crash_mix (h ^ crash_mix (off * FILES_MAX + file)) : 0;
}

/*--- Pieces -------------------------------------------------------------*/

static uint64_t
sector_of (uint64_t off)
{
  return off / SECTOR * SECTOR;
}

/* Lets the part of the entry that lies in the piece's sector arrive. */
static void
apply (const struct replay *r, const struct piece *p, uint8_t *bytes,
       uint64_t *len)
{
  const struct rv_trace_entry *e = &r->run->trace.entries[p->entry];
  uint64_t from = rv_max_u64 (e->off, p->off);
  uint64_t to = rv_min_u64 (e->off + e->len, p->off + SECTOR);

  if (e->op == RV_TRACE_WRITE) {
    memcpy (bytes + from, e->bytes + (from - e->off), to - from);
    *len = rv_max_u64 (*len, to);
  }
  else
    memset (bytes + from, 0, to - from);
}

static void
add_pieces (struct replay *r, size_t entry)
{
  const struct rv_trace_entry *e = &r->run->trace.entries[entry];

  for (uint64_t off = sector_of (e->off); off < e->off + e->len; off += SECTOR)
    if (pieces_append (&r->pending, (struct piece){ .off = off,
                                                    .entry = entry,
                                                    .file = e->file }) == -1)
      crash_die ("out of memory");
}

static bool
returned_before (const struct replay *r, size_t entry,
                 const struct rv_trace_entry *sync)
{
  uint64_t when = r->run->trace.entries[entry].when;

  return when != 0 && when < sync->when;
}

/* What was complete when the sync began becomes durable. */
static void
settle (struct replay *r, const struct rv_trace_entry *sync)
{
  unsigned file = sync->file;
  size_t kept = 0;

  for (size_t i = 0; i < r->pending.len; i++) {
    struct piece *p = &r->pending.ptr[i];
    uint8_t *bytes = r->durable[file];

    if (p->file != file || !returned_before (r, p->entry, sync)) {
      r->pending.ptr[kept++] = *p;
      continue;
    }
    r->hash ^= hash_sector (file, p->off, bytes + p->off);
    apply (r, p, bytes, &r->durable_len[file]);
    r->hash ^= hash_sector (file, p->off, bytes + p->off);
    memcpy (r->state.bytes[file] + p->off, bytes + p->off, SECTOR);
  }
  r->pending.len = kept;
  r->state.len[file] = r->durable_len[file];
}

/*--- One state ----------------------------------------------------------*/

/* Which of the pending pieces arrive: all, or by chance. */
static void
choose (struct replay *r, uint64_t variant)
{
  struct crash_rng rng = { crash_mix (r->run->plan.seed) ^
                           crash_mix (r->state.t * 64 + variant) };
  unsigned chance = 1 + crash_random (&rng, 15); /* of 16 */
  bool torn = crash_random (&rng, 2);
  size_t entry = SIZE_MAX;
  bool arrives = false;

  for (size_t i = 0; i < r->pending.len; i++) {
    const struct piece *p = &r->pending.ptr[i];

    if (torn || p->entry != entry)
      arrives = variant == 0 || crash_random (&rng, 16) < chance;
    entry = p->entry;
    if (arrives)
      r->arrived[p->file][p->off / SECTOR] = entry + 1;
  }
}

/* Makes the state from the durable bytes; returns its hash. */
static uint64_t
arrive (struct replay *r)
{
  uint64_t hash = r->hash;

  for (size_t i = 0; i < r->pending.len; i++) {
    const struct piece *p = &r->pending.ptr[i];
    uint8_t *bytes = r->state.bytes[p->file];
    size_t last = r->arrived[p->file][p->off / SECTOR];

    if (p->entry >= last)
      continue;
    hash ^= hash_sector (p->file, p->off, bytes + p->off);
    apply (r, p, bytes, &r->state.len[p->file]);
    hash ^= hash_sector (p->file, p->off, bytes + p->off);
  }
  for (unsigned i = 0; i < r->run->image->nr_files; i++)
    hash = crash_mix (hash ^ r->state.len[i]);
  return crash_mix (hash + r->flushes);
}

static void
undo (struct replay *r)
{
  for (size_t i = 0; i < r->pending.len; i++) {
    const struct piece *p = &r->pending.ptr[i];

    if (r->arrived[p->file][p->off / SECTOR] == 0)
      continue;
    r->arrived[p->file][p->off / SECTOR] = 0;
    memcpy (r->state.bytes[p->file] + p->off, r->durable[p->file] + p->off,
            SECTOR);
  }
  for (unsigned i = 0; i < r->run->image->nr_files; i++)
    if (r->durable[i])
      r->state.len[i] = r->durable_len[i];
}

/* false: enough */
static bool
one_state (struct replay *r, uint64_t variant,
           bool (*cb) (void *opaque, const struct crash_state *state),
           void *opaque)
{
  bool go_on = true, wanted;
  uint64_t hash;

  wanted = r->choice->only == UINT64_MAX || r->choice->only == r->state.number;
  if (wanted) {
    choose (r, variant);
    hash = arrive (r);
    if (numbers_add (&r->seen, hash) || r->state.last)
      go_on = cb (opaque, &r->state);
    undo (r);
  }
  r->state.number++;
  return go_on;
}

/*--- All of them --------------------------------------------------------*/

static void
begin (struct replay *r)
{
  const struct crash_image *image = r->run->image;
  uint64_t ends[FILES_MAX] = { 0 };

  for (size_t i = 0; i < r->run->trace.len; i++) {
    const struct rv_trace_entry *e = &r->run->trace.entries[i];

    if (e->op != RV_TRACE_SYNC)
      ends[e->file] = rv_max_u64 (ends[e->file], e->off + e->len);
  }
  for (unsigned i = 0; i < image->nr_files; i++) {
    const struct crash_file *f = &image->files[i];

    r->state.len[i] = f->len;
    if (!f->writable) {
      r->state.bytes[i] = f->bytes;
      continue;
    }
    r->room[i] = rv_max_u64 (f->len, ends[i]) + 2 * SECTOR;
    r->durable[i] = crash_alloc (r->room[i]);
    r->durable_len[i] = f->len;
    memcpy (r->durable[i], f->bytes, f->len);
    r->state.bytes[i] = crash_alloc (r->room[i]);
    memcpy (r->state.bytes[i], f->bytes, f->len);
    r->arrived[i] = crash_alloc ((r->room[i] / SECTOR + 1) * sizeof (size_t));
  }
}

static void
end (struct replay *r)
{
  for (unsigned i = 0; i < r->run->image->nr_files; i++) {
    if (r->durable[i])
      free (r->state.bytes[i]);
    free (r->durable[i]);
    free (r->arrived[i]);
  }
  pieces_release (&r->pending);
  free (r->seen.ptr);
}

/* How many flushes had returned at this time: states that look the same are
 * judged by another measure then.
 */
static unsigned
count_flushes (const struct crash_run *run, size_t t)
{
  unsigned n = 0;

  for (size_t i = 0; i < run->model.len; i++)
    n += run->model.requests[i].op == CRASH_FLUSH &&
         run->model.requests[i].ok && run->model.requests[i].to <= t;
  return n;
}

void
crash_states (const struct crash_run *run, const struct crash_choice *choice,
              bool (*cb) (void *opaque, const struct crash_state *state),
              void *opaque)
{
  struct replay r = { .run = run, .choice = choice, .state = { .run = run } };
  bool go_on = true;

  begin (&r);
  for (size_t t = 0; go_on && t <= run->trace.len; t++) {
    const struct rv_trace_entry *e = t > 0 ? &run->trace.entries[t - 1] : NULL;

    if (e && e->op != RV_TRACE_SYNC)
      add_pieces (&r, t - 1);
    else if (e && !choice->no_syncs)
      settle (&r, e);
    r.state.t = t;
    r.flushes = count_flushes (run, t);
    r.state.last = run->finished && t == run->trace.len;
    for (unsigned v = 0; go_on && v <= choice->subsets; v++) {
      go_on = one_state (&r, v, cb, opaque);
      r.state.last = false;
    }
  }
  end (&r);
}
