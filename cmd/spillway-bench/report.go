package main

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"time"
)

// schema is the version of the JSON. A reader of this one ignores fields it does not
// know; a change of what a field means is another number.
const schema = 1

// report is everything of a run: what --json writes, and render reads.
type report struct {
	Schema    int       `json:"schema"`
	Date      time.Time `json:"date"`
	Arguments []string  `json:"arguments"`
	Rounds    int       `json:"rounds"`
	Machine   machine   `json:"machine"`
	Pins      pins      `json:"pinning"`
	// OtherWork is the share of the machine's processors that went to others.
	OtherWork float64    `json:"other_work"`
	Servers   []served   `json:"servers"` // ours first
	Figures   []*figure  `json:"figures"`
	Skipped   []skipped  `json:"not_measured"`
	Timelines []timeline `json:"timelines"`
	// Failed is why the run ended early, empty for one that did not.
	Failed string `json:"failed,omitempty"`
}

// served is a server of the report.
type served struct {
	Name    string   `json:"name"`
	Version string   `json:"version"`
	Command []string `json:"command"`
}

// figure is one thing measured, of all servers. It is told apart by scenario,
// workload and metric.
type figure struct {
	Scenario string `json:"scenario"`
	Workload string `json:"workload"`
	Metric   string `json:"metric"`
	Unit     string `json:"unit"`
	More     bool   `json:"more_is_better"`
	// Rounds has a value a round, by server; a server that has no such figure is not there.
	Rounds map[string][]float64 `json:"rounds"`
	Median map[string]float64   `json:"median"`
	// Ratio is ours to a peer's, by peer.
	Ratio map[string]ratio `json:"ratio"`
}

// ratio is of paired rounds: the first of ours by the first of theirs, and so on.
type ratio struct {
	Median float64 `json:"median"`
	Low    float64 `json:"low"`
	High   float64 `json:"high"`
}

// skipped is what could not be measured here, and why.
type skipped struct {
	Scenario string `json:"scenario"`
	Workload string `json:"workload"`
	Why      string `json:"why"`
}

func newReport(b *bench) *report {
	r := &report{
		Schema: schema, Date: time.Now().UTC().Truncate(time.Second), Arguments: os.Args[1:], Rounds: b.rounds,
		Machine: thisMachine(b.dir), Pins: b.pins, Figures: []*figure{}, Skipped: []skipped{}, Timelines: []timeline{},
	}
	for _, s := range b.specs {
		r.Servers = append(r.Servers, served{Name: s.name, Command: s.command})
	}
	return r
}

// saw notes the version of a server that has just started, once.
func (r *report) saw(s *server) {
	i := slices.IndexFunc(r.Servers, func(is served) bool { return is.Name == s.name })
	if r.Servers[i].Version != "" {
		return
	}
	if info, err := s.info(); err == nil {
		r.Servers[i].Version = version(info)
	}
}

// version says what a server calls itself. All of the family have redis_version, for
// clients that look at it, and their own besides.
func version(info map[string]string) string {
	for _, name := range []string{"spillway", "valkey", "keydb", "dragonfly", "redis", "hollow"} {
		if v := info[name+"_version"]; v != "" {
			return name + " " + v
		}
	}
	return "unknown"
}

// add notes a server's value of a round. Rounds come in order.
func (r *report) add(of figure, server string, value float64) {
	i := slices.IndexFunc(r.Figures, func(f *figure) bool {
		return f.Scenario == of.Scenario && f.Workload == of.Workload && f.Metric == of.Metric
	})
	if i < 0 {
		i = len(r.Figures)
		of.Rounds = make(map[string][]float64)
		r.Figures = append(r.Figures, &of)
	}
	f := r.Figures[i]
	f.Rounds[server] = append(f.Rounds[server], value)
}

// begin and undo stand around what may fail, so that no figure of it is left.
func (r *report) begin() int { return len(r.Figures) }

func (r *report) undo(begun int) { r.Figures = r.Figures[:begun] }

func (r *report) skip(scenario, workload, why string) {
	r.Skipped = append(r.Skipped, skipped{scenario, workload, why})
}

// finish computes what follows from the rounds.
func (r *report) finish() {
	for _, f := range r.Figures {
		f.Median, f.Ratio = make(map[string]float64), make(map[string]ratio)
		ours := f.Rounds[r.Servers[0].Name]
		for name, theirs := range f.Rounds {
			f.Median[name] = median(theirs)
			if q, ok := paired(ours, theirs); ok && name != r.Servers[0].Name {
				f.Ratio[name] = q
			}
		}
	}
}

func (r *report) json() []byte {
	b, err := json.MarshalIndent(r, "", " ")
	if err != nil {
		panic(fmt.Sprintf("a report is always JSON: %v", err)) // finite numbers, see paired
	}
	return append(b, '\n')
}

// median is the middle value, or the mean of both; 0 of none.
func median(v []float64) float64 {
	if len(v) == 0 {
		return 0
	}
	s := slices.Sorted(slices.Values(v))
	return (s[(len(s)-1)/2] + s[len(s)/2]) / 2
}

// paired is the ratio of values by round. There is none where the rounds are not the
// same number, or are none, or something is divided by zero.
func paired(ours, theirs []float64) (ratio, bool) {
	if len(ours) == 0 || len(ours) != len(theirs) || slices.Contains(theirs, 0) {
		return ratio{}, false
	}
	q := make([]float64, len(ours))
	for i := range ours {
		q[i] = ours[i] / theirs[i]
	}
	return ratio{median(q), slices.Min(q), slices.Max(q)}, true
}
