/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <config.h>

#include <ctype.h>
#include <errno.h>
#include <string.h>
#include <strings.h>

#include "vmx-text.h"
#include "vmx.h"

#define MAX_DISKS  256u
#define MAX_NICS   256u
#define MAX_CPUS   4096u
#define MAX_MEMORY ((uint64_t) 1 << 30) /* MiB: 1 PiB */

/*--- Settings -----------------------------------------------------------*/

static bool
is_true (const char *value)
{
  return value != NULL &&
         (strcasecmp (value, "true") == 0 || strcmp (value, "1") == 0);
}

static char *
clean (const char *value)
{
  char *text = value != NULL ? machine_clean_text (value) : NULL;

  if (text != NULL && *text == '\0') {
    free (text);
    text = NULL;
  }
  return text;
}

/* 0: not there.  Otherwise it must be a number up to max. */
static int
get_number (const struct vmx *v, const char *key, uint64_t max, uint64_t *n,
            rawview_error *err)
{
  const char *value = vmx_get (v, key);
  char *end;

  *n = 0;
  if (value == NULL || *value == '\0')
    return 0;
  errno = 0;
  *n = strtoull (value, &end, 10);
  if (!isdigit ((unsigned char) *value) || *end != '\0')
    return cli_error_set (err, RAWVIEW_ERROR_CORRUPT, 0,
                          "%s: %s is not a number", v->name, key);
  if (errno != 0 || *n > max)
    return cli_error_set (err, RAWVIEW_ERROR_LIMIT, 0,
                          "%s: %s is more than %ju", v->name, key,
                          (uintmax_t) max);
  return 0;
}

/*--- The machine --------------------------------------------------------*/

static int
read_machine (const struct vmx *v, struct machine *m, rawview_error *err)
{
  const char *name = vmx_get (v, "displayName"),
             *firmware = vmx_get (v, "firmware");
  uint64_t n;

  if (name != NULL && *name != '\0')
    m->name = machine_clean_name (name, "guest");
  m->os = clean (vmx_get (v, "guestOS"));
  /* VMware's default. */
  m->firmware = firmware != NULL && strcasecmp (firmware, "efi") == 0
                    ? MACHINE_FIRMWARE_UEFI
                    : MACHINE_FIRMWARE_BIOS;
  m->secure_boot = is_true (vmx_get (v, "uefi.secureBoot.enabled"));
  if (get_number (v, "memSize", MAX_MEMORY, &n, err) == -1)
    return -1;
  m->memory = n << 20;
  if (get_number (v, "numvcpus", MAX_CPUS, &n, err) == -1)
    return -1;
  m->cpus = (unsigned) n;
  return 0;
}

/*--- Network adapters ---------------------------------------------------*/

static void
read_nic (const struct vmx *v, const char *device, struct machine *m)
{
  struct machine_nic *nic = machine_add_nic (m);
  const char *network = vmx_get_of (v, device, "networkName");

  if (network == NULL || *network == '\0')
    network = vmx_get_of (v, device, "connectionType");
  nic->network = clean (network);
  nic->model = clean (vmx_get_of (v, device, "virtualDev"));
  nic->mac = machine_parse_mac (vmx_get_of (v, device, "address"));
  if (nic->mac == NULL)
    nic->mac = machine_parse_mac (vmx_get_of (v, device, "generatedAddress"));
}

static void
read_nics (const struct vmx *v, struct machine *m)
{
  for (unsigned i = 0; i < MAX_NICS; i++) {
    CLEANUP_FREE char *device = cli_format ("ethernet%u", i);

    if (is_true (vmx_get_of (v, device, "present")))
      read_nic (v, device, m);
  }
}

/*--- Disks --------------------------------------------------------------*/

struct place {
  const char *file;
  char device[32]; /* "scsi0:1" */
  unsigned order;  /* by bios.hddOrder */
  unsigned bus;    /* index into buses */
  unsigned controller, unit;
};

static const struct {
  const char *name;
  enum machine_bus bus;
} buses[] = {
  { "scsi", MACHINE_BUS_SCSI },
  { "sata", MACHINE_BUS_SATA },
  { "ide", MACHINE_BUS_IDE },
  { "nvme", MACHINE_BUS_NVME },
};

