package main

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/spillwaydb/spillway/internal/testutil"
)

// TestTLS: redis-cli and go-redis over a listener with TLS of plugins.hcl, where a
// client's certificate makes it an ACL user, and over one that flags ask for.
func TestTLS(t *testing.T) {
	t.Parallel()
	a := testutil.NewAuthority(t)
	a.Issue("server", "server.pem", "server.key")
	app := a.Issue("app", "app.pem", "app.key")
	hcl := func(tls string) string {
		return fmt.Sprintf(`filesystem "os" "data" { root = %q }
			listener "tcp" "secure" {
				address = "127.0.0.1:0"
				tls {
%s
}
			}
			user "app" { rules = ["on", ">unused", "~app:*", "~key:*", "+@all"] }`, t.TempDir(), tls)
	}
	files := fmt.Sprintf("cert = %q\nkey = %q\n", a.Path("server.pem"), a.Path("server.key"))
	d := startConfig(t, hcl(files+fmt.Sprintf("client_ca = %q\nclient_user = true\nmin_version = \"1.3\"\n", a.File)))
	m := regexp.MustCompile(`listener=127\.0\.0\.1:(\d+) network=tcp tls=true`).FindStringSubmatch(d.log.String())
	if m == nil {
		t.Fatalf("the log does not say where TLS is spoken:\n%s", d.log.String())
	}
	port := m[1]
	addr := net.JoinHostPort("127.0.0.1", port)
	cli := func(words ...string) string {
		args := append([]string{"-h", "127.0.0.1", "-p", port, "--tls", "--cacert", a.File}, words...)
		out, err := exec.Command("redis-cli", args...).CombinedOutput() //nolint:gosec // fixed words
		return fmt.Sprint(strings.TrimSpace(string(out)), " ", err)
	}
	if got := cli("--cert", a.Path("app.pem"), "--key", a.Path("app.key"), "ACL", "WHOAMI"); got != "app <nil>" {
		t.Errorf("redis-cli with a certificate is %s", got)
	}
	if got := cli("PING"); strings.Contains(got, "PONG") {
		t.Errorf("redis-cli without a certificate: %s", got)
	}
	ctx := context.Background()
	c := redis.NewClient(&redis.Options{Addr: addr, TLSConfig: &tls.Config{RootCAs: a.Pool, Certificates: []tls.Certificate{app}, MinVersion: tls.VersionTLS13}})
	defer c.Close()
	big := strings.Repeat("x", 5<<20)
	if err := c.Set(ctx, "app:k", big, 0).Err(); err != nil {
		t.Fatal(err)
	}
	if got, err := c.Get(ctx, "app:k").Result(); err != nil || got != big {
		t.Errorf("a large value comes back as %d bytes, %v", len(got), err)
	}
	if err := c.Get(ctx, "other").Err(); err == nil || !strings.Contains(err.Error(), "NOPERM") {
		t.Errorf("what the user may not read: %v", err)
	}
	if out, err := exec.Command("redis-benchmark", "-h", "127.0.0.1", "-p", port, "--tls", "--cacert", a.File, //nolint:gosec // fixed words
		"--cert", a.Path("app.pem"), "--key", a.Path("app.key"), "-t", "set,get", "-n", "2000", "-P", "8", "-r", "10", "-q").CombinedOutput(); err != nil {
		t.Errorf("redis-benchmark: %v\n%s", err, out)
	}
	d.stop()

	port = freePort(t)
	d = startDaemon(t, t.TempDir(), "--tls-port", port, "--tls-cert-file", a.Path("server.pem"), "--tls-key-file", a.Path("server.key"))
	if got := cli("PING"); got != "PONG <nil>" {
		t.Errorf("redis-cli over --tls-port: %s", got)
	}
	if got := d.rdb.Ping(ctx).Val(); got != "PONG" {
		t.Errorf("the port without TLS: %s", got)
	}
	d.stop()

	for name, want := range map[string][2]string{
		"no key":         {fmt.Sprintf("cert = %q", a.Path("server.pem")), "Incomplete TLS"},
		"no such file":   {strings.Replace(files, "server.pem", "none.pem", 1), "none.pem"},
		"another's key":  {strings.Replace(files, "server.key", "app.key", 1), "does not match"},
		"no certificate": {files + fmt.Sprintf("client_ca = %q", a.Path("server.key")), "server.key: no"},
		"no authority":   {files + `client_auth = "yes"`, "client certificates cannot be verified"},
		"a typo":         {files + `client_auth = "yse"`, "yes"},
		"too old":        {files + `min_version = "1.1"`, "1.2"},
	} {
		out, code := spillway(t, "check", "-config", writeConfig(t, hcl(want[0])))
		if code != 2 || !strings.Contains(out, want[1]) {
			t.Errorf("%s: exit status %d, want %q:\n%s", name, code, want[1], out)
		}
	}
	out, code := spillway(t, "check", "-config", writeConfig(t, hcl(files)))
	if code != 0 || !strings.Contains(out, "tls://127.0.0.1:0") {
		t.Errorf("check: exit status %d:\n%s", code, out)
	}
}
