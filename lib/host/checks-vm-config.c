/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Checks of a VM's configuration that is known to ruin latency, from its
 * command line (QEMU's options) and from what a QMP socket told.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "parse.h"
#include "read.h"
#include "vm.h"

static bool is_qemu(const struct host_vm *vm)
{
	const char *slash = vm->args ? strrchr(vm->args, '/') : NULL;
	const char *name = slash ? slash + 1 : vm->args;

	return name && (!strncmp(name, "qemu-system-", 12) || !strcmp(name, "qemu-kvm") ||
			!strcmp(name, "kvm"));
}

/* A command line of QEMU, or facts. false: said why not. */
static bool need_config(struct host_facts *facts, struct host_finding *f)
{
	const struct host_vm *vm = facts->vm;
	char path[64];

	if (!vm) {
		host_say(f, HOST_NA, "no VM was named (--pid, --qmp)");
		return false;
	}
	if (vm->facts[0])
		return true;
	snprintf(path, sizeof(path), "/proc/%d/cmdline", vm->pid);
	if (vm->args_err)
		host_unreadable(facts, f, path, vm->args_err);
	else if (!is_qemu(vm))
		host_say(f, HOST_NA, "%s: not QEMU, whose options are known here", path);
	else
		return true;
	return false;
}

/* Is a part among all arguments of these options, or their commas? */
static bool has_part(const struct host_vm *vm, const char *const *options, const char *const *parts,
		     char *seen, size_t size)
{
	for (; *options; options++) {
		bool present = true;

		for (unsigned int i = 0; i < 256 && present; i++) {
			const char *value = host_vm_option(vm, *options, i, &present);

			for (const char *const *part = parts; value && *part; part++) {
				const char *at = strstr(value, *part);

				if (!at)
					continue;
				snprintf(seen, size, "-%s %.80s", *options, value);
				return true;
			}
			if (!value && i)
				break;
		}
	}
	return false;
}

struct config_rule {
	const char *options[4]; /* where in the command line */
	const char *parts[6];   /* what must not be there */
	const char *fact;	/* of QMP, "yes" when it is bad, with what it is after a colon */
	const char *good, *means, *remedy;
};

static void check_rule(struct host_facts *facts, const struct host_check *check,
		       struct host_finding *f)
{
	const struct config_rule *rule = check->arg;
	char seen[160] = "", fact[HOST_VM_FACT];
	const char *told;
	bool bad;

	if (!need_config(facts, f))
		return;
	told = host_vm_fact(facts->vm, rule->fact, fact);
	if (told) {
		bad = !strncmp(told, "yes", 3);
		snprintf(seen, sizeof(seen), "%.100s", told[3] == ':' ? told + 4 : rule->fact);
	} else if (facts->vm->args_err || !is_qemu(facts->vm)) {
		host_say(f, HOST_UNKNOWN, "QMP does not tell, and the command line is not known");
		return;
	} else {
		bad = has_part(facts->vm, rule->options, rule->parts, seen, sizeof(seen));
	}
	host_say(f, bad ? HOST_WARN : HOST_OK, "%s%s%s", bad ? seen : rule->good, bad ? ": " : "",
		 bad ? rule->means : "");
	if (bad)
		host_remedy(f, RTKVM_REMEDY_MANUAL, "%s", rule->remedy);
}

static const struct config_rule qcow2 = {
	{ "drive", "blockdev", "hda", NULL }, { "qcow2", "vmdk", "vdi", NULL }, "block.cow",
	"disks are raw", "writes allocate clusters and update tables under a lock",
	"convert to raw on a logical volume: qemu-img convert -O raw",
};
static const struct config_rule aio = {
	{ "drive", "blockdev", NULL }, { "aio=threads", NULL }, "block.aio-threads",
	"no disk says aio=threads", "I/O in worker threads that come and go",
	"use aio=native with cache=none, or aio=io_uring",
};
static const struct config_rule display = {
	{ "display", NULL }, { "gtk", "sdl", "cocoa", "spice-app", NULL }, "display.local",
	"no local display", "drawing is done in the main thread, with the big lock held",
	"use -display none, or a remote display of another thread (-display egl-headless, vnc)",
};
static const struct config_rule serial = {
	{ "serial", "chardev", NULL }, { "stdio", "mon:stdio", "file:", "tcp:", "backend=file", NULL },
	"serial.emulated", "no emulated serial port", "each byte of a guest's console is an exit",
	"use a virtio console (-device virtconsole) and no console=ttyS0 in the guest",
};
static const struct config_rule hpet = {
	{ "machine", "M", NULL }, { "hpet=on", NULL }, "machine.hpet", "no HPET",
	"the HPET is emulated in the VMM: each access exits to it", "use -machine hpet=off",
};
static const struct config_rule balloon = {
	{ "device", NULL }, { "virtio-balloon", "virtio-mem", NULL }, "device.balloon",
	"no balloon", "it unmaps guest memory; giving it back faults",
	"leave the device out, or never inflate it",
};

/* QEMU, without it: pages are faulted in and taken away as it runs. */
static void check_memlock(struct host_facts *facts, const struct host_check *check,
			  struct host_finding *f)
{
	bool present;
	const char *value;

	(void)check;
	if (!need_config(facts, f))
		return;
	if (facts->vm->args_err || !is_qemu(facts->vm)) {
		host_say(f, HOST_UNKNOWN, "the command line is not known");
		return;
	}
	value = host_vm_option(facts->vm, "overcommit", 0, &present);
	if (value && strstr(value, "mem-lock=on")) {
		host_say(f, HOST_OK, "-overcommit %.60s", value);
		return;
	}
	host_say(f, HOST_WARN, "no -overcommit mem-lock=on");
	host_remedy(f, RTKVM_REMEDY_MANUAL, "start QEMU with -overcommit mem-lock=on, or lock it by "
					    "rtkvm run");
}

/* Migration and dirty-rate measurement write-protect pages. */
static void check_dirty(struct host_facts *facts, const struct host_check *check,
			struct host_finding *f)
{
	char fact[HOST_VM_FACT];
	const char *told;

	(void)check;
	if (!facts->vm) {
		host_say(f, HOST_NA, "no VM was named (--pid, --qmp)");
		return;
	}
	told = host_vm_fact(facts->vm, "dirty-logging", fact);
	if (!told) {
		host_say(f, HOST_UNKNOWN, "only QMP tells (--qmp SOCKET)");
	} else if (!strncmp(told, "yes", 3)) {
		host_say(f, HOST_WARN, "on (%.60s): the guest's first write to each page faults",
			 told[3] == ':' ? told + 4 : "");
		host_remedy(f, RTKVM_REMEDY_MANUAL, "let the migration end, or cancel it: "
			    "{\"execute\": \"migrate_cancel\"}");
	} else {
		host_say(f, HOST_OK, "off");
	}
}

const struct host_check host_checks_vm_config[] = {
	{ "vm-disk-format", "vm", "raw disks", check_rule,
	  "Copy-on-write formats do metadata I/O in the path of a guest's write.",
	  "QEMU, docs/interop/qcow2.txt", &qcow2 },
	{ "vm-disk-aio", "vm", "asynchronous I/O of the kernel", check_rule,
	  "Worker threads are started by load and inherit priority and CPUs of who starts them.",
	  "QEMU, docs/system/invocation, -drive aio=", &aio },
	{ "vm-display", "vm", "no local display", check_rule,
	  "A graphical toolkit runs in QEMU's main loop, which devices need too.",
	  "QEMU, docs/devel/multiple-iothreads.txt", &display },
	{ "vm-serial", "vm", "no emulated serial port in use", check_rule,
	  "The 16550 takes an exit per byte and more for its interrupts.",
	  "QEMU, hw/char/serial.c", &serial },
	{ "vm-hpet", "vm", "no HPET", check_rule,
	  "A guest that picks the HPET as clock exits at each reading of the time.",
	  "QEMU, docs/system/invocation, -machine hpet=", &hpet },
	{ "vm-balloon", "vm", "no balloon", check_rule,
	  "Pages that the balloon took come back by page faults.", "virtio specification, 5.5", &balloon },
	{ "vm-mem-lock", "vm", "started with locked memory", check_memlock,
	  "Locking at the start faults all memory in before the guest runs.",
	  "QEMU, docs/system/invocation, -overcommit", NULL },
	{ "vm-dirty-log", "vm", "no dirty logging", check_dirty,
	  "Migration and snapshots write-protect all memory: each page's next write faults.",
	  "Documentation/virt/kvm/api.rst, 4.8 KVM_GET_DIRTY_LOG", NULL },
	{ .id = NULL },
};
