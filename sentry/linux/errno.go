package linux

import "syscall"

// An Errno is the number of an error, as <errno.h> gives it. It is the error
// type of the whole kernel.
type Errno = syscall.Errno

// Errors that a guest may see.
const (
	EPERM           = syscall.EPERM
	ENOENT          = syscall.ENOENT
	ESRCH           = syscall.ESRCH
	EINTR           = syscall.EINTR
	EIO             = syscall.EIO
	ENXIO           = syscall.ENXIO
	E2BIG           = syscall.E2BIG
	ENOEXEC         = syscall.ENOEXEC
	EBADF           = syscall.EBADF
	ECHILD          = syscall.ECHILD
	EAGAIN          = syscall.EAGAIN
	EWOULDBLOCK     = syscall.EWOULDBLOCK
	ENOMEM          = syscall.ENOMEM
	EACCES          = syscall.EACCES
	EFAULT          = syscall.EFAULT
	ENOTBLK         = syscall.ENOTBLK
	EBUSY           = syscall.EBUSY
	EEXIST          = syscall.EEXIST
	EXDEV           = syscall.EXDEV
	ENODEV          = syscall.ENODEV
	ENOTDIR         = syscall.ENOTDIR
	EISDIR          = syscall.EISDIR
	EINVAL          = syscall.EINVAL
	ENFILE          = syscall.ENFILE
	EMFILE          = syscall.EMFILE
	ENOTTY          = syscall.ENOTTY
	ETXTBSY         = syscall.ETXTBSY
	EFBIG           = syscall.EFBIG
	ENOSPC          = syscall.ENOSPC
	ESPIPE          = syscall.ESPIPE
	EROFS           = syscall.EROFS
	EMLINK          = syscall.EMLINK
	EPIPE           = syscall.EPIPE
	EDOM            = syscall.EDOM
	ERANGE          = syscall.ERANGE
	EDEADLK         = syscall.EDEADLK
	EDEADLOCK       = syscall.EDEADLOCK
	ENAMETOOLONG    = syscall.ENAMETOOLONG
	ENOLCK          = syscall.ENOLCK
	ENOSYS          = syscall.ENOSYS
	ENOTEMPTY       = syscall.ENOTEMPTY
	ELOOP           = syscall.ELOOP
	ENOMSG          = syscall.ENOMSG
	EIDRM           = syscall.EIDRM
	ECHRNG          = syscall.ECHRNG
	EL2NSYNC        = syscall.EL2NSYNC
	EL3HLT          = syscall.EL3HLT
	EL3RST          = syscall.EL3RST
	ELNRNG          = syscall.ELNRNG
	EUNATCH         = syscall.EUNATCH
	ENOCSI          = syscall.ENOCSI
	EL2HLT          = syscall.EL2HLT
	EBADE           = syscall.EBADE
	EBADR           = syscall.EBADR
	EXFULL          = syscall.EXFULL
	ENOANO          = syscall.ENOANO
	EBADRQC         = syscall.EBADRQC
	EBADSLT         = syscall.EBADSLT
	EBFONT          = syscall.EBFONT
	ENOSTR          = syscall.ENOSTR
	ENODATA         = syscall.ENODATA
	ETIME           = syscall.ETIME
	ENOSR           = syscall.ENOSR
	ENONET          = syscall.ENONET
	ENOPKG          = syscall.ENOPKG
	EREMOTE         = syscall.EREMOTE
	ENOLINK         = syscall.ENOLINK
	EADV            = syscall.EADV
	ESRMNT          = syscall.ESRMNT
	ECOMM           = syscall.ECOMM
	EPROTO          = syscall.EPROTO
	EMULTIHOP       = syscall.EMULTIHOP
	EDOTDOT         = syscall.EDOTDOT
	EBADMSG         = syscall.EBADMSG
	EOVERFLOW       = syscall.EOVERFLOW
	ENOTUNIQ        = syscall.ENOTUNIQ
	EBADFD          = syscall.EBADFD
	EREMCHG         = syscall.EREMCHG
	ELIBACC         = syscall.ELIBACC
	ELIBBAD         = syscall.ELIBBAD
	ELIBSCN         = syscall.ELIBSCN
	ELIBMAX         = syscall.ELIBMAX
	ELIBEXEC        = syscall.ELIBEXEC
	EILSEQ          = syscall.EILSEQ
	ERESTART        = syscall.ERESTART
	ESTRPIPE        = syscall.ESTRPIPE
	EUSERS          = syscall.EUSERS
	ENOTSOCK        = syscall.ENOTSOCK
	EDESTADDRREQ    = syscall.EDESTADDRREQ
	EMSGSIZE        = syscall.EMSGSIZE
	EPROTOTYPE      = syscall.EPROTOTYPE
	ENOPROTOOPT     = syscall.ENOPROTOOPT
	EPROTONOSUPPORT = syscall.EPROTONOSUPPORT
	ESOCKTNOSUPPORT = syscall.ESOCKTNOSUPPORT
	ENOTSUP         = syscall.ENOTSUP
	EOPNOTSUPP      = syscall.EOPNOTSUPP
	EPFNOSUPPORT    = syscall.EPFNOSUPPORT
	EAFNOSUPPORT    = syscall.EAFNOSUPPORT
	EADDRINUSE      = syscall.EADDRINUSE
	EADDRNOTAVAIL   = syscall.EADDRNOTAVAIL
	ENETDOWN        = syscall.ENETDOWN
	ENETUNREACH     = syscall.ENETUNREACH
	ENETRESET       = syscall.ENETRESET
	ECONNABORTED    = syscall.ECONNABORTED
	ECONNRESET      = syscall.ECONNRESET
	ENOBUFS         = syscall.ENOBUFS
	EISCONN         = syscall.EISCONN
	ENOTCONN        = syscall.ENOTCONN
	ESHUTDOWN       = syscall.ESHUTDOWN
	ETOOMANYREFS    = syscall.ETOOMANYREFS
	ETIMEDOUT       = syscall.ETIMEDOUT
	ECONNREFUSED    = syscall.ECONNREFUSED
	EHOSTDOWN       = syscall.EHOSTDOWN
	EHOSTUNREACH    = syscall.EHOSTUNREACH
	EALREADY        = syscall.EALREADY
	EINPROGRESS     = syscall.EINPROGRESS
	ESTALE          = syscall.ESTALE
	EUCLEAN         = syscall.EUCLEAN
	ENOTNAM         = syscall.ENOTNAM
	ENAVAIL         = syscall.ENAVAIL
	EISNAM          = syscall.EISNAM
	EREMOTEIO       = syscall.EREMOTEIO
	EDQUOT          = syscall.EDQUOT
	ENOMEDIUM       = syscall.ENOMEDIUM
	EMEDIUMTYPE     = syscall.EMEDIUMTYPE
	ECANCELED       = syscall.ECANCELED
	ENOKEY          = syscall.ENOKEY
	EKEYEXPIRED     = syscall.EKEYEXPIRED
	EKEYREVOKED     = syscall.EKEYREVOKED
	EKEYREJECTED    = syscall.EKEYREJECTED
	EOWNERDEAD      = syscall.EOWNERDEAD
	ENOTRECOVERABLE = syscall.ENOTRECOVERABLE
	ERFKILL         = syscall.ERFKILL
)

// Errors that never leave the kernel: each says how a system call that a signal
// ended is to be restarted (include/linux/errno.h).
const (
	// ERESTARTSYS restarts if the handler has SA_RESTART, or there is none.
	ERESTARTSYS = Errno(512)
	// ERESTARTNOINTR always restarts.
	ERESTARTNOINTR = Errno(513)
	// ERESTARTNOHAND restarts only if no handler runs.
	ERESTARTNOHAND = Errno(514)
	// ERESTART_RESTARTBLOCK restarts through restart_syscall(2), so that a
	// relative timeout is not begun anew; EINTR if a handler runs.
	ERESTART_RESTARTBLOCK = Errno(516)
)
