#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Results of check-all's stages, run at different times, come together: each with
# its own date and commit, the latest of each, what failed as failed and what did
# not run as that. No stage is run here; tests/build/quickstart.sh runs one.
. "${top_srcdir:?run this by make check}/tests/support/tap.sh"

long_run=$top_srcdir/tests/support/long-run
all="check rt/one rt/two lint"
new=$tmp/new

# record STAGE DATE COMMIT RESULT [OLD]...: into $new; the lines in $out
record() {
	check "$1 of $2" "$long_run" record "$1" "$2" "$3" "$4" "$all" "$new" "${@:5}"
	out=$(grep -v '^#' "$new")
}

record lint "2026-01-02 03:04:05" aaaaaaaaaaaa "ok"
equal "one stage: the others did not run" "$out" "check: not run
rt/one: not run
rt/two: not run
lint: 2026-01-02 03:04:05, commit aaaaaaaaaaaa, ok"
record rt/two "2026-01-03 00:00:00" bbbbbbbbbbbb "FAILED (status 1), 3 passed, 1 failed, 0 skipped" "$new"
equal "a second one: both with their own dates and commits, in the order of stages" "$out" "check: not run
rt/one: not run
rt/two: 2026-01-03 00:00:00, commit bbbbbbbbbbbb, FAILED (status 1), 3 passed, 1 failed, 0 skipped
lint: 2026-01-02 03:04:05, commit aaaaaaaaaaaa, ok"
cp "$new" "$tmp/failed"
equal "shown: dates, what failed, what did not run" "$("$long_run" show "$all" "$new")" "2026-01-03: rt/two
2026-01-02: lint
failed: rt/two
not run: check rt/one"

record rt/two "2026-01-03 00:00:01" cccccccccccc "ok, 4 passed, 0 failed, 0 skipped" "$new"
contains "mended and run again, it is no longer failed" "$out" \
	"rt/two: 2026-01-03 00:00:01, commit cccccccccccc, ok, 4 passed"
equal "nothing else changed" "$(grep -vc rt/two <<<"$out")" 3
record check "2026-01-04 00:00:00" dddddddddddd ok "$tmp/failed" "$new"
contains "of two files the later result counts" "$out" "rt/two: 2026-01-03 00:00:01, commit cccccccccccc, ok"
record check "2026-01-04 00:00:00" dddddddddddd ok "$new" "$tmp/failed"
contains "in whichever order they come" "$out" "rt/two: 2026-01-03 00:00:01, commit cccccccccccc, ok"
record rt/two "2026-01-02 00:00:00" eeeeeeeeeeee ok "$tmp/failed"
contains "control: an earlier success hides no later failure" "$out" "rt/two: 2026-01-03 00:00:00, commit bbbbbbbbbbbb, FAILED"
record lint "2026-01-05 00:00:00" ffffffffffff ok "$new" "$tmp/no such file"
contains "a file that is not there" "$out" "lint: 2026-01-05 00:00:00, commit ffffffffffff, ok"

printf '%s\n' "dance: 2026-01-06 00:00:00, commit a, ok" "rt/one: 2026-01-06, commit a, ok" "check: ok" >"$tmp/odd"
equal "neither a stage that there is not nor a line without its time is shown" \
	"$("$long_run" show "$all" "$tmp/odd")" "not run: $all"
equal "an empty file" "$("$long_run" show "$all" /dev/null)" "not run: $all"
refuse "usage: nothing to record" "$long_run" record lint
refuse "usage: no command" "$long_run"

# The real one is well-formed: every line is a result or a stage that did not run.
if [ -r "$top_srcdir/tests/long-run.txt" ]; then
	lines=$(grep -v '^#' "$top_srcdir/tests/long-run.txt")
	equal "the project's results are well-formed" "$(grep -vE \
		'^[a-z/-]+: (not run|[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2}, commit [0-9a-f]{12}, (ok|FAILED \(status [0-9]+\))(, .*)?)$' \
		<<<"$lines")" ""
	stages=$(cut -d: -f1 <<<"$lines" | xargs)
	contains "its dates are shown" "$("$long_run" show "$stages" "$top_srcdir/tests/long-run.txt")" \
		"$(grep -oE ': [0-9]{4}-[0-9]{2}-[0-9]{2} ' <<<"$lines" | tr -d ': ' | sort | tail -n 1): "
fi
finish
