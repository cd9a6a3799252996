package inet

import (
	"bytes"
	"cmp"
	"time"

	"gvisor.dev/gvisor/pkg/tcpip"

	"garrison/sentry/linux"
	"garrison/sentry/usermem"
)

// setCongestion is TCP_CONGESTION: ENOENT for an algorithm that is not there.
func (e *Endpoint) setCongestion(val []byte) error {
	val = val[:min(len(val), linux.TCP_CA_NAME_MAX-1)]
	if i := bytes.IndexByte(val, 0); i >= 0 {
		val = val[:i]
	}
	o := tcpip.CongestionControlOption(val)
	in := e.cur.Load()
	err := in.ep.SetSockOpt(&o)
	in.steered.Store(false)
	return errno(err)
}

func (e *Endpoint) congestion(size int) ([]byte, error) {
	var o tcpip.CongestionControlOption
	if err := e.ep().GetSockOpt(&o); err != nil {
		return nil, errno(err)
	}
	b := make([]byte, min(size, linux.TCP_CA_NAME_MAX))
	copy(b, o)
	return b, nil
}

// tcpInfo is TCP_INFO as far as the stack tells.
func (e *Endpoint) tcpInfo() []byte {
	var o tcpip.TCPInfoOption
	e.ep().GetSockOpt(&o)
	mss, _ := e.ep().GetSockOptInt(tcpip.MaxSegOption)
	i := linux.TCPInfo{
		State:       e.state(),
		RTO:         uint32(cmp.Or(o.RTO, time.Second) / time.Microsecond),
		RTT:         uint32(o.RTT / time.Microsecond),
		RTTVar:      uint32(o.RTTVar / time.Microsecond),
		SndMSS:      uint32(mss),
		SndCwnd:     o.SndCwnd,
		SndSsthresh: o.SndSsthresh,
		Reordering:  3,
	}
	if i.State != linux.TCP_CLOSE && i.State != linux.TCP_LISTEN {
		i.Options = linux.TCPI_OPT_TIMESTAMPS | linux.TCPI_OPT_SACK | linux.TCPI_OPT_WSCALE
		i.RcvMSS, i.AdvMSS, i.PMTU = uint32(mss), uint32(mss), loopbackMTU
		if v, err := mtu(e); err == nil {
			i.PMTU = uint32(v)
		}
	}
	switch o.CcState {
	case tcpip.RTORecovery:
		i.CAState = 4
	case tcpip.FastRecovery, tcpip.SACKRecovery:
		i.CAState = 3
	case tcpip.Disorder:
		i.CAState = 1
	}
	if o.ReorderSeen {
		i.ReordSeen = 1
	}
	return usermem.AsBytes(&i)
}
