/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Inner side of lib/lease, for its own files and tests. Other modules change
 * the host through rtkvm/lease.h alone.
 *
 * From the bottom up: knob.c and thread.c know things of the host; change.c
 * is one change of either kind; journal.c is the text of a journal, without
 * any file; store.c keeps journals in the state directory that statedir.c
 * opens; scan.c finds all of them; undo.c gives back; lease.c, restore.c and
 * status.c are the public calls.
 */
#ifndef RTKVM_LEASE_PRIV_H
#define RTKVM_LEASE_PRIV_H

#include <stdint.h>
#include <sys/types.h>

#include <rtkvm/lease.h>

#include "core/core.h"
#include "core/cpulist.h"
#include "core/file.h"
#include "core/reports.h"

/* Room for a value as text, with its terminator. */
#define RTKVM_VALUE_MAX 4096
/* Room for a line of a journal, with its terminator. */
#define RTKVM_LINE_MAX (2 * RTKVM_VALUE_MAX + 256)
/* A longer journal is refused, and not written. */
#define RTKVM_JOURNAL_MAX (4U << 20)
/* Room for a label such as "irq-affinity 24". */
#define RTKVM_LABEL_MAX 64
/* Longest name of a lease. */
#define RTKVM_NAME_MAX 31

/* Kinds of change. */
enum {
	RTKVM_CHANGE_KNOB = 1,
	RTKVM_CHANGE_SCHED = 2, /* of a thread */
	RTKVM_CHANGE_CPUS = 3,  /* of a thread */
	RTKVM_CHANGE_HOLD = 4,  /* C-states; ends with its descriptor, nothing to undo */
	RTKVM_CHANGE_CLAIM = 5, /* CPUs that are this lease's; published by root */
	RTKVM_CHANGE_PARTITION = 6, /* cpuset of these CPUs */
	RTKVM_CHANGE_TARGET = 7,    /* a process that owns the lease while it lives */
	RTKVM_CHANGE_IRQBALANCE = 8, /* it was told to keep away from these CPUs */
	RTKVM_CHANGE_RESCTRL = 9,    /* resctrl group of these CPUs */
	RTKVM_CHANGE_WATCH = 10,     /* a process that looks after new threads; see watched.c */
};

/*
 * One change. Values are text in the spelling of the kind: as the knob's file
 * has them, POLICY:PRIORITY:RESET_ON_FORK, a CPU list. Owned by the change.
 */
struct rtkvm_change {
	int kind;
	int knob;           /* RTKVM_CHANGE_KNOB: one of RTKVM_KNOB_* */
	unsigned int index; /* and which of them */
	pid_t tid;          /* threads: the id, */
	uint64_t start;     /* which is this thread's only with this start time; claims and
			     * partitions: the number of their journal */
	bool take;          /* CPUs were taken out of a set: they are put back into what is
			     * there then, not the old set in its place */
	unsigned int seq;   /* number of its record */
	uint64_t time;      /* CLOCK_BOOTTIME, ns */
	bool undone;        /* nothing left to give back */
	char *before;       /* NULL for a hold */
	char *after;
};

/* Header of a journal: whose and where it may be replayed. */
struct rtkvm_journal_owner {
	char boot_id[37];
	uid_t uid;
	uint64_t pidns; /* inode of the pid namespace; 0: not known */
	pid_t pid;      /* who made it; the lock says whether it lives */
	uint64_t start;
	bool made_up; /* root was not "/" */
	char name[RTKVM_NAME_MAX + 1];
};

struct rtkvm_journal {
	struct rtkvm_journal_owner owner;
	struct rtkvm_change *changes;
	size_t count;
	unsigned int next_seq;
	bool headless;     /* ends before the end of its header */
	bool torn;         /* its end mark is missing: it was cut, somewhere */
	bool unterminated; /* the last record lacks its line feed only */
	size_t valid;      /* bytes up to the end of the last whole record */
	char tail[48];     /* what is left of a record that was cut; "": nothing */
};

