package core_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/spillwaydb/spillway/core"
	"github.com/spillwaydb/spillway/core/coretest"
)

// TestOwnersCommands: SPILLWAY.PLUGINS and SPILLWAY.CONFIG are the owner's to answer, and
// refused where the owner does not.
func TestOwnersCommands(t *testing.T) {
	answer := func(args []string) ([]string, error) {
		if args[0] == "fail" {
			return nil, errors.New("ERR line 1\nline 2")
		}
		return append([]string{"asked"}, args...), nil
	}
	for name, own := range map[string]func(*core.Options){
		"SPILLWAY.PLUGINS": func(o *core.Options) { o.OnPlugins = answer },
		"SPILLWAY.CONFIG":  func(o *core.Options) { o.OnConfig = answer },
	} {
		h := coretest.New(t)
		if got := h.Do(name, "LIST"); !strings.HasPrefix(got, "(error) ERR "+name+" is not available") {
			t.Errorf("embedded: %s", got)
		}
		h = coretest.New(t, own)
		for _, c := range []struct {
			args []string
			want string
		}{
			{[]string{name, "LOGS", "x y"}, `["asked" "LOGS" "x y"]`},
			{[]string{strings.ToLower(name), "fail"}, "(error) ERR line 1; line 2"},
			{[]string{name}, "(error) ERR wrong number of arguments for '" + strings.ToLower(name) + "' command"},
			{[]string{"MULTI"}, `"OK"`},
			{[]string{name, "LIST"}, "(error) ERR Command not allowed inside a transaction"},
		} {
			if got := h.Do(c.args...); got != c.want {
				t.Errorf("%v: %s, want %s", c.args, got, c.want)
			}
		}
	}
}

// TestStatusCommand: SPILLWAY.STATUS is the owner's to answer, and refused where the
// owner does not.
func TestStatusCommand(t *testing.T) {
	h := coretest.New(t)
	if got := h.Do("SPILLWAY.STATUS"); !strings.HasPrefix(got, "(error) ERR SPILLWAY.STATUS is not available") {
		t.Errorf("embedded: %s", got)
	}
	h = coretest.New(t, func(o *core.Options) {
		o.OnStatus = func(args []string) ([]string, error) { return append([]string{"{}"}, args...), nil }
	})
	if got := h.Do("SPILLWAY.STATUS"); got != `["{}"]` {
		t.Error(got)
	}
	if got := h.Do("spillway.status", "VERIFIED", "s", "ok", "2 parts"); got != `["{}" "VERIFIED" "s" "ok" "2 parts"]` {
		t.Error(got)
	}
}
