/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Checks of the machine's virtualization: IOMMU, interrupt remapping, x2APIC,
 * posted interrupts. What is asked is the state in effect, not the CPU's flag.
 * Parameters of KVM are in checks-kvm.c, capabilities in checks-caps.c.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "knob.h"
#include "parse.h"
#include "read.h"

#define CAP_PI (1ull << 59) /* VT-d specification 10.4.2, Capability Register, PI */
#define EFR_GA (1ull << 7)  /* AMD IOMMU specification 3.4.11, Extended Feature, GASup */

#define MSR_APIC_BASE 0x1b
#define APIC_BASE_EXTD (1u << 10)

static int count_name(struct host_facts *facts, const char *name, void *arg)
{
	(void)facts;
	(void)name;
	++*(unsigned int *)arg;
	return 0;
}

/* Number of IOMMUs; negative errno. */
static int iommus(struct host_facts *facts)
{
	unsigned int n = 0;
	int ret = host_each(facts, "/sys/class/iommu", count_name, &n);

	if (ret == -ENOENT && host_exists(facts, "/sys/class"))
		return 0;
	return ret < 0 ? ret : (int)n;
}

static void check_iommu(struct host_facts *facts, const struct host_check *check,
			struct host_finding *f)
{
	int n = iommus(facts);

	(void)check;
	if (n < 0) {
		host_unreadable(facts, f, "/sys/class/iommu", n);
	} else if (n) {
		host_say(f, HOST_OK, "%d in use", n);
	} else {
		host_say(f, HOST_WARN, "none in use: devices cannot be passed through");
		host_remedy(f, RTKVM_REMEDY_BOOT, "%s", facts->vendor == HOST_VENDOR_AMD ?
			    "amd_iommu=on iommu=pt" : "intel_iommu=on iommu=pt");
	}
}

struct chips {
	unsigned int msi, remapped;
};

static int one_chip(struct host_facts *facts, const char *name, void *arg)
{
	struct chips *chips = arg;
	char path[96], chip[64];
	int64_t irq;

	if (!rtkvm_parse_i64(name, 0, INT32_MAX, &irq))
		return 0;
	snprintf(path, sizeof(path), "/sys/kernel/irq/%.20s/chip_name", name);
	if (host_text(facts, path, chip, sizeof(chip)) < 0 ||
	    (!strstr(chip, "PCI-MSI") && !strstr(chip, "IO-APIC")))
		return 0;
	chips->msi++;
	chips->remapped += !strncmp(chip, "IR-", 3) || !strncmp(chip, "AMD-IR", 6);
	/* it is on for all or for none; a few are enough */
	return chips->msi >= 16;
}

/* Is it on, as the names of the chips show? 1, 0, negative errno; -ENODATA: no IRQ tells. */
static int remapping(struct host_facts *facts)
{
	struct chips chips = { .msi = 0 };
	int ret = host_each(facts, "/sys/kernel/irq", one_chip, &chips);

	if (ret < 0)
		return ret;
	return chips.msi ? chips.remapped > 0 : -ENODATA;
}

static void check_remap(struct host_facts *facts, const struct host_check *check,
			struct host_finding *f)
{
	int on = remapping(facts);

	(void)check;
	if (on == -ENODATA) {
		host_say(f, HOST_UNKNOWN, "no IRQ in use tells (/sys/kernel/irq)");
	} else if (on < 0) {
		host_unreadable(facts, f, "/sys/kernel/irq", on);
	} else if (on) {
		host_say(f, HOST_OK, "in effect: interrupts go through it");
	} else {
		host_say(f, HOST_WARN, "not in effect");
		host_remedy(f, RTKVM_REMEDY_BOOT, "intremap=on %s",
			    facts->vendor == HOST_VENDOR_AMD ? "amd_iommu=on" : "intel_iommu=on");
	}
}

static void check_x2apic(struct host_facts *facts, const struct host_check *check,
			 struct host_finding *f)
{
	uint64_t base;
	int ret;

	(void)check;
	if (facts->cpuinfo_err) {
		host_unreadable(facts, f, "/proc/cpuinfo", facts->cpuinfo_err);
		return;
	}
	if (!host_has_cpuflag(facts, "x2apic")) {
		host_say(f, HOST_WARN, "the CPU has no x2APIC");
		host_remedy(f, RTKVM_REMEDY_MANUAL, "use a CPU with x2APIC");
		return;
	}
	ret = host_bytes(facts, "/dev/cpu/0/msr", MSR_APIC_BASE, &base, sizeof(base));
	if (ret < 0) {
		host_unreadable(facts, f, "/dev/cpu/0/msr", ret);
		if (ret == -ENOENT)
			host_say(f, HOST_UNKNOWN, "the CPU has it; whether it is in use is in "
				 "/dev/cpu/0/msr (modprobe msr, and be root)");
		f->needs_root = !facts->root;
		return;
	}
	if (base & APIC_BASE_EXTD) {
		host_say(f, HOST_OK, "in use (IA32_APIC_BASE 0x%llx)", (unsigned long long)base);
		return;
	}
	host_say(f, HOST_WARN, "the CPU has it; the kernel uses xAPIC: each access to it is memory-mapped");
	host_remedy(f, RTKVM_REMEDY_BOOT, "intremap=on iommu=pt");
}

