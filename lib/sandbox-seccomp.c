/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The filter of system calls, and the only user of libseccomp.
 *
 * sandbox=auto shares the process with code that it does not know, filters of
 * nbdkit above all: everything is allowed but a list of calls that no reader of
 * images has a use for.  sandbox=on knows only itself: everything is denied but
 * the list of what is needed.
 *
 * A denied call fails with EPERM, in whichever thread; it never raises a
 * signal, as a program that blocks or handles SIGSYS its own way would die of
 * it.  Kernels note each denial in their log, unless told not to.  Arguments
 * behind pointers, such as paths and addresses, cannot be seen from here.
 */

#include <config.h>

#include "sandbox.h"
#include "util/error.h"

#ifdef HAVE_LIBSECCOMP

#include <errno.h>
#include <fcntl.h>
#include <seccomp.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <linux/seccomp.h>

#define DENY SCMP_ACT_ERRNO (EPERM)

/* Any of these says that something is to be changed.  O_TMPFILE without the
 * bit that it shares with O_DIRECTORY.
 */
#define TMPFILE_BIT   (O_TMPFILE & ~O_DIRECTORY)
#define WRITING_FLAGS (O_WRONLY | O_RDWR | O_CREAT | O_TRUNC | TMPFILE_BIT)

/*--- Lists --------------------------------------------------------------*/

/* Not every architecture has all of them, nor every libseccomp knows all. */

static const char *const exec_calls[] = { "execve", "execveat", NULL };

/* By name, of files that are open or not: Landlock cannot deny all of these. */
static const char *const attribute_calls[] = { "chmod",
                                               "fchmod",
                                               "fchmodat",
                                               "fchmodat2",
                                               "chown",
                                               "lchown",
                                               "fchown",
                                               "fchownat",
                                               "chown32",
                                               "lchown32",
                                               "fchown32",
                                               "utime",
                                               "utimes",
                                               "utimensat",
                                               "futimesat",
                                               "setxattr",
                                               "lsetxattr",
                                               "fsetxattr",
                                               "removexattr",
                                               "lremovexattr",
                                               "setxattrat",
                                               "removexattrat",
                                               "fremovexattr",
                                               "truncate",
                                               "truncate64",
                                               "utimensat_time64",
                                               NULL };

static const char *const create_calls[] = { "link",     "linkat",    "rename",
                                            "renameat", "renameat2", NULL };

static const char *const remove_file_calls[] = { "unlink", NULL };
static const char *const remove_calls[] = { "unlinkat", NULL };
static const char *const remove_dir_calls[] = { "rmdir", NULL };

static const char *const other_name_calls[] = {
  "mkdir", "mkdirat", "mknod", "mknodat", "symlink", "symlinkat", NULL
};

/* What only administrators, debuggers and attackers use. */
static const char *const system_calls[] = { "acct",
                                            "add_key",
                                            "adjtimex",
                                            "bpf",
                                            "chroot",
                                            "clock_adjtime",
                                            "clock_settime",
                                            "clock_settime64",
                                            "delete_module",
                                            "fanotify_init",
                                            "finit_module",
                                            "fsconfig",
                                            "fsmount",
                                            "fsopen",
                                            "fspick",
                                            "init_module",
                                            "io_uring_setup",
                                            "ioperm",
                                            "iopl",
                                            "kcmp",
                                            "kexec_file_load",
                                            "kexec_load",
                                            "keyctl",
                                            "memfd_create",
                                            "memfd_secret",
                                            "mount",
                                            "mount_setattr",
                                            "move_mount",
                                            "name_to_handle_at",
                                            "open_by_handle_at",
                                            "open_tree",
                                            "perf_event_open",
                                            "personality",
                                            "pidfd_getfd",
                                            "pidfd_send_signal",
                                            "pivot_root",
                                            "process_madvise",
                                            "process_vm_readv",
                                            "process_vm_writev",
                                            "ptrace",
                                            "quotactl",
                                            "quotactl_fd",
                                            "reboot",
                                            "request_key",
                                            "setdomainname",
                                            "setgid",
                                            "setgid32",
                                            "setgroups",
                                            "setgroups32",
                                            "sethostname",
                                            "setns",
                                            "setregid",
                                            "setregid32",
                                            "setresgid",
                                            "setresgid32",
                                            "setresuid",
                                            "setresuid32",
                                            "setreuid",
                                            "setreuid32",
                                            "settimeofday",
                                            "setuid",
                                            "setuid32",
                                            "stime",
                                            "swapoff",
                                            "swapon",
                                            "syslog",
                                            "tkill",
                                            "umount",
                                            "umount2",
                                            "unshare",
                                            "userfaultfd",
                                            "vhangup",
                                            "rt_sigqueueinfo",
                                            "rt_tgsigqueueinfo",
                                            NULL };

