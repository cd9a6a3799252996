package socket

import (
	"encoding/binary"

	"garrison/sentry/auth"
	"garrison/sentry/linux"
	"garrison/sentry/vfs"
)

// An Addr is a socket address as it lies in guest memory: struct sockaddr with its
// length. The zero Addr has length 0: none.
type Addr struct {
	n   uint8
	buf [linux.SockaddrMax]byte
}

// Bytes is the address; it aliases a.
func (a *Addr) Bytes() []byte { return a.buf[:a.n] }

// Len is the length of the address, 0 if there is none.
func (a *Addr) Len() int { return int(a.n) }

// Set makes a a copy of b, which has at most SockaddrMax bytes.
func (a *Addr) Set(b []byte) { a.n = uint8(copy(a.buf[:], b)) }

// Make sets the length of a, clears it and returns its bytes to be filled in, the
// family first.
func (a *Addr) Make(family uint16, n int) []byte {
	a.n = uint8(n)
	b := a.buf[:n]
	clear(b)
	binary.LittleEndian.PutUint16(b, family)
	return b
}

// FamilyOf is the address family in the first two bytes of an address; AF_UNSPEC if
// it is too short to have one.
func FamilyOf(addr []byte) uint16 {
	if len(addr) < 2 {
		return linux.AF_UNSPEC
	}
	return binary.LittleEndian.Uint16(addr)
}

// A Msg is what a message has beside its data: sendmsg(2), recvmsg(2).
type Msg struct {
	// Addr is where it is sent to, or where it came from.
	Addr Addr
	// Flags is what recvmsg reports: MSG_TRUNC, MSG_EOR, MSG_OOB, MSG_ERRQUEUE.
	Flags linux.MsgFlags
	Control
}

// address is where m is sent to; nil if it does not say.
func (m *Msg) address() []byte {
	if m == nil {
		return nil
	}
	return m.Addr.Bytes()
}

// Control is ancillary data, taken apart.
type Control struct {
	// Rights is files that travel, held. Whoever takes them out releases them.
	Rights []*vfs.FileDescription
	// Cred is the sender, if HasCred. HasPidfd: who receives wants a pidfd of it.
	Cred     Cred
	HasCred  bool
	HasPidfd bool
	// Others is what has no field here.
	Others []Cmsg
}

// A Cmsg is one control message.
type Cmsg struct {
	Level, Type int32
	Data        []byte
}

// Add appends a control message.
func (m *Control) Add(level, typ int32, data []byte) {
	m.Others = append(m.Others, Cmsg{level, typ, data})
}

// DropRights releases the files that m still holds.
func (m *Control) DropRights(c vfs.Ctx) {
	for _, d := range m.Rights {
		d.Release(c)
	}
	m.Rights = nil
}

// A Cred is a sender or a peer, by the kernel's ids. PID is what ProcessID returned; nil
// is nobody that anyone sees. Creds can be compared.
type Cred struct {
	PID      any
	UID, GID uint32
}

// NoCred is what a receiver sees that asked for credentials too late.
var NoCred = Cred{UID: auth.NoID, GID: auth.NoID}

// Ucred is k as c is told of it.
func (k *Cred) Ucred(c vfs.Ctx) linux.Ucred {
	user := c.Creds().UserNS
	return linux.Ucred{PID: Number(c, k.PID), UID: user.ShowUID(k.UID), GID: user.ShowGID(k.GID)}
}

// A Process is a caller that has a process number; *kernel.Task is one.
type Process interface {
	// ProcessID names the caller's process, whoever asks and for as long as
	// the value is kept. It can be compared.
	ProcessID() any
	// ProcessNumber is the number of a ProcessID in the caller's PID
	// namespace, 0 if that can't see it.
	ProcessNumber(id any) int32
}

// Number is the process number of a Cred's PID as c sees it.
func Number(c vfs.Ctx, pid any) int32 {
	if p, ok := c.(Process); ok && pid != nil {
		return p.ProcessNumber(pid)
	}
	return 0
}

func processID(c vfs.Ctx) any {
	if p, ok := c.(Process); ok {
		return p.ProcessID()
	}
	return nil
}

// SenderCred is who sends: the real ids, as Linux attaches them by itself.
func SenderCred(c vfs.Ctx) Cred {
	who := c.Creds()
	return Cred{processID(c), who.RUID, who.RGID}
}

// PeerCred is what SO_PEERCRED will tell of c: the effective ids.
func PeerCred(c vfs.Ctx) Cred {
	who := c.Creds()
	return Cred{processID(c), who.EUID, who.EGID}
}

// A processFinder finds a process by its number, if that names one that it sees in a pid
// namespace, which belongs to a user namespace.
type processFinder interface {
	FindProcess(int32) any
	ProcessOwner() *auth.UserNamespace
}

// Claim checks the credentials that c wants to send, SCM_CREDENTIALS: EPERM unless
// they are its own or it has the capability. The pid is as c sees it.
func Claim(c vfs.Ctx, u linux.Ucred) (Cred, error) {
	who := c.Creds()
	own := processID(c)
	uid, ok := who.UserNS.MakeUID(u.UID)
	gid, ok2 := who.UserNS.MakeGID(u.GID)
	if !ok || !ok2 {
		return Cred{}, linux.EINVAL
	}
	uidOK := uid == who.RUID || uid == who.EUID || uid == who.SUID || who.HasCap(auth.CapSetuid)
	gidOK := gid == who.RGID || gid == who.EGID || gid == who.SGID || who.HasCap(auth.CapSetgid)
	if !uidOK || !gidOK {
		return Cred{}, linux.EPERM
	}
	if u.PID == Number(c, own) {
		return Cred{own, uid, gid}, nil
	}
	p, ok := c.(processFinder)
	if !ok {
		return Cred{}, linux.ESRCH
	}
	if !who.HasCapIn(p.ProcessOwner(), auth.CapSysAdmin) {
		return Cred{}, linux.EPERM
	}
	id := p.FindProcess(u.PID)
	if id == nil {
		return Cred{}, linux.ESRCH
	}
	return Cred{id, uid, gid}, nil
}
