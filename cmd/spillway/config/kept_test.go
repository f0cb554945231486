package config

import (
	"fmt"
	"strings"
	"testing"

	"github.com/spillwaydb/spillway/core"
	"github.com/spillwaydb/spillway/internal/testutil"
)

// TestKeptParams: a parameter that changes nothing is none that does something,
// its default is a value, and CONFIG keeps what it is given.
func TestKeptParams(t *testing.T) {
	t.Parallel()
	real := make(map[string]bool)
	for _, p := range Params() {
		for _, name := range p.Names() {
			real[name] = true
		}
	}
	r := run(t, Default())
	for _, k := range core.KeptParams() {
		p := &k.Param
		for _, name := range p.Names() {
			if real[name] {
				t.Errorf("%s does something", name)
			}
			real[name] = true
		}
		if v, err := p.Type.Parse(p.Default); err != nil || v != p.Default {
			t.Errorf("%s: the default %q is read as %q, %v", p.Name, p.Default, v, err)
		}
		if k.Why == "" {
			t.Errorf("%s: why does it change nothing?", p.Name)
		}
		if got := r.get(p); got != p.Default {
			t.Errorf("%s is %q, want %q", p.Name, got, p.Default)
		}
		value := example(t, p)
		switch err := r.db.Admin().Config().Set([2]string{p.Name, value}); {
		case p.Fixed:
			if err == nil || !strings.HasSuffix(err.Error(), "can't set immutable config") {
				t.Errorf("CONFIG SET %s: %v", p.Name, err)
			}
		case err != nil:
			t.Errorf("CONFIG SET %s %s: %v", p.Name, value, err)
		default:
			if got := r.get(p); got != value {
				t.Errorf("%s is %q, want %q", p.Name, got, value)
			}
		}
	}
}

// TestKeptDoc: docs/compatibility.md lists them.
// go test ./cmd/spillway/config -run TestKeptDoc -rewrite writes it.
func TestKeptDoc(t *testing.T) {
	testutil.Document(t, "../../../docs/compatibility.md", "kept", keptParams())
}

// keptParams lists the parameters by the reason why there is nothing to change.
func keptParams() string {
	var reasons []string
	by := make(map[string][]string)
	for _, k := range core.KeptParams() {
		if by[k.Why] == nil {
			reasons = append(reasons, k.Why)
		}
		by[k.Why] = append(by[k.Why], "`"+k.Name+"`")
	}
	var b strings.Builder
	for _, why := range reasons {
		fmt.Fprintf(&b, "- %s: %s\n", why, strings.Join(by[why], ", "))
	}
	return b.String()
}
