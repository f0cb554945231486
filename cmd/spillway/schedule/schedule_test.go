package schedule

import (
	"strings"
	"testing"
	"time"
	_ "time/tzdata"
)

func zone(t *testing.T, name string) *time.Location {
	t.Helper()
	z, err := time.LoadLocation(name)
	if err != nil {
		t.Fatal(err)
	}
	return z
}

// TestNext: what comes next, on ordinary days and where clocks change.
func TestNext(t *testing.T) {
	t.Parallel()
	const berlin, york, howe = "Europe/Berlin", "America/New_York", "Australia/Lord_Howe"
	for _, c := range []struct {
		expr, zone, from string
		want             []string
	}{
		{"0 3 * * *", "UTC", "2026-03-28T03:00:00Z", []string{"2026-03-29T03:00:00Z", "2026-03-30T03:00:00Z"}},
		{"0 3 * * *", "UTC", "2026-03-28T02:59:59Z", []string{"2026-03-28T03:00:00Z"}},
		{"@daily", berlin, "2026-06-30T22:00:01Z", []string{"2026-07-02T00:00:00+02:00"}},
		{"@Weekly", berlin, "2026-06-30T22:00:01Z", []string{"2026-07-05T00:00:00+02:00"}},
		{"0 0 1 * 1", berlin, "2026-10-24T12:00:00Z", []string{"2026-10-26T00:00:00+01:00", "2026-11-01T00:00:00+01:00", "2026-11-02T00:00:00+01:00"}}, // a Monday, or the first
		{"15,45 8-9 * JAN mon", berlin, "2026-10-24T12:00:00Z", []string{"2027-01-04T08:15:00+01:00", "2027-01-04T08:45:00+01:00", "2027-01-04T09:15:00+01:00"}},
		{"0 0 29 2 *", berlin, "2026-10-24T12:00:00Z", []string{"2028-02-29T00:00:00+01:00", "2032-02-29T00:00:00+01:00"}},
		{"0 0 31 * *", york, "2026-08-31T12:00:00Z", []string{"2026-10-31T00:00:00-04:00", "2026-12-31T00:00:00-05:00"}},

		// 02:00 to 03:00 does not exist: at its end, once.
		{"30 2 * * *", berlin, "2026-03-28T12:00:00Z", []string{"2026-03-29T03:00:00+02:00", "2026-03-30T02:30:00+02:00"}},
		{"0,30 2 * * *", berlin, "2026-03-28T12:00:00Z", []string{"2026-03-29T03:00:00+02:00", "2026-03-30T02:00:00+02:00"}},
		{"30 2,3 * * *", berlin, "2026-03-28T12:00:00Z", []string{"2026-03-29T03:00:00+02:00", "2026-03-29T03:30:00+02:00", "2026-03-30T02:30:00+02:00"}},
		{"0 3 * * *", berlin, "2026-03-28T12:00:00Z", []string{"2026-03-29T03:00:00+02:00", "2026-03-30T03:00:00+02:00"}},
		{"15 2 * * *", york, "2026-03-07T12:00:00Z", []string{"2026-03-08T03:00:00-04:00", "2026-03-09T02:15:00-04:00"}},
		{"15 2 * * *", howe, "2026-10-03T12:00:00Z", []string{"2026-10-04T02:30:00+11:00", "2026-10-05T02:15:00+11:00"}}, // half an hour
		// 02:00 to 03:00 comes twice: the first time only, whenever one asks.
		{"30 2 * * *", berlin, "2026-10-24T12:00:00Z", []string{"2026-10-25T02:30:00+02:00", "2026-10-26T02:30:00+01:00"}},
		{"30 2 * * *", berlin, "2026-10-25T01:10:00Z", []string{"2026-10-26T02:30:00+01:00"}},
		{"0 3 * * *", berlin, "2026-10-25T01:10:00Z", []string{"2026-10-25T03:00:00+01:00"}},
		{"0 2,3 * * *", berlin, "2026-10-24T12:00:00Z", []string{"2026-10-25T02:00:00+02:00", "2026-10-25T03:00:00+01:00"}},
		// Every half hour is every half hour.
		{"*/30 * * * *", berlin, "2026-03-29T00:30:00Z", []string{"2026-03-29T03:00:00+02:00", "2026-03-29T03:30:00+02:00"}},
		{"*/30 * * * *", berlin, "2026-10-25T00:00:00Z", []string{"2026-10-25T02:30:00+02:00", "2026-10-25T02:00:00+01:00", "2026-10-25T02:30:00+01:00", "2026-10-25T03:00:00+01:00"}},
		{"@hourly", berlin, "2026-10-24T23:30:00Z", []string{"2026-10-25T02:00:00+02:00", "2026-10-25T02:00:00+01:00", "2026-10-25T03:00:00+01:00"}},
	} {
		s, err := Parse(c.expr, zone(t, c.zone))
		if err != nil {
			t.Errorf("%s: %v", c.expr, err)
			continue
		}
		at, err := time.Parse(time.RFC3339, c.from)
		if err != nil {
			t.Fatal(err)
		}
		for _, want := range c.want {
			if at = s.Next(at); at.Format(time.RFC3339) != want {
				t.Errorf("%s in %s, from %s: %s, want %s", c.expr, c.zone, c.from, at.Format(time.RFC3339), want)
				break
			}
		}
	}
}

