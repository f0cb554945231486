package backup

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/hashicorp/go-hclog"

	"github.com/spillwaydb/spillway/core/rdb"
	"github.com/spillwaydb/spillway/core/resp"
	"github.com/spillwaydb/spillway/core/sink"
	"github.com/spillwaydb/spillway/core/vfs"
	"github.com/spillwaydb/spillway/core/wal"
)

// VerifyOptions tune Verify. The zero value checks stored bytes only through
// stages that need no registry.
type VerifyOptions struct {
	// Stages undo what the bytes went through.
	Stages *sink.Registry
	// Stored compares stored bytes with their digest and undoes no stage: it
	// needs no keys, and does not see what was wrong when it was written.
	Stored bool
	// Parallel bounds how many parts are read at once; 0 is 4. Up to four small ones
	// count as one, unless it is 1.
	Parallel int
	// Logger gets what the reading pipeline has to say; nil discards.
	Logger hclog.Logger
	// Progress counts stored bytes; nil for none.
	Progress *Progress
}

// PartState is what Verify found in one part.
type PartState struct {
	Set      sink.SetID       `json:"set"`
	Part     string           `json:"part"`
	Bytes    int64            `json:"bytes"`
	RawBytes int64            `json:"raw_bytes"`
	Keys     map[string]int64 `json:"keys,omitempty"` // by type, counted
	Blocks   int64            `json:"blocks,omitempty"`
	Commands int64            `json:"commands,omitempty"`
	// Functions is how many function libraries a part of a checkpoint holds.
	Functions int64 `json:"functions,omitempty"`
	// Damage is what is wrong, "" for nothing; Offset is where, in the stored
	// or the decoded bytes as Damage says, -1 if that is not known.
	Damage string `json:"damage,omitempty"`
	Offset int64  `json:"offset,omitempty"`
	// Unread is why it could not be decoded although the stored bytes are the
	// ones that were written: the key or the stage is not there.
	Unread string `json:"unread,omitempty"`
}

// Verify reads every part of the sets to its last byte: digest, stages, digest
// again, and then every key or command in it. Damage is in the states, one for
// each part in the order of the sets. The error is ctx's.
func Verify(ctx context.Context, src sink.Sink, sets []sink.Set, o VerifyOptions) ([]PartState, error) {
	if o.Parallel <= 0 {
		o.Parallel = 4
	}
	if o.Progress == nil {
		o.Progress = new(Progress)
	}
	pipe := sink.NewPipeline("verify", nil, src, nil, sink.PipelineOptions{Logger: o.Logger, Registry: o.Stages})
	defer pipe.Close()
	v := &verifier{src: Counted(src, o.Progress), pipe: pipe, stored: o.Stored}
	var states []PartState
	var parts []*sink.SetPart
	for i := range sets {
		o.Progress.Total.Add(sets[i].Bytes())
		for j := range sets[i].Parts {
			p := &sets[i].Parts[j]
			parts = append(parts, p)
			states = append(states, PartState{Set: sets[i].ID, Part: p.Part.Name, Bytes: p.Bytes, RawBytes: p.RawBytes})
		}
	}
	meta := make(map[sink.SetID]map[string]string)
	for i := range sets {
		meta[sets[i].ID] = sets[i].Meta
	}
	var g errgroup.Group
	crowd := newCrowd(o.Parallel)
	for i, p := range parts {
		crowd.read(ctx, &g, p.Bytes, func() error {
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			err := v.part(ctx, p, meta[p.Part.ID()], &states[i])
			if errors.Is(err, sink.ErrNoKey) || errors.Is(err, sink.ErrUnknownStage) {
				states[i].Unread = err.Error()
				err = v.compare(ctx, p)
			}
			if err != nil {
				states[i].Damage, states[i].Offset = err.Error(), offsetOf(err)
			}
			return context.Cause(ctx)
		})
	}
	err := g.Wait()
	return states, err
}

type verifier struct {
	src    sink.Sink
	pipe   *sink.Pipeline
	stored bool
}