/* Of a key such as "scsi0:1.fileName". */
static bool
parse_place (const char *key, struct place *p)
{
  for (unsigned i = 0; i < CLI_COUNT (buses); i++) {
    const size_t len = strlen (buses[i].name);
    char property[10] = "";

    if (strncasecmp (key, buses[i].name, len) != 0 ||
        sscanf (key + len, "%3u:%3u.%9s", &p->controller, &p->unit, property) !=
            3 ||
        strcasecmp (property, "fileName") != 0)
      continue;
    p->bus = i;
    snprintf (p->device, sizeof p->device, "%s%u:%u", buses[i].name,
              p->controller, p->unit);
    return true;
  }
  return false;
}

/* The place of device in "scsi0:1,ide0:0"; what is not named comes last. */
static unsigned
boot_order (const char *list, const char *device)
{
  const size_t len = strlen (device);
  unsigned n = 0;

  for (const char *s = list; s != NULL && *s != '\0'; n++) {
    const size_t part = strcspn (s, ", ");

    if (part == len && strncasecmp (s, device, len) == 0)
      return n;
    s += part;
    s += strspn (s, ", ");
  }
  return UINT32_MAX;
}

static bool
is_disk (const struct vmx *v, const char *device)
{
  const char *type = vmx_get_of (v, device, "deviceType");

  return is_true (vmx_get_of (v, device, "present")) &&
         (type == NULL || *type == '\0' || strcasestr (type, "disk") != NULL);
}

/* A key that is there twice counts once. */
static bool
is_known (const struct place *places, size_t n, const char *device)
{
  for (size_t i = 0; i < n; i++)
    if (strcmp (places[i].device, device) == 0)
      return true;
  return false;
}

static int
compare_numbers (unsigned a, unsigned b)
{
  return a < b ? -1 : a > b;
}

static int
compare_places (const void *a, const void *b)
{
  const struct place *p = a, *q = b;
  int r = compare_numbers (p->order, q->order);

  if (r == 0)
    r = compare_numbers (p->bus, q->bus);
  if (r == 0)
    r = compare_numbers (p->controller, q->controller);
  return r != 0 ? r : compare_numbers (p->unit, q->unit);
}

/* places has room for MAX_DISKS. */
static int
find_places (const struct vmx *v, struct place *places, size_t *n,
             rawview_error *err)
{
  const char *order = vmx_get (v, "bios.hddOrder");
  struct place p;

  for (size_t i = 0; i < v->len; i++) {
    if (!parse_place (v->entries[i].key, &p) ||
        is_known (places, *n, p.device) || !is_disk (v, p.device))
      continue;
    if (*n >= MAX_DISKS)
      return cli_error_set (err, RAWVIEW_ERROR_LIMIT, 0,
                            "%s: more than %u disks", v->name, MAX_DISKS);
    p.order = boot_order (order, p.device);
    p.file = vmx_get_of (v, p.device, "fileName");
    places[(*n)++] = p;
  }
  qsort (places, *n, sizeof *places, compare_places);
  return 0;
}

static int
read_disks (const struct vmx *v, struct machine *m, rawview_error *err)
{
  CLEANUP_FREE struct place *places = calloc (MAX_DISKS, sizeof *places);
  size_t n = 0;

  if (places == NULL)
    return cli_error_errno (err, ENOMEM, "%s", v->name);
  if (find_places (v, places, &n, err) == -1)
    return -1;
  for (size_t i = 0; i < n; i++) {
    struct machine_disk *disk = machine_add_disk (m);

    disk->bus = buses[places[i].bus].bus;
    disk->name = cli_format ("%s", places[i].file);
  }
  return 0;
}

/*--- All of it ----------------------------------------------------------*/

static int
read_vmx (struct vmx *v, const char *text, struct machine *m,
          rawview_error *err)
{
  if (vmx_text_parse (v, text, err) == -1)
    return -1;
  if (v->len == 0)
    return cli_error_set (err, RAWVIEW_ERROR_FORMAT, 0,
                          "%s: there is no setting in it, it is not a VMX file",
                          v->name);
  if (read_machine (v, m, err) == -1)
    return -1;
  read_nics (v, m);
  return read_disks (v, m, err);
}

int
vmx_parse (const char *name, const char *text, size_t len,
           struct machine *machine, rawview_error *err)
{
  struct vmx v = { .name = name };
  int r;

  if (memchr (text, '\0', len) != NULL)
    return cli_error_set (err, RAWVIEW_ERROR_FORMAT, 0,
                          "%s: there are NUL bytes in it, it is not a VMX file",
                          name);
  r = read_vmx (&v, text, machine, err);
  vmx_text_free (&v);
  return r;
}
