package lives

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/spillwaydb/spillway/core/sink"
	"github.com/spillwaydb/spillway/fsbackends/memfs"
)

// step is one line of a history: "0 save", "1 kill 7 3".
type step struct {
	d    int
	verb string
	args []string
}

func (s step) String() string {
	return strings.Join(append([]string{strconv.Itoa(s.d), s.verb}, s.args...), " ")
}

func (s step) num(i int) int {
	if i >= len(s.args) {
		return 0
	}
	n, _ := strconv.Atoi(s.args[i])
	return n
}

func (s step) word(i int) string {
	if i >= len(s.args) {
		return ""
	}
	return s.args[i]
}

func scriptText(steps []step) string {
	var b strings.Builder
	for _, s := range steps {
		b.WriteString(s.String() + "\n")
	}
	return b.String()
}

// verbs is what a step can be, and how it is played.
var verbs = map[string]func(w *world, d *daemon, s step) error{
	// The daemon is another one from its next start on: shards, required,
	// archive, log, keep.
	"config": func(_ *world, d *daemon, s step) error {
		d.cfg = config{shards: max(s.num(0), 1), required: s.word(1) == "required", archive: s.word(2) == "archive", log: s.word(3) == "log", keep: parseKeep(s.word(4))}
		return d.stop()
	},
	"start": func(_ *world, d *daemon, s step) error { return d.start(s.word(0) == "adopt") },
	"stop":  func(_ *world, d *daemon, _ step) error { return d.stop() },
	"write": func(_ *world, d *daemon, s step) error {
		for range max(s.num(0), 1) {
			if err := d.write(); err != nil {
				return err
			}
		}
		return nil
	},
	"save":    func(_ *world, d *daemon, _ step) error { return d.save() },
	"drain":   func(_ *world, d *daemon, _ step) error { return d.drain() },
	"observe": func(*world, *daemon, step) error { return nil },
	// kill SEED [IN]: at once, or in so many operations.
	"kill": func(_ *world, d *daemon, s step) error {
		switch {
		case d.pr == nil:
		case s.num(1) == 0:
			d.kill(int64(s.num(0)))
		default:
			d.pr.mu.Lock()
			d.pr.killIn, d.pr.seed = s.num(1), int64(s.num(0))
			d.pr.mu.Unlock()
		}
		return nil
	},
	// The disk is lost, with the process that ran on it.
	"lose": func(w *world, d *daemon, _ step) error {
		d.kill(memfs.LoseAll)
		d.directory = newDirectory(w)
		return nil
	},
	// keep: a copy of the directory is put aside. back: it takes the
	// directory's place, the process is killed.
	"keep": func(_ *world, d *daemon, _ step) error {
		d.copies = append(d.copies, d.copy())
		return nil
	},
	"back": func(_ *world, d *daemon, s step) error {
		if len(d.copies) == 0 {
			return nil
		}
		d.kill(memfs.KeepAll)
		d.directory = d.copies[s.num(0)%len(d.copies)]
		d.directory = d.copy() // it can come back once more
		return nil
	},
	// copy FROM: another daemon's directory, as it is now, on this machine.
	"copy": func(w *world, d *daemon, s step) error {
		from := w.daemons[s.num(0)%len(w.daemons)]
		if from == d {
			return nil
		}
		d.kill(memfs.KeepAll)
		d.directory, d.place = from.copy(), from.place
		return nil
	},
	// The disk is lost, and what the place holds is restored.
	"restore": func(w *world, d *daemon, _ step) error {
		d.kill(memfs.LoseAll)
		d.directory = newDirectory(w)
		return d.bringBack()
	},
	"swap": func(w *world, d *daemon, s step) error { // its sink is another one
		err := d.stop()
		d.place = w.places[s.num(0)%len(w.places)]
		d.swapped = true
		return err
	},
	"clock": func(_ *world, d *daemon, s step) error { // by so many minutes, back as well
		d.clock.add(time.Duration(s.num(0)) * time.Minute)
		return nil
	},
	// fault KIND TIMES [late|dies]: the daemon's next calls of the kind fail,
	// before or after they were done, or the process dies there.
	"fault": func(_ *world, d *daemon, s step) error {
		if d.pr == nil {
			return nil
		}
		d.faulty = true
		d.pr.mu.Lock()
		d.pr.fault, d.pr.times = s.word(0), max(s.num(1), 1)
		d.pr.late, d.pr.dies = s.word(2) == "late", s.word(2) == "dies"
		d.pr.mu.Unlock()
		return nil
	},
	// inside N: the n-th operation of the store that its place is fails.
	"inside": func(w *world, d *daemon, s step) error {
		if d.place.store.Fault != nil {
			for _, o := range w.daemons {
				o.faulty = true
			}
			d.place.store.Fault(max(s.num(0), 1))
		}
		return nil
	},
	// race WITH: two daemons save at the same moment.
	"race": func(w *world, d *daemon, s step) error {
		o := w.daemons[s.num(0)%len(w.daemons)]
		if o == d {
			return nil
		}
		var wg sync.WaitGroup
		errs := make([]error, 2)
		for i, x := range []*daemon{d, o} {
			wg.Go(func() { errs[i] = x.save() })
		}
		wg.Wait()
		return errors.Join(errs...)
	},
}

