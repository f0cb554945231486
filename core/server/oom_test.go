package server

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/hashicorp/go-hclog"
)

// TestOOMScore: what is written is what the mode says, and what the process began with
// comes back.
func TestOOMScore(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "oom_score_adj")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("100\n")
	o := &oomScore{log: hclog.NewNullLogger(), file: file}
	mode, values := o.field(func(o *oomScore) *string { return &o.mode }), o.field(func(o *oomScore) *string { return &o.values })
	for _, step := range []struct{ mode, values, want string }{
		{"no", "0 200 800", "100\n"},
		{"no", "5 200 800", "100\n"},
		{"yes", "5 200 800", "105"},
		{"yes", "-7 200 800", "93"},
		{"absolute", "-7 200 800", "-7"},
		{"absolute", "2000 0 0", "1000"},
		{"no", "2000 0 0", "100"},
		{"yes", "-2000 0 0", "-1000"},
		{"no", "0 0 0", "100"},
	} {
		if err := values.Set(step.values); err != nil {
			t.Fatal(err)
		}
		if err := mode.Set(step.mode); err != nil {
			t.Fatal(err)
		}
		if got, err := os.ReadFile(file); string(got) != step.want || err != nil {
			t.Errorf("%+v: %q, %v", step, got, err)
		}
	}
	write("no number")
	if err := mode.Set("yes"); err == nil || mode.String() != "no" {
		t.Errorf("a file that cannot be used: %v, and the mode is %s", err, mode)
	}
	write("3")
	if err := mode.Set("yes"); err != nil {
		t.Error(err)
	}
}
