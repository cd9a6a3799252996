// mincore(2), msync(2), mlock(2), mlockall(2), madvise(2) of populating, brk(2), memory limits.
// covers: mincore msync mlock mlock2 munlock mlockall munlockall brk madvise process_vm_readv process_vm_writev process_madvise membarrier
#include "child.h"
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/uio.h>

#define P 4096
#define RW (PROT_READ | PROT_WRITE)
#define ANON (MAP_PRIVATE | MAP_ANONYMOUS)

static unsigned char vec[8];

static char *map(size_t pages, int prot) {
	char *p = mmap(NULL, pages * P, prot, ANON, -1, 0);
	CHECK(p != MAP_FAILED);
	return p;
}

static char *hole(void) { // two pages that have one between them
	char *p = map(3, RW);
	CHECK(munmap(p + P, P) == 0);
	return p;
}

static void limit(int what, rlim_t n) {
	struct rlimit r = {n, n};
	CHECK(setrlimit(what, &r) == 0);
}

static void untouched_pages_are_not_in_core(void) {
	char *p = map(3, RW);
	p[P] = 1;
	CHECK(mincore(p, 3 * P, vec) == 0 && !(vec[0] & 1) && (vec[1] & 1) && !(vec[2] & 1));
}

static void dontneed_takes_pages_out_of_core(void) {
	char *p = map(1, RW);
	*p = 1;
	CHECK(madvise(p, P, MADV_DONTNEED) == 0 && mincore(p, P, vec) == 0 && !(vec[0] & 1));
}

static void mincore_of_a_hole_is_enomem(void) { FAILS(mincore(hole(), 3 * P, vec), ENOMEM); }

static void populate_write_of_read_only_is_einval(void) { FAILS(madvise(map(1, PROT_READ), P, MADV_POPULATE_WRITE), EINVAL); }

static void populate_read_of_prot_none_is_einval(void) { FAILS(madvise(map(1, PROT_NONE), P, MADV_POPULATE_READ), EINVAL); }

static void populate_of_a_hole_is_enomem(void) { FAILS(madvise(hole(), 3 * P, MADV_POPULATE_READ), ENOMEM); }

static void msync_of_no_flags_is_well(void) { CHECK(msync(map(1, RW), P, 0) == 0); }

static void msync_unknown_flags_are_einval(void) { FAILS(msync(map(1, RW), P, 8), EINVAL); }

static void msync_of_a_hole_is_enomem(void) { FAILS(msync(hole(), 3 * P, MS_SYNC), ENOMEM); }

static void msync_invalidate_of_locked_is_ebusy(void) {
	char *p = map(1, RW);
	CHECK(mlock(p, P) == 0);
	FAILS(msync(p, P, MS_INVALIDATE), EBUSY);
}

static void mlock_rounds_to_pages(void) {
	char *p = map(2, RW);
	CHECK(mlock(p + P - 1, 2) == 0 && self_status("VmLck:") == 8);
}

static void mlock_does_not_count_twice(void) {
	char *p = map(2, RW);
	CHECK(mlock(p, P) == 0 && mlock(p, 2 * P) == 0 && self_status("VmLck:") == 8);
	CHECK(munlock(p, P) == 0 && self_status("VmLck:") == 4);
}

static void munmap_unlocks(void) {
	char *p = map(2, RW);
	CHECK(mlock(p, 2 * P) == 0 && munmap(p, P) == 0 && self_status("VmLck:") == 4);
}

static void fork_does_not_inherit_locks(void) {
	CHECK(mlock(map(1, RW), P) == 0);
	pid_t c = fork();
	if (c == 0) _exit(self_status("VmLck:") != 0);
	CHECK(ended_well(c) && self_status("VmLck:") == 4);
}

static void map_locked_locks(void) {
	CHECK(mmap(NULL, 2 * P, RW, ANON | MAP_LOCKED, -1, 0) != MAP_FAILED && self_status("VmLck:") == 8);
}

static void mlockall_future_locks_what_comes(void) {
	CHECK(mlockall(MCL_FUTURE) == 0);
	long before = self_status("VmLck:");
	map(4, RW);
	CHECK(self_status("VmLck:") == before + 16);
}

