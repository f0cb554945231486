package hooks

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/spillwaydb/spillway/internal/testutil"
)

type world struct {
	*Runner
	log    testutil.Buffer
	failed chan error
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{failed: make(chan error, 100)}
	w.Runner = New(Options{
		Logger: hclog.New(&hclog.LoggerOptions{Output: &w.log}), Directory: "/data", Version: "1.2",
		Failed: func(_ string, err error) { w.failed <- err },
	})
	t.Cleanup(func() { w.Close(0) })
	return w
}

func failure(text string) Event {
	return Event{Event: "drill", Result: Failure, Time: time.Unix(1_800_000_000, 0), Text: text}
}

// TestURL: what is posted is the event; a server that fails is asked again, one that
// refuses is not, and nothing of the URL but its host is told.
func TestURL(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		answers []int // the last one stays
		fails   string
	}{
		"at once":            {[]int{200}, ""},
		"after two failures": {[]int{503, 429, 204}, ""},
		"refused":            {[]int{404}, "404"},
		"sent elsewhere":     {[]int{302}, "redirections"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := make(chan *http.Request, 10)
			bodies := make(chan Event, 10)
			n := 0
			srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				var e Event
				if err := json.NewDecoder(r.Body).Decode(&e); err != nil {
					t.Error(err)
				}
				got <- r
				bodies <- e
				w.Header().Set("Location", "/else/where")
				w.WriteHeader(c.answers[min(n, len(c.answers)-1)])
				n++
			}))
			t.Cleanup(srv.Close)
			w := newWorld(t)
			w.Put(Hook{Event: "drill", Result: Failure, URL: srv.URL + "/hush-path?hush=1", Headers: map[string]string{"Authorization": "Bearer hush"}, Timeout: time.Minute})
			w.Tell(Event{Event: "drill", Result: Success})
			w.Tell(Event{Event: "checkpoint", Result: Failure})
			w.Tell(failure("it\nbroke"))
			for range c.answers {
				r, e := <-got, <-bodies
				if r.Method != http.MethodPost || r.URL.Path != "/hush-path" || r.Header.Get("Authorization") != "Bearer hush" || r.UserAgent() != "spillway/1.2" {
					t.Errorf("%s %s %v", r.Method, r.URL, r.Header)
				}
				if e.Event != "drill" || e.Result != Failure || e.Text != "it broke" || e.Directory != "/data" || e.Version != "1.2" || e.Time.Unix() != 1_800_000_000 {
					t.Errorf("%+v", e)
				}
			}
			if c.fails != "" {
				if err := <-w.failed; !strings.Contains(err.Error(), c.fails) || strings.Contains(err.Error(), "hush") {
					t.Errorf("%v", err)
				}
			}
			w.Close(time.Minute)
			want := Count{Event: "drill", Result: Failure, Delivered: 1}
			if c.fails != "" {
				want = Count{Event: "drill", Result: Failure, Failed: 1}
			}
			if got := w.Counts(); len(got) != 1 || got[0] != want {
				t.Errorf("%+v, want %+v", got, want)
			}
			if strings.Contains(w.log.String(), "hush") || len(got) != 0 {
				t.Errorf("%d more requests, and the log:\n%s", len(got), w.log.String())
			}
		})
	}
}