// TestNextAdvances: walked through years, no moment comes twice, none goes back, and a
// daily job has run once on every day.
func TestNextAdvances(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "America/Sao_Paulo"} {
		s, err := Parse("30 2 * * *", zone(t, name))
		if err != nil {
			t.Fatal(err)
		}
		at := s.Next(time.Date(2017, 1, 1, 12, 0, 0, 0, time.UTC))
		for range 2 * 365 {
			next := s.Next(at)
			if d := next.Sub(at); d < 22*time.Hour || d > 26*time.Hour {
				t.Fatalf("%s: %s follows %s", name, next, at)
			}
			at = next
		}
	}
}

// TestParseRefuses: what is wrong is said.
func TestParseRefuses(t *testing.T) {
	t.Parallel()
	for expr, want := range map[string]string{
		"":                                       "0 fields",
		"0 3 * *":                                "4 fields",
		"0 0 3 * * *":                            "6 fields", // seconds are none of cron's
		"61 * * * *":                             `"61" is no minute`,
		"0 25 * * *":                             `"25" is no hour`,
		"0 0 32 * *":                             `"32" is no day of month`,
		"0 0 1 smarch *":                         `"smarch" is no month`,
		"0 0 * * funday":                         `"funday" is no day of week`,
		"*/0 * * * *":                            `no minute`,
		"-1 * * * *":                             `no minute`,
		"0 0 30 2 *":                             "never comes",
		"@reboot":                                "@daily",
		"@5minutes":                              "@hourly",
		"TZ=UTC 0 3 * * *":                       "6 fields",
		strings.Repeat("1,", 2000) + "1 * * * *": "at most",
	} {
		if s, err := Parse(expr, time.UTC); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.40q: %v, %v, want %q", expr, s, err, want)
		}
	}
}

// FuzzParse: whatever is accepted has a next moment from any other on, and it is later.
func FuzzParse(f *testing.F) {
	for _, expr := range []string{"0 3 * * *", "@daily", "*/7 1-5 L * 1#2", "0 0 29 2 6", "5/15 * ? * *"} {
		f.Add(expr, int64(1_790_000_000))
	}
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, expr string, unix int64) {
		s, err := Parse(expr, berlin)
		if err != nil {
			return
		}
		at := time.Unix(1_600_000_000+(unix&0x1fffffff), 0)
		if next := s.Next(at); !next.After(at) {
			t.Errorf("%q: %s follows %s", expr, next, at)
		}
	})
}
