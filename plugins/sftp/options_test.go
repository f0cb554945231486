package sftp

import (
	"strings"
	"testing"
)

func TestOptions(t *testing.T) {
	for _, o := range []Options{{}, {URL: "sftp://h/x", Concurrency: -1}, {URL: "sftp://h/x", Attempts: -1}, {URL: "sftp://h/x", KeyFile: "/no/such/key"}} {
		if _, err := New(o); err == nil || !strings.HasPrefix(err.Error(), "sftp: ") {
			t.Errorf("%+v: %v", o, err)
		}
	}
}
