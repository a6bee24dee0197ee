/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* From the disks of an envelope's hardware to the files that they are in. */

#include <config.h>

#include <string.h>

#include "ovf-envelope.h"

#define MAX_FILES 1024u /* and as many disks in the disk section */
#define MAX_DISKS 256u

/*--- From a disk to its file --------------------------------------------*/

/* The child of this section whose attribute is value. */
static const struct xml_node *
find_in_section (const struct ovf_envelope *e, const char *section,
                 const char *element, const char *attribute, const char *value)
{
  const struct xml_node *node =
      ovf_child (e, ovf_child (e, e->root, section), element);

  for (; node != NULL; node = ovf_next (e, node, element)) {
    CLEANUP_FREE char *text = xml_attribute (node, attribute);

    if (text != NULL && strcmp (text, value) == 0)
      return node;
  }
  return NULL;
}

static int
check_section (const struct ovf_envelope *e, const char *section,
               const char *element, rawview_error *err)
{
  const struct xml_node *node =
      ovf_child (e, ovf_child (e, e->root, section), element);
  unsigned n = 0;

  for (; node != NULL; node = ovf_next (e, node, element))
    if (++n > MAX_FILES)
      return cli_error_set (err, RAWVIEW_ERROR_LIMIT, 0,
                            "%s: more than %u of %s in its %s", e->name,
                            MAX_FILES, element, section);
  return 0;
}

int
ovf_check_sections (const struct ovf_envelope *e, rawview_error *err)
{
  if (check_section (e, "References", "File", err) == -1)
    return -1;
  return check_section (e, "DiskSection", "Disk", err);
}

static int
add_file (const struct ovf_envelope *e, const char *file_id,
          enum machine_bus bus, struct machine *m, rawview_error *err)
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
add_disk_node (const struct ovf_envelope *e, const struct xml_node *node,
               enum machine_bus bus, struct machine *m, rawview_error *err)
{
  CLEANUP_FREE char *file_id = xml_attribute (node, "fileRef");
  CLEANUP_FREE char *id = ovf_clean (xml_attribute (node, "diskId"));

  if (file_id == NULL || *file_id == '\0')
    return cli_error_set (err, RAWVIEW_ERROR_UNSUPPORTED, 0,
                          "%s: its disk \"%.100s\" has no file, only a size; "
                          "name the images of the other disks instead",
                          e->name, id != NULL ? id : "");
  return add_file (e, file_id, bus, m, err);
}

/* resource: "ovf:/disk/vmdisk1", or without the scheme. */
static int
add_resource (const struct ovf_envelope *e, const char *resource,
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

#define BUSES (MACHINE_BUS_VIRTIO + 1)

/* Where the first controller of each bus is described. */
static void
find_first (const struct ovf_items *items, size_t first[BUSES])
{
  for (size_t bus = 0; bus < BUSES; bus++)
    first[bus] = items->len;
  for (size_t i = items->len; i-- > 0;)
    first[ovf_item_bus (&items->items[i])] = i;
}

static void
place_disk (const struct ovf_items *items, size_t i, const size_t first[BUSES],
            struct place *place)
{
  const struct ovf_item *disk = &items->items[i];
  const struct ovf_item *controller = ovf_items_find (items, disk->parent);

  *place = (struct place){ .disk = disk, .described = i };
  if (controller != NULL) {
    place->bus = ovf_item_bus (controller);
    place->controller = controller->address;
  }
  place->bus_order = first[place->bus];
}

int
ovf_read_disks (const struct ovf_envelope *e, struct machine *m,
                rawview_error *err)
{
  CLEANUP_FREE struct place *places = calloc (e->items.len + 1, sizeof *places);
  size_t first[BUSES];
  size_t n = 0;

  if (places == NULL)
    return cli_error_set (err, RAWVIEW_ERROR_NOMEM, 0, "out of memory");
  find_first (&e->items, first);
  for (size_t i = 0; i < e->items.len; i++)
    if (e->items.items[i].type == OVF_DISK)
      place_disk (&e->items, i, first, &places[n++]);
  qsort (places, n, sizeof *places, compare_places);
  for (size_t i = 0; i < n; i++)
    if (add_resource (e, places[i].disk->host_resource, places[i].bus, m,
                      err) == -1)
      return -1;
  return 0;
}

int
ovf_read_disk_section (const struct ovf_envelope *e, struct machine *m,
                       rawview_error *err)
{
  const struct xml_node *node =
      ovf_child (e, ovf_child (e, e->root, "DiskSection"), "Disk");

  for (; node != NULL; node = ovf_next (e, node, "Disk"))
    if (add_disk_node (e, node, MACHINE_BUS_UNKNOWN, m, err) == -1)
      return -1;
  return 0;
}
