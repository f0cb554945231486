package exec_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"testing/iotest"
	"time"

	"github.com/spillwaydb/spillway/core/sink"
	"github.com/spillwaydb/spillway/plugins"
	pexec "github.com/spillwaydb/spillway/plugins/exec"
	"github.com/spillwaydb/spillway/plugins/plugintest"
)

func TestMain(m *testing.M) { plugintest.Main(m, plugins.Stage(pexec.Name, pexec.New)) }

var (
	part = sink.Part{Kind: sink.KindSnapshot, Generation: 1, Shards: 1, Name: "shard-0000.rdb"}
	gzip = pexec.Options{Encode: []string{"gzip", "-1", "-c"}, Decode: []string{"gzip", "-d", "-c"}, Suffix: ".gz"}
)

func mk(t testing.TB, o pexec.Options) sink.Stage {
	t.Helper()
	s, err := pexec.New(o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// sh is a stage whose encode program is a shell script.
func sh(t testing.TB, script string) sink.Stage {
	return mk(t, pexec.Options{Encode: []string{"sh", "-c", script}, Decode: []string{"cat"}})
}

func encode(s sink.Stage, data []byte) ([]byte, error) {
	var out bytes.Buffer
	_, err := s.Encode(context.Background(), part, &out, bytes.NewReader(data))
	return out.Bytes(), err
}

func TestConformance(t *testing.T) {
	plugintest.TestStage(t, func(t testing.TB) sink.Stage { return mk(t, gzip) })
}

func TestConformanceOverWire(t *testing.T) {
	w := plugintest.Loopback(t)
	plugintest.TestStage(t, func(t testing.TB) sink.Stage { return w.Stage(t, pexec.Name, gzip) })
}

func TestThroughGPG(t *testing.T) {
	if _, err := exec.LookPath("gpg"); err != nil {
		t.Fatalf("this test needs gpg: apt-get install gpg (%v)", err)
	}
	home, err := os.MkdirTemp("", "sw") // gpg's agent wants a short name for its socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = exec.Command("gpgconf", "--homedir", home, "--kill", "all").Run()
		_ = os.RemoveAll(home)
	})
	t.Setenv("GNUPGHOME", home)
	secret := []string{"gpg", "--batch", "--quiet", "--pinentry-mode", "loopback", "--passphrase", "correct horse"}
	s := mk(t, pexec.Options{Encode: append(secret[:len(secret):len(secret)], "--symmetric"), Decode: append(secret[:len(secret):len(secret)], "--decrypt"), Suffix: ".gpg"})
	data := plugintest.Payload(1 << 20)
	stored, err := encode(s, data)
	if err != nil {
		t.Fatal(err)
	}
	var back bytes.Buffer
	if err := s.Decode(context.Background(), part, nil, &back, bytes.NewReader(stored)); err != nil || !bytes.Equal(back.Bytes(), data) {
		t.Errorf("%d bytes come back, %v", back.Len(), err)
	}
	stored[len(stored)/2] ^= 1
	if err := s.Decode(context.Background(), part, nil, io.Discard, bytes.NewReader(stored)); err == nil || !strings.Contains(err.Error(), "exit status 2") {
		t.Errorf("a flipped bit: %v", err)
	}
}

// TestEndsThatAreNoSuccess: an exit status, an early end, a signal.
func TestEndsThatAreNoSuccess(t *testing.T) {
	big := plugintest.Payload(1 << 20)
	for script, want := range map[string]string{
		"cat; echo no such key >&2; exit 3": "exit status 3: no such key",
		"head -c 10":                        "before it had read its input to the end",
		"exit 0":                            "before it had read its input to the end",
		"cat >/dev/null; kill -9 $$":        "signal: killed",
	} {
		for _, data := range [][]byte{[]byte("a few bytes more than ten"), big} {
			if _, err := encode(sh(t, script), data); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%q with %d bytes: %v, want %q", script, len(data), err, want)
			}
		}
	}
	if out, err := encode(sh(t, "head -c 10 && cat >/dev/null"), big); err != nil || len(out) != 10 {
		t.Errorf("a program that reads all and writes little: %d bytes, %v", len(out), err)
	}
	if out, err := encode(sh(t, "cat"), nil); err != nil || len(out) != 0 {
		t.Errorf("no input and no output: %q, %v", out, err)
	}
}

// TestNoEarlyEOF: when the source fails, the program is not told that this was
// the end.
func TestNoEarlyEOF(t *testing.T) {
	mark := filepath.Join(t.TempDir(), "finished")
	boom := errors.New("boom")
	src := io.MultiReader(strings.NewReader("half"), iotest.ErrReader(boom))
	_, err := sh(t, "cat; touch "+mark).Encode(context.Background(), part, io.Discard, src)
	if !errors.Is(err, boom) {
		t.Errorf("error %v", err)
	}
	if _, err := os.Stat(mark); err == nil {
		t.Error("the program saw an end and went on")
	}
}

// TestCancelKillsAll: a cancelled call leaves neither the program nor what it
// started.
func TestCancelKillsAll(t *testing.T) {
	pids := filepath.Join(t.TempDir(), "pids")
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	src, feed := io.Pipe() // never ends
	defer feed.Close()
	context.AfterFunc(ctx, func() { _ = feed.CloseWithError(context.Canceled) })
	done := make(chan error, 1)
	go func() {
		_, err := sh(t, "sleep 1000 & echo $$ $! > "+pids+"; wait").Encode(ctx, part, io.Discard, src)
		done <- err
	}()
	var fields []string
	for end := time.Now().Add(time.Minute); len(fields) < 2; time.Sleep(5 * time.Millisecond) {
		b, _ := os.ReadFile(pids)
		if fields = strings.Fields(string(b)); time.Now().After(end) {
			t.Fatal("the program does not start")
		}
	}
	cancel()
	plugintest.Within(t, "the cancelled call", func() {
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("error %v", err)
		}
	})
	for _, f := range fields {
		pid, err := strconv.Atoi(f)
		if err != nil {
			t.Fatal(err)
		}
		for end := time.Now().Add(time.Minute); running(pid); time.Sleep(5 * time.Millisecond) {
			if time.Now().After(end) {
				t.Errorf("process %d lives on", pid)
				_ = syscall.Kill(pid, syscall.SIGKILL)
				break
			}
		}
	}
}

func running(pid int) bool {
	b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	_, rest, _ := strings.Cut(string(b), ") ")
	return err == nil && !strings.HasPrefix(rest, "Z")
}

func TestBadOptions(t *testing.T) {
	for name, o := range map[string]pexec.Options{
		"no encode":  {Decode: []string{"cat"}},
		"no decode":  {Encode: []string{"cat"}},
		"no program": {Encode: []string{"no-such-program-at-all"}, Decode: []string{"cat"}},
		"bad suffix": {Encode: []string{"cat"}, Decode: []string{"cat"}, Suffix: "/../x"},
	} {
		if _, err := pexec.New(o); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}
