package sink

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"hash/crc32"
	"io"
	"sync/atomic"
)

const copyBuffer = 256 << 10

// room is a buffer to copy n bytes with.
func room(n int64) []byte { return make([]byte, min(max(n+1, 512), copyBuffer)) }

// Read opens a part of the local sink, checks its digest, undoes the stages
// recorded in sp (not the ones the pipeline has today) and hands the encoder's
// bytes to fn, which runs in the calling goroutine and need not read to the
// end. What fn did counts only if Read returns nil: damage may come to light
// after fn has succeeded. Damaged bytes wrap ErrCorrupt.
func (p *Pipeline) Read(ctx context.Context, sp SetPart, fn func(r io.Reader) error) error {
	if p.local == nil {
		return &Error{Op: "read", Path: sp.Part.Name, Err: errors.New("the pipeline has no local sink")}
	}
	return p.read(ctx, p.local, sp, fn)
}

// ReadFrom is Read from another sink, with a part as that sink's List knows it.
func (p *Pipeline) ReadFrom(ctx context.Context, s Sink, sp SetPart, fn func(r io.Reader) error) error {
	return p.read(ctx, &member{tally: new(tally), name: s.Info().Name, sink: s}, sp, fn)
}

// verify rereads the local bytes of a part that was just written, whose CRC-32C this process
// knows.
func (p *Pipeline) verify(ctx context.Context, sp SetPart, crc uint32) error {
	var err error
	began := p.opts.Clock.Now()
	if p.opts.VerifyDecode {
		err = p.read(ctx, p.local, sp, func(io.Reader) error { return nil })
	} else {
		err = p.check(ctx, p.local, sp, crcProof(sp, crc))
	}
	p.step(OpVerify, p.local, sp.Part, sp.Part.ID(), began, flow{in: sp.Bytes}, err)
	if err != nil {
		p.local.errors.Add(1)
		return &Error{Op: "verify", Path: sp.Part.Name, Err: err, Hint: "the part is not used; check the disk"}
	}
	return nil
}

// check reads the stored bytes against a proof and does nothing else.
func (p *Pipeline) check(ctx context.Context, m *member, sp SetPart, by proof) error {
	r := p.newRun(ctx, "read", sp.Part)
	defer r.stop()
	src := r.pipeFor(sp.Bytes)
	t := r.pump(m, sp, by, src)
	_, err := io.CopyBuffer(io.Discard, readOnly{src}, room(sp.Bytes))
	return r.end(err, t)
}

func (p *Pipeline) read(ctx context.Context, m *member, sp SetPart, fn func(r io.Reader) error) error {
	name := sp.Part.Name
	stages, err := p.stagesOf(sp)
	if err != nil {
		return &Error{Op: "read", Path: name, Sink: m.name, Err: err, Hint: "configure the stage this part was written with"}
	}
	r := p.newRun(ctx, "read", sp.Part)
	defer r.stop()
	src := r.pipeFor(sp.Bytes)
	tasks := []*task[struct{}]{r.pump(m, sp, digestProof(sp), src)}
	defer func() { // fn's runtime.Goexit included
		r.fail(&Error{Op: "read", Path: name, Err: errors.New("reader has ended")})
		for _, t := range tasks {
			_, _ = t.wait(r.ctx.Done())
		}
	}()
	for i := len(stages) - 1; i >= 0; i-- {
		dst := r.pipe()
		tasks = append(tasks, r.decodeStage(stages[i], sp.StageReceipts[i], dst, src))
		src = dst
	}
	raw := &rawReader{src: src, limit: sp.RawBytes}
	if len(stages) > 0 || sp.RawSHA256 != sp.SHA256 { // or else the pump's digest says it all
		raw.hash = sha256.New()
	}
	err = p.runReader(raw, fn)
	if err == nil {
		_, err = io.CopyBuffer(io.Discard, raw, room(sp.RawBytes))
	}
	if err = r.end(err, tasks...); err != nil {
		return p.diagnose(ctx, m, sp, err)
	}
	return raw.check(sp)
}

// end collects a reading run: the first failure of any member, or the
// consumer's err.
func (r *run) end(err error, tasks ...*task[struct{}]) error {
	if err != nil {
		r.fail(err)
	}
	for _, t := range tasks {
		if _, err := t.wait(r.ctx.Done()); err != nil {
			r.fail(&Error{Op: "read", Path: r.part.Name, Stage: t.m.name, Err: err})
		}
	}
	return r.failure()
}

// stagesOf finds the stages a part went through.
func (p *Pipeline) stagesOf(sp SetPart) ([]Stage, error) {
	if err := CheckPart(sp.Part); err != nil {
		return nil, err
	}
	if len(sp.StageReceipts) != len(sp.Stages) {
		return nil, fmt.Errorf("%w: %d stages but %d receipts are recorded", ErrCorrupt, len(sp.Stages), len(sp.StageReceipts))
	}
	stages := make([]Stage, len(sp.Stages))
	for i, rec := range sp.Stages {
		s, err := p.Stage(rec.Name)
		if err != nil {
			return nil, err
		}
		stages[i] = s
	}
	return stages, nil
}

// Stage returns the stage of that name: one of the pipeline's own, or else of
// its registry.
func (p *Pipeline) Stage(name string) (Stage, error) {
	for _, m := range p.stages {
		if m.name == name {
			return m.stage, nil
		}
	}
	return p.opts.Registry.Stage(name)
}

