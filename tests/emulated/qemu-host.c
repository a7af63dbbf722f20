/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Looks at a QEMU from outside, in a host that has a shell and little more: the
 * scheduling of each of its threads as the kernel shows it, and commands over its
 * QMP socket. Knows nothing of librtkvm.
 */
#include <dirent.h>
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static int fail(const char *what)
{
	fprintf(stderr, "qemu-host: %s: %s\n", what, strerror(errno));
	return 1;
}

static const char *policy_name(int policy)
{
	switch (policy & ~SCHED_RESET_ON_FORK) {
	case SCHED_OTHER:
		return "OTHER";
	case SCHED_FIFO:
		return "FIFO";
	case SCHED_RR:
		return "RR";
	default:
		return "another";
	}
}

static void print_cpus(pid_t tid)
{
	cpu_set_t set;
	int n = 0;

	if (sched_getaffinity(tid, sizeof(set), &set) < 0)
		return;
	for (int cpu = 0; cpu < CPU_SETSIZE; cpu++)
		if (CPU_ISSET(cpu, &set))
			printf("%s%d", n++ ? "," : "", cpu);
}

/* TID POLICY PRIORITY NICE RESET CPUS NAME; nothing for a thread that ended. */
static void print_thread(const char *dir, pid_t tid)
{
	char path[300], name[64] = "";
	struct sched_param param;
	FILE *f;
	int policy;

	snprintf(path, sizeof(path), "%s/%d/comm", dir, tid);
	f = fopen(path, "r");
	if (!f)
		return;
	if (fgets(name, sizeof(name), f))
		name[strcspn(name, "\n")] = '\0';
	fclose(f);
	policy = sched_getscheduler(tid);
	if (policy < 0 || sched_getparam(tid, &param) < 0)
		return;
	printf("%d %s %d %d %s ", tid, policy_name(policy), param.sched_priority,
	       getpriority(PRIO_PROCESS, (id_t)tid), policy & SCHED_RESET_ON_FORK ? "reset" : "-");
	print_cpus(tid);
	printf(" %s\n", name);
}

static int threads(const char *pid)
{
	char dir[64];
	struct dirent *entry;
	DIR *d;

	snprintf(dir, sizeof(dir), "/proc/%s/task", pid);
	d = opendir(dir);
	if (!d)
		return fail(dir);
	while ((entry = readdir(d)))
		if (atoi(entry->d_name) > 0)
			print_thread(dir, atoi(entry->d_name));
	closedir(d);
	return 0;
}

/* One message of QMP is one line. Events are left out. */
static int reply(FILE *from, char *line, size_t size)
{
	do {
		if (!fgets(line, (int)size, from)) {
			fprintf(stderr, "qemu-host: QEMU closed its socket\n");
			return -1;
		}
	} while (!strncmp(line, "{\"timestamp\"", 12));
	return 0;
}

static int qmp(const char *path, int count, char **commands)
{
	static char line[1 << 20];
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0), status = 0;
	FILE *from;

	snprintf(to.sun_path, sizeof(to.sun_path), "%s", path);
	if (fd < 0 || connect(fd, (struct sockaddr *)&to, sizeof(to)) < 0)
		return fail(path);
	from = fdopen(fd, "r");
	if (!from || reply(from, line, sizeof(line)) < 0)
		return 1;
	for (int i = -1; i < count; i++) {
		if (dprintf(fd, "%s\n", i < 0 ? "{\"execute\":\"qmp_capabilities\"}" : commands[i]) < 0)
			return fail(path);
		if (reply(from, line, sizeof(line)) < 0)
			return 1;
		if (i >= 0)
			fputs(line, stdout);
		if (strstr(line, "\"error\":"))
			status = 1;
	}
	return status;
}

int main(int argc, char **argv)
{
	setvbuf(stdout, NULL, _IOFBF, 1 << 16);
	if (argc == 3 && !strcmp(argv[1], "threads"))
		return threads(argv[2]);
	if (argc > 3 && !strcmp(argv[1], "qmp"))
		return qmp(argv[2], argc - 3, argv + 3);
	fprintf(stderr, "usage: qemu-host threads PID | qmp SOCKET COMMAND...\n");
	return 2;
}
