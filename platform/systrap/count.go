package systrap

import (
	"sync/atomic"

	"garrison/platform"
	"garrison/platform/hot"
)

// What Contexts count.
const (
	countTrapSpin  = iota // events by a signal that were seen by watching
	countTrapBlock        // and those that were slept for
	countGateSpin         // calls by the gate, likewise
	countGateBlock
	countFault // events that were page faults
	countApart // times that a pair went apart
	counters
)

var countNames = [counters]string{"trap-spin", "trap-block", "patched-spin", "patched-block", "faults", "apart"}

// counts are one Context's: nobody else writes them, so they cost next to nothing.
type counts [counters]int64

func (c *counts) add(what int) { hot.Store(&c[what], c[what]+1) }

// came counts an event of the kind that was watched for, or of the next: slept for.
func (c *counts) came(kind int, watched bool) {
	if !watched {
		kind++
	}
	c.add(kind)
}

// Counts implements platform.Counter.
func (p *Platform) Counts() []platform.Count {
	p.mu.Lock()
	total, answered := p.counted, p.answered.Load()
	for c := range p.contexts {
		total.collect(c)
		if t := c.current.Load(); t != nil {
			answered += atomic.LoadUint64(&t.region.page.answered)
		}
	}
	p.mu.Unlock()
	out := make([]platform.Count, 0, counters+4)
	for i, name := range countNames {
		out = append(out, platform.Count{Name: name, N: total[i]})
	}
	return append(out,
		platform.Count{Name: "answered", N: answered},
		platform.Count{Name: "operations", N: p.operations.Load()},
		platform.Count{Name: "solo", N: p.solo.Load()},
		platform.Count{Name: "verified", N: p.verifier.verified.Load()})
}

// totals are counts of Contexts together.
type totals [counters]uint64

func (t *totals) collect(c *Context) {
	for i := range t {
		t[i] += uint64(atomic.LoadInt64(&c.counts[i]))
	}
}

// begin and finished keep account of Contexts, for Counts.
func (p *Platform) begin(c *Context) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.contexts[c] = struct{}{}
}

func (p *Platform) finished(c *Context) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if _, ok := p.contexts[c]; ok {
		p.counted.collect(c)
		delete(p.contexts, c)
	}
}