// TestCommand: a command reads the event, has its environment and nothing of ours, and
// neither it nor what it starts outlives its time.
func TestCommand(t *testing.T) {
	t.Setenv("SPILLWAY_PASSWORD", "hush")
	dir := t.TempDir()
	w := newWorld(t)
	run := func(script string, timeout time.Duration) error {
		h := Hook{Command: []string{"/bin/sh", "-c", script, "name", "a b"}, Env: map[string]string{"MINE": "yes", "OUT": dir}, Timeout: timeout}
		return h.tell(t.Context(), &Event{Event: "drill", Result: Failure, Text: "because"}, []byte("{}\n"), w.Logger, "1")
	}
	if err := run(`cat >"$OUT/stdin"; env >"$OUT/env"; echo "$1" >"$OUT/args"; echo done; echo fine >&2`, time.Minute); err != nil {
		t.Fatal(err)
	}
	read := func(name string) string {
		b, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	if read("stdin") != "{}\n" || read("args") != "a b\n" {
		t.Errorf("stdin %q, arguments %q", read("stdin"), read("args"))
	}
	env := read("env")
	for _, want := range []string{"SPILLWAY_EVENT=drill\n", "SPILLWAY_RESULT=failure\n", "SPILLWAY_TEXT=because\n", "MINE=yes\n", "PATH="} {
		if !strings.Contains(env, want) {
			t.Errorf("the environment lacks %q:\n%s", want, env)
		}
	}
	if strings.Contains(env, "hush") {
		t.Errorf("the environment is ours:\n%s", env)
	}
	if !strings.Contains(w.log.String(), "done fine") {
		t.Errorf("the log:\n%s", w.log.String())
	}
	if err := run(`echo why; exit 3`, time.Minute); err == nil || !strings.Contains(err.Error(), "exit status 3: why") {
		t.Errorf("%v", err)
	}
	if err := run(`yes x | head -c 1000000`, time.Minute); err != nil || len(w.log.String()) > 20_000 {
		t.Errorf("%v, and %d bytes of log", err, len(w.log.String()))
	}
	fifo := filepath.Join(dir, "never")
	if err := run(`mkfifo `+fifo+`; (read x <`+fifo+`; ) & read x <`+fifo, 200*time.Millisecond); err == nil || !strings.Contains(err.Error(), "not ended") {
		t.Errorf("%v", err)
	}
	testutil.Eventually(t, "what it has started to end", func() bool {
		f, err := os.OpenFile(fifo, os.O_WRONLY|syscall.O_NONBLOCK, 0)
		if err == nil {
			_ = f.Close()
		}
		return errors.Is(err, syscall.ENXIO) // nobody reads
	})
}

// TestQueue: whoever tells never waits; what does not fit is counted. A failure that a job
// meets again by itself is told once an hour, and again after a success.
func TestQueue(t *testing.T) {
	t.Parallel()
	held := make(chan struct{})
	asked := make(chan struct{}, 100)
	srv := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked <- struct{}{}; <-held }))
	t.Cleanup(srv.Close)
	w := newWorld(t)
	w.Put(Hook{Event: "drill", Result: Failure, URL: srv.URL, Timeout: time.Minute})
	w.Tell(failure("first"))
	<-asked
	for i := range waiting + 3 {
		w.Tell(failure(fmt.Sprint(i)))
	}
	if c := w.Counts()[0]; c.Dropped != 3 {
		t.Errorf("%+v", c)
	}
	close(held)
	w.Put() // what waits is told
	w.Close(time.Minute)
	if c := w.Counts()[0]; c.Delivered != waiting+1 {
		t.Errorf("%+v", c)
	}

	w = newWorld(t)
	at := time.Unix(1_800_000_000, 0)
	tell := func(result, text string, after time.Duration) bool {
		e := Event{Event: "checkpoint", Result: result, Text: text, Time: at.Add(after), Retried: true}
		w.mu.Lock()
		defer w.mu.Unlock()
		return !w.repeated(e)
	}
	for i, step := range []struct {
		result, text string
		after        time.Duration
		told         bool
	}{
		{Failure, "full", 0, true}, {Failure, "full", time.Minute, false}, {Failure, "gone", 2 * time.Minute, true},
		{Failure, "gone", time.Hour, false}, {Failure, "gone", 2 * time.Hour, true}, {Success, "", 2 * time.Hour, true},
		{Success, "", 2 * time.Hour, true}, {Failure, "gone", 2 * time.Hour, true},
	} {
		if got := tell(step.result, step.text, step.after); got != step.told {
			t.Errorf("step %d: told %v", i, got)
		}
	}
}

// TestCheckURL: http to another machine is open, and to this one is not.
func TestCheckURL(t *testing.T) {
	t.Parallel()
	for raw, want := range map[string]string{
		"https://hc-ping.com/x": "", "http://127.0.0.1:8000/x": "", "http://[::1]/x": "", "http://localhost/": "",
		"http://example.org/": "open", "http://10.0.0.1/": "open", "ftp://example.org": "want http", "https:///x": "no host", "http://a b/": "no URL",
	} {
		open, err := CheckURL(raw)
		got := ""
		if err != nil {
			got = err.Error()
		} else if open {
			got = "open"
		}
		if want == "" && got != "" || !strings.Contains(got, want) {
			t.Errorf("%s: %q, want %q", raw, got, want)
		}
	}
	if got := Shown("https://me:hush@hc-ping.com/hush?hush#hush"); got != "https://hc-ping.com/…" {
		t.Errorf("shown: %s", got)
	}
}
