#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Debian packages of doc/packaging: the list of symbols is that of the map; they
# build from the release's tarball, lintian has nothing against them, each has what
# it should and no more, and a program builds against what they install. The other
# half: what is wrong is refused, by the build, by dpkg-gensymbols, by lintian.
. "${top_srcdir:?run this by make check}/tests/support/tap.sh"

deb=$top_srcdir/doc/packaging/deb
debian=$top_srcdir/doc/packaging/debian
map=$top_srcdir/lib/librtkvm.map

# ---- without Debian's tools ------------------------------------------------------------

same_symbols() { diff "$debian/librtkvm0.symbols" <("$deb" symbols "$1"); } # MAP
check "the list of symbols is that of the map (else: make deb-symbols)" same_symbols "$map"
grep -v '^	rtkvm_vcpu_kick;' "$map" >"$tmp/less.map"
refuse "a symbol that is gone is noticed" same_symbols "$tmp/less.map"
sed 's/^	rtkvm_vcpu_kick;/&\n	rtkvm_vcpu_kick2;/' "$map" >"$tmp/more.map"
refuse "a symbol that is new is noticed" same_symbols "$tmp/more.map"
version=$(sed -n '1s/^librtkvm (\(.*\)-[^-]*) .*/\1/p' "$debian/changelog")
equal "the changelog's version is that of the release" "$version" "$VERSION"
equal "the package's name has the library's number" \
	"$(readlink "$top_builddir/.libs/librtkvm.so" | sed 's/^librtkvm\.so\.\([0-9]*\)\..*/librtkvm\1/')" \
	"$(sed -n 's/^Package: \(librtkvm[0-9]*\)$/\1/p' "$debian/control")"
refuse "the script asked wrongly" "$deb" nothing

if [ -z "${RTKVM_LONG_TESTS:-}" ]; then
	skip "the packages" "takes minutes: check-all runs it"
	finish
fi
for command in dpkg-buildpackage dh dh_autoreconf lintian; do
	have $command || { skip "the packages" "no $command"; finish; }
done

# ---- the packages ----------------------------------------------------------------------

dist() {
	make -s -C "$top_builddir" dist && mv "$top_builddir/librtkvm-$VERSION.tar.gz" "$tmp/"
}
check "make dist" dist
tarball=$tmp/librtkvm-$VERSION.tar.gz
out=$tmp/out
export DEB_BUILD_OPTIONS=nocheck LC_ALL=C
# not dpkg-dev's database: what the build needs is what this build needed
check "they build" "$deb" build "$tarball" "$out" -us -uc -d
changes=$(find "$out" -name '*.changes')
[ -n "$changes" ] || finish
root=()
[ "$(id -u)" != 0 ] || root=(--allow-root)
accepts() { # FILE: no error and no warning
	lintian "${root[@]}" --fail-on error,warning --no-cfg "$@"
}
check "lintian accepts them" accepts "$changes"

package() { find "$out" -name "$1_*.deb"; } # NAME
arch=$(dpkg-architecture -qDEB_HOST_MULTIARCH)
files() { # PACKAGE: without what every package has
	dpkg-deb -c "$(package "$1")" | sed 's/ -> .*//' | awk '$6 !~ /\/$/ { print $6 }' |
		grep -vE '/(changelog|changelog\.Debian)\.gz$|/copyright$' | sort
}
so=$(basename "$(readlink "$top_builddir/.libs/librtkvm.so")")
equal "librtkvm0: the library alone" "$(files librtkvm0)" \
	"./usr/lib/$arch/librtkvm.so.0
./usr/lib/$arch/$so"
dev=$(files librtkvm-dev)
for file in "usr/lib/$arch/librtkvm.so" "usr/lib/$arch/librtkvm.a" "usr/lib/$arch/pkgconfig/rtkvm.pc" \
	usr/share/man/man3/librtkvm.3.gz usr/share/doc/librtkvm-dev/examples/rust-vmm/rtkvm.rs; do
	contains "librtkvm-dev: $file" "
$dev
" "
./$file
"
done
equal "librtkvm-dev: all headers" "$(sed -n 's|^./usr/include/||p' <<<"$dev")" \
	"$(cd "$top_srcdir/include" && find rtkvm -name '*.h' -o -name '*.hpp' | sort)"
equal "librtkvm-dev: the link is to the library" \
	"$(dpkg-deb -c "$(package librtkvm-dev)" | sed -n 's/.*librtkvm\.so -> //p')" "$so"
equal "rtkvm-tools: the command, its manual page, its unit" "$(files rtkvm-tools)" \
	"./lib/systemd/system/rtkvm-restore.service
