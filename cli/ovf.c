/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <config.h>

#include <string.h>

#include "nbd-address.h"
#include "ovf-item.h"
#include "ovf.h"

#define MAX_FILES  1024u /* and as many disks in the disk section */
#define MAX_DISKS  256u
#define MAX_NICS   256u
#define MAX_CPUS   4096u
#define MIN_MEMORY ((uint64_t) 1 << 20)
#define MAX_MEMORY ((uint64_t) 1 << 50)

/* VirtualBox's own settings, which have what its OVF leaves out. */
#define VBOX_NS "http://www.virtualbox.org/ovf/machine"

struct envelope {
  const char *name; /* for messages */
  const char *ns;   /* of OVF's own elements: it differs with the version */
  const struct xml_node *root, *system, *hardware;
  struct ovf_items items;
};

static const struct xml_node *
child (const struct envelope *e, const struct xml_node *node, const char *name)
{
  return xml_child (node, e->ns, name);
}

static const struct xml_node *
next (const struct envelope *e, const struct xml_node *node, const char *name)
{
  return xml_next (node, e->ns, name);
}

static bool
attribute_is (const struct xml_node *node, const char *name, const char *value)
{
  CLEANUP_FREE char *text = xml_attribute (node, name);

  return text != NULL && strcasecmp (text, value) == 0;
}

/* The text of a machine's property; NULL if there is nothing in it. */
static char *
clean (char *text)
{
  char *cleaned = text != NULL ? machine_clean_text (text) : NULL;

  free (text);
  if (cleaned != NULL && *cleaned == '\0') {
    free (cleaned);
    cleaned = NULL;
  }
  return cleaned;
}

/*--- The only virtual system --------------------------------------------*/

/* Collections may be nested: one level of them is what exporters write. */
static const struct xml_node *
system_of (const struct envelope *e, const struct xml_node *parent, unsigned *n)
{
  const struct xml_node *first = child (e, parent, "VirtualSystem");

  for (const struct xml_node *s = first; s != NULL;
       s = next (e, s, "VirtualSystem"))
    ++*n;
  return first;
}

