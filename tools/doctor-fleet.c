/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Results of rtkvm doctor for fleets: the text format that Prometheus'
 * node_exporter reads from its textfile folder, and a feature file of
 * Kubernetes' node-feature-discovery (local source).
 */
#include <stdio.h>
#include <string.h>

#include "doctor.h"

/* "not applicable" has a blank that labels of Kubernetes may not have. */
static const char *label(int verdict)
{
	return verdict == RTKVM_VERDICT_NOT_APPLICABLE ? "not-applicable" :
							 rtkvm_verdict_name(verdict);
}

/*
 * One series per check and verdict, 1 for the one that it has: the form that
 * "state sets" have in OpenMetrics, so that an alert needs no numbers.
 */
void doctor_print_prometheus(const struct doctor_results *r, FILE *f)
{
	fprintf(f, "# HELP rtkvm_doctor_check 1 for the verdict that a check of rtkvm doctor gave.\n"
		   "# TYPE rtkvm_doctor_check gauge\n");
	for (size_t i = 0; i < r->count; i++)
		for (int v = 0; v < 5; v++)
			fprintf(f, "rtkvm_doctor_check{id=\"%s\",category=\"%s\",verdict=\"%s\"} %d\n",
				rtkvm_check_id(r->check[i]), rtkvm_check_category(r->check[i]), label(v),
				rtkvm_check_verdict(r->check[i]) == v);
	fprintf(f, "# HELP rtkvm_doctor_checks Number of checks by verdict.\n"
		   "# TYPE rtkvm_doctor_checks gauge\n");
	for (int v = 0; v < 5; v++)
		fprintf(f, "rtkvm_doctor_checks{verdict=\"%s\"} %zu\n", label(v),
			rtkvm_host_count_verdict(r->host, v));
	fprintf(f, "# HELP rtkvm_doctor_info Version of rtkvm.\n"
		   "# TYPE rtkvm_doctor_info gauge\n"
		   "rtkvm_doctor_info{version=\"%s\"} 1\n", rtkvm_version());
}

/* Lines NAME=VALUE; without a namespace they become feature.node.kubernetes.io/NAME. */
void doctor_print_nfd(const struct doctor_results *r, FILE *f)
{
	bool fail = rtkvm_host_count_verdict(r->host, RTKVM_VERDICT_FAIL);
	bool warn = rtkvm_host_count_verdict(r->host, RTKVM_VERDICT_WARN);
	bool unknown = rtkvm_host_count_verdict(r->host, RTKVM_VERDICT_UNKNOWN);
	char cpus[4096];
	unsigned int count = 0;

	fprintf(f, "rtkvm-realtime=%s\n", fail ? "fail" : warn ? "warn" : unknown ? "unknown" : "ok");
	if (rtkvm_host_get_cpus(r->host, RTKVM_CPUS_REALTIME, cpus, sizeof(cpus)) >= 0) {
		char *save = NULL;

		for (char *p = strtok_r(cpus, ",", &save); p; p = strtok_r(NULL, ",", &save)) {
			unsigned int first, last;
			int n = sscanf(p, "%5u-%5u", &first, &last);

			if (n >= 1)
				count += n == 2 ? last - first + 1 : 1;
		}
		fprintf(f, "rtkvm-realtime-cpus=%u\n", count);
	}
	for (size_t i = 0; i < r->count; i++)
		fprintf(f, "rtkvm-%s=%s\n", rtkvm_check_id(r->check[i]),
			label(rtkvm_check_verdict(r->check[i])));
}
