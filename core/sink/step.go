package sink

import "time"

// What a step was for.
const (
	OpEncode  = "encode"  // the encoder or a stage has made a part
	OpPut     = "put"     // a sink has got a part
	OpVerify  = "verify"  // a part of the local sink was read again
	OpPublish = "publish" // a sink shows the set
)

// Step is what one member of a pipeline has done for one part, or for a whole set.
type Step struct {
	Op     string
	Member string // its name, as in [StageStats]
	Role   string
	Part   Part // the zero value of what is about no part
	Set    SetID

	Began time.Time     // by the pipeline's clock
	Took  time.Duration // until it ended
	// Busy is the time in which nobody else was waited for: members of a part run
	// at the same time, each as long as the slowest of them. 0 where that is Took.
	Busy     time.Duration
	BytesIn  int64 // that it has read
	BytesOut int64 // that it has written, of an encoder and a stage
	Err      error // its own, or what ended it in the middle
}

// step tells [PipelineOptions.Done] of one that began at began and ends now.
func (p *Pipeline) step(op string, m *member, part Part, set SetID, began time.Time, f flow, err error) {
	if p.opts.Done == nil {
		return
	}
	p.opts.Done(Step{
		Op: op, Member: m.name, Role: m.role, Part: part, Set: set,
		Began: began, Took: p.opts.Clock.Now().Sub(began), Busy: max(f.busy, 0), BytesIn: f.in, BytesOut: f.out, Err: err,
	})
}
