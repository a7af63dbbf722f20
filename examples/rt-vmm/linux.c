/* SPDX-License-Identifier: MIT */
/*
 * A Linux guest: a bzImage entered in 64-bit mode, with an initrd, on the
 * machine, threads and tunings that the built-in guest has too. The devices are
 * in board.c, what Linux finds in memory in boot.c.
 */
#include <cpuid.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "board.h"
#include "boot.h"
#include "figures.h"
#include "linux.h"
#include "run.h"

/* On VMX KVM wants three pages for real mode and one for its page table, where no memory is. */
#define VMX_TSS 0xfffbd000UL
#define VMX_IDENTITY_MAP 0xfffbc000ULL
#define CMDLINE "console=ttyS0 reboot=t panic=-1 pci=off"

struct file {
	unsigned char *bytes;
	size_t size;
};

struct guest_linux {
	struct file file, initrd;
	struct kernel kernel;
	struct kernel_place place;
	char cmdline[BOOT_CMDLINE_MAX];
	struct board board;
	bool board_made;
};

/* A regular file as a whole. */
static int file_read(struct file *file, const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat st;
	size_t have = 0;

	if (fd < 0)
		return fail("%s: %m", path);
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode)) {
		close(fd);
		return fail("%s: not a file", path);
	}
	file->size = (size_t)st.st_size;
	file->bytes = malloc(file->size ? file->size : 1);
	while (file->bytes && have < file->size) {
		ssize_t n = read(fd, file->bytes + have, file->size - have);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		have += (size_t)n;
	}
	close(fd);
	if (!file->bytes || have < file->size)
		return fail("%s: cannot be read: %s", path, file->bytes ? strerror(errno) : "no memory");
	return 0;
}

static int prepare(struct guest_linux *guest, const struct linux_config *config)
{
	uint64_t ram = (uint64_t)config->memory_mib << 20;
	char why[KERNEL_WHY];
	int length;

	length = snprintf(guest->cmdline, sizeof(guest->cmdline), "%s%s%s", CMDLINE,
			  config->append ? " " : "", config->append ? config->append : "");
	if (length >= (int)sizeof(guest->cmdline))
		return fail("--append: the command line is longer than %zu bytes",
			    sizeof(guest->cmdline) - 1);
	if (file_read(&guest->file, config->kernel) < 0 ||
	    (config->initrd && file_read(&guest->initrd, config->initrd) < 0))
		return -1;
	if (kernel_parse(&guest->kernel, guest->file.bytes, guest->file.size, why) < 0 ||
	    kernel_place(&guest->kernel, ram, guest->initrd.size, (size_t)length, &guest->place,
			  why) < 0)
		return fail("%s: %s", config->kernel, why);
	return 0;
}

static size_t linux_ram_size(const struct config *config)
{
	return (size_t)config->linux_guest->memory_mib << 20;
}

