#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Every public header compiles alone, as C11 and as C++17, pedantically, with
# each compiler that is here; and the umbrella header includes all of them.
. "${top_srcdir:?run this by make check}/tests/support/tap.sh"

strict="-Wall -Wextra -Wpedantic -Werror -fsyntax-only"

# alone COMPILER LANGUAGE STANDARD INCLUDEDIR HEADER
alone() {
	local file=$tmp/one.$2
	# twice: the guard works
	printf '#include <rtkvm/%s>\n#include <rtkvm/%s>\nint rtkvm_use;\n' "$5" "$5" >"$file"
	# shellcheck disable=SC2086 # words
	$1 -std="$3" $strict -I"$4" "$file"
}

each_header() {
	local h
	for h in "$top_srcdir"/include/rtkvm/*.h; do
		alone "$1" "$2" "$3" "$top_srcdir/include" "${h##*/}" || return 1
	done
}

check "C11, $CC" each_header "$CC" c c11
check "C++17, $CXX" each_header "$CXX" cc c++17
for compiler in clang clang++; do
	language=c standard=c11
	[ $compiler = clang ] || { language=cc standard=c++17; }
	if have $compiler; then
		check "$standard, $compiler" each_header $compiler $language $standard
	else
		skip "$standard, $compiler" "no $compiler"
	fi
done

lacking=$(for h in "$top_srcdir"/include/rtkvm/*.h; do
	h=${h##*/}
	[ "$h" = rtkvm.h ] || grep -qF "#include <rtkvm/$h>" "$top_srcdir/include/rtkvm/rtkvm.h" ||
		echo "$h"
done)
equal "rtkvm.h includes every header" "$lacking" ""

# What the above must refuse.
mkdir -p "$tmp/include/rtkvm"
broken() {
	printf '%s\n' "$1" >"$tmp/include/rtkvm/broken.h"
	alone "$2" "$3" "$4" "$tmp/include" broken.h
}
refuse "a type without its header" broken 'static inline uint64_t f(void) { return 0; }' "$CC" c c11
refuse "no guard" broken 'enum { RTKVM_ONE = 1 };' "$CC" c c11
refuse "GNU C" broken "#pragma once
struct s { int n; char c[0]; };" "$CC" c c11
refuse "a C++ keyword" broken "#pragma once
extern int new;" "$CXX" cc c++17
check "a clean header passes" broken "#pragma once
extern int rtkvm_x;" "$CXX" cc c++17
finish
