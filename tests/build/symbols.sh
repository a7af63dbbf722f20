#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# What the library exports is what the map and the public headers say. The
# build itself refuses otherwise; here it is shown that it would.
. "${top_srcdir:?run this by make check}/tests/support/tap.sh"

tool=$top_srcdir/tests/build/check-symbols
map=$top_srcdir/lib/librtkvm.map
library=$top_builddir/.libs/librtkvm.so

symbols() {
	CC=$CC sh "$tool" "$@"
}

check "library, map and headers agree ($SYMBOLS)" \
	symbols "$SYMBOLS" "$map" "$top_srcdir/include" "$library"

cp -r "$top_srcdir/include" "$tmp/include"
chmod -R u+w "$tmp/include"
sed '/^\trtkvm_new;/d' "$map" >"$tmp/short.map"
refuse "a symbol that the map lacks" symbols partial "$tmp/short.map" "$top_srcdir/include" "$library"
sed 's/^\trtkvm_new;/&\n\trtkvm_nowhere;/' "$map" >"$tmp/long.map"
refuse "a symbol that no header declares" symbols partial "$tmp/long.map" "$top_srcdir/include" "$library"
sed 's/^RTKVM_0.1/RTKVM_0.0/' "$map" >"$tmp/node.map"
refuse "another node" symbols partial "$tmp/node.map" "$top_srcdir/include" "$library"
cat >"$tmp/include/rtkvm/more.h" <<'END'
#include <rtkvm/version.h>
RTKVM_API int rtkvm_nowhere(void (*fn)(int), int x);
END
refuse "a declaration that the map lacks" symbols partial "$map" "$tmp/include" "$library"
refuse "a symbol that the library lacks" symbols strict "$tmp/long.map" "$tmp/include" "$library"
check "only strict asks the library for all of them" \
	symbols partial "$tmp/long.map" "$tmp/include" "$library"
refuse "a library without symbols" symbols partial "$map" "$top_srcdir/include" "$(command -v true)"
refuse "no library" symbols partial "$map" "$top_srcdir/include" "$tmp/none.so"
finish
