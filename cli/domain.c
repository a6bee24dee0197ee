/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The only user of libvirt. */

#include <config.h>

#include <errno.h>
#include <string.h>

#include "domain.h"

#ifndef HAVE_LIBVIRT

static int
not_built (rawview_error *err)
{
  return cli_error_set (err, RAWVIEW_ERROR_UNSUPPORTED, ENOTSUP,
                        "this rawview was built without libvirt; name the "
                        "volume's file or device instead");
}

int
domain_connect (const char *uri, struct domain_host **host, rawview_error *err)
{
  (void) uri;
  (void) host;
  return not_built (err);
}

void
domain_disconnect (struct domain_host *host)
{
  (void) host;
}

int
domain_find_volume (struct domain_host *host, const char *name, char **path,
                    rawview_error *err)
{
  (void) host;
  (void) name;
  (void) path;
  return not_built (err);
}

int
domain_create_volume (struct domain_host *host, const char *name,
                      const char *format, uint64_t size, bool preallocated,
                      char **path, rawview_error *err)
{
  (void) host;
  (void) name;
  (void) format;
  (void) size;
  (void) preallocated;
  (void) path;
  return not_built (err);
}

void
domain_delete_volume (struct domain_host *host, const char *name)
{
  (void) host;
  (void) name;
}

void
domain_refresh_pool (struct domain_host *host, const char *name)
{
  (void) host;
  (void) name;
}

#else

#include <libvirt/libvirt.h>
#include <libvirt/virterror.h>

struct domain_host {
  virConnectPtr conn;
};

static void
be_quiet (void *opaque, virErrorPtr error)
{
  (void) opaque;
  (void) error;
}

static int
libvirt_failed (const char *what, rawview_error *err)
{
  const char *why = virGetLastErrorMessage ();

  return cli_error_set (err, RAWVIEW_ERROR_IO, EIO, "libvirt: %s: %s", what,
                        why);
}

/*--- Pools and names ----------------------------------------------------*/

/* "POOL/VOLUME", as dest.c has checked. */
static const char *
volume_of (const char *name)
{
  return strchr (name, '/') + 1;
}

static virStoragePoolPtr
find_pool (struct domain_host *host, const char *name, rawview_error *err)
{
  CLEANUP_FREE char *pool_name =
      cli_format ("%.*s", (int) (strchr (name, '/') - name), name);
  virStoragePoolPtr pool = virStoragePoolLookupByName (host->conn, pool_name);

  if (pool == NULL)
    libvirt_failed (pool_name, err);
  else if (virStoragePoolIsActive (pool) == 1)
    return pool;
  else
    cli_error_set (
        err, RAWVIEW_ERROR_USAGE, ENOENT,
        "libvirt: the pool %s is not active; \"virsh pool-start %s\" "
        "starts it",
        pool_name, pool_name);
  if (pool != NULL)
    virStoragePoolFree (pool);
  return NULL;
}

/* What others would reach through libvirt only. */
static int
check_type (virStorageVolPtr volume, const char *name, rawview_error *err)
{
  virStorageVolInfo info;

  if (virStorageVolGetInfo (volume, &info) == -1)
    return libvirt_failed (name, err);
  if (info.type == VIR_STORAGE_VOL_FILE || info.type == VIR_STORAGE_VOL_BLOCK)
    return 0;
  return cli_error_set (err, RAWVIEW_ERROR_UNSUPPORTED, ENOTSUP,
                        "libvirt: the volume %s is neither a file nor a block "
                        "device of this machine",
                        name);
}

static int
get_path (virStorageVolPtr volume, const char *name, char **path,
          rawview_error *err)
{
  char *text;

  if (check_type (volume, name, err) == -1)
    return -1;
  text = virStorageVolGetPath (volume);
  if (text == NULL)
    return libvirt_failed (name, err);
  *path = cli_format ("%s", text);
  free (text);
  return 0;
}

/*--- Making -------------------------------------------------------------*/