/* What sandbox=on needs: of files that are open, */
static const char *const allowed_calls[] = {
  "close", "close_range", "copy_file_range", "dup", "dup2", "dup3", "fadvise64",
  "fadvise64_64", "fallocate", "arm_fadvise64_64", "fcntl", "fcntl64",
  "fdatasync", "flock", "fstat", "fstat64", "fstatfs", "fstatfs64", "fsync",
  "ftruncate", "ftruncate64", "getdents", "getdents64", "lseek", "_llseek",
  "pipe", "pipe2", "pread64", "preadv", "preadv2", "pwrite64", "pwritev",
  "pwritev2", "read", "readahead", "readv", "splice", "sync_file_range",
  "sync_file_range2", "syncfs", "tee", "vmsplice", "write", "writev",
  /* of names, without opening them, */
  "access", "faccessat", "faccessat2", "fstatat64", "getcwd", "lstat",
  "lstat64", "newfstatat", "readlink", "readlinkat", "stat", "stat64", "statfs",
  "statfs64", "statx",
  /* memory, */
  "brk", "madvise", "mincore", "mlock", "mmap", "mmap2", "mprotect", "mremap",
  "msync", "munlock", "munmap",
  /* threads and their owner (clone3 hides behind a pointer whether it makes a
   * thread or a process, which would be in the same sandbox), */
  "arch_prctl", "clone", "clone3", "exit", "exit_group", "futex",
  "futex_time64", "futex_wait", "futex_wake", "futex_waitv", "get_robust_list",
  "getcpu", "getegid", "getegid32", "geteuid", "geteuid32", "getgid",
  "getgid32", "getgroups", "getgroups32", "getpgrp", "getpid", "getppid",
  "getpriority", "getrandom", "getrlimit", "getrusage", "gettid", "getuid",
  "getuid32", "membarrier", "prctl", "prlimit64", "restart_syscall",
  "riscv_flush_icache", "rseq", "sched_get_priority_max",
  "sched_get_priority_min", "sched_getaffinity", "sched_getparam",
  "sched_getscheduler", "sched_yield", "set_robust_list", "set_tid_address",
  "set_tls", "sysinfo", "ugetrlimit", "uname", "wait4", "waitid", "waitpid",
  /* signals, */
  "pause", "rt_sigaction", "rt_sigpending", "rt_sigprocmask", "rt_sigreturn",
  "rt_sigsuspend", "rt_sigtimedwait", "rt_sigtimedwait_time64", "sigaltstack",
  "signalfd", "signalfd4", "sigreturn",
  /* time, */
  "alarm", "clock_getres", "clock_getres_time64", "clock_gettime",
  "clock_gettime64", "clock_nanosleep", "clock_nanosleep_time64", "getitimer",
  "gettimeofday", "nanosleep", "setitimer", "time", "timer_create",
  "timer_delete", "timer_gettime", "timer_settime", "timerfd_create",
  "timerfd_gettime", "timerfd_settime", "times",
  /* waiting, */
  "_newselect", "epoll_create", "epoll_create1", "epoll_ctl", "epoll_pwait",
  "epoll_pwait2", "epoll_wait", "eventfd", "eventfd2", "poll", "ppoll",
  "ppoll_time64", "pselect6", "pselect6_time64", "select",
  /* and sockets that are there. */
  "accept", "accept4", "getpeername", "getsockname", "getsockopt", "recv",
  "recvfrom", "recvmmsg", "recvmmsg_time64", "recvmsg", "send", "sendmmsg",
  "sendmsg", "sendto", "setsockopt", "shutdown", "socketpair", NULL
};

/*--- Adding rules -------------------------------------------------------*/

struct filter {
  scmp_filter_ctx ctx;
  const struct rv_sandbox_rules *rules;
  unsigned may; /* in any place */
  int failed;   /* the first error, negative */
};

static void
add (struct filter *f, uint32_t action, const char *name, unsigned n_args,
     const struct scmp_arg_cmp *args)
{
  int nr = seccomp_syscall_resolve_name (name), r;

  if (nr == __NR_SCMP_ERROR || f->failed != 0)
    return;
  r = seccomp_rule_add_array (f->ctx, action, nr, n_args, args);
  /* What this architecture lacks need not be mentioned. */
  if (r < 0 && r != -EDOM && r != -EACCES)
    f->failed = r;
}

static void
add_call (struct filter *f, uint32_t action, const char *name)
{
  add (f, action, name, 0, NULL);
}

static void
add_one (struct filter *f, uint32_t action, const char *name,
         struct scmp_arg_cmp arg)
{
  add (f, action, name, 1, &arg);
}

