# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash
#
# For test scripts: reading what the meter of an emulated host has written, and what
# svm/entries printed beside it.

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

# A figure that a program in the host printed.
printed() { # TEXT LABEL NAME
	awk -v label="$2" -v name="$3" '$1 == "label" { here = $2 == label } here && $1 == name { print $2 }' \
		<<< "$1"
}

# The meters of one run of 'entries' agree: exits as KVM counts them, entries from
# outside, and the events that made most of them really came.
agree() { # METER TEXT LABEL EVENTS
	local entries exits events
	entries=$(metered "$1" "$3" entries) exits=$(printed "$2" "$3" exits) events=$(printed "$2" "$3" events)
	echo "label $3: $entries entries by the meter, $exits exits by KVM, $events events"
	[ "$events" = "$4" ] && [ "$entries" = "$exits" ] && [ "$entries" -gt "$4" ]
}
