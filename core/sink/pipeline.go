package sink

import (
	"context"
	"errors"
	"fmt"
	"path"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"
)

// PipelineOptions tune a pipeline. The zero value is usable.
type PipelineOptions struct {
	// Logger gets one line per thing a caller is not told by an error; nil
	// discards.
	Logger hclog.Logger
	// Clock is what Patience and Grace run by, and what durations are measured
	// with; nil waits in real time and measures none.
	Clock Clock
	// VerifyDecode makes Write decode each part back through the stages,
	// besides the rereading that always happens.
	VerifyDecode bool
	// Buffer is the number of bytes held between two neighbours; 0 means
	// 256 KiB.
	Buffer int
	// Patience is how long a part waits, altogether, for one best-effort
	// target that is slower than the rest before it goes on without it (Retry
	// then feeds that target from the local part). 0 means 10 s.
	Patience time.Duration
	// Grace is how long a cancelled stage or sink may take to return before
	// its call is left behind as stuck. 0 means 10 s.
	Grace time.Duration
	// Registry finds stages that older sets went through and that are not
	// among the pipeline's own; nil knows none.
	Registry *Registry
	// Known says whether a set is one that the caller has made, or goes on
	// from. Where a target holds one of the caller's lineage that is not,
	// somebody else goes on under that lineage too, and nothing is pruned: what
	// is newest there is not for the caller to say. nil knows all.
	Known func(s *Set) bool
	// Done is told of every step of Write and Publish when it has ended, from several
	// goroutines, some of which hold the part up meanwhile. It must not call the
	// pipeline. nil: nobody is.
	Done func(Step)
	// After is a pipeline that this one takes the place of: the counters of a stage
	// or a sink that both have go on, those of the encoder too. See TakeOver.
	After *Pipeline
}

// Pipeline carries parts from an encoder through its stages into the local sink
// and every target at once, and back again from the local sink. Its methods are
// safe for concurrent use; parts are independent of each other.
type Pipeline struct {
	name   string
	opts   PipelineOptions
	log    hclog.Logger
	stages []*member // in order of encoding; member.stage is set
	local  *member   // nil: there is none
	target []*member
	enc    *member

	mu      sync.Mutex
	active  map[SetID]bool      // sets being written: from the first Write to the end of Publish or Abort
	left    map[SetID]bool      // sets that an Abort could not remove everywhere
	pending map[*member][]*feed // what Retry owes each best-effort target, oldest first
	retry   sync.Mutex          // one Retry at a time

	life  context.Context // of the background work
	close context.CancelFunc
}

// NewPipeline returns a pipeline. local is the sink that parts are verified on
// and read back from; its failure always fails the job. Without one (nil) there
// are only the targets, which then have to be required: nothing could feed them
// again. Target names must be unique.
func NewPipeline(name string, stages []Stage, local Sink, targets []Target, opts PipelineOptions) *Pipeline {
	if opts.Logger == nil {
		opts.Logger = hclog.NewNullLogger()
	}
	if opts.Clock == nil {
		opts.Clock = unmeasured{}
	}
	if opts.Buffer <= 0 {
		opts.Buffer = 256 << 10
	}
	if opts.Patience <= 0 {
		opts.Patience = 10 * time.Second
	}
	if opts.Grace <= 0 {
		opts.Grace = 10 * time.Second
	}
	p := &Pipeline{
		name:    name,
		opts:    opts,
		log:     opts.Logger.Named("pipeline").With("pipeline", name),
		active:  make(map[SetID]bool),
		left:    make(map[SetID]bool),
		pending: make(map[*member][]*feed),
		enc:     &member{tally: new(tally), name: "encoder", role: RoleEncoder},
	}
	if local != nil {
		p.local = &member{tally: new(tally), name: "local", role: RoleLocal, sink: local, required: true}
	}
	p.life, p.close = context.WithCancel(context.Background())
	for _, s := range stages {
		p.stages = append(p.stages, &member{tally: new(tally), name: s.Info().Name, role: RoleStage, stage: s, required: true})
	}
	for _, t := range targets {
		m := &member{tally: new(tally), name: t.Name, role: RoleBestEffort, sink: t.Sink, required: t.Required, timeout: t.Timeout, keep: t.Keep}
		if t.Required {
			m.role = RoleRequired
		}
		p.target = append(p.target, m)
	}
	if opts.After != nil {
		p.goOn(opts.After)
	}
	return p
}

