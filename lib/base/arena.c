/* arena.c - memory by lifetime; see arena.h. */
#include "base/arena.h"
#include "base/err.h"

#define ARENA_CHUNK 4000 /* bytes of a usual chunk; larger requests get one of their own */
#define ARENA_ALIGN 16

struct arena_chunk {
	struct arena_chunk *next;
	size_t size, used;
	_Alignas(ARENA_ALIGN) char data[];
};

void arena_init(struct arena *a, size_t budget)
{
	*a = (struct arena){.budget = budget};
}

void arena_clear(struct arena *a)
{
	while (a->head != NULL) {
		struct arena_chunk *next = a->head->next;
		free(a->head);
		a->head = next;
	}
	a->used = 0;
}

void *arena_alloc(struct arena *a, size_t size)
{
	if (size > a->budget)
		return NULL;
	size_t need = (size + ARENA_ALIGN - 1) & ~(size_t)(ARENA_ALIGN - 1);
	if (need > a->budget - a->used)
		return NULL;
	if (a->head == NULL || a->head->size - a->head->used < need) {
		size_t room = need > ARENA_CHUNK ? need : ARENA_CHUNK;
		struct arena_chunk *c = xcalloc(1, sizeof(*c) + room);
		c->size = room;
		c->next = a->head;
		a->head = c;
	}
	void *p = a->head->data + a->head->used;
	a->head->used += need;
	a->used += need;
	return p;
}

char *arena_strdup(struct arena *a, struct sv s)
{
	char *p = s.n < SIZE_MAX ? arena_alloc(a, s.n + 1) : NULL;
	if (p != NULL && s.n)
		memcpy(p, s.p, s.n);
	return p;
}

int arena_sv(struct arena *a, struct sv s, struct sv *out)
{
	char *p = arena_strdup(a, s);
	if (p == NULL)
		return ERR_LIMIT;
	*out = sv_of(p, s.n);
	return 0;
}
