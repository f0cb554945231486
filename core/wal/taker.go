package wal

// Taker gets the blocks of an Order, from the instant of its Join on, each once
// and in the order of their numbers. Its methods are called by the one goroutine
// that leads the order, which holds no lock of a shard: appends go on meanwhile,
// but commits do not, so that a taker which replies do not wait for must return
// at once. One that may be slow reads from a Backlog, at its own pace.
type Taker interface {
	// Take gets the next block. Its number is one more than the last one's. The
	// block's memory is the order's again after Take has returned. An error is
	// final: the taker gets nothing any more.
	Take(b *RawBlock) error
	// Need tells how commits depend on the taker, at any time and from any
	// goroutine.
	Need() Need
	// Sync returns once everything that Take got is safe: for a file, on the
	// disk; for a quorum, with the majority. It is called for a taker that is
	// Awaited only, while a group of clients waits. An error is final.
	Sync() error
}

// Need is how commits depend on a taker.
type Need int

const (
	// Optional: not at all. A failure is the taker's own affair.
	Optional Need = iota
	// Required: they fail once it has failed, and do not wait for it.
	Required
	// Awaited: they wait, moreover, until it has what they are about safely.
	Awaited
)

// RawBlock is a block as takers get it.
type RawBlock struct {
	Seq    uint64
	TimeMS int64  // when it was put together
	DB     int    // the database that its first command is for
	LastDB int    // the database that is selected behind it
	Data   []byte // its commands in RESP, without a SELECT for the first; empty for a number that was only used up

	room []byte // Data, with blockRoom bytes before it that the segment file writes to
}

// AppendCommands appends the block's commands to a stream of commands that has
// database selected, -1 for none: with a SELECT before them if it takes one.
func (b *RawBlock) AppendCommands(dst []byte, selected int) []byte {
	if len(b.Data) > 0 && selected != b.DB {
		dst = appendSelect(dst, b.DB)
	}
	return append(dst, b.Data...)
}

// builder puts a block together.
type builder struct {
	buf         []byte // behind blockRoom bytes
	first, last int    // databases
}

func (u *builder) empty() bool { return len(u.buf) <= blockRoom }

// add adds a copy of r.
func (u *builder) add(r *run) {
	if len(r.buf) == 0 {
		return
	}
	if len(u.buf) == 0 {
		if u.buf == nil {
			u.buf = make([]byte, blockRoom, 64<<10)
		}
		u.buf = u.buf[:blockRoom]
	}
	if u.empty() {
		u.first = r.first
	} else if u.last != r.first {
		u.buf = appendSelect(u.buf, r.first)
	}
	u.buf = append(u.buf, r.buf...)
	u.last = r.last
}

// finish returns the block, which is good until reset.
func (u *builder) finish(seq uint64, ts int64) RawBlock {
	if u.empty() {
		return RawBlock{Seq: seq, TimeMS: ts, DB: u.last, LastDB: u.last, room: make([]byte, blockRoom)}
	}
	return RawBlock{Seq: seq, TimeMS: ts, DB: u.first, LastDB: u.last, Data: u.buf[blockRoom:], room: u.buf}
}

func (u *builder) reset() {
	if cap(u.buf) > 4*keepStorage {
		u.buf = nil
		return
	}
	u.buf = u.buf[:0]
}