/* A journal in the state directory. */
struct rtkvm_store {
	int dir_fd; /* not owned */
	int fd;     /* with the lock; -1: none */
	bool broken; /* nothing can be added any more */
	size_t size;
	size_t left; /* undo.c: changes that it has not looked at yet */
	char file[64];
	struct rtkvm_journal journal;
};

/* knob.c: the closed table. All pure but _read and _write. */
const char *rtkvm_knob_name(int knob); /* NULL: unknown */
bool rtkvm_knob_indexed(int knob);
bool rtkvm_knob_index_ok(int knob, unsigned int index);
/* Spelled as the file has it; strict: also in the range that a lease may set. */
bool rtkvm_knob_value_ok(int knob, const char *text, bool strict);
bool rtkvm_knob_equal(int knob, const char *a, const char *b);
/* From the spelling of the public header; false: malformed or out of range. */
bool rtkvm_knob_spell(int knob, const char *value, char out[RTKVM_VALUE_MAX]);
void rtkvm_knob_path(int knob, unsigned int index, char *out, size_t size);
int rtkvm_knob_read(struct rtkvm *rt, int knob, unsigned int index, char out[RTKVM_VALUE_MAX]);
int rtkvm_knob_write(struct rtkvm *rt, int knob, unsigned int index, const char *text);
int rtkvm_knob_writable(struct rtkvm *rt, int knob, unsigned int index);
bool rtkvm_knob_is_cpus(int knob);
bool rtkvm_knob_cpus(int knob, const char *text, struct rtkvm_cpus *cpus);
bool rtkvm_knob_print_cpus(int knob, const struct rtkvm_cpus *cpus, char out[RTKVM_VALUE_MAX]);

/* dedicated.c: CPUs on which vCPUs run while they are offline. -ENOENT: the kernel has none. */
int rtkvm_dedicated_cpus(struct rtkvm *rt, struct rtkvm_cpus *cpus);
bool rtkvm_cpu_dedicated(struct rtkvm *rt, unsigned int cpu);
/* Write "1" to a CPU's file; one whose vCPU is just ending is waited for. 0 or -errno. */
#define RTKVM_DEDICATED_WAIT_MS 5000
int rtkvm_cpu_online_write(struct rtkvm *rt, unsigned int cpu, const char *path, const char *line);

/* places.c: what the kernel does not keep at a fixed path. 0 or -errno, quiet. */
#define RTKVM_NET_QUEUES 4096 /* per interface, in the index of a knob */
#define RTKVM_IFNAME_MAX 64
int rtkvm_ifname(struct rtkvm *rt, unsigned int ifindex, char out[RTKVM_IFNAME_MAX]);
/* Where cgroup v2, or the cpuset controller of v1, is mounted. -ENOENT: nowhere. */
int rtkvm_cgroup_mount(struct rtkvm *rt, int version, char out[RTKVM_PATH_MAX / 2]);

/*
 * tracing.c: tracefs, and a tracing instance "rtkvm-INDEX" of it: "1" there is
 * one, "0" there is none. With an instance go its tracer, events and buffers.
 */
int rtkvm_tracefs(struct rtkvm *rt, char out[RTKVM_PATH_MAX / 2]);
int rtkvm_trace_instance_read(struct rtkvm *rt, unsigned int index, char out[RTKVM_VALUE_MAX]);
int rtkvm_trace_instance_write(struct rtkvm *rt, unsigned int index, const char *text);

/* published.c: /run/rtkvm/leased, where others see which CPUs are root's leases'. */
int rtkvm_claim_read(struct rtkvm *rt, uint64_t id, char out[RTKVM_VALUE_MAX]);
int rtkvm_claim_write(struct rtkvm *rt, uint64_t id, const char *text);
/* All that root published. */
int rtkvm_claims_published(struct rtkvm *rt, struct rtkvm_cpus *cpus);

/*
 * partition.c: a cpuset "rtkvm-ID". Its text is KIND:CPUS:NODES, KIND one of
 * isolated, root (cgroup v2) and v1; "-": there is none.
 */
