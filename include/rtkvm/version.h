/* SPDX-License-Identifier: LGPL-2.1-or-later */
/**
 * @file version.h
 * Version of the library, and the attribute that marks what it exports.
 *
 * Nothing else belongs here: every other public header includes this one.
 */
#ifndef RTKVM_VERSION_H
#define RTKVM_VERSION_H

/** Version of the headers that a program was compiled with: major. */
#define RTKVM_VERSION_MAJOR 0
/** Minor version of the headers. */
#define RTKVM_VERSION_MINOR 1
/** Patch level of the headers. */
#define RTKVM_VERSION_PATCH 0
/** Version of the headers as text, "MAJOR.MINOR.PATCH". */
#define RTKVM_VERSION_STRING "0.1.0"

/** Marks a function that is part of the stable interface. */
#if defined(__GNUC__)
#define RTKVM_API __attribute__((visibility("default")))
/** Marks a function with a format string and its arguments, for the compiler's checks. */
#define RTKVM_PRINTF(fmt, first) __attribute__((format(printf, fmt, first)))
#else
#define RTKVM_API
#define RTKVM_PRINTF(fmt, first)
#endif

#ifdef __cplusplus
extern "C" {
#endif

/**
 * Version of the library that is running, which may be newer than the headers.
 *
 * @return "MAJOR.MINOR.PATCH", static storage, never NULL.
 *
 * RT class: RT-safe. Thread safety: any thread.
 */
RTKVM_API const char *rtkvm_version(void);

#ifdef __cplusplus
}
#endif

#endif