// Name is what the pipeline was called when it was made.
func (p *Pipeline) Name() string { return p.name }

// Close ends Retry, Prune and CatchUp, running and later ones, and leaves the
// rest alone. What best-effort targets are still owed is forgotten: see CatchUp.
func (p *Pipeline) Close() { p.close() }

// StageRecords names the stages parts go through, in order of encoding.
func (p *Pipeline) StageRecords() []StageRecord {
	var out []StageRecord
	for _, s := range p.stages {
		i := s.stage.Info()
		out = append(out, StageRecord{Name: i.Name, Version: i.Version})
	}
	return out
}

// sinks are the local sink, if there is one, and the targets.
func (p *Pipeline) sinks() []*member {
	if p.local == nil {
		return p.target
	}
	return append([]*member{p.local}, p.target...)
}

// Suffix is what the stages append to a file name: ".zst.age".
func (p *Pipeline) Suffix() string {
	var b strings.Builder
	for _, s := range p.stages {
		b.WriteString(s.stage.Info().Suffix)
	}
	return b.String()
}

// Part returns the part of a shard in the set id, named for its kind and the
// stages: "shard-0003.rdb.zst", "shard-0000.aof", "segment-0000.aof.zst".
func (p *Pipeline) Part(job uint64, id SetID, shard, shards int) Part {
	return Part{
		Job: job, Kind: id.Kind, Generation: id.Generation, Token: id.Token, Shard: shard, Shards: shards,
		Name: PartName(id.Kind, shard, p.Suffix()),
	}
}

// PartName is the name of a shard's part, which went through stages that add
// suffix, "" for none.
func PartName(k Kind, shard int, suffix string) string {
	what := "shard"
	if k == KindSegment {
		what = "segment"
	}
	return fmt.Sprintf("%s-%04d%s%s", what, shard, k.ext(), suffix)
}

// CheckName returns an error unless name can be the name of a part: one path
// element of at most 200 bytes that is not hidden, not temporary and not the
// set's own document.
func CheckName(name string) error {
	switch {
	case name == "", len(name) > 200, name[0] == '.', path.Base(name) != name,
		strings.ContainsAny(name, "\\\x00"), name == SetFile, strings.HasSuffix(name, ".tmp"):
		return Permanent(fmt.Errorf("%q cannot be the name of a part", name))
	}
	return nil
}

// CheckPart returns an error unless the part's name and its set's token can
// become a path.
func CheckPart(p Part) error {
	if err := CheckName(p.Name); err != nil {
		return err
	}
	return CheckToken(p.Token)
}

