/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Pid namespaces: which one this process is in, and whether another one has
 * ended, so that the threads which a journal of it names are no more.
 *
 * A namespace lives as long as its first process, which is in the /proc of
 * the host's from before the search until after it; so it is not missed, and
 * who is started or ends meanwhile does not matter. What cannot be known is
 * taken for a process of that namespace.
 */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "core/file.h"
#include "lease_priv.h"

/* The number of the host's is part of the kernel's interface: PROC_PID_INIT_INO. */
#define HOST_PIDNS 0xeffffffcU
/* There it is kthreadd, a process that hidepid= hides from all who do not see everybody. */
#define KTHREADD "2"

#define STATUS_SIZE 16384

uint64_t rtkvm_pidns(void)
{
	struct stat st;

	return stat("/proc/self/ns/pid", &st) < 0 ? 0 : (uint64_t)st.st_ino;
}

/* What follows a name in the text of /proc/PID/status, or NULL. */
static const char *field(const char *text, const char *name)
{
	const char *at = strstr(text, name);

	return at ? at + strlen(name) : NULL;
}

/* It waits to be reaped, and none of its threads is left. */
static bool is_dead(const char *text)
{
	const char *state = field(text, "\nState:\t"), *threads = field(text, "\nThreads:\t");

	return state && threads && (*state == 'Z' || *state == 'X') && atoi(threads) <= 1;
}

bool rtkvm_zombie(struct rtkvm *rt, pid_t pid)
{
	char path[64], text[STATUS_SIZE];

	snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
	return rtkvm_file_read_quiet(rt, path, text, sizeof(text)) > 0 && is_dead(text);
}

/*
 * Whose namespace it is may be asked by who may trace it; but anybody is told its
 * number in each namespace from this one down to its own. With one number it is in
 * this one, as all kernel threads are.
 */
static bool is_of_the_host(const char *text)
{
	const char *numbers = field(text, "\nNSpid:\t");

	return numbers && strcspn(numbers, "\t") >= strcspn(numbers, "\n");
}

/* Might it run in that namespace? */
static bool may_be_there(struct rtkvm *rt, const char *pid, uint64_t pidns)
{
	char path[64], text[STATUS_SIZE];
	struct stat st;
	bool known;
	ssize_t len;

	snprintf(path, sizeof(path), "/proc/%.16s/ns/pid", pid);
	known = stat(path, &st) == 0;
	if (known && (uint64_t)st.st_ino != pidns)
		return false;
	snprintf(path, sizeof(path), "/proc/%.16s/status", pid);
	len = rtkvm_file_read_quiet(rt, path, text, sizeof(text));
	if (len < 0)
		return len != -ENOENT && len != -ESRCH; /* it has ended */
	return !is_dead(text) && (known || !is_of_the_host(text));
}

bool rtkvm_pidns_gone(struct rtkvm *rt, uint64_t pidns)
{
	bool all_seen = false, found = false;
	struct dirent *e;
	DIR *dir;

	/* from another one only those below it are seen */
	if (!pidns || pidns == HOST_PIDNS || rt->made_up || rtkvm_pidns() != HOST_PIDNS)
		return false;
	dir = opendir("/proc");
	if (!dir)
		return false;
	while (!found && (errno = 0, e = readdir(dir))) {
		if (e->d_name[0] < '0' || e->d_name[0] > '9')
			continue;
		all_seen |= !strcmp(e->d_name, KTHREADD);
		found = may_be_there(rt, e->d_name, pidns);
	}
	all_seen &= found || !errno;
	closedir(dir);
	return all_seen && !found;
}
