// mmap(2), munmap(2), mprotect(2), mremap(2), madvise(2), mincore(2), msync(2), mlock(2).
// covers: mmap munmap mprotect mremap madvise mincore msync mlock mlock2 munlock memfd_create
#include "child.h"
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>

#define P 4096
#define RW (PROT_READ | PROT_WRITE)
#define ANON (MAP_PRIVATE | MAP_ANONYMOUS)
#ifndef MREMAP_DONTUNMAP
#define MREMAP_DONTUNMAP 4
#endif

static char *map(size_t pages) {
	char *p = mmap(NULL, pages * P, RW, ANON, -1, 0);
	CHECK(p != MAP_FAILED);
	return p;
}

static int memfd(size_t pages) {
	int fd = memfd_create("mm", 0);
	CHECK(fd >= 0 && ftruncate(fd, pages * P) == 0);
	return fd;
}

// mapped asks whether the page at p is there at all.
static int mapped(void *p) { return msync(p, P, MS_ASYNC) == 0; }

static int writable(char *p) {
	int fd[2];
	CHECK(pipe(fd) == 0 && write(fd[1], "x", 1) == 1);
	int r = read(fd[0], p, 1) == 1;
	close(fd[0]), close(fd[1]);
	return r;
}

static void shared_anonymous_memory_is_the_child_s_too(void) {
	char *p = mmap(NULL, P, RW, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (fork() == 0) {
		p[9] = 7;
		_exit(0);
	}
	CHECK(wait(NULL) > 0 && p[9] == 7);
}

static void private_memory_is_copied_for_the_child(void) {
	char *p = map(1);
	if (fork() == 0) {
		p[9] = 7;
		_exit(0);
	}
	CHECK(wait(NULL) > 0 && p[9] == 0);
}

static void a_hint_that_is_free_is_taken(void) {
	char *p = map(3);
	munmap(p + P, P);
	CHECK(mmap(p + P, P, RW, ANON, -1, 0) == p + P);
}

static void a_hint_that_is_taken_is_left_alone(void) {
	char *p = map(1);
	*p = 5;
	char *q = mmap(p, P, RW, ANON, -1, 0);
	CHECK(q != MAP_FAILED && q != p && *p == 5);
}

static void fixed_replaces_a_part(void) {
	char *p = map(3);
	p[0] = p[P] = p[2 * P] = 1;
	CHECK(mmap(p + P, P, RW, ANON | MAP_FIXED, -1, 0) == p + P);
	CHECK(p[0] == 1 && p[P] == 0 && p[2 * P] == 1);
}

static void fixed_noreplace_takes_what_is_free(void) {
	char *p = map(2);
	munmap(p + P, P);
	CHECK(mmap(p + P, P, RW, ANON | MAP_FIXED_NOREPLACE, -1, 0) == p + P);
	FAILS(mmap(p, 2 * P, RW, ANON | MAP_FIXED_NOREPLACE, -1, 0), EEXIST);
}

static void shared_and_private_exclude_each_other(void) {
	FAILS(mmap(NULL, P, RW, MAP_ANONYMOUS | MAP_SHARED | MAP_PRIVATE | 4, -1, 0), EINVAL);
}

static void shared_validate_refuses_unknown_flags(void) {
	int fd = memfd(1);
	FAILS(mmap(NULL, P, RW, MAP_SHARED_VALIDATE | 0x200000, fd, 0), EOPNOTSUPP);
	CHECK(mmap(NULL, P, RW, MAP_SHARED | 0x200000, fd, 0) != MAP_FAILED);
}

static void an_odd_offset_is_einval(void) { FAILS(syscall(SYS_mmap, 0, P, RW, MAP_SHARED, memfd(1), 100), EINVAL); }

static void an_offset_that_overflows_is_eoverflow(void) {
	FAILS(syscall(SYS_mmap, 0, 2 * P, RW, MAP_SHARED, memfd(1), ~0xfffUL), EOVERFLOW);
}

static void a_length_that_overflows_is_enomem(void) { FAILS(mmap(NULL, -P / 2, RW, ANON, -1, 0), ENOMEM); }

static void a_directory_can_not_be_mapped(void) {
	FAILS(mmap(NULL, P, PROT_READ, MAP_PRIVATE, open("/", O_RDONLY), 0), ENODEV);
}

static void an_o_path_descriptor_is_ebadf(void) {
	FAILS(mmap(NULL, P, PROT_READ, MAP_PRIVATE, open("/proc/self/exe", O_PATH), 0), EBADF);
}

static void the_mapping_outlives_its_descriptor(void) {
	int fd = memfd(1);
	CHECK(write(fd, "abc", 3) == 3);
	char *p = mmap(NULL, P, RW, MAP_SHARED, fd, 0);
	close(fd);
	CHECK(memcmp(p, "abc", 3) == 0);
}

static void private_writes_stay_out_of_the_file(void) {
	int fd = memfd(1);
	char c = 9, *p = mmap(NULL, P, RW, MAP_PRIVATE, fd, 0);
	*p = 4;
	CHECK(pread(fd, &c, 1, 0) == 1 && c == 0);
}

static void a_read_only_file_can_be_mapped_private_writable(void) {
	char name[64];
	sprintf(name, "/proc/self/fd/%d", memfd(1));
	int fd = open(name, O_RDONLY);
	char *p = mmap(NULL, P, RW, MAP_PRIVATE, fd, 0);
	CHECK(p != MAP_FAILED && (*p = 1));
	p = mmap(NULL, P, PROT_READ, MAP_SHARED, fd, 0);
	CHECK(p != MAP_FAILED);
	FAILS(mprotect(p, P, RW), EACCES);
}

static void munmap_of_nothing_is_well(void) {
	char *p = map(1);
	CHECK(munmap(p, P) == 0 && munmap(p, P) == 0);
}

static void munmap_rounds_its_length_up(void) {
	char *p = map(2);
	CHECK(munmap(p, 1) == 0 && !mapped(p) && mapped(p + P));
}

static void munmap_beyond_the_end_is_einval(void) { FAILS(munmap((void *)(1UL << 47), P), EINVAL); }

static void mprotect_of_zero_bytes_is_well(void) { CHECK(mprotect(map(1), 0, PROT_NONE) == 0); }

static void mprotect_stops_at_a_hole(void) {
	char *p = map(3);
	munmap(p + P, P);
	FAILS(mprotect(p, 3 * P, PROT_READ), ENOMEM);
	CHECK(!writable(p) && writable(p + 2 * P));
}

static void growsdown_needs_a_stack(void) { FAILS(mprotect(map(1), P, PROT_READ | PROT_GROWSDOWN), EINVAL); }

static void growsup_and_down_is_einval(void) { FAILS(mprotect(map(1), P, PROT_READ | PROT_GROWSDOWN | PROT_GROWSUP), EINVAL); }

static void mremap_grows_only_where_there_is_room(void) {
	char *p = map(2);
	FAILS(mremap(p, P, 2 * P, 0), ENOMEM);
	munmap(p + P, P);
	CHECK(mremap(p, P, 2 * P, 0) == p && writable(p + P));
}

static void mremap_of_old_size_0_doubles_a_shared_mapping(void) {
	char *p = mmap(NULL, P, RW, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	char *q = mremap(p, 0, P, MREMAP_MAYMOVE);
	CHECK(q != MAP_FAILED && q != p && (p[3] = 8) && q[3] == 8);
}

static void mremap_of_old_size_0_is_einval_for_private(void) { FAILS(mremap(map(1), 0, P, MREMAP_MAYMOVE), EINVAL); }

static void mremap_onto_itself_is_einval(void) {
	char *p = map(4);
	FAILS(mremap(p, 2 * P, 2 * P, MREMAP_MAYMOVE | MREMAP_FIXED, p + P), EINVAL);
}

static void mremap_to_an_odd_place_is_einval(void) {
	char *p = map(4);
	FAILS(mremap(p, P, P, MREMAP_MAYMOVE | MREMAP_FIXED, p + 2 * P + 1), EINVAL);
}

static void mremap_unknown_flags_are_einval(void) { FAILS(mremap(map(1), P, P, 8), EINVAL); }

static void mremap_dontunmap_leaves_fresh_pages(void) {
	char *p = map(2);
	p[1] = 3;
	char *q = (char *)syscall(SYS_mremap, p, 2 * P, 2 * P, MREMAP_MAYMOVE | MREMAP_DONTUNMAP, 0);
	CHECK(q != MAP_FAILED && q != p && q[1] == 3 && p[1] == 0);
}

static void mremap_dontunmap_keeps_the_size(void) {
	FAILS(syscall(SYS_mremap, map(1), P, 2 * P, MREMAP_MAYMOVE | MREMAP_DONTUNMAP, 0), EINVAL);
	FAILS(syscall(SYS_mremap, map(1), P, P, MREMAP_DONTUNMAP, 0), EINVAL);
}

static void mremap_across_a_hole_is_efault(void) {
	char *p = map(3);
	munmap(p + P, P);
	FAILS(mremap(p, 3 * P, 6 * P, MREMAP_MAYMOVE), EFAULT);
}

static void mremap_keeps_the_file_s_offset(void) {
	int fd = memfd(3);
	pwrite(fd, "1", 1, P), pwrite(fd, "2", 1, 2 * P);
	char *p = mmap(NULL, P, RW, MAP_SHARED, fd, P);
	p = mremap(p, P, 2 * P, MREMAP_MAYMOVE);
	CHECK(p != MAP_FAILED && p[0] == '1' && p[P] == '2');
}

static void dontneed_brings_the_file_back(void) {
	int fd = memfd(1);
	pwrite(fd, "f", 1, 0);
	char *p = mmap(NULL, P, RW, MAP_PRIVATE, fd, 0);
	*p = 'p';
	CHECK(madvise(p, P, MADV_DONTNEED) == 0 && *p == 'f');
}

static void dontneed_leaves_shared_memory(void) {
	char *p = mmap(NULL, P, RW, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	*p = 6;
	CHECK(madvise(p, P, MADV_DONTNEED) == 0 && *p == 6);
}

static void dontneed_of_locked_memory_is_einval(void) {
	char *p = map(1);
	CHECK(mlock(p, P) == 0);
	FAILS(madvise(p, P, MADV_DONTNEED), EINVAL);
}

static void dontfork_is_absent_in_the_child(void) {
	char *p = map(1);
	CHECK(madvise(p, P, MADV_DONTFORK) == 0);
	pid_t c = fork();
	if (c == 0) _exit(mapped(p));
	CHECK(ended_well(c) && mapped(p));
}

static void dofork_undoes_dontfork(void) {
	char *p = map(1);
	CHECK(madvise(p, P, MADV_DONTFORK) == 0 && madvise(p, P, MADV_DOFORK) == 0);
	pid_t c = fork();
	if (c == 0) _exit(!mapped(p));
	CHECK(ended_well(c));
}

static void wipeonfork_is_zero_in_the_child(void) {
	char *p = map(1);
	*p = 5;
	CHECK(madvise(p, P, MADV_WIPEONFORK) == 0);
	pid_t c = fork();
	if (c == 0) _exit(*p != 0);
	CHECK(ended_well(c) && *p == 5);
}

static void keeponfork_undoes_wipeonfork(void) {
	char *p = map(1);
	*p = 5;
	CHECK(madvise(p, P, MADV_WIPEONFORK) == 0 && madvise(p, P, MADV_KEEPONFORK) == 0);
	pid_t c = fork();
	if (c == 0) _exit(*p != 5);
	CHECK(ended_well(c));
}

static void wipeonfork_of_a_file_is_einval(void) {
	char *p = mmap(NULL, P, RW, MAP_PRIVATE, memfd(1), 0);
	FAILS(madvise(p, P, MADV_WIPEONFORK), EINVAL);
}

static void free_of_a_file_is_einval(void) {
	char *p = mmap(NULL, P, RW, MAP_SHARED, memfd(1), 0);
	FAILS(madvise(p, P, MADV_FREE), EINVAL);
}

static void remove_punches_the_file(void) {
	int fd = memfd(2);
	pwrite(fd, "x", 1, 0);
	char c = 1, *p = mmap(NULL, 2 * P, RW, MAP_SHARED, fd, 0);
	CHECK(*p == 'x' && madvise(p, P, MADV_REMOVE) == 0 && *p == 0 && pread(fd, &c, 1, 0) == 1 && c == 0);
}

static void remove_of_private_memory_is_refused(void) {
	FAILS(madvise(map(1), P, MADV_REMOVE), EINVAL);
}

static void advice_goes_on_behind_a_hole(void) {
	char *p = map(3);
	p[2 * P] = 1;
	munmap(p + P, P);
	FAILS(madvise(p, 3 * P, MADV_DONTNEED), ENOMEM);
	CHECK(p[2 * P] == 0);
}

static void advice_on_zero_bytes_is_well(void) { CHECK(madvise(map(1), 0, MADV_DONTNEED) == 0); }

int main(void) {
	APART(shared_anonymous_memory_is_the_child_s_too());
	APART(private_memory_is_copied_for_the_child());
	APART(a_hint_that_is_free_is_taken());
	APART(a_hint_that_is_taken_is_left_alone());
	APART(fixed_replaces_a_part());
	APART(fixed_noreplace_takes_what_is_free());
	APART(shared_and_private_exclude_each_other());
	APART(shared_validate_refuses_unknown_flags());
	APART(an_odd_offset_is_einval());
	APART(an_offset_that_overflows_is_eoverflow());
	APART(a_length_that_overflows_is_enomem());
	APART(a_directory_can_not_be_mapped());
	APART(an_o_path_descriptor_is_ebadf());
	APART(the_mapping_outlives_its_descriptor());
	APART(private_writes_stay_out_of_the_file());
	APART(a_read_only_file_can_be_mapped_private_writable());
	APART(munmap_of_nothing_is_well());
	APART(munmap_rounds_its_length_up());
	APART(munmap_beyond_the_end_is_einval());
	APART(mprotect_of_zero_bytes_is_well());
	APART(mprotect_stops_at_a_hole());
	APART(growsdown_needs_a_stack());
	APART(growsup_and_down_is_einval());
	APART(mremap_grows_only_where_there_is_room());
	APART(mremap_of_old_size_0_doubles_a_shared_mapping());
	APART(mremap_of_old_size_0_is_einval_for_private());
	APART(mremap_onto_itself_is_einval());
	APART(mremap_to_an_odd_place_is_einval());
	APART(mremap_unknown_flags_are_einval());
	APART(mremap_dontunmap_leaves_fresh_pages());
	APART(mremap_dontunmap_keeps_the_size());
	APART(mremap_across_a_hole_is_efault());
	APART(mremap_keeps_the_file_s_offset());
	APART(dontneed_brings_the_file_back());
	APART(dontneed_leaves_shared_memory());
	APART(dontneed_of_locked_memory_is_einval());
	APART(dontfork_is_absent_in_the_child());
	APART(dofork_undoes_dontfork());
	APART(wipeonfork_is_zero_in_the_child());
	APART(keeponfork_undoes_wipeonfork());
	APART(wipeonfork_of_a_file_is_einval());
	APART(free_of_a_file_is_einval());
	APART(remove_punches_the_file());
	APART(remove_of_private_memory_is_refused());
	APART(advice_goes_on_behind_a_hole());
	APART(advice_on_zero_bytes_is_well());
	return 0;
}