static void mlock_of_a_hole_is_enomem(void) { FAILS(mlock(hole(), 3 * P), ENOMEM); }

static void munlock_of_a_hole_is_enomem(void) { FAILS(munlock(hole(), 3 * P), ENOMEM); }

static void mlock_that_overflows_is_einval(void) { FAILS(syscall(SYS_mlock, 16 * P, -4L * P), EINVAL); }

static void mlock_beyond_the_limit_is_enomem(void) {
	char *p = map(3, RW);
	limit(RLIMIT_MEMLOCK, 2 * P);
	nobody();
	CHECK(mlock(p, 2 * P) == 0);
	FAILS(mlock(p, 3 * P), ENOMEM);
}

static void mlock_with_no_limit_left_is_eperm(void) {
	char *p = map(1, RW);
	limit(RLIMIT_MEMLOCK, 0);
	nobody();
	FAILS(mlock(p, P), EPERM);
	FAILS(mlockall(MCL_CURRENT), EPERM);
}

static void mlockall_onfault_alone_is_einval(void) { FAILS(mlockall(4), EINVAL); }

static void mlock2_onfault_does_not_touch(void) {
	char *p = map(1, RW);
	CHECK(syscall(SYS_mlock2, p, P, 1) == 0 && self_status("VmLck:") == 4 && mincore(p, P, vec) == 0 && !(vec[0] & 1));
}

static void address_space_has_a_limit(void) {
	limit(RLIMIT_AS, 64 << 20);
	FAILS(mmap(NULL, 65 << 20, RW, ANON, -1, 0), ENOMEM);
	CHECK(mmap(NULL, 1 << 20, RW, ANON, -1, 0) != MAP_FAILED);
}

static void brk_has_a_limit(void) {
	long now = syscall(SYS_brk, 0);
	limit(RLIMIT_DATA, 16 << 20);
	CHECK(syscall(SYS_brk, now + (32 << 20)) == now);
}

static void brk_does_not_run_into_a_mapping(void) {
	long now = syscall(SYS_brk, 0), next = (now + P - 1) / P * P + 4 * P;
	CHECK(mmap((void *)next, P, RW, ANON | MAP_FIXED_NOREPLACE, -1, 0) == (void *)next);
	CHECK(syscall(SYS_brk, next + P) == now && syscall(SYS_brk, next - 2 * P) == next - 2 * P);
}

static void brk_regrown_is_zero(void) {
	char *now = (char *)((syscall(SYS_brk, 0) + P - 1) / P * P);
	CHECK(syscall(SYS_brk, now + P) == (long)now + P);
	*now = 1;
	CHECK(syscall(SYS_brk, now) == (long)now && syscall(SYS_brk, now + P) == (long)now + P && *now == 0);
}

static pid_t other; // a child with buf of its own
static char buf[2 * P] = "parent", got[2 * P];

static void with_other(void) {
	int fd[2];
	CHECK(pipe(fd) == 0);
	other = fork();
	if (other == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		strcpy(buf, "child"), strcpy(buf + 100, "more");
		write(fd[1], "x", 1);
		for (;;) pause();
	}
	CHECK(read(fd[0], got, 1) == 1);
}

static long transfer(int nr, void *l, size_t ln, void *r, size_t rn) {
	struct iovec lv = {l, ln}, rv = {r, rn};
	return syscall(nr, other, &lv, 1L, &rv, 1L, 0L);
}

static void readv_reads_another_process(void) {
	with_other();
	CHECK(transfer(SYS_process_vm_readv, got, 6, buf, 6) == 6 && strcmp(got, "child") == 0 && strcmp(buf, "parent") == 0);
	end(other);
}

static void writev_writes_another_process(void) {
	with_other();
	CHECK(transfer(SYS_process_vm_writev, "hello", 6, buf, 6) == 6);
	CHECK(transfer(SYS_process_vm_readv, got, 6, buf, 6) == 6 && strcmp(got, "hello") == 0);
	end(other);
}

static void the_shorter_side_counts(void) {
	with_other();
	CHECK(transfer(SYS_process_vm_readv, got, 3, buf, 100) == 3 && transfer(SYS_process_vm_readv, got, 100, buf, 4) == 4);
	end(other);
}

