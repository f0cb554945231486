package config

import (
	"crypto/tls"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hashicorp/hcl/v2/hclwrite"

	"github.com/spillwaydb/spillway/core"
)

// everything has every kind of block, with secrets wherever there may be some.
const everything = `
server {
	password = "HUSH"
	save     = ["60 1", "5 100"]
	timeout  = "1500ms"
	latency_tracking_info_percentiles = ["50", "99.9"]
}
log { format = "json" }
metrics {
	address      = "127.0.0.1:9121"
	bearer_token = "HUSH"
	basic_auth {
		username = "prometheus"
		password = "HUSH"
	}
	tls {
		cert = "c.pem"
		key  = "c.key"
	}
}
listener "tcp" "main" { address = "127.0.0.1:6380" }
listener "unix" "local" { path = "s.sock" }
listener "tcp" "secure" {
	address = "127.0.0.1:6390"
	tls {
		cert        = "c.pem"
		key         = "c.key"
		client_ca   = "ca.pem"
		client_user = true
		min_version = "1.3"
	}
}
user "app" { rules = ["on", ">HUSH", "~app:*", "+@all"] }
filesystem "os" "data" { root = "d" }
filesystem "os" "m" { root = "m" }
filesystem "sftp" "far" { url = "sftp://me:HUSH@example.org/srv" }
plugin "p" {
	command  = ["prog", "-v"]
	checksum = "sha256:0000000000000000000000000000000000000000000000000000000000000000"
	env      = { API_TOKEN = "HUSH", PLAIN = "seen" }
	start    = "first-use"
	restart { backoff = "1s" }
}
pipeline "checkpoint" {
	schedule      = "0 3 * * *"
	timezone      = "Europe/Berlin"
	jitter        = "5m"
	on_success {
		url     = "https://hc-ping.com/HUSH"
		headers = { Authorization = "Bearer HUSH" }
	}
	on_success { url = "https://hooks.example.org/services/HUSH?key=HUSH" }
	on_failure {
		command = ["/bin/notify", "a"]
		env     = { API_TOKEN = "HUSH" }
		timeout = "3s"
	}
	verify_decode = true
	stage "zstd" { level = 2 }
	stage "plugin" "gpg" {
		uses      = plugin.p
		stage     = "sign"
		recipient = "somebody"
		auth      = { password = "HUSH" }
	}
	sink "filesystem" "local" {
		uses = filesystem.os.data
		keep = 5
	}
	sink "filesystem" "m" {
		uses     = filesystem.os.m
		required = false
		keep     = { last = 3, daily = 7 }
		rate     = "50MiB/s"
	}
	sink "sftp" "vault" {
		url      = "sftp://me@example.org/srv"
		password = "HUSH"
		timeout  = "90s"
		keep     = 4
	}
	sink "plugin" "x" {
		uses = plugin.p
		url  = "s3://b/p?access_key=HUSH"
	}
}
pipeline "archive" {
	seal_after = "5s"
	rate       = "1500kb/s"
	stage "gzip" {}
	sink "filesystem" "f" { uses = filesystem.sftp.far }
}
verify {
	schedule = "@weekly"
	from     = ["m", "f"]
	deep     = false
}
tracing {
	endpoint = "https://collector.example.org"
	headers  = { Authorization = "Bearer HUSH", X-Tenant = "HUSH" }
	timeout  = "7s"
	tls {
		ca   = "/etc/ca.pem"
		cert = "/etc/cert.pem"
		key  = "/etc/key.pem"
	}
}
append_only {
	on_failure { url = "https://hooks.example.org/log/HUSH" }
}
drill {
	schedule = "0 6 1 * *"
	from     = "m"
	evidence = "proofs"
	on_failure { url = "https://hooks.example.org/HUSH" }
}
`

