package wal

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/hashicorp/go-hclog"

	"github.com/spillwaydb/spillway/core/resp"
	"github.com/spillwaydb/spillway/core/vfs"
)

// ReplayOptions say what the segment is.
type ReplayOptions struct {
	// Last allows a torn tail: no later segment of the log holds a block.
	Last bool
	// ID is what Create returned for this segment, "" if that is not known. A
	// file that is another segment is corruption.
	ID string
	// StartSeq is the sequence of the last block before this segment; 0 if
	// that is not known. Any gap after it is corruption.
	StartSeq uint64
	Logger   hclog.Logger // nil discards
}

// Block is commands in the order they were executed: a transaction, or a
// stretch of commands outside one. A block of the file is handed out in one or
// more of these. Its memory is used again when the function that got it returns, but
// for what the arguments refer to if that lasts.
type Block struct {
	Seq    uint64 // of the block of the file
	Offset int64  // where that begins
	TimeMS int64  // when it was written
	DB     int    // of the first command
	Cmds   []Cmd  // SELECT, MULTI and EXEC are carried out, not listed
	Tx     bool   // to be applied whole
	Lasts  bool   // what arguments refer to stays as it is: a large block has memory of its own
}

// Result is what a segment holds.
type Result struct {
	Blocks, Commands int64
	FirstSeq         uint64 // 0 if there is no block
	LastSeq          uint64 // StartSeq if there is no block
	SafeOffset       int64  // up to here, the file itself says that it was fsynced
	GoodOffset       int64  // where the last good block or mark ends
	Size             int64
	Torn             bool // bytes from GoodOffset on are a torn tail
	TornReason       string
}

const (
	readBuffer  = 1 << 20
	maxStretch  = 512 // commands of a Block that is no transaction
	argsRoom    = 128 // arguments there is to be room for before a command, or the Block ends before it
	maxDatabase = 1 << 20
)

// Replay hands the commands of a segment to apply, in order, block by checked
// block. A torn tail, where it is allowed, is reported in the Result and not an
// error; other damage is a *CorruptError, with everything before it already
// applied. An I/O error is neither; an error of apply, which ends it, is
// returned as it is. What Replay has read it also fsyncs, since the log goes on
// from there; see Harden for what that is not enough for.
func Replay(fs vfs.FS, path string, opts ReplayOptions, apply func(b Block) error) (Result, error) {
	if opts.Logger == nil {
		opts.Logger = hclog.NewNullLogger()
	}
	f, err := fs.OpenFile(path, os.O_RDONLY, 0)
	if err != nil {
		return Result{}, fmt.Errorf("replay log segment: %w", err)
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return Result{}, fmt.Errorf("replay log segment %s: %w", path, err)
	}
	p := newReplayer(path, f, st.Size(), opts, apply)
	err = p.all(opts, func(bad *CorruptError) error {
		if !opts.Last {
			bad.Reason += "; only the end of the last segment can be a torn write"
			return bad
		}
		said, err := findEvidence(f, p.res.GoodOffset, p.res.Size, p.idSum, p.res.LastSeq)
		if err != nil {
			return fmt.Errorf("replay log segment %s: %w", path, err)
		}
		if said != "" {
			bad.Reason += "; " + said
			return bad
		}
		return nil
	})
	if err != nil {
		return p.res, err
	}
	if err := f.Sync(); err != nil {
		return p.res, fmt.Errorf("replay log segment %s: fsync: %w", path, err)
	}
	opts.Logger.Debug("log segment replayed", "segment", path, "blocks", p.res.Blocks, "commands", p.res.Commands, "torn", p.res.Torn)
	return p.res, nil
}

// ReplayStream is Replay for a sealed segment of size bytes that comes from
// somewhere else than the data directory; name is what errors call it. A torn
// tail is damage there, and there is nothing to fsync.
func ReplayStream(src io.Reader, name string, size int64, opts ReplayOptions, apply func(b Block) error) (Result, error) {
	p := newReplayer(name, src, size, opts, apply)
	err := p.all(opts, func(bad *CorruptError) error { return bad })
	return p.res, err
}

// LastWithBlocks is the index of the last of n segments that has blocks, 0 if
// none has: up to there no segment may end in a torn tail. segment tells the
// path and the id of each.
func LastWithBlocks(fs vfs.FS, n int, segment func(i int) (path, id string)) (int, error) {
	for i := n - 1; i > 0; i-- {
		path, id := segment(i)
		res, err := Replay(fs, path, ReplayOptions{Last: true, ID: id}, func(Block) error { return errHasBlocks })
		if errors.Is(err, errHasBlocks) || res.Blocks > 0 {
			return i, nil
		}
		if err != nil {
			return 0, err
		}
	}
	return 0, nil
}

