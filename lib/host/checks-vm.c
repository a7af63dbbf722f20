/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Checks of a running VM: its threads, their CPUs, its memory, its exits. Its
 * configuration is in checks-vm-config.c.
 */
#include <errno.h>
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <rtkvm/plan.h>

#include "exits.h"
#include "parse.h"
#include "read.h"
#include "vm.h"

/* Of one vCPU; more than that is work for the VMM or the host, not the guest's. */
#define EXITS_PER_SECOND 20000

static bool need_threads(struct host_facts *facts, struct host_finding *f)
{
	const struct host_vm *vm = facts->vm;
	char path[64];

	if (!vm) {
		host_say(f, HOST_NA, "no VM was named (--pid, --qmp)");
	} else if (vm->threads_err) {
		snprintf(path, sizeof(path), "/proc/%d/task", vm->pid);
		host_unreadable(facts, f, path, vm->threads_err);
	} else if (!vm->vcpus) {
		host_say(f, HOST_UNKNOWN, "none of the %zu threads of process %d is known for a vCPU (QEMU "
			 "tells by --qmp, or names them with -name ID,debug-threads=on)", vm->count,
			 vm->pid);
	} else {
		return true;
	}
	return false;
}

/* Numbers of threads for a remedy; more than fit are no remedy. */
#define LIST 480

enum which { VCPUS, OTHERS, KERNEL };

static bool is(const struct host_vm_thread *t, enum which which)
{
	return which == VCPUS ? t->vcpu : which == KERNEL ? t->kernel : !t->vcpu && !t->kernel;
}

static bool tids(const struct host_vm *vm, enum which which, char *list, size_t size)
{
	size_t len = 0;

	list[0] = '\0';
	for (size_t i = 0; i < vm->count; i++) {
		if (!is(&vm->thread[i], which))
			continue;
		len += (size_t)snprintf(list + len, size - len, "%s%d", len ? " " : "",
					vm->thread[i].tid);
		if (len >= size)
			return false;
	}
	return len > 0;
}

/* The commands that give each vCPU a real-time CPU of its own. */
static void pin_remedy(struct host_facts *facts, struct host_finding *f)
{
	const struct rtkvm_cpus *cpus = &facts->realtime.set;
	char text[600];
	size_t len = 0;
	int cpu = -1;

	if (facts->realtime.err || host_empty(cpus)) {
		host_remedy(f, RTKVM_REMEDY_MANUAL, "isolate as many CPUs as there are vCPUs, and pin each "
						    "vCPU thread to one of its own (taskset -pc CPU TID)");
		return;
	}
	if (rtkvm_cpus_count(cpus) < facts->vm->vcpus) {
		host_remedy(f, RTKVM_REMEDY_MANUAL, "overcommitted: %zu vCPUs, %u real-time CPUs; give the VM "
			    "fewer vCPUs, or isolate more CPUs", facts->vm->vcpus, rtkvm_cpus_count(cpus));
		return;
	}
	for (size_t i = 0; i < facts->vm->count && len < sizeof(text); i++) {
		if (!facts->vm->thread[i].vcpu)
			continue;
		cpu = rtkvm_cpus_next(cpus, (unsigned int)(cpu + 1));
		len += (size_t)snprintf(text + len, sizeof(text) - len, "%staskset -pc %d %d",
					len ? "; " : "", cpu, facts->vm->thread[i].tid);
	}
	if (len < sizeof(text))
		host_remedy(f, RTKVM_REMEDY_COMMAND, "%s", text);
	else
		host_remedy(f, RTKVM_REMEDY_MANUAL, "pin each vCPU thread to one of CPUs %s of its own "
			    "(taskset -pc CPU TID)", host_list(cpus, text));
}

static bool realtime(int policy)
{
	return policy == SCHED_FIFO || policy == SCHED_RR;
}

static int role_priority(const struct host_facts *facts, int role, int *policy)
{
	struct rtkvm_role_sched sched = { .size = sizeof(sched) };

	if (!facts->plan || rtkvm_plan_get_role(facts->plan, role, &sched) < 0)
		return -1;
	*policy = sched.policy == RTKVM_POLICY_FF ? SCHED_FIFO :
		  sched.policy == RTKVM_POLICY_RR ? SCHED_RR : SCHED_OTHER;
	return sched.priority;
}

