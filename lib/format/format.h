/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a format driver is.
 *
 * A driver answers one question: where do these guest bytes live?  It never
 * moves guest bytes and never opens files.  It is made in this order, which
 * image.c drives:
 *
 *   ops->open      reads the header of the container, says what else it needs
 *                  in format->refs (names as they stand in the file: data, not
 *                  yet judged), and knows its virtual size
 *   ops->attach    once for each ref that is not the parent, with the opened io
 *   ops->adopt     with the parent image's format, if there is a parent, to
 *                  compare what must agree (size, content id)
 *   ops->map       from any number of threads, until
 *   ops->close
 *
 * To add a driver: write it the way raw.c is written and add it to
 * rv_formats.
 */

#ifndef RV_FORMAT_H
#define RV_FORMAT_H

#include <rawview.h>

#include "io/io.h"
#include "io/tables.h"
#include "util/bytes.h"
#include "util/facts.h"
#include "util/vector.h"
#include "util/warnings.h"

/*--- The answer to "where?" ---------------------------------------------*/

enum rv_map_kind {
  RV_MAP_ZERO,       /* zeros, whatever a parent holds */
  RV_MAP_DATA,       /* as it is, in io from host_off on */
  RV_MAP_COMPRESSED, /* inside one compressed unit of io */
  RV_MAP_PARENT,     /* the same offset of the parent; zeros without one */
};

enum rv_codec {
  RV_CODEC_DEFLATE, /* raw deflate, bytes after the last may be anything */
  RV_CODEC_ZLIB,    /* one zlib stream with its checksum */
  RV_CODEC_ZSTD,    /* one or more frames */
};

struct rv_map {
  enum rv_map_kind kind;
  uint64_t len; /* guest bytes from the asked offset on, > 0 */

  /* DATA and COMPRESSED.  Borrowed: lives as long as the format. */
  struct rv_io *io;
  uint64_t host_off; /* COMPRESSED: where the unit's bytes start */

  /* DATA: host bytes from host_off on that exist; the rest of len, in the last
   * and incomplete host cluster, reads as zeros.  0 stands for all.
   */
  uint64_t host_avail;
  /* DATA: holes of the host file are worth looking for. */
  bool sparse_host;
  /* ZERO: no space is taken for these zeros in this layer. */
  bool hole;

  /* COMPRESSED */
  enum rv_codec codec;
  uint32_t host_len; /* at most so many bytes hold the unit; inside io */
  uint32_t unit_len; /* guest bytes that the unit decodes to */
  uint32_t unit_min; /* a last unit may decode to as few as this: the rest is
                        zeros.  Otherwise equal to unit_len. */
  uint64_t unit_off; /* guest offset of the unit's first byte */
  uint64_t unit_tag; /* the driver's own, for payload */
  /* Where the payload lies within the unit's bytes; see rv_payload_fn. */
  int (*payload) (const struct rv_map *map, struct rv_view unit,
                  struct rv_view *payload, size_t *need, rawview_error *err);
};

/* payload: for units that start with a marker of their own.  unit is what was
 * read so far, from host_off on, at least RV_MAP_MARKER_MAX bytes or all of
 * host_len.  Checks the marker and either sets *payload inside unit, or, if
 * more bytes are needed, *need to their number (at most host_len) and
 * payload->p to NULL.  NULL: the whole of host_len is the payload.
 */
#define RV_MAP_MARKER_MAX 512

/*--- What else a container needs ----------------------------------------*/

enum rv_ref_role {
  RV_REF_PARENT,    /* backing file, or VMDK parent: opened as an image */
  RV_REF_EXTENT,    /* opened as bytes */
  RV_REF_DATA_FILE, /* opened as bytes, only if the operator named it */
  RV_REF_DISK,      /* an image, named by a machine's description */
};

struct rv_ref {
  enum rv_ref_role role;
  char *name;   /* as the container has it; UTF-8 or any bytes but NUL */
  char *format; /* recorded format of a parent, NULL if none is recorded */
  /* PARENT: a name in another system's terms ("C:\vm\a.vmdk",
   * "/vmfs/volumes/x/a.vmdk"): only its last part is looked up.
   */
  bool foreign_path;
};