./usr/bin/rtkvm
./usr/share/man/man1/rtkvm.1.gz"
depends() { dpkg-deb -f "$(package "$1")" Depends; }
equal "librtkvm0 needs libc alone" "$(depends librtkvm0 | tr ',' '\n' | sed 's/^ *//; s/ .*//' | sort -u)" libc6
contains "librtkvm-dev needs this librtkvm0" "$(depends librtkvm-dev)" \
	"librtkvm0 (= $(dpkg-deb -f "$(package librtkvm0)" Version))"
contains "rtkvm-tools needs a librtkvm0 with its symbols" "$(depends rtkvm-tools)" "librtkvm0 (>= $VERSION)"
for name in librtkvm0 librtkvm-dev; do
	equal "$name may be there for several architectures" \
		"$(dpkg-deb -f "$(package $name)" Multi-Arch)" same
done
contains "the unit is enabled when it is installed" \
	"$(dpkg-deb --ctrl-tarfile "$(package rtkvm-tools)" | tar -xO ./postinst)" \
	"enable 'rtkvm-restore.service'"

# A symbol that is taken out of the map alone (one that no program here uses): the
# package does not build.
mkdir "$tmp/mutated"
tar -xzf "$tarball" -C "$tmp/mutated"
sed -i '/^	rtkvm_thread_resync;/d' "$tmp/mutated/librtkvm-$VERSION/lib/librtkvm.map"
tar -czf "$tmp/mutated/librtkvm-$VERSION.tar.gz" -C "$tmp/mutated" "librtkvm-$VERSION"
broken() {
	"$deb" build "$tmp/mutated/librtkvm-$VERSION.tar.gz" "$tmp/mutated/out" -b -us -uc -d \
		>"$tmp/mutated/log" 2>&1
}
refuse "a symbol that is not in the map: no package" broken
contains "and it is named" "$(grep -E 'in the map|[Ee]rror' "$tmp/mutated/log")" \
	"in a header, not in the map: rtkvm_thread_resync"
equal "no package at all" "$(find "$tmp/mutated" -name '*.deb')" ""

# ---- installed -------------------------------------------------------------------------

install=$tmp/root
for name in librtkvm0 librtkvm-dev rtkvm-tools; do
	dpkg-deb -x "$(package $name)" "$install"
done
export LD_LIBRARY_PATH=$install/usr/lib/$arch
contains "the command runs" "$("$install/usr/bin/rtkvm" --version 2>&1)" "$VERSION"
export PKG_CONFIG_SYSROOT_DIR=$install PKG_CONFIG_LIBDIR=$install/usr/lib/$arch/pkgconfig
export PKG_CONFIG_ALLOW_SYSTEM_LIBS=1 PKG_CONFIG_ALLOW_SYSTEM_CFLAGS=1
example() { # FLAG OF PKG-CONFIG...
	# shellcheck disable=SC2046 # words
	"${cc[@]}" $(pkg-config --cflags rtkvm) -o "$tmp/plan" \
		"$install/usr/share/doc/librtkvm-dev/examples/plan.c" $(pkg-config "$@" --libs rtkvm) &&
		"$tmp/plan" >/dev/null
}
check "an example builds by pkg-config, and runs" example
rm -f "$install/usr/lib/$arch/librtkvm.so"
refuse "control: not without the link of librtkvm-dev" \
	env LIBRARY_PATH= "${cc[@]}" -o "$tmp/none" "$install/usr/share/doc/librtkvm-dev/examples/plan.c" \
	-I"$install/usr/include" -L"$install/usr/lib/$arch" -Wl,-Bdynamic -l:librtkvm.so
check "an example builds with the static library, and runs" example --static

# ---- what is wrong is refused ------------------------------------------------------------

gensymbols() { # LIST
	dpkg-gensymbols -v"$VERSION-1" -plibrtkvm0 -e"$LD_LIBRARY_PATH/$so" -I"$1" -c4 -O"$tmp/symbols" -q
}
# it wants a package's control file
mkdir -p "$tmp/package/debian"
cp "$debian/control" "$debian/changelog" "$tmp/package/debian/"
cd "$tmp/package" || exit
check "control: the list as it is" gensymbols "$debian/librtkvm0.symbols"
sed 's/^ rtkvm_new@/ rtkvm_gone@RTKVM_0.1 0.1.0\n&/' "$debian/librtkvm0.symbols" >"$tmp/more.symbols"
refuse "a symbol that the library has not" gensymbols "$tmp/more.symbols"
grep -v '^ rtkvm_new@' "$debian/librtkvm0.symbols" >"$tmp/less.symbols"
refuse "a symbol that the list has not" gensymbols "$tmp/less.symbols"

# A program where only what fits all architectures may be.
dpkg-deb -R "$(package rtkvm-tools)" "$tmp/wrong"
cp "$tmp/wrong/usr/bin/rtkvm" "$tmp/wrong/usr/share/doc/rtkvm-tools/"
dpkg-deb -b --root-owner-group "$tmp/wrong" "$tmp/wrong.deb" >/dev/null
refuse "control: lintian notices a fault" accepts "$tmp/wrong.deb"
finish
