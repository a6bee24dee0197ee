/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <config.h>

#include <string.h>

#include "nbd-address.h"
#include "ovf-envelope.h"
#include "ovf.h"

#define MAX_NICS   256u
#define MAX_CPUS   4096u
#define MIN_MEMORY ((uint64_t) 1 << 20)
#define MAX_MEMORY ((uint64_t) 1 << 50)

/* VirtualBox's own settings, which have what its OVF leaves out. */
#define VBOX_NS "http://www.virtualbox.org/ovf/machine"

char *
ovf_clean (char *text)
{
  char *cleaned = text != NULL ? machine_clean_text (text) : NULL;

  free (text);
  if (cleaned != NULL && *cleaned == '\0') {
    free (cleaned);
    cleaned = NULL;
  }
  return cleaned;
}

static bool
attribute_is (const struct xml_node *node, const char *name, const char *value)
{
  CLEANUP_FREE char *text = xml_attribute (node, name);

  return text != NULL && strcasecmp (text, value) == 0;
}

/*--- The only virtual system --------------------------------------------*/

/* Collections may be nested: one level of them is what exporters write. */
static const struct xml_node *
system_of (const struct ovf_envelope *e, const struct xml_node *parent,
           unsigned *n)
{
  const struct xml_node *first = ovf_child (e, parent, "VirtualSystem");

  for (const struct xml_node *s = first; s != NULL;
       s = ovf_next (e, s, "VirtualSystem"))
    ++*n;
  return first;
}

static int
find_system (struct ovf_envelope *e, rawview_error *err)
{
  const struct xml_node *collection =
      ovf_child (e, e->root, "VirtualSystemCollection");
  const struct xml_node *inside;
  unsigned n = 0;

  e->system = system_of (e, e->root, &n);
  inside = system_of (e, collection, &n);
  if (e->system == NULL)
    e->system = inside;
  if (n > 1)
    return cli_error_set (err, RAWVIEW_ERROR_UNSUPPORTED, 0,
                          "%s: it describes %u machines; name the disks of "
                          "one of them instead",
                          e->name, n);
  e->hardware = ovf_child (e, e->system, "VirtualHardwareSection");
  return 0;
}

static bool
is_envelope (const struct xml_node *root)
{
  const char *ns = xml_namespace (root);

  return ns != NULL && strcmp (xml_name (root), "Envelope") == 0 &&
         (strstr (ns, "/ovf/envelope/") != NULL ||
          strstr (ns, "/ovf/1/envelope") != NULL);
}

/*--- What the system is -------------------------------------------------*/

static void
read_name (const struct ovf_envelope *e, struct machine *m)
{
  const struct xml_node *vssd = ovf_child (e, e->hardware, "System");
  char *name = ovf_clean (xml_text (ovf_child (e, e->system, "Name")));

  if (name == NULL)
    name = ovf_clean (
        xml_text (xml_child (vssd, NULL, "VirtualSystemIdentifier")));
  if (name == NULL)
    name = ovf_clean (xml_attribute (e->system, "id"));
  if (name != NULL)
    m->name = machine_clean_name (name, "guest");
  free (name);
}

static void
read_os (const struct ovf_envelope *e, struct machine *m)
{
  const struct xml_node *os =
      ovf_child (e, e->system, "OperatingSystemSection");

  m->os = ovf_clean (xml_text (ovf_child (e, os, "Description")));
  if (m->os == NULL)
    m->os = ovf_clean (xml_attribute (os, "osType"));
}

static void
read_setting (const struct xml_node *node, struct machine *m)
{
  CLEANUP_FREE char *key = xml_attribute (node, "key");
  CLEANUP_FREE char *value = xml_attribute (node, "value");

  if (key == NULL || value == NULL)
    return;
  if (strcasecmp (key, "firmware") == 0)
    m->firmware = strcasecmp (value, "efi") == 0    ? MACHINE_FIRMWARE_UEFI
                  : strcasecmp (value, "bios") == 0 ? MACHINE_FIRMWARE_BIOS
                                                    : m->firmware;
  if (strcasecmp (key, "bootOptions.efiSecureBootEnabled") == 0 ||
      strcasecmp (key, "uefi.secureBoot.enabled") == 0)
    m->secure_boot = strcasecmp (value, "true") == 0;
}

/* VMware's are beside the items, in a namespace of their own. */
static void
read_settings (const struct ovf_envelope *e, struct machine *m)
{
  const struct xml_node *machine = xml_child (e->system, VBOX_NS, "Machine");
  const struct xml_node *firmware =
      xml_child (xml_child (machine, NULL, "Hardware"), NULL, "Firmware");
  CLEANUP_FREE char *type = xml_attribute (firmware, "type");

  for (const struct xml_node *n = xml_child (e->hardware, NULL, NULL);
       n != NULL; n = xml_next (n, NULL, NULL))
    if (strcmp (xml_name (n), "Config") == 0 ||
        strcmp (xml_name (n), "ExtraConfig") == 0)
      read_setting (n, m);
  if (type != NULL)
    m->firmware = strncasecmp (type, "EFI", 3) == 0 ? MACHINE_FIRMWARE_UEFI
                                                    : MACHINE_FIRMWARE_BIOS;
}