static void
add_list (struct filter *f, uint32_t action, const char *const *names)
{
  for (; *names != NULL; names++)
    add_call (f, action, *names);
}

/* A list that is needed only where the process may do this in some place. */
static void
add_list_for (struct filter *f, const char *const *names, unsigned may)
{
  if (f->rules->strict && f->may & may)
    add_list (f, SCMP_ACT_ALLOW, names);
  else if (!f->rules->strict && !(f->may & may))
    add_list (f, DENY, names);
}

/*--- Opening ------------------------------------------------------------*/

/* Opening for reading alone, where flags is argument number which. */
static void
add_open (struct filter *f, const char *name, unsigned which)
{
  struct scmp_arg_cmp reading =
      SCMP_CMP64 (which, SCMP_CMP_MASKED_EQ, WRITING_FLAGS, 0);

  if (f->may & (RV_MAY_WRITE | RV_MAY_CREATE)) {
    if (f->rules->strict)
      add_call (f, SCMP_ACT_ALLOW, name);
    return;
  }
  if (f->rules->strict) {
    if (f->may & RV_MAY_READ)
      add_one (f, SCMP_ACT_ALLOW, name, reading);
    return;
  }
  for (unsigned bit = 1; bit != 0 && bit <= WRITING_FLAGS; bit <<= 1)
    if (WRITING_FLAGS & bit)
      add_one (f, DENY, name, SCMP_CMP64 (which, SCMP_CMP_MASKED_EQ, bit, bit));
}

/* Its flags are behind a pointer, so it is Landlock's where that is. */
static void
add_openat2 (struct filter *f)
{
  bool needed = f->rules->beneath;

  if (f->rules->strict && needed)
    add_call (f, SCMP_ACT_ALLOW, "openat2");
  else if (!f->rules->strict && !needed && !f->rules->landlocked)
    add_call (f, DENY, "openat2");
}

static void
add_files (struct filter *f)
{
  add_open (f, "open", 1);
  add_open (f, "openat", 2);
  add_openat2 (f);
  add_list_for (f, create_calls, RV_MAY_CREATE);
  add_list_for (f, remove_file_calls, RV_MAY_CREATE | RV_MAY_REMOVE_FILE);
  add_list_for (f, remove_calls,
                RV_MAY_CREATE | RV_MAY_REMOVE_FILE | RV_MAY_REMOVE_DIR);
  add_list_for (f, remove_dir_calls, RV_MAY_REMOVE_DIR);
  if (!f->rules->strict) {
    add_call (f, DENY, "creat");
    add_list (f, DENY, other_name_calls);
    add_list (f, DENY, attribute_calls);
  }
}

/*--- Sockets ------------------------------------------------------------*/

/* The types of sockets that syslog(3) does not use. */
static void
deny_other_sockets (struct filter *f)
{
  /* SOCK_STREAM is 1, SOCK_DGRAM 2 on all architectures but mips. */
  add_one (f, DENY, "socket", SCMP_A0 (SCMP_CMP_NE, AF_UNIX));
  add_one (f, DENY, "socket", SCMP_A1 (SCMP_CMP_MASKED_EQ, 0xf, SOCK_STREAM));
  add_one (f, DENY, "socket",
           SCMP_A1 (SCMP_CMP_MASKED_EQ, 0xf, SOCK_SEQPACKET));
  add_one (f, DENY, "socket", SCMP_A1 (SCMP_CMP_MASKED_EQ, 0xf, SOCK_RAW));
}

static void
allow_syslog_sockets (struct filter *f)
{
  const struct scmp_arg_cmp datagrams[] = {
    SCMP_A0 (SCMP_CMP_EQ, AF_UNIX),
    SCMP_A1 (SCMP_CMP_MASKED_EQ, 0xf, SOCK_DGRAM),
  };

  add (f, SCMP_ACT_ALLOW, "socket", 2, datagrams);
  add_call (f, SCMP_ACT_ALLOW, "connect");
}

static void
add_sockets (struct filter *f)
{
  const struct rv_sandbox_rules *rules = f->rules;

  if (rules->strict && rules->network) {
    add_call (f, SCMP_ACT_ALLOW, "socket");
    add_call (f, SCMP_ACT_ALLOW, "connect");
  }
  else if (rules->strict && rules->syslog)
    allow_syslog_sockets (f);
  if (rules->strict)
    return;
  add_call (f, DENY, "listen");
  if (rules->network)
    return;
  add_call (f, DENY, "bind");
  if (rules->syslog)
    deny_other_sockets (f);
  else {
    add_call (f, DENY, "socket");
    add_call (f, DENY, "connect");
  }
}

/*--- Processes ----------------------------------------------------------*/

