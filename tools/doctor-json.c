/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Results of rtkvm doctor as JSON, after doc/doctor-schema.json.
 */
#include <json-c/json.h>
#include <stdio.h>
#include <string.h>

#include "doctor.h"

static void add_text(struct json_object *o, const char *key, const char *text)
{
	json_object_object_add(o, key, json_object_new_string(text));
}

static struct json_object *check_json(const struct rtkvm_check *check)
{
	struct json_object *o = json_object_new_object();

	add_text(o, "id", rtkvm_check_id(check));
	add_text(o, "category", rtkvm_check_category(check));
	add_text(o, "title", rtkvm_check_title(check));
	add_text(o, "verdict", rtkvm_verdict_name(rtkvm_check_verdict(check)));
	add_text(o, "value", rtkvm_check_value(check));
	add_text(o, "why", rtkvm_check_why(check));
	add_text(o, "source", rtkvm_check_source(check));
	if (rtkvm_check_remedy_kind(check) != RTKVM_REMEDY_NONE) {
		struct json_object *remedy = json_object_new_object();

		add_text(remedy, "kind", doctor_remedy_kind(check));
		add_text(remedy, "text", rtkvm_check_remedy(check));
		json_object_object_add(o, "remedy", remedy);
	}
	json_object_object_add(o, "needs_root",
			       json_object_new_boolean(rtkvm_check_needs_root(check)));
	return o;
}

static void add_cpus(struct json_object *o, const struct rtkvm_host *host)
{
	static const char *const names[] = { "online", "isolated", "nohz_full", "realtime",
					     "housekeeping" };
	struct json_object *cpus = json_object_new_object();
	char text[4096];

	for (int which = 0; which < 5; which++)
		if (rtkvm_host_get_cpus(host, which, text, sizeof(text)) >= 0)
			add_text(cpus, names[which], text);
	json_object_object_add(o, "cpus", cpus);
}

void doctor_print_json(const struct doctor_results *r, int status, FILE *f)
{
	static const char *const keys[] = { "ok", "warn", "fail", "not_applicable", "unknown" };
	struct json_object *top = json_object_new_object();
	struct json_object *checks = json_object_new_array();
	struct json_object *summary = json_object_new_object();

	add_text(top, "command", "doctor");
	json_object_object_add(top, "version", json_object_new_int(1));
	json_object_object_add(top, "status", json_object_new_int(status));
	add_cpus(top, r->host);
	for (int v = 0; v < 5; v++)
		json_object_object_add(summary, keys[v],
				       json_object_new_int((int)rtkvm_host_count_verdict(r->host, v)));
	json_object_object_add(top, "summary", summary);
	for (size_t i = 0; i < r->count; i++)
		json_object_array_add(checks, check_json(r->check[i]));
	json_object_object_add(top, "checks", checks);
	fprintf(f, "%s\n", json_object_to_json_string_ext(top, JSON_C_TO_STRING_PRETTY |
								       JSON_C_TO_STRING_NOSLASHESCAPE));
	json_object_put(top);
}