/* A bit of a register of each IOMMU. */
struct feature {
	unsigned int with, without;
	int err;
};

static int one_iommu(struct host_facts *facts, const char *name, void *arg)
{
	bool intel = !strncmp(name, "dmar", 4);
	struct feature *ft = arg;
	char path[128], text[64];
	uint64_t value = 0;
	int ret;

	/* by the IOMMU's own kind: an emulated one may be of the other vendor */
	snprintf(path, sizeof(path), "/sys/class/iommu/%.40s/%s", name,
		 intel ? "intel-iommu/cap" : "amd-iommu/features");
	ret = host_text(facts, path, text, sizeof(text));
	if (ret == 0 && !host_hex_parse(text, &value))
		ret = -EILSEQ;
	if (ret < 0)
		ft->err = ret;
	else if (value & (intel ? CAP_PI : EFR_GA))
		ft->with++;
	else
		ft->without++;
	return 0;
}

/* Y or N of a module; -1: said why not. */
static int module_yes(struct host_facts *facts, struct host_finding *f, const char *path,
		      const char *folder, const char *absent)
{
	char text[16];

	if (!host_need_text(facts, f, path, folder, absent, text, sizeof(text)))
		return -1;
	if (!strcmp(text, "Y") || !strcmp(text, "1"))
		return 1;
	if (!strcmp(text, "N") || !strcmp(text, "0"))
		return 0;
	host_malformed(f, path, text, "Y or N");
	return -1;
}

static bool vendor_known(struct host_facts *facts, struct host_finding *f)
{
	if (facts->cpuinfo_err)
		host_unreadable(facts, f, "/proc/cpuinfo", facts->cpuinfo_err);
	else if (facts->vendor != HOST_VENDOR_INTEL && facts->vendor != HOST_VENDOR_AMD)
		host_say(f, HOST_NA, "neither an Intel nor an AMD CPU");
	else
		return true;
	return false;
}

static void check_apicv(struct host_facts *facts, const struct host_check *check,
			struct host_finding *f)
{
	bool intel = facts->vendor == HOST_VENDOR_INTEL;
	const char *module = intel ? "kvm_intel" : "kvm_amd";
	const char *parameter = intel ? "enable_apicv" : "avic";
	char path[96], dedicated[128];
	int on, knows;

	(void)check;
	if (!vendor_known(facts, f))
		return;
	snprintf(path, sizeof(path), "/sys/module/%s/parameters/%s", module, parameter);
	on = module_yes(facts, f, path, "/sys/module", "KVM is not loaded for this CPU");
	if (on < 0)
		return;
	/* a kernel that can dedicate CPUs does so without it only */
	knows = host_text(facts, "/sys/devices/system/cpu/dedicated", dedicated, sizeof(dedicated));
	if (knows == 0 && !on && dedicated[0]) {
		host_say(f, HOST_OK, "%s.%s is off, as dedicated CPUs need it (%.60s)", module, parameter,
			 dedicated);
		return;
	}
	if (on) {
		host_say(f, HOST_OK, "%s.%s is in effect%s", module, parameter,
			 knows == 0 ? "; it excludes dedicated CPUs" :
				      " (KVM clears it where the CPU cannot)");
		return;
	}
	host_say(f, HOST_WARN, "%s.%s is off: each EOI and each IPI of a guest exits%s", module,
		 parameter, knows == 0 ? "; right only for dedicated CPUs, of which there are none" : "");
	if (intel ? !host_has_cpuflag(facts, "apicv") && !host_has_cpuflag(facts, "posted_intr") :
		    !host_has_cpuflag(facts, "avic"))
		host_remedy(f, RTKVM_REMEDY_MANUAL, "use a CPU that has it: the flags of this one do not "
						    "name it");
	else
		host_module_remedy(facts, f, module, parameter, "1");
}

static void check_posted(struct host_facts *facts, const struct host_check *check,
			 struct host_finding *f)
{
	bool intel = facts->vendor == HOST_VENDOR_INTEL;
	struct feature ft = { .with = 0 };
	char value[64] = "";
	int n = iommus(facts), on, remap, ret;