static void check_vcpu_sched(struct host_facts *facts, const struct host_check *check,
			     struct host_finding *f)
{
	const struct host_vm_thread *first = NULL;
	int policy = SCHED_FIFO, priority = role_priority(facts, RTKVM_ROLE_VCPU, &policy);
	unsigned int wrong = 0;
	char list[LIST];

	(void)check;
	if (!need_threads(facts, f))
		return;
	for (size_t i = 0; i < facts->vm->count; i++) {
		const struct host_vm_thread *t = &facts->vm->thread[i];

		if (!t->vcpu || (priority < 0 ? realtime(t->policy) :
						t->policy == policy && t->priority == priority))
			continue;
		if (!wrong++)
			first = t;
	}
	if (!wrong) {
		host_say(f, HOST_OK, "%zu vCPU threads are %s", facts->vm->vcpus,
			 priority < 0 ? "real-time" : "as planned");
		return;
	}
	host_say(f, HOST_FAIL, "%.20s (tid %d) is %s %d; %u of %zu vCPU threads are not %s",
		 first->comm, first->tid, realtime(first->policy) ? "real-time" : "SCHED_OTHER",
		 first->priority, wrong, facts->vm->vcpus, priority < 0 ? "real-time" : "as planned");
	if (tids(facts->vm, VCPUS, list, sizeof(list)))
		host_remedy(f, RTKVM_REMEDY_COMMAND, "for t in %s; do chrt %s -p %d $t; done", list,
			    policy == SCHED_RR ? "-r" : policy == SCHED_OTHER ? "-o" : "-f",
			    priority < 0 ? 1 : priority);
}

static void unknown_cpus(struct host_facts *facts, struct host_finding *f,
			 const struct host_vm_thread *t)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/task/%d/status", facts->vm->pid, t->tid);
	host_unreadable(facts, f, path, t->cpus_err);
}

static void check_pinned(struct host_facts *facts, const struct host_check *check,
			 struct host_finding *f)
{
	const struct host_vm *vm = facts->vm;
	struct rtkvm_cpus used;
	char a[HOST_LIST];

	(void)check;
	if (!need_threads(facts, f))
		return;
	rtkvm_cpus_clear(&used);
	for (size_t i = 0; i < vm->count; i++) {
		const struct host_vm_thread *t = &vm->thread[i];
		int cpu;

		if (!t->vcpu)
			continue;
		if (t->cpus_err) {
			unknown_cpus(facts, f, t);
			return;
		}
		cpu = rtkvm_cpus_next(&t->cpus, 0);
		if (rtkvm_cpus_count(&t->cpus) != 1)
			host_say(f, HOST_FAIL, "%.20s (tid %d) may run on CPUs %s", t->comm, t->tid,
				 host_list(&t->cpus, a));
		else if (rtkvm_cpus_has(&used, (unsigned int)cpu))
			host_say(f, HOST_FAIL, "%.20s (tid %d) shares CPU %d with another vCPU", t->comm,
				 t->tid, cpu);
		else {
			rtkvm_cpus_add(&used, (unsigned int)cpu);
			continue;
		}
		pin_remedy(facts, f);
		return;
	}
	host_say(f, HOST_OK, "%zu vCPUs, each alone on one of CPUs %s", vm->vcpus, host_list(&used, a));
}

/* CPUs of all vCPU threads. false: said why they are not known. */
static bool vcpu_cpus(struct host_facts *facts, struct host_finding *f, struct rtkvm_cpus *all)
{
	const struct host_vm *vm = facts->vm;

	rtkvm_cpus_clear(all);
	for (size_t i = 0; i < vm->count; i++) {
		const struct host_vm_thread *t = &vm->thread[i];

		if (!t->vcpu)
			continue;
		if (t->cpus_err) {
			unknown_cpus(facts, f, t);
			return false;
		}
		for (size_t w = 0; w < RTKVM_CPULIST_WORDS; w++)
			all->bits[w] |= t->cpus.bits[w];
	}
	return true;
}