/* Signals within the process, as of raise(3) and pthread_kill(3). */
static void
add_signals (struct filter *f)
{
  static const char *const calls[] = { "kill", "tgkill" };

  for (size_t i = 0; i < sizeof calls / sizeof calls[0]; i++)
    if (f->rules->strict)
      add_one (f, SCMP_ACT_ALLOW, calls[i], SCMP_A0 (SCMP_CMP_EQ, getpid ()));
    else
      add_one (f, DENY, calls[i], SCMP_A0 (SCMP_CMP_NE, getpid ()));
}

/* Nothing is typed into the terminal of whoever started us. */
static void
add_ioctl (struct filter *f)
{
  if (f->rules->strict)
    add_one (f, SCMP_ACT_ALLOW, "ioctl",
             SCMP_CMP64 (1, SCMP_CMP_MASKED_EQ, 0xff00, 0x1200)); /* BLK */
  if (f->rules->strict)
    add_one (f, SCMP_ACT_ALLOW, "ioctl",
             SCMP_CMP64 (1, SCMP_CMP_MASKED_EQ, 0xff00, 'f' << 8)); /* FS */
  if (f->rules->strict) {
    add_one (f, SCMP_ACT_ALLOW, "ioctl", SCMP_A1 (SCMP_CMP_EQ, TCGETS));
    add_one (f, SCMP_ACT_ALLOW, "ioctl", SCMP_A1 (SCMP_CMP_EQ, TIOCGWINSZ));
    add_one (f, SCMP_ACT_ALLOW, "ioctl", SCMP_A1 (SCMP_CMP_EQ, FIONREAD));
    add_one (f, SCMP_ACT_ALLOW, "ioctl", SCMP_A1 (SCMP_CMP_EQ, FIONBIO));
  }
  else
    add_one (f, DENY, "ioctl",
             SCMP_A1 (SCMP_CMP_MASKED_EQ, 0xffffffff, TIOCSTI));
}

static void
add_rules (struct filter *f)
{
  add_files (f);
  add_sockets (f);
  add_signals (f);
  add_ioctl (f);
  if (f->rules->strict)
    add_list (f, SCMP_ACT_ALLOW, allowed_calls);
  else {
    add_list (f, DENY, exec_calls);
    add_list (f, DENY, system_calls);
  }
}

/*--- Loading ------------------------------------------------------------*/

/* Those that an older libseccomp or kernel may not know are no reason to go
 * without.
 */
static int
set_attributes (scmp_filter_ctx ctx)
{
  int r = seccomp_attr_set (ctx, SCMP_FLTATR_ACT_BADARCH, DENY);

  if (r == 0)
    r = seccomp_attr_set (ctx, SCMP_FLTATR_CTL_TSYNC, 1);
  seccomp_attr_set (ctx, SCMP_FLTATR_CTL_LOG, 1);
  /* No code of others runs here, for which older kernels would slow down all
   * of the process.
   */
  seccomp_attr_set (ctx, SCMP_FLTATR_CTL_SSB, 1);
  seccomp_attr_set (ctx, SCMP_FLTATR_CTL_OPTIMIZE, 2);
  return r;
}

static int
load (const struct rv_sandbox_rules *rules, scmp_filter_ctx ctx)
{
  struct filter f = { ctx, rules, rv_sandbox_may (rules), 0 };
  int r = set_attributes (ctx);

  if (r < 0)
    return r;
  add_rules (&f);
  return f.failed != 0 ? f.failed : seccomp_load (ctx);
}

bool
rv_seccomp_is_there (void)
{
  /* A filter at no address: EFAULT where there are filters. */
  return prctl (PR_SET_SECCOMP, SECCOMP_MODE_FILTER, NULL) == -1 &&
         errno == EFAULT;
}

int
rv_seccomp_enter (const struct rv_sandbox_rules *rules, rawview_error *err)
{
  scmp_filter_ctx ctx;
  int r;

  if (!rv_seccomp_is_there ())
    return rv_error_unsupported (
        err, "sandbox: this kernel has no filters of system calls (seccomp)");
  ctx = seccomp_init (rules->strict ? DENY : SCMP_ACT_ALLOW);
  if (ctx == NULL)
    return rv_error_nomem (err);
  r = load (rules, ctx);
  seccomp_release (ctx);
  return r < 0 ? rv_error_errno (err, -r,
                                 "sandbox: cannot load the filter of "
                                 "system calls")
               : 0;
}

#else /* !HAVE_LIBSECCOMP */

bool
rv_seccomp_is_there (void)
{
  return false;
}

int
rv_seccomp_enter (const struct rv_sandbox_rules *rules, rawview_error *err)
{
  return rv_error_unsupported (err,
                               "sandbox: rawview was built without libseccomp");
}

#endif