DEFINE_VECTOR (rv_refs, struct rv_ref);

/* Copies name and format (may be NULL); -1 when out of memory. */
int rv_refs_add (struct rv_refs *refs, enum rv_ref_role role, const char *name,
                 const char *format, bool foreign_path);
void rv_refs_free (struct rv_refs *refs);

/*--- Writing ------------------------------------------------------------*/

/* The same split as for reading: the driver says where guest bytes may go and
 * keeps the tables; the engine moves bytes (engine/write.c) and decides when
 * what becomes durable (engine/epoch.c).  One request goes
 *
 *   widen      the range is widened to whole units and locked
 *   plan       where may these bytes go?
 *   allocate   FRESH only: gives them a place
 *              (the engine reads what the request does not cover and writes)
 *   publish    FRESH and CLAIM: the tables now say so, in memory
 *   cancel     instead of publish, if writing failed
 *
 * and drop for zeros and trim.  publish and drop hand over what is no longer
 * used; the engine gives it back twice:
 *
 *   release    the tables that no longer name it are durable: lower refcounts
 *   reuse      so are the refcounts, and nobody reads there any more: it may be
 *              punched and given out again
 *
 * All but enable, begin and end are called from any number of threads, but for
 * ranges that overlap by one at a time (IN_PLACE writes excepted).  begin comes
 * before plan and all that follows.  allocate, publish, cancel, drop and
 * release run between rv_epoch_enter and _leave, so no freeze falls into them.
 * They change tables only through rv_tables_edit, _create and _patch.  A table
 * that contradicts itself is RAWVIEW_ERROR_CORRUPT: the engine then stops all
 * writing and calls mark_corrupt.
 */

struct rv_format;

enum rv_plan_kind {
  RV_PLAN_IN_PLACE, /* at host_off, nothing to publish */
  RV_PLAN_CLAIM,    /* at host_off, which exists and is ours alone, and which
                       guests do not see until publish: a cluster preallocated
                       as zero, subclusters not yet in use */
  RV_PLAN_FRESH,    /* needs allocate, which sets io and host_off */
};

struct rv_plan {
  enum rv_plan_kind kind;
  uint64_t off, len; /* guest range that this is about: begins where asked, and
                        len is at most what was asked, > 0 */
  struct rv_io *io;  /* borrowed */
  uint64_t host_off; /* of off */

  /* CLAIM and FRESH: the guest range that must be written as one, contains off
   * to off+len; its host bytes adjoin.  The engine fills what the request does
   * not cover with what the guest reads there now, zeros beyond the disk's end.
   */
  uint64_t fill_off, fill_len;

  uint64_t own[4]; /* the driver's */
};

/* A host range that the tables no longer name. */
struct rv_freed {
  struct rv_io *io; /* borrowed */
  uint64_t off, len;
};
DEFINE_VECTOR (rv_freed_list, struct rv_freed);

enum rv_drop {
  RV_DROP_KEEP, /* write-zeroes that may not deallocate */
  RV_DROP_ZERO, /* write-zeroes that may */
  RV_DROP_TRIM, /* the guest does not need the bytes: zeros or as they were */
};

enum rv_dropped {
  RV_DROPPED,       /* done: reads as zeros (TRIM: or as before) */
  RV_DROP_IN_PLACE, /* the engine is to zero io at host_off itself: flat */
  RV_DROP_WRITE,    /* the tables cannot say it: write zeros; for TRIM: nothing
                       happens */
};

struct rv_drop_answer {
  enum rv_dropped what;
  uint64_t len; /* guest bytes from off on, > 0, that this is about */
  struct rv_io *io;
  uint64_t host_off;
  bool punch; /* IN_PLACE: space may be given back */
};

struct rv_format_write_ops {
  /* Can the image be written in place?  Called once, with all files attached
   * and locked for writing.  Walks nothing large.  If not, the error says why
   * in one sentence (the caller adds that an overlay is the way), and the image
   * stays readable.
   */
  int (*enable) (struct rv_format *format, rawview_error *err);