static void pieces_need_not_match(void) {
	with_other();
	struct iovec l[2] = {{got, 2}, {got + 10, 8}}, r[2] = {{buf, 5}, {buf + 100, 5}};
	CHECK(syscall(SYS_process_vm_readv, other, l, 2L, r, 2L, 0L) == 10);
	CHECK(memcmp(got, "ch", 2) == 0 && memcmp(got + 10, "ildmore", 8) == 0);
	end(other);
}

static void a_bad_remote_address_is_efault(void) {
	with_other();
	FAILS(transfer(SYS_process_vm_readv, got, 8, (void *)16, 8), EFAULT);
	end(other);
}

static void pages_before_a_bad_one_are_read(void) {
	char *p = map(2, RW);
	with_other();
	munmap(p, 2 * P);
	end(other);
	p = map(2, RW);
	CHECK(munmap(p + P, P) == 0);
	with_other();
	CHECK(transfer(SYS_process_vm_readv, got, 2 * P, p, 2 * P) == P);
	end(other);
}

static void too_many_pieces_are_einval(void) {
	with_other();
	struct iovec v = {got, 1};
	FAILS(syscall(SYS_process_vm_readv, other, &v, 1025L, &v, 1L, 0L), EINVAL);
	FAILS(syscall(SYS_process_vm_readv, other, &v, 1L, &v, 1025L, 0L), EINVAL);
	end(other);
}

static void another_user_s_process_is_eperm(void) {
	with_other();
	pid_t c = fork();
	if (c == 0) {
		nobody();
		FAILS(transfer(SYS_process_vm_readv, got, 6, buf, 6), EPERM);
		_exit(0);
	}
	CHECK(ended_well(c));
	end(other);
}

static void membarrier_query_names_commands(void) { CHECK(syscall(SYS_membarrier, 0, 0, 0) & 1); }

static void membarrier_private_needs_registration(void) {
	FAILS(syscall(SYS_membarrier, 1 << 3, 0, 0), EPERM);
	CHECK(syscall(SYS_membarrier, 1 << 4, 0, 0) == 0 && syscall(SYS_membarrier, 1 << 3, 0, 0) == 0);
}

static void membarrier_unknown_is_einval(void) {
	FAILS(syscall(SYS_membarrier, 1 << 20, 0, 0), EINVAL);
	FAILS(syscall(SYS_membarrier, 0, 1, 0), EINVAL);
}

int main(void) {
	APART(untouched_pages_are_not_in_core());
	APART(dontneed_takes_pages_out_of_core());
	APART(mincore_of_a_hole_is_enomem());
	APART(populate_write_of_read_only_is_einval());
	APART(populate_read_of_prot_none_is_einval());
	APART(populate_of_a_hole_is_enomem());
	APART(msync_of_no_flags_is_well());
	APART(msync_unknown_flags_are_einval());
	APART(msync_of_a_hole_is_enomem());
	APART(msync_invalidate_of_locked_is_ebusy());
	APART(mlock_rounds_to_pages());
	APART(mlock_does_not_count_twice());
	APART(munmap_unlocks());
	APART(fork_does_not_inherit_locks());
	APART(map_locked_locks());
	APART(mlockall_future_locks_what_comes());
	APART(mlock_of_a_hole_is_enomem());
	APART(munlock_of_a_hole_is_enomem());
	APART(mlock_that_overflows_is_einval());
	APART(mlock_beyond_the_limit_is_enomem());
	APART(mlock_with_no_limit_left_is_eperm());
	APART(mlockall_onfault_alone_is_einval());
	APART(mlock2_onfault_does_not_touch());
	APART(address_space_has_a_limit());
	APART(brk_has_a_limit());
	APART(brk_does_not_run_into_a_mapping());
	APART(brk_regrown_is_zero());
	APART(with_other());
	APART(readv_reads_another_process());
	APART(writev_writes_another_process());
	APART(the_shorter_side_counts());
	APART(pieces_need_not_match());
	APART(a_bad_remote_address_is_efault());
	APART(pages_before_a_bad_one_are_read());
	APART(too_many_pieces_are_einval());
	APART(another_user_s_process_is_eperm());
	APART(membarrier_query_names_commands());
	APART(membarrier_private_needs_registration());
	APART(membarrier_unknown_is_einval());
	return 0;
}
