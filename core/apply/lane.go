package apply

import (
	"slices"
	"sync"

	"github.com/spillwaydb/spillway/core/command"
	"github.com/spillwaydb/spillway/core/keyspace"
	"github.com/spillwaydb/spillway/core/wal"
)

const (
	// batchSize is how many commands a lane is given at once, or fewer if they
	// have batchBytes. The shard is locked while it applies them.
	batchSize  = 256
	batchBytes = 32 << 10
	// batchText is the memory that a batch has for copies: a command that does not
	// fit into what is left of it gets memory of its own.
	batchText = batchBytes + batchBytes/2
	// mostArgs is how many arguments a batch keeps room for.
	mostArgs = 16 << 10
	// batchesAhead is how many of them may wait for a lane.
	batchesAhead = 8
	// prefetchSize is how many commands' keys are looked up ahead.
	prefetchSize = 32
)

// lane is one shard's share of the work. Its goroutine applies batches; while
// there are none in flight the caller of the Applier may.
type lane struct {
	shard   *keyspace.Shard
	index   int // of the shard
	next    batch
	batches chan batch
	spare   chan batch     // applied ones, for their memory
	flying  sync.WaitGroup // batches that were sent and are not applied yet
	ended   chan struct{}

	executor
	failed bool // nothing is applied behind what cannot be
	keys   [][]byte
}

// found is a command to be applied, in whosever memory.
type found struct {
	wal.Cmd
	cmd *command.Command
}

// task is a command to be applied; its batch has its arguments.
type task struct {
	cmd         *command.Command
	db          int
	first, last int // of the batch's args
}

// batch is commands in their order, and where they come from. Its memory is used
// again and again, so that a log of any length makes no garbage.
type batch struct {
	tasks []task
	args  [][]byte // of all of them
	text  []byte   // what args refer to, unless it lasts by itself
	bytes int      // of all args
	from  []stretch
}

// stretch is a batch's commands from an index on.
type stretch struct {
	index int
	Origin
}

// add adds a command. Its arguments are copied, but not what they refer to if that
// lasts until it is applied.
func (b *batch) add(c *wal.Cmd, cmd *command.Command, lasts bool, from *Origin) {
	if n := len(b.from); n == 0 || !b.from[n-1].same(from) {
		b.from = append(b.from, stretch{len(b.tasks), *from})
	}
	size := 0
	for _, arg := range c.Args {
		size += len(arg)
	}
	first := len(b.args)
	if lasts {
		b.args = append(b.args, c.Args...)
	} else {
		b.copy(c.Args, size)
	}
	b.bytes += size
	b.tasks = append(b.tasks, task{cmd: cmd, db: c.DB, first: first, last: len(b.args)})
}

// copy adds copies of arguments, of so many bytes in all.
func (b *batch) copy(args [][]byte, size int) {
	text := b.text
	own := size > cap(text)-len(text)
	if own {
		text = make([]byte, 0, size)
	}
	for _, arg := range args {
		at := len(text)
		text = append(text, arg...)
		b.args = append(b.args, text[at:len(text):len(text)])
	}
	if !own {
		b.text = text
	}
}

// full tells whether b is to be applied before more is added.
func (b *batch) full() bool { return len(b.tasks) >= batchSize || b.bytes >= batchBytes }

// argsOf are the arguments of a task of b.
func (b *batch) argsOf(t *task) [][]byte { return b.args[t.first:t.last:t.last] }

// origin tells where the command at index i comes from.
func (b *batch) origin(i int) Origin {
	n, _ := slices.BinarySearchFunc(b.from, i+1, func(s stretch, i int) int { return s.index - i })
	return b.from[n-1].Origin
}

// reset empties b and keeps its memory, but not the commands'.
func (b *batch) reset() {
	clear(b.tasks)
	clear(b.from)
	clear(b.args)
	b.tasks, b.from, b.args, b.text, b.bytes = b.tasks[:0], b.from[:0], b.args[:0], b.text[:0], 0
	if cap(b.args) > mostArgs {
		b.args = nil
	}
}

// newBatch returns an empty batch.
func newBatch() batch {
	return batch{tasks: make([]task, 0, batchSize), args: make([][]byte, 0, 4*batchSize), text: make([]byte, 0, batchText)}
}

func newLane(ks *keyspace.Keyspace, index int) *lane {
	return &lane{
		shard: ks.Shard(index), index: index, executor: newExecutor(ks), next: newBatch(),
		batches: make(chan batch, batchesAhead), spare: make(chan batch, batchesAhead+1), ended: make(chan struct{}),
	}
}

// send hands over what is to be applied next.
func (l *lane) send() {
	if len(l.next.tasks) == 0 {
		return
	}
	l.flying.Add(1)
	l.batches <- l.next
	select {
	case l.next = <-l.spare:
	default:
		l.next = newBatch()
	}
}

// run applies what is sent until there is no more to come.
func (l *lane) run(fail func(error)) {
	defer close(l.ended)
	for b := range l.batches {
		l.shard.Lock()
		err := l.apply(&b)
		l.shard.Unlock()
		if err != nil {
			fail(err)
		}
		b.reset()
		select {
		case l.spare <- b:
		default:
		}
		l.flying.Done()
	}
}

// apply applies a batch. The shard is locked.
func (l *lane) apply(b *batch) error {
	if l.failed {
		return nil
	}
	for i := range b.tasks {
		if i%prefetchSize == 0 {
			l.prefetch(b, b.tasks[i:min(i+prefetchSize, len(b.tasks))])
		}
		t := &b.tasks[i]
		if err := l.execute(t.cmd, b.argsOf(t), t.db, l.index); err != nil {
			l.failed = true
			at := b.origin(i)
			return at.refuse(err)
		}
	}
	return nil
}

// prefetch brings what a few commands, usually of one database, will look up
// into the processor's cache.
func (l *lane) prefetch(b *batch, tasks []task) {
	l.keys = l.keys[:0]
	for i := range tasks {
		if args := b.argsOf(&tasks[i]); len(args) > 1 {
			l.keys = append(l.keys, args[1])
		}
	}
	l.shard.DB(tasks[0].db).Prefetch(l.keys)
}
