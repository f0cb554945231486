package status

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/spillwaydb/spillway/core/backup"
)

// hostile is what no text of a report may be more than text with.
const hostile = "<script>alert('x')</script>\"'&\x1b[31m\nsecond line"

// fill sets every string of v to text, every number to n, and gives every list an item.
func fill(v reflect.Value, text string, n int64) {
	switch v.Kind() {
	case reflect.String:
		v.SetString(text)
	case reflect.Int, reflect.Int64:
		v.SetInt(n)
	case reflect.Uint64:
		v.SetUint(uint64(n))
	case reflect.Float64:
		v.SetFloat(float64(n))
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem(), text, n)
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		for i := range 2 {
			fill(v.Index(i), text, n)
		}
	case reflect.Struct:
		if t, ok := v.Addr().Interface().(*time.Time); ok {
			*t = time.Unix(1_700_000_000, 0)
			return
		}
		for i := range v.NumField() {
			fill(v.Field(i), text, n)
		}
	}
}

// whole is a report that has everything.
func whole(text string) *Report {
	r := new(Report)
	fill(reflect.ValueOf(r).Elem(), text, 3)
	r.At = time.Unix(1_700_010_000, 0)
	for i, role := range []string{"encoder", "stage", "stage", "local", "required", "best-effort"} {
		r.Pipeline = append(r.Pipeline[:i:i], Member{Name: text, Role: role, BytesIn: 1 << 30, BytesOut: 1 << 20, Pending: int64(i), LagSeconds: 90000, Errors: int64(i)})
	}
	r.Restore.Sinks = true
	return r
}

// TestPageEscapes: whatever a report says is text in the page, and nothing in the page
// runs or is styled by an attribute.
func TestPageEscapes(t *testing.T) {
	for _, r := range []*Report{whole(hostile), whole(""), {}, {Restore: Restore{Sinks: true, Oldest: time.Now(), Windows: make([]backup.Window, 1)}}} {
		w := httptest.NewRecorder()
		Handler(func() *Report { return r }).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", nil))
		page := w.Body.String()
		if w.Code != 200 || !strings.Contains(page, "</html>") {
			t.Fatalf("%d:\n%s", w.Code, page)
		}
		if strings.Contains(page, "<script>") || strings.Count(page, "<script ") != 1 {
			t.Error("a script got into the page")
		}
		if m := regexp.MustCompile(`<[^>]*\s(style|on[a-z]+)=`).FindString(page); m != "" {
			t.Errorf("the page has %s", m)
		}
		for _, m := range regexp.MustCompile(`(?:href|src)="([^"]*)"`).FindAllStringSubmatch(page, -1) {
			if strings.Contains(m[1], ":") || strings.HasPrefix(m[1], "//") {
				t.Errorf("the page refers to %s", m[1])
			}
		}
	}
}

// TestTextEscapes: a terminal is told no control characters, and a line is one line.
func TestTextEscapes(t *testing.T) {
	var plain, odd strings.Builder
	if err := errors.Join(whole("x").Text(&plain), whole(hostile).Text(&odd)); err != nil {
		t.Fatal(err)
	}
	if strings.ContainsRune(odd.String(), 0x1b) {
		t.Error("an escape sequence gets through")
	}
	if a, b := strings.Count(plain.String(), "\n"), strings.Count(odd.String(), "\n"); a != b {
		t.Errorf("%d lines become %d", a, b)
	}
	if l := whole(hostile).Line(); strings.ContainsAny(l, "\n\x1b") {
		t.Errorf("%q", l)
	}
}

// TestPicture: no two boxes overlap, all are in the picture, and every line ends at a box.
func TestPicture(t *testing.T) {
	for _, tall := range []bool{false, true} {
		p := whole("a name that is much too long for its box").draw(tall)
		if len(p.Nodes) != 1+6+2+2 || len(p.Pipes) != len(p.Nodes)-2 {
			t.Errorf("%d boxes, %d lines", len(p.Nodes), len(p.Pipes))
		}
		for i, a := range p.Nodes {
			if a.X < 0 || a.Y < 0 || a.X+a.W > p.Width || a.Y+a.H > p.Height {
				t.Errorf("box %d is outside", i)
			}
			if len([]rune(a.Title)) > 19 {
				t.Errorf("%q does not fit", a.Title)
			}
			for _, b := range p.Nodes[:i] {
				if a.X < b.X+b.W && b.X < a.X+a.W && a.Y < b.Y+b.H && b.Y < a.Y+a.H {
					t.Errorf("%v: %+v overlaps %+v", tall, a, b)
				}
			}
		}
		if tall && p.Width > 400 {
			t.Errorf("the tall picture is %d wide", p.Width)
		}
	}
}