  /* Before the first plan, so before the first change of all: what other
   * programs must learn first (autoclear bits, CID, unclean flag), made
   * durable; and repairs.  Once, unless it fails.
   */
  int (*begin) (struct rv_format *format, rawview_error *err);

  /* Widens the range to whole units of allocation. */
  void (*widen) (struct rv_format *format, uint64_t *off, uint64_t *len);

  /* RAWVIEW_ERROR_REFUSED with EPERM: the image forbids writing here. */
  int (*plan) (struct rv_format *format, uint64_t off, uint64_t len,
               struct rv_plan *plan, rawview_error *err);

  /* May shorten plan->len and fill_len to the units that it could get in a row.
   */
  int (*allocate) (struct rv_format *format, struct rv_plan *plan,
                   rawview_error *err);
  int (*publish) (struct rv_format *format, const struct rv_plan *plan,
                  struct rv_freed_list *freed, rawview_error *err);
  /* Of a FRESH plan after allocate: hands its place over as freed. */
  void (*cancel) (struct rv_format *format, const struct rv_plan *plan,
                  struct rv_freed_list *freed);

  /* off and len: whole units, but at the disk's end.  Answers for a part from
   * off on.
   */
  int (*drop) (struct rv_format *format, uint64_t off, uint64_t len,
               enum rv_drop how, struct rv_drop_answer *answer,
               struct rv_freed_list *freed, rawview_error *err);
  /* Would drop with this how for this range never answer WRITE? */
  bool (*can_drop) (struct rv_format *format, uint64_t off, uint64_t len,
                    enum rv_drop how);

  /* Optional; see above. */
  int (*release) (struct rv_format *format, const struct rv_freed *freed,
                  rawview_error *err);
  void (*reuse) (struct rv_format *format, const struct rv_freed *freed);

  /* All files that writing touches: cb for each.  */
  void (*files) (struct rv_format *format,
                 void (*cb) (void *opaque, struct rv_io *io), void *opaque);

  /* The last flush is durable and nobody writes any more: clear what begin has
   * set, give back what was allocated and not used.  Makes itself durable.
   */
  int (*end) (struct rv_format *format, rawview_error *err);

  /* Optional: records on disk that the image contradicts itself. */
  void (*mark_corrupt) (struct rv_format *format);
};

/*--- The driver ---------------------------------------------------------*/

struct rv_format_params {
  struct rv_tables *tables;     /* shared cache for on-disk tables */
  struct rv_warnings *warnings; /* where to put what is odd but readable */
  uint64_t max_size;            /* larger virtual sizes are refused */
  const char *snapshot;         /* name or id; NULL: the active disk */
  bool allow_truncated;         /* missing tails of flat files become EIO */
  bool has_data_file;           /* the operator named one */
  bool rescue; /* read what can be read: of structures that exist twice either
                  one, and what is missing becomes EIO; never written */
};

struct rv_format {
  const struct rv_format_ops *ops;
  struct rv_io *io;        /* the container, one reference */
  uint64_t attached_bytes; /* allocated by the other files that it has */
  uint64_t size;           /* virtual size in bytes, set by open */
  uint32_t cluster_size;   /* natural unit in bytes, 0 if none */
  struct rv_refs refs;     /* set by open */
  struct rv_facts facts; /* format's own: from "cluster-size" on; extents too */
  struct rv_tables *tables;
  uint64_t table_bytes; /* of memory for L1 table or grain directories, and for
                           lists of what they name */
  bool has_content_id;  /* VMDK: compared between child and parent */
  uint32_t content_id;

  /* Of what check has found last: so much is as an interrupted writer may leave
   * it, and begin puts it right.
   */
  _Atomic uint64_t repairable;
};

struct rv_format_ops {
  const char *name; /* "qcow2": value of format= and of facts */

  /* Does head (the first bytes, up to RV_PROBE_LEN) look like one?  Looks at
   * the signature only.  NULL: never recognised, must be asked for.
   */
  bool (*probe) (struct rv_view head);

