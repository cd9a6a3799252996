package report

// A Reference is a figure that this command did not measure: of present gVisor
// (August 2026) on its systrap platform, and of the host's own kernel beside
// it, on a virtual machine of 2 CPUs in which it takes 35 µs to wake an idle
// one. In nanoseconds.
type Reference struct{ Native, GVisor float64 }

const (
	us = 1e3
	ms = 1e6
)

// References are by the names of lines. The jobs behind them were of the same
// kind, not the same, so that their ratios say more than their times.
var References = map[string]Reference{
	"getpid":                 {107, 4.1 * us},
	"getppid":                {107, 4.1 * us}, // of getpid, which that system answers as any other call
	"mmap and munmap 64 KiB": {1.5 * us, 116 * us},
	"stat, root":             {0.5 * us, 17 * us},
	"open and close, root":   {0.95 * us, 19 * us},
	"fork, exit and wait":    {0.14 * ms, 1.4 * ms},
	"vfork and exec":         {0.66 * ms, 6.7 * ms},
	"pipe ping-pong":         {72 * us, 139 * us},

	"100 × /bin/true":          {115 * ms, 830 * ms},
	"100 × $(echo)":            {23 * ms, 520 * ms},
	"5 × gcc":                  {200 * ms, 510 * ms},
	"5 × python3":              {140 * ms, 280 * ms},
	"tar":                      {52 * ms, 350 * ms},
	"untar":                    {81 * ms, 790 * ms},
	"find":                     {21 * ms, 470 * ms},
	"du":                       {28 * ms, 720 * ms},
	"git":                      {54 * ms, 450 * ms},
	"rm -r":                    {55 * ms, 110 * ms},
	"pipe to cat, 5,000 times": {48 * ms, 770 * ms},
}
