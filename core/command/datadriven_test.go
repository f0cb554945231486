package command

import (
	"strconv"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"
)

// The files of testdata hold commands and what they reply. Directives:
//
//	run [log] [sort] [ours] [proto=3]   one command per line; log shows what goes
//	                                    into the log, sort orders array replies, ours
//	                                    keeps Redis out of it (see redis_test.go)
//	time +500                           the clock advances, in milliseconds
//	state                               every key there is
//	since 8.0.0                         the version of Redis that has what follows
//
// Go on with: go test ./core/command -run TestData -rewrite
func TestData(t *testing.T) {
	datadriven.Walk(t, "testdata", func(t *testing.T, path string) {
		if fuzzCorpus(path) {
			return
		}
		x := newTester(t, 4)
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			x.t = t
			return x.directive(d)
		})
		twin := newTester(t, 3)
		twin.replay(x.effects)
		if want, got := strings.Join(x.state(), "\n"), strings.Join(twin.state(), "\n"); want != got {
			t.Errorf("the log of %s replays to another state\nwant:\n%s\ngot:\n%s", path, want, got)
		}
	})
}

func (x *tester) directive(d *datadriven.TestData) string {
	switch d.Cmd {
	case "run":
		x.out.Proto = 2
		if d.HasArg("proto") {
			d.ScanArgs(x.t.(*testing.T), "proto", &x.out.Proto)
		}
		var b strings.Builder
		for _, line := range commandLines(d.Input) {
			v := x.do
			if d.HasArg("sort") {
				v = x.doSorted
			}
			b.WriteString(v(line) + "\n")
			if d.HasArg("log") {
				b.WriteString(effectsString(x.last))
			}
		}
		return b.String()
	case "time":
		n, err := strconv.ParseInt(strings.TrimPrefix(d.CmdArgs[0].Key, "+"), 10, 64)
		if err != nil {
			d.Fatalf(x.t.(*testing.T), "%v", err)
		}
		x.now += n
		return ""
	case "since":
		return ""
	case "state":
		return strings.Join(x.state(), "\n") + "\n"
	}
	d.Fatalf(x.t.(*testing.T), "unknown directive %s", d.Cmd)
	return ""
}

func commandLines(input string) []string {
	var out []string
	for _, line := range strings.Split(input, "\n") {
		if strings.TrimSpace(line) != "" {
			out = append(out, line)
		}
	}
	return out
}

// fuzzCorpus tells the inputs that go test -fuzz keeps in testdata.
func fuzzCorpus(path string) bool { return strings.Contains(path, "testdata/fuzz/") }
