package main

import (
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"math"
	"reflect"
	"strings"
	"testing"
	"time"
)

func TestMedian(t *testing.T) {
	for _, c := range []struct {
		of   []float64
		want float64
	}{{nil, 0}, {[]float64{3}, 3}, {[]float64{9, 1}, 5}, {[]float64{9, 1, 2}, 2}, {[]float64{4, 1, 3, 100}, 3.5}} {
		if got := median(c.of); got != c.want {
			t.Errorf("median(%v) is %v, want %v", c.of, got, c.want)
		}
	}
	if v := []float64{2, 1}; median(v) != 1.5 || v[0] != 2 {
		t.Errorf("median changed what it was given: %v", v)
	}
}

// TestPaired: rounds are divided by rounds. The median of the ratios is not the ratio
// of the medians: of a machine that slows down in the middle it is the honest one.
func TestPaired(t *testing.T) {
	got, ok := paired([]float64{100, 10, 90}, []float64{50, 20, 30})
	if want := (ratio{Median: 2, Low: 0.5, High: 3}); !ok || got != want {
		t.Errorf("%+v, %v, want %+v", got, ok, want)
	}
	for _, c := range [][2][]float64{{nil, nil}, {{1}, nil}, {{1, 2}, {1}}, {{1, 2}, {1, 0}}} {
		if got, ok := paired(c[0], c[1]); ok {
			t.Errorf("paired(%v, %v) is %+v, and there is none", c[0], c[1], got)
		}
	}
}

func TestQuantile(t *testing.T) {
	var thousand latencies
	for i := range 1000 {
		thousand = append(thousand, float64(i+1))
	}
	for q, want := range map[float64]float64{0.5: 501, 0.99: 991, 0.999: 1000, 1: 1000} {
		if got := thousand.quantile(q); got != want {
			t.Errorf("quantile %v of 1 to 1000 is %v, want %v", q, got, want)
		}
	}
	if got := (latencies{7}).quantile(0.999); got != 7 {
		t.Errorf("quantile of one: %v", got)
	}
}

// TestBetween: a request counts when it was due in the interval, whenever its reply came.
func TestBetween(t *testing.T) {
	at := func(ms int) time.Time { return time.UnixMilli(1_000_000 + int64(ms)) }
	p := &prober{samples: []sample{{due: at(0), took: time.Millisecond}, {due: at(1), took: 50 * time.Millisecond}, {due: at(2), took: 2 * time.Millisecond}, {due: at(3), took: time.Second}}}
	got, err := p.between(at(1), at(3))
	if want := (latencies{2, 50}); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%v, %v, want %v", got, err, want)
	}
	if got, err := p.between(at(10), at(20)); err == nil {
		t.Errorf("no sample is %v", got)
	}
}

// made is a report of made-up rounds.
func made() *report {
	r := &report{
		Schema: schema, Date: time.Date(2026, 11, 29, 0, 0, 0, 0, time.UTC), Rounds: 3,
		Machine: machine{CPU: "a processor", CPUs: 2, System: "a system", Kernel: "6.1", Filesystem: "ext4", LoadTool: "redis-benchmark 7"},
		Servers: []served{{Name: "spillway", Version: "spillway 1"}, {Name: "other", Version: "redis 7"}, {Name: "third", Version: "valkey 9"}},
	}
	rate := figure{Scenario: "throughput", Workload: "SET, P1", Metric: "operations a second", Unit: "op/s", More: true}
	share := figure{Scenario: "throughput", Workload: "SET, P1", Metric: loadShare, Unit: "%"}
	for i := range 3 {
		r.add(rate, "spillway", []float64{100, 10, 90}[i])
		r.add(rate, "other", []float64{50, 20, 30}[i])
		r.add(share, "spillway", 99)
		r.add(share, "other", 50)
	}
	rate.Workload = "GET, P1"
	r.add(rate, "spillway", 1)
	r.add(rate, "other", 2)
	return r
}

func TestTables(t *testing.T) {
	r := made()
	r.finish()
	text := r.tables()
	for _, want := range []string{
		"| operations a second, op/s | spillway | other | third |\n|---|---|---|---|\n",
		// The medians are 90 and 30, and the median of the ratios is 2.
		"| SET, P1 | 90.0\\* | 30.0 (2.00; 0.50–3.00) | – |\n", "| GET, P1 | 1.00 | 2.00 (0.50; 0.50–0.50) | – |\n",
		"\\* The load was at the end of its own CPU", "other is redis 7", "There is one processor",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("there is no %q in:\n%s", want, text)
		}
	}
	for _, unwanted := range []string{"not idle", "failed", "Not measured"} {
		if strings.Contains(text, unwanted) {
			t.Errorf("%q is in:\n%s", unwanted, text)
		}
	}
	r.OtherWork, r.Failed = 0.3, "other: it ended"
	r.skip("throughput", "10000 clients", "too few files")
	text = r.tables()
	for _, want := range []string{"do not quote these figures", "other: it ended", "- throughput: 10000 clients: too few files\n"} {
		if !strings.Contains(text, want) {
			t.Errorf("there is no %q in:\n%s", want, text)
		}
	}
}

