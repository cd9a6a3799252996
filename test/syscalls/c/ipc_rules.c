// shmget(2), shmat(2), shmctl(2), semop(2), semctl(2), msgsnd(2), msgctl(2): limits, rights, lifetimes.
// covers: shmget shmat shmdt shmctl semget semop semtimedop semctl msgget msgsnd msgrcv msgctl
#include "child.h"
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/shm.h>

#define P 4096

static struct shmid_ds sd;
static struct semid_ds md;
static struct msqid_ds qd;

static int shm(int mode) {
	int id = shmget(IPC_PRIVATE, P + 1, IPC_CREAT | mode);
	CHECK(id >= 0);
	return id;
}

static int sem(int n) {
	int id = semget(IPC_PRIVATE, n, IPC_CREAT | 0600);
	CHECK(id >= 0);
	return id;
}

static int queue(int mode) {
	int id = msgget(IPC_PRIVATE, IPC_CREAT | mode);
	CHECK(id >= 0);
	return id;
}

static void drop_shm(int id) { CHECK(shmctl(id, IPC_RMID, NULL) == 0); }
static void drop_sem(int id) { CHECK(semctl(id, 0, IPC_RMID) == 0); }
static void drop_queue(int id) { CHECK(msgctl(id, IPC_RMID, NULL) == 0); }

static int op(int id, int num, int n, int flags) {
	struct sembuf b = {num, n, flags};
	return semop(id, &b, 1);
}

// unprivileged runs f(id) in a child that is nobody.
static void unprivileged(void (*f)(int), int id) {
	pid_t p = fork();
	if (p == 0) {
		nobody();
		f(id);
		_exit(0);
	}
	CHECK(ended_well(p));
}

static void shm_size_rounds_up_in_memory_only(void) {
	int id = shm(0600);
	char *p = shmat(id, NULL, 0);
	CHECK(shmctl(id, IPC_STAT, &sd) == 0 && sd.shm_segsz == P + 1 && (p[2 * P - 1] = 1));
	drop_shm(id);
}

static void shm_stat_says_who(void) {
	int id = shm(0640);
	CHECK(shmctl(id, IPC_STAT, &sd) == 0 && sd.shm_perm.mode == 0640 && sd.shm_cpid == getpid() && sd.shm_lpid == 0);
	CHECK(sd.shm_nattch == 0 && sd.shm_atime == 0 && sd.shm_ctime != 0);
	CHECK(shmat(id, NULL, 0) != (void *)-1 && shmctl(id, IPC_STAT, &sd) == 0);
	CHECK(sd.shm_nattch == 1 && sd.shm_lpid == getpid() && sd.shm_atime != 0);
	drop_shm(id);
}

static void shm_fork_counts_as_attached(void) {
	int id = shm(0600);
	CHECK(shmat(id, NULL, 0) != (void *)-1);
	pid_t p = pauses();
	CHECK(shmctl(id, IPC_STAT, &sd) == 0 && sd.shm_nattch == 2);
	end(p);
	CHECK(shmctl(id, IPC_STAT, &sd) == 0 && sd.shm_nattch == 1);
	drop_shm(id);
}

static void shm_removed_lives_until_detached(void) {
	int id = shm(0600);
	char *p = shmat(id, NULL, 0);
	drop_shm(id);
	CHECK(shmctl(id, IPC_STAT, &sd) == 0 && (sd.shm_perm.mode & SHM_DEST) && (*p = 3));
	CHECK(shmdt(p) == 0);
	FAILS(shmctl(id, IPC_STAT, &sd), EINVAL);
}

static void shm_dest_can_still_be_attached(void) {
	int id = shm(0600);
	char *p = shmat(id, NULL, 0);
	drop_shm(id);
	char *q = shmat(id, NULL, 0);
	CHECK(q != (void *)-1 && (*p = 9) && *q == 9);
}

static void shm_removed_loses_its_key(void) {
	int id = shmget(0x47415231, P, IPC_CREAT | IPC_EXCL | 0600);
	CHECK(id >= 0 && shmat(id, NULL, 0) != (void *)-1);
	drop_shm(id);
	FAILS(shmget(0x47415231, P, 0), ENOENT);
}

static void shm_rdonly_can_not_be_written(void) {
	int id = shm(0600), st;
	pid_t p = fork();
	if (p == 0) {
		*(volatile char *)shmat(id, NULL, SHM_RDONLY) = 1;
		_exit(0);
	}
	CHECK(waitpid(p, &st, 0) == p && WIFSIGNALED(st) && WTERMSIG(st) == SIGSEGV);
	drop_shm(id);
}

