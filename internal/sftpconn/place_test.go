package sftpconn

import (
	"strings"
	"testing"
)

func TestParse(t *testing.T) {
	for _, c := range []struct {
		url  string
		want Place
	}{
		{"sftp://me@host/a//b/", Place{"me", "host:22", "/a/b", "sftp://me@host/a//b"}},
		{"sftp://me@host:2222", Place{"me", "host:2222", "/", "sftp://me@host:2222"}},
		{"sftp://me@[::1]:2222/x", Place{"me", "[::1]:2222", "/x", "sftp://me@[::1]:2222/x"}},
		{"sftp://me@host/~/sets", Place{"me", "host:22", "sets", "sftp://me@host/~/sets"}},
		{"sftp://me@host/~", Place{"me", "host:22", ".", "sftp://me@host/~"}},
	} {
		if p, err := Parse(c.url); err != nil || p != c.want {
			t.Errorf("%s: %+v, %v", c.url, p, err)
		}
	}
	if p, err := Parse("sftp://host/x"); err != nil || p.User == "" {
		t.Errorf("%+v, %v", p, err)
	}
	for _, bad := range []string{"", "host:/x", "ftp://me@host/x", "sftp:///x", "sftp://me:geheim@host/x", "sftp://me@host/../x", "sftp://me@host/x?a=b", "sftp://me:geheim@%zz"} {
		if p, err := Parse(bad); err == nil || strings.Contains(err.Error(), "geheim") {
			t.Errorf("%s: %+v, %v", bad, p, err)
		}
	}
}