// TestUndo: of what failed no figure is left.
func TestUndo(t *testing.T) {
	r := made()
	done := r.begin()
	r.add(figure{Scenario: "memory", Workload: "w", Metric: "resident"}, "spillway", 1)
	r.undo(done)
	if r.finish(); len(r.Figures) != 3 || strings.Contains(r.tables(), "## memory") {
		t.Errorf("%d figures", len(r.Figures))
	}
}

// TestSchema: the names of the JSON, which programs read. A name that changes its
// meaning, or goes, is another schema.
func TestSchema(t *testing.T) {
	r := made()
	r.Skipped, r.Timelines = []skipped{{}}, []timeline{{Points: []point{{}}}}
	r.finish()
	var got struct {
		Schema  int
		Figures []map[string]any
	}
	var all map[string]any
	b := r.json()
	if err := errors.Join(json.Unmarshal(b, &got), json.Unmarshal(b, &all)); err != nil {
		t.Fatal(err)
	}
	names := func(m map[string]any, want ...string) {
		t.Helper()
		for _, n := range want {
			if _, ok := m[n]; !ok {
				t.Errorf("there is no %s in %v", n, m)
			}
		}
	}
	names(all, "schema", "date", "arguments", "rounds", "machine", "pinning", "other_work", "servers", "figures", "not_measured", "timelines")
	names(got.Figures[0], "scenario", "workload", "metric", "unit", "more_is_better", "rounds", "median", "ratio")
	if ratio := got.Figures[0]["ratio"].(map[string]any)["other"]; !reflect.DeepEqual(ratio, map[string]any{"median": 2.0, "low": 0.5, "high": 3.0}) {
		t.Errorf("the ratio is %v", ratio)
	}
}

// TestDrawing: the picture is XML with a panel for each server, and nothing of it is
// outside of it or no number.
func TestDrawing(t *testing.T) {
	r := made()
	for _, s := range r.Servers {
		line := timeline{Server: s.Name, Keys: 5_000_000, Load: "under a <load>", Seconds: 1.5}
		for at := -3.0; at < 4; at += bin.Seconds() {
			line.Points = append(line.Points, point{at, 0.1, 0.2 + 100*max(0, at)})
		}
		r.Timelines = append(r.Timelines, line)
	}
	r.Timelines[1].Points = append(r.Timelines[1].Points[:30], r.Timelines[1].Points[60:]...) // a gap
	r.Timelines[2].Points = nil
	svg := r.drawing()
	paths := 0
	for d := xml.NewDecoder(strings.NewReader(svg)); ; {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatalf("%v in:\n%s", err, svg)
		}
		if e, ok := token.(xml.StartElement); ok && e.Name.Local == "path" {
			paths++
		}
	}
	if strings.Count(svg, "Z") != 3 { // the second has a gap
		t.Errorf("the bands are in %d parts:\n%s", strings.Count(svg, "Z"), svg)
	}
	if paths != 4 { // two a server that has points
		t.Errorf("%d paths", paths)
	}
	for _, want := range []string{"prefers-color-scheme: dark", "5,000,000 keys", "under a &lt;load&gt;", ">spillway 1<", ">third: valkey 9<"} {
		if !strings.Contains(svg, want) {
			t.Errorf("there is no %q in:\n%s", want, svg)
		}
	}
	if strings.Contains(svg, "NaN") || strings.Contains(svg, "Inf") {
		t.Errorf("no number in:\n%s", svg)
	}
}

func TestAxes(t *testing.T) {
	a := newAxes([]timeline{{Seconds: 9, Points: []point{{-1, 0.05, 0.3}, {3, 1, 240}}}})
	if a.low != -2 || a.high != 3 || a.from != -1 || a.to != 9 {
		t.Errorf("%+v", a)
	}
	if x := a.x(4); math.Abs(x-(plotLeft+plotRight)/2) > 0.01 {
		t.Errorf("the middle is at %v", x)
	}
	if a.y(1000) != 0 || a.y(0.01) != panelHeight || a.y(0) != panelHeight || a.y(1e9) != 0 {
		t.Errorf("the limits are at %v and %v", a.y(1000), a.y(0.01))
	}
}
