# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash
#
# For test scripts: reading what the meter of the svm host has written.

# A figure of the meter between two marks, all CPUs together or one.
metered() { # FILE LABEL FIGURE [CPU]
	awk -v from="label=$2" -v to="label=$(($2 + 1))" -v want="^cpu${4:-[0-9]+}[.]$3=" '
		function sum(i, s, f) {
			for (i = 1; i <= NF; i++)
				if ($i ~ want) { split($i, f, "="); s += f[2] }
			return s
		}
		$2 == from { begin = sum(); begun++ }
		$2 == to { end = sum(); ended++ }
		END { if (begun == 1 && ended == 1) printf "%d\n", end - begin; else print "no pair of marks" }
	' "$1"
}
