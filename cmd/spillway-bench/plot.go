package main

import (
	"fmt"
	"html"
	"math"
	"slices"
	"strings"

	"github.com/dustin/go-humanize"
)

// The picture's measures, in pixels.
const (
	plotWidth   = 900
	plotLeft    = 60  // of the panels
	plotRight   = 880 // of the panels
	plotTop     = 92  // of the first panel
	panelHeight = 84
	panelEvery  = 122
	plotBottom  = 66 // below the last panel
)

// plotStyle has colours for a light and for a dark page. The ground is drawn, so that
// a page that does not tell which it is can be read too.
const plotStyle = `
  .ground { fill: #ffffff; stroke: #d0d7de } .text { fill: #1f2328 } .dim { fill: #59636e } .grid { stroke: #d0d7de; stroke-width: 1 }
  .save { fill: #eaeef2 } .theirs { fill: #8c959f } .theirs-mid { stroke: #424a53 } .ours { fill: #2da44e } .ours-mid { stroke: #0b5c24 }
  text { font: 13px system-ui, -apple-system, "Segoe UI", "Helvetica Neue", Arial, sans-serif } .small { font-size: 11px } .big { font-size: 17px; font-weight: 600 } .name { font-weight: 600 }
  @media (prefers-color-scheme: dark) {
    .ground { fill: #0d1117; stroke: #3d444d } .text { fill: #f0f6fc } .dim { fill: #9198a1 } .grid { stroke: #3d444d }
    .save { fill: #21262d } .theirs { fill: #6e7681 } .theirs-mid { stroke: #d1d9e0 } .ours { fill: #3fb950 } .ours-mid { stroke: #aff5b4 }
  }
`

// axes maps seconds and milliseconds to the picture.
type axes struct {
	from, to  float64 // seconds
	low, high int     // powers of ten of milliseconds
}

// newAxes has room for all points.
func newAxes(lines []timeline) axes {
	a := axes{from: math.Inf(1), to: math.Inf(-1)}
	low, high := math.Inf(1), math.Inf(-1)
	for _, t := range lines {
		a.to = max(a.to, t.Seconds)
		for _, p := range t.Points {
			a.from, a.to = min(a.from, p.At), max(a.to, p.At+bin.Seconds())
			low, high = min(low, p.Median), max(high, p.Longest)
		}
	}
	a.low = int(math.Floor(math.Log10(max(low, 0.01))))
	a.high = max(int(math.Ceil(math.Log10(max(high, 0.01)))), a.low+1)
	return a
}

func (a axes) x(seconds float64) float64 {
	return plotLeft + (seconds-a.from)/(a.to-a.from)*(plotRight-plotLeft)
}

// y is how far below the top of a panel a latency is.
func (a axes) y(ms float64) float64 {
	share := (math.Log10(max(ms, 0.001)) - float64(a.low)) / float64(a.high-a.low)
	return panelHeight * (1 - min(max(share, 0), 1))
}

// drawing is the timelines as SVG: a panel a server, all with the same axes. The
// filled band is from the median latency of a bin to the longest, the line the median.
func (r *report) drawing() string {
	lines := r.Timelines
	a := newAxes(lines)
	var b strings.Builder
	height := plotTop + panelEvery*len(lines) - (panelEvery - panelHeight) + plotBottom
	title := fmt.Sprintf("Latency of a client while %s keys are saved", humanize.Comma(int64(lines[0].Keys)))
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" width="%d" height="%d" role="img" aria-label="%s">`+"\n<style>%s</style>\n",
		plotWidth, height, plotWidth, height, title, plotStyle)
	fmt.Fprintf(&b, `<rect class="ground" x="0.5" y="0.5" width="%d" height="%d" rx="8"/>`+"\n", plotWidth-1, height-1)
	text(&b, 20, 30, "big text", "start", title)
	text(&b, 20, 50, "dim", "start", fmt.Sprintf("BGSAVE %s; a SET is due every millisecond, whatever became of those before.", lines[0].Load))
	for i, t := range lines {
		r.panel(&b, a, t, plotTop+i*panelEvery)
	}
	bottom := plotTop + panelEvery*(len(lines)-1) + panelHeight
	step := niceStep(a.to - a.from)
	for s := math.Ceil(a.from/step) * step; s <= a.to; s += step {
		text(&b, a.x(s), float64(bottom+17), "small dim", "middle", fmt.Sprintf("%g s", s+0)) // +0: no -0
	}
	text(&b, plotLeft, float64(bottom+36), "small dim", "start", fmt.Sprintf("Seconds since BGSAVE, which runs where the ground is shaded. Milliseconds, log scale: from the median (line) to the longest of every %d ms.", bin.Milliseconds()))
	text(&b, plotLeft, float64(bottom+54), "small dim", "start", fmt.Sprintf("%s, %d CPUs; %s.", r.Machine.CPU, r.Machine.CPUs, r.Date.Format("2006-01-02")))
	b.WriteString("</svg>\n")
	return b.String()
}

