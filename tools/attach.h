/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What run and attach share: a process that is made real-time from outside. Its
 * leases, its plan, its threads by name and by QMP.
 */
#ifndef RTKVM_ATTACH_H
#define RTKVM_ATTACH_H

#include "cpu-args.h"
#include "qmp.h"

#define ATTACH_RULES_MAX 32
#define ATTACH_PATTERN_MAX 64
#define ATTACH_NAME_MAX 32

struct attach_rule {
	char pattern[ATTACH_PATTERN_MAX];
	int role;
};

/* What the user asked for. */
struct attach_options {
	const char *plan;
	struct attach_rule rules[ATTACH_RULES_MAX]; /* the later ones win */
	size_t rule_count;
	unsigned int allow; /* RTKVM_GUARD_* */
	struct rtkvm_cpu_request request;
	bool cpus;          /* CPUs are wanted */
	const char *qmp;    /* socket; NULL: names alone */
	bool watch, quiet;
	int interval_ms;
};

/* A vCPU and the CPU that it got. */
struct attach_vcpu {
	pid_t tid;
	uint64_t start;
	int cpu;    /* index in the lease; -1: no lease */
	bool spare; /* there is no CPU for it: not raised */
};

struct attachment {
	struct rtkvm *rt;
	const struct attach_options *options;
	char name[ATTACH_NAME_MAX]; /* of its leases */
	pid_t pid;                  /* 0: none yet */
	uint64_t start;
	struct rtkvm_plan *plan;
	struct rtkvm_lease *lease;      /* of the threads */
	struct rtkvm_cpu_lease *cpus;   /* NULL: none wanted */
	struct rtkvm_watch *watch;      /* NULL: not watched */
	struct attach_vcpu *vcpus;
	size_t vcpu_count, vcpu_room;
	struct qmp *qmp;
	bool qmp_lost;               /* said so */
	long long qmp_next;          /* when to ask again, ms */
	unsigned long threads;       /* how many there were at the last question */
	bool unnamed;                /* its threads have all the same name: said so */
};

/* attach-args.c: how many words it took; 0: not one of these; -1: wrong, said so. */
int attach_args_take(struct attach_options *o, int left, char **argv);
void attach_args_init(struct attach_options *o);
extern const char attach_args_help[];
/* Which role a name has by the rules; user: by those of the user alone. -1: none. */
int attach_role_of(const struct attach_options *o, const char *comm, bool user);

/* attach-threads.c */
struct attach_thread {
	pid_t tid;
	uint64_t start;
	char comm[16];
};
/* The threads of a process, the eldest first; the caller frees. -1: it is gone. */
int attach_threads(pid_t pid, struct attach_thread **threads, size_t *count);
/* Start time of a process or thread; 0: it is gone. */
uint64_t attach_start_of(pid_t tid);
/* Ask QMP if it is time, and tell the watch which thread is what. CMD_OK or CMD_ERROR. */
int attach_roles(struct attachment *a);
/* Connect, and find the process by its vCPUs' threads. CMD_OK, or CMD_ERROR after a message. */
int attach_qmp_open(struct attachment *a, int ms, bool complain);

/*
 * attach.c. The steps, each CMD_OK, or CMD_ERROR after a message; what was done is
 * undone by attach_end().
 */
int attach_plan(struct attachment *a);
int attach_cpus(struct attachment *a, pid_t target);
/* Lease and watch for the process; owner: the leases live as long as the process does. */
int attach_process(struct attachment *a, pid_t pid, bool owner);
/* Ask the guards; from now threads are placed. */
int attach_go(struct attachment *a);
/* Look once and place. 1: the process is gone. */
int attach_update(struct attachment *a);
/* Until what is there has its place. */
int attach_settle(struct attachment *a);
/* Becomes readable when others may have come to the CPUs; -1: there are none. Then repair. */
int attach_drift_fd(struct attachment *a);
void attach_repair(struct attachment *a);
void attach_show(const struct attachment *a, const struct cmd_options *opt, const char *command);
/* Give back everything; what could not be is said. */
int attach_end(struct attachment *a, const struct cmd_options *opt);
/* Leave the leases to their target. */
void attach_leave(struct attachment *a);
/* Is anything attached by that name? 1, 0, or -1 after a message. */
int attach_exists(struct rtkvm *rt, const char *name);

/* SIGTERM with this value means: let go of the process, not: end it. */
#define ATTACH_DETACH 0x72746b76

long long attach_now_ms(void);

#endif