static int
find_system (struct envelope *e, rawview_error *err)
{
  const struct xml_node *collection =
      child (e, e->root, "VirtualSystemCollection");
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
  e->hardware = child (e, e->system, "VirtualHardwareSection");
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
read_name (const struct envelope *e, struct machine *m)
{
  const struct xml_node *vssd = child (e, e->hardware, "System");
  char *name = clean (xml_text (child (e, e->system, "Name")));

  if (name == NULL)
    name = clean (xml_text (xml_child (vssd, NULL, "VirtualSystemIdentifier")));
  if (name == NULL)
    name = clean (xml_attribute (e->system, "id"));
  if (name != NULL)
    m->name = machine_clean_name (name, "guest");
  free (name);
}

static void
read_os (const struct envelope *e, struct machine *m)
{
  const struct xml_node *os = child (e, e->system, "OperatingSystemSection");

  m->os = clean (xml_text (child (e, os, "Description")));
  if (m->os == NULL)
    m->os = clean (xml_attribute (os, "osType"));
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
read_settings (const struct envelope *e, struct machine *m)
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
default_configuration (const struct envelope *e)
{
  const struct xml_node *section =
      child (e, e->root, "DeploymentOptionSection");
  const struct xml_node *first = child (e, section, "Configuration");

  for (const struct xml_node *c = first; c != NULL;
       c = next (e, c, "Configuration"))
    if (attribute_is (c, "default", "true") || attribute_is (c, "default", "1"))
      return xml_attribute (c, "id");
  return xml_attribute (first, "id");
}

static int
read_cpus (const struct envelope *e, const struct ovf_item *item,
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
read_memory (const struct envelope *e, const struct ovf_item *item,
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
read_nic (const struct envelope *e, const struct ovf_item *item,
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
read_item (const struct envelope *e, const struct ovf_item *item,
           struct machine *m, rawview_error *err)
{
  if (item->type == OVF_CPU && item->quantity_known)
    return read_cpus (e, item, m, err);
  if (item->type == OVF_MEMORY && item->quantity_known)
    return read_memory (e, item, m, err);
  return item->type == OVF_ETHERNET ? read_nic (e, item, m, err) : 0;
}

/*--- From a disk to its file --------------------------------------------*/

/* The child of this section whose attribute is value. */
static const struct xml_node *
find_in_section (const struct envelope *e, const char *section,
                 const char *element, const char *attribute, const char *value)
{
  const struct xml_node *node = child (e, child (e, e->root, section), element);

  for (; node != NULL; node = next (e, node, element)) {
    CLEANUP_FREE char *text = xml_attribute (node, attribute);

    if (text != NULL && strcmp (text, value) == 0)
      return node;
  }
  return NULL;
}

static int
check_section (const struct envelope *e, const char *section,
               const char *element, rawview_error *err)
{
  const struct xml_node *node = child (e, child (e, e->root, section), element);
  unsigned n = 0;

  for (; node != NULL; node = next (e, node, element))
    if (++n > MAX_FILES)
      return cli_error_set (err, RAWVIEW_ERROR_LIMIT, 0,
                            "%s: more than %u of %s in its %s", e->name,
                            MAX_FILES, element, section);
  return 0;
}

static int
add_file (const struct envelope *e, const char *file_id, enum machine_bus bus,
          struct machine *m, rawview_error *err)
{
  const struct xml_node *file =
      find_in_section (e, "References", "File", "id", file_id);
  CLEANUP_FREE char *href = xml_attribute (file, "href");
  CLEANUP_FREE char *chunk = xml_attribute (file, "chunkSize");
  CLEANUP_FREE char *shown = machine_clean_text (file_id);
  struct machine_disk *disk;

  if (href == NULL || *href == '\0')
    return cli_error_set (err, RAWVIEW_ERROR_CORRUPT, 0,
                          "%s: a disk is in the file \"%.100s\", which is not "
                          "among its references",
                          e->name, shown);
  if (chunk != NULL)
    return cli_error_set (err, RAWVIEW_ERROR_UNSUPPORTED, 0,
                          "%s: the disk \"%.100s\" is cut in chunks; join "
                          "them first",
                          e->name, shown);
  if (m->n_disks >= MAX_DISKS)
    return cli_error_set (err, RAWVIEW_ERROR_LIMIT, 0, "%s: more than %u disks",
                          e->name, MAX_DISKS);
  disk = machine_add_disk (m);
  disk->bus = bus;
  disk->name = cli_format ("%s", href);
  return 0;
}

static int
add_disk_node (const struct envelope *e, const struct xml_node *node,
               enum machine_bus bus, struct machine *m, rawview_error *err)
{
  CLEANUP_FREE char *file_id = xml_attribute (node, "fileRef");
  CLEANUP_FREE char *id = clean (xml_attribute (node, "diskId"));

  if (file_id == NULL || *file_id == '\0')
    return cli_error_set (err, RAWVIEW_ERROR_UNSUPPORTED, 0,
                          "%s: its disk \"%.100s\" has no file, only a size; "
                          "name the images of the other disks instead",
                          e->name, id != NULL ? id : "");
  return add_file (e, file_id, bus, m, err);
}

/* resource: "ovf:/disk/vmdisk1", or without the scheme. */
static int
add_resource (const struct envelope *e, const char *resource,
              enum machine_bus bus, struct machine *m, rawview_error *err)
{
  const struct xml_node *node;

  if (resource != NULL && strncmp (resource, "ovf:", 4) == 0)
    resource += 4;
  if (resource != NULL && strncmp (resource, "/file/", 6) == 0)
    return add_file (e, resource + 6, bus, m, err);
  if (resource == NULL || strncmp (resource, "/disk/", 6) != 0)
    return cli_error_set (err, RAWVIEW_ERROR_UNSUPPORTED, 0,
                          "%s: a disk whose contents are \"%.100s\", which is "
                          "neither a disk nor a file of the description",
                          e->name, resource != NULL ? resource : "");
  node = find_in_section (e, "DiskSection", "Disk", "diskId", resource + 6);
  if (node == NULL)
    return cli_error_set (err, RAWVIEW_ERROR_CORRUPT, 0,
                          "%s: the disk \"%.100s\" is not in its disk section",
                          e->name, resource + 6);
  return add_disk_node (e, node, bus, m, err);
}

/*--- The order of disks -------------------------------------------------*/

/* A place on the guest's controllers. */
struct place {
  const struct ovf_item *disk;
  enum machine_bus bus;
  size_t bus_order;    /* where the first controller of its bus is described */
  unsigned controller; /* the number of its controller on that bus */
  size_t described;    /* where it is described itself */
};

static int
compare_places (const void *a, const void *b)
{
  const struct place *p = a, *q = b;

  if (p->bus_order != q->bus_order)
    return p->bus_order < q->bus_order ? -1 : 1;
  if (p->controller != q->controller)
    return p->controller < q->controller ? -1 : 1;
  if (p->disk->address_on_parent != q->disk->address_on_parent)
    return p->disk->address_on_parent < q->disk->address_on_parent ? -1 : 1;
  return p->described < q->described ? -1 : 1;
}

static size_t
first_of_bus (const struct ovf_items *items, enum machine_bus bus)
{
  size_t i = 0;

  while (i < items->len && ovf_item_bus (&items->items[i]) != bus)
    i++;
  return i;
}

static void
place_disk (const struct ovf_items *items, size_t i, struct place *place)
{
  const struct ovf_item *disk = &items->items[i];
  const struct ovf_item *controller = ovf_items_find (items, disk->parent);

  *place = (struct place){ .disk = disk, .described = i };
  if (controller != NULL) {
    place->bus = ovf_item_bus (controller);
    place->controller = controller->address;
  }
  place->bus_order = first_of_bus (items, place->bus);
}

static int
read_disks (const struct envelope *e, struct machine *m, rawview_error *err)
{
  CLEANUP_FREE struct place *places = calloc (e->items.len + 1, sizeof *places);
  size_t n = 0;

  if (places == NULL)
    return cli_error_set (err, RAWVIEW_ERROR_NOMEM, 0, "out of memory");
  for (size_t i = 0; i < e->items.len; i++)
    if (e->items.items[i].type == OVF_DISK)
      place_disk (&e->items, i, &places[n++]);
  qsort (places, n, sizeof *places, compare_places);
  for (size_t i = 0; i < n; i++)
    if (add_resource (e, places[i].disk->host_resource, places[i].bus, m,
                      err) == -1)
      return -1;
  return 0;
}

/* What there is if the hardware is not described. */
static int
read_disk_section (const struct envelope *e, struct machine *m,
                   rawview_error *err)
{
  const struct xml_node *node =
      child (e, child (e, e->root, "DiskSection"), "Disk");

  for (; node != NULL; node = next (e, node, "Disk"))
    if (add_disk_node (e, node, MACHINE_BUS_UNKNOWN, m, err) == -1)
      return -1;
  return 0;
}

/*--- All of it ----------------------------------------------------------*/

static int
read_hardware (struct envelope *e, struct machine *m, rawview_error *err)
{
  CLEANUP_FREE char *configuration = default_configuration (e);

  if (ovf_items_parse (e->name, e->hardware, configuration, &e->items, err) ==
      -1)
    return -1;
  for (size_t i = 0; i < e->items.len; i++)
    if (read_item (e, &e->items.items[i], m, err) == -1)
      return -1;
  return read_disks (e, m, err);
}

static int
read_envelope (struct envelope *e, struct machine *m, rawview_error *err)
{
  if (!is_envelope (e->root))
    return cli_error_set (err, RAWVIEW_ERROR_FORMAT, 0,
                          "%s: this is XML, but no OVF envelope", e->name);
  e->ns = xml_namespace (e->root);
  if (find_system (e, err) == -1 ||
      check_section (e, "References", "File", err) == -1 ||
      check_section (e, "DiskSection", "Disk", err) == -1)
    return -1;
  read_name (e, m);
  read_os (e, m);
  read_settings (e, m);
  if (e->hardware == NULL)
    return read_disk_section (e, m, err);
  return read_hardware (e, m, err);
}

int
ovf_parse (const char *name, const char *text, size_t len,
           struct machine *machine, rawview_error *err)
{
  CLEANUP_XML struct xml *xml = xml_parse (name, text, len, err);
  struct envelope e = { .name = name };
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