func (v *verifier) part(ctx context.Context, p *sink.SetPart, meta map[string]string, s *PartState) error {
	if v.stored {
		return v.compare(ctx, p)
	}
	err := v.pipe.ReadFrom(ctx, v.src, *p, func(in io.Reader) error {
		s.Keys, s.Blocks, s.Commands, s.Functions = nil, 0, 0, 0
		switch p.Part.Kind {
		case sink.KindSegment:
			res, err := wal.ReplayStream(in, p.Part.Name, p.RawBytes, wal.ReplayOptions{ID: meta[sink.MetaLogID]}, func(wal.Block) error { return nil })
			s.Blocks, s.Commands = res.Blocks, res.Commands
			return err
		case sink.KindRewrite:
			return s.countRewrite(in)
		}
		s.Keys = make(map[string]int64)
		return rdb.Read(in, rdb.Handler{
			Function: func([]byte) error {
				s.Functions++
				return nil
			},
			Object: func(o *rdb.Object) error {
				s.Keys[o.Type.String()]++
				return nil
			},
		})
	})
	if err != nil || p.Part.Kind == sink.KindSegment {
		return err
	}
	var n int64
	for _, k := range s.Keys {
		n += k
	}
	if n != p.Keys {
		return fmt.Errorf("%w: it holds %d keys, %d are recorded", sink.ErrCorrupt, n, p.Keys)
	}
	return nil
}

// compare reads the stored bytes of a part against their digest.
func (v *verifier) compare(ctx context.Context, p *sink.SetPart) error {
	src, err := v.src.Open(ctx, p.Part, p.SinkReceipt)
	if err != nil {
		return err
	}
	defer src.Close()
	_, err = io.CopyBuffer(io.Discard, struct{ io.Reader }{newChecked(vfs.ContextReader(ctx, src), p, func(int) {})}, make([]byte, 256<<10))
	return err
}

// countRewrite counts the commands and the keys of a rewrite part: all commands
// that build a key follow each other.
func (s *PartState) countRewrite(in io.Reader) error {
	s.Keys = make(map[string]int64)
	last := ""
	return eachCommand(in, func(args [][]byte) error {
		s.Commands++
		verb := strings.ToUpper(string(args[0]))
		built, ok := rdb.BuiltBy(verb)
		if !ok || len(args) < 2 {
			switch verb {
			case "SELECT":
				last = ""
			case "FUNCTION":
				s.Functions++
			}
			return nil
		}
		typ := built.String()
		if key := typ + string(args[1]); key != last || built == rdb.TypeString {
			s.Keys[typ]++
			last = key
		}
		return nil
	})
}

// eachCommand hands out the commands of a decoded part.
func eachCommand(in io.Reader, fn func(args [][]byte) error) error {
	for r := resp.NewReader(in); ; {
		args, at, err := r.Next()
		var bad *resp.ProtocolError
		switch {
		case err == io.EOF: //nolint:errorlint // what merely wraps it is a failure
			return nil
		case errors.As(err, &bad):
			return &sink.CorruptError{Offset: at, Decoded: true, Err: err}
		case errors.Is(err, io.ErrUnexpectedEOF):
			return &sink.CorruptError{Offset: at, Decoded: true, Err: errors.New("a command is cut short there")}
		case err != nil:
			return err
		}
		if err := fn(args); err != nil {
			return err
		}
	}
}

// offsetOf is where the damage is, -1 if whoever found it does not know.
func offsetOf(err error) int64 {
	var (
		stored      *sink.CorruptError
		inRDB       *rdb.CorruptError
		unsupported *rdb.UnsupportedError
		inLog       *wal.CorruptError
	)
	switch {
	case errors.As(err, &stored):
		return stored.Offset
	case errors.As(err, &inRDB):
		return inRDB.Offset
	case errors.As(err, &unsupported):
		return unsupported.Offset
	case errors.As(err, &inLog):
		return inLog.Offset
	}
	return -1
}
