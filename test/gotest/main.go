// Command gotest runs go test with its arguments, prints what go test prints,
// then the tests that were skipped with their reasons, and fails if one of them
// is not expected: a test that quietly stopped running is a test that passes.
//
// The file of -expected has a line for each test that may be skipped: its
// package, its name, and why that is no loss.
package main

import (
	"bufio"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"log"
	"os"
	"os/exec"
	"strings"
)

func main() {
	log.SetFlags(0)
	expected := flag.String("expected", "test/gotest/skips.txt", "the tests that may be skipped")
	flag.Parse()
	allowed, err := read(*expected)
	if err != nil {
		log.Fatal(err)
	}
	cmd := exec.Command("go", append([]string{"test", "-json"}, flag.Args()...)...)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		log.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		log.Fatal(err)
	}
	var r report
	if err := r.follow(out, os.Stdout); err != nil {
		log.Print(err)
	}
	failed := cmd.Wait() != nil
	for _, s := range r.skipped {
		fmt.Printf("skipped: %s %s: %s\n", s.pkg, s.test, s.why)
		if !allowed[s.pkg+" "+s.test] {
			fmt.Printf("not expected in %s: %s %s\n", *expected, s.pkg, s.test)
			failed = true
		}
	}
	if failed {
		os.Exit(1)
	}
}

// read reads the list of tests that may be skipped.
func read(name string) (map[string]bool, error) {
	text, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	allowed := map[string]bool{}
	for n, line := range strings.Split(string(text), "\n") {
		words := strings.Fields(line)
		switch {
		case len(words) == 0 || words[0][0] == '#':
		case len(words) < 3:
			return nil, fmt.Errorf("%s:%d: must be a package, a test and a reason", name, n+1)
		default:
			allowed[words[0]+" "+words[1]] = true
		}
	}
	return allowed, nil
}

// An event is a line of go test -json (go doc test2json).
type event struct {
	Action, Package, Test, Output string
}

// A skip is a test that did not run to its end.
type skip struct{ pkg, test, why string }

type report struct {
	skipped []skip
	held    map[string][]string // what each test or package has said so far
}

// follow reads events, and writes what tests that fail have said, what packages
// say at their end, and what compilers say.
func (r *report) follow(in io.Reader, out io.Writer) error {
	r.held = map[string][]string{}
	dec := json.NewDecoder(bufio.NewReader(in))
	for {
		var e event
		if err := dec.Decode(&e); err == io.EOF {
			return nil
		} else if err != nil {
			return fmt.Errorf("go test -json: %w", err)
		}
		r.take(&e, out)
	}
}

func (r *report) take(e *event, out io.Writer) {
	key := e.Package + " " + e.Test
	switch e.Action {
	case "build-output":
		io.WriteString(out, e.Output)
	case "output":
		r.held[key] = append(r.held[key], e.Output)
		return
	case "skip":
		if e.Test != "" {
			r.skipped = append(r.skipped, skip{e.Package, e.Test, reason(r.held[key])})
		}
	case "fail":
		io.WriteString(out, strings.Join(r.held[key], ""))
	}
	if e.Test == "" && (e.Action == "pass" || e.Action == "skip") {
		io.WriteString(out, last(r.held[key]))
	}
	if e.Action == "pass" || e.Action == "skip" || e.Action == "fail" {
		delete(r.held, key)
	}
}

// reason is what a test said when it gave up, without the place in its source.
func reason(said []string) string {
	for i := len(said) - 1; i >= 0; i-- {
		s := strings.TrimSpace(said[i])
		if strings.HasPrefix(s, "--- SKIP") || strings.HasPrefix(s, "=== ") {
			continue
		}
		if _, after, ok := strings.Cut(s, ".go:"); ok {
			if _, text, ok := strings.Cut(after, ": "); ok {
				return text
			}
		}
		return s
	}
	return "no reason given"
}

// last is the last line that a package said: ok, its name and its time.
func last(said []string) string {
	if len(said) == 0 {
		return ""
	}
	return said[len(said)-1]
}
