package host_test

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/spillwaydb/spillway/core/sink"
	"github.com/spillwaydb/spillway/internal/testutil"
	"github.com/spillwaydb/spillway/plugins/host"
	"github.com/spillwaydb/spillway/plugins/middleware"
	"github.com/spillwaydb/spillway/plugins/plugintest"
)

const (
	// quick is the deadline where a plugin is expected to miss it.
	quick = time.Second
	// ample is the deadline where it must not matter, however slow the machine.
	ample = 2 * time.Minute
)

// rig is a host with a hostile plugin and a good one, on a directory of its
// own.
type rig struct {
	t         testing.TB
	host      *host.Host
	bad, good *host.Plugin
	log       *testutil.Buffer
}

// newRig makes everything that must be gone when t ends; it is checked.
func newRig(t testing.TB, how string, health time.Duration, edit func(*host.Spec)) *rig {
	t.Helper()
	noProcessesLeft(t)
	plugintest.NoLeaks(t)
	noFilesLeft(t)
	dir, err := os.MkdirTemp("", "sw")
	if err != nil {
		t.Fatal(err)
	}
	log := &testutil.Buffer{}
	h, err := host.New(host.Options{
		Logger: hclog.New(&hclog.LoggerOptions{Name: "spillway", Level: hclog.Info, Output: log, DisableTime: true}),
		Dir:    dir, HealthEvery: 100 * time.Millisecond, HealthTimeout: health, CancelGrace: quick / 2, ExitTimeout: ample,
	})
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{t: t, host: h, log: log}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), quick)
		defer cancel()
		if err := h.Close(ctx); err != nil {
			t.Errorf("closing the host: %v", err)
		}
		if left, err := filepath.Glob(filepath.Join(dir, "*")); err != nil || len(left) > 0 {
			t.Errorf("files left: %v, %v", left, err)
		}
		_ = os.RemoveAll(dir)
		if t.Failed() {
			t.Logf("the host's log:\n%s", log)
		}
	})
	spec := selfSpec(t, "bad")
	spec.Env = plugintest.RaceEnv(map[string]string{hostileEnv: how, "SPILLWAY_TEST_PID": strconv.Itoa(os.Getpid()), "API_TOKEN": "tok-123456789"})
	if edit != nil {
		edit(&spec)
	}
	r.bad = r.add(spec)
	r.good = r.add(selfSpec(t, "good"))
	return r
}

func (r *rig) add(spec host.Spec) *host.Plugin {
	r.t.Helper()
	p, err := r.host.Add(spec)
	if err != nil {
		r.t.Fatal(err)
	}
	return p
}

// selfSum is the checksum of the test binary, which is large: each rig has two plugins.
var selfSum = sync.OnceValues(func() (string, error) {
	self, err := os.Executable()
	if err != nil {
		return "", err
	}
	return host.Checksum(self)
})

// selfSpec runs the test binary as a plugin.
func selfSpec(t testing.TB, name string) host.Spec {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	sum, err := selfSum()
	if err != nil {
		t.Fatal(err)
	}
	return host.Spec{
		Name: name, Command: []string{self}, Checksum: sum, Timeout: hangGuard, Env: plugintest.RaceEnv(nil),
		Restart: host.Restart{MaxAttempts: 3, Backoff: 10 * time.Millisecond, MaxBackoff: 100 * time.Millisecond},
	}
}

// guarded is a stage with a deadline, which begins when the plugin is up.
func guarded(s sink.Stage, d time.Duration) sink.Stage {
	_ = s.Info()
	return middleware.Stage(s, middleware.Deadline(d))
}

// write sends one part through a pipeline with that stage, and reads it back: more than
// is under way at a time.
func (r *rig) write(s sink.Stage, targets ...sink.Target) error {
	return r.writeSome(4<<20, s, targets...)
}

func (r *rig) writeSome(size int, s sink.Stage, targets ...sink.Target) error {
	p := sink.NewPipeline("hostile", []sink.Stage{s}, plugintest.NewMemSink("local"), targets, sink.PipelineOptions{
		Logger: hclog.New(&hclog.LoggerOptions{Level: hclog.Error, Output: r.log}),
	})
	defer p.Close()
	data := plugintest.Payload(size)
	var sp sink.SetPart
	var err error
	plugintest.Within(r.t, "the job", func() {
		sp, err = p.Write(context.Background(), p.Part(1, sink.SetID{Generation: 1, Kind: sink.KindSnapshot}, 0, 1), func(w io.Writer) (int64, error) {
			n, err := w.Write(data)
			return int64(n), err
		}, nil)
	})
	if err != nil {
		return err
	}
	return p.Read(context.Background(), sp, func(src io.Reader) error {
		back, err := io.ReadAll(src)
		if err == nil && !bytes.Equal(back, data) {
			err = fmt.Errorf("%d other bytes come back", len(back))
		}
		return err
	})
}

