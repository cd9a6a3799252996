package wire

// An Op is the number of an operation.
type Op uint16

// The operations. 0 is none, so that an empty message is not one.
const (
	OpChannel Op = iota + 1
	OpForget
	OpAttach
	OpWalk
	OpGetattr
	OpSetattr
	OpOpen
	OpCreate
	OpMknod
	OpLink
	OpRename
	OpUnlink
	OpReaddir
	OpReadlink
	OpGetxattr
	OpSetxattr
	OpListxattr
	OpRemovexattr
	OpStatfs
	OpFsync
	OpSyncfs
	OpConnect
	OpBind
	OpChanges
	OpAttrs
	OpApply
	OpOpens
	OpReserve
	NumOps
)

// ops says what is worth saying of an operation beside its fields.
var ops = [NumOps]struct {
	name  string
	looks bool // changes nothing
	after bool // may follow changes in their message: request and reply are short
	slow  bool // may wait for a disk or a peer for long: keep it off the pinned threads
}{
	OpChannel:     {name: "channel"},
	OpForget:      {name: "forget"},
	OpAttach:      {name: "attach"},
	OpWalk:        {name: "walk", looks: true, after: true},
	OpGetattr:     {name: "getattr", looks: true, after: true},
	OpSetattr:     {name: "setattr", after: true},
	OpOpen:        {name: "open", after: true},
	OpCreate:      {name: "create", after: true},
	OpMknod:       {name: "mknod", after: true},
	OpLink:        {name: "link", after: true},
	OpRename:      {name: "rename", after: true},
	OpUnlink:      {name: "unlink", after: true},
	OpReaddir:     {name: "readdir", looks: true},
	OpReadlink:    {name: "readlink", looks: true},
	OpGetxattr:    {name: "getxattr", looks: true},
	OpSetxattr:    {name: "setxattr"},
	OpListxattr:   {name: "listxattr", looks: true},
	OpRemovexattr: {name: "removexattr"},
	OpStatfs:      {name: "statfs", slow: true},
	OpFsync:       {name: "fsync", slow: true},
	OpSyncfs:      {name: "syncfs", slow: true},
	OpConnect:     {name: "connect", slow: true},
	OpBind:        {name: "bind"},
	OpChanges:     {name: "changes", slow: true},
	OpAttrs:       {name: "attrs", slow: true, looks: true},
	OpApply:       {name: "apply"},
	OpOpens:       {name: "opens"},
	OpReserve:     {name: "reserve", looks: true, after: true},
}

// String is the operation's name.
func (o Op) String() string {
	if o < NumOps && ops[o].name != "" {
		return ops[o].name
	}
	return "unknown operation"
}

// Looks reports whether the operation changes nothing.
func (o Op) Looks() bool { return o < NumOps && ops[o].looks }

// Follows reports whether the operation may be the Then of an ApplyReq.
func (o Op) Follows() bool { return o < NumOps && ops[o].after }

// Slow reports whether the operation may take long by its nature.
func (o Op) Slow() bool { return o < NumOps && ops[o].slow }

func (*ChannelReq) Op() Op     { return OpChannel }
func (*ForgetReq) Op() Op      { return OpForget }
func (*AttachReq) Op() Op      { return OpAttach }
func (*WalkReq) Op() Op        { return OpWalk }
func (*GetattrReq) Op() Op     { return OpGetattr }
func (*SetattrReq) Op() Op     { return OpSetattr }
func (*OpenReq) Op() Op        { return OpOpen }
func (*CreateReq) Op() Op      { return OpCreate }
func (*MknodReq) Op() Op       { return OpMknod }
func (*LinkReq) Op() Op        { return OpLink }
func (*RenameReq) Op() Op      { return OpRename }
func (*UnlinkReq) Op() Op      { return OpUnlink }
func (*ReaddirReq) Op() Op     { return OpReaddir }
func (*ReadlinkReq) Op() Op    { return OpReadlink }
func (*GetxattrReq) Op() Op    { return OpGetxattr }
func (*SetxattrReq) Op() Op    { return OpSetxattr }
func (*ListxattrReq) Op() Op   { return OpListxattr }
func (*RemovexattrReq) Op() Op { return OpRemovexattr }
func (*StatfsReq) Op() Op      { return OpStatfs }
func (*FsyncReq) Op() Op       { return OpFsync }
func (*SyncfsReq) Op() Op      { return OpSyncfs }
func (*ConnectReq) Op() Op     { return OpConnect }
func (*BindReq) Op() Op        { return OpBind }
func (*ChangesReq) Op() Op     { return OpChanges }
func (*AttrsReq) Op() Op       { return OpAttrs }
func (*ApplyReq) Op() Op       { return OpApply }
func (*OpensReq) Op() Op       { return OpOpens }
func (*ReserveReq) Op() Op     { return OpReserve }