bool rtkvm_partition_ok(const char *text);
int rtkvm_partition_read(struct rtkvm *rt, uint64_t id, char out[RTKVM_VALUE_MAX]);
int rtkvm_partition_write(struct rtkvm *rt, uint64_t id, const char *text);
/* Put a thread into it. */
int rtkvm_partition_enter(struct rtkvm *rt, uint64_t id, pid_t tid);
/* And out of it again, to the root. -ENOENT: it is not in it. */
int rtkvm_partition_leave(struct rtkvm *rt, uint64_t id, pid_t tid);

/*
 * irqbalance.c: the daemon is told of all leased CPUs. 0 or -errno, quiet; -ENODEV:
 * it does not run, or has no socket.
 */
int rtkvm_irqbalance_tell(struct rtkvm *rt, const struct rtkvm_cpus *leased);
/* What it goes by since its last look, and how many seconds are between two. */
int rtkvm_irqbalance_banned(struct rtkvm *rt, struct rtkvm_cpus *banned, unsigned int *seconds);
int rtkvm_irqbalance_read(struct rtkvm *rt, const struct rtkvm_change *c,
			  char out[RTKVM_VALUE_MAX]);

/* resctrl.c: a group "rtkvm-ID"; its text is CPUS:SCHEMATA, "-": there is none. */
bool rtkvm_resctrl_ok(const char *text);
int rtkvm_resctrl_read(struct rtkvm *rt, const struct rtkvm_change *c, char out[RTKVM_VALUE_MAX]);
int rtkvm_resctrl_write(struct rtkvm *rt, uint64_t id, const char *text);
/* What the kernel did not like of the last one that this thread wrote; "": not said. */
const char *rtkvm_resctrl_why(void);

/* thread.c. -ESRCH: the thread has ended. */
struct rtkvm_sched {
	int policy;
	int priority;
	bool reset_on_fork;
};
bool rtkvm_sched_parse(const char *text, bool strict, struct rtkvm_sched *sched);
void rtkvm_sched_print(const struct rtkvm_sched *sched, char *out, size_t size);
int rtkvm_sched_read(pid_t tid, struct rtkvm_sched *sched);
int rtkvm_sched_write(pid_t tid, const struct rtkvm_sched *sched);
bool rtkvm_thread_cpus_ok(const char *text);
bool rtkvm_thread_cpus_equal(const char *a, const char *b);
int rtkvm_thread_cpus_read(pid_t tid, char out[RTKVM_VALUE_MAX]);
int rtkvm_thread_cpus_write(pid_t tid, const char *text);
int rtkvm_thread_start(struct rtkvm *rt, pid_t tid, uint64_t *start);

/* change.c. _read, _write: 0 or -errno without recording an error. */
bool rtkvm_change_valid(const struct rtkvm_change *c);
bool rtkvm_change_equal(const struct rtkvm_change *c, const char *a, const char *b);
bool rtkvm_change_same_target(const struct rtkvm_change *a, const struct rtkvm_change *b);
int rtkvm_change_read(struct rtkvm *rt, const struct rtkvm_change *c, char out[RTKVM_VALUE_MAX]);
int rtkvm_change_write(struct rtkvm *rt, const struct rtkvm_change *c, const char *text);
void rtkvm_change_label(const struct rtkvm_change *c, char out[RTKVM_LABEL_MAX]);
/* Where it is, for an error: a path or a system call. */
void rtkvm_change_where(const struct rtkvm_change *c, char *out, size_t size);
/*
 * For changes with take: what to write to give back, with now as it is. 1:
 * write *out; 0: nothing to do; -1: somebody else wanted it otherwise.
 */
int rtkvm_change_put_back(const struct rtkvm_change *c, const char *now,
			  const struct rtkvm_cpus *leased, char out[RTKVM_VALUE_MAX]);
/* What can be done about errno err of it; NULL: nothing known. */
const char *rtkvm_change_remedy(const struct rtkvm_change *c, int err);
/* A value for people. */
void rtkvm_change_say(const struct rtkvm_change *c, const char *text, char *out, size_t size);
void rtkvm_change_clear(struct rtkvm_change *c);

/* journal.c: pure. Each _format gives the length of a line with its line feed. */
uint32_t rtkvm_crc32(const char *data, size_t len);
size_t rtkvm_journal_format_header(const struct rtkvm_journal_owner *owner,
				   char out[RTKVM_LINE_MAX]);