static void check_isolated(struct host_facts *facts, const struct host_check *check,
			   struct host_finding *f)
{
	struct rtkvm_cpus cpus, outside;
	char a[HOST_LIST];

	(void)check;
	if (!need_threads(facts, f) || !host_need_realtime(facts, f))
		return;
	if (!vcpu_cpus(facts, f, &cpus))
		return;
	outside = host_minus(&cpus, &facts->realtime.set);
	if (host_empty(&outside)) {
		host_say(f, HOST_OK, "vCPUs run on real-time CPUs only");
		return;
	}
	host_say(f, HOST_FAIL, "vCPUs may run on CPUs %s, which are not isolated", host_list(&outside, a));
	pin_remedy(facts, f);
}

/* Away from the vCPUs, to the host's CPUs, or whatever is left. */
static void move_remedy(struct host_facts *facts, struct host_finding *f, enum which which,
			const struct rtkvm_cpus *vcpus)
{
	struct rtkvm_cpus rest = host_minus(&facts->housekeeping, vcpus);
	char list[LIST], cpus[HOST_LIST];

	if (facts->online.err || facts->realtime.err || host_empty(&rest) ||
	    !tids(facts->vm, which, list, sizeof(list)))
		host_remedy(f, RTKVM_REMEDY_MANUAL, "pin the vCPUs first (vm-vcpu-pinned), and leave CPUs to "
						    "the other threads");
	else
		host_remedy(f, RTKVM_REMEDY_COMMAND, "for t in %s; do taskset -pc %s $t; done", list,
			    host_list(&rest, cpus));
}

/* Threads that are not vCPUs, of one kind, on vCPU CPUs. */
static void beside(struct host_facts *facts, struct host_finding *f, enum which which, int bad)
{
	const struct host_vm *vm = facts->vm;
	const struct host_vm_thread *first = NULL;
	struct rtkvm_cpus cpus;
	unsigned int wrong = 0, seen = 0;

	if (!need_threads(facts, f) || !vcpu_cpus(facts, f, &cpus))
		return;
	for (size_t i = 0; i < vm->count; i++) {
		const struct host_vm_thread *t = &vm->thread[i];
		struct rtkvm_cpus both;

		if (!is(t, which))
			continue;
		if (t->cpus_err) {
			unknown_cpus(facts, f, t);
			return;
		}
		seen++;
		both = host_common(&t->cpus, &cpus);
		/* the one that is most to be seen: an I/O thread */
		if (!host_empty(&both) && (!wrong++ || (t->io && !first->io)))
			first = t;
	}
	if (!seen) {
		host_say(f, HOST_NA, which == KERNEL ? "no thread of the kernel belongs to this VM" :
						       "no other thread");
	} else if (!wrong) {
		host_say(f, HOST_OK, "%u threads keep off the vCPUs' CPUs", seen);
	} else {
		host_say(f, bad, "%s%.24s (tid %d) and %u more of %u may run on the vCPUs' CPUs",
			 first->io ? "I/O thread " : "", first->comm, first->tid, wrong - 1, seen);
		move_remedy(facts, f, which, &cpus);
	}
}

static void check_other_threads(struct host_facts *facts, const struct host_check *check,
				struct host_finding *f)
{
	(void)check;
	beside(facts, f, OTHERS, HOST_FAIL);
}

static void check_kernel_threads(struct host_facts *facts, const struct host_check *check,
				 struct host_finding *f)
{
	(void)check;
	beside(facts, f, KERNEL, HOST_WARN);
}

static int role_of(const struct host_vm *vm, const struct host_vm_thread *t)
{
	return t->vcpu ? RTKVM_ROLE_VCPU : t->tid == vm->pid ? RTKVM_ROLE_MAIN :
	       t->io ? RTKVM_ROLE_IO : !strcmp(t->comm, "worker") ? RTKVM_ROLE_AIO : RTKVM_ROLE_HELPER;
}

