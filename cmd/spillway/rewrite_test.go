package main

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/spillwaydb/spillway/internal/testutil"
)

// TestConfigRewriteListeners: ports, TLS and the level of the log are there after a restart
// as CONFIG SET made them, and a reload leaves them; what the file has no words for is named.
func TestConfigRewriteListeners(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	a := testutil.NewAuthority(t)
	for _, name := range []string{"one", "two"} {
		a.Issue(name, name+".pem", name+".key")
	}
	plain, secured := freePort(t), freePort(t)
	hcl := fmt.Sprintf(`server { save = [] }
filesystem "os" "data" { root = %q }
listener "tcp" "main" { address = "127.0.0.1:%s" }
listener "tcp" "tls" {
  address = "127.0.0.1:%s"
  tls {
    cert = %q
    key  = %q
  }
}
`, t.TempDir(), plain, secured, a.Path("one.pem"), a.Path("one.key"))
	path := writeConfig(t, hcl)
	start := func(port string) *daemon {
		t.Helper()
		d := &daemon{t: t, addr: net.JoinHostPort("127.0.0.1", port), done: make(chan struct{})}
		d.cmd = exec.Command(binary, "serve", "-config", path) // without --port, which would win
		d.cmd.Dir, d.cmd.Stderr, d.cmd.Stdout = t.TempDir(), &d.log, &d.log
		if err := d.cmd.Start(); err != nil {
			t.Fatal(err)
		}
		go func() { _ = d.cmd.Wait(); close(d.done) }()
		t.Cleanup(d.kill)
		d.rdb = d.client(nil)
		d.waitReady()
		return d
	}
	shown := func(port string) string {
		t.Helper()
		conn, err := tls.Dial("tcp", "127.0.0.1:"+port, &tls.Config{RootCAs: a.Pool, ServerName: "localhost", MinVersion: tls.VersionTLS12})
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		return conn.ConnectionState().PeerCertificates[0].Subject.CommonName
	}
	kept := func() string {
		t.Helper()
		b, err := os.ReadFile(strings.TrimSuffix(path, ".hcl") + ".auto.hcl")
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	d := start(plain)
	d.do("CONFIG", "REWRITE")
	if text := kept(); strings.Contains(text, "{") {
		t.Errorf("nothing was changed, and kept is\n%s", text)
	}
	newPlain, newSecured := freePort(t), freePort(t)
	d.do("CONFIG", "SET", "tls-cert-file", a.Path("two.pem"), "tls-key-file", a.Path("two.key"), "tls-session-caching", "no", "tls-port", newSecured)
	d.do("CONFIG", "SET", "port", newPlain, "loglevel", "verbose", "repl-backlog-ttl", "7")
	d.do("CONFIG", "REWRITE")
	d.waitLog("not_kept=repl-backlog-ttl")
	for _, want := range []string{"port                = " + newPlain, "tls_port            = " + newSecured, "two.pem", "two.key", "tls_session_caching = false", `level = "debug"`} {
		if !strings.Contains(kept(), want) {
			t.Errorf("the file does not say %q:\n%s", want, kept())
		}
	}
	if strings.Contains(kept(), "bind") || strings.Contains(kept(), "tls_auth") || strings.Contains(kept(), "server") {
		t.Errorf("the file says what was not changed:\n%s", kept())
	}
	d.addr = "127.0.0.1:" + newPlain
	if out := spillwayOut(t, "reload", "--config", path, "--addr", d.addr); !strings.Contains(out, "nothing has changed") {
		t.Errorf("a reload:\n%s", out)
	}
	if out := spillwayOut(t, "config", "dump", "--addr", d.addr, path); !strings.Contains(out, d.addr) || !strings.Contains(out, "two.pem") || !strings.Contains(out, `"debug"`) {
		t.Errorf("in force is\n%s", out)
	}
	if got := shown(newSecured); got != "two" {
		t.Errorf("the certificate is of %s", got)
	}
	d.stop()

	d = start(newPlain)
	if got := shown(newSecured); got != "two" {
		t.Errorf("after a restart the certificate is of %s", got)
	}
	for name, want := range map[string]string{"port": newPlain, "tls-port": newSecured, "tls-session-caching": "no", "loglevel": "debug", "bind": "127.0.0.1"} {
		if got := d.rdb.ConfigGet(ctx, name).Val()[name]; got != want {
			t.Errorf("after a restart %s is %q, want %q", name, got, want)
		}
	}
	text := kept()
	d.do("CONFIG", "REWRITE")
	if kept() != text {
		t.Errorf("nothing was changed, and kept is\n%s\nno more\n%s", kept(), text)
	}

	// A reload that says something else of TLS reaches the listener that was moved.
	if err := os.WriteFile(path, []byte(strings.Replace(hcl, "  tls {", "  tls {\n    min_version = \"1.3\"", 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	if out := spillwayOut(t, "reload", "--config", path, "--addr", d.addr); !strings.Contains(out, "listener tls: tls") {
		t.Errorf("a reload:\n%s", out)
	}
	if _, err := tls.Dial("tcp", "127.0.0.1:"+newSecured, &tls.Config{RootCAs: a.Pool, ServerName: "localhost", MinVersion: tls.VersionTLS12, MaxVersion: tls.VersionTLS12}); err == nil {
		t.Error("TLS 1.2 is spoken still")
	}

	// What is as the file says again is not kept any more.
	d.do("CONFIG", "SET", "port", plain, "tls-port", secured, "loglevel", "notice", "tls-session-caching", "yes")
	d.do("CONFIG", "SET", "tls-cert-file", a.Path("one.pem"), "tls-key-file", a.Path("one.key"))
	d.do("CONFIG", "REWRITE")
	if text := kept(); strings.Contains(text, "{") {
		t.Errorf("all is as the file says, and kept is\n%s", text)
	}
	d.stop()
}

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
