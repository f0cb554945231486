package main

import (
	"fmt"
	"strings"
	"syscall"
	"testing"
)

// launchLoading starts a daemon on a disk that does not hand out the checkpoint's
// parts, so that it hangs in the middle of loading until its faults are lifted.
func launchLoading(t *testing.T, dir string, flags ...string) *faultyDaemon {
	t.Helper()
	script := writeFaults(t, `on read path "checkpoints/**" hang`)
	d := launchBinary(t, faultyBinary(t), append([]string{"--dir", dir, "--fault-script", script}, flags...)...)
	return &faultyDaemon{daemon: d, script: script}
}

// savedDir is a data directory with one snapshot of one part and keys on top of it.
func savedDir(t *testing.T, flags ...string) string {
	t.Helper()
	dir := t.TempDir()
	d := startDaemon(t, dir, append([]string{"--shards", "1", "--save", ""}, flags...)...)
	for i := range 100 {
		d.do("SET", fmt.Sprint("base:", i), i)
	}
	d.do("SAVE")
	d.do("SET", "logged", "yes")
	d.stop()
	return dir
}

// TestLoading: clients that come while the data is loaded are told so, may
// prepare their connection and look, and are served by it once all is there.
func TestLoading(t *testing.T) {
	t.Parallel()
	dir := savedDir(t)
	d := launchLoading(t, dir, "--shards", "2", "--requirepass", "pw", "--enable-debug-command", "yes")
	w := d.dial()
	const loading = "(error) LOADING Redis is loading the dataset in memory"
	for _, c := range [][2]string{
		{"PING", "(error) NOAUTH Authentication required."},
		{"AUTH pw", `"OK"`},
		{"PING", loading}, {"GET base:1", loading}, {"SET a 1", loading}, {"DBSIZE", loading}, {"BGSAVE", loading}, {"SAVE", loading}, {"KEYS *", loading},
		{"DEBUG RELOAD", loading},
		{"SELECT 2", `"OK"`}, {"SELECT 0", `"OK"`}, {"ECHO hi", `"hi"`}, {"CLIENT SETNAME early", `"OK"`},
		{"CONFIG GET databases", `["databases" "16"]`}, {"CONFIG SET appendfsync always", `"OK"`}, {"COMMAND COUNT", d.dialAuthed("COMMAND COUNT")},
		{"MULTI", `"OK"`}, {"SET a 1", loading}, {"EXEC", "(error) EXECABORT Transaction discarded because of previous errors."},
		{"WATCH a", `"OK"`},
	} {
		if got := w.ask(c[0]); got != c[1] {
			t.Errorf("%s while loading: %s, want %s", c[0], got, c[1])
		}
	}
	info := w.ask("INFO")
	for _, want := range []string{`loading:1\r\n`, `loading_start_time:`, `loading_total_bytes:`, `connected_clients:`, `rdb_bgsave_in_progress:0`} {
		if !strings.Contains(info, want) {
			t.Errorf("INFO while loading lacks %q: %s", want, info)
		}
	}
	if hello := d.dial().ask("HELLO 3 AUTH default pw"); !strings.Contains(hello, `"proto" 3`) {
		t.Errorf("HELLO while loading: %s", hello)
	}
	if strings.Contains(d.log.String(), "Ready to accept connections") {
		t.Error("it says that it is ready")
	}
	d.faults("")
	d.waitReady()
	if !strings.Contains(d.log.String(), "Ready to accept connections: listener="+d.addr) {
		t.Errorf("the address is not in the log:\n%s", d.log.String())
	}
	// The same connection goes on; what was set meanwhile counts.
	for _, c := range [][2]string{
		{"GET base:99", `"99"`}, {"GET logged", `"yes"`}, {"DBSIZE", "101"}, {"CLIENT GETNAME", `"early"`}, {"CONFIG GET appendfsync", `["appendfsync" "always"]`},
	} {
		if got := w.ask(c[0]); got != c[1] {
			t.Errorf("%s after loading: %s, want %s", c[0], got, c[1])
		}
	}
	if info := w.ask("INFO persistence"); !strings.Contains(info, `loading:0\r\n`) || strings.Contains(info, "loading_total_bytes") {
		t.Errorf("INFO after loading: %s", info)
	}
}

// dialAuthed is one answer on a connection of its own.
func (d *daemon) dialAuthed(line string) string {
	d.t.Helper()
	w := d.dial()
	w.ask("AUTH pw")
	return w.ask(line)
}

// TestEndWhileLoading: a daemon that is still loading ends at once, by command
// and by signal, has changed nothing, and starts the next time.
func TestEndWhileLoading(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(d *daemon){
		"SIGTERM":       func(d *daemon) { d.signal(syscall.SIGTERM) },
		"SHUTDOWN SAVE": func(d *daemon) { d.dial().send("SHUTDOWN SAVE\r\n") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := savedDir(t)
			before := treeHash(t, dir)
			d := launchLoading(t, dir).daemon
			if got := d.dial().ask("PING"); !strings.Contains(got, "LOADING") {
				t.Fatalf("PING: %s", got)
			}
			end(d)
			d.wantExit(0)
			if after := treeHash(t, dir); after != before {
				t.Errorf("the directory changed:\n%s\n%s", before, after)
			}
			if got := startDaemon(t, dir).do("DBSIZE"); got != int64(101) {
				t.Errorf("%v keys at the next start", got)
			}
		})
	}
}

// TestLockBeforeListener: a second daemon is refused because of the directory,
// not because of the address that it shares with the first, and the first does
// not notice.
func TestLockBeforeListener(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	d := startDaemon(t, dir)
	_, port, _ := strings.Cut(d.addr, ":")
	for _, args := range [][]string{{"--port", port}, {"--port", freePort(t)}} {
		out, code := spillway(t, append([]string{"serve", "--dir", dir}, args...)...)
		if code != 1 || !strings.Contains(out, fmt.Sprint(d.cmd.Process.Pid)) || !strings.Contains(out, "lock") {
			t.Errorf("exit status %d, want 1 and pid %d named:\n%s", code, d.cmd.Process.Pid, out)
		}
	}
	// And an address in use is a failure of its own.
	out, code := spillway(t, "serve", "--dir", t.TempDir(), "--port", port)
	if code != 1 || !strings.Contains(out, d.addr) {
		t.Errorf("exit status %d, want 1 and %s named:\n%s", code, d.addr, out)
	}
	if got := d.do("SET", "a", 1); got != "OK" {
		t.Errorf("the first daemon: %v", got)
	}
}