// TestDump: what is printed is the configuration, and no secret of it.
func TestDump(t *testing.T) {
	t.Parallel()
	const secret = "hunter2-Zebra"
	c, f := Parse("test.hcl", []byte(strings.ReplaceAll(everything, "HUSH", secret)))
	if c == nil {
		t.Fatalf("%+v", f.Diagnostics())
	}
	whole := hclwrite.NewEmptyFile()
	c.node().hcl(whole.Body())
	again, f := Parse("test.hcl", whole.Bytes())
	if again == nil {
		t.Fatalf("%+v\n%s", f.Diagnostics(), whole.Bytes())
	}
	if a, b := string(c.DumpJSON()), string(again.DumpJSON()); a != b {
		t.Errorf("what is printed is another configuration:\n%s\n%s", a, b)
	}
	for i, s := range c.Check.Stages {
		if s.Identity(c.Plugins) != again.Check.Stages[i].Identity(again.Plugins) {
			t.Errorf("stage %s is another one", s.Name)
		}
	}
	for i, m := range c.Check.Mirrors {
		if m.Identity(c.Plugins) != again.Check.Mirrors[i].Identity(again.Plugins) {
			t.Errorf("sink %s is another one", m.Name)
		}
	}
	for what, text := range map[string]string{"HCL": string(c.Dump()), "JSON": string(c.DumpJSON())} {
		if strings.Contains(text, secret) {
			t.Errorf("%s shows a secret:\n%s", what, text)
		}
		for _, shown := range []string{"somebody", "seen", "app:*", "5s", "first-use", "sign", "hc-ping.com", "hooks.example.org", "/bin/notify", "0 3 * * *", "Europe/Berlin", "@weekly", "next", "0 6 1 * *", "proofs", "https://collector.example.org/v1/traces", "/etc/key.pem", "append_only"} {
			if !strings.Contains(text, shown) {
				t.Errorf("%s does not show %q:\n%s", what, shown, text)
			}
		}
	}
	if !json.Valid(c.DumpJSON()) {
		t.Error("no JSON")
	}
	if _, f := Parse("test.hcl", Default().Dump()); f.Failed() {
		t.Errorf("the defaults: %+v", f.Diagnostics())
	}
}

// TestKept: what CONFIG REWRITE writes is read after the file and wins, whatever the
// parameter, and the file's own word is still known; so it is with users.
func TestKept(t *testing.T) {
	t.Parallel()
	for _, p := range Params() {
		if p.HCL == "" || p.Fixed {
			continue
		}
		dir := t.TempDir()
		name := filepath.Join(dir, "spillway.hcl")
		own, f := Parse(name, []byte(`user "app" { rules = ["on"] }`))
		if own == nil {
			t.Fatal(f.Diagnostics())
		}
		value := example(t, p)
		text := own.Kept(Kept{Params: map[string]string{p.Name: value}, Users: []core.UserRules{{Name: "app", Rules: []string{"on", "+get"}}, {Name: "new", Rules: []string{"on"}}}})
		if err := os.WriteFile(own.Include, text, 0o600); err != nil {
			t.Fatal(err)
		}
		if own.Include != filepath.Join(dir, "spillway.auto.hcl") {
			t.Errorf("%s is written", own.Include)
		}
		c, f := Parse(name, []byte(`user "app" { rules = ["on"] }`))
		if c == nil {
			t.Fatalf("%s: %+v\n%s", p.Name, f.Diagnostics(), text)
		}
		canonical, err := p.Type.Parse(value)
		if err != nil {
			t.Fatal(err)
		}
		if got := c.Var(p).String(); got != canonical && p.Name != "client-output-buffer-limit" || got == own.Var(p).String() {
			t.Errorf("%s is %q, want %q:\n%s", p.Name, got, canonical, text)
		}
		if got, want := c.Own(p), own.Var(p).String(); got != want {
			t.Errorf("%s is %q in the file itself, want %q", p.Name, got, want)
		}
		if got := fmt.Sprint(c.Engine.Users, c.OwnUsers()); got != "[{app [on +get]} {new [on]}] [{app [on]}]" {
			t.Errorf("users: %s", got)
		}
	}
}

