#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# The ABI gate: this build serves programs made for the last release
# (tests/abi/librtkvm-VERSION.*, made by "make abi-dump"). The other half
# shows that the gate would notice: each of several mutations of a copy of the
# sources must be refused, and the copy without mutation must pass.
. "${top_srcdir:?run this by make check}/tests/support/tap.sh"

tool=$top_srcdir/tests/build/abi-tool
library=$top_builddir/.libs/librtkvm.so
baseline=$(find "$top_srcdir/tests/abi" -name 'librtkvm-*.abi' | sort -V | tail -n 1)
baseline=${baseline%.abi}

if ! have abidiff; then
	skip "the binary interface is that of the last release" "no abidiff (package abigail-tools)"
	finish
fi
if [ -z "$baseline" ]; then
	not_ok "there is a dump of the last release" "make abi-dump, then commit tests/abi/"
	finish
fi

# Compile the library from a copy of its sources: library.so in the folder.
compile() {
	local dir=$1 sources=()
	local f
	for f in $LIB_SOURCES; do
		case $f in *.c) sources+=("$dir/$f") ;; esac
	done
	"${cc[@]}" -shared -fPIC -g -O0 -std=gnu11 -fvisibility=hidden -D_GNU_SOURCE \
		-DRTKVM_STATEDIR='"/var/lib/rtkvm"' -I"$dir/include" -I"$dir/lib" -I"$top_srcdir/kernel/uapi" \
		-Wl,--version-script="$dir/lib/librtkvm.map" -Wl,-soname,librtkvm.so.0 \
		-o "$dir/library.so" "${sources[@]}" -lm -pthread
}

# mutated NAME FILE SED-SCRIPT: dump of a copy with one file changed
mutated() {
	local dir=$tmp/$1
	mkdir "$dir"
	cp -r "$top_srcdir/include" "$top_srcdir/lib" "$dir/"
	chmod -R u+w "$dir"
	if [ $# -gt 1 ]; then
		cp "$dir/$2" "$dir/before"
		sed -i "$3" "$dir/$2"
		# a mutation that changes nothing would show nothing
		! cmp -s "$dir/before" "$dir/$2" || { echo "sed changed nothing"; return 125; }
	fi
	compile "$dir" >"$dir/log" 2>&1 || { cat "$dir/log"; return 125; }
	"$tool" dump "$dir/library.so" "$dir/include" "$dir/dump" || return 125
}

# Against the copy without mutation, so that nothing but the mutation differs.
noticed() {
	mutated "$@" || return
	"$tool" compare "$tmp/same/dump" "$tmp/$1/dump"
}

if check "the interface can be dumped" "$tool" dump "$library" "$top_srcdir/include" "$tmp/now" &&
	[ -s "$tmp/now.abi" ]; then
	check "the interface is that of ${baseline##*/}" "$tool" compare "$baseline" "$tmp/now" \
		"$top_srcdir/tests/abi/deliberate.abignore"
fi

check "a copy of the sources can be compiled" mutated same
check "a copy without mutation passes" "$tool" compare "$tmp/now" "$tmp/same/dump"
context=include/rtkvm/context.h
refuse "a field that changed its size is noticed" \
	noticed wider $context 's/int32_t log_level;/int64_t log_level;/'
refuse "a struct that is shorter is noticed" \
	noticed shorter $context 's/uint64_t reserved\[4\];/uint64_t reserved[3];/'
refuse "a field that is of another type is noticed" \
	noticed type $context 's/void \*log_arg;/uint64_t *log_arg;/'
refuse "fields that changed places are noticed" \
	noticed moved $context 's/int32_t log_level;/uint32_t flags_;/;s/uint32_t flags; /int32_t log_level;/;s/flags_;/flags;/'
refuse "a constant that changed its value is noticed" \
	noticed constant $context 's/RTKVM_LOG_DEBUG = 3/RTKVM_LOG_DEBUG = 4/'
refuse "a symbol that is gone is noticed" \
	noticed symbol lib/librtkvm.map '/^\trtkvm_report_count;/d'
mutated added lib/librtkvm.map 's/^\trtkvm_report_count;/&\n\trtkvm_cpus_parse_list;/' >/dev/null
check "a symbol that was added is none" "$tool" compare "$tmp/same/dump" "$tmp/added/dump"

# Whoever breaks the interface on purpose says so where people look.
undocumented=$(sed -n 's/^ *name *= *//p; s/^constant //p' \
	"$top_srcdir/tests/abi/deliberate.abignore" | while read -r name; do
	grep -qwF -e "$name" "$top_srcdir/doc/abi.md" || echo "$name"
done)
equal "each deliberate change is described in doc/abi.md" "$undocumented" ""
finish
