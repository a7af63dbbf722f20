#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# QEMU with the series of examples/qemu, linked with the library by pkg-config, in the
# svm host: it boots Linux under that host's KVM, and each of its threads, also one
# that is made later, is read back from the kernel.
. "${top_srcdir:?run this by make check}/tests/support/tap.sh"
. "$top_srcdir/tests/emulated/lib.sh"

# Which parts, for a quick look: QEMU_PARTS="refused".
parts=${QEMU_PARTS:-refused daemon}
need_host svm
only_long "QEMU that links the library"

rtkvm=$top_builddir/tools/.libs/rtkvm
[ -x "$rtkvm" ] || { not_ok "the programs are there" "$rtkvm: not built with a shared library"; finish; }
for program in setpriv chrt; do
	have $program || { not_ok "$program is there" "package util-linux"; finish; }
done
# The library, installed where pkg-config finds it. It stays where it was built when it runs.
check "make install DESTDIR=" make -s -C "$top_builddir" install DESTDIR="$tmp/root"
pc=$(find "$tmp/root" -name rtkvm.pc)
sed -i "s,^prefix=\(.*\),prefix=$tmp/root\1," "$pc"
export PKG_CONFIG_PATH=${pc%/*}
LD_LIBRARY_PATH=$(readlink -f "$top_builddir")/.libs
export LD_LIBRARY_PATH

if ! patched=$("$top_srcdir/examples/qemu/build" binary 2> "$tmp/build.err"); then
	not_ok "QEMU builds with the series" "$(tail -n 30 "$tmp/build.err")"
	finish
fi
ok "QEMU builds with the series"
check "its patches apply, none is left out" "$top_srcdir/examples/qemu/build" check
check "QEMU's own checkpatch has nothing to say" "$top_srcdir/examples/qemu/build" checkpatch
contains "it links the library" "$(ldd "$patched")" "librtkvm.so.0"

kernel=$("$top_srcdir/kernel/rtkvm-kernel" build "$flavour" 2>/dev/null)
check "the guest's initramfs" "$emulated/linux-guest" --out "$tmp/guest.cpio" --marker "the guest is up" \
	--file "$emulated/qemu-guest" "sh ./qemu-guest"

files=(--file "$patched" --file "$top_builddir/tests/emulated/qemu-host"
	--file "$rtkvm" --file "$(type -P setpriv)" --file "$(type -P chrt)" --file "$emulated/qemu-link"
	--file "$kernel/bzImage" --file "$tmp/guest.cpio")
for file in "${patched%/*}"/share/*; do
	files+=(--file "$file")
done

results() { # WHAT
	local line
	while IFS= read -r line; do
		case $line in
		"ok "*) ok "${line#ok }" ;;
		"not ok "*) not_ok "${line#not ok }" ;;
		*) printf '# %s\n' "$line" ;;
		esac
	done <<< "$out"
}
host --host svm --cpus 4 --memory 1024 --boot-limit 400 --limit 1500 --out "$tmp/kept" "${files[@]}" \
	"sh ./qemu-link $parts"
results
equal "the kernel has nothing to say" "$status" 0
if [ "$status" != 0 ]; then
	said 40
	tail -n 5 "$tmp"/kept/001/out/*.out "$tmp"/kept/001/out/*.console 2>&1 | tr -d '\r\0' | sed 's/^/# /'
fi
[ ! -e "$tmp/kept/001/out/daemon.query" ] || sed 's/^/# query-rt: /' "$tmp/kept/001/out/daemon.query"

finish
