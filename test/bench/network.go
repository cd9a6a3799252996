package main

import (
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"garrison/test/bench/relay"
	"garrison/test/bench/report"
)

// A talk is a line of the network: a script of bash for the client at the one end of a
// wire, while servers run at the other. PEER is their address; TIME, COUNT and HTTP say how
// much is to be done.
type talk struct {
	name, means string
	run         string
	loses       relay.End // on a lossy wire, of what that end sends
	// read is what the script printed, as nanoseconds of what the line counts.
	read func(string) (float64, error)
}

var talks = slices.Concat(
	iperf("TCP in", "iperf3 sends a stream into the container; the number is for 1 MiB", ""),
	iperf("TCP out", "the same out of it", "-R"),
	iperf("TCP in, 8 streams", "8 streams into the container at once, for 1 MiB of all", "-P 8"),
	iperf("TCP out, 8 streams", "8 streams out of it", "-P 8 -R"),
	redis("redis, 1 client", "one request of redis-benchmark to redis-server in the container, which 1 client makes after the other", "-c 1 -n $COUNT"),
	redis("redis, 50 clients", "the same of 50 clients at once, for one request of all", "-c 50 -n $((COUNT * 5))"),
	redis("redis, 50 clients, 16 at a time", "50 clients that send 16 requests at a time, for one request", "-c 50 -P 16 -n $((COUNT * 20))"),
	[]talk{
		{name: "nginx, 1 KiB", means: "wrk asks nginx in the container for a file of 1 KiB, by 16 connections; for one request", run: `wrk -t 1 -c 16 -d $HTTP http://$PEER:80/small`, read: wrkRate},
		{name: "nginx, 1 MiB", means: "the same for a file of 1 MiB, by 2 connections", run: `wrk -t 1 -c 2 -d $HTTP http://$PEER:80/large`, read: wrkRate},
	},
	lossy(outsideEnd, iperf("TCP in, 1 % lost", "iperf3 sends a stream into the container for 10 s, by a wire whose round trip takes 50 ms and which loses 1 % of the segments that the host sends", "")),
	lossy(insideEnd, iperf("TCP out, 1 % lost", "the same out of the container, where segments are lost that the container sends", "-R")),
)

func iperf(name, means, flags string) []talk {
	return []talk{{name: name, means: means, run: fmt.Sprintf(iperfClient, flags), read: iperfRate}}
}

// iperfClient asks again for some time: after each client iperf3 -s closes its socket, and
// listens anew; and by a wire that loses segments it learns late that a client has gone.
const iperfClient = `for i in $(seq 20); do
	out=$(iperf3 -J -c $PEER $TIME %s)
	case $out in *"Connection refused"*) sleep 0.1 ;; *"server is busy"*) sleep 1 ;; *) break ;; esac
done
echo "$out"`

func redis(name, means, flags string) (out []talk) {
	for _, op := range []string{"SET", "GET"} {
		out = append(out, talk{
			name: name + ", " + op, means: means + ": " + op, read: redisRate,
			run: `redis-benchmark -h $PEER --csv -t ` + strings.ToLower(op) + " " + flags + ` 2>/dev/null`,
		})
	}
	return out
}

func lossy(loses relay.End, of []talk) []talk {
	for i := range of {
		of[i].loses = loses
	}
	return of
}

func (t *talk) lossy() bool { return t.loses != relay.Neither }

// iperfRate reads iperf3 -J: the time of a MiB.
func iperfRate(out string) (float64, error) {
	var r struct {
		Error string
		End   struct {
			Received struct {
				Bits float64 `json:"bits_per_second"`
			} `json:"sum_received"`
		}
	}
	if err := json.Unmarshal([]byte(out), &r); err != nil {
		return 0, fmt.Errorf("iperf3: %w: %s", err, out)
	}
	return per(8<<20/r.End.Received.Bits, r.Error)
}

// redisRate reads redis-benchmark --csv: the time of a request.
func redisRate(out string) (float64, error) {
	rows, err := csv.NewReader(strings.NewReader(out)).ReadAll()
	if err != nil || len(rows) != 2 || len(rows[1]) < 2 {
		return 0, fmt.Errorf("redis-benchmark: %w: %s", err, out)
	}
	rate, err := strconv.ParseFloat(rows[1][1], 64)
	if err != nil {
		return 0, err
	}
	return per(1/rate, "")
}

var wrkPrints = regexp.MustCompile(`(?s)^(.*)Requests/sec: +([0-9.]+)`)

// wrkRate reads what wrk prints: the time of a request.
func wrkRate(out string) (float64, error) {
	m := wrkPrints.FindStringSubmatch(out)
	if m == nil || strings.Contains(m[1], "Non-2xx") || strings.Contains(m[1], "Socket errors") {
		return 0, fmt.Errorf("wrk: %s", out)
	}
	rate, err := strconv.ParseFloat(m[2], 64)
	if err != nil {
		return 0, err
	}
	return per(1/rate, "")
}

// per is seconds in nanoseconds, if they are those of a rate that is not zero.
func per(seconds float64, why string) (float64, error) {
	if why != "" || !(seconds > 0 && seconds < 1e6) {
		return 0, fmt.Errorf("no rate: %s", why)
	}
	return seconds * 1e9, nil
}

