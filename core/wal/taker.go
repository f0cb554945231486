package wal

// Taker gets the blocks of an Order, from the instant of its Join on, each once
// and in the order of their numbers. Begin, Take and Sync are called one at a
// time, by a goroutine that holds no lock of a shard. Appends never wait for
// them. Commits do if the taker is Awaited when it joins; any other taker may be
// as slow as it likes: its blocks queue for it, up to maxQueued bytes, and when
// the queue is full it fails.
type Taker interface {
	// Begin is called first, and once: after is the number of the last block
	// before those that the taker gets.
	Begin(after uint64)
	// Take gets the next block, whose number is one more than the last one's.
	// The block's memory is the order's again after Take has returned. An error
	// is final: the taker gets nothing any more.
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
	// Optional is not at all. A failure is the taker's own affair.
	Optional Need = iota
	// Required is that they fail once it has failed, but for what was safe with it, and
	// do not wait for it.
	Required
	// Awaited is that they wait, moreover, until what they stand for is safe with it.
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

// clone is a copy of the block, to keep.
func (b *RawBlock) clone() RawBlock {
	c := *b
	c.Data, c.room = append([]byte(nil), b.Data...), nil
	return c
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
