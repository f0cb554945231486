package main

import (
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"github.com/spillwaydb/spillway/cmd/spillway/config"
)

// TestParamFlags: every parameter that has a name in plugins.hcl has a flag, with
// its line of help; what the flags are given is in the configuration, and what is
// no value is a mistake that names the flag.
func TestParamFlags(t *testing.T) {
	t.Parallel()
	flags := func(args ...string) (*config.Config, error) {
		var o overrides
		cmd := &cobra.Command{}
		o.register(cmd)
		if err := cmd.ParseFlags(args); err != nil {
			t.Fatal(err)
		}
		c := config.Default()
		return c, o.apply(cmd, c)
	}
	var args []string
	given := make(map[string]string)
	for _, p := range config.Params() {
		if p.Flag() == "" {
			continue
		}
		var o overrides
		cmd := &cobra.Command{}
		o.register(cmd)
		if f := cmd.Flags().Lookup(p.Flag()); f == nil || !strings.Contains(f.Usage, p.Type.Want()) {
			t.Fatalf("--%s: %+v", p.Flag(), f)
		}
		value := p.Default
		for _, v := range []string{"no", "7", "7340032", "some words"} {
			if text, err := p.Type.Parse(v); err == nil && text == v && v != p.Default {
				value = v
				break
			}
		}
		if p.Auto != "" && value == "" {
			t.Fatalf("no value for --%s", p.Flag())
		}
		given[p.Name] = value
		args = append(args, "--"+p.Flag(), value)
	}
	c, err := flags(args...)
	if err != nil {
		t.Fatal(err)
	}
	changed := 0
	for _, p := range config.Params() {
		if want, ok := given[p.Name]; ok {
			if got := c.Var(p).String(); got != want {
				t.Errorf("--%s %q is %q", p.Flag(), want, got)
			}
			if want != p.Default {
				changed++
			}
		}
	}
	if changed < len(given)*3/4 {
		t.Errorf("only %d of %d were given another value than their default", changed, len(given))
	}
	for flag, want := range map[string]string{
		"--shards=0": "--shards 0: want 1 to 4096", "--appendonly=perhaps": `--appendonly "perhaps": want yes or no`,
		"--appendfsync=sometimes": `--appendfsync "sometimes": want everysec, always or no`, "--maxmemory=lots": `--maxmemory "lots": want a size, as in 512mb`,
		"--save=60": `--save: save points "60": want pairs of seconds and changes`, "--maxclients=x": "--maxclients x: want 1 to 4294967295",
	} {
		if _, err := flags(flag); err == nil || err.Error() != want {
			t.Errorf("%s: %v, want %s", flag, err, want)
		}
	}
}
