/* SPDX-License-Identifier: MIT */
/*
 * What the user asked for (options.c fills it in from the command line), and
 * how the program speaks to the user.
 */
#ifndef CONFIG_H
#define CONFIG_H

#include <sched.h>
#include <stdbool.h>
#include <stdint.h>

/* Exit statuses of the program. */
enum {
	STATUS_OK = 0,
	STATUS_ERROR = 1,       /* it could not be measured; nothing is reported */
	STATUS_NOISY = 2,       /* demo: the null control is out of bounds */
	STATUS_LIMIT = 3,       /* within the program: a time limit has passed */
	STATUS_USAGE = 64,
	STATUS_INTERRUPTED = 130
};

struct linux_config;

struct config {
	const char *kvm;        /* path of the device, or "fd:N" */
	int kvm_fd;             /* once opened */
	unsigned int vcpus;
	unsigned int interval_us;
	unsigned int work_us;   /* computation per tick */
	unsigned int duration_s; /* of each measured run */
	const char *break_guest; /* for tests: damage the guest in that way; NULL: do not */
	const char *plan;       /* thread plan of librtkvm; NULL: plain (run) */
	bool huge_pages;        /* guest memory in pages of 2 MiB that were set aside */
	bool host_knobs;        /* take a lease for IRQ and workqueue affinities */
	unsigned int halt_poll_ns;
	cpu_set_t dedicated_cpus; /* that leave Linux, for the first vCPUs */
	unsigned int dedicated; /* how many */
	const char *claims;     /* descriptors of them, "5,6", passed by who leased them; or NULL */
	int lease_fd;           /* and of their lease */
	unsigned int boot_limit_s; /* run: until the guest is up; 0: a few seconds */
	bool no_fallback;       /* fail when one of them cannot be had */
	int64_t poll_ns;        /* of a dedicated vCPU's thread; -1: the library's choice */
	cpu_set_t usable_cpus;  /* all that this process may use */
	cpu_set_t vcpu_cpus;    /* where vCPUs run when tuned */
	cpu_set_t other_cpus;   /* and all other threads */
	const char *histogram[4]; /* run: files to write, by their endings */
	unsigned int histograms;
	bool by_hand;           /* run: tuned by hand instead */
	unsigned int rounds;    /* demo: at most */
	unsigned int limit_s;   /* demo: no new round that would end later, from the third on */
	const char *output;     /* demo: directory of the files */
	bool json;
	struct linux_config *linux_guest; /* of the command linux (linux.h) */
};

/* Set by SIGINT and SIGTERM: the signal's number. All loops look at it. */
extern volatile int interrupted;

/* The commands' options (options.c). False after having said what is wrong. */
bool options_parse(struct config *config, int argc, char **argv);

/* How to use the program. */
extern const char options_usage[];

/* One line on stderr, "rt-vmm: ..." before it. Returns -1. */
int fail(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void say(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* CPU list "0,2-3" of a set, as the kernel writes it. Static: good for four calls. */
const char *cpus_text(const cpu_set_t *cpus);
int cpus_parse(const char *text, cpu_set_t *cpus);

/*
 * Which CPUs for what: the last ones this process may use go to the vCPUs, the
 * rest to all other threads. The first CPU usually takes the interrupts.
 */
int cpus_choose(struct config *config, const char *list);

/* The CPUs on which the thread of a vCPU runs when tuned. */
const cpu_set_t *cpus_of_vcpu(const struct config *config, unsigned int index);

#endif
