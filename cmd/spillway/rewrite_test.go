package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"
)

// TestConfigRewrite: what was changed at run time is there after a restart, by a file of
// its own; the file that people write stays as it is, and what it says later counts for
// what was not changed.
func TestConfigRewrite(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	data := t.TempDir()
	hcl := fmt.Sprintf(`server {
	save       = []
	max_memory = "1gb"
}
filesystem "os" "data" { root = %q }
user "app" { rules = ["on", ">one", "~*", "+@all"] }
user "old" { rules = ["on", ">old", "~*", "+@all"] }
`, data)
	d := startReloads(t, hcl, "--maxclients", "77")
	auto := strings.TrimSuffix(d.file, ".hcl") + ".auto.hcl"
	kept := func() string {
		t.Helper()
		b, err := os.ReadFile(auto)
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	d.do("CONFIG", "SET", "maxmemory", "2gb", "slowlog-max-len", "7", "save", "60 1 5 100", "requirepass", "hush", "timeout", "9")
	d.do("ACL", "SETUSER", "app", ">two", "-@dangerous")
	d.do("ACL", "SETUSER", "new", "on", ">new", "(%R~tmp:* +get)", "+config")
	d.do("ACL", "DELUSER", "old")
	if got := d.do("CONFIG", "REWRITE"); got != "OK" {
		t.Errorf("CONFIG REWRITE: %v", got)
	}
	if st, err := os.Stat(auto); err != nil || st.Mode() != 0o600 {
		t.Errorf("the file is %v, %v", st.Mode(), err)
	}
	for _, want := range []string{`max_memory      = "2gb"`, `save            = ["60 1", "5 100"]`, "slowlog_max_len = 7", `timeout         = "9s"`, `password        = "hush"`, `user "new"`, "after plugins.hcl"} {
		if !strings.Contains(kept(), want) {
			t.Errorf("the file does not say %s:\n%s", want, kept())
		}
	}
	if strings.Contains(kept(), "max_clients") || strings.Contains(kept(), `user "default"`) {
		t.Errorf("the file says what was not changed:\n%s", kept())
	}
	if b, err := os.ReadFile(d.file); err != nil || string(b) != hcl {
		t.Errorf("the configuration file is another one: %v\n%s", err, b)
	}
	if said := d.must(hcl); !strings.Contains(said, "changed=0") {
		t.Errorf("a reload finds changes:\n%s", said)
	}
	d.stop()

	d.write(hcl + "# another one\n")
	d.daemon = launch(t, "-config", d.file, "--maxclients", "77")
	d.waitReady()
	d.rdb = d.client(func(o *redis.Options) { o.Password = "hush" })
	for name, want := range map[string]string{
		"maxmemory": "2147483648", "slowlog-max-len": "7", "save": "60 1 5 100", "requirepass": "hush", "timeout": "9", "maxclients": "77",
	} {
		if got := d.get(name); got != want {
			t.Errorf("after a restart %s is %s, want %s", name, got, want)
		}
	}
	for user, password := range map[string]string{"app": "two", "new": "new"} {
		if err := d.client(func(o *redis.Options) { o.Username, o.Password = user, password }).Do(ctx, "CONFIG", "GET", "save").Err(); (err == nil) != (user == "new") {
			t.Errorf("user %s: %v", user, err)
		}
	}
	if err := d.client(func(o *redis.Options) { o.Username, o.Password = "old", "old" }).Ping(ctx).Err(); err == nil {
		t.Error("a user that was taken away is back")
	}

	// The file says something new of what was not changed, and is not read yet.
	next := strings.Replace(hcl, "save       = []", "save       = []\n slowlog_log_slower_than = 5", 1)
	d.write(next)
	d.do("CONFIG", "SET", "maxmemory", "1gb", "slowlog-max-len", "8")
	if _, err := d.rdb.TxPipelined(ctx, func(p redis.Pipeliner) error { p.ConfigRewrite(ctx); return nil }); err != nil {
		t.Errorf("in a transaction: %v", err)
	}
	if strings.Contains(kept(), "max_memory ") || !strings.Contains(kept(), "slowlog_max_len = 8") || strings.Contains(kept(), "slower") {
		t.Errorf("the file now says:\n%s", kept())
	}
	if said := d.must(next); !strings.Contains(said, "changed=1 ") || d.get("slowlog-log-slower-than") != "5" || d.get("slowlog-max-len") != "8" {
		t.Errorf("the reload:\n%s", said)
	}

	out, ended := runCommand(t, exec.Command(binary, "config", "dump", "-config", d.file, "--addr", d.addr, "--json"), "REDISCLI_AUTH=hush")
	var shown struct {
		Server map[string]any   `json:"server"`
		User   []map[string]any `json:"user"`
	}
	if err := json.Unmarshal([]byte(out), &shown); err != nil || ended.ProcessState.ExitCode() != 0 {
		t.Fatalf("dump: %v\n%s", err, out)
	}
	if s := shown.Server; s["max_memory"] != "1gb" || s["max_clients"] != 77.0 || s["password"] != "(redacted)" || s["slowlog_max_len"] != 8.0 {
		t.Errorf("in force is %v", s)
	}
	if len(shown.User) < 3 || strings.Contains(out, "hush") || strings.Contains(fmt.Sprint(shown.User), "#2") {
		t.Errorf("users: %v", shown.User)
	}
	if out, code := spillway(t, "config", "dump", d.file); code != 0 || !strings.Contains(out, `slowlog_max_len                   = 8`) || strings.Contains(out, "hush") {
		t.Errorf("dump of the file: exit status %d\n%s", code, out)
	}

	// A place that cannot be written to.
	elsewhere := filepath.Join(t.TempDir(), "none", "kept.hcl")
	d.must(fmt.Sprintf("include = %q\n%s", elsewhere, next))
	d.rdb = d.client(nil) // the password was kept in the other file
	if err := d.rdb.ConfigRewrite(ctx).Err(); err == nil || !strings.HasPrefix(err.Error(), "ERR Rewriting config file: ") || !strings.Contains(err.Error(), "no such file") {
		t.Errorf("in a directory that is not there: %v", err)
	}
	d.stop()

	bare := startDaemon(t, t.TempDir())
	_, c := redisServer(t, t.TempDir())
	if ours, theirs := bare.rdb.ConfigRewrite(ctx).Err(), c.ConfigRewrite(ctx).Err(); ours == nil || theirs == nil || ours.Error() != theirs.Error() {
		t.Errorf("without a file: %v, Redis: %v", ours, theirs)
	}
	bare.stop()
	if out, code := spillway(t, "config", "dump", "--addr", bare.addr); code != 1 {
		t.Errorf("dump of a daemon that is none: exit status %d\n%s", code, out)
	}
	if out, code := spillway(t, "config", "dump", filepath.Join(data, "none.hcl")); code != 2 {
		t.Errorf("dump of a file that is none: exit status %d\n%s", code, out)
	}
}
