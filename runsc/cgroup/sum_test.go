package cgroup

import (
	"encoding/json"
	"reflect"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

func TestSum(t *testing.T) {
	const full = `{"memory":{"limit":100,"swap":200,"reservation":7},"cpu":{"shares":5,"quota":1000,"period":2000},"pids":{"limit":10}}`
	for _, c := range []struct{ own, other, want string }{
		{full, full, `{"memory":{"limit":200,"reservation":7,"swap":400},"cpu":{"shares":5,"quota":2000,"period":2000},"pids":{"limit":20}}`},
		{full, `{}`, `{"memory":{"limit":-1,"reservation":7,"swap":-1},"cpu":{"shares":5,"quota":-1,"period":2000},"pids":{"limit":-1}}`},
		{full, `{"memory":{"limit":1},"cpu":{"quota":50000},"pids":{"limit":0}}`,
			`{"memory":{"limit":101,"reservation":7,"swap":-1},"cpu":{"shares":5,"quota":2000,"period":2000},"pids":{"limit":-1}}`},
		{full, `{"memory":{"limit":-1,"swap":5}}`,
			`{"memory":{"limit":-1,"reservation":7,"swap":-1},"cpu":{"shares":5,"quota":-1,"period":2000},"pids":{"limit":-1}}`},
		{`{}`, full, `{}`},
		{`{"memory":{"limit":-1},"pids":{"limit":0}}`, full, `{"memory":{"limit":-1},"pids":{"limit":0}}`},
		{`{"memory":{"limit":100}}`, full, `{"memory":{"limit":200}}`},
	} {
		own, other := parse(t, c.own), parse(t, c.other)
		got, err := json.Marshal(Sum(own, other))
		if err != nil || string(got) != c.want {
			t.Errorf("%s and %s: %s %v, want %s", c.own, c.other, got, err, c.want)
		}
		if !reflect.DeepEqual(own, parse(t, c.own)) {
			t.Errorf("%s has changed", c.own)
		}
	}
	if got, _ := json.Marshal(Sum(nil, nil)); string(got) != "{}" {
		t.Errorf("of nothing: %s", got)
	}
}

func parse(t *testing.T, text string) *specs.LinuxResources {
	t.Helper()
	r := new(specs.LinuxResources)
	if err := json.Unmarshal([]byte(text), r); err != nil {
		t.Fatal(err)
	}
	return r
}
