/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Reports as text for people and as JSON for programs.
 */
#include <json-c/json.h>
#include <stdio.h>
#include <string.h>

#include "cmd.h"

/* The next item that is asked for. */
static const struct rtkvm_report_item *next(const struct cmd_options *opt,
					    const struct rtkvm_report *report,
					    const struct rtkvm_report_item *item)
{
	size_t len = opt->only ? strlen(opt->only) : 0;

	while ((item = rtkvm_report_next(report, item))) {
		const char *feature = rtkvm_report_item_feature(item);

		if (!len || (!strncmp(feature, opt->only, len) &&
			     (!feature[len] || feature[len] == '/')))
			break;
	}
	return item;
}

static size_t problems(const struct cmd_options *opt, const struct rtkvm_report *report)
{
	const struct rtkvm_report_item *item = NULL;
	size_t count = 0;

	while ((item = next(opt, report, item)))
		count += (size_t)rtkvm_report_item_problem(item);
	return count;
}

static int widest(const struct cmd_options *opt, const struct rtkvm_report *report)
{
	const struct rtkvm_report_item *item = NULL;
	size_t width = 0;

	while ((item = next(opt, report, item)))
		if (strlen(rtkvm_report_item_feature(item)) > width)
			width = strlen(rtkvm_report_item_feature(item));
	return (int)width;
}

static void print_text(const struct cmd_options *opt, const struct rtkvm_report *report,
		       const char *nothing)
{
	const struct rtkvm_report_item *item = NULL;
	int width = widest(opt, report);

	if (!next(opt, report, NULL))
		printf("%s\n", nothing);
	while ((item = next(opt, report, item)))
		printf("%s %-*s  %-12s  %s\n", rtkvm_report_item_problem(item) ? "!" : " ", width,
		       rtkvm_report_item_feature(item),
		       rtkvm_report_state_name(rtkvm_report_item_state(item)),
		       rtkvm_report_item_reason(item));
}

static struct json_object *item_json(const struct rtkvm_report_item *item)
{
	struct json_object *o = json_object_new_object();
	const char *state = rtkvm_report_state_name(rtkvm_report_item_state(item));

	json_object_object_add(o, "feature",
			       json_object_new_string(rtkvm_report_item_feature(item)));
	json_object_object_add(o, "state", json_object_new_string(state));
	json_object_object_add(o, "problem",
			       json_object_new_boolean(rtkvm_report_item_problem(item)));
	json_object_object_add(o, "reason",
			       json_object_new_string(rtkvm_report_item_reason(item)));
	return o;
}

static void print_json(const struct cmd_options *opt, const struct rtkvm_report *report,
		       const char *command, int status)
{
	const struct rtkvm_report_item *item = NULL;
	struct json_object *top = json_object_new_object();
	struct json_object *items = json_object_new_array();

	while ((item = next(opt, report, item)))
		json_object_array_add(items, item_json(item));
	json_object_object_add(top, "command", json_object_new_string(command));
	json_object_object_add(top, "status", json_object_new_int(status));
	json_object_object_add(top, "problems",
			       json_object_new_int((int)problems(opt, report)));
	json_object_object_add(top, "items", items);
	printf("%s\n", json_object_to_json_string_ext(top, JSON_C_TO_STRING_PRETTY |
								   JSON_C_TO_STRING_NOSLASHESCAPE));
	json_object_put(top);
}

int cmd_report(const struct cmd_options *opt, const char *command, int ret,
	       struct rtkvm_report *report, const char *nothing)
{
	bool bad = problems(opt, report) && !opt->warnings_pass;
	int status = bad || ret < 0 ? CMD_ATTENTION : CMD_OK;

	if (!report)
		return cmd_fail();
	if (opt->json)
		print_json(opt, report, command, status);
	else
		print_text(opt, report, nothing);
	if (ret < 0)
		cmd_fail();
	rtkvm_report_free(report);
	return status;
}