size_t rtkvm_journal_format_change(const struct rtkvm_change *c, char out[RTKVM_LINE_MAX]);
size_t rtkvm_journal_format_undone(unsigned int seq, uint64_t time, unsigned int undone,
				   char out[RTKVM_LINE_MAX]);
/* The last line of every journal; a record takes its place and puts it after itself. */
#define RTKVM_JOURNAL_END ".\n"
bool rtkvm_lease_name_ok(const char *name);
bool rtkvm_boot_id_ok(const char *text);

/*
 * Read a whole journal. 0; -EBADMSG with the reason in why; -ENOMEM. What it
 * holds is freed by rtkvm_journal_clear(), also after an error.
 */
#define RTKVM_WHY_MAX 96
int rtkvm_journal_parse(const char *text, size_t len, struct rtkvm_journal *j,
			char why[RTKVM_WHY_MAX]);
int rtkvm_journal_add(struct rtkvm_journal *j, struct rtkvm_change *c); /* takes its texts */
size_t rtkvm_journal_open_changes(const struct rtkvm_journal *j);
void rtkvm_journal_clear(struct rtkvm_journal *j);

/*
 * statedir.c: descriptor of the folder with the journals, error recorded.
 * Without create, -ENOENT when nothing was ever journaled (not recorded).
 */
int rtkvm_statedir_open(struct rtkvm *rt, bool create);
/* The lock that restores, releases and status take turns by; waits up to 10 s. */
int rtkvm_statedir_lock(struct rtkvm *rt, int dir_fd, bool exclusive);
void rtkvm_statedir_unlock(int dir_fd);
int rtkvm_boot_id(struct rtkvm *rt, char out[37]);

/* pidns.c */
uint64_t rtkvm_pidns(void); /* inode of the caller's pid namespace; 0: not known */
/* Is nobody left in that one? Known in the host's only; false also when it cannot be known. */
bool rtkvm_pidns_gone(struct rtkvm *rt, uint64_t pidns);
/* Does this process only wait to be reaped? Then it is nobody, however long that takes. */
bool rtkvm_zombie(struct rtkvm *rt, pid_t pid);

/* store.c */
uint64_t rtkvm_boottime(void);
int rtkvm_store_create(struct rtkvm *rt, int dir_fd, const struct rtkvm_journal_owner *owner,
		       struct rtkvm_store *s);
/* Synced when it returns 0, and added to s->journal. Takes the texts of c then. */
int rtkvm_store_add(struct rtkvm *rt, struct rtkvm_store *s, struct rtkvm_change *c);
/* The same, not synced yet: then nothing may be changed before rtkvm_store_sync(). */
int rtkvm_store_add_more(struct rtkvm *rt, struct rtkvm_store *s, struct rtkvm_change *c);
int rtkvm_store_sync(struct rtkvm *rt, struct rtkvm_store *s);
/* The same again, of a record that is in another journal already. */
int rtkvm_store_add_again(struct rtkvm *rt, struct rtkvm_store *s, struct rtkvm_change *c);
void rtkvm_store_undone(struct rtkvm_store *s, struct rtkvm_change *c);
/* Before the first record is added to a journal that was read: cut its torn tail. */
void rtkvm_store_mend(struct rtkvm_store *s);
int rtkvm_store_remove(struct rtkvm_store *s);
void rtkvm_store_close(struct rtkvm_store *s);

/* scan.c */
enum {
	RTKVM_FOUND_DEAD = 1, /* nobody has it: its lock is ours now (not for a look) */
	RTKVM_FOUND_LIVE,
	RTKVM_FOUND_HEADLESS,   /* locked like a dead one */
	RTKVM_FOUND_OTHER_BOOT, /* locked like a dead one */
	RTKVM_FOUND_REFUSED,    /* reason in why */
};

struct rtkvm_found {
	int what;
	struct rtkvm_store store;
	char why[RTKVM_WHY_MAX];
};

struct rtkvm_scan {
	struct rtkvm_found *found;
	size_t count;
	char overflow[RTKVM_WHY_MAX]; /* why files were left out; "": none were */
};

