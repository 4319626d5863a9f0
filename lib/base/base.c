/* base.c - assertions and memory that does not fail. */
#include "base/base.h"

void bug_abort(const char *what, const char *file, int line)
{
	fprintf(stderr, "bug: %s at %s:%d\n", what, file, line);
	abort();
}

static ATTR_NORETURN void out_of_memory(size_t size)
{
	fprintf(stderr, "fatal: out of memory for %zu bytes\n", size);
	_exit(71); /* EX_OSERR */
}

void *xmalloc(size_t size)
{
	void *p = malloc(size ? size : 1);
	if (p == NULL)
		out_of_memory(size);
	return p;
}

void *xcalloc(size_t n, size_t size)
{
	void *p = calloc(n ? n : 1, size ? size : 1);
	if (p == NULL)
		out_of_memory(size);
	return p;
}

void *xrealloc(void *old, size_t size)
{
	void *p = realloc(old, size ? size : 1);
	if (p == NULL)
		out_of_memory(size);
	return p;
}

void *xreallocarray(void *old, size_t n, size_t size)
{
	size_t total;
	if (__builtin_mul_overflow(n, size, &total))
		out_of_memory(SIZE_MAX);
	return xrealloc(old, total);
}

char *xstrndup(const char *s, size_t n)
{
	size_t len = strnlen(s, n);
	char *p = xmalloc(len + 1);
	memcpy(p, s, len);
	p[len] = '\0';
	return p;
}

char *xstrdup(const char *s)
{
	return xstrndup(s, SIZE_MAX);
}

char *xasprintf(const char *fmt, ...)
{
	char *p;
	va_list ap;
	va_start(ap, fmt);
	int n = vasprintf(&p, fmt, ap);
	va_end(ap);
	if (n < 0)
		out_of_memory(0);
	return p;
}

void freep(void *p)
{
	free(*(void **)p);
}

void fd_close(int *fd)
{
	if (*fd < 0)
		return;
	int saved = errno;
	close(*fd);
	*fd = -1;
	errno = saved;
}

void fd_closep(int *fd)
{
	fd_close(fd);
}

void file_closep(FILE **f)
{
	if (*f != NULL)
		fclose(*f);
	*f = NULL;
}
