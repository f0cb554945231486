package host

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sort"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"
	"golang.org/x/time/rate"

	"github.com/spillwaydb/spillway/plugins/internal/wire"
)

const (
	// maxLine is the longest line that is parsed; the rest of a longer one is
	// skipped.
	maxLine = 8 << 10
	// maxValue is the longest text of a message or a value that is logged.
	maxValue = 1 << 10
	// maxPairs is how many values of one line are logged.
	maxPairs = 24

	linesPerSecond = 50
	linesAtOnce    = 200
	// reportEvery is how often dropped lines are told of while a flood lasts.
	reportEvery = 5 * time.Second
	// bytesPerSecond is how fast output is read: beyond it the plugin waits.
	bytesPerSecond = 4 << 20

	// tailLines are kept for the message that says how the plugin ended.
	tailLines = 3
	maxTail   = 300
)

// output takes what a plugin writes to stderr and stdout into the host's log.
// Nothing in it trusts the plugin: not the length of a line, not its JSON, not
// how much there is. Its methods may be called from several goroutines.
type output struct {
	log    hclog.Logger
	redact *redactor
	bytes  *rate.Limiter
	lines  *rate.Limiter

	mu       sync.Mutex
	dropped  int
	reported time.Time
	tail     []string // the last lines that are not JSON
	panicked bool     // a Go panic began: what follows is its trace
}

func newOutput(log hclog.Logger, r *redactor) *output {
	return &output{
		log: log, redact: r,
		bytes: rate.NewLimiter(bytesPerSecond, bytesPerSecond),
		lines: rate.NewLimiter(linesPerSecond, linesAtOnce),
	}
}

// copy logs the lines of r until it ends. In the time that life is alive it
// reads no faster than bytesPerSecond.
func (o *output) copy(life context.Context, r *bufio.Reader) {
	for {
		line, err := r.ReadSlice('\n')
		n, cut := len(line), false
		if err == bufio.ErrBufferFull {
			cut = true
			line = bytes.Clone(line[:min(len(line), maxLine)])
			for err == bufio.ErrBufferFull {
				var more []byte
				more, err = r.ReadSlice('\n')
				n += len(more)
				o.wait(life, len(more))
			}
		}
		if n > 0 {
			o.wait(life, min(n, maxLine))
			o.line(bytes.TrimRight(line, "\r\n"), n, cut)
		}
		if err != nil {
			o.report(true)
			return
		}
	}
}

// wait slows the plugin down.
func (o *output) wait(life context.Context, n int) { _ = o.bytes.WaitN(life, n) }

// Write logs text that comes in pieces without regard to lines. It never fails.
func (o *output) Write(b []byte) (int, error) {
	for _, line := range bytes.Split(bytes.TrimRight(b, "\r\n"), []byte("\n")) {
		o.line(line[:min(len(line), maxLine)], len(line), len(line) > maxLine)
	}
	return len(b), nil
}

// line logs one line of n bytes, of which line may be the beginning only.
func (o *output) line(line []byte, n int, cut bool) {
	if len(bytes.TrimSpace(line)) == 0 {
		return
	}
	entry, isJSON := parseEntry(line)
	if !isJSON || cut {
		entry = o.plain(line, n, cut)
	}
	if !o.lines.Allow() {
		o.mu.Lock()
		o.dropped++
		o.mu.Unlock()
		return
	}
	o.report(false)
	if entry.level < o.log.GetLevel() {
		return
	}
	args := make([]any, 0, 2*len(entry.pairs))
	for _, p := range entry.pairs {
		args = append(args, o.redact.clean(p.key), o.redact.clean(p.value))
	}
	o.log.Log(entry.level, o.redact.clean(entry.message), args...)
}

// report says how many lines were dropped since the last report.
func (o *output) report(now bool) {
	o.mu.Lock()
	n := o.dropped
	if n == 0 || (!now && time.Since(o.reported) < reportEvery) {
		o.mu.Unlock()
		return
	}
	o.dropped, o.reported = 0, time.Now()
	o.mu.Unlock()
	o.log.Warn("the plugin logs too much; lines were dropped", "lines", n, "kept_per_second", linesPerSecond)
}