/*--- Hardware -----------------------------------------------------------*/

/* The name of the configuration that is used unless somebody chooses. */
static char *
default_configuration (const struct ovf_envelope *e)
{
  const struct xml_node *section =
      ovf_child (e, e->root, "DeploymentOptionSection");
  const struct xml_node *first = ovf_child (e, section, "Configuration");

  for (const struct xml_node *c = first; c != NULL;
       c = ovf_next (e, c, "Configuration"))
    if (attribute_is (c, "default", "true") || attribute_is (c, "default", "1"))
      return xml_attribute (c, "id");
  return xml_attribute (first, "id");
}

static int
read_cpus (const struct ovf_envelope *e, const struct ovf_item *item,
           struct machine *m, rawview_error *err)
{
  if (item->quantity > MAX_CPUS)
    return cli_error_set (err, RAWVIEW_ERROR_LIMIT, 0,
                          "%s: %ju processors, more than %u", e->name,
                          (uintmax_t) item->quantity, MAX_CPUS);
  m->cpus = (unsigned) item->quantity;
  return 0;
}

/* Without units it is bytes by the standard, and nonsense in practice: then
 * nothing is known.
 */
static int
read_memory (const struct ovf_envelope *e, const struct ovf_item *item,
             struct machine *m, rawview_error *err)
{
  uint64_t unit, bytes;

  if (!ovf_parse_units (item->units != NULL ? item->units : "byte", &unit))
    return 0;
  if (__builtin_mul_overflow (item->quantity, unit, &bytes) ||
      bytes > MAX_MEMORY)
    return cli_error_set (err, RAWVIEW_ERROR_LIMIT, 0,
                          "%s: memory of %ju times %ju bytes, more than 1 PiB",
                          e->name, (uintmax_t) item->quantity,
                          (uintmax_t) unit);
  if (bytes >= MIN_MEMORY)
    m->memory = bytes;
  return 0;
}

static char *
copy_text (const char *text)
{
  return text != NULL && *text != '\0' ? cli_format ("%s", text) : NULL;
}

static int
read_nic (const struct ovf_envelope *e, const struct ovf_item *item,
          struct machine *m, rawview_error *err)
{
  struct machine_nic *nic;

  if (m->n_nics >= MAX_NICS)
    return cli_error_set (err, RAWVIEW_ERROR_LIMIT, 0,
                          "%s: more than %u network adapters", e->name,
                          MAX_NICS);
  nic = machine_add_nic (m);
  nic->network = copy_text (item->connection);
  nic->model = copy_text (item->subtype);
  nic->mac = machine_parse_mac (item->mac);
  return 0;
}

static int
read_item (const struct ovf_envelope *e, const struct ovf_item *item,
           struct machine *m, rawview_error *err)
{
  if (item->type == OVF_CPU && item->quantity_known)
    return read_cpus (e, item, m, err);
  if (item->type == OVF_MEMORY && item->quantity_known)
    return read_memory (e, item, m, err);
  return item->type == OVF_ETHERNET ? read_nic (e, item, m, err) : 0;
}

/*--- All of it ----------------------------------------------------------*/

static int
read_hardware (struct ovf_envelope *e, struct machine *m, rawview_error *err)
{
  CLEANUP_FREE char *configuration = default_configuration (e);

  if (ovf_items_parse (e->name, e->hardware, configuration, &e->items, err) ==
      -1)
    return -1;
  for (size_t i = 0; i < e->items.len; i++)
    if (read_item (e, &e->items.items[i], m, err) == -1)
      return -1;
  return ovf_read_disks (e, m, err);
}

static int
read_envelope (struct ovf_envelope *e, struct machine *m, rawview_error *err)
{
  if (!is_envelope (e->root))
    return cli_error_set (err, RAWVIEW_ERROR_FORMAT, 0,
                          "%s: this is XML, but no OVF envelope", e->name);
  e->ns = xml_namespace (e->root);
  if (find_system (e, err) == -1 || ovf_check_sections (e, err) == -1)
    return -1;
  read_name (e, m);
  read_os (e, m);
  read_settings (e, m);
  if (e->hardware == NULL)
    return ovf_read_disk_section (e, m, err);
  return read_hardware (e, m, err);
}

int
ovf_parse (const char *name, const char *text, size_t len,
           struct machine *machine, rawview_error *err)
{
  CLEANUP_XML struct xml *xml = xml_parse (name, text, len, err);
  struct ovf_envelope e = { .name = name };
  int r;

  if (xml == NULL)
    return -1;
  e.root = xml_root (xml);
  r = read_envelope (&e, machine, err);
  ovf_items_free (&e.items);
  return r;
}

/*--- References ---------------------------------------------------------*/

char *
ovf_decode_reference (const char *href)
{
  return nbd_address_decode (href, strlen (href));
}
