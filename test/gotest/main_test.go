package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const events = `{"Action":"start","Package":"p"}
{"Action":"output","Package":"p","Test":"TestA","Output":"=== RUN   TestA\n"}
{"Action":"output","Package":"p","Test":"TestA","Output":"    a_test.go:7: needs: a moon\n"}
{"Action":"output","Package":"p","Test":"TestA","Output":"--- SKIP: TestA (0.00s)\n"}
{"Action":"skip","Package":"p","Test":"TestA"}
{"Action":"output","Package":"p","Test":"TestB","Output":"quiet\n"}
{"Action":"pass","Package":"p","Test":"TestB"}
{"Action":"output","Package":"p","Test":"TestC","Output":"loud\n"}
{"Action":"fail","Package":"p","Test":"TestC"}
{"Action":"output","Package":"p","Output":"FAIL\n"}
{"Action":"fail","Package":"p"}
{"Action":"output","Package":"q","Output":"PASS\n"}
{"Action":"output","Package":"q","Output":"ok  \tq\t0.1s\n"}
{"Action":"pass","Package":"q"}
`

func TestFollow(t *testing.T) {
	var r report
	var out strings.Builder
	if err := r.follow(strings.NewReader(events), &out); err != nil {
		t.Fatal(err)
	}
	if want := "loud\nFAIL\nok  \tq\t0.1s\n"; out.String() != want {
		t.Errorf("printed %q, want %q", out.String(), want)
	}
	if len(r.skipped) != 1 || r.skipped[0] != (skip{"p", "TestA", "needs: a moon"}) {
		t.Errorf("skipped %+v", r.skipped)
	}
	if err := r.follow(strings.NewReader("no JSON"), &out); err == nil {
		t.Error("took what is no event")
	}
}

func TestRead(t *testing.T) {
	name := filepath.Join(t.TempDir(), "skips")
	for text, good := range map[string]bool{
		"# nothing\n\np TestA it needs a moon\n": true,
		"p TestA\n":                              false,
	} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		allowed, err := read(name)
		if (err == nil) != good || good && !allowed["p TestA"] {
			t.Errorf("%q: %v, %v", text, allowed, err)
		}
	}
}