func parseKeep(s string) sink.Retention {
	var keep sink.Retention
	for f := range strings.SplitSeq(s, ",") {
		name, n, _ := strings.Cut(f, "=")
		count, _ := strconv.Atoi(n)
		switch name {
		case "last":
			keep.Last = count
		case "hourly":
			keep.Hourly = count
		case "daily":
			keep.Daily = count
		}
	}
	return keep
}

func parseScript(text string) (steps []step, err error) {
	for i, line := range strings.Split(text, "\n") {
		line, _, _ = strings.Cut(line, "#")
		f := strings.Fields(line)
		if len(f) == 0 {
			continue
		}
		n, err := strconv.Atoi(f[0])
		if err != nil || len(f) < 2 || verbs[f[1]] == nil || n < 0 {
			return nil, fmt.Errorf("line %d: %q is no step", i+1, line)
		}
		steps = append(steps, step{n, f[1], f[2:]})
	}
	return steps, nil
}

// play plays a history on new places, and says what must not have happened.
func play(stores []Store, steps []step) (w *world, err error) {
	w = newWorld(3, stores...)
	defer func() {
		for _, d := range w.daemons {
			d.kill(memfs.KeepAll)
		}
		if err != nil {
			err = fmt.Errorf("%w\n%s", err, w.recent())
		}
	}()
	for i, s := range steps {
		d := w.daemons[s.d%len(w.daemons)]
		w.mu.Lock()
		w.note("step %d: %s", i+1, s)
		w.mu.Unlock()
		err := verbs[s.verb](w, d, s)
		if d.pr != nil && d.pr.isDead() {
			d.buried()
		}
		if err := errors.Join(err, w.observe()); err != nil {
			return w, fmt.Errorf("step %d (%s): %w", i+1, s, err)
		}
	}
	if err := w.finish(); err != nil {
		return w, fmt.Errorf("at the end: %w", err)
	}
	return w, nil
}

// finish has every daemon that runs go on without faults, and restores all that
// there is.
func (w *world) finish() error {
	for _, p := range w.places {
		if p.store.Fault != nil {
			p.store.Fault(0)
		}
	}
	for _, d := range w.daemons {
		if d.pr == nil {
			continue
		}
		d.pr.mu.Lock()
		d.pr.killIn, d.pr.fault = 0, ""
		d.pr.mu.Unlock()
		// Twice: one that finds that its lineage is shared has its own in the
		// next one.
		for range 2 {
			if err := errors.Join(d.write(), d.save()); err != nil {
				return err
			}
			d.clock.add(time.Minute) // the pause after a failure is over
		}
		if err := errors.Join(d.drain(), w.observe()); err != nil {
			return err
		}
		if d.pr == nil {
			continue // it was dead already
		}
		if d.cfg.required && !d.fenced() && !d.swapped {
			if err := d.checkLatest(); err != nil {
				return err
			}
		}
	}
	for _, d := range w.daemons {
		if err := d.stop(); err != nil {
			return err
		}
	}
	if err := w.observe(); err != nil {
		return err
	}
	return w.checkAll()
}