static int open_sinks(struct guest_linux *guest, const struct linux_config *config)
{
	struct sink *console = &guest->board.serial[0].sink, *data = &guest->board.serial[1].sink;

	console->fd = STDOUT_FILENO;
	console->marker = config->marker;
	if (!config->data)
		return 0;
	data->fd = open(config->data, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
	return data->fd < 0 ? fail("%s: %m", config->data) : 0;
}

static int linux_load(struct run *r)
{
	struct guest_linux *guest = r->guest_state;
	struct kvm_pit_config pit = { .flags = KVM_PIT_SPEAKER_DUMMY };
	uint64_t identity_map = VMX_IDENTITY_MAP;
	struct machine *m = &r->machine;

	board_init(&guest->board, m->vm_fd, r->event_fd);
	guest->board_made = true;
	if (open_sinks(guest, r->config->linux_guest) < 0)
		return -1;
	if (ioctl(m->vm_fd, KVM_SET_TSS_ADDR, VMX_TSS) < 0)
		return fail("KVM_SET_TSS_ADDR: %m");
	if (ioctl(m->vm_fd, KVM_SET_IDENTITY_MAP_ADDR, &identity_map) < 0)
		return fail("KVM_SET_IDENTITY_MAP_ADDR: %m");
	if (ioctl(m->vm_fd, KVM_CREATE_PIT2, &pit) < 0)
		return fail("KVM_CREATE_PIT2: %m");
	boot_write(m->ram, m->ram_size, m->vcpus, &guest->kernel, guest->file.bytes, &guest->place,
		   guest->cmdline);
	if (guest->place.initrd_size)
		memcpy(m->ram + guest->place.initrd, guest->initrd.bytes, guest->initrd.size);
	return 0;
}

/* The others wait for INIT and SIPI, in the state in which KVM makes them. */
static int linux_set_vcpu(struct run *r, unsigned int index)
{
	const struct guest_linux *guest = r->guest_state;
	int fd = r->machine.vcpu[index].fd;
	struct kvm_sregs sregs;
	struct kvm_regs regs;

	if (index)
		return 0;
	if (ioctl(fd, KVM_GET_SREGS, &sregs) < 0)
		return fail("KVM_GET_SREGS: %m");
	boot_set_sregs(&sregs);
	if (ioctl(fd, KVM_SET_SREGS, &sregs) < 0)
		return fail("KVM_SET_SREGS: %m");
	boot_set_regs(&regs, &guest->kernel);
	return ioctl(fd, KVM_SET_REGS, &regs) < 0 ? fail("KVM_SET_REGS: %m") : 0;
}

static int linux_io(struct vcpu_thread *t, struct kvm_run *exit)
{
	struct guest_linux *guest = t->run->guest_state;

	board_io(&guest->board, exit);
	if (atomic_load(&guest->board.state) == BOARD_RUNS)
		return 0;
	vcpu_set_phase(t, PHASE_DONE);
	return -1;
}

/* Nothing is there: writes are lost, reads give all ones. */
static int linux_mmio(struct vcpu_thread *t, struct kvm_run *exit)
{
	(void)t;
	if (!exit->mmio.is_write)
		memset(exit->mmio.data, 0xff, sizeof(exit->mmio.data));
	return 0;
}

/* A triple fault, which is also how Linux reboots (reboot=t). */
static int linux_shutdown(struct vcpu_thread *t)
{
	struct guest_linux *guest = t->run->guest_state;
	int runs = BOARD_RUNS;

	atomic_compare_exchange_strong(&guest->board.state, &runs, BOARD_RESET);
	vcpu_set_phase(t, PHASE_DONE);
	return -1;
}

static void linux_collect(struct run *r)
{
	struct guest_linux *guest = r->guest_state;

	for (int i = 0; i < 2; i++)
		sink_drain(&guest->board.serial[i].sink);
}

static bool linux_reached(struct run *r, int phase)
{
	struct guest_linux *guest = r->guest_state;

	return atomic_load(&guest->board.state) != BOARD_RUNS ||
	       (phase == PHASE_UP && guest->board.serial[0].sink.seen);
}

/* The marker was seen: real-time from now. */
static int guest_up(struct run *r)
{
	const struct tuning *t = r->tuning;
	int rc;

	if (t->guest_up && t->guest_up(r) < 0)
		return STATUS_ERROR;
	rc = run_apply(r);
	if (rc == STATUS_OK && t->describe)
		t->describe(r, false);
	readback_time(r, false);
	return rc;
}

static int ended(struct run *r)
{
	struct guest_linux *guest = r->guest_state;
	struct board *board = &guest->board;
	const struct linux_config *config = r->config->linux_guest;

	linux_collect(r); /* its last words */
	for (int i = 0; i < 2; i++)
		if (board->serial[i].sink.lost)
			say("%zu bytes of serial port %d came faster than they could be written and are "
			    "lost", atomic_load(&board->serial[i].sink.lost), i);
	if (atomic_load(&board->state) == BOARD_RESET) {
		fail("the guest was reset (reboot, panic or triple fault) before it ended with a "
		     "status");
		return LINUX_RESET;
	}
	if (config->marker && !board->serial[0].sink.seen) {
		fail("the guest ended with status %d, but never printed a line with \"%s\"",
		     atomic_load(&board->status), config->marker);
		return LINUX_ERROR;
	}
	r->result->complete = true;
	return atomic_load(&board->status);
}

static int linux_lead(struct run *r)
{
	const struct linux_config *config = r->config->linux_guest;
	struct guest_linux *guest = r->guest_state;
	char what[256];
	int rc = STATUS_OK;

	if (config->marker) {
		snprintf(what, sizeof(what), "the guest did not print a line with \"%.150s\"",
			 config->marker);
		rc = run_wait(r, PHASE_UP, config->boot_limit_s * 1000LL, what);
		if (rc == STATUS_OK && atomic_load(&guest->board.state) == BOARD_RUNS)
			rc = guest_up(r);
	}
	if (rc == STATUS_OK)
		rc = run_wait(r, PHASE_DONE, config->limit_s * 1000LL, "the guest did not end");
	if (rc == STATUS_OK) {
		rc = ended(r);
		readback_time(r, true);
		if (r->result->complete && r->tuning->describe)
			r->tuning->describe(r, true);
		return rc;
	}
	linux_collect(r);
	return rc == STATUS_LIMIT ? LINUX_LIMIT : rc == STATUS_ERROR ? LINUX_ERROR : rc;
}

static const struct guest guest_linux = {
	.ram_size = linux_ram_size,
	.load = linux_load,
	.set_vcpu = linux_set_vcpu,
	.io = linux_io,
	.mmio = linux_mmio,
	.shutdown = linux_shutdown,
	.collect = linux_collect,
	.reached = linux_reached,
	.lead = linux_lead,
};

/*
 * A KVM on a processor without VMX and SVM is a software one: it runs a guest's
 * user space as it is, but a kernel instruction by instruction, and not all of
 * them. Linux does not come up on it.
 */
static bool software_kvm(void)
{
	unsigned int a, b, c = 0, d, c_amd = 0;

	__get_cpuid(1, &a, &b, &c, &d);
	__get_cpuid(0x80000001, &a, &b, &c_amd, &d);
	return !(c & 1U << 5) && !(c_amd & 1U << 2);
}

static int run_linux(const struct config *config, struct guest_linux *guest, struct result *result)
{
	struct run *r = calloc(1, sizeof(*r));
	int rc;

	if (!r) {
		fail("no memory");
		return LINUX_ERROR;
	}
	r->config = config;
	r->tuning = config->plan ? &tuning_rt : config->by_hand ? &tuning_hand : &tuning_plain;
	r->guest = &guest_linux;
	r->guest_state = guest;
	r->result = result;
	rc = run_guest(r);
	if (!result->complete && rc == STATUS_ERROR)
		rc = LINUX_ERROR; /* it did not come to be led */
	if (config->linux_guest->report && result->complete) {
		printf("\n%s", r->tuning->name);
		print_settings(result);
	}
	free(r);
	return rc;
}

int linux_main(const struct config *config)
{
	struct guest_linux *guest = calloc(1, sizeof(*guest));
	struct result *result = calloc(1, sizeof(*result));
	int rc = LINUX_ERROR;

	if (!guest || !result)
		fail("no memory");
	else if (prepare(guest, config->linux_guest) < 0)
		;
	else if (software_kvm() && !config->linux_guest->any_kvm)
		fail("this KVM cannot boot an ordinary Linux: the processor has neither VMX nor SVM, so "
		     "it is a software KVM, which emulates a guest's kernel; take a machine with "
		     "virtualisation, or the emulated hosts (tests/emulated/run); --any-kvm tries it "
		     "nevertheless");
	else
		rc = run_linux(config, guest, result);
	if (guest) {
		if (guest->board_made) {
			if (guest->board.serial[1].sink.fd >= 0)
				close(guest->board.serial[1].sink.fd);
			board_free(&guest->board);
		}
		free(guest->file.bytes);
		free(guest->initrd.bytes);
	}
	free(guest);
	free(result);
	return rc;
}
