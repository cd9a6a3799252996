package platformtest

import (
	"testing"

	"garrison/platform"
)

// A call site becomes hot once, if it makes calls that need nothing but a result.
func testHotSite(t *testing.T, p platform.Platform) {
	g := newGuest(t, p, 0x0f, 0x05, 0xeb, 0xfc) // syscall; jmp to the start
	defer g.release()
	hot := 0
	for range 1000 {
		if ev := g.run(); ev.Hot {
			hot++
		}
		g.regs.SetReturn(39)
	}
	want := 0
	if p.Facts().Gate != 0 {
		want = 1
	}
	if hot != want {
		t.Fatalf("the site became hot %d times, want %d", hot, want)
	}
}

// What a site's replies are is told with the next event, when it is new: that
// they are plain, that they are not. A fault in between says nothing of it.
func testSiteReplies(t *testing.T, p platform.Platform) {
	g := newGuest(t, p,
		0x0f, 0x05, // syscall
		0x85, 0xff, // test %edi, %edi
		0x74, 0x02, // jz over the next
		0x0f, 0x0b, // ud2
		0xeb, 0xf6) // jmp to the start
	defer g.release()
	const after = codeAt + 2
	told := func(want platform.Site) {
		t.Helper()
		if p.Facts().Gate == 0 {
			want = platform.Site{}
		}
		if ev := g.run(); ev.Site != want {
			t.Fatalf("told %+v, want %+v", ev.Site, want)
		}
	}
	g.regs.RDI = 0
	g.regs.RAX = 39
	told(platform.Site{})
	g.regs.SetReturn(39)
	told(platform.Site{IP: after, NR: 39, Plain: true})
	for range 3 {
		g.regs.SetReturn(39)
		told(platform.Site{})
	}
	g.regs.SetReturn(39)
	g.regs.RDI = 1
	told(platform.Site{}) // the signal that the ud2 is
	g.regs.RIP, g.regs.RDI = codeAt, 0
	told(platform.Site{})
	for range 3 {
		g.regs.RIP = codeAt // as a signal's handler would begin
		g.regs.RAX = 39
		told(platform.Site{IP: after, NR: 39})
		g.regs.SetReturn(39)
		told(platform.Site{IP: after, NR: 39, Plain: true})
	}
}
