/*
 * uthash.h - uthash as ./dev lint shows it to cppcheck and clang-tidy: what each macro does to its arguments, without
 * the table, which both take for use after free.  Stands before the real header on their include path; never linked.
 */
#ifndef MERPATI_LINT_UTHASH_H
#define MERPATI_LINT_UTHASH_H

typedef struct UT_hash_handle {
	void *prev, *next;
} UT_hash_handle;

/* An element that the checker knows nothing about; what is passed in may be reached from anywhere afterwards. */
void *lint_any(const void *, ...);
unsigned lint_count(const void *);

#define HASH_COUNT(head) lint_count(head)
#define HASH_FIND(hh, head, key, len, out) ((out) = lint_any((head), (key), (len)))
#define HASH_FIND_STR(head, key, out) ((out) = lint_any((head), (key)))
#define HASH_ADD(hh, head, field, len, add) ((head) = lint_any((head), (add), (len)))
#define HASH_ADD_STR(head, field, add) ((head) = lint_any((head), (add)))
#define HASH_ADD_KEYPTR(hh, head, key, len, add) ((head) = lint_any((head), (add), (key), (len)))
#define HASH_DEL(head, el) ((head) = lint_any((head), (el)))
#define HASH_CLEAR(hh, head) ((head) = NULL)
#define HASH_ITER(hh, head, el, tmp)                                                                                   \
	for ((el) = (head), (tmp) = (el) ? lint_any((el)->hh.next) : NULL; (el);                                       \
	     (el) = (tmp), (tmp) = (el) ? lint_any((el)->hh.next) : NULL)

#endif
