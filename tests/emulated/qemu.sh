#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# QEMU with the series of examples/qemu, linked with the library by pkg-config, in the
# svm host: it boots Linux under that host's KVM, and each of its threads, also one
# that is made later, is read back from the kernel. Without -rt it is as unpatched. When asked,
# how late the guest's timer is beside a load, with -rt and without, in the deterministic mode.
. "${top_srcdir:?run this by make check}/tests/support/tap.sh"
. "$top_srcdir/tests/emulated/lib.sh"

# Which parts: QEMU_PARTS="plain daemon". The lateness ("late") has to be asked for: it takes
# a quarter of an hour or more.
parts=${QEMU_PARTS:-refused plain launched daemon}
need_host svm
only_long "QEMU that links the library"

rtkvm=$top_builddir/tools/.libs/rtkvm
[ -x "$rtkvm" ] || { not_ok "the programs are there" "$rtkvm: not built with a shared library"; finish; }
for program in setpriv chrt cyclictest; do
	have $program || { not_ok "$program is there" "packages util-linux, rt-tests"; finish; }
done
# The library, installed where pkg-config finds it. It stays where it was built when it runs.
check "make install DESTDIR=" make -s -C "$top_builddir" install DESTDIR="$tmp/root"
pc=$(find "$tmp/root" -name rtkvm.pc)
sed -i "s,^prefix=\(.*\),prefix=$tmp/root\1," "$pc"
export PKG_CONFIG_PATH=${pc%/*}
LD_LIBRARY_PATH=$(readlink -f "$top_builddir")/.libs
export LD_LIBRARY_PATH

if ! patched=$("$top_srcdir/examples/qemu/build" binary 2> "$tmp/build.err") ||
	! unpatched=$("$top_srcdir/examples/qemu/build" unpatched 2>> "$tmp/build.err"); then
	not_ok "QEMU builds with the series" "$(tail -n 30 "$tmp/build.err")"
	finish
fi
ok "QEMU builds with the series"
check "its patches apply, none is left out" "$top_srcdir/examples/qemu/build" check
check "QEMU's own checkpatch has nothing to say" "$top_srcdir/examples/qemu/build" checkpatch
contains "it links the library" "$(ldd "$patched")" "librtkvm.so.0"
cp "$unpatched" "$tmp/qemu-unpatched"

kernel=$("$top_srcdir/kernel/rtkvm-kernel" build "$flavour" 2>/dev/null)
check "the guest's initramfs" "$emulated/linux-guest" --out "$tmp/guest.cpio" --marker "the guest is up" --power-off \
	--file "$emulated/qemu-guest" --file "$(type -P cyclictest)" "sh ./qemu-guest"

files=(--file "$patched" --file "$tmp/qemu-unpatched" --file "$top_builddir/tests/emulated/qemu-host"
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
if [ "$parts" != late ]; then
	host --host svm --cpus 4 --memory 1024 --boot-limit 400 --limit 1500 --out "$tmp/kept" "${files[@]}" \
		"sh ./qemu-link ${parts/late/}"
	results
	equal "the kernel has nothing to say" "$status" 0
	if [ "$status" != 0 ]; then
		said 40
		tail -n 5 "$tmp"/kept/001/out/*.out "$tmp"/kept/001/out/*.console 2>&1 | tr -d '\r\0' | sed 's/^/# /'
	fi
	[ ! -e "$tmp/kept/001/out/daemon.query" ] || sed 's/^/# query-rt: /' "$tmp/kept/001/out/daemon.query"
fi

# ---- how late the guest's timer is -----------------------------------------------------

# "MEDIAN COUNT", as the guest has told.
lateness() { # FILE
	tr -d '\r\0' < "$1" | sed -n 's/^lateness //p'
}
case $parts in
*late*)
	host --host svm --deterministic --cpus 2 --memory 768 --boot-limit 1500 --limit 400 --out "$tmp/late" \
		"${files[@]}" "sh ./qemu-link late"
	results
	equal "deterministic: the kernel has nothing to say" "$status" 0
	[ "$status" = 0 ] || said 40
	read -r without n <<< "$(lateness "$tmp/late/001/out/late-without.console")"
	equal "without -rt: 200 samples" "$n" 200
	read -r with n <<< "$(lateness "$tmp/late/001/out/late-with.console")"
	equal "with -rt and a lease: 200 samples" "$n" 200
	echo "# lateness of the guest's timer beside a load, median, us: with -rt and a lease $with, without $without"
	if awk -v a="$with" -v b="$without" 'BEGIN { printf "# ratio %.3f\n", a / b; exit !(b > 0 && a < b) }'; then
		ok "with -rt and a lease the guest's timer is less late"
	else
		not_ok "with -rt and a lease the guest's timer is less late" "with $with, without $without"
	fi
	;;
*) [ -n "${QEMU_PARTS:-}" ] || skip "how late the guest's timer is" "has to be asked for: QEMU_PARTS=late" ;;
esac
finish