	(void)check;
	if (!vendor_known(facts, f))
		return;
	if (n == 0) {
		host_say(f, HOST_NA, "no IOMMU");
		return;
	}
	ret = n < 0 ? n : host_each(facts, "/sys/class/iommu", one_iommu, &ft);
	if (ret < 0 || ft.err) {
		host_unreadable(facts, f, "/sys/class/iommu", ret < 0 ? ret : ft.err);
		return;
	}
	on = module_yes(facts, f, intel ? "/sys/module/kvm_intel/parameters/enable_apicv" :
					  "/sys/module/kvm_amd/parameters/avic",
			"/sys/module", "KVM is not loaded for this CPU");
	if (on < 0)
		return;
	remap = remapping(facts);
	if (remap < 0) {
		host_say(f, HOST_UNKNOWN, "whether interrupts are remapped is not known");
		return;
	}
	if (facts->cmdline_err) {
		host_unreadable(facts, f, "/proc/cmdline", facts->cmdline_err);
		return;
	}
	(void)host_cmdline_get(facts->cmdline, intel ? "intremap" : "amd_iommu_intr", value,
			       sizeof(value));
	if (ft.without) {
		host_say(f, HOST_WARN, "%u of %d IOMMUs cannot post interrupts", ft.without, n);
		host_remedy(f, RTKVM_REMEDY_MANUAL, "use a machine whose IOMMU posts interrupts, or "
			    "interrupts without exits by a dedicated CPU");
	} else if (!remap || host_has_word(value, intel ? "nopost" : "legacy")) {
		host_say(f, HOST_WARN, "the IOMMU can; %s", remap ?
			 "the command line forbids it" : "interrupt remapping is off");
		host_remedy(f, RTKVM_REMEDY_BOOT, "%s", intel ? "intremap=on intel_iommu=on" :
							       "intremap=on amd_iommu_intr=vapic");
	} else if (!on) {
		host_say(f, HOST_WARN, "the IOMMU can; KVM does not use APICv or AVIC");
		host_module_remedy(facts, f, intel ? "kvm_intel" : "kvm_amd",
				   intel ? "enable_apicv" : "avic", "1");
	} else {
		host_say(f, HOST_OK, "%u IOMMUs post, remapping and %s are in effect", ft.with,
			 intel ? "APICv" : "AVIC");
	}
}

static void check_l1tf(struct host_facts *facts, const struct host_check *check,
		       struct host_finding *f)
{
	static const char path[] = "/sys/module/kvm_intel/parameters/vmentry_l1d_flush";
	char text[64];

	(void)check;
	if (facts->vendor == HOST_VENDOR_AMD) {
		host_say(f, HOST_NA, "not an Intel CPU");
		return;
	}
	if (!host_need_text(facts, f, path, "/sys/module", "not Intel's KVM", text, sizeof(text)))
		return;
	if (!strcmp(text, "never") || !strcmp(text, "not required") ||
	    !strcmp(text, "EPT disabled")) {
		host_say(f, HOST_OK, "%.40s", text);
	} else if (!strcmp(text, "cond") || !strcmp(text, "always") || !strcmp(text, "auto")) {
		host_say(f, HOST_WARN, "%.40s: VM entries flush the level-1 data cache", text);
		host_remedy(f, RTKVM_REMEDY_COMMAND, "echo never > %s # only where all guests are "
			    "trusted", path);
	} else {
		host_malformed(f, path, text, "a known way to flush");
	}
}

const struct host_check host_checks_virt[] = {
	{ "virt-iommu", "virt", "an IOMMU is in use", check_iommu,
	  "Without one, no device can be given to a guest: all its I/O goes through the VMM's threads.",
	  "Documentation/driver-api/vfio.rst", NULL },
	{ "virt-irq-remap", "virt", "interrupts are remapped", check_remap,
	  "Without remapping there is no x2APIC on large hosts, no posted interrupts, and a guest's "
	  "device can raise any vector.",
	  "Documentation/arch/x86/iommu.rst; VT-d specification, chapter 5", NULL },
	{ "virt-x2apic", "virt", "the host uses x2APIC", check_x2apic,
	  "Accesses to the APIC by MSR take a third of those by memory, and can be given to a guest "
	  "one by one.",
	  "Intel SDM vol. 3, 11.12; arch/x86/kernel/apic/apic.c", NULL },
	{ "virt-apicv", "virt", "APICv or AVIC in effect", check_apicv,
	  "With it, EOI, IPIs and interrupts to a running vCPU need no exit.",
	  "Intel SDM vol. 3, chapter 30; AMD APM vol. 2, 15.29", NULL },
	{ "virt-posted", "virt", "device interrupts are posted", check_posted,
	  "An interrupt of a passed-through device that is posted reaches the running vCPU without an "
	  "exit and without a thread of the host.",
	  "VT-d specification, 5.2.5; AMD IOMMU specification, 2.2.5 (guest virtual APIC)", NULL },
	{ "virt-l1tf", "virt", "no cache flush at VM entry", check_l1tf,
	  "Flushing the level-1 data cache costs some microseconds at VM entries and empties it.",
	  "Documentation/admin-guide/hw-vuln/l1tf.rst", NULL },
	{ .id = NULL },
};
