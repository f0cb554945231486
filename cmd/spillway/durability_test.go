package main

import (
	"context"
	"net"
	"net/http"
	"strings"
	"testing"
)

// TestWhatIsSaidOfDurability goes through what can fail of persistence, and each
// time asks all who can say so: the replies, CONFIG, INFO, the metrics and /healthz.
// Everything heals by itself within seconds of the disk's return.
func TestWhatIsSaidOfDurability(t *testing.T) {
	t.Parallel()
	ctx, dir := context.Background(), t.TempDir()
	address := net.JoinHostPort("127.0.0.1", freePort(t))
	d := startFaulty(t, dir, "", "-config", writeConfig(t, `metrics { address = "`+address+`" }`),
		"--appendonly", "no", "--appendfsync", "always", "--save", "3600 1")
	healthy := func(says string) {
		t.Helper()
		code, body := get(t, "http://"+address+"/healthz")
		if want := map[bool]int{true: http.StatusOK, false: http.StatusServiceUnavailable}[says == "ok"]; code != want || !strings.Contains(body, says) {
			t.Errorf("healthz: %d %q, want %d and %q", code, body, want, says)
		}
	}
	logIs := func(state, config, enabled string) {
		t.Helper()
		if got := d.rdb.ConfigGet(ctx, "appendonly").Val()["appendonly"]; got != config {
			t.Errorf("CONFIG GET appendonly: %s, want %s", got, config)
		}
		if s, e := d.info("aof_state"), d.info("aof_enabled"); s != state || e != enabled {
			t.Errorf("aof_state:%s, aof_enabled:%s, want %s and %s", s, e, state, enabled)
		}
		m := scrape(t, "http://"+address+"/metrics")
		for _, s := range []string{"off", "starting", "on", "stopping"} {
			if is := m["spillway_log_state{state="+s+"}"] == 1; is != (s == state) {
				t.Errorf("metrics: the log is %s: %v", s, is)
			}
		}
	}
	refused := func(code string, cmd ...any) {
		t.Helper()
		if err := d.rdb.Do(ctx, cmd...).Err(); err == nil || !strings.HasPrefix(err.Error(), code) {
			t.Errorf("%v: %v, want %s", cmd, err, code)
		}
	}

	d.faults(`on write path "checkpoints/**" fail EIO`)
	d.do("INCR", "n")
	refused("ERR CONFIG SET failed (possibly related to argument 'appendonly') - Unable to turn on AOF", "CONFIG", "SET", "appendonly", "yes")
	logIs("off", "no", "0")
	healthy("ok")
	d.do("INCR", "n")

	refused("ERR", "SAVE")
	refused("MISCONF", "INCR", "n")
	healthy("writes are refused: the last save failed")
	d.faults("")
	d.waitFor("the save to be tried again", func() bool { return d.info("rdb_last_bgsave_status") == "ok" })
	healthy("ok")
	d.do("INCR", "n")

	d.do("CONFIG", "SET", "appendonly", "yes")
	logIs("on", "yes", "1")
	d.do("INCR", "n")
	// The checkpoint that heals is kept from happening while we look.
	d.faults(`on sync path "log/**" nth 1 fail EIO` + "\n" + `on write path "checkpoints/**" fail EIO`)
	refused("NOTDURABLE", "INCR", "n")
	refused("MISCONF", "INCR", "n")
	healthy("writes are refused")
	if got := d.do("GET", "n"); got != "5" {
		t.Errorf("n is %v, want what was executed: 5", got)
	}
	d.faults("")
	d.waitFor("a checkpoint to heal the log", func() bool { return d.info("aof_last_write_status") == "ok" })
	healthy("ok")
	d.do("INCR", "n")
	d.kill()
	again := startDaemon(t, dir, "--save", "")
	if got := again.do("GET", "n"); got != "6" {
		t.Errorf("after kill -9 n is %v, want 6", got)
	}
}
