package core_test

import (
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/spillwaydb/spillway/core"
	"github.com/spillwaydb/spillway/core/coretest"
	"github.com/spillwaydb/spillway/internal/testutil"
)

// TestDebugSwitches: what DEBUG switches is on from then on, and off again.
func TestDebugSwitches(t *testing.T) {
	var log testutil.Buffer
	h := coretest.New(t, func(o *core.Options) { o.Logger = hclog.New(&hclog.LoggerOptions{Output: &log}) })
	want := func(want string, line ...string) {
		t.Helper()
		if got := h.Do(line...); !strings.Contains(got, want) {
			t.Errorf("%q: %s, want %s", line, got, want)
		}
	}
	want("OK", "DEBUG", "LOG", "hello there")
	if !strings.Contains(log.String(), "DEBUG LOG: hello there") {
		t.Errorf("the log has\n%s", log.String())
	}

	expired := func() int64 { return h.DB.Stats().ExpiredKeys.Load() }
	want("OK", "SET", "k", "v", "PX", "10")
	want("OK", "DEBUG", "PAUSE-CRON", "1")
	h.Clock.Advance(time.Second)
	h.DB.Tick()
	if expired() != 0 {
		t.Error("a key has expired while the cron was paused")
	}
	want("OK", "DEBUG", "PAUSE-CRON", "0")
	h.DB.Tick()
	if expired() != 1 {
		t.Error("no key expires after the pause")
	}

	want("OK", "DEBUG", "SET-ACTIVE-EXPIRE", "0")
	want("OK", "SET", "k", "v", "PX", "10")
	h.Clock.Advance(time.Second)
	want("serializedlength:", "DEBUG", "OBJECT", "k") // is past its deadline, and nobody has come across it
	want("0", "EXISTS", "k")
	want("no such key", "DEBUG", "OBJECT", "k")
	want("OK", "DEBUG", "SET-ACTIVE-EXPIRE", "1")

	want("OK", "DEBUG", "RELOAD", "NOFLUSH") // there is nothing
	want("OK", "SET", "k", "v")
	want("ERR Error trying to load the RDB dump", "DEBUG", "RELOAD", "NOFLUSH")
	want("OK", "DEBUG", "RELOAD", "NOFLUSH", "MERGE")
	want("1", "DEL", "k")
	want("lib", "FUNCTION", "LOAD", "#!lua name=lib\nredis.register_function('f', function() return 1 end)")
	want("ERR Error trying to load the RDB dump", "DEBUG", "RELOAD", "NOFLUSH", "NOSAVE")
	want("OK", "DEBUG", "RELOAD")

	script := []string{"EVAL", "return redis.call('client', 'id')", "0"}
	want("not allowed from script", script...)
	want("OK", "DEBUG", "SET-DISABLE-DENY-SCRIPTS", "1")
	if got := h.Do(script...); strings.Contains(got, "ERR") {
		t.Error(got)
	}
	want("OK", "DEBUG", "SET-DISABLE-DENY-SCRIPTS", "0")
	want("not allowed from script", script...)
}