// generate makes the history of a seed.
func generate(seed uint64, length int) []step {
	rng := rand.New(rand.NewPCG(seed, 0x11fe))
	word := func(of ...string) string { return of[rng.IntN(len(of))] }
	num := func(n int) string { return strconv.Itoa(rng.IntN(n)) }
	var steps []step
	add := func(d int, verb string, args ...string) { steps = append(steps, step{d, verb, args}) }
	conf := func(d int) {
		add(d, "config", strconv.Itoa(1+rng.IntN(3)), word("required", "required", "besteffort"), word("archive", "none"), word("log", "log", "log", "nolog"),
			word("last=1", "last=2", "last=2", "last=3", "last=1,hourly=2", "all"))
	}
	// Every history has a temper of its own.
	faults, disasters := rng.IntN(12), 1+rng.IntN(20)
	for d := range 3 {
		conf(d)
		if rng.IntN(3) == 0 {
			add(d, "clock", strconv.Itoa(rng.IntN(6000)-3000))
		}
	}
	add(0, "start")
	for len(steps) < length {
		d := rng.IntN(3)
		if rng.IntN(2) == 0 {
			d = 0
		}
		switch n := rng.IntN(70 + faults + disasters); {
		case n < 18:
			add(d, "write", strconv.Itoa(1+rng.IntN(3)))
		case n < 40:
			add(d, "save")
		case n < 45:
			add(d, "drain")
		case n < 57:
			add(d, "start", word("", "", "adopt"))
		case n < 60:
			add(d, "stop")
		case n < 62:
			add(d, "race", num(3))
		case n < 65:
			add(d, "clock", strconv.Itoa(rng.IntN(200)-40))
		case n < 68:
			add(d, "keep")
		case n < 70:
			conf(d)
		case n < 70+faults:
			switch rng.IntN(3) {
			case 0:
				add(d, "fault", word("put", "publish", "publish", "remove", "list", "sweep"), strconv.Itoa(1+rng.IntN(3)), word("", "late", "dies"))
			case 1:
				add(d, "kill", num(1000), strconv.Itoa(1+rng.IntN(60)))
			case 2:
				add(d, "inside", strconv.Itoa(1+rng.IntN(25)))
			}
		default:
			switch rng.IntN(7) {
			case 0:
				add(d, "lose")
			case 1:
				add(d, "back", num(4))
			case 2:
				add(d, "copy", num(3))
			case 3:
				add(d, "restore")
			case 4:
				add(d, "swap", num(2))
			default:
				add(d, "kill", num(1000))
			}
			add(d, "start", word("", "", "adopt"))
		}
	}
	return steps
}

// shrink looks for a short history that fails, by leaving out halves, quarters,
// and so on down to single steps, as long as what is left fails.
func shrink(steps []step, err error, again func([]step) error) ([]step, error) {
	kind := kindOf(err)
	for size := len(steps) / 2; size >= 1; {
		shorter := false
		for at := 0; at < len(steps); {
			without := slices.Delete(slices.Clone(steps), at, min(at+size, len(steps)))
			if e := again(without); e != nil && kindOf(e) == kind {
				steps, err, shorter = without, e, true
			} else {
				at += size
			}
		}
		if !shorter || size > len(steps) {
			size /= 2
		}
	}
	return steps, err
}

var particular = regexp.MustCompile(`^step \d+ \(.*?\): |[0-9a-f]{8,}|\d+|".*?"`)

// kindOf is an error without what differs from one history to another.
func kindOf(err error) string {
	first, _, _ := strings.Cut(err.Error(), "\n")
	return particular.ReplaceAllString(first, "")
}