// plain is the entry for a line that is not JSON.
func (o *output) plain(line []byte, n int, cut bool) entry {
	e := entry{level: hclog.Info, message: wire.Clean(string(line), maxValue)}
	for prefix, level := range map[string]hclog.Level{
		"[TRACE]": hclog.Trace, "[DEBUG]": hclog.Debug, "[INFO]": hclog.Info, "[WARN]": hclog.Warn, "[ERROR]": hclog.Error, "[ERR]": hclog.Error,
	} {
		if rest, ok := strings.CutPrefix(e.message, prefix); ok {
			e.level, e.message = level, strings.TrimSpace(rest)
		}
	}
	if cut {
		e.pairs = append(e.pairs, pair{"cut_from_bytes", fmt.Sprint(n)})
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	begins := strings.HasPrefix(e.message, "panic: ") || strings.HasPrefix(e.message, "fatal error: ")
	if o.panicked || begins {
		e.level = hclog.Error
	}
	if !o.panicked { // the trace says less than its first line
		o.tail = append(o.tail, wire.Clean(string(line), maxTail))
		o.tail = o.tail[max(0, len(o.tail)-tailLines):]
	}
	if begins {
		o.panicked = true
	}
	return e
}

// last is what the plugin said last outside its log, for error messages; ""
// when it said nothing.
func (o *output) last() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.redact.clean(wire.Clean(strings.Join(o.tail, " / "), 2*maxTail))
}

// entry is a parsed line.
type entry struct {
	level   hclog.Level
	message string
	pairs   []pair
}

type pair struct{ key, value string }

// parseEntry reads a line as hclog's JSON. Fields of an unexpected type are
// shown as they are; a line that is no JSON object is none of ours.
func parseEntry(line []byte) (entry, bool) {
	var raw map[string]json.RawMessage
	if line[0] != '{' || json.Unmarshal(line, &raw) != nil {
		return entry{}, false
	}
	e := entry{level: hclog.Info, message: field(raw["@message"])}
	if lv := hclog.LevelFromString(field(raw["@level"])); lv != hclog.NoLevel && lv != hclog.Off {
		e.level = lv
	}
	if e.message == "" {
		e.message = "(no message)"
	}
	for _, k := range []string{"@message", "@level", "@timestamp", "@caller"} {
		delete(raw, k)
	}
	keys := make([]string, 0, len(raw))
	for k := range raw {
		keys = append(keys, k)
	}
	sort.Strings(keys)
	for i, k := range keys {
		if i == maxPairs {
			e.pairs = append(e.pairs, pair{"more_fields", fmt.Sprint(len(keys) - maxPairs)})
			break
		}
		name := strings.TrimPrefix(wire.Clean(k, 64), "@")
		if name == "" || name == "plugin" { // whose line it is, the host says
			name = "field"
		}
		e.pairs = append(e.pairs, pair{name, field(raw[k])})
	}
	return e, true
}

// field is a JSON value as text: a string without its quotes.
func field(raw json.RawMessage) string {
	var s string
	if json.Unmarshal(raw, &s) != nil {
		s = string(raw)
	}
	return wire.Clean(s, maxValue)
}

// handshakeLine separates the first line of stdout, which is go-plugin's, from
// what follows, which is output like that of stderr.
type handshakeLine struct {
	*io.PipeReader
	pw  *io.PipeWriter
	mu  sync.Mutex
	bad string // what came instead of it, if anything
}

// maxHandshake bounds the first line: it carries a certificate.
const maxHandshake = 16 << 10

func newHandshakeLine() *handshakeLine {
	h := &handshakeLine{}
	h.PipeReader, h.pw = io.Pipe()
	return h
}

// pass hands the first line of stdout on and gives the rest to o, until stdout
// ends.
func (h *handshakeLine) pass(life context.Context, stdout io.Reader, o *output) {
	defer h.pw.Close()
	br := bufio.NewReaderSize(stdout, maxHandshake)
	line, err := br.ReadSlice('\n')
	good := err == nil && bytes.Count(line, []byte("|")) >= 4
	if !good {
		h.mu.Lock()
		h.bad = wire.Clean(string(line), 100)
		h.mu.Unlock()
		if err != nil && !errors.Is(err, bufio.ErrBufferFull) {
			return
		}
		line = []byte("\n") // go-plugin gives up on it
	}
	if _, err := h.pw.Write(line); err != nil {
		return
	}
	_ = h.pw.Close()
	o.copy(life, br)
}

// said is what came in place of the handshake.
func (h *handshakeLine) said() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.bad
}
