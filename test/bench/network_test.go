package main

import (
	"math"
	"testing"
)

// TestRates has what clients print read, and what is no measurement refused.
func TestRates(t *testing.T) {
	for _, c := range []struct {
		name string
		read func(string) (float64, error)
		out  string
		want float64 // 0: an error
	}{
		{"iperf3", iperfRate, `{"end": {"sum_sent": {"bits_per_second": 1}, "sum_received": {"bits_per_second": 8388608000}}}`, 1e6},
		{"iperf3, nobody there", iperfRate, `{"start": {}, "end": {}, "error": "unable to connect to server"}`, 0},
		{"iperf3, nothing", iperfRate, ``, 0},
		{"redis", redisRate, "\"test\",\"rps\",\"avg_latency_ms\"\n\"SET\",\"20000.00\",\"0.104\"\n", 50_000},
		{"redis, nobody there", redisRate, "", 0},
		{"redis, no rate", redisRate, "\"test\",\"rps\"\n\"SET\",\"0.00\"\n", 0},
		{"wrk", wrkRate, "Running 1s test @ http://10.78.0.2/small\n  4000 requests in 2.00s, 1.00MB read\nRequests/sec:   2000.00\nTransfer/sec:      1.00MB\n", 500_000},
		{"wrk, errors", wrkRate, "  Socket errors: connect 0, read 3, write 0, timeout 0\nRequests/sec:   2000.00\n", 0},
		{"wrk, not found", wrkRate, "  Non-2xx or 3xx responses: 4000\nRequests/sec:   2000.00\n", 0},
		{"wrk, nothing", wrkRate, "unable to connect to 10.78.0.2:80 Connection refused\n", 0},
	} {
		got, err := c.read(c.out)
		if (err != nil) != (c.want == 0) || math.Abs(got-c.want) > 1e-3 {
			t.Errorf("%s: %v (%v), want %v", c.name, got, err, c.want)
		}
	}
}