/* Look at all files. take: lock dead ones and keep their descriptors. */
int rtkvm_scan(struct rtkvm *rt, int dir_fd, const char *boot_id, const char *skip, bool take,
	       struct rtkvm_scan *scan);
/* The same, to take, as if the target of leases of that name had ended. */
int rtkvm_scan_ended(struct rtkvm *rt, int dir_fd, const char *boot_id, const char *name,
		     struct rtkvm_scan *scan);
void rtkvm_scan_free(struct rtkvm_scan *scan);

/* The CPUs that live leases of a scan claim are added to cpus. */
void rtkvm_scan_claims(const struct rtkvm_scan *scan, struct rtkvm_cpus *cpus);

/* lease.c */
struct rtkvm_lease {
	struct rtkvm *rt;
	int dir_fd;
	int cstate_fd; /* -1: none */
	bool shared;   /* its descriptor was asked for: there may be copies */
	size_t compacted; /* size of the journal when it was written anew, bytes; 0: never */
	struct rtkvm_store store;
};
uint64_t rtkvm_lease_id(const struct rtkvm_lease *lease); /* number of its journal */
/*
 * rtkvm_lease_set_thread_cpus() of a thread that was on other CPUs before something
 * that goes with it, such as entering a partition: those it gets back.
 */
int rtkvm_lease_move_thread(struct rtkvm_lease *lease, pid_t tid, const char *before,
			    const char *cpus);
int rtkvm_lease_roll_back(struct rtkvm_lease *lease, struct rtkvm_change *c);

/*
 * batch.c: many changes with one sync. Each is made, read back and journaled
 * as by rtkvm_lease_set_*(); what failed has its errno in result, and is as
 * it was. Returns -errno when the journal failed; then nothing was changed.
 */
struct rtkvm_batch_item {
	struct rtkvm_change change; /* kind and target; before and after are taken over */
	int result;                 /* 0 or -errno */
	char now[96];               /* what the kernel shows when it did not take it */
};
int rtkvm_lease_apply(struct rtkvm_lease *lease, struct rtkvm_batch_item *items, size_t count);

/*
 * claim.c: open a lease that claims CPUs nobody else of this state directory
 * has (nor, for ordinary users, root). choose gets what is taken and gives
 * the CPUs wanted, or -errno with its error recorded.
 */
typedef int rtkvm_choose_fn(void *arg, const struct rtkvm_cpus *taken, struct rtkvm_cpus *out);
int rtkvm_lease_claim(struct rtkvm *rt, const char *name, rtkvm_choose_fn *choose, void *arg,
		      struct rtkvm_lease **lease);

/*
 * compact.c: write a journal anew without what needs no undoing any more, when it
 * has grown. For leases of threads that come and go; quiet, and harmless if it fails.
 */
void rtkvm_lease_compact(struct rtkvm_lease *lease);

/* watched.c: the item of a watch (watched.h) in a status; nothing for a lease that never had one. */
void rtkvm_lease_watch_status(struct rtkvm *rt, const struct rtkvm_journal *j, bool here,
			      struct rtkvm_report *report);

/* restore.c: with the lock of the directory held. */
int rtkvm_restore_found(struct rtkvm *rt, struct rtkvm_scan *scan, struct rtkvm_report *report);

/* undo.c */
/*
 * Undo the open changes of all stores, the latest first. Changes that a live
 * lease of others turned again later wait for that one. own: its items carry
 * no lease name. Returns 0, or -EIO when something is left that needs another
 * try.
 */
struct rtkvm_undo {
	struct rtkvm *rt;
	struct rtkvm_store **stores;
	size_t count;
	const struct rtkvm_scan *others; /* may be NULL */
	const struct rtkvm_store *own;   /* may be NULL */
	struct rtkvm_report *report;     /* may be NULL */
};
int rtkvm_undo(const struct rtkvm_undo *u);
/* Does a live lease of others hold the target of c since later? Its name, or NULL. */
const char *rtkvm_undo_held_by(const struct rtkvm_change *c, const struct rtkvm_scan *others);

#endif