// goodWorks requires that the next job with the good plugin succeeds.
func (r *rig) goodWorks() {
	r.t.Helper()
	if err := r.writeSome(64<<10, r.good.Stage("xor", "xor", nil)); err != nil {
		r.t.Errorf("the next job, with a good plugin: %v", err)
	}
}

// TestHostileStage: whatever a plugin's stage does, its job fails within the
// deadline, the error says which plugin did what, and nothing else suffers.
func TestHostileStage(t *testing.T) {
	short := func(s *host.Spec) { s.Timeout = quick }
	for how, c := range map[string]struct {
		want          []string
		stall, health time.Duration // 0: ample
		edit          func(*host.Spec)
	}{
		"never completes the handshake": {want: []string{"did not complete the handshake", "longer than 1s"}, edit: short},
		"prints garbage":                {want: []string{"is not a Spillway plugin", "Usage: not-a-plugin"}},
		"exits at once":                 {want: []string{"exited with status 7 before the handshake", "cannot open /etc/shadow"}},
		"speaks another version":        {want: []string{"did not complete the handshake", "99", "[2]"}},
		"offers nothing":                {want: []string{"offers 0 components"}},
		"offers a bad name":             {want: []string{"offers a component with the name", "a?[2Jb"}},
		"constructor hangs":             {want: []string{"did not make stage", "killed"}, edit: func(s *host.Spec) { s.Timeout = 10 * quick }},
		"constructor panics":            {want: []string{"panic: no such thing"}},
		"raw suffix climbs":             {want: []string{"with suffix"}},

		"hangs":                     {want: []string{"did nothing for 1s"}, stall: quick},
		"ignores cancellation":      {want: []string{"did nothing for 1s", "went on for 500ms after", "killed"}, stall: quick},
		"panics":                    {want: []string{"panic: index out of range"}},
		"crashes":                   {want: []string{"exited with status 2", "panic: crash of a goroutine"}},
		"exits":                     {want: []string{"exited with status 3"}},
		"is killed":                 {want: []string{"killed by signal 9"}},
		"is stopped":                {want: []string{"no sign of life", "killed"}, health: quick},
		"forks a child and dies":    {want: []string{"killed by signal 9"}},
		"returns early":             {want: []string{"before the end of its input"}},
		"fails":                     {want: []string{"no key to encrypt with"}},
		"gives a receipt too large": {want: []string{"receipt of 1048576 bytes"}},
		"floods its output":         {want: []string{"wrote more than"}},

		"does not connect":            {want: []string{"did nothing for 1s"}, stall: quick},
		"is done without connecting":  {want: []string{"done without connecting"}},
		"connects with a wrong token": {want: []string{"did nothing for 1s"}, stall: quick},
		"says it is done too early":   {want: []string{"said it was done after reading 1000 of at least", "before the end of its input"}},
		"lies about what it read":     {want: []string{"says it has read 4194303 bytes", "was sent 4194304"}},
		"lies about the digest":       {want: []string{"says it has read 4194304 bytes with CRC-32"}},
		"lies about what it wrote":    {want: []string{"says it has written 4195304 bytes", "4194304 with"}},
		"seals with a wrong size":     {want: []string{"sealed as 1 bytes", "there were 4194304"}},
		"cuts the stream":             {want: []string{"ended before the bytes were complete"}},
		"never seals":                 {want: []string{"did nothing for 1s"}, stall: quick},
		"writes garbage":              {want: []string{"not the stream format"}},
	} {
		t.Run(how, func(t *testing.T) {
			r := newRig(t, how, cmp.Or(c.health, ample), c.edit)
			err := r.write(guarded(r.bad.Stage("bad-stage", "", nil), cmp.Or(c.stall, ample)))
			if err == nil {
				t.Fatal("the job has succeeded")
			}
			for _, want := range append(c.want, `plugin "bad"`) {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("the error lacks %q:\n%v", want, err)
				}
			}
			r.goodWorks()
		})
	}
}

