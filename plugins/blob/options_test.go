package blob

import (
	"strings"
	"testing"
)

func TestOptionsRefused(t *testing.T) {
	for _, o := range []Options{
		{}, {URL: "mem://", PartSize: 1}, {URL: "mem://", PartSize: 1 << 40}, {URL: "mem://", Concurrency: -1}, {URL: "mem://", Attempts: -1},
		{URL: "s3://b?no_such_parameter=1"}, {URL: "file:///no/such/directory"},
	} {
		if _, err := New(o); err == nil || !strings.HasPrefix(err.Error(), "blob: ") {
			t.Errorf("%+v: %v", o, err)
		}
	}
}
