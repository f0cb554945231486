package sftp

import (
	"strings"
	"testing"
)

func TestParse(t *testing.T) {
	for _, c := range []struct {
		url  string
		want place
	}{
		{"sftp://me@host/a//b/", place{"me", "host:22", "/a/b", "sftp://me@host/a//b"}},
		{"sftp://me@host:2222", place{"me", "host:2222", "/", "sftp://me@host:2222"}},
		{"sftp://me@[::1]:2222/x", place{"me", "[::1]:2222", "/x", "sftp://me@[::1]:2222/x"}},
		{"sftp://me@host/~/sets", place{"me", "host:22", "sets", "sftp://me@host/~/sets"}},
		{"sftp://me@host/~", place{"me", "host:22", ".", "sftp://me@host/~"}},
	} {
		if p, err := parse(c.url); err != nil || p != c.want {
			t.Errorf("%s: %+v, %v", c.url, p, err)
		}
	}
	if p, err := parse("sftp://host/x"); err != nil || p.user == "" {
		t.Errorf("%+v, %v", p, err)
	}
	for _, bad := range []string{"", "host:/x", "ftp://me@host/x", "sftp:///x", "sftp://me:geheim@host/x", "sftp://me@host/../x", "sftp://me@host/x?a=b", "sftp://me:geheim@%zz"} {
		if p, err := parse(bad); err == nil || strings.Contains(err.Error(), "geheim") {
			t.Errorf("%s: %+v, %v", bad, p, err)
		}
	}
	for _, o := range []Options{{}, {URL: "sftp://h/x", Concurrency: -1}, {URL: "sftp://h/x", Attempts: -1}, {URL: "sftp://h/x", KeyFile: "/no/such/key"}} {
		if _, err := New(o); err == nil || !strings.HasPrefix(err.Error(), "sftp: ") {
			t.Errorf("%+v: %v", o, err)
		}
	}
}
