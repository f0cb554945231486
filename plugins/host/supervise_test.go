package host_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/spillwaydb/spillway/core/sink"
	"github.com/spillwaydb/spillway/plugins/host"
	"github.com/spillwaydb/spillway/plugins/middleware"
	"github.com/spillwaydb/spillway/plugins/plugintest"
)

// alive tells whether a process runs; one that nobody has reaped does not.
func alive(pid int) bool {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	_, rest, _ := strings.Cut(string(b), ") ")
	return err == nil && !strings.HasPrefix(rest, "Z")
}

// TestStartsOnce: many first uses at once start one process.
func TestStartsOnce(t *testing.T) {
	r := newRig(t, "", ample, nil)
	s := r.good.Stage("xor", "", nil)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() { _ = s.Info() })
	}
	_ = r.good.Stage("xor", "xor", nil).Info()
	wg.Wait()
	if st := r.good.Status(); st.State != "running" || st.Starts != 1 || st.PID == 0 || st.LastError != nil {
		t.Errorf("status %+v", st)
	}
	if took, err := r.good.Ping(t.Context()); err != nil || took <= 0 {
		t.Errorf("ping: %s, %v", took, err)
	}
	if st := r.bad.Status(); st.State != "idle" || st.Starts != 0 {
		t.Errorf("the plugin that nobody used: %+v", st)
	}
}

// TestSignalsAreNotForPlugins: what ends the host's process group does not end
// the plugin.
func TestSignalsAreNotForPlugins(t *testing.T) {
	r := newRig(t, "", ample, nil)
	if err := r.good.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	pid := r.good.Status().PID
	for _, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP} {
		if err := syscall.Kill(pid, sig); err != nil {
			t.Fatal(err)
		}
	}
	r.goodWorks()
	if now := r.good.Status(); now.PID != pid || now.Starts != 1 {
		t.Errorf("process %d became %+v", pid, now)
	}
	if pgid, err := syscall.Getpgid(pid); err != nil || pgid != pid {
		t.Errorf("the plugin's process group is %d, %v; want its own, %d", pgid, err, pid)
	}
}

