/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Facts of a running VM; see vm.h.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/kthreads.h"
#include "core/task.h"
#include "parse.h"
#include "read.h"
#include "vm.h"

#define ARGS_MAX 131072

bool host_vm_is_vcpu(const char *comm)
{
	unsigned int n;
	int end = 0;

	if (sscanf(comm, "CPU %5u/KVM%n", &n, &end) == 1 && end && !comm[end])
		return true;
	if (sscanf(comm, "vcpu%5u%n", &n, &end) == 1 && !comm[end])
		return true;
	if (sscanf(comm, "crosvm_vcpu%5u%n", &n, &end) == 1 && !comm[end])
		return true;
	return sscanf(comm, "fc_vcpu %5u%n", &n, &end) == 1 && !comm[end];
}

bool host_vm_facts_valid(const char *facts)
{
	while (*facts) {
		size_t len = strcspn(facts, "\n"), key = strspn(facts, "abcdefghijklmnopqrstuvwxyz."
								       "0123456789-_");

		if (!key || key >= len || facts[key] != '=' || len - key > HOST_VM_FACT)
			return false;
		facts += len + (facts[len] == '\n');
	}
	return true;
}

const char *host_vm_fact(const struct host_vm *vm, const char *key, char value[HOST_VM_FACT])
{
	size_t want = strlen(key);

	for (const char *p = vm->facts; p && *p;) {
		size_t len = strcspn(p, "\n");

		if (len > want && !strncmp(p, key, want) && p[want] == '=') {
			snprintf(value, HOST_VM_FACT, "%.*s", (int)(len - want - 1), p + want + 1);
			return value;
		}
		p += len + (p[len] == '\n');
	}
	return NULL;
}

const char *host_vm_option(const struct host_vm *vm, const char *name, unsigned int index,
			   bool *present)
{
	const char *p = vm->args;

	*present = false;
	while (p && *p) {
		const char *word = p, *next = p + strlen(p) + 1;

		if (*word == '-') {
			word += word[1] == '-' ? 2 : 1;
			if (!strcmp(word, name)) {
				*present = true;
				if (!index--)
					return *next && *next != '-' ? next : NULL;
			}
		}
		p = next;
	}
	return NULL;
}

/* Does QMP say that this thread is one of these? Facts "vcpu.N.tid=TID". */
static bool told(const struct host_vm *vm, const char *what, pid_t tid)
{
	size_t len = strlen(what);

	for (const char *p = vm->facts; p && *p;) {
		unsigned int n;
		int fact;

		if (!strncmp(p, what, len) && sscanf(p + len, ".%5u.tid=%10d", &n, &fact) == 2 &&
		    fact == tid)
			return true;
		p += strcspn(p, "\n");
		p += *p == '\n';
	}
	return false;
}

static void read_allowed(struct host_facts *facts, pid_t tgid, struct host_vm_thread *t)
{
	char path[64], status[8192], list[RTKVM_CPULIST_TEXT];
	ssize_t len;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/status", tgid, t->tid);
	len = host_head(facts, path, status, sizeof(status));
	if (len < 0)
		t->cpus_err = (int)len;
	else if (!host_key_get(status, "Cpus_allowed_list", list, sizeof(list)) ||
		 rtkvm_cpus_parse_list(list, &t->cpus, NULL) < 0 || host_empty(&t->cpus))
		t->cpus_err = -EILSEQ;
}

static int add_thread(struct host_facts *facts, struct host_vm *vm, pid_t tgid,
		      const struct rtkvm_task *task)
{
	struct host_vm_thread *t;

	if (vm->count >= HOST_VM_THREADS)
		return -E2BIG;
	t = &vm->thread[vm->count++];
	t->tid = task->tid;
	t->policy = task->policy;
	t->priority = task->priority;
	t->kernel = task->kthread;
	snprintf(t->comm, sizeof(t->comm), "%s", task->comm);
	t->vcpu = !t->kernel && (host_vm_is_vcpu(task->comm) || told(vm, "vcpu", task->tid));
	t->io = !t->kernel && !t->vcpu &&
		(!strncmp(task->comm, "IO ", 3) || told(vm, "iothread", task->tid));
	vm->vcpus += t->vcpu;
	read_allowed(facts, tgid, t);
	return 0;
}

static int one_thread(struct host_facts *facts, const char *name, void *arg)
{
	struct host_vm *vm = arg;
	struct rtkvm_task task;
	int64_t tid;
	int ret;

	if (!rtkvm_parse_i64(name, 1, INT32_MAX, &tid))
		return 0;
	ret = rtkvm_task_read(facts->rt, vm->pid, (pid_t)tid, &task);
	if (ret < 0)
		return ret == -ESRCH ? 0 : ret;
	return add_thread(facts, vm, vm->pid, &task);
}

/* Threads that KVM and vhost made in the VM's name. */
static int add_kthreads(struct host_facts *facts, struct host_vm *vm)
{
	const struct host_tasks *tasks;
	int ret = host_kthreads(facts, &tasks);

	for (size_t i = 0; ret == 0 && i < tasks->count; i++) {
		struct rtkvm_task task;

		if (rtkvm_kthread_owner(tasks->task[i].comm) != vm->pid)
			continue;
		if (rtkvm_task_read(facts->rt, tasks->task[i].tid, tasks->task[i].tid, &task) == 0)
			ret = add_thread(facts, vm, task.tid, &task);
	}
	return ret == -ENOENT ? 0 : ret;
}

static void read_args(struct host_facts *facts, struct host_vm *vm)
{
	char path[64];
	size_t len;

	snprintf(path, sizeof(path), "/proc/%d/cmdline", vm->pid);
	vm->args_err = host_blob(facts, path, ARGS_MAX, &vm->args, &len);
	if (vm->args_err == 0 && (!len || !(vm->args = realloc(vm->args, len + 2))))
		vm->args_err = len ? -ENOMEM : -EILSEQ;
	if (vm->args)
		vm->args[len + 1] = '\0'; /* the last may lack its own */
}

int host_vm_read(struct host_facts *facts, const struct rtkvm_host_options *opt)
{
	struct host_vm *vm = calloc(1, sizeof(*vm));
	char path[64];
	int ret;

	facts->vm = vm;
	if (vm) {
		vm->pid = opt->pid;
		vm->thread = calloc(HOST_VM_THREADS, sizeof(*vm->thread));
		vm->facts = strdup(opt->vm_facts ? opt->vm_facts : "");
	}
	if (!vm || !vm->thread || !vm->facts)
		return rtkvm_fail(facts->rt, ENOMEM, NULL, NULL, "no memory for a VM's facts");
	if (!host_vm_facts_valid(vm->facts))
		return rtkvm_fail(facts->rt, EINVAL, "rtkvm_host_options.vm_facts",
				  "lines KEY=VALUE; rtkvm(1) lists them", "malformed facts of a VM");
	if (!vm->pid) {
		vm->threads_err = vm->args_err = -ENODATA;
		return 0;
	}
	snprintf(path, sizeof(path), "/proc/%d/task", vm->pid);
	ret = host_each(facts, path, one_thread, vm);
	if (ret == -ENOENT)
		return rtkvm_fail(facts->rt, ESRCH, path, "name the process of a running VM",
				  "there is no process %d", vm->pid);
	if (ret == 0)
		ret = add_kthreads(facts, vm);
	vm->threads_err = ret;
	read_args(facts, vm);
	return 0;
}

void host_vm_free(struct host_vm *vm)
{
	if (!vm)
		return;
	free(vm->thread);
	free(vm->args);
	free(vm->facts);
	free(vm);
}
