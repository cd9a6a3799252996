package linux

// A ClockID names a clock, clock_gettime(2).
type ClockID int32

// Clocks, <linux/time.h>.
const (
	CLOCK_REALTIME           ClockID = 0
	CLOCK_MONOTONIC          ClockID = 1
	CLOCK_PROCESS_CPUTIME_ID ClockID = 2
	CLOCK_THREAD_CPUTIME_ID  ClockID = 3
	CLOCK_MONOTONIC_RAW      ClockID = 4
	CLOCK_REALTIME_COARSE    ClockID = 5
	CLOCK_MONOTONIC_COARSE   ClockID = 6
	CLOCK_BOOTTIME           ClockID = 7
	CLOCK_REALTIME_ALARM     ClockID = 8
	CLOCK_BOOTTIME_ALARM     ClockID = 9
	CLOCK_TAI                ClockID = 11
)

// Bits of a negative ClockID, which names a process's or thread's CPU clock.
const (
	CPUCLOCK_PERTHREAD_MASK = 4
	CPUCLOCK_CLOCK_MASK     = 3
	CPUCLOCK_PROF           = 0
	CPUCLOCK_VIRT           = 1
	CPUCLOCK_SCHED          = 2
)

// TIMER_ABSTIME says that a time is not relative.
const TIMER_ABSTIME = 1

// Itimerspec is struct itimerspec.
type Itimerspec struct{ Interval, Value Timespec }

// Itimerval is struct itimerval.
type Itimerval struct{ Interval, Value Timeval }

// Timers of setitimer(2).
const (
	ITIMER_REAL    = 0
	ITIMER_VIRTUAL = 1
	ITIMER_PROF    = 2
)

// Tms is struct tms of times(2), in clock ticks.
type Tms struct{ Utime, Stime, Cutime, Cstime int64 }

// ClockTick is the nanoseconds of one tick of sysconf(_SC_CLK_TCK).
const ClockTick = 10_000_000

// Timezone is struct timezone.
type Timezone struct{ MinutesWest, DSTTime int32 }

// Timex is struct timex of adjtimex(2).
type Timex struct {
	Modes     uint32
	_         int32
	Offset    int64
	Freq      int64
	Maxerror  int64
	Esterror  int64
	Status    int32
	_         int32
	Constant  int64
	Precision int64
	Tolerance int64
	Time      Timeval
	Tick      int64
	Ppsfreq   int64
	Jitter    int64
	Shift     int32
	_         int32
	Stabil    int64
	Jitcnt    int64
	Calcnt    int64
	Errcnt    int64
	Stbcnt    int64
	Tai       int32
	_         [11]int32
}

// NewUtsname is struct new_utsname of uname(2).
type NewUtsname struct {
	Sysname, Nodename, Release, Version, Machine, Domainname [UTSLen + 1]byte
}

// UTSLen is the longest name in NewUtsname.
const UTSLen = 64

// Sysinfo is struct sysinfo.
type Sysinfo struct {
	Uptime    int64
	Loads     [3]uint64 // 16-bit fixed point
	Totalram  uint64
	Freeram   uint64
	Sharedram uint64
	Bufferram uint64
	Totalswap uint64
	Freeswap  uint64
	Procs     uint16
	_         uint16
	_         uint32
	Totalhigh uint64
	Freehigh  uint64
	Unit      uint32
	_         uint32
}
