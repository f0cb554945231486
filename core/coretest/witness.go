package coretest

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spillwaydb/spillway/core"
	"github.com/spillwaydb/spillway/core/command"
	"github.com/spillwaydb/spillway/core/coretest/model"
	"github.com/spillwaydb/spillway/core/resp"
	"github.com/spillwaydb/spillway/core/wal"
)

// witness sees what one client asks of an engine and what it is told, and says
// what the engine's memory must hold now and what its disk may hold.
type witness struct {
	history *model.History
	client  model.Client
	always  bool // appendfsync always
	logging bool // a log is kept, and committed
	// shaken is set while a fault may still have consequences: writes may be
	// refused.
	shaken bool
}

// newWitness begins with an engine that has just been opened with o on an
// empty disk.
func newWitness(o core.Options) *witness {
	w := &witness{history: model.NewHistory()}
	w.opened(o)
	return w
}

// opened notes that the engine runs with o from here on.
func (w *witness) opened(o core.Options) {
	w.client = model.Client{}
	w.always, w.logging = o.Fsync == wal.Always, !o.NoLog
}

// predict says how a command can end. A command that the model does not know
// ends with any reply and changes nothing; it must not be a write.
func (w *witness) predict(now int64, args []string) ([]model.Outcome, error) {
	if model.Knows(args[0]) {
		return w.client.Run(w.history.Now(), now, args)
	}
	if cmd := command.Lookup([]byte(args[0])); cmd != nil && cmd.Flags&command.Write != 0 {
		return nil, fmt.Errorf("%s: %w, so nothing can be said about what it writes; use others", args[0], model.ErrUnknown)
	}
	if w.client.InMulti {
		return nil, fmt.Errorf("%s inside MULTI: %w", args[0], model.ErrUnknown)
	}
	return nil, nil
}

// told takes in the reply to a command. read looks into the engine's memory, and
// says what time it is then; it is needed after an error of persistence, of which
// NOTDURABLE says that the command was executed, and any other that it was not.
func (w *witness) told(now int64, args []string, outcomes []model.Outcome, got resp.Value, read func() (*model.State, int64, error)) error {
	if outcomes == nil {
		w.steered(args, got)
		return nil
	}
	o, err := model.Match(outcomes, got)
	if err == nil {
		w.client = o.Client
		if o.State.Text(0) == w.history.Now().Text(0) {
			return nil
		}
		w.history.Add(o.State, now)
		if w.always && w.logging {
			w.history.Durable()
		}
		return nil
	}
	if !w.shaken || !isRefusal(got) {
		return fmt.Errorf("%q: %w", args, err)
	}
	executed := strings.HasPrefix(string(got.Str), "NOTDURABLE")
	switch {
	case executed:
		w.client = outcomes[0].Client
	case got.Kind == resp.KindArray: // the scripts in a transaction were refused, the rest has read
		w.client = outcomes[0].Client
	case strings.EqualFold(args[0], "exec"):
		w.client = model.Client{DB: w.client.DB}
	default:
		w.client = w.client.Refused()
	}
	there, now, err := read() // waiting for the log has taken its time
	if err != nil {
		return fmt.Errorf("after %q was refused: %w", args, err)
	}
	text := there.Text(now)
	if !executed {
		if text == w.history.Now().Text(now) {
			return nil
		}
		return fmt.Errorf("%q was refused (%s) and yet did something:\n%s", args, got, model.Diff(there, w.history.Now(), now))
	}
	for _, o := range outcomes {
		if o.State.Text(now) == text {
			w.history.Add(o.State, now)
			return nil
		}
	}
	return fmt.Errorf("%q is said to be executed (%s) and did something else:\n%s", args, got, model.Diff(there, outcomes[0].State, now))
}

// executed takes in changes of which all clients have been told.
func (w *witness) executed(changes []model.Outcome, now int64) {
	for _, o := range changes {
		w.history.Add(o.State, now)
	}
	if w.always && w.logging {
		w.history.Durable()
	}
}

// isRefusal tells a reply that says that persistence is broken. That of a
// transaction may say it of the scripts in it: they are refused when they write.
func isRefusal(v resp.Value) bool {
	if v.Kind == resp.KindArray {
		return slices.ContainsFunc(v.Elems, isRefusal)
	}
	msg := string(v.Str)
	return v.Kind == resp.KindError && (strings.HasPrefix(msg, "MISCONF") || strings.HasPrefix(msg, "NOTDURABLE") || strings.HasPrefix(msg, "EXECABORT") && strings.Contains(msg, "MISCONF"))
}

// steered takes in the commands that change what is durable when.
func (w *witness) steered(args []string, got resp.Value) {
	if got.Kind == resp.KindError {
		if w.client.InMulti {
			w.client = w.client.Refused()
		}
		return
	}
	switch {
	case strings.EqualFold(args[0], "save"):
		w.history.Durable()
	case len(args) > 2 && strings.EqualFold(args[0], "config") && strings.EqualFold(args[1], "set"):
		for i := 2; i+1 < len(args); i += 2 {
			switch strings.ToLower(args[i]) {
			case "appendfsync":
				w.always = strings.EqualFold(args[i+1], "always")
			case "appendonly":
				// It is on when it is said to be, and its base holds what was
				// written while it was off.
				w.logging = strings.EqualFold(args[i+1], "yes")
				if w.logging && w.always {
					w.history.Durable()
				}
			}
		}
	}
}

// compare checks the engine's memory.
func (w *witness) compare(now int64, there *model.State) error {
	if there.Text(now) != w.history.Now().Text(now) {
		return fmt.Errorf("the state is not the model's (+ is there, - is missing):\n%s", model.Diff(there, w.history.Now(), now))
	}
	return nil
}

// closed notes that the engine was closed without an error.
func (w *witness) closed() {
	if w.logging {
		w.history.Durable()
	}
}