// TestReplaced: a process that was killed is replaced, at once where Start
// asked for the plugin, at the next use otherwise.
func TestReplaced(t *testing.T) {
	r := newRig(t, "", ample, nil)
	if err := r.good.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	lazy := r.add(selfSpec(t, "lazy"))
	if _, err := lazy.Ping(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, p := range []*host.Plugin{r.good, lazy} {
		if err := syscall.Kill(p.Status().PID, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
	}
	await(t, func() bool { s := r.good.Status(); return s.State == "running" && s.Starts == 2 }, func() string {
		return fmt.Sprintf("started by Start: %+v", r.good.Status())
	})
	await(t, func() bool { return lazy.Status().State == "failing" }, func() string {
		return fmt.Sprintf("started by its use: %+v", lazy.Status())
	})
	if s := lazy.Status(); s.LastError == nil || !strings.Contains(s.LastError.Error(), "killed by signal 9") || s.Starts != 1 {
		t.Errorf("status %+v", s)
	}
	if err := r.write(lazy.Stage("xor", "xor", nil)); err != nil {
		t.Errorf("the next use: %v", err)
	}
	if s := lazy.Status(); s.Starts != 2 || s.Failures != 0 {
		t.Errorf("after a use that went well: %+v", s)
	}
}

// TestDiesUnderHealthCheck: that a question for a sign of life fails because the
// process has just died does not make it one that gave none.
func TestDiesUnderHealthCheck(t *testing.T) {
	noProcessesLeft(t)
	dir, err := os.MkdirTemp("", "sw") // short: it is to hold sockets
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	h, err := host.New(host.Options{Dir: dir, HealthEvery: 100 * time.Microsecond, HealthTimeout: ample, ExitTimeout: ample})
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close(t.Context())
	spec := selfSpec(t, "mortal")
	spec.Restart = host.Restart{MaxAttempts: 2, Backoff: time.Millisecond, MaxBackoff: time.Millisecond}
	p, err := h.Add(spec)
	if err != nil {
		t.Fatal(err)
	}
	for round := range 20 {
		await(t, func() bool { _, err := p.Ping(t.Context()); return err == nil }, func() string { return fmt.Sprintf("%+v", p.Status()) })
		if err := syscall.Kill(p.Status().PID, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		await(t, func() bool { return p.Status().State == "failing" }, func() string { return fmt.Sprintf("%+v", p.Status()) })
		if err := p.Status().LastError; err == nil || !strings.Contains(err.Error(), "was killed by signal 9") {
			t.Errorf("round %d: %v", round, err)
		}
	}
}

// TestGivesUp: a plugin that keeps failing is not started for every job.
func TestGivesUp(t *testing.T) {
	r := newRig(t, "exits at once", ample, func(s *host.Spec) {
		s.Restart = host.Restart{MaxAttempts: 2, Backoff: time.Millisecond, MaxBackoff: time.Hour}
	})
	for i, want := range []string{"exited with status 7", "exited with status 7", "failure 2 in a row; the next start is in", "failure 2 in a row"} {
		if _, err := r.bad.Ping(t.Context()); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("use %d: %v, want %q", i+1, err, want)
		}
	}
	if s := r.bad.Status(); s.State != "failing" || s.Failures != 2 || s.LastError == nil {
		t.Errorf("status %+v", s)
	}
}

// TestPinned: only the pinned program is started, and the pin is checked at
// each start.
func TestPinned(t *testing.T) {
	r := newRig(t, "", ample, nil)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(t.TempDir(), "plugin")
	copyFile(t, program, self)
	sum, err := host.Checksum(program)
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	spec := func(edit func(*host.Spec)) host.Spec {
		n++
		s := selfSpec(t, fmt.Sprint("p", n))
		s.Command, s.Checksum = []string{program}, sum
		edit(&s)
		return s
	}
	for name, c := range map[string]struct {
		edit func(*host.Spec)
		want string
	}{
		"not pinned":      {func(s *host.Spec) { s.Checksum = "" }, "is not pinned; write checksum = \"" + sum},
		"both":            {func(s *host.Spec) { s.Insecure = true }, "write one of them"},
		"malformed":       {func(s *host.Spec) { s.Checksum = "md5:1234" }, "spillway plugins checksum"},
		"another program": {func(s *host.Spec) { s.Checksum = "sha256:" + strings.Repeat("ab", 32) }, "has " + sum},
		"absent":          {func(s *host.Spec) { s.Command = []string{"/nonexistent/plugin"} }, "no such file"},
		"not in PATH":     {func(s *host.Spec) { s.Command = []string{"spillway-plugin-nonexistent"} }, "not found"},
		"no command":      {func(s *host.Spec) { s.Command = nil }, "no command"},
	} {
		p := r.add(spec(c.edit))
		if err := p.Spec().Verify(); err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), p.Name()) {
			t.Errorf("%s: Verify says %v, want %q", name, err, c.want)
		}
		if _, err := p.Ping(t.Context()); err == nil || !strings.Contains(err.Error(), c.want) || !sink.IsPermanent(err) {
			t.Errorf("%s: a use says %v, want %q", name, err, c.want)
		}
	}
	for _, edit := range []func(*host.Spec){func(*host.Spec) {}, func(s *host.Spec) { s.Checksum, s.Insecure = "", true }} {
		p := r.add(spec(edit))
		if _, err := p.Ping(t.Context()); err != nil {
			t.Error(err)
		}
	}

	p := r.add(spec(func(*host.Spec) {}))
	if _, err := p.Ping(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(program); err != nil { // a running program's file cannot be written to
		t.Fatal(err)
	}
	copyFile(t, program, self)
	f, err := os.OpenFile(program, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	_, err = f.WriteString("tampered")
	if err := errors.Join(err, f.Close()); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(p.Status().PID, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	await(t, func() bool { return p.Status().State != "running" }, func() string { return "it does not die" })
	if _, err := p.Ping(t.Context()); !errors.Is(err, host.ErrChecksum) {
		t.Errorf("the start after the program was exchanged: %v", err)
	}
	if err := os.Chmod(program, 0o757); err != nil {
		t.Fatal(err)
	}
	if err := r.add(spec(func(*host.Spec) {})).Spec().Verify(); err == nil || !strings.Contains(err.Error(), "everybody may write") {
		t.Errorf("a program that everybody may write to: %v", err)
	}
}

func copyFile(t testing.TB, to, from string) {
	t.Helper()
	b, err := os.ReadFile(from)
	if err == nil {
		err = os.WriteFile(to, b, 0o755)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// TestEnvironment: a plugin has the environment it was given, and nothing of
// the host's.
func TestEnvironment(t *testing.T) {
	t.Setenv("SPILLWAY_PASSWORD", "a secret of the host")
	r := newRig(t, "", ample, func(s *host.Spec) { s.Env["GIVEN"] = "yes"; delete(s.Env, hostileEnv) })
	if err := r.bad.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	env, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", r.bad.Status().PID))
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(env, []byte("GIVEN=yes\x00")) || bytes.Contains(env, []byte("SPILLWAY_PASSWORD")) {
		t.Errorf("environment %q", env)
	}
	if st, err := os.Stat(filepath.Dir(r.socketDir())); err != nil || st.Mode().Perm() != 0o700 {
		t.Errorf("the directory of the sockets: %v, %v", st, err)
	}
}

// socketDir is the directory of some process's sockets.
func (r *rig) socketDir() string {
	r.t.Helper()
	dirs, err := filepath.Glob(filepath.Join(os.TempDir(), "sw*", "spillway-plugins-*", "*", "plugin-dir*"))
	if err != nil || len(dirs) == 0 {
		r.t.Fatalf("no directory of sockets: %v", err)
	}
	return dirs[0]
}

// TestCloseDrains: calls that run may finish, further ones are refused.
func TestCloseDrains(t *testing.T) {
	r := newRig(t, "", ample, nil)
	s := r.good.Stage("copy", "copy", nil)
	_ = s.Info()
	src, feed := io.Pipe()
	var out bytes.Buffer
	result := make(chan error, 1)
	go func() { _, err := s.Encode(context.Background(), part(1), &out, src); result <- err }()
	if _, err := feed.Write([]byte("the first half, ")); err != nil {
		t.Fatal(err)
	}
	closed := make(chan error, 1)
	go func() { closed <- r.host.Close(context.Background()) }()
	await(t, func() bool { return r.good.Status().State == "closed" }, func() string { return "not closing" })
	if _, err := r.good.Ping(t.Context()); err == nil || !strings.Contains(err.Error(), "ended it") {
		t.Errorf("a use after Close: %v", err)
	}
	if _, err := feed.Write([]byte("the second")); err != nil {
		t.Fatal(err)
	}
	_ = feed.Close()
	if err := <-result; err != nil || out.String() != "the first half, the second" {
		t.Errorf("the call in flight: %q, %v", out.String(), err)
	}
	if err := <-closed; err != nil {
		t.Error(err)
	}
	if _, err := r.host.Add(selfSpec(t, "late")); err == nil {
		t.Error("Add after Close: nil")
	}
}

// TestKilledAtRandom kills the plugin at random moments of a job: the job fails
// and names the plugin, and the next one succeeds.
func TestKilledAtRandom(t *testing.T) {
	seed := time.Now().UnixNano()
	if s := os.Getenv("SPILLWAY_SEED"); s != "" {
		var err error
		if seed, err = strconv.ParseInt(s, 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("replay: SPILLWAY_SEED=%d go test ./plugins/host -run TestKilledAtRandom", seed)
	rng := rand.New(rand.NewSource(seed))
	r := newRig(t, "", ample, nil)
	if err := r.good.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	s := middleware.Stage(r.good.Stage("xor", "xor", nil), middleware.Retry(middleware.Policy{Attempts: 5, Backoff: 10 * time.Millisecond}), middleware.Deadline(ample))
	failed := 0
	for round := range 20 {
		await(t, func() bool { return r.good.Status().PID != 0 }, func() string { return "it is not up" })
		pid := r.good.Status().PID
		timer := time.AfterFunc(time.Duration(rng.Intn(40))*time.Millisecond, func() { _ = syscall.Kill(pid, syscall.SIGKILL) })
		if err := r.write(s); err != nil {
			failed++
			if !strings.Contains(err.Error(), `plugin "good"`) {
				t.Errorf("round %d: the error does not name the plugin: %v", round, err)
			}
		}
		timer.Stop()
		if err := r.write(s); err != nil && !strings.Contains(err.Error(), "killed by signal 9") {
			t.Errorf("round %d: the job after it: %v", round, err)
		}
	}
	t.Logf("%d of 20 jobs were hit", failed)
}

// hostEnv makes the test binary a host that starts a plugin, says its process
// id and waits to be killed.
const hostEnv = "SPILLWAY_TEST_HOST"

// beHost is main of that host.
func beHost() {
	h, err := host.New(host.Options{})
	if err == nil {
		var p *host.Plugin
		self, _ := os.Executable()
		if p, err = h.Add(host.Spec{Name: "p", Command: []string{self}, Insecure: true}); err == nil {
			if err = p.Start(context.Background()); err == nil {
				fmt.Println(p.Status().PID)
				select {}
			}
		}
	}
	fmt.Println(err)
}

// TestNoOrphans: a plugin does not outlive its host, however that dies, and the
// directory that a killed host leaves is removed by the next one.
func TestNoOrphans(t *testing.T) {
	tmp, err := os.MkdirTemp("", "sw")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(tmp)
	for name, sig := range map[string]syscall.Signal{"killed": syscall.SIGKILL, "terminated": syscall.SIGTERM, "aborted": syscall.SIGABRT} {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), hostEnv+"=1", "TMPDIR="+tmp)
		stdout, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		line, err := bufio.NewReader(stdout).ReadString('\n')
		pid, perr := strconv.Atoi(strings.TrimSpace(line))
		if err != nil || perr != nil {
			t.Fatalf("the host says %q, %v", line, err)
		}
		if !alive(pid) {
			t.Fatalf("the plugin %d does not live", pid)
		}
		if err := cmd.Process.Signal(sig); err != nil {
			t.Fatal(err)
		}
		_ = cmd.Wait()
		await(t, func() bool { return !alive(pid) }, func() string { return fmt.Sprintf("the host was %s, and the plugin lives on", name) })
	}
	if left, _ := filepath.Glob(filepath.Join(tmp, "*")); len(left) == 0 {
		t.Error("the killed hosts left nothing to be swept: the test does not test it")
	}
	h, err := host.New(host.Options{Dir: tmp})
	if err != nil {
		t.Fatal(err)
	}
	if left, _ := filepath.Glob(filepath.Join(tmp, "*")); len(left) != 1 {
		t.Errorf("after the next start there is %v", left)
	}
	// A living host's directory stays.
	h2, err := host.New(host.Options{Dir: tmp})
	if err != nil {
		t.Fatal(err)
	}
	if left, _ := filepath.Glob(filepath.Join(tmp, "*")); len(left) != 2 {
		t.Errorf("with two hosts there is %v", left)
	}
	for _, h := range []*host.Host{h, h2} {
		if err := h.Close(t.Context()); err != nil {
			t.Error(err)
		}
	}
}

// TestLifeline: without the kernel's help too, a plugin exits when its stdin
// ends.
func TestLifeline(t *testing.T) {
	dir, err := os.MkdirTemp("", "sw")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "SPILLWAY_PLUGIN=b6a4e1c0f7d24d5c9a3f", "PLUGIN_PROTOCOL_VERSIONS=2", "PLUGIN_UNIX_SOCKET_DIR="+dir)
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(stdout).ReadString('\n'); err != nil || !strings.HasPrefix(line, "1|2|unix|") {
		t.Errorf("the handshake is %q, %v", line, err)
	}
	_ = stdin.Close()
	plugintest.Within(t, "the plugin without a host", func() {
		if err := cmd.Wait(); err != nil {
			t.Errorf("it ends with %v", err)
		}
	})
}

// TestComponentChoice: which of a plugin's components a block means.
func TestComponentChoice(t *testing.T) {
	r := newRig(t, "", ample, nil)
	check := func(s any) error { return s.(interface{ Check(context.Context) error }).Check(t.Context()) }
	for name, c := range map[string]struct {
		s    any
		want string
	}{
		"by name":               {r.good.Stage("a", "xor", nil), ""},
		"by the block's name":   {r.good.Stage("xor", "", nil), ""},
		"neither":               {r.good.Stage("a", "", nil), `write stage = "copy", or another of copy, xor`},
		"unknown":               {r.good.Sink("a", "s3", nil), `offers no sink "s3", but stage copy`},
		"wrong kind":            {r.good.Sink("a", "xor", nil), `offers no sink "xor"`},
		"config it cannot take": {r.good.Stage("a", "xor", []byte(`{"level":3}`)), `there is no attribute "level"`},
		"config of a type":      {r.good.Sink("a", "dir", []byte(`{"root":3}`)), `attribute "root" wants string`},
		"config it takes":       {r.good.Sink("a", "dir", []byte(`{"root":"`+t.TempDir()+`"}`)), ""},
	} {
		err := check(c.s)
		if (c.want == "") != (err == nil) || (err != nil && (!strings.Contains(err.Error(), c.want) || !sink.IsPermanent(err))) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
	if i := r.good.Stage("mine", "xor", nil).Info(); i != (sink.Info{Name: "mine", Version: "test", Suffix: ".xor"}) {
		t.Errorf("info %+v", i)
	}
}
