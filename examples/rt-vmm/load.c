/* SPDX-License-Identifier: MIT */
/*
 * Background load as a busy development or server machine has it: processes
 * that compute, touch fresh memory and start short-lived programs. Each does
 * the same work in the same order. Nothing of it outlives the program: a child
 * dies with its parent, by an alarm, or by load_stop().
 */
#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "config.h"
#include "load.h"

#define COMPUTE_LOOPS 10000000  /* about 10 ms */
#define TOUCH_BYTES (256 << 10)
#define FORK_EVERY 25           /* one program for that many rounds */

static volatile uint64_t sink;

static void compute(void)
{
	uint64_t value = sink;

	for (int i = 0; i < COMPUTE_LOOPS; i++)
		value = value * 6364136223846793005ULL + 1442695040888963407ULL;
	sink = value;
}

static void touch_memory(void)
{
	char *p = mmap(NULL, TOUCH_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
		       0);

	if (p == MAP_FAILED)
		return;
	for (size_t i = 0; i < TOUCH_BYTES; i += 4096)
		p[i] = 1;
	munmap(p, TOUCH_BYTES);
}

static void run_program(void)
{
	pid_t pid = fork();

	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		alarm(5);
		execl("/bin/true", "true", (char *)NULL);
		_exit(127);
	}
	while (pid > 0 && waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
}

static void busy(pid_t parent, unsigned int limit_s)
{
	signal(SIGINT, SIG_IGN); /* Ctrl-C goes to all; the parent ends this one */
	signal(SIGTERM, SIG_DFL);
	signal(SIGALRM, SIG_DFL);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(0);
	alarm(limit_s);
	for (unsigned int round = 0;; round++) {
		compute();
		touch_memory();
		if (round % FORK_EVERY == 0)
			run_program();
	}
}

int load_start(struct load *load, unsigned int per_cpu, const cpu_set_t *cpus,
	       unsigned int limit_s)
{
	unsigned int wanted = per_cpu * (unsigned int)CPU_COUNT(cpus);
	pid_t parent = getpid();

	load->count = 0;
	if (wanted > LOAD_MAX)
		wanted = LOAD_MAX;
	while (load->count < wanted) {
		pid_t pid = fork();

		if (pid == 0)
			busy(parent, limit_s);
		if (pid < 0) {
			fail("background load: fork: %m");
			load_stop(load);
			return -1;
		}
		load->pids[load->count++] = pid;
	}
	return 0;
}

double load_cpu_seconds(const struct load *load)
{
	double sum = 0;

	for (unsigned int i = 0; i < load->count; i++) {
		struct timespec t;
		clockid_t clock;

		if (!clock_getcpuclockid(load->pids[i], &clock) && !clock_gettime(clock, &t))
			sum += (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
	}
	return sum;
}

unsigned int load_alive(const struct load *load)
{
	unsigned int alive = 0;

	for (unsigned int i = 0; i < load->count; i++) {
		siginfo_t info = { 0 };

		if (!waitid(P_PID, (id_t)load->pids[i], &info, WEXITED | WNOHANG | WNOWAIT) &&
		    !info.si_pid)
			alive++;
	}
	return alive;
}

void load_stop(struct load *load)
{
	for (unsigned int i = 0; i < load->count; i++)
		kill(load->pids[i], SIGKILL);
	for (unsigned int i = 0; i < load->count; i++)
		while (waitpid(load->pids[i], NULL, 0) < 0 && errno == EINTR)
			;
	load->count = 0;
}