func networkLines(b *bench) ([]*report.Line, error) {
	if err := b.furnishNetwork(); err != nil {
		return nil, err
	}
	lines, err := guestLines("network")(b)
	if err != nil {
		return nil, err
	}
	noLoss := b.lossyWire()
	if noLoss != nil {
		b.leftOut = append(b.leftOut, fmt.Sprintf("network: lines by a wire that loses and delays: %v", noLoss))
		fmt.Fprintln(os.Stderr, "bench: left out:", b.leftOut[len(b.leftOut)-1])
	}
	for _, t := range talks {
		if noLoss == nil || !t.lossy() {
			lines = append(lines, &report.Line{Name: t.name, Unit: report.Nanoseconds, Means: t.means})
		}
	}
	return lines, nil
}

// lossyWire says why this host has none.
func (b *bench) lossyWire() error {
	w, err := b.newWire(true)
	if err == nil {
		w.close()
	}
	return err
}

// networkServers start in the container, and on the host for what the container asks there.
// What they say is kept, for when one does not listen: of redis its log, and of nginx its errors.
const networkServers = `iperf3 -s >/dev/null 2>&1 </dev/null &
redis-server --save '' --bind 0.0.0.0 --protected-mode no &
nginx -c /bench/network/nginx.conf -g 'daemon off;' &
exec /bench/guest serve
`

const nginxConfig = `user root;
worker_processes 1;
pid /tmp/nginx.pid;
error_log stderr;
events { worker_connections 256; }
http {
	access_log off;
	sendfile on;
	server { listen 80; root /bench/network/www; }
}
`

// networkReady waits until the servers at PEER listen.
const networkReady = `for port in 6379 80 7007; do
	for i in $(seq 200); do (exec 3<>/dev/tcp/$PEER/$port) 2>/dev/null && break; [ $i != 200 ] || { echo "nobody listens at $PEER, port $port"; exit 1; }; sleep 0.05; done
done`

// furnishNetwork puts into the layer what the lines of the network need.
func (b *bench) furnishNetwork() error {
	if _, err := os.Stat(filepath.Join(b.clients, ".recipe")); err != nil {
		return fmt.Errorf("no layer of servers and clients at %s (make clients-root)", b.clients)
	}
	for name, text := range map[string]string{
		"serve":      networkServers,
		"nginx.conf": nginxConfig,
		"www/small":  strings.Repeat("x", 1<<10),
		"www/large":  strings.Repeat("y", 1<<20),
	} {
		file := filepath.Join(b.layer, "bench/network", name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			return err
		}
	}
	return nil
}

func networkRound(ctx context.Context, b *bench, rt runtime, lines []*report.Line) map[string]report.Reading {
	readings := map[string]report.Reading{}
	for _, lossy := range []bool{false, true} {
		some := slices.DeleteFunc(slices.Clone(lines), func(l *report.Line) bool { return onLossyWire(l.Name) != lossy })
		if len(some) > 0 {
			b.wireRound(ctx, rt, lossy, some, readings)
		}
	}
	return readings
}

func onLossyWire(name string) bool {
	return slices.ContainsFunc(talks, func(t talk) bool { return t.name == name && t.lossy() })
}

// wireRound is a round of the lines that one wire is for.
func (b *bench) wireRound(ctx context.Context, rt runtime, lossy bool, lines []*report.Line, readings map[string]report.Reading) {
	h, err := b.networked(ctx, rt, lossy)
	if err != nil {
		for _, l := range lines {
			readings[l.Name] = report.Failed("%v", err)
		}
		return
	}
	defer h.close()
	wanted := names(lines)
	for _, l := range lines {
		if !slices.ContainsFunc(talks, func(t talk) bool { return t.name == l.Name }) {
			readings[l.Name] = h.operation(ctx, l.Name)
		}
	}
	for _, t := range talks {
		if wanted[t.name] {
			readings[t.name] = h.talk(ctx, t)
		}
	}
}

// talk does one line.
func (h *host) talk(ctx context.Context, t talk) report.Reading {
	var v float64
	do := func() error {
		out, err := h.outside(ctx, insideAddr, t.run)
		if err == nil {
			v, err = t.read(out)
		}
		return err
	}
	var err error
	if t.lossy() {
		err = h.wire.losing(t.loses, h.seed, do)
	} else {
		err = do()
	}
	if err != nil {
		return report.Failed("%v", err)
	}
	return report.Reading{Value: v, Check: "ok"}
}

// operation does one of the guest's, at the end that its name says.
func (h *host) operation(ctx context.Context, name string) report.Reading {
	run := h.outside
	if strings.HasSuffix(name, "from inside") {
		run = h.inside
	}
	args := fmt.Sprintf("/bench/guest run %d %d %s '%s'", h.b.micros, h.b.repeats, seconds(opLimit), name)
	out, err := run(ctx, "", args)
	readings := map[string]report.Reading{}
	other := parse(out, readings)
	if r, ok := readings[name]; ok {
		return r
	}
	return report.Failed("%v", errors.Join(err, errors.New(other)))
}

// talkEnv is the environment of scripts. In 2 s a lossy wire would lose no dozen segments, and
// the rate would be that of its beginning.
func (b *bench) talkEnv(peer string, lossy bool) []string {
	time, count, http := "-t 2", 20_000, "2s"
	if lossy {
		time = "-t 10"
	}
	if b.smoke {
		time, count, http = "-n 2M", 200, "1s"
	}
	return []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "PEER=" + peer, "TIME=" + time, fmt.Sprint("COUNT=", count), "HTTP=" + http}
}

// output runs a command to its end, and says what it printed.
func output(cmd *exec.Cmd) (string, error) {
	out, err := cmd.Output()
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		err = fmt.Errorf("%w: %s%s", err, out, exit.Stderr)
	}
	return string(out), err
}