// TestKeptListeners: what CONFIG SET has changed of listeners is read again from what CONFIG
// REWRITE writes, as is the level of the log; what the file itself says is still known.
func TestKeptListeners(t *testing.T) {
	t.Parallel()
	const two = `log { level = "warn" }
listener "tcp" "a" { address = "127.0.0.1:6380" }
listener "tcp" "b" { address = "127.0.0.1:6381" }
`
	const secured = `listener "tcp" "s" {
  address = "127.0.0.1:6390"
  tls {
    cert        = "/etc/s.pem"
    key         = "/etc/s.key"
    client_user = true
  }
}
`
	for _, test := range []struct {
		name, hcl string
		kept      Kept
		want      string
	}{
		{"nothing", two, Kept{}, "warn a 127.0.0.1:6380, b 127.0.0.1:6381"},
		{"the level", two, Kept{Level: "debug"}, "debug a 127.0.0.1:6380, b 127.0.0.1:6381"},
		{"the port", two, Kept{Listen: map[string]string{"port": "7000"}}, "warn a 127.0.0.1:7000, b 127.0.0.1:6381"},
		{"no port", two, Kept{Listen: map[string]string{"port": "0"}}, "warn b 127.0.0.1:6381"},
		{"addresses", two, Kept{Listen: map[string]string{"bind": "* ::* -192.0.2.1"}}, "warn a 0.0.0.0:6380, a [::]:6380, b 127.0.0.1:6381"},
		{"both", two, Kept{Listen: map[string]string{"bind": "127.0.0.1 127.0.0.2", "port": "7000"}}, "warn a 127.0.0.1:7000, a 127.0.0.2:7000, b 127.0.0.1:6381"},
		{"a port with TLS", two + secured, Kept{Listen: map[string]string{"tls-port": "7443"}},
			"warn a 127.0.0.1:6380, b 127.0.0.1:6381, s 127.0.0.1:7443 /etc/s.pem /etc/s.key user"},
		{"TLS", two + secured, Kept{Listen: map[string]string{"tls-cert-file": "/new.pem", "tls-key-file": "/new.key", "tls-ca-cert-file": "/ca.pem", "tls-auth-clients": "optional", "tls-protocols": "TLSv1.3", "tls-session-caching": "no"}},
			"warn a 127.0.0.1:6380, b 127.0.0.1:6381, s 127.0.0.1:6390 /new.pem /new.key user /ca.pem optional 772 no tickets"},
		{"no TLS any more", two + secured, Kept{Listen: map[string]string{"tls-port": "0"}}, "warn a 127.0.0.1:6380, b 127.0.0.1:6381"},
		{"TLS that was not there", two, Kept{Listen: map[string]string{"tls-port": "7443", "tls-cert-file": "/new.pem", "tls-key-file": "/new.key", "bind": "127.0.0.2"}},
			"warn a 127.0.0.2:6380, b 127.0.0.1:6381, tls 127.0.0.2:7443 /new.pem /new.key"},
		{"TLS alone", secured, Kept{Listen: map[string]string{"port": "7000"}}, "info s 127.0.0.1:6390 /etc/s.pem /etc/s.key user, main 127.0.0.1:7000"},
	} {
		name := filepath.Join(t.TempDir(), "plugins.hcl")
		own, f := Parse(name, []byte(test.hcl))
		if own == nil {
			t.Fatal(f.Diagnostics())
		}
		if err := os.WriteFile(own.Include, own.Kept(test.kept), 0o600); err != nil {
			t.Fatal(err)
		}
		again, f := Parse(name, []byte(test.hcl))
		if again == nil {
			t.Errorf("%s: %+v\n%s", test.name, f.Diagnostics(), own.Kept(test.kept))
			continue
		}
		for what, c := range map[string]*Config{"read": again, "kept": own.Keep(test.kept)} {
			if got := listening(c.Log.Level, c.Listen); got != test.want {
				t.Errorf("%s: %s is\n%s, want\n%s", test.name, what, got, test.want)
			}
			if got, want := listening(c.OwnLevel(), c.OwnListeners()), listening(own.Log.Level, own.Listen); got != want {
				t.Errorf("%s: %s without what is kept is\n%s, want\n%s", test.name, what, got, want)
			}
			for name, text := range test.kept.Listen {
				if got, kept := c.KeptListen(name); !kept || got != text {
					t.Errorf("%s: %s keeps %s %q, want %q", test.name, what, name, got, text)
				}
			}
		}
		if _, kept := again.KeptListen("port"); kept != (test.kept.Listen["port"] != "") {
			t.Errorf("%s: a port is kept: %v", test.name, kept)
		}
	}
}

