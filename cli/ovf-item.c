/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <config.h>

#include <ctype.h>
#include <errno.h>
#include <string.h>

#include "ovf-item.h"

#define MAX_ITEMS 4096u

/*--- Units --------------------------------------------------------------*/

static const char *
skip_spaces (const char *s)
{
  while (isspace ((unsigned char) *s))
    s++;
  return s;
}

static bool
scan_number (const char **s, uint64_t *n)
{
  char *end;

  *s = skip_spaces (*s);
  if (!isdigit ((unsigned char) **s))
    return false;
  errno = 0;
  *n = strtoull (*s, &end, 10);
  *s = skip_spaces (end);
  return errno == 0;
}

/* "* 2^20" or "* 1024", after the base unit: the factor. */
static bool
scan_factor (const char **s, uint64_t *factor)
{
  uint64_t base, power = 1;

  *s += 1;
  if (!scan_number (s, &base))
    return false;
  if (**s == '^') {
    *s += 1;
    if (!scan_number (s, &power))
      return false;
  }
  for (*factor = 1; power > 0; power--)
    if (power > 64 || __builtin_mul_overflow (*factor, base, factor))
      return false;
  return true;
}

/* The units of CIM (DSP0004, programmatic units) that are of bytes. */
static bool
parse_programmatic (const char *s, uint64_t *bytes)
{
  uint64_t factor;

  if (strncasecmp (s, "byte", 4) != 0)
    return false;
  s += 4;
  s += *s == 's' || *s == 'S';
  s = skip_spaces (s);
  for (*bytes = 1; *s == '*';)
    if (!scan_factor (&s, &factor) ||
        __builtin_mul_overflow (*bytes, factor, bytes))
      return false;
  return *s == '\0' && *bytes > 0;
}

bool
ovf_parse_units (const char *units, uint64_t *bytes)
{
  static const struct {
    const char *name;
    unsigned shift;
  } names[] = {
    { "KiloBytes", 10 }, { "KB", 10 }, { "MegaBytes", 20 }, { "MB", 20 },
    { "GigaBytes", 30 }, { "GB", 30 }, { "TeraBytes", 40 }, { "TB", 40 },
  };
  CLEANUP_FREE char *trimmed = machine_clean_text (units);

  for (size_t i = 0; i < CLI_COUNT (names); i++)
    if (strcasecmp (trimmed, names[i].name) == 0) {
      *bytes = (uint64_t) 1 << names[i].shift;
      return true;
    }
  return parse_programmatic (trimmed, bytes);
}

/*--- One item -----------------------------------------------------------*/

static char *
child_text (const struct xml_node *item, const char *name)
{
  return xml_text (xml_child (item, NULL, name));
}

/* false: not there, or no such number. */
static bool
child_number (const struct xml_node *item, const char *name, uint64_t *n)
{
  CLEANUP_FREE char *text = child_text (item, name);
  const char *s = text;

  return s != NULL && scan_number (&s, n) && *s == '\0';
}

static unsigned
child_unsigned (const struct xml_node *item, const char *name)
{
  uint64_t n;

  return child_number (item, name, &n) && n <= UINT16_MAX ? (unsigned) n : 0;
}

static char *
child_clean_text (const struct xml_node *item, const char *name)
{
  CLEANUP_FREE char *text = child_text (item, name);

  return text != NULL ? machine_clean_text (text) : NULL;
}

static void
parse_item (const struct xml_node *node, struct ovf_item *item)
{
  *item = (struct ovf_item){
    .type = child_unsigned (node, "ResourceType"),
    .address = child_unsigned (node, "Address"),
    .address_on_parent = child_unsigned (node, "AddressOnParent"),
    .units = child_clean_text (node, "AllocationUnits"),
    .instance = child_clean_text (node, "InstanceID"),
    .parent = child_clean_text (node, "Parent"),
    .subtype = child_clean_text (node, "ResourceSubType"),
    .host_resource = child_clean_text (node, "HostResource"),
    .connection = child_clean_text (node, "Connection"),
  };
  /* The name that drafts of OVF 1.0 had. */
  if (item->instance == NULL)
    item->instance = child_clean_text (node, "InstanceId");
  item->quantity_known =
      child_number (node, "VirtualQuantity", &item->quantity);
  if (item->type == OVF_ETHERNET)
    item->mac = child_clean_text (node, "Address");
}

