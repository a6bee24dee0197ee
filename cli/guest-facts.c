/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What was found in a guest, without the library that found it. */

#include <config.h>

#include "guest.h"

static void
clear_system (struct guest_system *s)
{
  free (s->root);
  free (s->name);
  free (s->arch);
  free (s->distro);
  free (s->product);
  free (s->hostname);
  free (s->osinfo);
  for (size_t i = 0; i < s->n_mountpoints; i++) {
    free (s->mountpoints[i].path);
    free (s->mountpoints[i].device);
  }
  free (s->mountpoints);
  for (size_t i = 0; i < s->n_kernels; i++) {
    free (s->kernels[i].version);
    free (s->kernels[i].filename);
    free (s->kernels[i].initramfs);
  }
  free (s->kernels);
}

void
guest_clear (struct guest *guest)
{
  for (size_t i = 0; i < guest->n_systems; i++)
    clear_system (&guest->systems[i]);
  free (guest->systems);
  *guest = (struct guest){ 0 };
}

const char *
guest_driver_name (enum guest_driver driver)
{
  switch (driver) {
  case GUEST_DRIVER_BUILTIN:
    return "builtin";
  case GUEST_DRIVER_INITRAMFS:
    return "initramfs";
  case GUEST_DRIVER_MODULE:
    return "module";
  case GUEST_DRIVER_MISSING:
    return "missing";
  case GUEST_DRIVER_UNKNOWN:
    break;
  }
  return "unknown";
}

#ifndef HAVE_LIBGUESTFS

int
guest_check (rawview_error *err)
{
  return cli_error_set (
      err, RAWVIEW_ERROR_UNSUPPORTED, 0,
      "inspect: --full needs libguestfs, and this rawview was "
      "built without it");
}

int
guest_inspect (const char *const *sockets, size_t n,
               const rawview_options *options, struct guest *guest,
               rawview_error *err)
{
  (void) sockets;
  (void) n;
  (void) options;
  *guest = (struct guest){ 0 };
  return guest_check (err);
}

#endif