// TestHostileLog: what a plugin logs does not harm its job or the host, and
// arrives in bounds.
func TestHostileLog(t *testing.T) {
	for how, want := range map[string][]string{
		"logs without end":         {"plugin.bad: line 0: n=1", "lines were dropped"},
		"logs a giant line":        {"xxxxx", "cut_from_bytes=16777217"},
		"logs what is no JSON":     {"[INFO]  spillway.plugin.bad: plain", "[WARN]  spillway.plugin.bad: a warning", "plugin.bad: ???"},
		"logs malformed JSON":      {`{"@message":`, `{]}`},
		"logs JSON of odd types":   {`{"a":1}`, "[ERROR] spillway.plugin.bad: odd: field=\"somebody else\"", "x?y=true", "[1,2]", "just a string"},
		"prints to stdout and err": {"plugin.bad: by fmt", "plugin.bad: to os.Stderr"},
		"logs as it should":        {"[WARN]  spillway.plugin.bad: slow down: module=uploads api_token=[redacted] bucket=b"},
	} {
		t.Run(how, func(t *testing.T) {
			r := newRig(t, how, ample, nil)
			s := r.bad.Stage("noisy", "", nil)
			if err := r.write(middleware.Stage(s, middleware.Deadline(ample))); err != nil {
				t.Errorf("the job: %v", err)
			}
			for _, w := range want {
				await(t, func() bool { return strings.Contains(r.log.String(), w) }, func() string {
					return fmt.Sprintf("the log lacks %q", w)
				})
			}
			if n := len(r.log.String()); n > 256<<10 {
				t.Errorf("the log has %d bytes", n)
			}
			r.goodWorks()
		})
	}
}

// TestHostileSink is TestHostileStage for sinks.
func TestHostileSink(t *testing.T) {
	t.Cleanup(host.LimitDocuments(8 << 20))
	for how, c := range map[string]struct {
		want  string
		stall time.Duration
		do    func(sink.Sink) error
	}{
		"put is early": {"before the end of its input", ample, func(k sink.Sink) error {
			_, err := k.Put(context.Background(), part(1), bytes.NewReader(plugintest.Payload(1<<20)))
			return err
		}},
		"publish hangs": {"did nothing for 1s", quick, func(k sink.Sink) error {
			return k.Publish(context.Background(), sink.Set{ID: part(1).ID()})
		}},
		"raw lists without end": {"a set of more than 8388608", ample, func(k sink.Sink) error {
			_, err := k.List(context.Background())
			return err
		}},
		"raw lists no document": {"the document of a set", ample, func(k sink.Sink) error {
			_, err := k.List(context.Background())
			return err
		}},
		"raw has no put": {"method Put not implemented", ample, func(k sink.Sink) error {
			_, err := k.Put(context.Background(), part(1), strings.NewReader("x"))
			return err
		}},
	} {
		t.Run(how, func(t *testing.T) {
			r := newRig(t, how, ample, nil)
			k := r.bad.Sink("bad-sink", "", nil)
			if err := r.bad.Start(t.Context()); err != nil {
				t.Fatal(err)
			}
			var err error
			plugintest.Within(t, how, func() { err = c.do(middleware.Sink(k, middleware.Deadline(c.stall))) })
			if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), `plugin "bad"`) {
				t.Errorf("error %v, want one that says %q", err, c.want)
			}
			r.goodWorks()
		})
	}
}

// TestSecretsStayIn: neither an error nor the log shows what the operator gave
// the plugin as a secret.
func TestSecretsStayIn(t *testing.T) {
	r := newRig(t, "tells its secrets", ample, nil)
	err := r.write(guarded(r.bad.Stage("s", "s", []byte(`{"password":"hunter2-hunter2"}`)), ample))
	if err == nil || !strings.Contains(err.Error(), "cannot log in with [redacted] and [redacted]") {
		t.Errorf("error %v", err)
	}
	for _, secret := range []string{"hunter2", "tok-123456789"} {
		if strings.Contains(fmt.Sprint(err), secret) || strings.Contains(r.log.String(), secret) {
			t.Errorf("%q has leaked", secret)
		}
	}
}

// await waits for cond, as long as it takes within reason.
func await(t testing.TB, cond func() bool, what func() string) {
	t.Helper()
	for end := time.Now().Add(hangGuard); !cond(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Error(what())
			return
		}
	}
}