static void
free_item (struct ovf_item *item)
{
  free (item->units);
  free (item->instance);
  free (item->parent);
  free (item->subtype);
  free (item->host_resource);
  free (item->connection);
  free (item->mac);
}

/*--- All of them --------------------------------------------------------*/

/* configurations: names with spaces between them. */
static bool
has_word (const char *words, const char *word)
{
  static const char spaces[] = " \t\n\v\f\r";
  const size_t len = strlen (word);

  for (size_t n; *words != '\0'; words += n + strspn (words + n, spaces)) {
    n = strcspn (words, spaces);
    if (n == len && n > 0 && memcmp (words, word, n) == 0)
      return true;
  }
  return false;
}

static bool
is_there (const struct xml_node *item, const char *configuration)
{
  CLEANUP_FREE char *in = xml_attribute (item, "configuration");
  CLEANUP_FREE char *bound = xml_attribute (item, "bound");

  if (bound != NULL && strcmp (bound, "normal") != 0)
    return false;
  return in == NULL || (configuration != NULL && has_word (in, configuration));
}

static bool
is_item (const struct xml_node *node)
{
  const char *name = xml_name (node);

  return strcmp (name, "Item") == 0 || strcmp (name, "StorageItem") == 0 ||
         strcmp (name, "EthernetPortItem") == 0;
}

static int
add_item (const char *name, const struct xml_node *node,
          struct ovf_items *items, rawview_error *err)
{
  struct ovf_item *grown;

  if (items->len >= MAX_ITEMS)
    return cli_error_set (err, RAWVIEW_ERROR_LIMIT, 0,
                          "%s: more than %u items of virtual hardware", name,
                          MAX_ITEMS);
  grown = reallocarray (items->items, items->len + 1, sizeof *grown);
  if (grown == NULL)
    return cli_error_errno (err, ENOMEM, "%s", name);
  items->items = grown;
  parse_item (node, &grown[items->len++]);
  return 0;
}

int
ovf_items_parse (const char *name, const struct xml_node *hardware,
                 const char *configuration, struct ovf_items *items,
                 rawview_error *err)
{
  const char *ns = xml_namespace (hardware);

  for (const struct xml_node *node = xml_child (hardware, ns, NULL);
       node != NULL; node = xml_next (node, ns, NULL))
    if (is_item (node) && is_there (node, configuration) &&
        add_item (name, node, items, err) == -1)
      return -1;
  return 0;
}

void
ovf_items_free (struct ovf_items *items)
{
  for (size_t i = 0; i < items->len; i++)
    free_item (&items->items[i]);
  free (items->items);
  *items = (struct ovf_items){ 0 };
}

const struct ovf_item *
ovf_items_find (const struct ovf_items *items, const char *instance)
{
  for (size_t i = 0; instance != NULL && i < items->len; i++)
    if (items->items[i].instance != NULL &&
        strcmp (items->items[i].instance, instance) == 0)
      return &items->items[i];
  return NULL;
}

enum machine_bus
ovf_item_bus (const struct ovf_item *controller)
{
  const char *subtype = controller->subtype != NULL ? controller->subtype : "";

  if (strcasestr (subtype, "virtio") != NULL)
    return MACHINE_BUS_VIRTIO;
  switch (controller->type) {
  case OVF_IDE:
    return MACHINE_BUS_IDE;
  case OVF_SCSI:
    return MACHINE_BUS_SCSI;
  case OVF_OTHER:
  case OVF_STORAGE:
    if (strcasestr (subtype, "nvme") != NULL)
      return MACHINE_BUS_NVME;
    if (strcasestr (subtype, "ahci") != NULL ||
        strcasestr (subtype, "sata") != NULL)
      return MACHINE_BUS_SATA;
    if (strcasestr (subtype, "lsi") != NULL)
      return MACHINE_BUS_SCSI; /* VirtualBox's SAS */
    return controller->type == OVF_STORAGE ? MACHINE_BUS_SATA
                                           : MACHINE_BUS_UNKNOWN;
  default:
    return MACHINE_BUS_UNKNOWN;
  }
}
