package server

import (
	"errors"
	"os"
	"strconv"
	"strings"
	"sync"

	"github.com/hashicorp/go-hclog"

	"github.com/spillwaydb/spillway/core/param"
)

// oomScore tells Linux how much the process is to be spared when memory runs out, as
// Redis's oom-score-adj has it. Of the three values the first counts: there are no
// replicas, and a checkpoint is no process of its own.
type oomScore struct {
	log  hclog.Logger
	file string // of the process

	mu     sync.Mutex // for what is below it
	mode   string
	values string
	base   int  // what the process began with
	ours   bool // what is in the file is ours
}

// oomFile is the one of the process itself.
const oomFile = "/proc/self/oom_score_adj"

// The kernel's bounds.
const leastOOM, mostOOM = -1000, 1000

// oomModes are Redis's; yes and relative are one.
type oomModes struct{ param.OneOf }

// Parse implements param.Type.
func (t oomModes) Parse(text string) (string, error) {
	v, err := t.OneOf.Parse(text)
	if v == "relative" {
		v = "yes"
	}
	return v, err
}

// oomValues is the type of oom-score-adj-values.
type oomValues struct{}

// Parse implements param.Type.
func (oomValues) Parse(text string) (string, error) {
	words := strings.Fields(text)
	if len(words) != 3 {
		return "", errors.New("wrong number of arguments") // Redis's wording
	}
	for _, w := range words {
		if n, err := strconv.Atoi(w); err != nil || n < 2*leastOOM || n > 2*mostOOM {
			return "", errors.New("Invalid oom-score-adj-values, elements must be between -2000 and 2000.") // Redis's wording
		}
	}
	return strings.Join(words, " "), nil
}

// Want implements param.Type.
func (oomValues) Want() string { return "three numbers from -2000 to 2000, as in \"0 200 800\"" }

// field is where CONFIG finds one of the two.
func (o *oomScore) field(at func(*oomScore) *string) param.Var {
	return param.Func{
		Get: func() string {
			o.mu.Lock()
			defer o.mu.Unlock()
			return *at(o)
		},
		Put: func(text string) error {
			o.mu.Lock()
			defer o.mu.Unlock()
			before := *at(o)
			*at(o) = text
			if err := o.apply(); err != nil {
				*at(o) = before
				o.log.Warn("the adjustment of the OOM score stays as it is", "error", err)
				return errors.New("Failed to apply new oom_score_adj configuration, check server logs.") // Redis's wording
			}
			return nil
		},
	}
}

// apply writes what the process is to have, once that is not what it began with. The
// caller holds mu.
func (o *oomScore) apply() error {
	off := o.mode == "" || o.mode == "no"
	if off && !o.ours || o.values == "" {
		return nil
	}
	if !o.ours {
		text, err := os.ReadFile(o.file)
		if err != nil {
			return err
		}
		if o.base, err = strconv.Atoi(strings.TrimSpace(string(text))); err != nil {
			return err
		}
	}
	score := o.base
	if !off {
		first, _, _ := strings.Cut(o.values, " ")
		n, err := strconv.Atoi(first)
		if err != nil {
			return err
		}
		if o.mode == "absolute" {
			score = 0
		}
		score = min(max(score+n, leastOOM), mostOOM)
	}
	if err := os.WriteFile(o.file, []byte(strconv.Itoa(score)), 0o600); err != nil {
		return err
	}
	o.ours = !off
	return nil
}