// Stats returns what each member has done so far: the encoder, the stages in
// order, the local sink, the targets in order.
func (p *Pipeline) Stats() []StageStats {
	out := []StageStats{p.enc.snapshot()}
	for _, m := range p.stages {
		out = append(out, m.snapshot())
	}
	if p.local != nil {
		out = append(out, p.local.snapshot())
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, m := range p.target {
		s := m.snapshot()
		if q := p.pending[m]; len(q) > 0 {
			s.Pending, s.Behind = len(q), q[0].set.CreatedAt
		}
		out = append(out, s)
	}
	return out
}

// Abort removes everything of a set that a job of the caller's made, staged or
// published, from the local sink and every target, and forgets what Retry owed
// of it. The set's token, which that job drew, is what makes it the caller's: a
// set of the same number that somebody else has put on a sink is another one. It
// does what it can and returns what could not be done; what is left is
// invisible, and swept later.
func (p *Pipeline) Abort(ctx context.Context, id SetID) error {
	p.forget(id)
	members := p.sinks()
	errs := make([]error, len(members))
	var wg sync.WaitGroup
	for i, m := range members {
		wg.Go(func() {
			_, err := call(ctx, p, m, p.opts.Patience, func(ctx context.Context) (struct{}, error) {
				return struct{}{}, m.sink.Remove(ctx, id)
			})
			if err != nil {
				errs[i] = sinkError("remove", id.String(), m.name, err)
			}
		})
	}
	wg.Wait()
	p.untrack(id)
	err := errors.Join(errs...)
	p.mu.Lock()
	defer p.mu.Unlock()
	if delete(p.left, id); err != nil && len(p.left) < maxLeft {
		p.left[id] = true
	}
	return err
}

// maxLeft bounds how many sets are remembered that could not be removed; the
// next process finds the others.
const maxLeft = 4096

// Publish makes a set visible: on the required targets, then on the local sink.
// An error there means the set must be aborted. Best-effort targets come last
// and cannot fail it: one that misses a part, or whose Publish fails, is logged,
// counted, and fed by Retry.
//
// The engine's own commit comes after Publish; if it fails, call Abort.
func (p *Pipeline) Publish(ctx context.Context, set Set) error {
	p.track(set.ID)
	if err := p.publish(ctx, set); err != nil {
		return err
	}
	p.untrack(set.ID)
	return nil
}

func (p *Pipeline) publish(ctx context.Context, set Set) error {
	for i := range set.Parts {
		if err := CheckPart(set.Parts[i].Part); err != nil {
			return &Error{Op: "publish", Path: set.ID.String(), Err: err}
		}
		if set.Parts[i].Part.ID() != set.ID {
			return &Error{Op: "publish", Path: set.ID.String(), Err: Permanent(fmt.Errorf("part %s belongs to %s", set.Parts[i].Part.Name, set.Parts[i].Part.ID()))}
		}
	}
	for _, m := range p.target {
		if !m.required {
			continue
		}
		own, complete := setFor(m, set)
		if !complete {
			m.errors.Add(1)
			return &Error{Op: "publish", Path: set.ID.String(), Sink: m.name, Err: fmt.Errorf("a part was never put there")}
		}
		if err := p.publishOn(ctx, m, own); err != nil {
			return err
		}
	}
	if p.local != nil {
		if err := p.publishOn(ctx, p.local, set); err != nil {
			return err
		}
	}
	for _, m := range p.target {
		if m.required {
			continue
		}
		own, complete := setFor(m, set)
		if complete {
			err := p.publishOn(ctx, m, own)
			if err == nil {
				continue
			}
			p.log.Warn("publishing on a best-effort sink failed; it will be retried", "sink", m.name, "set", set.ID.String(), "error", err)
		}
		p.owe(m, set)
	}
	return nil
}

// publishOn calls one sink's Publish under its timeout.
func (p *Pipeline) publishOn(ctx context.Context, m *member, set Set) error {
	patience := time.Duration(0)
	if !m.required {
		patience = p.opts.Patience
	}
	began := p.opts.Clock.Now()
	_, err := call(ctx, p, m, patience, func(ctx context.Context) (struct{}, error) {
		return struct{}{}, m.sink.Publish(ctx, set)
	})
	p.step(OpPublish, m, Part{}, set.ID, began, flow{}, err)
	if err != nil {
		m.errors.Add(1)
		return sinkError("publish", set.ID.String(), m.name, err)
	}
	return nil
}

// setFor is the set as target m is told it: with m's own receipts. complete is
// false when m lacks a part.
func setFor(m *member, set Set) (own Set, complete bool) {
	c := set.Clone()
	for i := range c.Parts {
		sp := &c.Parts[i]
		r, ok := sp.TargetReceipts[m.name]
		if !ok {
			return Set{}, false
		}
		sp.SinkReceipt, sp.TargetReceipts = r, nil
	}
	return *c, true
}

// track notes that a set is being worked on, so that Prune leaves it alone.
func (p *Pipeline) track(id SetID) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.active[id] = true
}

func (p *Pipeline) untrack(id SetID) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.active, id)
}
