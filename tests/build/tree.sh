#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Rules for every file of the tree: its licence line, its length, and no path
# of somebody's machine in it. Rules for the code itself are lint's.
. "${top_srcdir:?run this by make check}/tests/support/tap.sh"

# Files of the project, from git where there is git, else without what
# autotools made.
list_files() {
	if [ -e "$top_srcdir/.git" ] && have git &&
		git -c safe.directory='*' -C "$top_srcdir" ls-files 2>/dev/null; then
		return
	fi
	(cd "$top_srcdir" && find . -type f \
		! -path './.git/*' ! -path './build*/*' ! -path './_build/*' ! -path './autom4te.cache/*' \
		! -path './m4/*.m4' ! -name 'configure' ! -name 'configure~' ! -name Makefile.in \
		! -name aclocal.m4 ! -name '*~' | sed 's|^\./||')
}

# The licence that a file must have by its place; "" for none.
licence_for() {
	case $1 in
	COPYING | LICENSES/* | *.gitkeep | tests/abi/*.abi | tests/abi/*.constants) ;;
	tests/fuzz/corpus/* | *.hgrm | doc/figures/* | *.png | *.svg | *.patch) ;;
	.git*) ;;
	doc/packaging/debian/changelog | doc/packaging/debian/copyright | doc/packaging/debian/source/*) ;;
	examples/Makefile.inc) echo LGPL-2.1-or-later ;;
	examples/*) echo MIT ;; # programs to copy from
	kernel/uapi/*) echo "GPL-2.0 WITH Linux-syscall-note" ;;
	kernel/*.md) echo LGPL-2.1-or-later ;;
	kernel/*) echo GPL-2.0 ;;
	*) echo LGPL-2.1-or-later ;;
	esac
}

# Prints what is wrong with the files named on stdin, below a directory.
licence_faults() {
	local file want line
	while IFS= read -r file; do
		want=$(licence_for "$file")
		[ -n "$want" ] || continue
		line=$(head -n 8 "$1/$file" | grep -a -m 1 -o 'SPDX-License-Identifier: .*')
		line=${line#*: }
		line=${line%% \*/*}
		line=${line%% -->*}
		line=${line%%\"*} # in JSON it is a string
		case $want,$line in
		"$want,$want" | GPL-2.0,GPL-2.0-only) ;;
		*) echo "$file: '$line', must be '$want'" ;;
		esac
	done
}

path_faults() {
	local file
	while IFS= read -r file; do
		case $file in tests/build/tree.sh | *.abi) continue ;; esac
		# /home/somebody is nobody's
		grep -anHE '(^|[^A-Za-z0-9_./$}"])/(home|work|root)/[a-z]' "$1/$file" /dev/null |
			grep -v '/home/somebody'
	done
}

long_files() {
	local file
	while IFS= read -r file; do
		case $file in
		*.c | *.h | *.sh) [ "$(wc -l <"$1/$file")" -le "$2" ] || echo "$file" ;;
		esac
	done
}

files=$(list_files)
contains "the list of files is right" "
$files
" "
lib/core/context.c
"
equal "every file has its licence" "$(licence_faults "$top_srcdir" <<<"$files")" ""
equal "no path of somebody's machine" "$(path_faults "$top_srcdir" <<<"$files")" ""
equal "no file over 1000 lines" "$(long_files "$top_srcdir" 1000 <<<"$files")" ""
long_files "$top_srcdir" 600 <<<"$files" | sed 's/^/# more than 600 lines, consider a split: /'
for licence in LGPL-2.1-or-later GPL-2.0 MIT; do
	check "the text of $licence is there" test -s "$top_srcdir/LICENSES/$licence.txt"
done

# Made-up trees with each fault.
mkdir -p "$tmp/lib" "$tmp/examples" "$tmp/kernel"
echo 'int x;' >"$tmp/lib/none.c"
echo '/* SPDX-License-Identifier: GPL-2.0 */' >"$tmp/lib/other.c"
echo '// SPDX-License-Identifier: LGPL-2.1-or-later' >"$tmp/examples/e.c"
echo '/* SPDX-License-Identifier: MIT */' >"$tmp/examples/good.c"
echo '/* SPDX-License-Identifier: GPL-2.0-only */' >"$tmp/kernel/k.c"
equal "faults of licences are found" \
	"$(printf '%s\n' lib/none.c lib/other.c examples/e.c examples/good.c kernel/k.c |
		licence_faults "$tmp" | cut -d: -f1 | tr '\n' ' ')" "lib/none.c lib/other.c examples/e.c "
printf 'cd /%s/me/x\n' home >"$tmp/lib/p.c"
echo 'a/home/x $HOME/home/y' >"$tmp/lib/q.c"
equal "paths are found" "$(printf 'lib/p.c\nlib/q.c\n' | path_faults "$tmp" | cut -d: -f1)" "$tmp/lib/p.c"
seq 601 >"$tmp/lib/long.c"
equal "long files are found" "$(echo lib/long.c | long_files "$tmp" 600)" lib/long.c
finish