  /* Takes its own reference of io.  Bounded time and memory whatever the
   * image's size: large tables are looked at when they are used.
   */
  int (*open) (struct rv_io *io, const struct rv_format_params *params,
               struct rv_format **format, rawview_error *err);

  /* io of refs.ptr[ref]; the driver takes its own reference.  NULL, only for an
   * EXTENT and with params->rescue: it cannot be had.  params as in open, valid
   * during the call.  Optional.
   */
  int (*attach) (struct rv_format *format, size_t ref, struct rv_io *io,
                 const struct rv_format_params *params, rawview_error *err);

  /* Compares with the parent.  The pointer is valid during the call.
   * Optional.
   */
  int (*adopt) (struct rv_format *format, const struct rv_format *parent,
                const struct rv_format_params *params, rawview_error *err);

  /* Where do the guest bytes at off live?  off < size, 0 < len <= size - off.
   * The answer holds for as long a run as one table allows (at least up to the
   * end of off's cluster, at most len).  Damage is RAWVIEW_ERROR_CORRUPT with
   * *damaged set to how many bytes from off on it affects, 0 < *damaged <= len.
   * Thread-safe, may block on table reads.
   */
  int (*map) (struct rv_format *format, uint64_t off, uint64_t len,
              struct rv_map *map, uint64_t *damaged, rawview_error *err);

  /* Optional.  The pieces of tables that map pins for this guest range, as
   * rv_tables_pin is called for them: cb for each, until it returns nonzero.
   * From what the driver holds; reads nothing.  Off, len as for map.
   */
  void (*tables_of) (struct rv_format *format, uint64_t off, uint64_t len,
                     int (*cb) (void *opaque, struct rv_io *io,
                                uint64_t host_off, size_t len),
                     void *opaque);

  /* Optional, see rawview_snapshots. */
  int (*snapshots) (struct rv_format *format,
                    int (*cb) (void *opaque, const rawview_snapshot *s),
                    void *opaque, rawview_error *err);

  /* Optional, see rawview_check. */
  int (*check) (struct rv_format *format,
                void (*cb) (void *opaque, rawview_finding finding,
                            const char *msg),
                void *opaque, rawview_check_result *result, rawview_error *err);

  /* NULL: never writable. */
  const struct rv_format_write_ops *write;

  /* Frees format with everything. */
  void (*close) (struct rv_format *format);
};

/* For drivers: the common part, set up and released. */
void rv_format_init (struct rv_format *format, const struct rv_format_ops *ops,
                     struct rv_io *io, const struct rv_format_params *params);
void rv_format_release (struct rv_format *format);

/* All drivers, NULL-terminated. */
extern const struct rv_format_ops *const rv_formats[];
extern const struct rv_format_ops rv_format_raw;
extern const struct rv_format_ops rv_format_qcow2;
extern const struct rv_format_ops rv_format_vmdk;

/* In the place of a parent that cannot be had: size bytes of which none can be
 * read.  Takes copies of its name and of what to tell readers.
 */
int rv_format_missing_new (const char *name, const char *why, uint64_t size,
                           const struct rv_format_params *params,
                           struct rv_format **format, rawview_error *err);

/* What it tells readers; NULL if the format is another one. */
const char *rv_format_missing_why (const struct rv_format *format);

/* How many first bytes of a file the probes look at. */
#define RV_PROBE_LEN 4096u

/* Hard limits, from formats' own constants or our budget. */
#define RV_MAX_CHAIN        64u           /* images in a backing chain */
#define RV_MAX_L1_BYTES     (32u << 20)   /* L1 table or grain directory */
#define RV_MAX_CHAIN_TABLES (72u << 20)   /* table_bytes of a whole chain */
#define RV_MAX_DESCRIPTOR   (1u << 20)    /* bytes of VMDK descriptor text */
#define RV_MAX_EXTENTS      4096u         /* extents of a VMDK */
#define RV_MAX_UNIT         (2u << 20)    /* cluster or grain, bytes */
#define RV_DEFAULT_MAX_SIZE (64ull << 40) /* virtual size */

#endif /* RV_FORMAT_H */