// diagnose tells damaged bytes from every other reason why a read failed.
func (p *Pipeline) diagnose(ctx context.Context, m *member, sp SetPart, cause error) error {
	if errors.Is(cause, ErrCorrupt) || ctx.Err() != nil || errors.Is(cause, ErrStuck) {
		return cause
	}
	if err := p.check(ctx, m, sp, digestProof(sp)); errors.Is(err, ErrCorrupt) {
		return fmt.Errorf("%w (which showed as: %w)", err, cause)
	}
	return cause
}

// runReader calls fn in this goroutine and turns a panic into an error.
func (p *Pipeline) runReader(src io.Reader, fn func(io.Reader) error) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = panicError(p.log, "reader", v)
		}
	}()
	return fn(src)
}

// proof takes the bytes of a part that are read, and judges by their sum whether they are those
// that were written.
type proof struct {
	hash.Hash
	judge func(sum []byte) error
}

// digestProof is the proof by the digest that is recorded with a part.
func digestProof(sp SetPart) proof {
	return proof{sha256.New(), func(sum []byte) error { return sp.CheckSum(hex.EncodeToString(sum)) }}
}

// crcProof is the proof by the CRC-32C that was counted while the part was written: whoever wrote it
// looks for accidents, which this finds as well, at a fifteenth of the processor time of the digest.
func crcProof(sp SetPart, crc uint32) proof {
	return proof{crc32.New(castagnoli), func(sum []byte) error {
		if found := binary.BigEndian.Uint32(sum); found != crc {
			return &CorruptError{End: sp.Bytes, Err: fmt.Errorf("bytes with the CRC-32C %08x were written, and %08x is read", crc, found)}
		}
		return nil
	}}
}

// pump carries the stored bytes of a part into dst. The end of dst is io.EOF
// only if the bytes are the ones that were written.
func (r *run) pump(m *member, sp SetPart, by proof, dst *pipe) *task[struct{}] {
	path := fmt.Sprintf("%s of %s", sp.Part.Name, sp.Part.ID())
	return start(r.p, m, func() (struct{}, error) {
		if err := m.ready(); err != nil {
			return struct{}{}, err
		}
		src, err := m.sink.Open(r.ctx, sp.Part, sp.SinkReceipt)
		if err != nil {
			return struct{}{}, err
		}
		defer src.Close()
		// One byte more than recorded is enough to know.
		n, err := io.CopyBuffer(io.MultiWriter(onlyWriter{dst}, by), io.LimitReader(onlyReader{src}, sp.Bytes+1), room(sp.Bytes))
		if err != nil {
			return struct{}{}, err
		}
		if err := sp.CheckSize(n); err != nil {
			return struct{}{}, err
		}
		return struct{}{}, by.judge(by.Sum(nil))
	}, func(_ struct{}, err error) error {
		if err == nil {
			dst.closeWrite(nil)
			return nil
		}
		if errors.Is(err, ErrCorrupt) {
			err = &Error{Op: "read", Path: path, Sink: m.name, Err: err, Hint: "another copy of the set, on another sink or in the history, may be whole"}
		} else {
			err = sinkError("read", path, m.name, explain(r.ctx, err))
		}
		r.fail(err)
		return err
	})
}

// decodeStage starts the undoing of one stage.
func (r *run) decodeStage(s Stage, receipt Receipt, dst, src *pipe) *task[struct{}] {
	name := s.Info().Name
	return start(r.p, &member{tally: new(tally), name: name}, func() (struct{}, error) {
		return struct{}{}, s.Decode(r.ctx, r.part, receipt, onlyWriter{dst}, readOnly{src})
	}, func(_ struct{}, err error) error {
		if err = finished(r.ctx, src, nil, err); err != nil {
			err = &Error{Op: "decode", Path: r.part.Name, Stage: name, Err: err}
			r.fail(err)
			return err
		}
		src.closeRead(nil)
		dst.closeWrite(nil)
		return nil
	})
}

// rawReader is what the consumer reads: the encoder's bytes, counted, hashed
// and bounded by what the encoder wrote.
type rawReader struct {
	src   io.Reader
	hash  hash.Hash // nil: they are the stored ones, whose digest is taken
	n     int64
	limit int64
}

func (r *rawReader) Read(b []byte) (int, error) {
	n, err := r.src.Read(b)
	r.n += int64(n)
	if r.n > r.limit {
		return 0, &CorruptError{Offset: r.limit, Err: fmt.Errorf("it decodes to more than the %d bytes recorded", r.limit)}
	}
	if r.hash != nil {
		r.hash.Write(b[:n])
	}
	return n, err
}

func (r *rawReader) check(sp SetPart) error {
	sum := sp.RawSHA256
	if r.hash != nil {
		sum = hex.EncodeToString(r.hash.Sum(nil))
	}
	if r.n == sp.RawBytes && sum == sp.RawSHA256 {
		return nil
	}
	return &Error{Op: "read", Path: fmt.Sprintf("%s of %s", sp.Part.Name, sp.Part.ID()),
		Err: fmt.Errorf("%w: decodes to %d bytes with SHA-256 %s; %d with %s are recorded", ErrCorrupt, r.n, sum, sp.RawBytes, sp.RawSHA256)}
}

// readOnly, onlyReader and onlyWriter hide every other method, so that nobody
// finds a Close, or a ReadFrom with a small buffer.
type readOnly struct{ p *pipe }

func (r readOnly) Read(b []byte) (int, error) { return r.p.Read(b) }

type onlyReader struct{ io.Reader }

type onlyWriter struct{ io.Writer }

// countWriter counts what passes.
type countWriter struct {
	dst io.Writer
	n   atomic.Int64
}

func (w *countWriter) Write(b []byte) (int, error) {
	n, err := w.dst.Write(b)
	w.n.Add(int64(n))
	return n, err
}
