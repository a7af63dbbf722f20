#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# examples/rt-vmm builds from a copy outside the tree, with its own Makefile,
# against what was installed, by pkg-config alone.
. "${top_srcdir:?run this by make check}/tests/support/tap.sh"

root=$tmp/root
check "make install DESTDIR=" make -s -C "$top_builddir" install DESTDIR="$root"
pc=$(find "$root" -name rtkvm.pc)
export PKG_CONFIG_SYSROOT_DIR=$root PKG_CONFIG_LIBDIR=${pc%/*}
export PKG_CONFIG_ALLOW_SYSTEM_LIBS=1 PKG_CONFIG_ALLOW_SYSTEM_CFLAGS=1
cp -r "$top_srcdir/examples/rt-vmm" "$tmp/rt-vmm"
chmod -R u+w "$tmp/rt-vmm"
make -s -C "$tmp/rt-vmm" clean
check "it builds outside the tree" make -s -C "$tmp/rt-vmm" CFLAGS="-O2 -Wall -Wextra -Werror"
LD_LIBRARY_PATH=$(PKG_CONFIG_SYSROOT_DIR='' pkg-config --variable=libdir rtkvm)
export LD_LIBRARY_PATH=$root$LD_LIBRARY_PATH
check "and runs" "$tmp/rt-vmm/rt-vmm" --help
if { : <>/dev/kvm; } 2>/dev/null; then
	check "with its guest" "$tmp/rt-vmm/rt-vmm" run --duration 1
else
	skip "with its guest" "no /dev/kvm that can be opened"
fi
PKG_CONFIG_LIBDIR=$tmp refuse "not without the installed library" \
	make -B -s -C "$tmp/rt-vmm"
finish
