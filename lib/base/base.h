/*
 * base.h - what every file of the suite includes first: attributes, assertions, memory that does not fail,
 * and a list of library functions that the suite does not use.
 */
#ifndef MERPATI_BASE_H
#define MERPATI_BASE_H

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

#define ATTR_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))
#define ATTR_NORETURN __attribute__((noreturn))
#define ATTR_UNUSED __attribute__((unused))
#define ATTR_NONNULL __attribute__((nonnull))
#define ATTR_WARN_UNUSED __attribute__((warn_unused_result))
#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))
#define container_of(ptr, type, member) ((type *)((char *)(ptr)-offsetof(type, member)))

/* Scope exit: `CLEANUP(fd_closep) int fd = -1;` calls fd_closep(&fd) when the scope is left. */
#define CLEANUP(fn) __attribute__((cleanup(fn)))

/* BUG_ON: an assertion that stays in release builds.  A true condition is our own bug; the process ends. */
#define BUG_ON(cond)                                                                                                   \
	do {                                                                                                           \
		if (__builtin_expect(!!(cond), 0))                                                                     \
			bug_abort(#cond, __FILE__, __LINE__);                                                          \
	} while (0)

ATTR_NORETURN void bug_abort(const char *what, const char *file, int line);

/*
 * Allocation that never returns NULL: out of memory ends the process, and the supervisor starts it again.  No size
 * that a peer chose may reach these unchecked: compare it with its named limit first.  xcalloc and xreallocarray end
 * the process when n * size overflows.  The result belongs to the caller, who frees it with free().
 */
void *xmalloc(size_t size) __attribute__((malloc, alloc_size(1), returns_nonnull));
void *xcalloc(size_t n, size_t size) __attribute__((malloc, alloc_size(1, 2), returns_nonnull));
void *xrealloc(void *p, size_t size) __attribute__((alloc_size(2), returns_nonnull));
void *xreallocarray(void *p, size_t n, size_t size) __attribute__((alloc_size(2, 3), returns_nonnull));
char *xstrdup(const char *s) __attribute__((malloc, returns_nonnull));
char *xstrndup(const char *s, size_t n) __attribute__((malloc, returns_nonnull));
char *xasprintf(const char *fmt, ...) ATTR_PRINTF(1, 2) __attribute__((malloc, returns_nonnull));

/* CLEANUP helpers. */
void freep(void *p);	 /* free(*(void **)p) */
void fd_closep(int *fd); /* closes *fd unless negative, keeps errno */
void file_closep(FILE **f);

/* Closes *fd unless negative and sets it to -1; keeps errno. */
void fd_close(int *fd);

#pragma GCC poison strcpy strcat strtok atoi atol gets seteuid setegid
#ifndef sprintf /* a macro with clang and _FORTIFY_SOURCE: gcc finds the misuse */
#pragma GCC poison sprintf vsprintf
#endif

#endif
