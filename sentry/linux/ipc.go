package linux

// IPCPerm is struct ipc64_perm, sysvipc(7).
type IPCPerm struct {
	Key                  int32
	UID, GID, CUID, CGID uint32
	Mode                 uint32
	Seq                  uint16
	_                    [6]uint8
	_                    [2]uint64
}

// ShmidDS is struct shmid64_ds, shmctl(2).
type ShmidDS struct {
	Perm                IPCPerm
	Segsz               uint64
	Atime, Dtime, Ctime int64
	Cpid, Lpid          int32
	Nattch              uint64
	_                   [2]uint64
}

// SemidDS is struct semid64_ds, semctl(2).
type SemidDS struct {
	Perm  IPCPerm
	Otime int64
	_     uint64
	Ctime int64
	_     uint64
	Nsems uint64
	_     [2]uint64
}

// MsqidDS is struct msqid64_ds, msgctl(2).
type MsqidDS struct {
	Perm                 IPCPerm
	Stime, Rtime, Ctime  int64
	Cbytes, Qnum, Qbytes uint64
	Lspid, Lrpid         int32
	_                    [2]uint64
}

// ShmInfo64 is struct shminfo64 (IPC_INFO).
type ShmInfo64 struct {
	Max, Min, Mni, Seg, All uint64
	_                       [4]uint64
}

// ShmInfo is struct shm_info (SHM_INFO).
type ShmInfo struct {
	UsedIDs                       int32
	_                             int32
	Tot, RSS, Swp                 uint64
	SwapAttempts, SwapSuccessions uint64
}

// SemInfo is struct seminfo.
type SemInfo struct {
	Map, Mni, Mns, Mnu, Msl, Opm, Ume, Usz, Vmx, Aem int32
}

// MsgInfo is struct msginfo.
type MsgInfo struct {
	Pool, Map, Max, Mnb, Mni, Ssz, Tql int32
	Seg                                uint16
	_                                  uint16
}

// Sembuf is struct sembuf, semop(2).
type Sembuf struct {
	Num     uint16
	Op, Flg int16
}

// Flags of the get calls, and commands of the ctl calls, <linux/ipc.h>.
const (
	IPC_PRIVATE = 0
	IPC_CREAT   = 0o1000
	IPC_EXCL    = 0o2000
	IPC_NOWAIT  = 0o4000

	IPC_RMID = 0
	IPC_SET  = 1
	IPC_STAT = 2
	IPC_INFO = 3

	IPC_64 = 0x100
)

// Shared memory, <linux/shm.h>.
const (
	SHM_HUGETLB   = 0o4000
	SHM_NORESERVE = 0o10000
	SHM_RDONLY    = 0o10000
	SHM_RND       = 0o20000
	SHM_REMAP     = 0o40000
	SHM_EXEC      = 0o100000
	SHM_DEST      = 0o1000
	SHM_LOCKED    = 0o2000

	SHM_LOCK     = 11
	SHM_UNLOCK   = 12
	SHM_STAT     = 13
	SHM_INFO     = 14
	SHM_STAT_ANY = 15

	SHMMIN = 1
	SHMMNI = 4096
	SHMMAX = 1<<64 - 1<<24 - 1
	SHMALL = 1<<64 - 1<<24 - 1
	SHMLBA = 4096
)

// Semaphores, <linux/sem.h>.
const (
	SEM_UNDO = 0x1000

	GETPID       = 11
	GETVAL       = 12
	GETALL       = 13
	GETNCNT      = 14
	GETZCNT      = 15
	SETVAL       = 16
	SETALL       = 17
	SEM_STAT     = 18
	SEM_INFO     = 19
	SEM_STAT_ANY = 20

	SEMMNI = 32000
	SEMMSL = 32000
	SEMMNS = SEMMNI * SEMMSL
	SEMOPM = 500
	SEMVMX = 32767
)

// Messages, <linux/msg.h>.
const (
	MSG_NOERROR = 0o10000
	MSG_EXCEPT  = 0o20000
	MSG_COPY    = 0o40000

	MSG_STAT     = 11
	MSG_INFO     = 12
	MSG_STAT_ANY = 13

	MSGMNI = 32000
	MSGMAX = 8192
	MSGMNB = 16384
)
