#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# The shared library as the loader sees it: what it needs, that it stays once
# loaded, and the usual hardening.
. "${top_srcdir:?run this by make check}/tests/support/tap.sh"

library=$top_builddir/.libs/librtkvm.so
dynamic=$(LC_ALL=C readelf -dW "$library")
segments=$(LC_ALL=C readelf -lW "$library")

# what of a list of needed libraries is not allowed
unexpected() {
	sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p' <<<"$1" |
		grep -vE '^(libc\.so\.6|libnuma\.so\.1|libudev\.so\.1|liburcu[a-z-]*\.so\.[0-9]+|ld-linux-x86-64\.so\.2)$'
}

equal "needs libc, libnuma, libudev, liburcu at most" "$(unexpected "$dynamic")" ""
contains "needs libc" "$dynamic" "[libc.so.6]"
contains "its name is librtkvm.so.0" "$dynamic" "soname: [librtkvm.so.0]"
contains "is never unloaded (-z nodelete)" "$dynamic" NODELETE
contains "is bound when loaded (-z now)" "$dynamic" NOW
contains "read-only after relocation (-z relro)" "$segments" GNU_RELRO
stack=$(grep GNU_STACK <<<"$segments")
contains "has a stack segment" "$stack" GNU_STACK
case $stack in
*RWE*) not_ok "stack is not executable" "$stack" ;;
*) ok "stack is not executable" ;;
esac
equal "no text relocations" "$(grep -c TEXTREL <<<"$dynamic")" 0

# The same questions to a library that is none of this.
echo 'double cosine(double x); double cosine(double x) { return __builtin_cos(x); }' >"$tmp/x.c"
"${cc[@]}" -shared -fPIC -o "$tmp/x.so" "$tmp/x.c" -Wl,--no-as-needed -lm
other=$(LC_ALL=C readelf -dW "$tmp/x.so")
equal "another library's needs would be noticed" "$(unexpected "$other")" "libm.so.6"
case $other in
*NODELETE*) not_ok "and that it can be unloaded" "$other" ;;
*) ok "and that it can be unloaded" ;;
esac
finish