/* All threads of the process against the plan; vCPUs alone are vm-vcpu-sched. */
static void check_plan(struct host_facts *facts, const struct host_check *check,
		       struct host_finding *f)
{
	static const char *const roles[RTKVM_ROLE_COUNT] = { "main", "io", "vcpu", "aio", "helper" };
	char commands[600] = "";
	unsigned int wrong = 0;
	size_t len = 0;

	(void)check;
	if (!need_threads(facts, f))
		return;
	if (!facts->plan) {
		host_say(f, HOST_NA, "no plan was given (--plan)");
		return;
	}
	for (size_t i = 0; i < facts->vm->count; i++) {
		const struct host_vm_thread *t = &facts->vm->thread[i];
		int role = role_of(facts->vm, t), policy = SCHED_OTHER, priority;

		if (t->kernel)
			continue;
		priority = role_priority(facts, role, &policy);
		if (t->policy == policy && t->priority == priority)
			continue;
		if (!wrong++)
			host_say(f, HOST_WARN, "%.20s (tid %d, %s) is %s %d, planned is %s %d", t->comm, t->tid,
				 roles[role], realtime(t->policy) ? "real-time" : "SCHED_OTHER", t->priority,
				 realtime(policy) ? "real-time" : "SCHED_OTHER", priority);
		if (len < sizeof(commands))
			len += (size_t)snprintf(commands + len, sizeof(commands) - len, "%schrt %s -p %d %d",
						len ? "; " : "", policy == SCHED_RR ? "-r" :
						policy == SCHED_OTHER ? "-o" : "-f", priority, t->tid);
	}
	if (!wrong)
		host_say(f, HOST_OK, "all %zu threads are as planned", facts->vm->count);
	else if (len < sizeof(commands))
		host_remedy(f, RTKVM_REMEDY_COMMAND, "%s", commands);
	else
		host_remedy(f, RTKVM_REMEDY_MANUAL, "%u threads are not as planned: start the VMM with "
						    "librtkvm, or chrt each", wrong);
}

/* A text of the VM's process. false: said why not. */
static bool vm_text(struct host_facts *facts, struct host_finding *f, const char *name, char *text,
		    size_t size)
{
	char path[64];
	int ret;

	if (!facts->vm || !facts->vm->pid) {
		host_say(f, HOST_NA, "no VM was named (--pid, --qmp)");
		return false;
	}
	snprintf(path, sizeof(path), "/proc/%d/%s", facts->vm->pid, name);
	ret = host_text(facts, path, text, size);
	if (ret < 0)
		host_unreadable(facts, f, path, ret);
	return ret == 0;
}

static void check_locked(struct host_facts *facts, const struct host_check *check,
			 struct host_finding *f)
{
	uint64_t locked, size, swapped, huge = 0;
	char text[8192];

	(void)check;
	if (!vm_text(facts, f, "status", text, sizeof(text)))
		return;
	if (host_key_number(text, "VmLck", &locked) < 0 || host_key_number(text, "VmRSS", &size) < 0 ||
	    host_key_number(text, "VmSwap", &swapped) < 0) {
		host_say(f, HOST_UNKNOWN, "/proc/%d/status lacks VmLck, VmRSS or VmSwap", facts->vm->pid);
		return;
	}
	(void)host_key_number(text, "HugetlbPages", &huge);
	if (swapped) {
		host_say(f, HOST_FAIL, "%llu kB are swapped out", (unsigned long long)swapped);
		host_remedy(f, RTKVM_REMEDY_COMMAND, "swapoff -a");
	} else if (locked < size) {
		host_say(f, HOST_FAIL, "%llu of %llu kB are locked", (unsigned long long)locked,
			 (unsigned long long)size);
		host_remedy(f, RTKVM_REMEDY_MANUAL, "QEMU: -overcommit mem-lock=on; libvirt: "
			    "<memoryBacking><locked/>; with librtkvm: rtkvm_plan_go_realtime()");
	} else {
		host_say(f, HOST_OK, "%llu kB are locked, none is swapped out",
			 (unsigned long long)locked);
	}
}

