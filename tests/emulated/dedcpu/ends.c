// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * What may happen to a process while its guest spins on a dedicated CPU with
 * interrupts off. It has to react within a second, and when it is gone the CPU has
 * to be free. HOW is one of:
 *
 *   kill     SIGKILL
 *   stop     SIGSTOP, then it goes on
 *   freeze   the freezer of cgroup v2, then it goes on
 *   oom      out of memory in its cgroup
 *   core     another of its threads aborts, with a core dump
 *   close    another of its threads closes all of KVM, then sends a signal
 *   exec     another of its threads runs another program
 *   ptrace   it is traced, stopped, read and let go
 *
 * With "busy-" before it, the guest has exits that the CPU handles itself all the time.
 */
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <elf.h>
#include <unistd.h>

#include "machine.h"

#define GROUP "/sys/fs/cgroup/ends"
#define SECOND 1000000000u
/* States of the CPU in debugfs: it is in a guest; busy ones are between two entries too. */
#define HOST 4
#define IN_GUEST 5

static int state(int cpu)
{
	char text[4096], name[32], *at;

	read_text("/sys/kernel/debug/dedicated_cpu", text, sizeof(text));
	snprintf(name, sizeof(name), "cpu%d state=", cpu);
	at = strstr(text, name);
	return at ? atoi(at + strlen(name)) : -1;
}

/* Within how many nanoseconds, from now on; more than a second is too long. */
static void soon(const char *what, int (*held)(int), int argument)
{
	uint64_t begin = now_ns();

	while (!held(argument) && now_ns() - begin < 20ull * SECOND)
		sleep_ms(1);
	printf("%s_ms %llu\n", what, (unsigned long long)((now_ns() - begin) / 1000000));
	expect(now_ns() - begin < SECOND, what);
}

static int is_free(int cpu)
{
	return state(cpu) == 0;
}

static int busy;

static int in_guest(int cpu)
{
	return state(cpu) == IN_GUEST || (busy && state(cpu) == HOST);
}

static int out_of_guest(int cpu)
{
	return !in_guest(cpu);
}

static int status; /* of waitpid() */

static int waited(int pid)
{
	return waitpid(pid, &status, WNOHANG | WUNTRACED | __WALL) == pid;
}

static void write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		err(1, "%s", path);
	close(fd);
}

static int group_has(const char *path, const char *what)
{
	char text[256];

	read_text(path, text, sizeof(text));
	return !!strstr(text, what);
}

static int frozen(int unused)
{
	(void)unused;
	return group_has(GROUP "/cgroup.events", "frozen 1");
}

static int killed_by_oom(int unused)
{
	(void)unused;
	return group_has(GROUP "/memory.events", "oom_kill 1");
}

/* ---- in the process ------------------------------------------------------ */

static struct machine machine;
static pthread_t runs;
static volatile int left; /* the vCPU's thread has left KVM_RUN for good */

static void *run(void *unused)
{
	(void)unused;
	while (!ioctl(machine.vcpu, KVM_RUN, 0) || errno == EINTR)
		if (left)
			break;
	left = 2;
	return NULL;
}

static void __attribute__((noreturn)) process(int cpu, const char *how, int go)
{
	static const uint8_t spins[] = { 0xfa, 0xeb, 0xfe }; /* cli; jmp . */
	/* cli; 1: xor %eax, %eax; cpuid; jmp 1b */
	static const uint8_t asks[] = { 0xfa, 0x66, 0x31, 0xc0, 0x0f, 0xa2, 0xeb, 0xf9 };
	struct sigaction action = { .sa_handler = on_signal };
	char c;

	sigaction(SIGUSR1, &action, NULL);
	make(&machine, 1);
	cpuid_table(&machine);
	start(&machine, busy ? asks : spins, busy ? sizeof(asks) : sizeof(spins));
	set(&machine, cpu);
	if (pthread_create(&runs, NULL, run, NULL))
		errx(1, "a thread");
	if (read(go, &c, 1) != 1)
		err(1, "the word to go");
	if (!strcmp(how, "core")) {
		abort();
	} else if (!strcmp(how, "exec")) {
		execl("/bin/busybox", "busybox", "true", NULL);
		err(1, "exec");
	} else if (!strcmp(how, "close")) {
		close(machine.stats);
		close(machine.vcpu);
		close(machine.vm);
		close(kvm);
		munmap(machine.run, 4096);
		left = 1;
		pthread_kill(runs, SIGUSR1);
		pthread_join(runs, NULL);
		_exit(left == 2 ? 0 : 1);
	} else if (!strcmp(how, "oom")) {
		for (;;) {
			char *p = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE,
				       MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);

			if (p == MAP_FAILED)
				errx(1, "mmap");
			memset(p, 1, 1 << 20);
		}
	}
	for (;;)
		pause();
}

