package config

import (
	"maps"
	"strings"
	"testing"
)

func TestParseRate(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]int64{
		"0": 0, "50MB/s": 50 << 20, "50mb": 50 << 20, "50MiB/s": 50 << 20, "512 KiB/s": 512 << 10, "1g/s": 1e9, "52428800": 52428800, "1024b/s": 1024,
	} {
		if n, err := ParseRate(text); n != want || err != nil {
			t.Errorf("%q is %d (%v), want %d", text, n, err, want)
		}
		if n, err := ParseRate(FormatRate(want)); n != want || err != nil {
			t.Errorf("%q is read as %d (%v)", FormatRate(want), n, err)
		}
	}
	for _, text := range []string{"", "/s", "fast", "50MB/min", "50Mbit/s", "ib/s", "50ib/s", "-1mb/s", "1.5mb/s", "50", "10000000000tb/s"} {
		if n, err := ParseRate(text); err == nil {
			t.Errorf("%q is read as %d", text, n)
		}
	}
}

// TestRatesOfOneName: the sinks of one name share a rate, whichever says it, and cannot
// have two; the data directory has none.
func TestRatesOfOneName(t *testing.T) {
	t.Parallel()
	hcl := func(local, checkpoint, archive, whole string) string {
		return strings.NewReplacer("LOCAL", local, "CHECKPOINT", checkpoint, "ARCHIVE", archive, "WHOLE", whole).Replace(`
filesystem "os" "data" { root = "d" }
filesystem "os" "m" { root = "m" }
pipeline "checkpoint" {
  sink "filesystem" "local" {
    uses = filesystem.os.data
    LOCAL
  }
  sink "filesystem" "m" {
    uses = filesystem.os.m
    CHECKPOINT
  }
  sink "filesystem" "other" {
    uses = filesystem.os.m
    rate = "3mb/s"
  }
}
pipeline "archive" {
  WHOLE
  sink "filesystem" "m" {
    uses = filesystem.os.m
    ARCHIVE
  }
}`)
	}
	const one, two = `rate = "1MB/s"`, `rate = "2MB/s"`
	for _, c := range []struct{ checkpoint, archive, whole string }{{one, "", ""}, {"", one, ""}, {one, one, two}} {
		got, f := Parse("test.hcl", []byte(hcl("", c.checkpoint, c.archive, c.whole)))
		if got == nil {
			t.Fatal(f.Err())
		}
		if want := map[string]int64{"m": 1 << 20, "other": 3 << 20}; !maps.Equal(got.Rates(), want) {
			t.Errorf("%+v: the rates are %v", c, got.Rates())
		}
		if want := int64(len(c.whole)/len(two)) * 2 << 20; got.Archive.Rate != want {
			t.Errorf("%+v: the rate of the archive is %d", c, got.Archive.Rate)
		}
	}
	for want, src := range map[string]string{
		"share one rate":                    hcl("", one, two, ""),
		"has no rate":                       hcl(one, "", "", ""),
		`"rate": want bytes`:                hcl("", `rate = "soon"`, "", ""),
		"want at least 1KB/s":               hcl("", "", "", "rate = 50"),
		"checkpoint's says 1mb/s":           hcl("", one, "rate = 0", ""),
		`belongs to the pipeline "archive"`: strings.Replace(hcl("", "", "", ""), `pipeline "checkpoint" {`, `pipeline "checkpoint" {`+"\n"+one, 1),
	} {
		if got, f := Parse("test.hcl", []byte(src)); got != nil || !strings.Contains(f.Err().Error(), want) {
			t.Errorf("want an error with %q: %v", want, f.Err())
		}
	}
}