/* Names are the operator's, and XML has its own characters. */
static char *
escaped (const char *text)
{
  char *out = cli_format ("%*s", (int) strlen (text) * 6, ""), *p = out;

  for (; *text != '\0'; text++) {
    const char *entity = *text == '<'   ? "&lt;"
                         : *text == '>' ? "&gt;"
                         : *text == '&' ? "&amp;"
                                        : NULL;

    if (entity)
      p = stpcpy (p, entity);
    else
      *p++ = *text;
  }
  *p = '\0';
  return out;
}

static char *
volume_xml (const char *name, const char *format, uint64_t size,
            bool preallocated)
{
  CLEANUP_FREE char *volume = escaped (volume_of (name));

  return cli_format ("<volume><name>%s</name>"
                     "<capacity unit='bytes'>%llu</capacity>"
                     "<allocation unit='bytes'>%llu</allocation>"
                     "<target><format type='%s'/></target></volume>",
                     volume, (unsigned long long) size,
                     preallocated ? (unsigned long long) size : 0ull, format);
}

/*--- The interface ------------------------------------------------------*/

int
domain_connect (const char *uri, struct domain_host **host, rawview_error *err)
{
  struct domain_host *h = calloc (1, sizeof *h);

  if (h == NULL)
    return cli_error_errno (err, ENOMEM, "libvirt");
  virSetErrorFunc (NULL, be_quiet);
  h->conn = virConnectOpen (uri);
  if (h->conn != NULL) {
    *host = h;
    return 0;
  }
  free (h);
  return libvirt_failed (uri ? uri : "cannot connect", err);
}

void
domain_disconnect (struct domain_host *host)
{
  if (host == NULL)
    return;
  virConnectClose (host->conn);
  free (host);
}

int
domain_find_volume (struct domain_host *host, const char *name, char **path,
                    rawview_error *err)
{
  virStoragePoolPtr pool = find_pool (host, name, err);
  virStorageVolPtr volume;
  int r = 0;

  *path = NULL;
  if (pool == NULL)
    return -1;
  /* What is left of a killed import was removed without libvirt.  It refuses
   * while others make volumes there, and then has it as it was.
   */
  virStoragePoolRefresh (pool, 0);
  volume = virStorageVolLookupByName (pool, volume_of (name));
  if (volume != NULL)
    r = get_path (volume, name, path, err);
  else if (virGetLastErrorCode () != VIR_ERR_NO_STORAGE_VOL)
    r = libvirt_failed (name, err);
  if (volume != NULL)
    virStorageVolFree (volume);
  virStoragePoolFree (pool);
  return r;
}

int
domain_create_volume (struct domain_host *host, const char *name,
                      const char *format, uint64_t size, bool preallocated,
                      char **path, rawview_error *err)
{
  CLEANUP_FREE char *xml = volume_xml (name, format, size, preallocated);
  virStoragePoolPtr pool = find_pool (host, name, err);
  virStorageVolPtr volume;
  int r;

  if (pool == NULL)
    return -1;
  volume = virStorageVolCreateXML (pool, xml, 0);
  r = volume ? get_path (volume, name, path, err) : libvirt_failed (name, err);
  if (volume != NULL && r == -1)
    virStorageVolDelete (volume, 0);
  if (volume != NULL)
    virStorageVolFree (volume);
  virStoragePoolFree (pool);
  return r;
}

void
domain_delete_volume (struct domain_host *host, const char *name)
{
  rawview_error ignored;
  virStoragePoolPtr pool = find_pool (host, name, &ignored);
  virStorageVolPtr volume;

  if (pool == NULL)
    return;
  volume = virStorageVolLookupByName (pool, volume_of (name));
  if (volume != NULL) {
    virStorageVolDelete (volume, 0);
    virStorageVolFree (volume);
  }
  virStoragePoolFree (pool);
}

void
domain_refresh_pool (struct domain_host *host, const char *name)
{
  rawview_error ignored;
  virStoragePoolPtr pool = find_pool (host, name, &ignored);

  if (pool == NULL)
    return;
  virStoragePoolRefresh (pool, 0);
  virStoragePoolFree (pool);
}

#endif /* HAVE_LIBVIRT */