// panel draws a server's timeline.
func (r *report) panel(b *strings.Builder, a axes, t timeline, top int) {
	kind, version := "theirs", t.Server
	for i, s := range r.Servers {
		if s.Name == t.Server {
			version = s.Version
			if i == 0 {
				kind = "ours"
			}
		}
	}
	name := t.Server
	if !strings.HasPrefix(version, name) {
		name += ": " + version
	} else {
		name = version
	}
	text(b, plotLeft, float64(top-9), "text name", "start", name)
	text(b, plotRight, float64(top-9), "text", "end", fmt.Sprintf("p99.9: %s ms before, %s ms during; saved in %s s", number(t.Before), number(t.During), number(t.Seconds)))
	fmt.Fprintf(b, `<rect class="save" x="%.1f" y="%d" width="%.1f" height="%d"/>`+"\n", a.x(0), top, a.x(t.Seconds)-a.x(0), panelHeight)
	for p := a.low; p <= a.high; p++ {
		y := float64(top) + a.y(math.Pow10(p))
		fmt.Fprintf(b, `<line class="grid" x1="%d" y1="%.1f" x2="%d" y2="%.1f"/>`+"\n", plotLeft, y, plotRight, y)
		text(b, plotLeft-6, y+4, "small dim", "end", fmt.Sprintf("%g", math.Pow10(p)))
	}
	var band, mid strings.Builder
	for _, run := range unbroken(t.Points) {
		y := func(ms float64) float64 { return float64(top) + a.y(ms) }
		for i, p := range run {
			x, next := a.x(p.At), a.x(p.At+bin.Seconds())
			fmt.Fprintf(&band, "%s%.1f %.1fH%.1f", map[bool]string{true: "M", false: "L"}[i == 0], x, y(p.Longest), next)
			fmt.Fprintf(&mid, "%s%.1f %.1fH%.1f", map[bool]string{true: "M", false: "L"}[i == 0], x, y(p.Median), next)
		}
		for _, p := range slices.Backward(run) {
			fmt.Fprintf(&band, "V%.1fH%.1f", y(p.Median), a.x(p.At))
		}
		band.WriteString("Z")
	}
	if len(t.Points) > 0 {
		fmt.Fprintf(b, `<path class="%s" d="%s"/>`+"\n", kind, band.String())
		fmt.Fprintf(b, `<path class="%s-mid" fill="none" stroke-width="1.5" d="%s"/>`+"\n", kind, mid.String())
	}
}

// unbroken are the runs of points between which no bin is missing.
func unbroken(points []point) [][]point {
	var runs [][]point
	for i, p := range points {
		if i == 0 || p.At-points[i-1].At > 1.5*bin.Seconds() {
			runs = append(runs, nil)
		}
		runs[len(runs)-1] = append(runs[len(runs)-1], p)
	}
	return runs
}

func text(b *strings.Builder, x, y float64, class, anchor, s string) {
	fmt.Fprintf(b, `<text class="%s" x="%.1f" y="%.1f" text-anchor="%s">%s</text>`+"\n", class, x, y, anchor, html.EscapeString(s))
}

// niceStep is a round number of seconds, of which some eight to fifteen are in a span.
func niceStep(span float64) float64 {
	for _, step := range []float64{0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100} {
		if span/step <= 15 {
			return step
		}
	}
	return 200
}
