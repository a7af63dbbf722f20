/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The context: options, root directory, state directory. It holds no other
 * state; what modules need they keep in their own objects.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core.h"

#ifndef RTKVM_STATEDIR
#define RTKVM_STATEDIR "/var/lib/rtkvm"
#endif

/* Size of struct rtkvm_options in 0.1. */
#define OPTIONS_MIN sizeof(struct rtkvm_options)

const char *rtkvm_version(void)
{
	return RTKVM_VERSION_STRING;
}

void rtkvm_options_init(struct rtkvm_options *options, size_t size)
{
	struct rtkvm_options defaults = {
		.size = size,
		.log_level = RTKVM_LOG_WARNING,
	};

	if (!options)
		return;
	memset(options, 0, size);
	memcpy(options, &defaults, size < sizeof(defaults) ? size : sizeof(defaults));
}

/* Path of the state directory, allocated; NULL without memory. */
static char *state_dir_default(const char *root)
{
	const char *prefix = strcmp(root, "/") ? root : "";
	const char *base, *tail;
	char *path = NULL;

	if (geteuid() == 0) {
		base = RTKVM_STATEDIR;
		tail = "";
	} else if ((base = secure_getenv("XDG_STATE_HOME")) && base[0] == '/') {
		tail = "/rtkvm";
	} else if ((base = secure_getenv("HOME")) && base[0] == '/') {
		tail = "/.local/state/rtkvm";
	} else {
		return strdup("");
	}
	if (asprintf(&path, "%s%s%s", prefix, base, tail) < 0)
		return NULL;
	return path;
}

/* Without RESOLVE_IN_ROOT a symbolic link could lead out of a made-up tree. */
static int probe_openat2(struct rtkvm *rt)
{
	struct open_how how = { .flags = O_PATH | O_CLOEXEC, .resolve = RESOLVE_IN_ROOT };
	int fd = (int)syscall(SYS_openat2, rt->root_fd, ".", &how, sizeof(how));

	if (fd < 0)
		return rtkvm_fail(rt, ENOSYS, "openat2", "use Linux 5.6 or later for a root option",
				  "cannot keep file access below %s", rt->root);
	close(fd);
	return 0;
}

static int open_root(struct rtkvm *rt, const char *root)
{
	size_t len;

	rt->root = strdup(root);
	if (!rt->root)
		return rtkvm_fail(rt, ENOMEM, NULL, NULL, "no memory for the context");
	len = strlen(rt->root);
	while (len > 1 && rt->root[len - 1] == '/')
		rt->root[--len] = '\0';
	rt->made_up = strcmp(rt->root, "/") != 0;
	rt->root_fd = open(rt->root, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (rt->root_fd < 0) {
		int err = errno;

		return rtkvm_fail(rt, err, root, "give an existing directory as root",
				  "cannot open the root directory: %s", strerror(err));
	}
	return rt->made_up ? probe_openat2(rt) : 0;
}

static int check_options(const struct rtkvm_options *opt)
{
	if (opt->flags)
		return rtkvm_fail(NULL, EINVAL, "rtkvm_options.flags", "set it to 0",
				  "unknown flags 0x%x", opt->flags);
	if (opt->log_level < RTKVM_LOG_ERROR || opt->log_level > RTKVM_LOG_DEBUG)
		return rtkvm_fail(NULL, EINVAL, "rtkvm_options.log_level", "use RTKVM_LOG_*",
				  "unknown log level %d", opt->log_level);
	if (opt->root && !opt->root[0])
		return rtkvm_fail(NULL, EINVAL, "rtkvm_options.root", "use NULL for \"/\"",
				  "empty root directory");
	if (opt->state_dir && opt->state_dir[0] != '/')
		return rtkvm_fail(NULL, EINVAL, "rtkvm_options.state_dir",
				  "give an absolute path", "\"%s\" is not absolute",
				  opt->state_dir);
	for (size_t i = 0; i < sizeof(opt->reserved) / sizeof(opt->reserved[0]); i++)
		if (opt->reserved[i])
			return rtkvm_fail(NULL, E2BIG, "rtkvm_options.reserved",
					  "use a newer librtkvm", "reserved field %zu is set", i);
	return 0;
}

int rtkvm_new(const struct rtkvm_options *options, struct rtkvm **out)
{
	struct rtkvm_options opt;
	struct rtkvm *rt;
	int ret;

	if (!out)
		return rtkvm_fail(NULL, EINVAL, "rtkvm_new", NULL, "rt is NULL");
	*out = NULL;
	rtkvm_options_init(&opt, sizeof(opt));
	if (options) {
		ret = rtkvm_options_take(NULL, &opt, sizeof(opt), OPTIONS_MIN, options,
					 "rtkvm_options");
		if (ret < 0)
			return ret;
	}
	ret = check_options(&opt);
	if (ret < 0)
		return ret;
	rt = calloc(1, sizeof(*rt));
	if (!rt)
		return rtkvm_fail(NULL, ENOMEM, NULL, NULL, "no memory for the context");
	rt->root_fd = -1;
	rt->log = opt.log;
	rt->log_arg = opt.log_arg;
	rt->log_level = opt.log_level;
	ret = open_root(rt, opt.root ? opt.root : "/");
	if (ret == 0) {
		rt->state_dir = opt.state_dir ? strdup(opt.state_dir) : state_dir_default(rt->root);
		if (!rt->state_dir)
			ret = rtkvm_fail(rt, ENOMEM, NULL, NULL, "no memory for the context");
	}
	if (ret < 0) {
		rtkvm_free(rt);
		return ret;
	}
	*out = rt;
	return 0;
}

void rtkvm_free(struct rtkvm *rt)
{
	if (!rt)
		return;
	if (rt->root_fd >= 0)
		close(rt->root_fd);
	free(rt->root);
	free(rt->state_dir);
	free(rt);
}

const char *rtkvm_state_dir(const struct rtkvm *rt)
{
	return rt ? rt->state_dir : "";
}
