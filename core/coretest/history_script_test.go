package coretest

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A history is a script, a line per step. What is in lower case is done to the
// engine, what is in upper case is a command sent to it:
//
//	open shards=3 fsync=always log=yes stages=zstd sink=required
//	SET k "a value"
//	BGSAVE
//	advance 1.5s                    time passes
//	wait                            until no checkpoint is in flight
//	crash in=7 disk=12              power loss before the 7th operation from here that changes the disk;
//	                                what is left of it is memfs.CrashClone(12)
//	fault in=3 error=ENOSPC times=2 the 3rd operation from here and the next fail;
//	                                on=sink those of the second sink's disk
//	restart shards=8 fsync=no …     close and open
//	served BLPOP l 0 by RPUSH l a   another client waits, and is served by a command
//
// An armed crash or fault stays armed until it happens or the next one replaces
// it. What is left out of open and restart is as in defaultSetup.
type step struct {
	verb  string // "command" for one sent to the engine
	args  []string
	by    []string // what serves args, of "served"
	setup setup
	in    int64
	disk  int64
	err   string
	times int64
	other bool // the fault is the second sink's
	d     time.Duration
}

// setup is how the engine is configured.
type setup struct {
	shards int
	fsync  string // always, everysec, no
	log    string // yes, no
	stages string // none, zstd, age, zstd+age
	sink   string // none, required, besteffort: the second sink
}

var defaultSetup = setup{2, "always", "yes", "none", "none"}

func (s setup) String() string {
	return fmt.Sprintf("shards=%d fsync=%s log=%s stages=%s sink=%s", s.shards, s.fsync, s.log, s.stages, s.sink)
}

var plain = regexp.MustCompile(`^[A-Za-z0-9_:.+-]+$`)

func (s step) String() string {
	switch s.verb {
	case "open", "restart":
		return s.verb + " " + s.setup.String()
	case "crash":
		return fmt.Sprintf("crash in=%d disk=%d", s.in, s.disk)
	case "fault":
		where := ""
		if s.other {
			where = " on=sink"
		}
		return fmt.Sprintf("fault in=%d error=%s times=%d%s", s.in, s.err, s.times, where)
	case "advance":
		return "advance " + s.d.String()
	case "command":
		return joinWords(s.args)
	case "served":
		return "served " + joinWords(s.args) + " by " + joinWords(s.by)
	}
	return s.verb
}

// joinWords quotes those that are not plain.
func joinWords(args []string) string {
	words := make([]string, len(args))
	for i, a := range args {
		if words[i] = a; !plain.MatchString(a) {
			words[i] = strconv.Quote(a)
		}
	}
	return strings.Join(words, " ")
}

func scriptText(steps []step) string {
	var b strings.Builder
	for _, s := range steps {
		b.WriteString(s.String() + "\n")
	}
	return b.String()
}

// parseScript is scriptText's opposite; empty lines and those that begin with #
// are skipped.
func parseScript(text string) ([]step, error) {
	var out []step
	for n, line := range strings.Split(text, "\n") {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		s, err := parseStep(line)
		if err != nil {
			return nil, fmt.Errorf("line %d: %q: %w", n+1, line, err)
		}
		out = append(out, s)
	}
	return out, nil
}

func parseStep(line string) (s step, err error) {
	words, err := splitWords(line)
	if err != nil {
		return s, err
	}
	s.verb = words[0]
	if s.verb != strings.ToLower(s.verb) {
		return step{verb: "command", args: words}, nil
	}
	s.setup = defaultSetup
	s.times = 1
	if s.verb == "advance" && len(words) == 2 {
		s.d, err = time.ParseDuration(words[1])
		return s, err
	}
	if by := slices.Index(words, "by"); s.verb == "served" && by > 0 {
		s.args, s.by = words[1:by], words[by+1:]
		return s, nil
	}
	for _, w := range words[1:] {
		name, v, _ := strings.Cut(w, "=")
		number := func() (n int64) {
			if err == nil {
				n, err = strconv.ParseInt(v, 10, 64)
			}
			return n
		}
		switch s.verb + " " + name {
		case "open shards", "restart shards":
			s.setup.shards = int(number())
		case "open fsync", "restart fsync":
			s.setup.fsync = v
		case "open log", "restart log":
			s.setup.log = v
		case "open stages", "restart stages":
			s.setup.stages = v
		case "open sink", "restart sink":
			s.setup.sink = v
		case "crash in", "fault in":
			s.in = number()
		case "crash disk":
			s.disk = number()
		case "fault error":
			s.err = v
		case "fault on":
			s.other = v == "sink"
		case "fault times":
			s.times = number()
		default:
			err = fmt.Errorf("%s knows no %q", s.verb, name)
		}
	}
	switch s.verb {
	case "open", "restart", "crash", "fault", "wait":
		return s, err
	}
	return s, fmt.Errorf("no step is called %q", s.verb)
}

// splitWords splits a line at blanks outside quotes.
func splitWords(line string) (words []string, err error) {
	for line = strings.TrimLeft(line, " "); line != ""; line = strings.TrimLeft(line, " ") {
		if line[0] != '"' {
			w, rest, _ := strings.Cut(line, " ")
			words, line = append(words, w), rest
			continue
		}
		q, err := strconv.QuotedPrefix(line)
		if err != nil {
			return nil, err
		}
		w, err := strconv.Unquote(q)
		if err != nil {
			return nil, err
		}
		words, line = append(words, w), line[len(q):]
	}
	return words, nil
}