/* ---- outside ------------------------------------------------------------- */

static void group(int pid)
{
	char text[32];

	mkdir("/sys/fs/cgroup", 0755);
	mount("none", "/sys/fs/cgroup", "cgroup2", 0, NULL);
	write_file("/sys/fs/cgroup/cgroup.subtree_control", "+memory");
	if (mkdir(GROUP, 0755) && errno != EEXIST)
		err(1, GROUP);
	snprintf(text, sizeof(text), "%d", pid);
	write_file(GROUP "/cgroup.procs", text);
	write_file(GROUP "/memory.max", "33554432");
}

/* The vCPU's thread: the one that is not the first. */
static int second_thread(int pid)
{
	char path[64];

	for (int tid = pid + 1; tid < pid + 100; tid++) {
		snprintf(path, sizeof(path), "/proc/%d/task/%d", pid, tid);
		if (!access(path, F_OK))
			return tid;
	}
	errx(1, "no second thread");
}

static void traced(int pid, int cpu)
{
	struct user_regs_struct regs;
	struct iovec io = { &regs, sizeof(regs) };
	int tid = second_thread(pid);

	if (ptrace(PTRACE_SEIZE, tid, 0, 0) || ptrace(PTRACE_INTERRUPT, tid, 0, 0))
		err(1, "ptrace");
	soon("traced", waited, tid);
	expect(WIFSTOPPED(status), "the vCPU's thread is stopped by its tracer");
	expect(!ptrace(PTRACE_GETREGSET, tid, NT_PRSTATUS, &io), "its registers");
	expect(out_of_guest(cpu), "out of the guest while traced");
	if (ptrace(PTRACE_DETACH, tid, 0, 0))
		err(1, "PTRACE_DETACH");
	soon("on_again", in_guest, cpu);
}

void ends(int cpu, const char *how)
{
	struct rlimit core = { RLIM_INFINITY, RLIM_INFINITY };
	int go[2], pid;

	busy = !strncmp(how, "busy-", 5);
	how += busy ? 5 : 0;
	if (pipe(go))
		err(1, "pipe");
	if (!strcmp(how, "core")) {
		setrlimit(RLIMIT_CORE, &core);
		write_file("/proc/sys/kernel/core_pattern", "core");
		unlink("core");
	}
	pid = fork();
	if (!pid)
		process(cpu, how, go[0]);
	if (pid < 0)
		err(1, "fork");
	group(pid);
	for (int i = 0; !in_guest(cpu); i++) {
		if (i > 20000)
			errx(1, "the guest does not run");
		sleep_ms(1);
	}
	sleep_ms(200);
	soon("runs_before", in_guest, cpu); /* between two dispatches, not at this moment */

	if (!strcmp(how, "stop")) {
		kill(pid, SIGSTOP);
		soon("stopped", waited, pid);
		expect(WIFSTOPPED(status), "stopped");
		expect(out_of_guest(cpu), "out of the guest while stopped");
		kill(pid, SIGCONT);
		soon("on_again", in_guest, cpu);
	} else if (!strcmp(how, "freeze")) {
		write_file(GROUP "/cgroup.freeze", "1");
		soon("frozen", frozen, 0);
		expect(out_of_guest(cpu), "out of the guest while frozen");
		write_file(GROUP "/cgroup.freeze", "0");
		soon("on_again", in_guest, cpu);
	} else if (!strcmp(how, "ptrace")) {
		traced(pid, cpu);
	} else if (strcmp(how, "kill") != 0) {
		if (write(go[1], "g", 1) != 1)
			err(1, "write");
		/* to fill its memory takes its time */
		for (int i = 0; !strcmp(how, "oom") && !killed_by_oom(0) && i < 60000; i++)
			sleep_ms(1);
		soon("out", out_of_guest, cpu);
	}
	if (!strcmp(how, "kill") || !strcmp(how, "stop") || !strcmp(how, "freeze") ||
	    !strcmp(how, "ptrace"))
		kill(pid, SIGKILL);
	soon("gone", waited, pid);
	if (!strcmp(how, "core"))
		expect(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT && WCOREDUMP(status) &&
		       !access("core", F_OK), "ended by abort, with a core");
	else if (!strcmp(how, "close") || !strcmp(how, "exec"))
		expect(WIFEXITED(status) && !WEXITSTATUS(status), "ended well");
	else
		expect(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL, "ended by SIGKILL");
	soon("free", is_free, cpu);
	rmdir(GROUP);
}
