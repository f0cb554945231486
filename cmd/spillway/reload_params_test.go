package main

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/spillwaydb/spillway/internal/testutil"
)

// TestReloadParameters: log, password, users and limits; what CONFIG SET changed stays
// as long as the file says nothing new about it; what needs a restart is named and left.
func TestReloadParameters(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	hcl := func(server, more string) string {
		return fmt.Sprintf("server {\n %s\n}\nfilesystem \"os\" \"data\" { root = %q }\n%s", server, data, more)
	}
	const app = `user "app" { rules = ["on", ">one", "~*", "+@all"] }` + "\n"
	d := startReloads(t, hcl("save = []", app+`user "old" { rules = ["on", ">old", "~*", "+@all"] }`), "--maxclients", "77")
	ctx := context.Background()
	as := func(user, password string) *redis.Client {
		return d.client(func(o *redis.Options) { o.Username, o.Password = user, password })
	}
	old := as("old", "old")
	if err := old.Ping(ctx).Err(); err != nil {
		t.Fatal(err)
	}
	d.do("CONFIG", "SET", "maxmemory", "5mb", "slowlog-max-len", "7")
	d.do("ACL", "SETUSER", "app", ">two")

	d.write(hcl("timeout = \"1500ms\"\nslowlog_max_len = 9\nmax_clients = 50\nshards = 3\nfsync = \"always\"\npassword = \"hush\"\nsave = [\"60 1\"]",
		app+`user "new" { rules = ["on", ">new", "~*", "+@all"] }
		log {
			level = "debug"
			format = "json"
		}`))
	out, code := runReload(t, d, "REDISCLI_AUTH=", "--json")
	var done reloaded
	if err := json.Unmarshal([]byte(out), &done); err != nil || code != 0 {
		t.Fatalf("exit status %d, %v:\n%s", code, err, out)
	}
	texts := func(cs []change) (out []string) {
		for _, c := range cs {
			out = append(out, c.String())
		}
		slices.Sort(out)
		return out
	}
	if got, want := strings.Join(texts(done.Changed), "\n"), `log.format: text → json
log.level: info → debug
server.fsync: everysec → always
server.password: (redacted) → (redacted)
server.save: "" → 60 1
server.slowlog_max_len: 128 → 9
server.timeout: 0 → 1.5
user new: new
user old: gone`; got != want {
		t.Errorf("changed:\n%s", got)
	}
	if got := texts(done.Restart); len(got) != 1 || !strings.HasPrefix(got[0], "server.shards: ") {
		t.Errorf("what needs a restart: %q", got)
	}
	d.waitLog(`"@level":"info","@message":"configuration reloaded"`)
	if err := old.Ping(ctx).Err(); err == nil {
		t.Error("a user that is gone goes on")
	}
	if err := as("", "").Ping(ctx).Err(); err == nil || !strings.HasPrefix(err.Error(), "NOAUTH") {
		t.Errorf("without the password: %v", err)
	}
	for user, password := range map[string]string{"app": "two", "new": "new", "default": "hush"} {
		if err := as(user, password).Ping(ctx).Err(); err != nil {
			t.Errorf("user %s: %v", user, err)
		}
	}
	d.rdb = as("default", "hush")
	for name, want := range map[string]string{
		"maxmemory": "5242880", "slowlog-max-len": "9", "maxclients": "77", "appendfsync": "always", "save": "60 1", "timeout": "1",
	} {
		if got := d.get(name); got != want {
			t.Errorf("%s is %s, want %s", name, got, want)
		}
	}

	// The daemon has another password than the file says, until it has read it.
	next := hcl("password = \"other\"\nmax_memory = \"1gb\"\nsave = []", app)
	d.write(next)
	if out, code := runReload(t, d, ""); code != 1 || !strings.Contains(out, "REDISCLI_AUTH") {
		t.Errorf("with the wrong password: exit status %d:\n%s", code, out)
	}
	if out, code := runReload(t, d, "REDISCLI_AUTH=hush"); code != 0 || !strings.Contains(out, "changed: server.max_memory: 0 → 1073741824\n") {
		t.Errorf("exit status %d:\n%s", code, out)
	}
	if out, code := runReload(t, d, ""); code != 0 || !strings.Contains(out, "needs a restart: ") && !strings.Contains(out, "nothing has changed") {
		t.Errorf("once more: exit status %d:\n%s", code, out)
	}
	d.write("server {")
	if out, code := runReload(t, d, ""); code != 2 || !strings.Contains(out, "plugins.hcl:1") {
		t.Errorf("a broken file: exit status %d:\n%s", code, out)
	}
	d.write(next)
	d.rdb = as("default", "other")
	if got := d.get("maxmemory"); got != "1073741824" {
		t.Errorf("maxmemory is %s", got)
	}
	d.stop()
}

