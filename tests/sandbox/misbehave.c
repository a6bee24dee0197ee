/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Preloaded into a program, it does what an attacker would do who has taken
 * over a thread that reads an image.
 *
 * MISBEHAVE_DIR names a folder.  When a file "trigger" is in it, and each time
 * that it is a new one, the next pread(2) of the program first tries everything
 * in the list below, in its own thread and in one that it starts, and writes
 * "THREAD WHAT RESULT" lines to the file "results", which it has opened before:
 * RESULT is "ok" or an errno's name.  With MISBEHAVE_CONFINED=1 it waits until
 * the process has given up new privileges.  With MISBEHAVE_EARLY=1 a thread
 * that is started before main tries it too, and is called "early".
 */

#include <config.h>

#include <arpa/inet.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

static const char *dir;
static int results = -1;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct timespec last; /* of the trigger that was obeyed; under lock */

/* The name of a file in the folder, which differs from thread to thread. */
static const char *
path (const char *who, const char *name)
{
  static __thread char buf[4096];

  snprintf (buf, sizeof buf, "%s/%s-%s", dir, name, who);
  return buf;
}

/*--- What is tried: 0 or -1 ---------------------------------------------*/

static int
opened (int fd)
{
  if (fd != -1)
    close (fd);
  return fd == -1 ? -1 : 0;
}

static int
try_create (const char *who)
{
  return opened (open (path (who, "new"), O_WRONLY | O_CREAT, 0600));
}

static int
try_overwrite (const char *who)
{
  return opened (open (path (who, "victim"), O_RDWR));
}

/* Its flags cannot be seen by a filter of system calls. */
static int
try_openat2 (const char *who)
{
  const uint64_t how[3] = { O_RDWR, 0, 0 };

  return opened (
      syscall (437, AT_FDCWD, path (who, "victim"), how, sizeof how));
}

static int
try_truncate (const char *who)
{
  return truncate (path (who, "victim"), 1);
}

static int
try_chmod (const char *who)
{
  return chmod (path (who, "victim"), 0666);
}

static int
try_rename (const char *who)
{
  char to[4096];

  snprintf (to, sizeof to, "%s/moved-%s", dir, who);
  return rename (path (who, "moving"), to);
}

static int
try_unlink (const char *who)
{
  return unlink (path (who, "removed"));
}

static int
try_mkdir (const char *who)
{
  return mkdir (path (who, "folder"), 0700);
}

static int
try_exec (const char *who)
{
  char *argv[] = { (char *) "/bin/true", NULL };
  pid_t pid;
  int r = posix_spawn (&pid, argv[0], NULL, NULL, argv, environ);

  if (r != 0) {
    errno = r;
    return -1;
  }
  return waitpid (pid, NULL, 0) == pid ? 0 : -1;
}

static int
try_connect (const char *who)
{
  struct sockaddr_un addr = { .sun_family = AF_UNIX };
  int fd = socket (AF_UNIX, SOCK_STREAM, 0), r, errnum;

  if (fd == -1)
    return -1;
  snprintf (addr.sun_path, sizeof addr.sun_path, "%s/listener", dir);
  r = connect (fd, (struct sockaddr *) &addr, sizeof addr);
  errnum = errno;
  close (fd);
  errno = errnum;
  return r;
}

static int
try_tcp (const char *who)
{
  return opened (socket (AF_INET, SOCK_STREAM, 0));
}

static int
try_signal (const char *who)
{
  return kill (getppid (), 0);
}

static int
try_read (const char *who)
{
  return opened (open ("/etc/passwd", O_RDONLY));
}

static const struct {
  const char *name;
  int (*fn) (const char *who);
} tries[] = {
  { "create", try_create },   { "overwrite", try_overwrite },
  { "openat2", try_openat2 }, { "truncate", try_truncate },
  { "chmod", try_chmod },     { "rename", try_rename },
  { "unlink", try_unlink },   { "mkdir", try_mkdir },
  { "exec", try_exec },       { "connect", try_connect },
  { "tcp", try_tcp },         { "signal", try_signal },
  { "read", try_read },
};

static void *
try_all (void *who)
{
  for (size_t i = 0; i < sizeof tries / sizeof tries[0]; i++) {
    int r = tries[i].fn (who);

    dprintf (results, "%s %s %s\n", (const char *) who, tries[i].name,
             r == 0 ? "ok" : strerrorname_np (errno));
  }
  return NULL;
}

/*--- When ---------------------------------------------------------------*/

static int
is_triggered (struct timespec *before)
{
  struct stat st;
  char trigger[4096];

  if (getenv ("MISBEHAVE_CONFINED") != NULL &&
      prctl (PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1)
    return 0;

  snprintf (trigger, sizeof trigger, "%s/trigger", dir);
  if (stat (trigger, &st) == -1 || (st.st_mtim.tv_sec == before->tv_sec &&
                                    st.st_mtim.tv_nsec == before->tv_nsec))
    return 0;
  *before = st.st_mtim;
  return 1;
}

static void
misbehave (void)
{
  pthread_t thread;
  int now;

  if (results == -1)
    return;
  pthread_mutex_lock (&lock);
  now = is_triggered (&last);
  pthread_mutex_unlock (&lock);
  if (!now)
    return;
  try_all ((void *) "request");
  if (pthread_create (&thread, NULL, try_all, (void *) "thread") == 0)
    pthread_join (thread, NULL);
  dprintf (results, "tried\n");
}

static void *
wait_early (void *arg)
{
  struct timespec none = { 0 };

  while (!is_triggered (&none))
    usleep (20000);
  try_all ((void *) "early");
  dprintf (results, "early tried\n");
  return NULL;
}

static void __attribute__ ((constructor)) begin (void)
{
  pthread_t thread;
  char name[4096];

  dir = getenv ("MISBEHAVE_DIR");
  if (dir == NULL)
    return;
  snprintf (name, sizeof name, "%s/results", dir);
  results = open (name, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
  if (getenv ("MISBEHAVE_EARLY") != NULL &&
      pthread_create (&thread, NULL, wait_early, NULL) == 0)
    pthread_detach (thread);
}

/*--- Where --------------------------------------------------------------*/

typedef ssize_t (*pread_fn) (int fd, void *buf, size_t len, off_t off);

ssize_t misbehaving_pread (int fd, void *buf, size_t len, off_t off);

ssize_t
misbehaving_pread (int fd, void *buf, size_t len, off_t off)
{
  pread_fn real = (pread_fn) dlsym (RTLD_NEXT, "pread64");

  misbehave ();
  return real (fd, buf, len, off);
}

ssize_t pread64 (int fd, void *buf, size_t len, off_t off)
    __attribute__ ((alias ("misbehaving_pread")));
#ifndef __USE_FILE_OFFSET64
ssize_t pread (int fd, void *buf, size_t len, off_t off)
    __attribute__ ((alias ("misbehaving_pread")));
#endif
