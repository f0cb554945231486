package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestConfWords(t *testing.T) {
	for _, tc := range []struct{ line, want string }{
		{`save 900 1`, `save|900|1`},
		{`  logfile ''`, `logfile|`},
		{`requirepass "a b\x00\"c"`, "requirepass|a b\x00\"c"},
		{`user default on nopass ~* +@all`, `user|default|on|nopass|~*|+@all`},
	} {
		words, err := confWords(tc.line)
		if got := strings.Join(words, "|"); err != nil || got != tc.want {
			t.Errorf("%q is %q, %v, not %q", tc.line, got, err, tc.want)
		}
	}
	for _, line := range []string{`a "b`, `a 'b`} {
		if words, err := confWords(line); err == nil {
			t.Errorf("%q is %q", line, words)
		}
	}
}

// TestStandIn: a redis.conf and a command line become flags of the daemon, and users
// a plugins.hcl; what the daemon has no flag for is left out.
func TestStandIn(t *testing.T) {
	conf := filepath.Join(t.TempDir(), "redis.conf")
	text := "# a comment\n\nport 7000\nbind 127.0.0.1\nsave 900 1\nsave 300 10\nrdbcompression yes\nuser bob on \"~k \\\"*\" +@all\nlogfile ''\n"
	if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	flags := []string{"--port", "--save", "--maxmemory", "--bind"}
	for _, tc := range []struct {
		args []string
		want string
	}{
		{nil, "d serve --config c --port 7000 --bind 127.0.0.1 --save 900 1 300 10"},
		{[]string{"--save", "60", "5"}, "d serve --config c --port 7000 --bind 127.0.0.1 --save 900 1 300 10 60 5"},
		{[]string{"--save", ""}, "d serve --config c --port 7000 --bind 127.0.0.1 --save "},
		{[]string{"--save", "", "--save", "1", "2"}, "d serve --config c --port 7000 --bind 127.0.0.1 --save 1 2"},
		{[]string{"--port 7001", "--maxmemory", "1mb"}, "d serve --config c --port 7001 --bind 127.0.0.1 --save 900 1 300 10 --maxmemory 1mb"},
	} {
		var d directives
		if err := d.readConf(conf); err != nil {
			t.Fatal(err)
		}
		if err := d.readArgs(tc.args); err != nil {
			t.Fatal(err)
		}
		args, hcl := d.command("d", "c", flags)
		if got := strings.Join(args, " "); got != tc.want {
			t.Errorf("%q: %q, not %q", tc.args, got, tc.want)
		}
		if want := "user \"bob\" { rules = [\"on\", \"~k\", \"\\\"*\", \"+@all\", ] }\n"; hcl != want {
			t.Errorf("plugins.hcl is %q, not %q", hcl, want)
		}
	}
	var none directives
	if args, _ := none.command("d", "c", flags); strings.Join(args, " ") != "d serve --config c --port 6379 --bind * -::*" {
		t.Errorf("without a redis.conf: %q", args)
	}
}
