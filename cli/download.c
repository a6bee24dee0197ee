/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <config.h>

#include <ctype.h>
#include <errno.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include <curl/curl.h>

#include "download.h"

/* Seconds until a server has to answer, and between two bytes. */
enum { CONNECT_SECONDS = 30, STALL_SECONDS = 60, MAX_REDIRECTS = 5 };

struct transfer {
  const struct download *what;
  int fd;
  uint64_t received;
  bool too_long;
  int write_errno; /* 0: everything was written */
};

static size_t
take (char *bytes, size_t size, size_t n, void *opaque)
{
  struct transfer *t = opaque;
  size_t len = size * n, done = 0;
  ssize_t r;

  if (len > t->what->max - t->received) {
    t->too_long = true;
    return 0;
  }
  t->received += len;
  while (done < len) {
    r = write (t->fd, bytes + done, len - done);
    if (r == -1 && errno == EINTR)
      continue;
    if (r == -1) {
      t->write_errno = errno;
      return 0;
    }
    done += (size_t) r;
  }
  return len;
}

static CURLcode
set_protocols (CURL *curl, bool allow_http)
{
  CURLcode r;

#if LIBCURL_VERSION_NUM >= 0x075500
  r = curl_easy_setopt (curl, CURLOPT_PROTOCOLS_STR,
                        allow_http ? "http,https" : "https");
  if (r == CURLE_OK)
    r = curl_easy_setopt (curl, CURLOPT_REDIR_PROTOCOLS_STR, "https");
#else
  r = curl_easy_setopt (
      curl, CURLOPT_PROTOCOLS,
      (long) (CURLPROTO_HTTPS | (allow_http ? CURLPROTO_HTTP : 0)));
  if (r == CURLE_OK)
    r = curl_easy_setopt (curl, CURLOPT_REDIR_PROTOCOLS,
                          (long) CURLPROTO_HTTPS);
#endif
  return r;
}

/* What must be in force is checked; the rest only makes it nicer. */
static CURLcode
set_options (CURL *curl, struct transfer *t, char *message)
{
  CURLcode r = set_protocols (curl, t->what->allow_http);

  if (r == CURLE_OK)
    r = curl_easy_setopt (curl, CURLOPT_URL, t->what->url);
  if (r == CURLE_OK && t->what->ca != NULL)
    r = curl_easy_setopt (curl, CURLOPT_CAINFO, t->what->ca);
  if (r == CURLE_OK)
    r = curl_easy_setopt (curl, CURLOPT_WRITEFUNCTION, take);
  if (r == CURLE_OK)
    r = curl_easy_setopt (curl, CURLOPT_WRITEDATA, t);
  if (r == CURLE_OK)
    r = curl_easy_setopt (curl, CURLOPT_FAILONERROR, 1L);
  curl_easy_setopt (curl, CURLOPT_ERRORBUFFER, message);
  curl_easy_setopt (curl, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt (curl, CURLOPT_FOLLOWLOCATION, 1L);
  curl_easy_setopt (curl, CURLOPT_MAXREDIRS, (long) MAX_REDIRECTS);
  curl_easy_setopt (curl, CURLOPT_CONNECTTIMEOUT, (long) CONNECT_SECONDS);
  curl_easy_setopt (curl, CURLOPT_LOW_SPEED_LIMIT, 1L);
  curl_easy_setopt (curl, CURLOPT_LOW_SPEED_TIME, (long) STALL_SECONDS);
  curl_easy_setopt (curl, CURLOPT_USERAGENT, "rawview/" PACKAGE_VERSION);
  return r;
}

/* What a server says must not break a line of ours. */
static void
make_printable (char *text)
{
  for (char *p = text; *p != '\0'; p++)
    if (!isprint ((unsigned char) *p))
      *p = ' ';
}

static int
fail (const struct transfer *t, CURLcode code, char *message,
      rawview_error *err)
{
  if (t->write_errno != 0)
    return cli_error_errno (err, t->write_errno, "writing what %s gives",
                            t->what->url);
  if (t->too_long)
    return cli_error_set (err, RAWVIEW_ERROR_LIMIT, EFBIG,
                          "%s: this is longer than %llu bytes", t->what->url,
                          (unsigned long long) t->what->max);
  make_printable (message);
  return cli_error_set (
      err, code == CURLE_OUT_OF_MEMORY ? RAWVIEW_ERROR_NOMEM : RAWVIEW_ERROR_IO,
      EIO, "%s: %s", t->what->url,
      message[0] != '\0' ? message : curl_easy_strerror (code));
}

int
download_fetch (const struct download *what, int fd, rawview_error *err)
{
  struct transfer t = { .what = what, .fd = fd };
  char message[CURL_ERROR_SIZE] = "";
  CURL *curl = curl_easy_init ();
  CURLcode r;

  if (curl == NULL)
    return cli_error_set (err, RAWVIEW_ERROR_NOMEM, 0,
                          "%s: libcurl cannot be started", what->url);
  r = set_options (curl, &t, message);
  if (r == CURLE_OK)
    r = curl_easy_perform (curl);
  curl_easy_cleanup (curl);
  return r == CURLE_OK ? 0 : fail (&t, r, message, err);
}
