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
	{ ldd "$1" 2>/dev/null | grep -o '/[^ ]*' || true; } | sort -u | while read -r lib; do
		case $lib in
		*/ld-linux*) mkdir -p "$3$(dirname "$lib")"; cp -L "$lib" "$3$lib" ;;
		*) cp -Lu "$lib" "$3/lib/job/" ;;
		esac
	done
}

# A root with busybox under all its names and INIT, which runs the commands that are added.
new_root() { # ROOT INIT
	local applet
	mkdir -p "$1"/{bin,jobs,lib/job,dev,proc,sys,tmp,run,root,etc}
	cp "$(busybox)" "$1/bin/busybox"
	# here, and not by "busybox --install" in the host, which is slower at it
	"$1/bin/busybox" --list | while read -r applet; do
		[ "$applet" = busybox ] || ln -s busybox "$1/bin/$applet"
	done
	cp "$2" "$1/init"
	chmod 755 "$1/init"
}

# A command: one line for busybox's shell, in a folder of its own with those
# files. Its first word may be a program of this machine: it is copied too.
add_command() { # ROOT NUMBER LINE FILE...
	local root=$1 line=$3 job first rest program interpreter f
	job=$root/jobs/$(printf %03d "$2")
	shift 3
	mkdir -p "$job/out"
	read -r first rest <<< "$line"
	# by its path or, if busybox has none, its name
	program=$first
	case $first in
	*/*) ;;
	*) grep -qxF -e "$first" <<< "$("$root/bin/busybox" --list)" || program=$(type -P "$first" || true) ;;
	esac
	if [ -f "$program" ] && [ -x "$program" ]; then
		interpreter=$(head -c 200 "$program" | tr -d '\0' | sed -n '1s/^#! *\([^ ]*\).*/\1/p')
		case $interpreter in
		'' | /bin/sh | /bin/busybox) ;;
		*) die 2 "$program needs $interpreter, which the host does not have (it has /bin/sh)" ;;
		esac
		copy_program "$program" "$job" "$root"
		first=./$(basename "$program")
	elif [[ $first == */* && $first != *=* && ! -e $root/$first ]]; then
		die 2 "no program $first"
	fi
	for f; do
		if [ -x "$f" ]; then copy_program "$f" "$job" "$root"; else cp -L "$f" "$job/"; fi
	done
	printf '%s %s\n' "$first" "$rest" > "$job/run"
}

# The folder as a cpio archive on standard output, the same for the same content.
pack() { # ROOT
	(cd "$1" && find . -exec touch -h -d @1 {} + && find . | LC_ALL=C sort |
		cpio -o -H newc --reproducible --quiet -R 0:0)
}