var errHasBlocks = errors.New("the segment has blocks")

func newReplayer(path string, src io.Reader, size int64, opts ReplayOptions, apply func(Block) error) *replayer {
	p := &replayer{path: path, r: bufio.NewReaderSize(src, int(min(max(size, 2*maxAnnotation), readBuffer))), apply: apply}
	p.res.Size, p.res.LastSeq = size, opts.StartSeq
	return p
}

// all reads the header and every block. What does not go on is shown to bad,
// which returns nil for a torn tail.
func (p *replayer) all(opts ReplayOptions, bad func(*CorruptError) error) error {
	id, n, err := readHeader(p.r, p.path)
	if err != nil {
		return err
	}
	if opts.ID != "" && opts.ID != formatID(id) {
		return &CorruptError{Path: p.path, Reason: fmt.Sprintf("it is segment %s of a log, and %s was expected", formatID(id), opts.ID)}
	}
	p.idSum, p.res.SafeOffset, p.res.GoodOffset = segmentSum(id), int64(n), int64(n)
	for p.res.GoodOffset < p.res.Size {
		reason, err := p.next()
		if err != nil {
			return err
		}
		if reason == "" {
			continue
		}
		if err := bad(&CorruptError{Path: p.path, Offset: p.res.GoodOffset, Reason: reason}); err != nil {
			return err
		}
		p.res.Torn, p.res.TornReason = true, reason
		return nil
	}
	return nil
}

// ID is what a segment's first line calls it.
func ID(fs vfs.FS, path string) (string, error) {
	n, _, err := readID(fs, path)
	if err != nil {
		return "", err
	}
	return formatID(n), nil
}

// MayHoldBlocks tells whether there is, or may be, anything in a segment. One
// that a crash left without a whole header never had a block.
func MayHoldBlocks(fs vfs.FS, path string) bool {
	if st, err := fs.Stat(path); err == nil && st.Size() <= int64(maxHeader) {
		return false
	}
	res, err := Replay(fs, path, ReplayOptions{Last: true}, func(Block) error { return nil })
	return err != nil || res.Blocks > 0
}

// replayer reads one segment.
type replayer struct {
	path  string
	r     *bufio.Reader
	idSum uint32
	db    int
	apply func(Block) error
	res   Result

	unsafe []blockEnd // blocks of which nothing yet says that they were fsynced

	parser resp.Parser
	args   [][]byte // the arguments of cmds
	cmds   []Cmd    // of the stretch or transaction at hand
}

// blockEnd is where a block ends.
type blockEnd struct {
	seq uint64
	at  int64
}

// safe takes in that blocks up to dur had been fsynced.
func (p *replayer) safe(dur uint64) {
	for len(p.unsafe) > 0 && p.unsafe[0].seq <= dur {
		p.res.SafeOffset = p.unsafe[0].at
		p.unsafe = p.unsafe[1:]
	}
}

// next reads one block or mark. A reason says that what is there is not one.
func (p *replayer) next() (reason string, err error) {
	line, err := p.r.ReadSlice('\n')
	switch {
	case errors.Is(err, io.EOF):
		return "the file ends inside a block's first line", nil
	case errors.Is(err, bufio.ErrBufferFull):
		return "not the first line of a block", nil
	case err != nil:
		return "", fmt.Errorf("read log segment %s at %d: %w", p.path, p.res.GoodOffset, err)
	}
	a, ok := parseAnnotation(line)
	if !ok {
		return "not the first line of a block", nil
	}
	if a.mark {
		if !a.valid(p.idSum, nil) {
			return "the checksum of a mark does not match", nil
		}
		p.res.GoodOffset += int64(a.lineLen)
		p.safe(a.dur)
		return "", nil
	}
	if a.len > p.res.Size-p.res.GoodOffset-int64(a.lineLen) {
		return fmt.Sprintf("block %d is to have %d bytes but the file ends before that", a.seq, a.len), nil
	}
	// The line is in the reader's buffer, which the next read may reuse.
	var keep [maxAnnotation]byte
	a.summed = keep[:copy(keep[:], a.summed)]
	payload, lasts, err := p.payload(a.len)
	if err != nil {
		return "", fmt.Errorf("read log segment %s at %d: %w", p.path, p.res.GoodOffset, err)
	}
	if !a.valid(p.idSum, payload) {
		return fmt.Sprintf("the checksum of block %d does not match", a.seq), nil
	}
	if p.res.LastSeq != 0 && a.seq != p.res.LastSeq+1 {
		return "", &CorruptError{Path: p.path, Offset: p.res.GoodOffset, Reason: fmt.Sprintf("block %d follows block %d", a.seq, p.res.LastSeq)}
	}
	if err := p.commands(&a, payload, lasts); err != nil {
		return "", err
	}
	if !lasts {
		if _, err := p.r.Discard(len(payload)); err != nil {
			return "", fmt.Errorf("read log segment %s at %d: %w", p.path, p.res.GoodOffset, err)
		}
	}
	if p.res.Blocks == 0 {
		p.res.FirstSeq = a.seq
	}
	p.res.Blocks++
	p.res.LastSeq = a.seq
	p.res.GoodOffset += int64(a.lineLen) + a.len
	p.safe(a.dur)
	p.unsafe = append(p.unsafe, blockEnd{a.seq, p.res.GoodOffset})
	return "", nil
}