// runReload runs spillway reload with the daemon's file.
func runReload(t *testing.T, d *reloads, env string, flags ...string) (string, int) {
	t.Helper()
	cmd := exec.Command(binary, append([]string{"reload", "-config", d.file, "--addr", d.addr}, flags...)...)
	out, ended := runCommand(t, cmd, slices.DeleteFunc([]string{env}, func(s string) bool { return s == "" })...)
	return out, ended.ProcessState.ExitCode()
}

// TestReloadTwice: signals that come together are carried out, the newest file last.
func TestReloadTwice(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	hcl := func(n int) string {
		return fmt.Sprintf("server {\n save = []\n max_memory = \"%dmb\"\n}\nfilesystem \"os\" \"data\" { root = %q }", n, data)
	}
	d := startReloads(t, hcl(1))
	for n := 2; n < 40; n++ {
		if err := os.WriteFile(d.file+".tmp", []byte(hcl(n)), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(d.file+".tmp", d.file); err != nil {
			t.Fatal(err)
		}
		d.signal(syscall.SIGHUP)
		d.signal(syscall.SIGHUP)
	}
	d.waitFor("the newest file", func() bool { return d.get("maxmemory") == fmt.Sprint(39<<20) })
	d.signal(syscall.SIGHUP)
	d.stop()
}

// TestReloadServing: certificates, the ACL file and the metrics listener.
func TestReloadServing(t *testing.T) {
	t.Parallel()
	a, b := testutil.NewAuthority(t), testutil.NewAuthority(t)
	for _, au := range []*testutil.Authority{a, b} {
		au.Issue("server", "server.pem", "server.key")
	}
	data, port := t.TempDir(), freePort(t)
	acl := filepath.Join(t.TempDir(), "users.acl")
	users := func(text string) {
		t.Helper()
		if err := os.WriteFile(acl, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	metrics := []string{freePort(t), freePort(t)}
	hcl := func(from *testutil.Authority, metrics string) string {
		return fmt.Sprintf(`server {
	save = []
	acl_file = %q
}
filesystem "os" "data" { root = %q }
listener "tcp" "secure" {
	address = "127.0.0.1:%s"
	tls {
		cert = %q
		key = %q
	}
}
metrics { address = "127.0.0.1:%s" }`, acl, data, port, from.Path("server.pem"), from.Path("server.key"), metrics)
	}
	users("user app on >one ~* +@all\n")
	d := startReloads(t, hcl(a, metrics[0]))
	over := func(from *testutil.Authority) error {
		c, err := tls.Dial("tcp", "127.0.0.1:"+port, &tls.Config{RootCAs: from.Pool, ServerName: "127.0.0.1", MinVersion: tls.VersionTLS12})
		if err == nil {
			_ = c.Close()
		}
		return err
	}
	scrape := func(port string) string {
		r, err := http.Get("http://127.0.0.1:" + port + "/healthz") //nolint:noctx // a test
		if err != nil {
			return "none"
		}
		_ = r.Body.Close()
		return r.Status
	}
	if err := over(a); err != nil || scrape(metrics[0]) != "200 OK" {
		t.Fatal(err, scrape(metrics[0]))
	}
	app := d.client(func(o *redis.Options) { o.Username, o.Password = "app", "one" })
	if err := app.Ping(context.Background()).Err(); err != nil {
		t.Fatal(err)
	}
	users("user app on >two ~* +@all\nuser wrong +nosuchcommand\n")
	d.refused(hcl(b, metrics[1]), "nosuchcommand")
	if err := over(a); err != nil || scrape(metrics[0]) != "200 OK" || scrape(metrics[1]) != "none" {
		t.Errorf("after a refusal: %v, metrics %s and %s", err, scrape(metrics[0]), scrape(metrics[1]))
	}
	users("user app on >two ~* +@all\n")
	said := d.must(hcl(b, metrics[1]))
	if err := over(b); err != nil || over(a) == nil {
		t.Errorf("the new certificate: %v\n%s", err, said)
	}
	if scrape(metrics[0]) != "none" || scrape(metrics[1]) != "200 OK" {
		t.Errorf("metrics %s and %s", scrape(metrics[0]), scrape(metrics[1]))
	}
	if err := app.Ping(context.Background()).Err(); err == nil {
		t.Error("a client of the user's old self goes on")
	}
	if err := d.client(func(o *redis.Options) { o.Username, o.Password = "app", "two" }).Ping(context.Background()).Err(); err != nil {
		t.Error(err)
	}
	d.do("ACL", "SETUSER", "later", "on", ">x") // it stays: the file is the same
	d.must(hcl(b, metrics[1]))
	if got := fmt.Sprint(d.do("ACL", "USERS")); got != "[app default later]" {
		t.Errorf("users: %s", got)
	}
	d.stop()
}