static void check_hugepages(struct host_facts *facts, const struct host_check *check,
			    struct host_finding *f)
{
	uint64_t rss, priv = 0, shared = 0, anon = 0, huge;
	char text[8192], fact[HOST_VM_FACT];
	const char *told;
	int64_t memory = 0;

	(void)check;
	if (!vm_text(facts, f, "smaps_rollup", text, sizeof(text)))
		return;
	if (host_key_number(text, "Rss", &rss) < 0 ||
	    host_key_number(text, "Private_Hugetlb", &priv) < 0 ||
	    host_key_number(text, "Shared_Hugetlb", &shared) < 0 ||
	    host_key_number(text, "AnonHugePages", &anon) < 0) {
		host_say(f, HOST_UNKNOWN, "/proc/%d/smaps_rollup lacks Rss or its hugepages", facts->vm->pid);
		return;
	}
	huge = priv + shared + anon;
	told = host_vm_fact(facts->vm, "memory", fact);
	if (told && !(rtkvm_parse_i64(told, 1, INT64_MAX, &memory))) {
		host_malformed(f, "memory", told, "a number of bytes");
		return;
	}
	/* hugetlb pages are no part of Rss; without the guest's size, the larger half decides */
	if (told ? huge >= (uint64_t)memory / 1024 : huge && huge >= rss / 2) {
		host_say(f, HOST_OK, "%llu kB in hugepages, %llu kB resident",
			 (unsigned long long)huge, (unsigned long long)rss);
		return;
	}
	if (told)
		host_say(f, HOST_WARN, "%llu kB in hugepages, of a guest of %lld kB", (unsigned long long)huge,
			 (long long)memory / 1024);
	else
		host_say(f, HOST_WARN, "%llu kB in hugepages, %llu kB resident", (unsigned long long)huge,
			 (unsigned long long)rss);
	host_remedy(f, RTKVM_REMEDY_MANUAL, "QEMU: -object memory-backend-file,mem-path=/dev/hugepages,"
		    "prealloc=on; libvirt: <memoryBacking><hugepages/>");
}

/* Fields 10 and 12 of stat, counted from 1, after the name. */
static bool faults_of(const char *stat, uint64_t *minor, uint64_t *major)
{
	const char *p = strrchr(stat, ')');
	unsigned long long a, b;

	if (!p || sscanf(p, ") %*c %*d %*d %*d %*d %*d %*u %llu %*u %llu", &a, &b) != 2)
		return false;
	*minor = a;
	*major = b;
	return a < ULLONG_MAX && b < ULLONG_MAX; /* more than fits */
}

static void check_faults(struct host_facts *facts, const struct host_check *check,
			 struct host_finding *f)
{
	uint64_t minor, major;
	char text[2048];

	(void)check;
	if (!vm_text(facts, f, "stat", text, sizeof(text)))
		return;
	if (!faults_of(text, &minor, &major)) {
		host_say(f, HOST_UNKNOWN, "/proc/%d/stat is not understood", facts->vm->pid);
	} else if (major) {
		host_say(f, HOST_WARN, "%llu major faults since its start (%llu minor)",
			 (unsigned long long)major, (unsigned long long)minor);
		host_remedy(f, RTKVM_REMEDY_MANUAL, "lock its memory and fault it in before it is "
			    "real-time (QEMU: -overcommit mem-lock=on, prealloc=on)");
	} else {
		host_say(f, HOST_OK, "no major fault since its start (%llu minor)",
			 (unsigned long long)minor);
	}
}

/* "halt_exits 400, io_exits 30": the reasons, the most first. */
static void most(const struct host_exits *e, char *text, size_t size)
{
	bool told[HOST_EXITS_MAX] = { false };

	text[0] = '\0';
	for (int n = 0; n < 4; n++) {
		size_t len = strlen(text);
		int best = -1;

		for (unsigned int i = 0; i < e->count; i++)
			if (!told[i] && strcmp(e->reason[i].name, "exits") && e->reason[i].value &&
			    (best < 0 || e->reason[i].value > e->reason[best].value))
				best = (int)i;
		if (best < 0)
			return;
		told[best] = true;
		snprintf(text + len, size - len, "%s%s %.0f", len ? ", " : ": ", e->reason[best].name,
			 (double)e->reason[best].value / e->seconds);
	}
}

