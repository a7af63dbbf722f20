#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# What was installed serves a program outside the tree by pkg-config alone:
# every example is built from a copy, linked dynamically and statically, and
# run. An example that cannot run here exits 77, its last line says why.
. "${top_srcdir:?run this by make check}/tests/support/tap.sh"

root=$tmp/root
check "make install DESTDIR=" make -s -C "$top_builddir" install DESTDIR="$root"
pc=$(find "$root" -name rtkvm.pc)
if [ -z "$pc" ]; then
	not_ok "rtkvm.pc is installed"
	finish
fi
export PKG_CONFIG_SYSROOT_DIR=$root PKG_CONFIG_LIBDIR=${pc%/*}
export PKG_CONFIG_ALLOW_SYSTEM_LIBS=1 PKG_CONFIG_ALLOW_SYSTEM_CFLAGS=1
libdir=$root$(PKG_CONFIG_SYSROOT_DIR='' pkg-config --variable=libdir rtkvm)
export LD_LIBRARY_PATH=$libdir

check "pkg-config knows rtkvm" pkg-config --exists --print-errors rtkvm
equal "its version is that of the package" "$(pkg-config --modversion rtkvm)" "$VERSION"
equal "nothing outside the prefix is installed" \
	"$(find "$root" -path "$root/var*" -o -path "$root/etc*")" ""

mkdir "$tmp/work"
cd "$tmp/work" || exit

# build COMPILER OUTPUT SOURCE FLAGS...
build() {
	local compiler=$1 out=$2 source=$3
	shift 3
	case $compiler in
	rustc)
		# shellcheck disable=SC2046 # words
		rustc -C opt-level=1 -o "$out" "$source" $(pkg-config --libs rtkvm)
		;;
	*)
		# shellcheck disable=SC2046,SC2086
		$compiler -Wall -Wextra -Werror "$@" $(pkg-config --cflags rtkvm) -o "$out" "$source" \
			$(pkg-config "${link[@]}" --libs rtkvm)
		;;
	esac
}

# Builds and runs one; "how" is for the reader.
example() {
	local how=$1 compiler=$2 source=$3 name out status=0
	shift 3
	name=$(basename "$source")
	cp "$source" "$name"
	if ! out=$(build "$compiler" ./program "$name" "$@" 2>&1); then
		not_ok "$name builds $how" "$out"
		return
	fi
	out=$(timeout -k 5 120 ./program 2>&1 </dev/null) || status=$?
	rm -f program
	# What an ordinary user may not change is no fault of the example.
	if [ $status = 1 ] && [ "$(id -u)" != 0 ] && grep -qE '\((EACCES|EPERM)\)' <<<"$out"; then
		skip "$name runs, $how" "needs root: $(grep -m 1 -E '\((EACCES|EPERM)\)' <<<"$out")"
		return
	fi
	case $status in
	0) ok "$name runs, $how" ;;
	77) skip "$name runs, $how" "$(tail -n 1 <<<"$out")" ;;
	*) not_ok "$name runs, $how" "exit status $status
$out" ;;
	esac
}

cat >smallest.c <<'END'
#include <stdio.h>
#include <string.h>
#include <rtkvm/rtkvm.h>

int main(void)
{
	struct rtkvm_options options;
	struct rtkvm *rt;

	rtkvm_options_init(&options, sizeof(options));
	options.root = "/no/such/directory";
	if (rtkvm_new(&options, &rt) == 0 || !strstr(rtkvm_last_error(), options.root))
		return 1;
	if (rtkvm_new(NULL, &rt) < 0)
		return 2;
	rtkvm_free(rt);
	puts(rtkvm_version());
	return strcmp(rtkvm_version(), RTKVM_VERSION_STRING) ? 3 : 0;
}
END
cp smallest.c "$tmp/smallest.c"
cp smallest.c "$tmp/smallest.cc"

for source in "$tmp/smallest.c" "$top_srcdir"/examples/*.c; do
	[ -e "$source" ] || continue
	link=()
	example "shared" "$CC" "$source" -std=gnu11
	link=(--static)
	example "static" "$CC" "$source" -std=gnu11 -static
done
link=()
for source in "$tmp/smallest.cc" "$top_srcdir"/examples/*.cc "$top_srcdir"/examples/*.cpp; do
	[ -e "$source" ] || continue
	example "as C++" "$CXX" "$source" -std=c++17
done
for source in "$top_srcdir"/examples/*.rs; do
	[ -e "$source" ] || continue
	if have rustc; then
		example "as Rust" rustc "$source"
	else
		skip "$(basename "$source") runs, as Rust" "no rustc"
	fi
done

# Without what pkg-config says it does not build.
refuse "no example builds without pkg-config" "${cc[@]}" -o none "$tmp/smallest.c"
long=$(find "$top_srcdir/examples" -maxdepth 1 -type f \( -name '*.c' -o -name '*.cc' -o -name '*.cpp' \
	-o -name '*.rs' \) -exec awk 'END { if (NR >= 150) print FILENAME, NR }' {} \;)
equal "no example has 150 lines or more" "$long" ""

check "make uninstall DESTDIR=" make -s -C "$top_builddir" uninstall DESTDIR="$root"
equal "nothing is left after uninstall" "$(find "$root" ! -type d)" ""
finish
