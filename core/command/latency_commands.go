package command

import (
	"fmt"
	"strings"
	"time"
)

var latencyHandlers = handlers{
	"latency|latest":    latencyLatest,
	"latency|history":   latencyHistoryOf,
	"latency|graph":     latencyGraph,
	"latency|reset":     latencyReset,
	"latency|doctor":    latencyDoctor,
	"latency|histogram": latencyHistogram,
	"latency|help":      help,
}

func latencyLatest(c *Ctx) {
	events := c.Engine.Latency().Events()
	c.Out.Array(len(events))
	for _, e := range events {
		last := e.Samples[len(e.Samples)-1]
		c.Out.Array(4)
		c.Out.BulkString(e.Name)
		c.Out.Int(last.Time)
		c.Out.Int(last.Took.Milliseconds())
		c.Out.Int(e.Max.Milliseconds())
	}
}

// latencyEvent is the event of a name.
func (c *Ctx) latencyEvent(name []byte) (LatencyEvent, bool) {
	for _, e := range c.Engine.Latency().Events() {
		if e.Name == string(name) {
			return e, true
		}
	}
	return LatencyEvent{}, false
}

func latencyHistoryOf(c *Ctx) {
	e, _ := c.latencyEvent(c.Args[2])
	c.Out.Array(len(e.Samples))
	for _, s := range e.Samples {
		c.Out.Array(2)
		c.Out.Int(s.Time)
		c.Out.Int(s.Took.Milliseconds())
	}
}

func latencyReset(c *Ctx) {
	var names []string
	for _, a := range c.Args[2:] {
		names = append(names, string(a))
	}
	c.Out.Int(int64(c.Engine.Latency().Reset(names...)))
}

func latencyDoctor(c *Ctx) {
	m := c.Engine.Latency()
	var b strings.Builder
	switch events := m.Events(); {
	case m.Threshold() == 0:
		b.WriteString("Latency monitoring is off: CONFIG SET latency-monitor-threshold <milliseconds> turns it on.\n")
	case len(events) == 0:
		b.WriteString("No latency spike was observed since monitoring was turned on.\n")
	default:
		for i, e := range events {
			var sum time.Duration
			for _, s := range e.Samples {
				sum += s.Took
			}
			fmt.Fprintf(&b, "%d. %s: %d latency spikes (average %dms). Worst all time event %dms.\n",
				i+1, e.Name, len(e.Samples), (sum / time.Duration(len(e.Samples))).Milliseconds(), e.Max.Milliseconds())
		}
	}
	c.Out.Verbatim("txt", b.String())
}

// What a graph is drawn with: a step of a row for each, from the bottom, and the
// rows below the one that a bar ends in.
const (
	graphSteps   = "_o#"
	graphBar     = '|'
	graphRows    = 4
	graphColumns = 80
)

func latencyGraph(c *Ctx) {
	e, ok := c.latencyEvent(c.Args[2])
	if !ok {
		c.Out.Errorf("ERR No samples available for event '%s'", c.Args[2])
		return
	}
	low, high := e.Samples[0].Took, e.Samples[0].Took
	for _, s := range e.Samples {
		low, high = min(low, s.Took), max(high, s.Took)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s - high %d ms, low %d ms (all time high %d ms)\n%s\n",
		e.Name, high.Milliseconds(), low.Milliseconds(), e.Max.Milliseconds(), strings.Repeat("-", graphColumns))
	for from := 0; from < len(e.Samples); from += graphColumns {
		if from > 0 {
			b.WriteByte('\n')
		}
		drawSpikes(&b, e.Samples[from:min(from+graphColumns, len(e.Samples))], low.Milliseconds(), high.Milliseconds(), c.Engine.Now())
	}
	c.Out.Verbatim("txt", b.String())
}

// drawSpikes draws a column for each spike, and below it, downwards, how long ago it was.
func drawSpikes(b *strings.Builder, spikes []LatencySample, low, high int64, now time.Time) {
	const steps = graphRows * len(graphSteps)
	span := max(1, high-low)
	for row := graphRows - 1; row >= 0; row-- {
		for _, s := range spikes {
			switch step := min(int((s.Took.Milliseconds()-low)*int64(steps)/span), steps-1) - row*len(graphSteps); {
			case step < 0:
				b.WriteByte(' ')
			case step < len(graphSteps):
				b.WriteByte(graphSteps[step])
			default:
				b.WriteByte(graphBar)
			}
		}
		b.WriteByte('\n')
	}
	b.WriteString(strings.Repeat(" ", len(spikes)) + "\n")
	for i, more := 0, true; more; i++ {
		line := []byte(strings.Repeat(" ", len(spikes)))
		more = false
		for at, s := range spikes {
			if label := age(now.Unix() - s.Time); i < len(label) {
				line[at], more = label[i], true
			}
		}
		if more {
			b.Write(append(line, '\n'))
		}
	}
}

// age is so many seconds in the largest unit that they fill.
func age(seconds int64) string {
	switch {
	case seconds < 60:
		return fmt.Sprintf("%ds", seconds)
	case seconds < 60*60:
		return fmt.Sprintf("%dm", seconds/60)
	case seconds < 24*60*60:
		return fmt.Sprintf("%dh", seconds/60/60)
	default:
		return fmt.Sprintf("%dd", seconds/24/60/60)
	}
}

func latencyHistogram(c *Ctx) {
	stats := c.Stats.Calls()
	var shown []CallStats
	if len(c.Args) == 2 {
		shown = stats
	}
	for _, name := range c.Args[2:] {
		for _, s := range stats {
			// A container stands for its subcommands.
			if of := s.Command.Name; is(name, of) || len(of) > len(name) && of[len(name)] == '|' && is(name, of[:len(name)]) {
				shown = append(shown, s)
			}
		}
	}
	n := 0
	for _, s := range shown {
		if s.Durations != nil {
			n++
		}
	}
	c.Out.Map(n)
	for _, s := range shown {
		if s.Durations == nil {
			continue
		}
		c.Out.BulkString(s.Command.Name)
		c.Out.Map(2)
		c.Out.BulkString("calls")
		c.Out.Int(s.Durations.Count)
		c.Out.BulkString("histogram_usec")
		counts := s.Durations.Cumulative()
		c.Out.Map(len(counts))
		for _, n := range counts {
			c.Out.Int(n.Up.Microseconds())
			c.Out.Int(n.Calls)
		}
	}
}