static void check_exits(struct host_facts *facts, const struct host_check *check,
			struct host_finding *f)
{
	struct host_exits *e;
	char reasons[240];
	double rate;
	bool many;
	int ret;

	(void)check;
	if (!facts->vm || !facts->vm->pid) {
		host_say(f, HOST_NA, "no VM was named (--pid, --qmp)");
		return;
	}
	e = calloc(1, sizeof(*e));
	ret = e ? host_exits_read(facts, e) : -ENOMEM;
	if (ret < 0) {
		host_unreadable(facts, f, e ? e->path : "exits", ret);
		f->needs_root = !facts->root;
		free(e);
		return;
	}
	rate = (double)host_exits_get(e, "exits") / e->seconds;
	many = rate > EXITS_PER_SECOND * (double)(facts->vm->vcpus ? facts->vm->vcpus : 1);
	most(e, reasons, sizeof(reasons));
	host_say(f, many ? HOST_WARN : HOST_OK, "%.0f exits a second %s (%s)%s", rate,
		 e->live ? "now" : "on average", e->source, reasons);
	if (many)
		host_remedy(f, RTKVM_REMEDY_MANUAL, "see why: perf kvm stat live -p %d", facts->vm->pid);
	free(e);
}

const struct host_check host_checks_vm[] = {
	{ "vm-vcpu-sched", "vm", "vCPU threads are real-time", check_vcpu_sched,
	  "A vCPU without real-time policy shares its CPU with every other thread by time slices.",
	  "sched(7); Kiszka, Towards Linux as a Real-Time Hypervisor (2009), section 4", NULL },
	{ "vm-plan", "vm", "all threads as planned", check_plan,
	  "A thread below the vCPUs that they wait for starves; one above them delays them.",
	  "Kiszka (2009), section 4: roles of QEMU's threads; rtkvm(1), plan", NULL },
	{ "vm-vcpu-pinned", "vm", "one CPU for each vCPU", check_pinned,
	  "A vCPU that migrates loses its caches; two real-time vCPUs on one CPU starve each other, "
	  "and a guest that spins for the other one livelocks.",
	  "Documentation/virt/kvm/x86/; sched_setaffinity(2)", NULL },
	{ "vm-vcpu-isolated", "vm", "vCPUs on real-time CPUs", check_isolated,
	  "Outside of the isolated CPUs, everything else of the host runs too.",
	  "Documentation/admin-guide/kernel-parameters.txt, isolcpus", NULL },
	{ "vm-other-threads", "vm", "other threads keep off the vCPUs", check_other_threads,
	  "An I/O thread on a vCPU's CPU waits for it for ever, or delays it; the guest then waits for "
	  "its own disk.",
	  "Kiszka (2009), section 4: roles of QEMU's threads", NULL },
	{ "vm-kernel-threads", "vm", "its kernel threads keep off the vCPUs", check_kernel_threads,
	  "kvm-pit and vhost threads are made in the VM's name and inherit or lose its CPUs.",
	  "arch/x86/kvm/i8254.c; drivers/vhost/; kubevirt issue 9613", NULL },
	{ "vm-locked", "vm", "its memory is locked", check_locked,
	  "A page that is not locked can be reclaimed; the next access of the guest faults.", "mlock(2)",
	  NULL },
	{ "vm-hugepages", "vm", "its memory is in hugepages", check_hugepages,
	  "Each TLB miss walks two page tables; hugepages make both short.",
	  "Documentation/admin-guide/mm/hugetlbpage.rst; proc_pid_smaps(5)", NULL },
	{ "vm-faults", "vm", "no major page fault", check_faults,
	  "A major fault waits for a disk.", "proc_pid_stat(5), majflt", NULL },
	{ "vm-exits", "vm", "few exits", check_exits,
	  "Each exit costs 1 to 2 us, more when the VMM has to act.",
	  "Documentation/virt/kvm/api.rst, 4.133; /sys/kernel/debug/kvm", NULL },
	{ .id = NULL },
};