// payload returns a block's n bytes: of one that fits the reader's buffer as they lie there,
// still to be discarded, or else in memory of their own, which lasts. That grows as they
// arrive: how large the file is may be somebody's word as well, and a sparse one claims
// much and has nothing.
func (p *replayer) payload(n int64) (b []byte, lasts bool, err error) {
	if n <= int64(p.r.Size()) {
		b, err = p.r.Peek(int(n))
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return b, false, err
	}
	for had := int64(0); had < n; had = int64(len(b)) {
		b = append(make([]byte, 0, min(n, max(readBuffer, 4*had))), b...)
		b = b[:cap(b)]
		if _, err := io.ReadFull(p.r, b[had:]); err != nil {
			return nil, false, err
		}
	}
	return b, true, nil
}

// commands hands out what is in a block.
func (p *replayer) commands(a *annotation, payload []byte, lasts bool) error {
	b := Block{Seq: a.seq, Offset: p.res.GoodOffset, TimeMS: a.ts, Lasts: lasts}
	corrupt := func(why string) error {
		return &CorruptError{Path: p.path, Offset: p.res.GoodOffset, Reason: fmt.Sprintf("block %d has a valid checksum but %s", a.seq, why)}
	}
	flush := func() error {
		if len(p.cmds) == 0 {
			return nil
		}
		b.Cmds, b.DB = p.cmds, p.cmds[0].DB
		p.res.Commands += int64(len(b.Cmds))
		err := p.apply(b)
		if lasts { // let go of what may be large
			clear(p.cmds)
			clear(p.args)
		}
		p.cmds, p.args = p.cmds[:0], p.args[:0]
		return err
	}
	for len(payload) > 0 {
		args, n, err := p.parse(payload)
		if err != nil {
			return corrupt("holds a broken command: " + err.Error())
		}
		payload = payload[n:]
		if len(args) == 0 {
			continue
		}
		switch {
		case word(args, 2, "SELECT"):
			db, err := parseDB(args[1])
			if err != nil {
				return corrupt(err.Error())
			}
			p.db = db
			continue
		case word(args, 1, "MULTI"):
			if b.Tx {
				return corrupt("opens a transaction inside a transaction")
			}
			if err := flush(); err != nil {
				return err
			}
			b.Tx = true
			continue
		case word(args, 1, "EXEC"):
			if !b.Tx {
				return corrupt("ends a transaction that it does not open")
			}
			if err := flush(); err != nil {
				return err
			}
			b.Tx = false
			continue
		}
		p.cmds = append(p.cmds, Cmd{DB: p.db, Args: args})
		if !b.Tx && (len(p.cmds) >= maxStretch || cap(p.args)-len(p.args) < argsRoom) {
			if err := flush(); err != nil {
				return err
			}
		}
	}
	if b.Tx {
		return corrupt("leaves a transaction open")
	}
	return flush()
}

// parse parses one command; the slice of its arguments is cut from p.args, of which there
// is always more but in a transaction.
func (p *replayer) parse(payload []byte) (args [][]byte, n int, err error) {
	if cap(p.args)-len(p.args) < 8 {
		p.args = make([][]byte, 0, 4*maxStretch)
	}
	start := len(p.args)
	out, n, err := p.parser.Next(payload, p.args[start:])
	if err != nil {
		return nil, 0, err
	}
	if start+len(out) <= cap(p.args) {
		p.args = p.args[:start+len(out)]
	}
	return out[:len(out):len(out)], n, nil
}

func word(args [][]byte, n int, name string) bool {
	return len(args) == n && len(args[0]) == len(name) && bytes.EqualFold(args[0], []byte(name))
}

func parseDB(b []byte) (int, error) {
	n := 0
	for _, c := range b {
		if c < '0' || c > '9' || n > maxDatabase {
			return 0, fmt.Errorf("selects database %.20q", b)
		}
		n = n*10 + int(c-'0')
	}
	return n, nil
}
