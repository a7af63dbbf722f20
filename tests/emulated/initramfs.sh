# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash disable=SC2154
#
# Parts of an initramfs, for whoever boots one: the emulated hosts, and the Linux
# guests in them. Sourced; needs die(), $work (a folder for scratch) and $cache.

# A busybox that needs no library: the system's, or Debian's kept in the cache.
busybox() {
	local b
	for b in "$(command -v busybox || true)" "$cache/busybox"; do
		if [ -n "$b" ] && [ -x "$b" ] && ! ldd "$b" >/dev/null 2>&1; then
			printf '%s\n' "$b"
			return
		fi
	done
	(cd "$work" && apt-get -qq -o APT::Sandbox::User=root download busybox-static >/dev/null) ||
		die 4 "no static busybox: apt-get install busybox-static"
	dpkg-deb -x "$work"/busybox-static*.deb "$work/bb"
	mkdir -p "$cache"
	cp "$work/bb/bin/busybox" "$cache/busybox.$$"
	mv "$cache/busybox.$$" "$cache/busybox"
	printf '%s\n' "$cache/busybox"
}

# A program, and the libraries it is linked with: those go to ROOT/lib/job.
copy_program() { # FILE FOLDER ROOT
	local lib
	cp -L "$1" "$2/"
	mkdir -p "$3/lib/job"
	{ ldd "$1" 2>/dev/null || true; } | grep -o '/[^ ]*' | sort -u | while read -r lib; do
		case $lib in
		*/ld-linux*) mkdir -p "$3$(dirname "$lib")"; cp -L "$lib" "$3$lib" ;;
		*) cp -Lu "$lib" "$3/lib/job/" ;;
		esac
	done
}

# The folder as a cpio archive on standard output, the same for the same content.
pack() { # ROOT
	(cd "$1" && find . -exec touch -h -d @1 {} + && find . | LC_ALL=C sort |
		cpio -o -H newc --reproducible --quiet -R 0:0)
}