static void shm_rnd_rounds_the_address_down(void) {
	int id = shm(0600);
	char *p = mmap(NULL, 8 * P, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	munmap(p, 8 * P);
	FAILS((long)shmat(id, p + 100, 0), EINVAL);
	CHECK(shmat(id, p + 100, SHM_RND) == p);
	drop_shm(id);
}

static void shm_remap_needs_an_address(void) {
	int id = shm(0600);
	FAILS((long)shmat(id, NULL, SHM_REMAP), EINVAL);
	char *p = mmap(NULL, 2 * P, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	FAILS((long)shmat(id, p, 0), EINVAL);
	CHECK(shmat(id, p, SHM_REMAP) == p);
	drop_shm(id);
}

static void shmdt_of_other_memory_is_einval(void) {
	char *p = mmap(NULL, P, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	FAILS(shmdt(p), EINVAL);
	FAILS(shmdt(p + 1), EINVAL);
}

static void nobody_attaches(int id) {
	FAILS((long)shmat(id, NULL, 0), EACCES);
	CHECK(shmat(id, NULL, SHM_RDONLY) != (void *)-1);
	FAILS(shmctl(id, IPC_RMID, NULL), EPERM);
	CHECK(shmctl(id, IPC_STAT, &sd) == 0);
	FAILS(shmctl(id, IPC_SET, &sd), EPERM);
}

static void shm_rights_of_others(void) {
	int id = shm(0604);
	unprivileged(nobody_attaches, id);
	drop_shm(id);
}

static void nobody_stats(int id) { FAILS(shmctl(id, IPC_STAT, &sd), EACCES); }

static void shm_stat_needs_read(void) {
	int id = shm(0600);
	unprivileged(nobody_stats, id);
	drop_shm(id);
}

static void shm_info_counts_segments(void) {
	struct shm_info a, b;
	CHECK(shmctl(0, SHM_INFO, (void *)&a) >= 0);
	int id = shm(0600);
	CHECK(shmctl(0, SHM_INFO, (void *)&b) >= 0 && b.used_ids == a.used_ids + 1 && b.shm_tot == a.shm_tot + 2);
	drop_shm(id);
}

static void shm_stat_by_index_answers_the_id(void) {
	int id = shm(0611), max = shmctl(0, SHM_INFO, (void *)&(struct shm_info){0}), found = 0;
	for (int i = 0; i <= max; i++)
		if (shmctl(i, SHM_STAT, &sd) == id) found = sd.shm_perm.mode == 0611;
	CHECK(found);
	drop_shm(id);
}

static void shm_lock_says_locked(void) {
	int id = shm(0600);
	CHECK(shmctl(id, SHM_LOCK, NULL) == 0 && shmctl(id, IPC_STAT, &sd) == 0 && (sd.shm_perm.mode & SHM_LOCKED));
	CHECK(shmctl(id, SHM_UNLOCK, NULL) == 0 && shmctl(id, IPC_STAT, &sd) == 0 && !(sd.shm_perm.mode & SHM_LOCKED));
	drop_shm(id);
}

static void sem_undo_adds_up_over_operations(void) {
	int id = sem(1);
	CHECK(op(id, 0, 10, 0) == 0);
	pid_t p = fork();
	if (p == 0) _exit(op(id, 0, -3, SEM_UNDO) || op(id, 0, -2, SEM_UNDO) || op(id, 0, -1, 0));
	CHECK(ended_well(p) && semctl(id, 0, GETVAL) == 9);
	drop_sem(id);
}

static void sem_undo_stops_at_zero(void) {
	int id = sem(1);
	pid_t p = fork();
	if (p == 0) _exit(op(id, 0, 5, SEM_UNDO) || op(id, 0, -3, 0));
	CHECK(ended_well(p) && semctl(id, 0, GETVAL) == 0);
	drop_sem(id);
}

static void setval_clears_the_undo(void) {
	int id = sem(1);
	pid_t p = fork();
	if (p == 0) _exit(op(id, 0, 5, SEM_UNDO) || semctl(id, 0, SETVAL, 7));
	CHECK(ended_well(p) && semctl(id, 0, GETVAL) == 7);
	drop_sem(id);
}

static void fork_does_not_inherit_undo(void) {
	int id = sem(1);
	CHECK(op(id, 0, 5, SEM_UNDO) == 0);
	CHECK(waitpid(exits(0), NULL, 0) > 0 && semctl(id, 0, GETVAL) == 5);
	drop_sem(id);
}

static void sem_same_twice_in_one_operation(void) {
	int id = sem(1);
	struct sembuf b[3] = {{0, 2, 0}, {0, -1, 0}, {0, -1, IPC_NOWAIT}};
	CHECK(semop(id, b, 3) == 0 && semctl(id, 0, GETVAL) == 0);
	drop_sem(id);
}

static void semtimedop_of_zero_is_at_once(void) {
	int id = sem(1);
	struct sembuf b = {0, -1, 0};
	struct timespec ts = {0, 0};
	FAILS(semtimedop(id, &b, 1, &ts), EAGAIN);
	drop_sem(id);
}

static void hit(int s) {}

static void semop_is_never_restarted(void) {
	int id = sem(1);
	struct sigaction a = {.sa_handler = hit, .sa_flags = SA_RESTART};
	sigaction(SIGALRM, &a, NULL);
	alarm(1);
	FAILS(op(id, 0, -1, 0), EINTR);
	drop_sem(id);
}

static void nobody_operates(int id) {
	FAILS(op(id, 0, 1, 0), EACCES);
	CHECK(op(id, 0, 0, 0) == 0 && semctl(id, 0, GETVAL) == 0);
	FAILS(semctl(id, 0, SETVAL, 1), EACCES);
	FAILS(semctl(id, 0, IPC_RMID), EPERM);
}

static void sem_rights_of_others(void) {
	int id = semget(IPC_PRIVATE, 1, IPC_CREAT | 0604);
	unprivileged(nobody_operates, id);
	drop_sem(id);
}

static void semget_beyond_its_rights_is_eacces_child(int id) { FAILS(semget(0x47415232, 1, 0600), EACCES); }

static void semget_beyond_its_rights_is_eacces(void) {
	int id = semget(0x47415232, 1, IPC_CREAT | IPC_EXCL | 0600);
	CHECK(id >= 0);
	unprivileged(semget_beyond_its_rights_is_eacces_child, id);
	drop_sem(id);
}

static void sem_otime_is_the_last_operation(void) {
	int id = sem(1);
	CHECK(semctl(id, 0, IPC_STAT, &md) == 0 && md.sem_otime == 0 && md.sem_ctime != 0 && op(id, 0, 1, 0) == 0);
	CHECK(semctl(id, 0, IPC_STAT, &md) == 0 && md.sem_otime != 0);
	drop_sem(id);
}

static struct { long type; char text[64]; } m = {1, "text"};

static void msg_counts_messages_and_bytes(void) {
	int id = queue(0600);
	CHECK(msgsnd(id, &m, 5, 0) == 0 && msgsnd(id, &m, 3, 0) == 0 && msgctl(id, IPC_STAT, &qd) == 0);
	CHECK(qd.msg_qnum == 2 && qd.__msg_cbytes == 8 && qd.msg_lspid == getpid() && qd.msg_lrpid == 0 && qd.msg_stime != 0 && qd.msg_rtime == 0);
	CHECK(msgrcv(id, &m, 64, 0, 0) == 5 && msgctl(id, IPC_STAT, &qd) == 0 && qd.msg_qnum == 1 && qd.__msg_cbytes == 3 && qd.msg_lrpid == getpid());
	drop_queue(id);
}

static void msg_queue_full_is_eagain(void) {
	int id = queue(0600);
	CHECK(msgctl(id, IPC_STAT, &qd) == 0);
	qd.msg_qbytes = 10;
	CHECK(msgctl(id, IPC_SET, &qd) == 0 && msgsnd(id, &m, 10, 0) == 0);
	FAILS(msgsnd(id, &m, 1, IPC_NOWAIT), EAGAIN);
	drop_queue(id);
}

static void msg_receive_frees_room(void) {
	int id = queue(0600);
	CHECK(msgctl(id, IPC_STAT, &qd) == 0);
	qd.msg_qbytes = 10;
	CHECK(msgctl(id, IPC_SET, &qd) == 0 && msgsnd(id, &m, 10, 0) == 0);
	pid_t p = fork();
	if (p == 0) _exit(msgsnd(id, &m, 7, 0));
	CHECK(msgrcv(id, &m, 64, 0, 0) == 10 && msgrcv(id, &m, 64, 0, 0) == 7 && ended_well(p));
	drop_queue(id);
}

static void msg_removed_wakes_with_eidrm(void) {
	int id = queue(0600);
	pid_t p = fork();
	if (p == 0) {
		FAILS(msgrcv(id, &m, 64, 0, 0), EIDRM);
		_exit(0);
	}
	asleep(p);
	drop_queue(id);
	CHECK(ended_well(p));
	FAILS(msgsnd(id, &m, 1, 0), EINVAL);
}

int main(void) {
	APART(shm_size_rounds_up_in_memory_only());
	APART(shm_stat_says_who());
	APART(shm_fork_counts_as_attached());
	APART(shm_removed_lives_until_detached());
	APART(shm_dest_can_still_be_attached());
	APART(shm_removed_loses_its_key());
	APART(shm_rdonly_can_not_be_written());
	APART(shm_rnd_rounds_the_address_down());
	APART(shm_remap_needs_an_address());
	APART(shmdt_of_other_memory_is_einval());
	APART(shm_rights_of_others());
	APART(shm_stat_needs_read());
	APART(shm_info_counts_segments());
	APART(shm_stat_by_index_answers_the_id());
	APART(shm_lock_says_locked());
	APART(sem_undo_adds_up_over_operations());
	APART(sem_undo_stops_at_zero());
	APART(setval_clears_the_undo());
	APART(fork_does_not_inherit_undo());
	APART(sem_same_twice_in_one_operation());
	APART(semtimedop_of_zero_is_at_once());
	APART(semop_is_never_restarted());
	APART(sem_rights_of_others());
	APART(semget_beyond_its_rights_is_eacces());
	APART(sem_otime_is_the_last_operation());
	APART(msg_counts_messages_and_bytes());
	APART(msg_queue_full_is_eagain());
	APART(msg_receive_frees_room());
	APART(msg_removed_wakes_with_eidrm());
	return 0;
}