// listening is a level and listeners in a few words.
func listening(level string, all []Listener) string {
	var out []string
	for _, l := range all {
		s := l.Name + " " + l.Address
		if o := l.TLS; o != nil {
			s += " " + o.CertFile + " " + o.KeyFile
			for _, more := range []struct {
				is   bool
				text string
			}{
				{o.ClientUser, "user"}, {o.ClientCAFile != "", o.ClientCAFile}, {o.ClientAuth != "", string(o.ClientAuth)},
				{o.MinVersion > tls.VersionTLS12, fmt.Sprint(o.MinVersion)}, {o.NoTickets, "no tickets"},
			} {
				if more.is {
					s += " " + more.text
				}
			}
		}
		out = append(out, s)
	}
	return level + " " + strings.Join(out, ", ")
}

// TestOwnListen: what CONFIG GET will show is known, but for what listening alone tells.
func TestOwnListen(t *testing.T) {
	t.Parallel()
	c, f := Parse("x.hcl", []byte(`listener "tcp" "a" { address = "127.0.0.2:6380" }
listener "tcp" "b" { address = "127.0.0.1:6380" }
listener "tcp" "s" {
  address = "localhost:0"
  tls {
    cert        = "/s.pem"
    key         = "/s.key"
    min_version = "1.3"
  }
}`))
	if c == nil {
		t.Fatal(f.Diagnostics())
	}
	for name, want := range map[string]string{
		"port": "6380", "bind": "127.0.0.1 127.0.0.2", "tls-port": "?", "tls-cert-file": "/s.pem", "tls-key-file": "/s.key", "tls-ca-cert-file": "",
		"tls-auth-clients": "no", "tls-protocols": "TLSv1.3", "tls-session-caching": "yes",
	} {
		got, known := c.OwnListen(name)
		if !known {
			got = "?"
		}
		if got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	if n := len(ListenParams()); n != 9 {
		t.Errorf("there are %d parameters of listeners", n)
	}
}

// TestInclude: another file may be named; what is wrong in it is said with its place, and
// without its secrets; it holds nothing but parameters, listeners, the level of the log and users.
func TestInclude(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	name, other := filepath.Join(dir, "plugins.hcl"), filepath.Join(dir, "kept.hcl")
	parse := func(src, kept string) (*Config, *File) {
		t.Helper()
		if err := os.WriteFile(other, []byte(kept), 0o600); err != nil {
			t.Fatal(err)
		}
		return Parse(name, []byte(src))
	}
	c, f := parse(`include = "kept.hcl"`, `server { max_memory = "1gb" }`)
	if c == nil || c.Engine.MaxMemory != 1<<30 || c.Include != other {
		t.Fatalf("%+v, %+v", c, f.Diagnostics())
	}
	for kept, want := range map[string]string{
		"server {\n max_memroy = 1\n}":            "max_memory",
		"server {\n password = [\"hushhush\"]\n}": "kept.hcl",
		"log { format = \"json\" }":               "format",
		"log { level = \"loud\" }":                "kept.hcl",
		"listen { unixsocket = \"x\" }":           "unixsocket",
		"listen { port = 65536 }":                 "port",
		"listen { tls_protocols = \"SSLv3\" }":    "SSLv3",
		"metrics { address = \"127.0.0.1:1\" }":   "metrics",
		"server {":                                "kept.hcl",
		"user \"x\" { rules = [\"+nosuch\"] }":    "nosuch",
	} {
		c, f := parse(`include = "kept.hcl"`, kept)
		if err := f.Err(); c != nil || err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "hushhush") || !strings.Contains(err.Error(), "kept.hcl:") {
			t.Errorf("%s: %v, want %q", kept, err, want)
		}
	}
	for _, src := range []string{`include = "plugins.hcl"`, `include = ""`, `include = 5 + "x"`} {
		if c, _ := Parse(name, []byte(src)); c != nil {
			t.Errorf("%s is accepted", src)
		}
	}
}
