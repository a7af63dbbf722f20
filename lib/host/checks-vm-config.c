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

static bool has_option(const struct host_vm *vm, const char *name)
{
	bool present;

	(void)host_vm_option(vm, name, 0, &present);
	return present;
}

/* "KEY=VALUE" between commas, also below another key: "file.KEY=VALUE". */
static bool has_pair(const char *text, const char *pair)
{
	size_t len = strlen(pair);

	for (const char *p = text; (p = strstr(p, pair)); p++)
		if ((p == text || p[-1] == ',' || p[-1] == '.') && (!p[len] || p[len] == ','))
			return true;
	return false;
}

/* The same in QEMU's JSON spelling: "KEY": "VALUE". */
static bool has_json(const char *text, const char *key, const char *value)
{
	char quoted[32];

	snprintf(quoted, sizeof(quoted), "\"%s\"", key);
	for (const char *p = text; (p = strstr(p, quoted)); p++) {
		const char *v = p + strlen(quoted);

		v += strspn(v, " :");
		if (*v == '"' && !strncmp(v + 1, value, strlen(value)) && v[1 + strlen(value)] == '"')
			return true;
	}
	return false;
}

/* A file or device of the host that QEMU reads and writes by the AIO mode it is given. */
static bool uses_threads(const char *option, const char *value)
{
	bool file;

	if (value[0] == '{')
		return (has_json(value, "driver", "file") || has_json(value, "driver", "host_device")) &&
		       !has_json(value, "aio", "native") && !has_json(value, "aio", "io_uring");
	if (!strcmp(option, "blockdev")) {
		file = has_pair(value, "driver=file") || has_pair(value, "driver=host_device");
	} else {
		const char *name = strstr(value, "file=");

		/* a colon before any slash is a protocol: nbd:, rbd:, iscsi: */
		file = name && !has_pair(value, "if=pflash") && !has_pair(value, "media=cdrom") &&
		       name[5 + strcspn(name + 5, ":,/")] != ':';
	}
	return file && !has_pair(value, "aio=native") && !has_pair(value, "aio=io_uring");
}

/* QEMU's default is threads. */
static bool some_threads(const struct host_vm *vm, char *seen, size_t size)
{
	static const char *const options[] = { "drive", "blockdev" };
	static const char *const disks[] = { "hda", "hdb", "hdc", "hdd" };
	bool present;

	for (size_t o = 0; o < 2; o++) {
		present = true;
		for (unsigned int i = 0; i < 256 && present; i++) {
			const char *value = host_vm_option(vm, options[o], i, &present);

			if (!value)
				break;
			if (!uses_threads(options[o], value))
				continue;
			snprintf(seen, size, "-%s %.80s", options[o], value);
			return true;
		}
	}
	for (size_t i = 0; i < 4; i++) {
		if (has_option(vm, disks[i])) {
			snprintf(seen, size, "-%s", disks[i]);
			return true;
		}
	}
	return false;
}

/* Without any of these options QEMU opens what window it was built with. */
static bool default_display(const struct host_vm *vm, char *seen, size_t size)
{
	static const char *const others[] = { "display", "nographic", "vnc", "spice", "daemonize" };

	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		if (has_option(vm, others[i]))
			return false;
	snprintf(seen, size, "no -display");
	return true;
}

static bool console_on_stdio(const struct host_vm *vm, char *seen, size_t size)
{
	if (!has_option(vm, "nographic") || has_option(vm, "serial"))
		return false;
	snprintf(seen, size, "-nographic");
	return true;
}

struct config_rule {
	const char *options[4]; /* where in the command line */
	const char *parts[6];   /* what must not be there */
	bool (*also)(const struct host_vm *vm, char *seen, size_t size); /* or this; may be NULL */
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
		bad = has_part(facts->vm, rule->options, rule->parts, seen, sizeof(seen)) ||
		      (rule->also && rule->also(facts->vm, seen, sizeof(seen)));
	}
	host_say(f, bad ? HOST_WARN : HOST_OK, "%s%s%s", bad ? seen : rule->good, bad ? ": " : "",
		 bad ? rule->means : "");
	if (bad)
		host_remedy(f, RTKVM_REMEDY_MANUAL, "%s", rule->remedy);
}

static const struct config_rule qcow2 = {
	{ "drive", "blockdev", "hda", NULL }, { "qcow2", "vmdk", "vdi", NULL }, NULL, "block.cow",
	"disks are raw", "writes allocate clusters and update tables under a lock",
	"convert to raw on a logical volume: qemu-img convert -O raw",
};
static const struct config_rule aio = {
	{ NULL }, { NULL }, some_threads, "block.aio-threads", "no disk of the host by aio=threads",
	"I/O in worker threads that come and go (QEMU's default)",
	"use aio=native with cache=none, or aio=io_uring",
};
static const struct config_rule display = {
	{ "display", NULL }, { "gtk", "sdl", "cocoa", "spice-app", NULL }, default_display, "display.local",
	"no local display", "drawing is done in the main thread, with the big lock held",
	"use -display none, or a remote display of another thread (-display egl-headless, vnc)",
};
static const struct config_rule serial = {
	{ "serial", "chardev", NULL }, { "stdio", "mon:stdio", "file:", "tcp:", "backend=file", NULL },
	console_on_stdio, "serial.emulated", "no emulated serial port", "each byte of a guest's console is an exit",
	"use a virtio console (-device virtconsole) and no console=ttyS0 in the guest",
};
static const struct config_rule hpet = {
	{ "machine", "M", NULL }, { "hpet=on", NULL }, NULL, "machine.hpet", "no HPET",
	"the HPET is emulated in the VMM: each access exits to it", "use -machine hpet=off",
};
static const struct config_rule balloon = {
	{ "device", NULL }, { "virtio-balloon", "virtio-mem", NULL }, NULL, "device.balloon",
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
