// A generator of pseudo-random numbers (xorshift64*): a seed gives the same
// operations everywhere.
#include <stdint.h>

struct rnd { uint64_t state; };

static inline uint64_t next(struct rnd *r) {
	r->state ^= r->state >> 12;
	r->state ^= r->state << 25;
	r->state ^= r->state >> 27;
	return r->state * 0x2545f4914f6cdd1d;
}

// below is a number less than n; 0 if n is 0.
static inline uint64_t below(struct rnd *r, uint64_t n) { return n ? (next(r) >> 11) % n : 0; }

// seeded is a generator for the nth that shares a seed.
static inline struct rnd seeded(uint64_t seed, uint64_t n) {
	struct rnd r = {(seed + 1) * 0x9e3779b97f4a7c15 + n * 0xbf58476d1ce4e5b9 + 1};
	for (int i = 0; i < 8; i++)
		next(&r);
	return r;
}
