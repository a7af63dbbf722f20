#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# examples/rust-vmm/rtkvm.rs declares what the headers declare. Three looks, each
# without the other: the generator writes the same file again; all that the
# library exports is in it; and both compilers see the same: the C compiler is
# asked whether each function and field has the type that the file says, and a
# program of each language prints every size, offset and constant. Controls: a
# mutated file, and mutated headers, are noticed.
. "${top_srcdir:?run this by make check}/tests/support/tap.sh"

rust=$top_srcdir/examples/rust-vmm
rustc=${RUSTC:-rustc}
if ! have "$rustc"; then
	skip "the declarations for Rust" "no rustc"
	finish
fi

# The declarations of one file as lines, from Rust to C:
#   struct NAME | field STRUCT NAME CTYPE | function NAME CTYPE | constant NAME
declarations() {
	# parameters that are one a line become one line
	awk '/^(    pub fn|pub type) .*\($/ { joined = $0; next }
		joined != "" { sub(/^ +/, ""); joined = joined $0
			if ($0 !~ /;$/) next
			$0 = joined; joined = "" }
		{ print }' "$1" | awk '
	# a type of Rust as one of C, without the name that it gives something
	function ctype(t) {
		sub(/^ +/, "", t); sub(/ +$/, "", t)
		if (t ~ /^\*const /) return ctype(substr(t, 8)) " const *"
		if (t ~ /^\*mut /) return ctype(substr(t, 6)) " *"
		if (t ~ /^Option</) return substr(t, 8, length(t) - 8) " *"
		if (t ~ /^\[.*; [0-9]+\]$/) {
			n = t; sub(/.*; /, "[", n); sub(/^\[/, "", t); sub(/; [0-9]+\]$/, "", t)
			return ctype(t) n
		}
		if (t in known) return known[t]
		if (t ~ /^(rtkvm[a-z_]*|timespec|kvm_cpuid2)$/) return "struct " t
		return "unknown_" t
	}
	function parameters(p,   n, i, all, part) {
		sub(/,? *$/, "", p)
		n = split(p, part, ",")
		for (i = 1; i <= n; i++) {
			sub(/^ *[a-z0-9_#]+: */, "", part[i])
			all = all (i > 1 ? ", " : "") ctype(part[i])
		}
		return n ? all : "void"
	}
	function signature(line,   p, r) {
		p = line; sub(/^[^(]*\(/, "", p); sub(/\)[^)]*;$/, "", p)
		r = line; if (!sub(/^.*\) -> /, "", r)) r = ""
		sub(/;$/, "", r)
		return (r == "" ? "void" : ctype(r)) "(" parameters(p) ")"
	}
	BEGIN {
		n = split("c_int int c_uint unsigned_int c_char char c_void void usize size_t i32 int32_t " \
			"u32 uint32_t i64 int64_t u64 uint64_t f64 double", w, " ")
		for (i = 1; i < n; i += 2) { known[w[i]] = w[i + 1]; sub(/_int$/, " int", known[w[i]]) }
	}
	/^pub struct [a-z_0-9]+ \{$/ { in_struct = $3; print "struct", $3; next }
	/^}/ { in_struct = "" }
	in_struct != "" && /^    pub / {
		name = $2; sub(/:$/, "", name); sub(/^r#/, "", name)
		type = $0; sub(/^[^:]*: /, "", type); sub(/,$/, "", type)
		print "field", in_struct, name, ctype(type)
	}
	/^pub const / { name = $3; sub(/:$/, "", name); print "constant", name }
	/^pub type / {
		name = $3; line = $0; sub(/^.* fn/, "", line)
		print "function", name, signature(line)
	}
	/^    pub fn / {
		name = $3; sub(/\(.*/, "", name)
		print "function", name, signature($0)
	}'
}

# The C compiler's word on each type, and what each language's program prints.
# compare INCLUDEDIR FILE: 0 when nothing differs
compare() {
	local include=$1 file=$2 dir
	dir=$(mktemp -d "$tmp/compare-XXXXXX")
	declarations "$file" >"$dir/list"
	{
		cat <<-'END'
			#include <stddef.h>
			#include <stdio.h>
			#include <time.h>
			#include <linux/kvm.h>
			#include <rtkvm/rtkvm.h>
			#define SAME(what, ctype) \
				_Static_assert(__builtin_types_compatible_p(__typeof__(what), ctype), #what)
		END
		awk '$1 == "field" {
			type = $0; sub(/^[^ ]+ [^ ]+ [^ ]+ /, "", type)
			printf "SAME(((struct %s *)0)->%s, __typeof__(%s));\n", $2, $3, type
		}
		$1 == "function" {
			type = $0; sub(/^[^ ]+ [^ ]+ /, "", type)
			printf "SAME(%s, __typeof__(%s));\n", $2, type
		}' "$dir/list"
		echo 'int main(void) {'
		awk '$1 == "struct" {
			printf "printf(\"struct %s %%zu %%zu\\n\", sizeof(struct %s), _Alignof(struct %s));\n", $2, $2, $2 }
		$1 == "field" {
			printf "printf(\"field %s.%s %%zu %%zu\\n\", offsetof(struct %s, %s), ", $2, $3, $2, $3
			printf "sizeof(((struct %s *)0)->%s));\n", $2, $3
		}
		$1 == "constant" { printf "printf(\"constant %s %%lld\\n\", (long long)%s);\n", $2, $2 }' "$dir/list"
		echo 'return 0; }'
	} >"$dir/c.c"
	{
		cat <<-END
			#![allow(dead_code)]
			#[path = "$file"]
			mod rtkvm;
			use rtkvm::*;
			use std::mem::{align_of, size_of, MaybeUninit};
			fn size<T>(_: *const T) -> usize { size_of::<T>() }
			fn main() {
		END
		awk '{ raw = $3 ~ /^(type|ref|in|fn|use|move|match|loop|where)$/ ? "r#" $3 : $3 }
		$1 == "struct" {
			printf "println!(\"struct %s {} {}\", size_of::<%s>(), align_of::<%s>());\n", $2, $2, $2 }
		$1 == "field" {
			printf "let u = MaybeUninit::<%s>::uninit(); let p = u.as_ptr();\n", $2
			printf "let f = unsafe { std::ptr::addr_of!((*p).%s) };\n", raw
			printf "println!(\"field %s.%s {} {}\", f as usize - p as usize, size(f));\n", $2, $3
		}
		$1 == "constant" { printf "println!(\"constant %s {}\", %s as i64);\n", $2, $2 }' "$dir/list"
		echo '}'
	} >"$dir/rust.rs"
	"${cc[@]}" -std=gnu11 -I"$include" -o "$dir/c" "$dir/c.c" >"$dir/c.log" 2>&1 ||
		{ grep -m 5 error "$dir/c.log"; return 1; }
	"$rustc" --edition 2021 -o "$dir/rust" "$dir/rust.rs" >"$dir/rust.log" 2>&1 ||
		{ grep -A 3 -m 5 ^error "$dir/rust.log"; return 1; }
	"$dir/c" >"$dir/c.out" && "$dir/rust" >"$dir/rust.out" || return
	diff "$dir/c.out" "$dir/rust.out" || return 1
	[ "$(wc -l <"$dir/c.out")" -ge 300 ] || { echo "that is too few to be all"; return 1; }
	rm -r "$dir"
}

# What is in the map is declared, what is declared is in the map.
complete() { # FILE
	diff <(sed -n 's/^\t\(rtkvm_[a-z0-9_]*\);.*/\1/p' "$top_srcdir/lib/librtkvm.map" | sort) \
		<(declarations "$1" | awk '$1 == "function" && $2 !~ /_fn$/ { print $2 }' | sort)
}

# Of structs that the headers define and constants that they have.
all_constants() { # FILE
	local list=$tmp/all.c h
	for h in "$top_srcdir"/include/rtkvm/*.h; do echo "#include <rtkvm/${h##*/}>"; done >"$list"
	"${cc[@]}" -E -P -std=gnu11 -I"$top_srcdir/include" "$list" >"$tmp/all.i"
	diff <(grep -oE '\bRTKVM_[A-Z0-9_]+ *(=|,)' "$tmp/all.i" | grep -oE 'RTKVM_[A-Z0-9_]+' | sort -u) \
		<(declarations "$1" | awk '$1 == "constant" { print $2 }' | sort -u) | grep '^<'
}

check "the generator builds, without a warning" "$rustc" --edition 2021 -D warnings -o "$tmp/bindings" \
	"$rust/bindings.rs"
generate() { "$tmp/bindings" "$1"/rtkvm/*.h; } # INCLUDEDIR
again() { diff "$rust/rtkvm.rs" <(generate "$1"); }
check "it writes the file that is there (else: make rust-bindings)" again "$top_srcdir/include"
check "all that the library exports is declared, and no more" complete "$rust/rtkvm.rs"
equal "so are all constants of the headers" "$(all_constants "$rust/rtkvm.rs")" ""
check "both compilers agree on it" compare "$top_srcdir/include" "$rust/rtkvm.rs"

# ---- the file is wrong: both compilers' look is not the generator's ------------------

mutated() { # SED-SCRIPT
	sed "$1" "$rust/rtkvm.rs" >"$tmp/mutated.rs"
	! cmp -s "$rust/rtkvm.rs" "$tmp/mutated.rs" || { echo "sed changed nothing"; return 125; }
	compare "$top_srcdir/include" "$tmp/mutated.rs"
}
refuse "a field that is wider is noticed" mutated 's/pub log_level: i32,/pub log_level: i64,/'
refuse "a field of another type of that size is noticed" mutated 's/pub log_level: i32,/pub log_level: u32,/'
refuse "a field that is missing is noticed" mutated '/pub log_level: i32,/d'
refuse "fields that changed places are noticed" \
	mutated 's/pub halt_poll_ns: u32/pub swap: u32/; s/pub dedicated: u32/pub halt_poll_ns: u32/; s/pub swap/pub dedicated/'
refuse "an array that is shorter is noticed" mutated 's/pub reserved: \[u64; 6\]/pub reserved: [u64; 5]/'
refuse "a constant of another value is noticed" mutated 's/\(RTKVM_ROLE_VCPU: c_int\) = 2/\1 = 3/'
refuse "a parameter of another type is noticed" mutated 's/vm_fd: c_int/vm_fd: i64/'
refuse "a parameter that is not const is noticed" mutated 's/\(fn rtkvm_report_count(report: \)\*const/\1*mut/'
refuse "parameters that are too few are noticed" mutated 's/\(fn rtkvm_vm_go_realtime(vm: \*mut rtkvm_vm\), flags: c_uint/\1/'
refuse "another result is noticed" mutated 's/\(fn rtkvm_vm_go_realtime(.*\) -> c_int/\1 -> i64/'
refuse "a function pointer of another type is noticed" mutated 's/^    level: c_int,/    level: i64,/'
without() { grep -v 'fn rtkvm_vcpu_kick(' "$rust/rtkvm.rs" >"$tmp/less.rs"; complete "$tmp/less.rs"; }
refuse "a function that is missing is noticed" without

# ---- the headers have changed and the file has not -----------------------------------

header() { # FILE SED-SCRIPT COMMAND...
	local file=$1 script=$2
	shift 2
	rm -rf "$tmp/include"
	cp -r "$top_srcdir/include" "$tmp/include"
	chmod -R u+w "$tmp/include"
	sed -i "$script" "$tmp/include/rtkvm/$file"
	! cmp -s "$tmp/include/rtkvm/$file" "$top_srcdir/include/rtkvm/$file" ||
		{ echo "sed changed nothing"; return 125; }
	"$@"
}
grown='s/^\tuint32_t dedicated;/\tuint32_t added, dedicated_;\n&/'
refuse "a header with a struct that changed: both compilers" header vm.h \
	's/int32_t max_exit_us;/int64_t max_exit_us;/' compare "$tmp/include" "$rust/rtkvm.rs"
refuse "a header with a struct that changed: the generator" header vm.h \
	's/int32_t max_exit_us;/int64_t max_exit_us;/' again "$tmp/include"
refuse "a header that the generator cannot read is no empty file" header vm.h "$grown" \
	generate "$tmp/include"
refuse "nor is a type that it does not know" header vm.h 's/int32_t kvm_fd;/long long kvm_fd;/' \
	generate "$tmp/include"
check "control: a header with another comment is the same" header vm.h 's/^ \* A VM and /&/; s/A VM. Opaque/A VM, opaque/' \
	again "$tmp/include"
finish