// TestJudge: what is a problem, how bad, and that it comes with what to do.
func TestJudge(t *testing.T) {
	now := time.Unix(1_700_000_000, 0)
	for name, c := range map[string]struct {
		change    func(*Report)
		unhealthy error
		want      State
		what      string
	}{
		"well":     {func(*Report) {}, nil, OK, ""},
		"loading":  {func(r *Report) { r.Loading = &Loading{}; r.Log.OK = false }, errors.New("loading the data"), Starting, ""},
		"log":      {func(r *Report) { r.Log.OK, r.Log.Error = false, "EIO" }, errors.New("x"), Critical, "the log has failed, writes are refused: EIO"},
		"snapshot": {func(r *Report) { r.Checkpoints.LastOK = false }, nil, Critical, "the last snapshot failed"},
		"rewrite":  {func(r *Report) { r.Checkpoints.RewriteOK = false }, nil, Warning, "rewrite"},
		"unsaved": {func(r *Report) {
			r.Log.State, r.Checkpoints.Unsaved, r.Checkpoints.LastAt = "off", 1, now.Add(-3*time.Hour)
		}, nil, Warning, "1 change since the last checkpoint, 3 h 0 min ago"},
		"unsaved, with a log":    {func(r *Report) { r.Checkpoints.Unsaved, r.Checkpoints.LastAt = 1, now.Add(-3*time.Hour) }, nil, OK, ""},
		"behind":                 {func(r *Report) { r.Pipeline = []Member{{Name: "s3", Pending: 2, LagSeconds: 60}} }, nil, Warning, "sink s3 is behind by 2 checkpoints, the oldest 1 min 0 s old"},
		"far behind":             {func(r *Report) { r.Pipeline = []Member{{Name: "s3", Pending: 2, LagSeconds: 86400 * 3}} }, nil, Critical, "3 d 0 h old"},
		"archive":                {func(r *Report) { r.Archive = &Archive{LagSeconds: 400, Error: "no route"} }, nil, Critical, "no route"},
		"archive, a moment ago":  {func(r *Report) { r.Archive = &Archive{LagSeconds: 4, Error: "no route"} }, nil, Warning, "no route"},
		"memory":                 {func(r *Report) { r.Memory = Memory{UsedBytes: 95, MaxBytes: 100, Policy: "noeviction"} }, nil, Warning, "95 B of the 100 B"},
		"memory full":            {func(r *Report) { r.Memory = Memory{UsedBytes: 100, MaxBytes: 100, Policy: "noeviction"} }, nil, Critical, "refused"},
		"memory full of a cache": {func(r *Report) { r.Memory = Memory{UsedBytes: 100, MaxBytes: 100, Policy: "allkeys-lru"} }, nil, OK, ""},
		"plugin":                 {func(r *Report) { r.Plugins = []Plugin{{Name: "p", State: "failing", Error: "exit 1"}} }, nil, Warning, "plugin p fails: exit 1"},
		"damage":                 {func(r *Report) { r.Verified = []Verification{{Source: "s3", Text: "part 1"}} }, nil, Critical, "backup s3 is damaged: part 1"},
		"certificate":            {func(r *Report) { r.Certificates = []Certificate{{"l", now.Add(49 * time.Hour)}} }, nil, Warning, "expires in 2 days"},
		"no certificate":         {func(r *Report) { r.Certificates = []Certificate{{"l", now}} }, nil, Critical, "has expired"},
		"unhealthy":              {func(*Report) {}, errors.New("shutting down"), Critical, "shutting down"},
	} {
		r := &Report{At: now, Checkpoints: Checkpoints{LastOK: true, RewriteOK: true, LastAt: now}, Log: Log{State: "on", OK: true}}
		c.change(r)
		r.Judge(c.unhealthy)
		if r.State != c.want || (c.what == "") != (len(r.Problems) == 0) {
			t.Errorf("%s: %s %+v, want %s", name, r.State, r.Problems, c.want)
			continue
		}
		if r.Serving != (c.unhealthy == nil) {
			t.Errorf("%s: it serves: %v", name, r.Serving)
		}
		for _, p := range r.Problems {
			if p.Todo == "" || !strings.Contains(p.What, c.what) {
				t.Errorf("%s: %+v", name, p)
			}
		}
	}
}

// TestNumbers: numbers are short, and read as what they are.
func TestNumbers(t *testing.T) {
	for got, want := range map[string]string{
		micros(0.5): "0.50 µs", micros(12.34): "12.3 µs", micros(999.6): "1000 µs", micros(1500): "1.50 ms", micros(15000): "15.0 ms",
		micros(150000): "150 ms", micros(2e6): "2.00 s", seconds(90): "1 min 30 s", rough(50 * time.Hour): "2 d 2 h", rough(-time.Second): "0 s",
		ago(time.Unix(100, 0), time.Unix(98, 0)): "2 s ago", ago(time.Unix(100, 0), time.Unix(101, 0)): "just now", ago(time.Unix(1, 0), time.Time{}): "never",
	} {
		if got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
