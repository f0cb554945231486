package backup_test

import (
	"errors"
	"io"
	"testing"
	"time"

	"github.com/spillwaydb/spillway/core/backup"
)

type readCloser = io.ReadCloser

// breaking fails after n bytes.
type breaking struct {
	io.ReadCloser
	n int
}

func (b *breaking) Read(p []byte) (int, error) {
	if b.n == 0 {
		return 0, errors.New("the connection broke")
	}
	n, err := b.ReadCloser.Read(p[:min(len(p), b.n)])
	b.n -= n
	return n, err
}

func TestParseAt(t *testing.T) {
	loc := time.FixedZone("test", 2*3600)
	for in, want := range map[string]backup.At{
		"":                              {},
		"latest":                        {},
		"42":                            {Generation: 42},
		"1767225600":                    {Time: time.Unix(1767225600, 0)},
		"1767225600.25":                 {Time: time.Unix(1767225600, 250e6)},
		"2026-01-01T00:00:00Z":          {Time: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)},
		"2026-01-01T02:00:00.125+02:00": {Time: time.Date(2026, 1, 1, 0, 0, 0, 125e6, time.UTC)},
		"2026-01-01 02:00:00":           {Time: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)},
		"2026-01-01 02:00":              {Time: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)},
		"2026-01-01":                    {Time: time.Date(2025, 12, 31, 22, 0, 0, 0, time.UTC)},
	} {
		got, err := backup.ParseAt(in, loc)
		if err != nil || got.Generation != want.Generation || !got.Time.Equal(want.Time) {
			t.Errorf("%q is %+v, %v; want %+v", in, got, err, want)
			continue
		}
		if again, err := backup.ParseAt(got.String(), loc); err != nil || again.Generation != got.Generation || !again.Time.Equal(got.Time) {
			t.Errorf("%q becomes %q and then %+v, %v", in, got, again, err)
		}
	}
	for _, in := range []string{"0", "-1", "yesterday", "2026-13-01", "99999999999999", "12:00", "NaN", "1e9x"} {
		if got, err := backup.ParseAt(in, loc); err == nil {
			t.Errorf("%q is %+v", in, got)
		}
	}
}
