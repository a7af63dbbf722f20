/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Checks of one file with one value; see knob.h.
 */
#include <stdio.h>
#include <string.h>

#include "knob.h"
#include "parse.h"
#include "read.h"

void host_write_remedy(struct host_finding *f, const char *path, const char *value)
{
	char name[256];

	if (strncmp(path, "/proc/sys/", 10)) {
		host_remedy(f, RTKVM_REMEDY_COMMAND, "echo %s > %s", value, path);
		return;
	}
	snprintf(name, sizeof(name), "%s", path + 10);
	for (char *p = name; *p; p++)
		if (*p == '/')
			*p = '.';
	host_remedy(f, RTKVM_REMEDY_COMMAND, "sysctl -w %s=%s", name, value);
}

void host_module_remedy(struct host_facts *facts, struct host_finding *f, const char *module,
			const char *parameter, const char *value)
{
	char path[160], loaded[128];

	snprintf(path, sizeof(path), "/sys/module/%s/parameters/%s", module, parameter);
	/* a module that can be unloaded counts its users; one of the image cannot */
	snprintf(loaded, sizeof(loaded), "/sys/module/%s/refcnt", module);
	if (host_writable(facts, path))
		host_remedy(f, RTKVM_REMEDY_COMMAND, "echo %s > %s", value, path);
	else if (!host_exists(facts, loaded))
		host_remedy(f, RTKVM_REMEDY_BOOT, "%s.%s=%s", module, parameter, value);
	else if (!strcmp(module, "kvm"))
		host_remedy(f, RTKVM_REMEDY_COMMAND,
			    "echo 'options kvm %s=%s' > /etc/modprobe.d/rtkvm-%s.conf; "
			    "v=$(ls -d /sys/module/kvm_intel /sys/module/kvm_amd 2>/dev/null); "
			    "v=${v##*/}; modprobe -r $v kvm; modprobe $v", parameter, value, parameter);
	else
		host_remedy(f, RTKVM_REMEDY_COMMAND,
			    "echo 'options %s %s=%s' > /etc/modprobe.d/rtkvm-%s.conf; "
			    "modprobe -r %s; modprobe %s", module, parameter, value, parameter,
			    module, module);
}

static bool yes(const char *text)
{
	return !strcmp(text, "Y") || !strcmp(text, "1") || !strcmp(text, "y");
}

static bool no(const char *text)
{
	return !strcmp(text, "N") || !strcmp(text, "0") || !strcmp(text, "n") ||
	       !strcmp(text, "never");
}

/* 1: as it should be; 0: not; -1: not understood, said so. */
static int judge(const struct host_knob *k, const char *text, struct host_finding *f)
{
	char word[64];
	int64_t n;

	switch (k->kind) {
	case HOST_KNOB_YES:
	case HOST_KNOB_NO:
		if (yes(text) || no(text))
			return yes(text) == (k->kind == HOST_KNOB_YES);
		host_malformed(f, k->path, text, "Y or N");
		return -1;
	case HOST_KNOB_WORD:
		if (host_is_word(text))
			return !strcmp(text, k->want_text);
		host_malformed(f, k->path, text, "a word");
		return -1;
	case HOST_KNOB_CHOICE:
		if (host_bracketed(text, word, sizeof(word)) && host_has_word(k->known, word))
			return host_has_word(k->want_text, word);
		host_malformed(f, k->path, text, "a choice with one word in brackets");
		return -1;
	default:
		break;
	}
	if (!rtkvm_parse_i64(text, k->low, k->high ? k->high : INT32_MAX, &n)) {
		host_malformed(f, k->path, text, "a number that it can be");
		return -1;
	}
	return k->kind == HOST_KNOB_EQUAL ? n == k->want :
	       k->kind == HOST_KNOB_AT_LEAST ? n >= k->want : n <= k->want;
}

void host_check_knob(struct host_facts *facts, const struct host_check *check,
		     struct host_finding *f)
{
	const struct host_knob *k = check->arg;
	char text[256], value[32], mode[48] = "";
	int good;

	/* a kernel may have both vendors' modules built in; one of them is idle */
	if (k->module && ((facts->vendor == HOST_VENDOR_AMD && !strcmp(k->module, "kvm_intel")) ||
			  (facts->vendor == HOST_VENDOR_INTEL && !strcmp(k->module, "kvm_amd")))) {
		host_say(f, HOST_NA, "not a CPU of %s", k->module);
		return;
	}
	if (!host_need_text(facts, f, k->path, k->folder, k->absent, text, sizeof(text)))
		return;
	good = judge(k, text, f);
	if (good < 0)
		return;
	snprintf(value, sizeof(value), "%lld", (long long)k->want);
	if (k->module)
		snprintf(mode, sizeof(mode), ", %s",
			 host_writable(facts, k->path) ? "writable at run time" :
							 "set when it is loaded");
	host_say(f, good ? HOST_OK : k->bad, "%.60s = %.60s%s%s%s", strrchr(k->path, '/') + 1,
		 text, mode, good ? "" : ": ", good ? "" : k->means);
	if (good)
		return;
	if (k->flag && !facts->cpuinfo_err && !host_has_cpuflag(facts, k->flag))
		host_remedy(f, RTKVM_REMEDY_MANUAL, "use a CPU that has it: the flags of this one lack %s, and "
			    "KVM clears the parameter without it", k->flag);
	else if (k->module)
		host_module_remedy(facts, f, k->module, k->parameter, k->write ? k->write : value);
	else
		host_write_remedy(f, k->path, k->write ? k->write : value);
}
